//! A connection to the server that fails when told to.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// What happens to the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They pass.
    Pass,
    /// The server's next word that it committed is kept back, and its connection cut; then they pass again.
    LoseCommitAnswer,
    /// Nothing moves, nothing closes.
    Stall,
}

/// Stands before the server at a port of its own.
pub struct Proxy {
    pub port: u16,
    pub mode: watch::Sender<Mode>,
}

impl Proxy {
    pub async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, _) = watch::channel(Mode::Pass);
        let modes = mode.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let modes = modes.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = carry(from_client, to_server, modes.clone(), false) => {}
                        () = carry(from_server, to_client, modes, true) => {}
                    }
                });
            }
        });
        Self { port, mode }
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    modes: watch::Sender<Mode>,
    from_server: bool,
) {
    let mut follow = modes.subscribe();
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..length];
        if follow.wait_for(|mode| *mode != Mode::Stall).await.is_err() {
            return;
        }
        let committed = from_server && bytes.windows(7).any(|word| word == b"COMMIT\0");
        if committed && *modes.borrow() == Mode::LoseCommitAnswer {
            modes.send_replace(Mode::Pass);
            return;
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}
