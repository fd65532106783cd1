//! Make sure the `Default` group exists.

use serde::Serialize;

use crate::aggregate::{Command, Facts};
use crate::group::{
    DEFAULT_GROUP_ID, DEFAULT_GROUP_NAME, SubcloudGroup, SubcloudGroupAdded, SubcloudGroupEvent,
};

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
            name: DEFAULT_GROUP_NAME.to_owned(),
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
