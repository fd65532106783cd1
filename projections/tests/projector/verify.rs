//! Folding the journal again finds rows that are not what it says, and no others.

use dcm_domain::subcloud::command::ReportAvailability;
use dcm_domain::value::Availability;
use dcm_projections::{Extent, Problem, Verified, VerifyError};
use sqlx::{AssertSqlSafe, Executor};

use crate::cluster::Cluster;
use crate::site::{Site, database, meta};

async fn verify(site: &Site, name: Option<&str>, extent: Extent) -> Vec<Verified> {
    site.models.verify(&site.journal, name, extent, |_, _| ()).await.unwrap()
}

async fn suite(site: Site) {
    let first = site.add(1).await;
    let second = site.add(2).await;
    site.project().await;
    for extent in [Extent::All, Extent::Sample(10)] {
        for found in verify(&site, None, extent).await {
            assert_eq!(found.differing, 0, "{found:?}");
            let sampled = extent != Extent::All;
            let together = ["strategy", "options"].contains(&found.name.as_str());
            assert_eq!(found.not_compared.is_some(), sampled && together, "{found:?}");
            assert_eq!(
                found.rows > 0,
                ["subclouds", "groups", "history", "alarms"].contains(&found.name.as_str())
            );
        }
    }
    // What the journal has beyond the checkpoint is no difference.
    site.fleet.run(first, &ReportAvailability { to: Availability::Online }, &meta()).await.unwrap();
    assert!(verify(&site, None, Extent::All).await.iter().all(|found| found.differing == 0));
    site.project().await;

    let mut raw = site.raw().await;
    for change in [
        format!("update subcloud_v1 set deploy_status = 'Berlin' where uuid = '{first}'"),
        format!("delete from subcloud_change_v1 where uuid = '{second}'"),
        format!(
            "insert into deploy_run_v1 (run_id, uuid, phases, requested_at) values ('nothing', '{second}', '', 0)"
        ),
        format!("delete from subcloud_history_v1 where uuid = '{second}' and revision = 0"),
    ] {
        raw.execute(AssertSqlSafe(change)).await.unwrap();
    }
    for extent in [Extent::All, Extent::Sample(10)] {
        let found = verify(&site, Some("subclouds"), extent).await.pop().unwrap();
        assert_eq!((found.name.as_str(), found.differing), ("subclouds", 3), "{found:?}");
        let of = |problem| found.differences.iter().find(|one| one.problem == problem).unwrap();
        let different = of(Problem::Different);
        assert_eq!(
            (different.table.as_str(), &different.columns),
            ("subcloud", &vec!["deploy_status".to_owned()])
        );
        assert_eq!(different.key["uuid"], first.to_string());
        assert_eq!(of(Problem::Unexpected).key["run_id"], "nothing");
        assert_eq!(of(Problem::Missing).key["uuid"], second.to_string());
        let found = verify(&site, Some("history"), extent).await.pop().unwrap();
        assert_eq!(found.differing, 1, "{found:?}");
        assert_eq!(found.differences[0].key["revision"], 0);
    }
    let unknown = site.models.verify(&site.journal, Some("nothing"), Extent::All, |_, _| ()).await;
    assert!(matches!(unknown, Err(VerifyError::Unknown(_))));
}

#[tokio::test]
async fn embedded() {
    suite(Site::open("embedded:").await).await;
}

#[tokio::test]
async fn postgres() {
    let cluster = Cluster::shared();
    suite(Site::open(&database(&cluster).await).await).await;
}
