//! Journal, rows and bus say the same.

use std::time::Duration;

use dcm_journal::conformance::events::{check_whole, read_everything};
use dcm_journal::store;
use dcm_projections::ReadModels;
use uuid::Uuid;

use crate::heard::heard;
use crate::installation::Split;
use crate::ledger::Ledger;
use crate::wait::eventually;

/// How long the read models may take to catch up.
const CAUGHT_UP: Duration = Duration::from_secs(60);

/// Waits until the read models have caught up with a journal in any store, to which nobody writes any more, and checks that
/// the journal is whole, each row is the fold of its events, and the bus holds every event once and in order. Gives the
/// journal.
pub async fn agree(split: &Split) -> Ledger {
    let journal = store::open(&split.journal(), split.dir()).await.expect("open the journal");
    let models = ReadModels::open(&split.read_model(), split.dir(), journal.id()).await;
    let models = models.expect("open the read models");
    eventually("the read models catch up", CAUGHT_UP, async || {
        let head = journal.head().await.map_err(|error| error.to_string())?;
        let (position, _) = models.subclouds().position().await.map_err(|error| error.to_string())?;
        if position == head { Ok(()) } else { Err(format!("{position} of {head}")) }
    })
    .await;
    check_whole(&read_everything(&*journal).await.expect("read the journal")).expect("the journal is whole");
    let ledger = Ledger::of(&*journal).await;
    ledger.compare_rows(&models).await;
    let url = split.stores.nats.url();
    let all = heard(&url, "DCM_EVENTS", |all| all.len() >= ledger.events.len()).await;
    let heard: Vec<Uuid> =
        all.iter().map(|message| message.header("ce-id").parse().expect("an id")).collect();
    assert_eq!(heard, ledger.ids(), "bus and journal differ");
    ledger
}
