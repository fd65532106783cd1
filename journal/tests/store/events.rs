//! Events to append, and reading all of them.

use dcm_journal::store::Journal;
use dcm_schemas::Recorded;

pub use dcm_journal::conformance::events::*;

/// Every event of the journal, read in small pages.
pub async fn read_everything(journal: &dyn Journal) -> Vec<Recorded> {
    dcm_journal::conformance::events::read_everything(journal).await.unwrap()
}
