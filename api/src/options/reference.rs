//! Whose options a path means: the default's, or those of a subcloud by id or name (fleet.md §10).

use crate::subclouds::reference::{Given, Naming, Place, texts};

/// What stands for the default.
const DEFAULT: &str = "RegionOne";

/// Whether the default is meant.
pub fn is_default(text: &str) -> bool {
    texts(text, Place::Last).any(|text| text == DEFAULT)
}

/// The subcloud that is meant.
pub fn subcloud(text: &str) -> Given<'_> {
    Given::new(text, Place::Last, Naming::Names)
}
