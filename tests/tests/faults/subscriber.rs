//! An outside subscriber, to whom events may come twice and in any order, but come.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_nats::jetstream::{self, consumer::pull};
use dcm_tests::eventually;
use futures::StreamExt;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::scene::TAKE_OVER;

/// A durable consumer that collects ids of events, and goes on where it was when it is started again.
pub struct Subscriber {
    url: String,
    seen: Arc<Mutex<HashSet<Uuid>>>,
    task: JoinHandle<()>,
}

impl Subscriber {
    pub fn start(url: String) -> Self {
        let seen = Arc::default();
        Self { task: follow(url.clone(), Arc::clone(&seen)), url, seen }
    }

    /// Drops it in the middle of whatever it does, and starts it again.
    pub fn restart(&mut self) {
        self.task.abort();
        self.task = follow(self.url.clone(), Arc::clone(&self.seen));
    }

    pub async fn has_seen(&self, all: &[Uuid]) {
        eventually("every event reaches the subscriber", TAKE_OVER, async || {
            let seen = self.seen.lock().unwrap();
            let missing = all.iter().filter(|id| !seen.contains(id)).count();
            if missing == 0 { Ok(()) } else { Err(missing) }
        })
        .await;
    }
}

fn follow(url: String, seen: Arc<Mutex<HashSet<Uuid>>>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let js = jetstream::new(async_nats::connect(url).await.expect("connect to NATS"));
        let config = pull::Config { durable_name: Some("outside".into()), ..pull::Config::default() };
        let stream = js.get_stream("DCM_EVENTS").await.expect("the stream is there");
        let consumer = stream.get_or_create_consumer("outside", config).await.expect("a durable consumer");
        let mut messages = consumer.messages().await.expect("messages");
        while let Some(message) = messages.next().await {
            let Ok(message) = message else { continue };
            let id =
                message.headers.as_ref().and_then(|headers| headers.get("ce-id")).expect("an event's id");
            seen.lock().unwrap().insert(id.as_str().parse().expect("a uuid"));
            message.ack().await.expect("acknowledge");
        }
    })
}
