//! Passwords and uploaded documents of one command: into the vault before the event, out again if there is none.

use dcm_domain::subcloud::{Document, Subcloud};
use dcm_domain::validate::{HIDDEN, INSTALL_VALUES, Map, PAYLOAD, masked};
use dcm_domain::value::{Secret, SecretRef};
use dcm_journal::fleet::FleetError;
use dcm_journal::repository::Done;
use dcm_journal::vault::{Vault, VaultError};
use serde_json::Value;
use uuid::Uuid;

use crate::error_map::defect;
use crate::transport::ApiError;

/// Most bytes that are shown of one document. An event carries them for each of its documents, and once more with its
/// command: together they must stay well below the megabyte that NATS takes in one message.
const MOST_SHOWN: usize = 64 * 1024;

/// The vault entries that one command writes for one subcloud.
///
/// A request that is dropped between entry and event leaves an entry that nothing refers to; the sweep removes it.
pub struct Documents<'a> {
    vault: &'a dyn Vault,
    owner: Uuid,
    written: Vec<SecretRef>,
}

/// Why a stored document cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The vault gave no answer.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// It is not what this program writes. Says nothing about the text.
    #[error("the stored document {0} cannot be read")]
    Unreadable(SecretRef),
    /// What is shown of it would not fit into an event.
    #[error("what is shown of {0} is larger than {MOST_SHOWN} bytes")]
    TooLarge(String),
    /// A document cannot be written as JSON.
    #[error("the document cannot be written")]
    Unwritable,
}

impl From<DocumentError> for ApiError {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::Vault(cause) => cause.into(),
            DocumentError::TooLarge(_) => Self::too_large(error.to_string()),
            _ => defect("a document could not be kept or read", &error),
        }
    }
}

impl<'a> Documents<'a> {
    /// No entries yet, for the subcloud `owner`.
    pub fn new(vault: &'a dyn Vault, owner: Uuid) -> Self {
        Self { vault, owner, written: Vec::new() }
    }

    /// Keeps the administrator password of a run.
    ///
    /// # Errors
    /// [`DocumentError::Vault`].
    pub async fn password(&mut self, password: Secret) -> Result<SecretRef, DocumentError> {
        self.put("sysadmin_password", password).await
    }

    /// Keeps install values, `bmc_password` included; those of subclouds.md V5 are shown.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub async fn install_values(&mut self, values: Map) -> Result<Document, DocumentError> {
        self.mapping("install_values", values, &INSTALL_VALUES).await
    }

    /// Keeps a bootstrap payload; the keys of subclouds.md V1 are shown.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub async fn bootstrap_values(&mut self, payload: Map) -> Result<Document, DocumentError> {
        self.mapping("bootstrap_values", payload, &PAYLOAD).await
    }

    /// Keeps the `saved_payload` of rehome data; the keys of subclouds.md V1 are shown.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub async fn rehome_data(&mut self, payload: Map) -> Result<Document, DocumentError> {
        self.mapping("rehome_data", payload, &PAYLOAD).await
    }

    /// Keeps a deployment manager configuration; nothing of it is shown, for it is not parsed (subclouds.md V10).
    ///
    /// # Errors
    /// [`DocumentError`].
    pub async fn deploy_config(&mut self, text: Secret) -> Result<Document, DocumentError> {
        self.keep("deploy_config", text, Value::String(HIDDEN.to_owned())).await
    }

    /// Keeps further values of a backup or restore playbook; nothing of them is shown.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub async fn playbook_values(&mut self, purpose: &str, values: Map) -> Result<Document, DocumentError> {
        self.mapping(purpose, values, &[]).await
    }

    /// The stored mapping behind `document`; `None` if an old row had something else in its place, which is as good
    /// as nothing.
    ///
    /// # Errors
    /// [`DocumentError::Vault`], or [`DocumentError::Unreadable`] if a mapping is shown and none is stored.
    pub async fn read(&self, document: &Document) -> Result<Option<Map>, DocumentError> {
        let text = self.vault.get(&document.secret, self.owner).await?;
        match serde_json::from_str(text.expose()) {
            Ok(mapping) => Ok(Some(mapping)),
            Err(_) if !document.shown.is_object() => Ok(None),
            Err(_) => Err(DocumentError::Unreadable(document.secret)),
        }
    }

    /// Takes the outcome of the command the entries were written for. Carried out, it keeps what the subcloud refers
    /// to (a document that was there already is not kept twice); refused, it keeps nothing. If the outcome is not
    /// known, the sweep decides later.
    ///
    /// # Errors
    /// That of the command.
    pub async fn settle(
        self,
        outcome: Result<Done<Subcloud>, FleetError>,
    ) -> Result<Done<Subcloud>, ApiError> {
        match &outcome {
            Ok(done) => {
                let state = done.loaded.state.as_deref();
                let used: Vec<_> = state.into_iter().flat_map(Subcloud::secrets).collect();
                self.remove(|entry| !used.contains(&entry)).await;
            }
            Err(FleetError::Unavailable(_)) => {}
            Err(_) => self.discard().await,
        }
        outcome.map_err(ApiError::from)
    }

    /// Removes the entries: there will be no event that refers to them.
    pub async fn discard(self) {
        self.remove(|_| true).await;
    }

    async fn remove(self, unused: impl Fn(SecretRef) -> bool) {
        for entry in self.written.into_iter().filter(|entry| unused(*entry)) {
            if let Err(error) = self.vault.delete(&entry).await {
                tracing::warn!(%entry, %error, "an unused vault entry is left to the sweep");
            }
        }
    }

    async fn mapping(
        &mut self,
        purpose: &str,
        values: Map,
        shown: &[&str],
    ) -> Result<Document, DocumentError> {
        let mut values = Value::Object(values);
        // In one order, so that the same values have the same digest however they came together.
        values.sort_all_objects();
        let shown = masked(&values, shown);
        if shown.to_string().len() > MOST_SHOWN {
            return Err(DocumentError::TooLarge(purpose.to_owned()));
        }
        let text = serde_json::to_string(&values).map_err(|_| DocumentError::Unwritable)?;
        self.keep(purpose, Secret::new(text), shown).await
    }

    async fn keep(&mut self, purpose: &str, text: Secret, shown: Value) -> Result<Document, DocumentError> {
        let digest = self.vault.digest(self.owner, text.expose().as_bytes());
        let secret = self.put(purpose, text).await?;
        Ok(Document { secret, digest, shown })
    }

    async fn put(&mut self, purpose: &str, secret: Secret) -> Result<SecretRef, DocumentError> {
        let entry = self.vault.put(self.owner, purpose, secret).await?;
        self.written.push(entry);
        Ok(entry)
    }
}
