//! What a run works with: its subcloud's documents and password, out of the vault.

use std::time::Duration;

use base64::Engine as _;
use dcm_domain::subcloud::{Document, Run, Subcloud};
use dcm_domain::value::{Secret, SecretRef};
use dcm_journal::vault::{Vault, VaultError};
use serde_json::{Map, Value};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::kept::secrets_of;
use crate::playbook::{Redactor, RunError};

/// How long a vault that is away is waited for, and how often it is asked.
const VAULT_PATIENCE: Duration = Duration::from_secs(60);
const VAULT_PAUSE: Duration = Duration::from_secs(1);

/// Why a phase cannot be prepared. Never shows what a document says.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unprepared {
    #[error("{0} cannot be read from the vault: {1}")]
    Vault(&'static str, VaultError),
    #[error("{0} are not what this program writes")]
    Unreadable(&'static str),
    #[error("{0}")]
    Missing(&'static str),
    #[error("{field} holds characters that cannot be given to a playbook")]
    Unusable { field: &'static str },
    #[error("playbook not found: {0}")]
    NoPlaybook(String),
    #[error("{what} cannot be written: {cause}")]
    Unwritable { what: &'static str, cause: std::io::Error },
    #[error(transparent)]
    Supervisor(RunError),
}

impl Unprepared {
    pub(super) fn writing(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |cause| Self::Unwritable { what, cause }
    }
}

/// A subcloud's documents and the password of its run. Nothing in it may outlive a phase.
#[derive(Default)]
pub(super) struct Materials {
    pub install: Option<Map<String, Value>>,
    pub bootstrap: Option<Map<String, Value>>,
    pub deploy_config: Option<Secret>,
    pub sysadmin_password: Option<Secret>,
}

impl Materials {
    /// Reads all of them; a vault that is away is waited for.
    pub(super) async fn read(
        vault: &dyn Vault,
        owner: Uuid,
        subcloud: &Subcloud,
        run: &Run,
    ) -> Result<Self, Unprepared> {
        let reading = Reading { vault, owner };
        let deploy_config = match &subcloud.deploy_config {
            Some(document) => Some(reading.get("the deploy config", document.secret).await?),
            None => None,
        };
        let sysadmin_password = match run.inputs.sysadmin_password {
            Some(entry) => Some(reading.get("the sysadmin password", entry).await?),
            None => None,
        };
        Ok(Self {
            install: reading.mapping("the install values", &subcloud.install).await?,
            bootstrap: reading.mapping("the bootstrap values", &subcloud.bootstrap).await?,
            deploy_config,
            sysadmin_password,
        })
    }

    /// Takes every secret in them out of a text.
    pub(super) fn redactor(&self) -> Redactor {
        let install = self.install.clone().map(Value::Object);
        let bootstrap = self.bootstrap.clone().map(Value::Object);
        let config = self.deploy_config.as_ref().map(|text| documents(text.expose())).unwrap_or_default();
        let mut found: Vec<&str> = Vec::new();
        for document in install.iter().chain(&bootstrap).chain(&config) {
            secrets_of(document, &mut found);
        }
        found.extend(self.sysadmin_password.as_ref().map(Secret::expose));
        // Passwords are sent, and some are kept, in base64.
        let decoded: Vec<Zeroizing<String>> = found.iter().filter_map(|text| decoded(text)).collect();
        Redactor::new(found.into_iter().chain(decoded.iter().map(|text| text.as_str())))
    }

    /// The password of the subcloud's administrator.
    pub(super) fn password(&self) -> Result<&str, Unprepared> {
        let password =
            self.sysadmin_password.as_ref().ok_or(Unprepared::Missing("no sysadmin password was given"))?;
        Ok(password.expose())
    }
}

/// The documents of a YAML stream; none if it cannot be read.
pub(super) fn documents(text: &str) -> Vec<Value> {
    use serde::Deserialize;

    serde_yaml_ng::Deserializer::from_str(text)
        .map(Value::deserialize)
        .collect::<Result<_, _>>()
        .unwrap_or_default()
}

/// What a text says in base64, if it says printable text of some length.
fn decoded(text: &str) -> Option<Zeroizing<String>> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?;
    let decoded = Zeroizing::new(String::from_utf8(bytes).ok()?);
    let readable = decoded.chars().count() >= 4 && !decoded.chars().any(char::is_control);
    readable.then_some(decoded)
}

struct Reading<'a> {
    vault: &'a dyn Vault,
    owner: Uuid,
}

impl Reading<'_> {
    async fn mapping(
        &self,
        what: &'static str,
        document: &Option<Document>,
    ) -> Result<Option<Map<String, Value>>, Unprepared> {
        let Some(document) = document else { return Ok(None) };
        let text = self.get(what, document.secret).await?;
        match serde_json::from_str(text.expose()) {
            Ok(mapping) => Ok(Some(mapping)),
            // The text of a row that was taken over, which was no mapping there either.
            Err(_) if !document.shown.is_object() => Ok(None),
            Err(_) => Err(Unprepared::Unreadable(what)),
        }
    }

    async fn get(&self, what: &'static str, entry: SecretRef) -> Result<Secret, Unprepared> {
        let patience = tokio::time::Instant::now() + VAULT_PATIENCE;
        loop {
            match self.vault.get(&entry, self.owner).await {
                Err(VaultError::Unavailable(_)) if tokio::time::Instant::now() < patience => {
                    tokio::time::sleep(VAULT_PAUSE).await;
                }
                outcome => return outcome.map_err(|error| Unprepared::Vault(what, error)),
            }
        }
    }
}
