//! Rehome the members of a peer group here.

use serde::Serialize;
use uuid::Uuid;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::peer_group::{
    MigrationMember, MigrationRequested, Rejection, SubcloudPeerGroup, SubcloudPeerGroupEvent, SystemLeader,
};

/// Begins the migration of a peer group (fleet.md §3.4, F13); each member's own run is requested after it. A second one
/// is refused until every run has ended.
#[derive(Clone, Debug, Serialize)]
pub struct RequestMigration {
    /// The new migration.
    pub run_id: Uuid,
    /// The members that are ready, each with its run.
    pub members: Vec<MigrationMember>,
    /// The system this controller is, if that is known.
    pub leader: Option<SystemLeader>,
}

impl Command<SubcloudPeerGroup> for RequestMigration {
    type Rejection = Rejection;
    const NAME: &'static str = "RequestMigration";

    fn decide(
        &self,
        state: Option<&SubcloudPeerGroup>,
        _: &Facts,
    ) -> Result<Vec<SubcloudPeerGroupEvent>, Rejection> {
        if existing(state)?.migration.is_some() {
            return Err(Rejection::MigrationUnderWay);
        }
        if self.members.is_empty() {
            return Err(Rejection::NothingToMigrate);
        }
        let Self { run_id, members, leader } = self.clone();
        Ok(vec![MigrationRequested { run_id, members, leader }.into()])
    }
}
