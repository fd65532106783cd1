//! The state of a release's deploy files.

use std::collections::BTreeMap;

use super::{DeployFilesEvent, DeployOption, UploadedFile};
use crate::aggregate::{Aggregate, Unfoldable};

/// The deploy files of one release, as uploads left them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployFiles {
    /// The release.
    pub release: String,
    /// The newest file of each option.
    pub files: BTreeMap<DeployOption, UploadedFile>,
}

impl Aggregate for DeployFiles {
    type Event = DeployFilesEvent;

    const KIND: &'static str = "deploy-files";

    fn evolve(state: Option<Self>, event: &DeployFilesEvent) -> Result<Self, Unfoldable> {
        let DeployFilesEvent::DeployFilesUploaded(uploaded) = event;
        let mut state =
            state.unwrap_or_else(|| Self { release: uploaded.release.clone(), files: BTreeMap::new() });
        if state.release != uploaded.release {
            return Err(Unfoldable { aggregate: Self::KIND, event: format!("{event:?}") });
        }
        state.files.extend(uploaded.files.iter().map(|file| (file.option, file.clone())));
        Ok(state)
    }
}
