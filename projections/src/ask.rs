//! One question to the database for all who ask the same at once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::edition::Edition;

/// Asks that take turns: one that begins after somebody came answers him too. So the answer is never older than the
/// request it is for, and sixteen readers cost two questions instead of sixteen; or none, while this process knows that
/// nothing changed. All who wait are woken at once: one after the other, as from a queue, would cost more than the
/// question.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    turn: Mutex<Turn>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct Turn {
    begun: u64,
    /// The last one that was answered.
    answered: u64,
    is_taken: bool,
    /// The edition that the last answer shows, if that is known.
    edition: Option<u64>,
}

impl Asks {
    /// Runs `ask`, unless the last answer shows the present edition, or one that began after this call has been answered by
    /// the time it is this caller's turn. What `ask` found must be where all can read it.
    ///
    /// # Errors
    /// Those of `ask`, of this caller's own.
    pub(crate) async fn once<E, F: Future<Output = Result<(), E>>>(
        &self,
        edition: &Edition,
        ask: impl FnOnce() -> F,
    ) -> Result<(), E> {
        let came = {
            let turn = self.turn();
            if turn.edition.is_some() && turn.edition == edition.shown() {
                return Ok(());
            }
            turn.begun
        };
        // In a box: mostly there is nothing to ask, and readers would carry the room for it with them.
        Box::pin(self.in_turn(came, edition, ask)).await
    }

    async fn in_turn<E, F: Future<Output = Result<(), E>>>(
        &self,
        came: u64,
        edition: &Edition,
        ask: impl FnOnce() -> F,
    ) -> Result<(), E> {
        loop {
            // Registered before looking, so that no end is missed.
            let ended = self.ended.notified();
            {
                let mut turn = self.turn();
                if turn.answered > came {
                    return Ok(());
                }
                if !turn.is_taken {
                    turn.is_taken = true;
                    turn.begun += 1;
                    break;
                }
            }
            ended.await;
        }
        // Also when this caller goes away while it asks.
        let _next = Next(self);
        let asked_for = edition.shown();
        ask().await?;
        let mut turn = self.turn();
        turn.answered = turn.begun;
        turn.edition = asked_for;
        Ok(())
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the turn back.
struct Next<'a>(&'a Asks);

impl Drop for Next<'_> {
    fn drop(&mut self) {
        self.0.turn().is_taken = false;
        self.0.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::cell::Cell;
    use std::convert::Infallible;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn those_who_come_while_one_asks_share_the_next_question() {
        let (asks, asked, gate) = (Asks::default(), Cell::new(0), Notify::new());
        let shared = Edition::new(false);
        let ask = || {
            asks.once(&shared, || async {
                asked.set(asked.get() + 1);
                gate.notified().await;
                Ok::<_, Infallible>(())
            })
        };
        let (first, second, third) = (ask(), ask(), ask());
        tokio::pin!(first, second, third);
        // All three have come and the first asks.
        assert!(futures_poll(first.as_mut()).await.is_none());
        assert!(futures_poll(second.as_mut()).await.is_none());
        assert!(futures_poll(third.as_mut()).await.is_none());
        gate.notify_one();
        first.await.unwrap();
        gate.notify_one();
        second.await.unwrap();
        third.await.unwrap();
        assert_eq!(asked.get(), 2);
    }

    #[tokio::test]
    async fn a_question_that_failed_or_was_given_up_answers_nobody() {
        let (asks, shared) = (Asks::default(), Edition::new(false));
        assert_eq!(asks.once(&shared, || async { Err("away") }).await, Err("away"));
        {
            let given_up = asks.once(&shared, std::future::pending::<Result<(), Infallible>>);
            tokio::pin!(given_up);
            assert!(futures_poll(given_up).await.is_none());
        }
        let asked = Cell::new(false);
        let asking = || async {
            asked.set(true);
            Ok::<_, Infallible>(())
        };
        asks.once(&shared, asking).await.unwrap();
        assert!(asked.get());
    }

    #[tokio::test]
    async fn an_edition_is_asked_for_once_and_one_that_is_being_made_each_time() {
        let (asks, asked) = (Asks::default(), Cell::new(0));
        let ask = async |edition: &Edition| {
            let asking = || async {
                asked.set(asked.get() + 1);
                Ok::<_, Infallible>(())
            };
            asks.once(edition, asking).await.unwrap();
            asked.get()
        };
        let edition = Edition::new(true);
        assert_eq!((ask(&edition).await, ask(&edition).await), (1, 1));
        let commit = edition.commits();
        assert_eq!((ask(&edition).await, ask(&edition).await), (2, 3));
        drop(commit);
        // The end of that commit stayed unknown; the next one tells.
        assert_eq!(ask(&edition).await, 4);
        edition.commits().end();
        assert_eq!((ask(&edition).await, ask(&edition).await), (5, 5));
    }

    /// Polls once.
    async fn futures_poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match future.as_mut().poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
