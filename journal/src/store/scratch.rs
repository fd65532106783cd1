//! Journals for trying a store out, beside the product's and unseen by it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::{Journal, OpenError, esdb, postgres, sqlite};

/// An empty journal in the store of another: a directory beside the embedded file, a schema of the same database, or
/// streams whose names no product read asks for.
pub struct Scratch(Kind);

enum Kind {
    Embedded { directory: PathBuf },
    Postgres { url: String, schema: String },
    Esdb { url: String, name: String, origin: u64 },
}

impl Scratch {
    /// A place in the store at `url`, as [`open`](super::open) takes it.
    ///
    /// # Errors
    /// [`OpenError`] if the store cannot be used.
    pub async fn create(url: &str, data_dir: &Path) -> Result<Self, OpenError> {
        let name = format!("dcmscratch_{}", Uuid::new_v4().simple());
        Ok(Self(match url.split_once(':') {
            Some(("embedded", "")) => Kind::Embedded { directory: data_dir.join(name) },
            Some(("postgres" | "postgresql", _)) => {
                postgres::create_schema(url, &name).await?;
                Kind::Postgres { url: url.to_owned(), schema: name }
            }
            Some(("esdb" | "esdb+discover", _)) => {
                let (name, origin) = esdb::create_scratch(url).await?;
                Kind::Esdb { url: url.to_owned(), name, origin }
            }
            _ => return Err(OpenError::Url),
        }))
    }

    /// Opens the journal there; every time another adapter on the same one.
    ///
    /// # Errors
    /// [`OpenError`] if the store cannot be used.
    pub async fn open(&self) -> Result<Arc<dyn Journal>, OpenError> {
        match &self.0 {
            Kind::Embedded { directory } => sqlite::open(directory).await,
            Kind::Postgres { url, schema } => postgres::open_in(url, Some(schema)).await,
            Kind::Esdb { url, name, origin } => esdb::open_scratch(url, name, *origin).await,
        }
    }

    /// Removes everything that was written there. Drop the journals first.
    ///
    /// # Errors
    /// [`OpenError`] if the store cannot be used.
    pub async fn remove(self) -> Result<(), OpenError> {
        match self.0 {
            Kind::Embedded { directory } => {
                let removed = tokio::fs::remove_dir_all(&directory).await;
                removed.or_else(|cause| match cause.kind() {
                    std::io::ErrorKind::NotFound => Ok(()),
                    _ => Err(OpenError::NotCreated { path: directory.display().to_string(), cause }),
                })
            }
            Kind::Postgres { url, schema } => postgres::drop_schema(&url, &schema).await,
            Kind::Esdb { url, name, origin } => esdb::remove_scratch(&url, &name, origin).await,
        }
    }
}
