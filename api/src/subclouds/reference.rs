//! Which subcloud a path means (subclouds.md §4).

use std::sync::Arc;

use axum::extract::FromRequestParts;
use bytes::Bytes;
use dcm_domain::subcloud::Subcloud;
use dcm_domain::value::{Name, Region};
use dcm_journal::fleet::Reference;
use dcm_projections::{Key as ShownKey, One, SubcloudRow};
use http::header::USER_AGENT;
use http::request::Parts;
use uuid::Uuid;

use crate::app::App;
use crate::transport::{ApiError, alternatives};

/// Who asks, as its `User-Agent` says. An extractor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// `cert-mon/1.0`, the certificate monitor.
    CertMon,
    /// `dcmanager/1.0`, another controller.
    Peer,
    /// Anyone else.
    Other,
}

impl<S: Sync> FromRequestParts<S> for Agent {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(match parts.headers.get(USER_AGENT).map(|value| value.as_bytes()) {
            Some(b"cert-mon/1.0") => Self::CertMon,
            Some(b"dcmanager/1.0") => Self::Peer,
            _ => Self::Other,
        })
    }
}

/// What a text that is no id means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// A name: E14, E16–E21, and everything for ordinary clients.
    Names,
    /// A region: E3, E4, E6–E13 for the certificate monitor and other controllers.
    Regions,
}

impl From<Agent> for Naming {
    fn from(agent: Agent) -> Self {
        match agent {
            Agent::CertMon | Agent::Peer => Self::Regions,
            Agent::Other => Self::Names,
        }
    }
}

/// Where in its path a reference stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the end: it is taken literally first, then without `.json` (decisions.md, "Path suffixes").
    Last,
    /// Before a verb: it is taken literally.
    BeforeVerb,
}

/// A reference as a path has it.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    text: &'a str,
    place: Place,
    naming: Naming,
}

enum Key<'a> {
    Id(i64),
    Name(&'a str),
    Region(&'a str),
}

impl From<Key<'_>> for ShownKey {
    fn from(key: Key<'_>) -> Self {
        match key {
            Key::Id(id) => Self::Id(id),
            Key::Name(name) => Self::Name(name.to_owned()),
            Key::Region(region) => Self::Region(region.to_owned()),
        }
    }
}

impl<'a> Given<'a> {
    /// The reference `text` at `place` of a path, of a client that uses `naming`.
    pub fn new(text: &'a str, place: Place, naming: impl Into<Naming>) -> Self {
        Self { text, place, naming: naming.into() }
    }

    /// The subcloud's row, for reads.
    ///
    /// # Errors
    /// 404 `Subcloud not found`; 503 if the read models are not available.
    pub async fn row(self, app: &App) -> Result<SubcloudRow, ApiError> {
        self.find_row(app).await?.ok_or_else(not_found)
    }

    /// The subcloud as E3 shows it, and where the read model was.
    ///
    /// # Errors
    /// 404 `Subcloud not found`; 503 if the read models are not available.
    pub(super) async fn shown(self, app: &App) -> Result<(Bytes, One), ApiError> {
        for key in self.keys() {
            let mut one = app.shown().get(&key.into()).await?;
            if let Some(body) = one.body.take() {
                return Ok((body, one));
            }
        }
        Err(not_found())
    }

    /// The subcloud's row, if there is such a subcloud.
    ///
    /// # Errors
    /// 503 if the read models are not available.
    pub async fn find_row(self, app: &App) -> Result<Option<SubcloudRow>, ApiError> {
        let subclouds = app.models().subclouds();
        for key in self.keys() {
            let found = match key {
                Key::Id(id) => subclouds.by_id(id).await?,
                Key::Name(name) => subclouds.by_name(name).await?,
                Key::Region(region) => subclouds.by_region(region).await?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The subcloud's uuid, for writes: the directory is brought up to date before the answer is 404.
    ///
    /// # Errors
    /// 404 `Subcloud not found`; 503 if the journal is not available.
    pub async fn entity(self, app: &App) -> Result<Uuid, ApiError> {
        Ok(self.find(app).await?.0)
    }

    /// As [`entity`](Self::entity), with the subcloud, brought up to date.
    ///
    /// # Errors
    /// 404 `Subcloud not found`; 503 if the journal is not available.
    pub async fn living(self, app: &App) -> Result<(Uuid, Arc<Subcloud>), ApiError> {
        let (entity, state) = self.find(app).await?;
        let state = state.filter(|subcloud| !subcloud.deleted).ok_or_else(not_found)?;
        Ok((entity, state))
    }

    async fn find(self, app: &App) -> Result<(Uuid, Option<Arc<Subcloud>>), ApiError> {
        for key in self.keys() {
            // A subcloud that was taken over may have what no new one may; what even an old row cannot is nobody's.
            let reference = match key {
                Key::Id(id) => Some(Reference::Id(id)),
                Key::Name(name) => Name::imported(name).map(Reference::Name),
                Key::Region(region) => Region::imported(region).map(Reference::Region),
            };
            if let Some(reference) = reference
                && let Some((entity, loaded)) = app.fleet().find(&reference).await?
            {
                return Ok((entity, loaded.state));
            }
        }
        Err(not_found())
    }

    /// The texts it may mean, in the order to try them.
    pub(crate) fn texts(self) -> impl Iterator<Item = &'a str> {
        texts(self.text, self.place)
    }

    fn keys(self) -> impl Iterator<Item = Key<'a>> {
        self.texts().filter_map(move |text| match () {
            // A number too large to be an id is no name either.
            () if is_number(text) => text.parse().ok().map(Key::Id),
            () if self.naming == Naming::Regions => Some(Key::Region(text)),
            () => Some(Key::Name(text)),
        })
    }
}

/// The texts that `text` at `place` may mean, in the order to try them.
pub(crate) fn texts(text: &str, place: Place) -> impl Iterator<Item = &str> {
    let most = match place {
        Place::Last => usize::MAX,
        Place::BeforeVerb => 1,
    };
    alternatives(text).take(most)
}

/// Whether a reference is an id: digits alone.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// 404 with the text that peer controllers look for.
pub fn not_found() -> ApiError {
    ApiError::not_found("Subcloud not found")
}
