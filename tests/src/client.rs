//! The Python with the libraries of the `dcmanager` command line.

use std::path::PathBuf;

use crate::tools::tool;

/// A Python in `.tools/` that has the libraries with which the `dcmanager` command line sends its requests. Panics when
/// it is not there.
pub fn client_python() -> PathBuf {
    tool("DCM_TEST_CLIENT_PYTHON", "client/bin/python3")
}
