//! Read model `peer_groups`: subcloud peer groups.

use dcm_domain::key_directory::Listed;
use dcm_domain::peer_group::SubcloudPeerGroup;
use dcm_domain::subcloud::ImportedTimes;

use crate::entities::{Entities, Entity, EntityProjection, EntityRow, Key};

/// The one projection of peer groups.
pub(crate) const PROJECTION: EntityProjection<SubcloudPeerGroup> = EntityProjection::NEW;

/// Queries of peer groups.
pub type PeerGroups = Entities<SubcloudPeerGroup>;
/// A peer group, as its row says.
pub type PeerGroupRow = EntityRow<SubcloudPeerGroup>;

impl Entity for SubcloudPeerGroup {
    const MODEL: &'static str = "peer_groups";
    const COLUMNS: [(&'static str, &'static str); 2] = [("name", "text"), ("migrating", "bigint")];

    fn id(&self) -> i64 {
        self.id
    }

    fn keys(&self) -> [Key; 2] {
        [Key::Text(self.peer_group_name.clone()), Key::Number(self.migration.is_some().into())]
    }

    fn is_deleted(&self) -> bool {
        Listed::is_deleted(self)
    }

    fn imported(&self) -> Option<ImportedTimes> {
        self.imported
    }
}

impl PeerGroups {
    /// The peer group with this name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_name(&self, name: &str) -> Result<Option<PeerGroupRow>, sqlx::Error> {
        self.first("name", Key::Text(name.to_owned())).await
    }

    /// The peer groups whose migration has not ended, by id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn migrating(&self) -> Result<Vec<PeerGroupRow>, sqlx::Error> {
        self.found("migrating = 1", Vec::new()).await
    }
}
