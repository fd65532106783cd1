//! Stores that are away.

use dcm_tests::load::{Addresses, Load};
use dcm_tests::{Postgres, Split, eventually};

use crate::scene::{
    FLEET, TAKE_OVER, acknowledges_more, comes_to_rest, fleet, none_has_ended, parts,
    the_bus_holds_the_journal,
};
use crate::{ALONE, seed};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_answered_with_503_and_loses_nothing() {
    let _alone = ALONE.lock().await;
    let mut postgres = Postgres::start().await;
    let split = Split::on(&postgres).await;
    let names = [("api-a", "api"), ("relay-1", "relay"), ("projector", "projector")];
    let mut parts = parts(&split, &names).await;
    let addresses = Addresses::new(vec![parts[0].dcm.url().to_owned()]);
    let load = Load::start(&addresses, &fleet(), seed());
    for crash in [false, true] {
        acknowledges_more(&load, 20).await;
        match crash {
            true => postgres.crash(),
            false => postgres.stop().await,
        }
        let before = load.account().unavailable;
        eventually("the API says that it cannot write now", TAKE_OVER, async || {
            let now = load.account().unavailable;
            if now >= before + FLEET { Ok(()) } else { Err(now) }
        })
        .await;
        let read = parts[0].dcm.http().get("/v1.0/subclouds/subcloud1").send().await.expect(503);
        assert!(read.header("retry-after").is_some(), "{:?}", read.headers);
        postgres.start_again().await;
        acknowledges_more(&load, 20).await;
    }
    let account = load.finish().await;
    let (ledger, models) = comes_to_rest(&split.journal(), &split.read_model(), split.dir()).await;
    none_has_ended(&mut parts);
    ledger.verify().expect("hash chains are whole");
    account.compare(&ledger);
    ledger.compare_rows(&models).await;
    the_bus_holds_the_journal(&split.stores.nats.url(), &ledger).await;
}
