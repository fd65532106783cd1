//! A subcloud group. One exists always: `Default`, id 1 (subclouds.md §2.2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::aggregate::{Aggregate, Command, Facts, Unfoldable};

/// Id of the group that exists always.
pub const DEFAULT_GROUP_ID: i64 = 1;

/// Uuid of the group that exists always, the same in every installation.
pub const DEFAULT_GROUP: Uuid = Uuid::from_u128(0x6463_6d00_0000_8000_8000_0000_0000_0001);

/// An event of a group's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum SubcloudGroupEvent {
    /// A group was added.
    SubcloudGroupAdded(SubcloudGroupAdded),
}

/// A group was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubcloudGroupAdded {
    /// The small integer the contract shows.
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// `parallel` or `serial`.
    pub update_apply_type: String,
    /// How many members are worked on at once.
    pub max_parallel_subclouds: u32,
}

/// A subcloud group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubcloudGroup {
    /// What it was added as.
    pub added: SubcloudGroupAdded,
}

impl Aggregate for SubcloudGroup {
    type Event = SubcloudGroupEvent;

    const KIND: &'static str = "subcloud-group";

    fn evolve(state: Option<Self>, event: &SubcloudGroupEvent) -> Result<Self, Unfoldable> {
        let SubcloudGroupEvent::SubcloudGroupAdded(added) = event;
        match state {
            None => Ok(Self { added: added.clone() }),
            Some(_) => Err(Unfoldable { aggregate: Self::KIND, event: "SubcloudGroupAdded".to_owned() }),
        }
    }
}

/// Makes sure the `Default` group exists.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct EnsureDefaultGroup;

impl Command<SubcloudGroup> for EnsureDefaultGroup {
    type Rejection = std::convert::Infallible;
    const NAME: &'static str = "EnsureDefaultGroup";

    fn decide(
        &self,
        state: Option<&SubcloudGroup>,
        _: &Facts,
    ) -> Result<Vec<SubcloudGroupEvent>, Self::Rejection> {
        let added = SubcloudGroupAdded {
            id: DEFAULT_GROUP_ID,
            name: "Default".to_owned(),
            description: "Default Subcloud Group".to_owned(),
            update_apply_type: "parallel".to_owned(),
            max_parallel_subclouds: 2,
        };
        Ok(match state {
            None => vec![SubcloudGroupEvent::SubcloudGroupAdded(added)],
            Some(_) => Vec::new(),
        })
    }
}
