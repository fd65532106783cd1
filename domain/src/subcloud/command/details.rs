//! What can be changed beside the axes: texts, group, install and rehome data.

use serde::Serialize;

use crate::subcloud::{
    Document, GroupMoved, InstallDataUpdated, PeerGroupChanged, RehomeDataUpdated, Subcloud,
    SubcloudDescribed, SubcloudEvent,
};

/// Changes that go with any update of a subcloud; an absent field stays as it is (subclouds.md §6.4).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Details {
    /// New description; an empty text is a text.
    pub description: Option<String>,
    /// New location.
    pub location: Option<String>,
    /// Id of the new group, which exists.
    pub group_id: Option<i64>,
    /// The peer group it belongs to from now on, which exists.
    pub peer_group: Option<PeerGroupMembership>,
    /// New install values.
    pub install: Option<Document>,
    /// New rehome data.
    pub rehome: Option<Document>,
}

/// What becomes of a subcloud's membership in peer groups (subclouds.md §6.4, `peer_group`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerGroupMembership {
    /// It belongs to none.
    None,
    /// It belongs to the one with this id.
    Of(i64),
}

impl Details {
    /// The events for what really changes.
    pub(super) fn events(&self, state: &Subcloud) -> Vec<SubcloudEvent> {
        let mut events = Vec::new();
        let described = SubcloudDescribed {
            description: changed(&state.description, &self.description),
            location: changed(&state.location, &self.location),
        };
        if described.description.is_some() || described.location.is_some() {
            events.push(described.into());
        }
        if let Some(to) = self.group_id.filter(|to| *to != state.group_id) {
            events.push(GroupMoved { from: state.group_id, to }.into());
        }
        if let Some(membership) = self.peer_group {
            let to = match membership {
                PeerGroupMembership::None => None,
                PeerGroupMembership::Of(id) => Some(id),
            };
            if to != state.peer_group_id {
                events.push(PeerGroupChanged { from: state.peer_group_id, to }.into());
            }
        }
        if let Some(install) = newer(&state.install, &self.install) {
            events.push(InstallDataUpdated { install }.into());
        }
        if let Some(rehome) = newer(&state.rehome, &self.rehome) {
            events.push(RehomeDataUpdated { rehome }.into());
        }
        events
    }
}

fn changed(held: &Option<String>, given: &Option<String>) -> Option<String> {
    given.clone().filter(|given| held.as_ref() != Some(given))
}

/// The document given, unless its digest says that it is the one held.
pub(super) fn newer(held: &Option<Document>, given: &Option<Document>) -> Option<Document> {
    given.clone().filter(|given| held.as_ref().is_none_or(|held| held.digest != given.digest))
}
