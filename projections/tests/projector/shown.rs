//! What is kept of single subclouds is never older than the question.

use dcm_domain::subcloud::command::{LoseRun, LostBecause, ManageSubcloud, ReportAvailability};
use dcm_domain::value::Availability;
use dcm_projections::{Key, Shown};

use crate::rebuilds::rebuild;
use crate::site::{Site, database, meta};

async fn suite(site: Site) {
    let first = site.add(1).await;
    site.project().await;
    let shown = Shown::new(site.models.subclouds(), |row| {
        let subcloud = &row.subcloud;
        format!("{} {}", subcloud.name, subcloud.management.as_str()).into_bytes()
    });
    let by_name = |name: &str| Key::Name(name.to_owned());
    let see = async |key: Key| {
        let one = shown.get(&key).await.unwrap();
        assert_eq!(one.position, site.models.subclouds().position().await.unwrap().0);
        one.body.map(|body| String::from_utf8(body.to_vec()).unwrap())
    };
    assert_eq!(see(by_name("subcloud1")).await.as_deref(), Some("subcloud1 unmanaged"));
    assert_eq!(see(Key::Id(1)).await.as_deref(), Some("subcloud1 unmanaged"));
    assert_eq!(see(by_name("subcloud2")).await, None);

    let online = ReportAvailability { to: Availability::Online };
    site.fleet.run(first, &online, &meta()).await.unwrap();
    let managed = ManageSubcloud { force: true, ..ManageSubcloud::default() };
    site.fleet.run(first, &managed, &meta()).await.unwrap();
    let second = site.add(2).await;
    site.project().await;
    for key in [by_name("subcloud1"), Key::Id(1), Key::Region("region1".to_owned())] {
        assert_eq!(see(key).await.as_deref(), Some("subcloud1 managed"));
    }
    assert_eq!(see(by_name("subcloud2")).await.as_deref(), Some("subcloud2 unmanaged"));

    rebuild(&site, "subclouds").await.unwrap();
    assert_eq!(see(by_name("subcloud1")).await.as_deref(), Some("subcloud1 managed"));
    let run = site.fleet.subcloud(second).await.unwrap().state.unwrap().run.clone().unwrap();
    let lost = LoseRun { run_id: run.id, because: LostBecause::NoWorker };
    site.fleet.run(second, &lost, &meta()).await.unwrap();
    site.fleet.delete(second, &meta()).await.unwrap();
    site.project().await;
    assert_eq!(see(by_name("subcloud2")).await, None);
    assert_eq!(see(Key::Id(2)).await, None);
    assert_eq!(see(Key::Id(1)).await.as_deref(), Some("subcloud1 managed"));
}

#[tokio::test]
async fn embedded() {
    suite(Site::open("embedded:").await).await;
}

#[tokio::test]
async fn postgres() {
    let cluster = crate::cluster::Cluster::shared();
    suite(Site::open(&database(&cluster).await).await).await;
}
