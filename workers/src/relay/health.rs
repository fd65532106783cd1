//! What a relay is doing, for the readiness page and the log.

use tokio::sync::watch;

/// What a relay is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RelayState {
    /// It looks for the place where it stopped.
    #[default]
    Starting,
    /// Events are on the bus soon after they are in the journal.
    Working,
    /// The bus or the journal is away; it keeps trying.
    Waiting {
        /// What was seen.
        reason: String,
    },
    /// Another relay is at work.
    Fenced,
    /// It stopped and needs somebody to look.
    Halted {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// It was told to stop.
    Stopped,
}

/// Follows what a relay is doing, also when it has ended.
#[derive(Clone, Debug)]
pub struct RelayHealth(watch::Receiver<RelayState>);

impl RelayHealth {
    /// What it is doing now.
    pub fn state(&self) -> RelayState {
        self.0.borrow().clone()
    }

    /// Waits until that has changed since it was last told here; `None` if the relay is gone before it does.
    pub async fn changed(&mut self) -> Option<RelayState> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().clone())
    }

    /// Waits until `wanted` holds; `None` if the relay is gone before it does.
    pub async fn wait_for(&mut self, wanted: impl FnMut(&RelayState) -> bool) -> Option<RelayState> {
        self.0.wait_for(wanted).await.ok().map(|state| state.clone())
    }
}

/// The relay's own end: tells whoever follows, and the log once per change.
#[derive(Debug, Default)]
pub(super) struct Reporter(watch::Sender<RelayState>);

impl Reporter {
    pub(super) fn health(&self) -> RelayHealth {
        RelayHealth(self.0.subscribe())
    }

    pub(super) fn set(&self, state: RelayState) {
        let mut before = None;
        // A relay that works says so after each look: whoever follows is told once.
        self.0.send_if_modified(|now| {
            if *now == state {
                return false;
            }
            before = Some(std::mem::replace(now, state.clone()));
            true
        });
        let Some(before) = before else { return };
        tell_halted(matches!(state, RelayState::Halted { .. }));
        // The reasons of one outage differ from try to try; the outage is told once.
        if std::mem::discriminant(&before) == std::mem::discriminant(&state) {
            return;
        }
        match &state {
            RelayState::Starting | RelayState::Stopped => tracing::debug!(?state, "relay"),
            RelayState::Working => tracing::info!("the relay copies events to the bus"),
            RelayState::Waiting { reason } => {
                tracing::warn!(reason, "the relay waits; commands and queries go on without the bus");
            }
            // Whoever started it tells, once, why it stops; it is started again and again.
            RelayState::Fenced | RelayState::Halted { .. } => tracing::debug!(?state, "relay"),
        }
    }
}

/// Tells whether somebody has to decide before the relay of this process goes on.
pub(super) fn tell_halted(halted: bool) {
    metrics::gauge!("dcm_relay_halted_ratio").set(if halted { 1.0 } else { 0.0 });
}
