//! Who projects under an earlier epoch changes nothing once a later one has taken its place, not even what is said of it.

use dcm_domain::subcloud::command::ReportAvailability;
use dcm_domain::value::{Availability, Timestamp};
use dcm_projections::{Failure, Place, ProjectError, ReadModelStore};

use crate::cluster::Cluster;
use crate::site::{Site, database, meta};

/// Where the subclouds are.
async fn place(site: &Site) -> Place {
    let places = site.models.places().await.unwrap();
    places.into_iter().find(|place| place.projection.name() == "subclouds").unwrap()
}

/// Whether a read model is said to have stopped.
async fn has_stopped(site: &Site) -> bool {
    site.models.status().await.unwrap().iter().any(|one| one.failure.is_some())
}

async fn suite(url: &str) {
    let site = Site::open(url).await;
    let subcloud = site.add(1).await;
    let (before, after) = (site.projector(4), site.projector(5));
    assert!(before.step().await.unwrap().is_some());
    assert!(site.models.fence(5).await.unwrap());
    assert!(!site.models.fence(4).await.unwrap(), "there is a later one");

    site.fleet.run(subcloud, &ReportAvailability { to: Availability::Online }, &meta()).await.unwrap();
    let fenced = before.step().await;
    assert!(matches!(fenced, Err(ProjectError::Fenced)), "{fenced:?}");
    let then = place(&site).await;
    let failure = Failure {
        position: then.position,
        event_id: None,
        event_type: None,
        reason: "of no importance".to_owned(),
        failed_at: Timestamp::from_micros(0),
    };
    site.models.stop(&then, 4, &failure).await.unwrap();
    assert!(!has_stopped(&site).await, "its epoch is over");

    assert!(after.step().await.unwrap().is_some());
    site.models.stop(&then, 5, &failure).await.unwrap();
    assert!(!has_stopped(&site).await, "it has gone on since");
    site.models.stop(&place(&site).await, 5, &failure).await.unwrap();
    assert!(has_stopped(&site).await);
}

#[tokio::test]
async fn embedded() {
    suite("embedded:").await;
}

#[tokio::test]
async fn postgres() {
    let cluster = Cluster::shared();
    suite(&database(&cluster).await).await;
}
