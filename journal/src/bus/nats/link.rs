//! The connection: whether it is there, and calls that end when it goes away.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event};
use tokio::sync::watch;

use super::url::{NatsUrl, User};
use crate::bus::BusError;

const LONGEST_RECONNECT_PAUSE: Duration = Duration::from_secs(2);
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// A client whose calls fail at once while there is no connection: the client itself would queue them without end.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) client: Client,
    url: Arc<str>,
    watcher: Arc<Watcher>,
}

/// What the client's events told.
struct Watcher {
    /// Counts lost connections.
    losses: watch::Sender<u64>,
    last_error: Mutex<Option<String>>,
}

impl Link {
    /// Starts connecting in the background, for as long as it takes. Errors: a file of the URL cannot be read.
    pub(super) async fn open(url: &NatsUrl) -> Result<Self, BusError> {
        let watcher = Arc::new(Watcher { losses: watch::Sender::new(0), last_error: Mutex::new(None) });
        let seen = Arc::clone(&watcher);
        let options = credentials(ConnectOptions::new(), url)
            .await?
            .name("dcm")
            .retry_on_initial_connect()
            .ping_interval(PING_INTERVAL)
            .reconnect_delay_callback(pause)
            .event_callback(move |event| {
                let seen = Arc::clone(&seen);
                async move { seen.note(event) }
            });
        let client = options.connect(url.servers()).await.map_err(BusError::invalid)?;
        Ok(Self { client, url: url.to_string().into(), watcher })
    }

    /// A receiver that changes when the connection is lost from now on.
    pub(super) fn losses(&self) -> watch::Receiver<u64> {
        self.watcher.losses.subscribe()
    }

    /// Runs `call` for at most `limit`, and not at all, or no further, without a connection.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = T> + Send,
    ) -> Result<T, BusError> {
        let mut losses = self.losses();
        self.check()?;
        tokio::select! {
            answer = call => Ok(answer),
            _ = losses.changed() => Err(BusError::unavailable(format!("the connection to {} was lost", self.url))),
            () = tokio::time::sleep(limit) => {
                Err(BusError::unavailable(format!("no answer from {} in {limit:?}", self.url)))
            }
        }
    }

    /// Whether there is a connection.
    pub(super) fn check(&self) -> Result<(), BusError> {
        if self.client.connection_state() == State::Connected {
            return Ok(());
        }
        let last = self.watcher.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let cause = last.map(|error| format!(" ({error})")).unwrap_or_default();
        Err(BusError::unavailable(format!("not connected to {}{cause}", self.url)))
    }
}

/// The pause before the given attempt to connect, from 1: none, then doubling.
fn pause(attempt: usize) -> Duration {
    match attempt {
        0 | 1 => Duration::ZERO,
        _ => Duration::from_millis(50 << attempt.min(10)).min(LONGEST_RECONNECT_PAUSE),
    }
}

impl Watcher {
    fn note(&self, event: Event) {
        let mut last_error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Connected => *last_error = None,
            Event::Disconnected | Event::Closed => self.losses.send_modify(|losses| *losses += 1),
            Event::ServerError(error) => *last_error = Some(format!("server error: {error}")),
            Event::ClientError(error) => *last_error = Some(format!("client error: {error}")),
            Event::LameDuckMode | Event::Draining | Event::SlowConsumer(_) => {}
        }
    }
}

async fn credentials(mut options: ConnectOptions, url: &NatsUrl) -> Result<ConnectOptions, BusError> {
    options = match url.user() {
        Some(User::Token(token)) => options.token(token.to_string()),
        Some(User::Password { name, password }) => {
            options.user_and_password(name.clone(), password.to_string())
        }
        None => options,
    };
    if let Some(file) = url.creds() {
        let unreadable = |error| BusError::invalid(format!("credentials file {}: {error}", file.display()));
        options = options.credentials_file(file).await.map_err(unreadable)?;
    }
    if let Some(file) = url.ca() {
        // Read here, so that a wrong name is told at once and not by a connection that never comes about.
        let unreadable = |error| BusError::invalid(format!("authorities file {}: {error}", file.display()));
        tokio::fs::metadata(file).await.map_err(unreadable)?;
        options = options.add_root_certificates(file.clone());
    }
    Ok(options.require_tls(url.requires_tls()))
}
