//! The releases that may be asked for (subclouds.md V2).

use std::path::Path;

use dcm_domain::validate::Releases;

use crate::config::Controller;

/// The active release and the supported ones: from the configuration, else from the upgrades metadata. Supported
/// releases are `None` if neither says any, which makes every release but the active one an error to ask for.
pub fn releases(controller: &Controller) -> Releases {
    let from_metadata = || controller.upgrades_metadata.as_deref().and_then(read);
    Releases {
        active: controller.software_version.clone(),
        supported: controller.supported_releases.clone().or_else(from_metadata),
    }
}

/// The versions under `supported_upgrades/upgrade/version` of the root element.
fn read(path: &Path) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(path)
        .inspect_err(|error| tracing::warn!(%error, path = %path.display(), "no upgrades metadata"))
        .ok()?;
    let document = roxmltree::Document::parse(&text)
        .inspect_err(|error| tracing::warn!(%error, path = %path.display(), "unreadable upgrades metadata"))
        .ok()?;
    let child = |node: roxmltree::Node<'_, '_>, name: &'static str| {
        node.children()
            .filter(move |child| child.has_tag_name(name))
            .map(|child| child.id())
            .collect::<Vec<_>>()
    };
    let mut versions = Vec::new();
    for supported in child(document.root_element(), "supported_upgrades") {
        for upgrade in child(document.get_node(supported)?, "upgrade") {
            for version in child(document.get_node(upgrade)?, "version") {
                versions.extend(document.get_node(version)?.text().map(|text| text.trim().to_owned()));
            }
        }
    }
    Some(versions)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn reads_the_supported_releases_of_the_metadata() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "<build><version>24.09</version><supported_upgrades>
            <upgrade><version>21.12</version></upgrade><upgrade><version> 22.12 </version></upgrade>
            </supported_upgrades></build>";
        std::fs::write(&file, text).unwrap();
        let controller = Controller {
            supported_releases: None,
            upgrades_metadata: Some(file.path().to_owned()),
            ..Controller::default()
        };
        assert_eq!(releases(&controller).supported.unwrap(), ["21.12", "22.12"]);
        std::fs::write(&file, "<build").unwrap();
        assert_eq!(releases(&controller).supported, None);
    }
}
