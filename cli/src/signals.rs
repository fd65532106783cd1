//! The signals that ask the process to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::commands::Failure;

/// The signals that ask the process to stop.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on they do not end the process at once.
    ///
    /// # Errors
    /// If the process cannot be told of them.
    pub fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::start("signals", error));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for one of them.
    pub async fn received(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::ToTerminate,
            _ = self.interrupt.recv() => Asked::ToInterrupt,
        }
    }
}

/// What a signal asks for.
pub enum Asked {
    /// To end in order: others are to take over.
    ToTerminate,
    /// To end now; whoever sits before a terminal has no proxy to wait for.
    ToInterrupt,
}
