//! Deploy files of one release: what was uploaded, by whom, when (subclouds.md §8). The files themselves lie in a
//! directory; the stream is their record.

mod command;
mod event;
mod option;
mod state;

pub use command::RecordUpload;
pub use event::{DeployFilesEvent, DeployFilesUploaded, UploadedFile};
pub use option::{DeployOption, InvalidFileName, file_name, missing_options};
pub use state::DeployFiles;
