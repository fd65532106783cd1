//! How callers are identified, by the configuration.

use std::sync::Arc;

use dcm_api::transport::{Authentication, Keystone};

use crate::commands::Failure;
use crate::config::{Auth, Config};

/// The mode of authentication that is configured. Reads the files that it names.
///
/// # Errors
/// [`Failure::Start`] if something for it is missing or cannot be used.
pub fn of(config: &Config) -> Result<Authentication, Failure> {
    match config.auth {
        Auth::None => Ok(Authentication::None),
        Auth::Headers => Ok(Authentication::Headers),
        Auth::Keystone => {
            let settings =
                config.keystone.settings().map_err(|finding| Failure::Refused(finding.to_string()))?;
            let keystone = Keystone::new(settings).map_err(|error| Failure::start("keystone", error))?;
            Ok(Authentication::Keystone(Arc::new(keystone)))
        }
    }
}

/// Says aloud what a mode believes without asking.
pub fn warn(config: &Config) {
    match config.auth {
        Auth::None => {
            tracing::warn!("no authentication: every caller is an administrator named `anonymous`");
        }
        Auth::Headers => {
            tracing::warn!(
                "the headers of a request say who it is from: only a trusted proxy may reach this port"
            );
        }
        Auth::Keystone => {}
    }
}
