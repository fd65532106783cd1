//! What a deploy file is for, which go together, and how they may be called.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a deploy file is for (subclouds.md §8.1); the order is that of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DeployOption {
    /// The deployment manager's playbook.
    #[serde(rename = "deploy_playbook")]
    Playbook,
    /// Its overrides.
    #[serde(rename = "deploy_overrides")]
    Overrides,
    /// Its chart.
    #[serde(rename = "deploy_chart")]
    Chart,
    /// The list of images to prestage.
    #[serde(rename = "prestage_images")]
    PrestageImages,
}

impl DeployOption {
    /// Every option.
    pub const ALL: [Self; 4] = [Self::Playbook, Self::Overrides, Self::Chart, Self::PrestageImages];

    /// The name of its form field, and what its files' names begin with, before an underscore.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Playbook => "deploy_playbook",
            Self::Overrides => "deploy_overrides",
            Self::Chart => "deploy_chart",
            Self::PrestageImages => "prestage_images",
        }
    }

    /// The option of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|option| option.as_str() == text)
    }
}

/// What is missing from files sent together: nothing if they are the three of the deployment manager, with or without
/// the list of images, or that list alone (subclouds.md §8.1).
pub fn missing_options(sent: &[DeployOption]) -> Vec<DeployOption> {
    if sent == [DeployOption::PrestageImages] {
        return Vec::new();
    }
    let three = [DeployOption::Playbook, DeployOption::Overrides, DeployOption::Chart];
    three.into_iter().filter(|option| !sent.contains(option)).collect()
}

/// A file name that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its name must be 1 to {LONGEST} letters, digits, blanks and any of {MARKS}")]
pub struct InvalidFileName;

/// With the option in front it still fits into the 255 bytes that file systems take.
const LONGEST: usize = 200;
/// What names may hold beside letters, digits and blanks: nothing that a shell, YAML or a template takes for its own.
const MARKS: &str = "._-+~@=,()";

/// The name without its directories, as the file is stored: clients send the whole path as typed (subclouds.md §8.1).
///
/// # Errors
/// [`InvalidFileName`] for a name that is empty, too long, `.`, `..`, or holds anything odd.
pub fn file_name(sent: &str) -> Result<&str, InvalidFileName> {
    let name = sent.rsplit('/').next().unwrap_or_default();
    let harmless = |c: char| c.is_alphanumeric() || c == ' ' || MARKS.contains(c);
    let fits = (1..=LONGEST).contains(&name.len()) && name.chars().all(harmless);
    if fits && name != "." && name != ".." { Ok(name) } else { Err(InvalidFileName) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeployOption::{Chart, Overrides, Playbook, PrestageImages};

    #[test]
    fn sc_302_to_307_314_which_files_go_together() {
        let nothing: &[DeployOption] = &[];
        for (sent, missing) in [
            (&[Playbook, Overrides, Chart][..], nothing),
            (&[Playbook, Overrides, Chart, PrestageImages], nothing),
            (&[PrestageImages], nothing),
            (&[Playbook, Overrides, PrestageImages], &[Chart]),
            (&[Playbook, Overrides], &[Chart]),
            (&[Chart, PrestageImages], &[Playbook, Overrides]),
            (nothing, &[Playbook, Overrides, Chart]),
        ] {
            assert_eq!(missing_options(sent), missing, "{sent:?}");
        }
    }

    #[test]
    fn a_name_is_the_last_part_of_the_path_as_typed() {
        for (sent, name) in [
            ("/home/user/a b.yaml", "a b.yaml"),
            ("../chart-1.0+x.tgz", "chart-1.0+x.tgz"),
            ("größe.yml", "größe.yml"),
            ("/etc/../.hidden", ".hidden"),
        ] {
            assert_eq!(file_name(sent), Ok(name));
        }
        let long = "x".repeat(201);
        for odd in
            ["", "/", "a/", ".", "a/..", "a\\b", "a\nb", "{{x}}", "a'b", "$(x)", "a\0", "a;b", "a%b", &long]
        {
            assert_eq!(file_name(odd), Err(InvalidFileName), "{odd:?}");
        }
    }

    #[test]
    fn options_are_read_back() {
        for option in DeployOption::ALL {
            assert_eq!(DeployOption::parse(option.as_str()), Some(option));
            assert_eq!(serde_json::json!(option), serde_json::json!(option.as_str()));
        }
        assert_eq!(DeployOption::parse("release"), None);
    }
}
