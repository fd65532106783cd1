//! Answers about tokens, for a while. No token is in it: its keys are keyed hashes.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dcm_domain::value::Secret;
use hmac::{Hmac, Mac};
use moka::Expiry;
use moka::future::Cache;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::client::Outage;
use super::document::Identity;

type Key = [u8; 32];

/// What is known about a token.
#[derive(Clone, Debug)]
pub enum Found {
    /// It stands for somebody, unless it has expired since.
    Valid(Arc<Identity>),
    /// It stands for nobody.
    Invalid,
}

impl Found {
    /// Whom it stands for at `now`; also when it has expired, if `expired_too`.
    pub fn at(&self, now: DateTime<Utc>, expired_too: bool) -> Option<&Arc<Identity>> {
        match self {
            Self::Valid(identity) if expired_too || now < identity.expires_at => Some(identity),
            Self::Valid(_) | Self::Invalid => None,
        }
    }
}

/// Why there is no answer to keep.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Keystone cannot be asked.
    #[error(transparent)]
    Outage(#[from] Outage),
    /// The token is nothing that Keystone could be asked about.
    #[error("unreadable")]
    Unreadable,
}

#[derive(Clone, Debug)]
struct Entry {
    found: Found,
    asked_at: Instant,
}

/// Bounded in size and time. Many that ask about one token cause one question. Prints nothing of its entries.
pub struct TokenCache {
    time: Duration,
    entries: Cache<Key, Entry>,
    hash_key: Zeroizing<Key>,
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("entries", &self.entries.entry_count()).finish_non_exhaustive()
    }
}

/// An answer counts from when it was asked for: a token revoked on the way is not honoured for longer.
struct SinceAsked(Duration);

impl Expiry<Key, Entry> for SinceAsked {
    fn expire_after_create(&self, _: &Key, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(self.0.saturating_sub(entry.asked_at.elapsed()))
    }
}

impl TokenCache {
    /// A cache of at most `size` answers, each for at most `time`.
    pub fn new(size: u64, time: Duration) -> Self {
        let entries = Cache::builder().max_capacity(size).expire_after(SinceAsked(time)).build();
        // Not reversible and not comparable across processes, whatever a memory dump shows.
        Self { time, entries, hash_key: Zeroizing::new(rand::random()) }
    }

    /// How long an answer counts.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// What is known about `token`, else what `ask` finds out. `expired_too` answers are kept apart from others.
    ///
    /// # Errors
    /// What `ask` fails with, which is not kept.
    pub async fn get(
        &self,
        token: &Secret,
        expired_too: bool,
        ask: impl Future<Output = Result<Found, NoAnswer>>,
    ) -> Result<Found, Arc<NoAnswer>> {
        let mut asked = false;
        let asking = async {
            asked = true;
            let asked_at = Instant::now();
            ask.await.map(|found| Entry { found, asked_at })
        };
        let entry = self.entries.try_get_with(self.key(token, expired_too), asking).await?;
        if !asked {
            metrics::counter!("dcm_keystone_cache_hits_total").increment(1);
        }
        Ok(entry.found)
    }

