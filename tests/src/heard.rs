//! Messages as an outside subscriber of the bus sees them.

use async_nats::jetstream;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures::StreamExt;
use serde_json::Value;

use crate::wait::eventually;

const SOON: std::time::Duration = std::time::Duration::from_secs(30);

/// One message.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Its subject.
    pub subject: String,
    /// Its headers, as an object of texts.
    pub headers: Value,
    /// Its payload.
    pub payload: Value,
    /// Its place in the JetStream stream.
    pub sequence: u64,
}

impl Heard {
    /// A header; empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].as_str().unwrap_or_default()
    }

    /// Whether it refills a stream and is no news.
    pub fn replayed(&self) -> bool {
        self.header("Dcm-Replayed") == "true"
    }

    /// Name and version of the event: `DeployStatusChanged.v1`.
    pub fn event(&self) -> &str {
        self.header("ce-type").splitn(3, '.').nth(2).unwrap_or_default()
    }

    /// Whether it is an event with that name about that region.
    pub fn is(&self, region: &str, kebab_name: &str) -> bool {
        self.subject == format!("dcm.v1.event.subcloud.{region}.{kebab_name}")
    }
}

/// Subscribes to a stream from its beginning, and gives all messages there are once `enough` says so.
pub async fn heard(url: &str, stream: &str, mut enough: impl FnMut(&[Heard]) -> bool) -> Vec<Heard> {
    let mut all = Vec::new();
    eventually(format!("{stream} holds what is waited for"), SOON, async || {
        // A stream that is not there yet, or just being refilled, is looked at again.
        let seen = all_of(url, stream).await.map_err(|error| error.to_string())?;
        if enough(&seen) {
            all = seen;
            return Ok(());
        }
        Err(format!("{} messages, the last ones {:?}", seen.len(), &seen[seen.len().saturating_sub(3)..]))
    })
    .await;
    all
}

async fn all_of(url: &str, stream: &str) -> Result<Vec<Heard>, async_nats::Error> {
    let js = jetstream::new(async_nats::connect(url.split(',').collect::<Vec<_>>()).await?);
    let mut stream = js.get_stream(stream).await?;
    let last = stream.info().await?.state.last_sequence;
    let config = pull::OrderedConfig { deliver_policy: DeliverPolicy::All, ..pull::OrderedConfig::default() };
    let mut messages = stream.create_consumer(config).await?.messages().await?;
    let mut all = Vec::new();
    while all.last().is_none_or(|heard: &Heard| heard.sequence < last) && last > 0 {
        let Some(message) = messages.next().await else { break };
        let message = message?;
        let sequence = message.info()?.stream_sequence;
        let headers = message.headers.iter().flat_map(|headers| headers.iter());
        let headers = headers.map(|(name, values)| (name.to_string(), one(values))).collect();
        let payload = serde_json::from_slice(&message.payload)?;
        all.push(Heard {
            subject: message.subject.to_string(),
            headers: Value::Object(headers),
            payload,
            sequence,
        });
    }
    Ok(all)
}

/// A header has one value; another one would show in what its schema says.
fn one(values: &[async_nats::HeaderValue]) -> Value {
    values.iter().map(async_nats::HeaderValue::as_str).collect::<Vec<_>>().join(" | ").into()
}
