//! A small TCP proxy that obeys `/readyz`, as load balancers before API processes do.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::http::Http;
use crate::wait::eventually;

/// Pause between two looks at the processes.
const CHECK: Duration = Duration::from_millis(50);
const READY: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
struct Backend {
    url: String,
    ready: bool,
}

/// What stands behind the proxy, the one that is next first.
type Backends = Arc<Mutex<Vec<Backend>>>;

/// The proxy: each connection goes to one process that was ready when it was last asked.
#[derive(Debug)]
pub struct Balancer {
    url: String,
    backends: Backends,
    _tasks: JoinSet<()>,
}

impl Balancer {
    /// A proxy with nothing behind it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let backends = Backends::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(check(Arc::clone(&backends)));
        let all = Arc::clone(&backends);
        tasks.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, Arc::clone(&all)));
            }
        });
        Self { url, backends, _tasks: tasks }
    }

    /// Where clients come to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Puts a process behind it, and waits until it is found ready.
    pub async fn add(&self, url: &str) {
        lock(&self.backends).push(Backend { url: url.to_owned(), ready: false });
        eventually(format!("{url} is ready"), READY, async || {
            let backends = lock(&self.backends).clone();
            let found = backends.iter().any(|backend| backend.url == url && backend.ready);
            if found { Ok(()) } else { Err(backends) }
        })
        .await;
    }

    /// Forgets a process that has ended.
    pub fn remove(&self, url: &str) {
        lock(&self.backends).retain(|backend| backend.url != url);
    }
}

fn lock(backends: &Backends) -> std::sync::MutexGuard<'_, Vec<Backend>> {
    backends.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn check(backends: Backends) {
    let mut pace = tokio::time::interval(CHECK);
    loop {
        pace.tick().await;
        let urls: Vec<String> = lock(&backends).iter().map(|backend| backend.url.clone()).collect();
        for url in urls {
            let answer = Http::unpooled(url.as_str()).get("/readyz").try_send().await;
            let ready = answer.is_ok_and(|answer| answer.status == 200);
            lock(&backends).iter_mut().filter(|backend| backend.url == url).for_each(|one| one.ready = ready);
        }
    }
}

/// Connects a client with the next process that is ready and can be reached.
async fn carry(mut client: TcpStream, backends: Backends) {
    let _ = client.set_nodelay(true);
    let tries = lock(&backends).len();
    for _ in 0..tries {
        let Some(url) = next(&backends) else { return };
        let address = url.trim_start_matches("http://");
        if let Ok(mut server) = TcpStream::connect(address).await {
            let _ = server.set_nodelay(true);
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}

fn next(backends: &Backends) -> Option<String> {
    let mut all = lock(backends);
    let found = all.iter().position(|backend| backend.ready)?;
    let backend = all.remove(found);
    let url = backend.url.clone();
    all.push(backend);
    Some(url)
}
