//! The real oslo.policy.

use std::path::PathBuf;

use crate::tools::tool;

/// Path of a Python that has oslo.policy: `DCM_TEST_OSLO_POLICY`, else the one in `.tools/`. Panics when there is none.
pub fn oslo_policy_python() -> PathBuf {
    tool("DCM_TEST_OSLO_POLICY", "oslo-policy/bin/python3")
}
