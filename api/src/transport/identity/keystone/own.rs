//! The program's own token: one for all, renewed before it expires.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::client::{KeystoneClient, Outage, OwnToken};

/// How long before its end a token is renewed; a quarter of its life, if that is less.
const MARGIN: Duration = Duration::from_secs(60);

/// Keeps the program's own token.
#[derive(Debug, Default)]
pub struct Own(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    token: Option<Held>,
    /// The last renewal that failed.
    failed: Option<(Instant, Outage)>,
}

#[derive(Debug)]
struct Held {
    token: Arc<OwnToken>,
    renew_at: Instant,
    ends_at: Instant,
}

impl Own {
    /// A token that is good for a while, other than the `refused` one.
    ///
    /// Whoever comes during a renewal waits for it and takes its outcome, success or failure.
    ///
    /// # Errors
    /// [`Outage`] if there is no such token and none can be had.
    pub async fn token(
        &self,
        client: &KeystoneClient,
        refused: Option<&Arc<OwnToken>>,
    ) -> Result<Arc<OwnToken>, Outage> {
        let arrived = Instant::now();
        let mut kept = self.0.lock().await;
        let usable = |held: &&Held| !refused.is_some_and(|refused| Arc::ptr_eq(refused, &held.token));
        let now = Instant::now();
        if let Some(held) = kept.token.as_ref().filter(usable).filter(|held| now < held.renew_at) {
            return Ok(Arc::clone(&held.token));
        }
        let outage = match &kept.failed {
            Some((at, outage)) if *at > arrived => outage.clone(),
            _ => match client.authenticate().await {
                Ok(token) => return Ok(kept.keep(token)),
                Err(outage) => {
                    kept.failed = Some((Instant::now(), outage.clone()));
                    outage
                }
            },
        };
        let still_good = kept.token.as_ref().filter(usable).filter(|held| now < held.ends_at);
        still_good.map(|held| Arc::clone(&held.token)).ok_or(outage)
    }
}

impl Kept {
    fn keep(&mut self, token: OwnToken) -> Arc<OwnToken> {
        let (now, life) = (Instant::now(), token.lifetime);
        let token = Arc::new(token);
        let renew_at = now + life.saturating_sub(MARGIN.min(life / 4));
        *self = Self {
            token: Some(Held { token: Arc::clone(&token), renew_at, ends_at: now + life }),
            failed: None,
        };
        token
    }
}
