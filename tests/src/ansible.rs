//! The real `ansible-playbook`.

use std::path::PathBuf;

use crate::tools::tool;

/// Path of `ansible-playbook`: `DCM_TEST_ANSIBLE`, else the one in `.tools/`. Panics when there is none.
pub fn ansible_playbook() -> PathBuf {
    tool("DCM_TEST_ANSIBLE", "ansible/bin/ansible-playbook")
}
