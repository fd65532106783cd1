//! Python tools that read the OpenAPI document.

use std::path::PathBuf;

use crate::tools::tool;

/// A program of the OpenAPI tools in `.tools/`: `schemathesis`, `openapi-python-client` or their `python3`. Panics when
/// it is not there.
pub fn openapi_tool(program: &str) -> PathBuf {
    tool(&format!("DCM_TEST_{}", program.to_uppercase().replace('-', "_")), &format!("openapi/bin/{program}"))
}
