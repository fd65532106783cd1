//! Record an upload.

use std::convert::Infallible;

use serde::Serialize;

use super::{DeployFiles, DeployFilesEvent, DeployFilesUploaded, UploadedFile};
use crate::aggregate::{Command, Facts};

/// Records that files were uploaded for a release (subclouds.md §8.1, E25). What was uploaded again is recorded again:
/// it says who put the file there last.
#[derive(Clone, Debug, Serialize)]
pub struct RecordUpload {
    /// The release.
    pub release: String,
    /// The files; at least one.
    pub files: Vec<UploadedFile>,
}

impl Command<DeployFiles> for RecordUpload {
    type Rejection = Infallible;
    const NAME: &'static str = "RecordUpload";

    fn decide(&self, _: Option<&DeployFiles>, _: &Facts) -> Result<Vec<DeployFilesEvent>, Infallible> {
        let Self { release, files } = self.clone();
        Ok(vec![DeployFilesEvent::DeployFilesUploaded(DeployFilesUploaded { release, files })])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::DeployOption;
    use super::*;
    use crate::aggregate::Aggregate;
    use crate::value::Timestamp;

    fn file(option: DeployOption, filename: &str) -> UploadedFile {
        UploadedFile { option, filename: filename.to_owned(), sha256: "00".repeat(32), bytes: 1 }
    }

    fn upload(state: Option<DeployFiles>, release: &str, files: Vec<UploadedFile>) -> Option<DeployFiles> {
        let facts = Facts { now: Timestamp::from_micros(0) };
        let events = RecordUpload { release: release.to_owned(), files }.decide(state.as_ref(), &facts);
        events
            .unwrap()
            .iter()
            .try_fold(state, |state, event| DeployFiles::evolve(state, event).map(Some))
            .unwrap()
    }

    #[test]
    fn sc_313_the_newest_file_of_an_option_counts() {
        use DeployOption as O;
        let first = upload(None, "22.12", vec![file(O::Playbook, "a.yaml"), file(O::Chart, "a.tgz")]);
        let second = upload(first, "22.12", vec![file(O::Playbook, "b.yaml")]).unwrap();
        let names: Vec<_> = second.files.values().map(|file| file.filename.as_str()).collect();
        assert_eq!(names, ["b.yaml", "a.tgz"]);
    }

    #[test]
    fn an_event_of_another_release_cannot_follow() {
        let state = upload(None, "22.12", vec![]);
        let other = DeployFilesUploaded { release: "21.12".to_owned(), files: Vec::new() };
        assert!(DeployFiles::evolve(state, &DeployFilesEvent::DeployFilesUploaded(other)).is_err());
    }
}
