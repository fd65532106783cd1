//! Read model `system_peers`: other controllers.

use dcm_domain::key_directory::Listed;
use dcm_domain::subcloud::ImportedTimes;
use dcm_domain::system_peer::SystemPeer;

use crate::entities::{Entities, Entity, EntityProjection, EntityRow, Key};

/// The one projection of system peers.
pub(crate) const PROJECTION: EntityProjection<SystemPeer> = EntityProjection::NEW;

/// Queries of system peers.
pub type SystemPeers = Entities<SystemPeer>;
/// A system peer, as its row says.
pub type SystemPeerRow = EntityRow<SystemPeer>;

impl Entity for SystemPeer {
    const MODEL: &'static str = "system_peers";
    const COLUMNS: [(&'static str, &'static str); 2] = [("name", "text"), ("peer_uuid", "text")];

    fn id(&self) -> i64 {
        self.id
    }

    fn keys(&self) -> [Key; 2] {
        [Key::Text(self.peer_name.clone()), Key::Text(self.peer_uuid.clone())]
    }

    fn is_deleted(&self) -> bool {
        Listed::is_deleted(self)
    }

    fn imported(&self) -> Option<ImportedTimes> {
        self.imported
    }
}

impl SystemPeers {
    /// The peer with this name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_name(&self, name: &str) -> Result<Option<SystemPeerRow>, sqlx::Error> {
        self.first("name", Key::Text(name.to_owned())).await
    }

    /// The peer whose UUID is stored as this text.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_peer_uuid(&self, text: &str) -> Result<Option<SystemPeerRow>, sqlx::Error> {
        self.first("peer_uuid", Key::Text(text.to_owned())).await
    }
}
