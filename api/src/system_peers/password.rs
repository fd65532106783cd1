//! The password with which a peer is logged in to: into the vault before the event, out again if there is none.

use dcm_domain::system_peer::check_password;
use dcm_domain::value::{Secret, SecretRef};
use dcm_journal::collection::CollectionError;
use dcm_journal::vault::VaultError;
use uuid::Uuid;

use crate::app::App;
use crate::transport::ApiError;

/// What the vault says the entry is.
const PURPOSE: &str = "manager_password";

/// Keeps the password of the peer `owner`, as it was sent.
///
/// # Errors
/// 400 if it is no password; 503 if the vault is not available.
pub async fn keep(app: &App, owner: Uuid, password: &str) -> Result<SecretRef, ApiError> {
    check_password(password)?;
    Ok(app.vault().put(owner, PURPOSE, Secret::new(password.to_owned())).await?)
}

/// Whether the `entry` of the peer `owner`, if it has one, holds just this password.
///
/// # Errors
/// 503 if the vault is not available.
pub async fn is_kept(
    app: &App,
    owner: Uuid,
    entry: Option<SecretRef>,
    password: &str,
) -> Result<bool, ApiError> {
    let Some(entry) = entry else { return Ok(false) };
    match app.vault().get(&entry, owner).await {
        Ok(kept) => Ok(kept.expose() == password),
        Err(error @ VaultError::Unavailable(_)) => Err(error.into()),
        // What is gone, or cannot be opened any more, is to be replaced.
        Err(_) => Ok(false),
    }
}

/// Removes an entry that no event refers to, or none any more; what cannot be removed now is left to the sweep.
pub async fn discard(app: &App, entry: SecretRef) {
    if let Err(error) = app.vault().delete(&entry).await {
        tracing::warn!(%entry, %error, "an unused vault entry is left to the sweep");
    }
}

/// Removes the entry if the command it was written for was refused; if the outcome is not known, the sweep decides.
pub async fn settle<T, R: std::error::Error>(
    app: &App,
    entry: Option<SecretRef>,
    outcome: Result<T, CollectionError<R>>,
) -> Result<T, CollectionError<R>> {
    if let (Some(entry), Err(error)) = (entry, &outcome)
        && !matches!(error, CollectionError::Unavailable(_))
    {
        discard(app, entry).await;
    }
    outcome
}
