//! A door in front of an endpoint: while it is shut, connections are taken and wait.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

pub struct Gate {
    pub address: SocketAddr,
    open: watch::Sender<bool>,
    arrived: watch::Receiver<usize>,
    _stop: DropGuard,
}

impl Gate {
    /// A shut gate before `behind`.
    pub async fn before(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = watch::Sender::new(false);
        let (count, arrived) = watch::channel(0);
        let stop = CancellationToken::new();
        let (opened, stopped) = (open.subscribe(), stop.clone());
        tokio::spawn(stopped.run_until_cancelled_owned(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                let mut opened = opened.clone();
                tokio::spawn(async move {
                    if opened.wait_for(|open| *open).await.is_ok() {
                        let mut server = TcpStream::connect(behind).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        }));
        Self { address, open, arrived, _stop: stop.drop_guard() }
    }

    /// Waits until so many connections have come.
    pub async fn arrived(&self, count: usize) {
        self.arrived.clone().wait_for(|arrived| *arrived >= count).await.unwrap();
    }

    pub fn open(&self) {
        self.open.send_replace(true);
    }
}
