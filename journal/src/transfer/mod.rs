//! Checking a whole journal, and taking it from one store to another: as a file of lines, or straight.
//!
//! Events keep their ids, times, hashes and order; the store they come to is a journal of its own and has its own id.

mod copy;
mod export;
mod import;
mod pages;
mod verify;

pub use copy::{Copied, CopyError, copy};
pub use export::{ExportError, Exported, export};
pub use import::{ImportError, import};
pub use pages::Missing;
pub use verify::{BrokenEvent, Verified, verify};

/// Events read at once.
const PAGE: usize = 1000;