    fn key(&self, token: &Secret, expired_too: bool) -> Key {
        // A key of any length is taken; there is no error to have.
        let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(self.hash_key.as_slice()) else {
            return Key::default();
        };
        mac.update(&[u8::from(expired_too)]);
        mac.update(token.expose().as_bytes());
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use chrono::TimeDelta;
    use tokio::sync::Notify;

    use super::*;
    use crate::transport::identity::none;

    const LONG: Duration = Duration::from_secs(300);

    fn token(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn valid_until(expires_at: DateTime<Utc>) -> Found {
        Found::Valid(Arc::new(Identity { caller: none::anonymous(), expires_at, access_rules: None }))
    }

    /// How often a cache asked when it is asked once for each of `tokens`.
    async fn questions(cache: &TokenCache, tokens: &[&str], found: Result<Found, NoAnswer>) -> usize {
        let count = AtomicUsize::new(0);
        for text in tokens {
            let ask = async {
                count.fetch_add(1, Ordering::Relaxed);
                found.clone()
            };
            let _ = cache.get(&token(text), false, ask).await;
        }
        count.into_inner()
    }

    #[tokio::test]
    async fn good_and_bad_answers_are_kept_outages_are_not() {
        let cache = TokenCache::new(100, LONG);
        let later = Utc::now() + TimeDelta::hours(1);
        assert_eq!(questions(&cache, &["a", "a", "a"], Ok(valid_until(later))).await, 1);
        assert_eq!(questions(&cache, &["b", "b", "b"], Ok(Found::Invalid)).await, 1);
        let outage = Err(NoAnswer::Outage(Outage("down".to_owned())));
        assert_eq!(questions(&cache, &["c", "c"], outage).await, 2);
        assert_eq!(questions(&cache, &["c"], Ok(Found::Invalid)).await, 1);
    }

    #[tokio::test]
    async fn answers_about_expired_tokens_are_kept_apart() {
        let cache = TokenCache::new(100, LONG);
        cache.get(&token("a"), true, async { Ok(valid_until(Utc::now())) }).await.unwrap();
        let plain = cache.get(&token("a"), false, async { Ok(Found::Invalid) }).await.unwrap();
        assert!(plain.at(Utc::now(), false).is_none());
    }

    #[test]
    fn expiry_is_looked_at_on_each_use() {
        let now = Utc::now();
        let found = valid_until(now + TimeDelta::seconds(10));
        assert!(found.at(now, false).is_some());
        assert!(found.at(now + TimeDelta::seconds(10), false).is_none());
        assert!(found.at(now + TimeDelta::seconds(10), true).is_some());
        assert!(Found::Invalid.at(now, true).is_none());
    }

    #[tokio::test]
    async fn many_at_once_ask_once() {
        let (cache, gate) = (TokenCache::new(100, LONG), Notify::new());
        let count = AtomicUsize::new(0);
        let ask = || async {
            let ask = async {
                count.fetch_add(1, Ordering::Relaxed);
                gate.notified().await;
                Ok(Found::Invalid)
            };
            cache.get(&token("a"), false, ask).await.unwrap()
        };
        let release = async {
            while count.load(Ordering::Relaxed) == 0 {
                tokio::task::yield_now().await;
            }
            gate.notify_waiters();
        };
        tokio::join!(futures::future::join_all((0..20).map(|_| ask())), release);
        assert_eq!(count.into_inner(), 1);
    }

    #[tokio::test]
    async fn one_that_goes_away_leaves_the_question_to_the_next() {
        let cache = TokenCache::new(100, LONG);
        let (secret, again) = (token("a"), token("a"));
        let mut gone = Box::pin(cache.get(&secret, false, std::future::pending()));
        assert!(futures::poll!(&mut gone).is_pending());
        let mut waiting = Box::pin(cache.get(&again, false, async { Ok(Found::Invalid) }));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(gone);
        assert!(matches!(waiting.await.unwrap(), Found::Invalid));
    }

    #[tokio::test]
    async fn an_answer_counts_for_its_time_from_the_question_on() {
        let life = Duration::from_millis(20);
        let cache = TokenCache::new(100, life);
        // An answer that takes longer than it counts.
        let slow = async {
            let asked = Instant::now();
            while asked.elapsed() <= life {
                tokio::task::yield_now().await;
            }
            Ok(Found::Invalid)
        };
        cache.get(&token("a"), false, slow).await.unwrap();
        assert_eq!(questions(&cache, &["a"], Ok(Found::Invalid)).await, 1);
        let off = TokenCache::new(100, Duration::ZERO);
        assert_eq!(questions(&off, &["a", "a"], Ok(Found::Invalid)).await, 2);
    }

    #[tokio::test]
    async fn it_stays_within_its_size() {
        let cache = TokenCache::new(10, LONG);
        let names: Vec<String> = (0..1000).map(|number| format!("tok{number}")).collect();
        for name in &names {
            cache.get(&token(name), false, async { Ok(Found::Invalid) }).await.unwrap();
        }
        cache.entries.run_pending_tasks().await;
        assert!(cache.entries.entry_count() <= 10);
    }
}
