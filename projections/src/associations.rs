//! Read model `associations`: peer groups with the system peers that hold copies of them.

use dcm_domain::association::{PeerGroupAssociation, PeerGroupAssociationEvent, SYNCING};
use dcm_domain::key_directory::Listed;
use dcm_domain::subcloud::ImportedTimes;

use crate::entities::{Entities, Entity, EntityProjection, EntityRow, Key};

/// The one projection of associations.
pub(crate) const PROJECTION: EntityProjection<PeerGroupAssociation> = EntityProjection::NEW;

/// Queries of associations.
pub type Associations = Entities<PeerGroupAssociation>;
/// An association, as its row says.
pub type AssociationRow = EntityRow<PeerGroupAssociation>;

impl Entity for PeerGroupAssociation {
    const MODEL: &'static str = "associations";
    const COLUMNS: [(&'static str, &'static str); 2] =
        [("peer_group_id", "bigint"), ("system_peer_id", "bigint")];

    fn id(&self) -> i64 {
        self.id
    }

    fn keys(&self) -> [Key; 2] {
        [Key::Number(self.peer_group_id), Key::Number(self.system_peer_id)]
    }

    fn is_deleted(&self) -> bool {
        Listed::is_deleted(self)
    }

    fn imported(&self) -> Option<ImportedTimes> {
        self.imported
    }

    fn changes_row(event: &PeerGroupAssociationEvent, revision: u64) -> bool {
        !PeerGroupAssociation::is_part_of_creation(event, revision)
    }
}

impl Associations {
    /// The association of this pair.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_pair(
        &self,
        peer_group_id: i64,
        system_peer_id: i64,
    ) -> Result<Option<AssociationRow>, sqlx::Error> {
        let keys = vec![Key::Number(peer_group_id), Key::Number(system_peer_id)];
        Ok(self.found("peer_group_id = $1 and system_peer_id = $2", keys).await?.into_iter().next())
    }

    /// The associations of a system peer, by id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn of_peer(&self, system_peer_id: i64) -> Result<Vec<AssociationRow>, sqlx::Error> {
        self.found("system_peer_id = $1", vec![Key::Number(system_peer_id)]).await
    }

    /// The associations whose synchronisation has not ended, by id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn syncing(&self) -> Result<Vec<AssociationRow>, sqlx::Error> {
        let all = self.all().await?;
        Ok(all.into_iter().filter(|row| row.state.sync_status == SYNCING).collect())
    }
}
