//! What operators look at: health, readiness, metrics, read models.

mod readiness;

pub use readiness::Readiness;
