//! Turns: sending what is next, in order, until something fails.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use super::collapse::{Due, collapse};
use super::ledger::Lane;
use super::retry::PATIENCE;
use crate::events::{Event, EventKind};
use crate::registry::{AskedFor, Attempt, AttemptOutcome, Millis, Queue, Registry, now};
use crate::webhooks::format::Source;
use crate::webhooks::sender::{Answer, Sender};

/// Maximum number of events of a queue in one turn.
const IN_A_ROW: usize = 100;
/// Maximum number of events of a queue that are looked at in one turn, to find those that replace others.
const COLLAPSED: usize = 1000;
/// Time after which others have their turn.
const TURN: Duration = Duration::from_secs(1);
/// Pause after an error of the database.
const ERROR_PAUSE: Millis = 1000;

/// Means that all turns of an endpoint need.
#[derive(Clone)]
pub(super) struct Sending {
    pub registry: Registry,
    pub sender: Arc<Sender>,
    pub source: Arc<Source>,
}

/// A turn that has ended.
pub(super) struct Ended {
    pub lane: Lane,
    pub attempts: Vec<Attempt>,
    /// Place at which it goes on; `None` if nothing is left.
    pub left: Option<Queue>,
}

impl Sending {
    /// Sends new events of a repository.
    pub async fn fresh(self, repository: String, events: Vec<Event>) -> Ended {
        let next = events.first().map_or(0, |event| event.id);
        let queue = Queue {
            repository,
            next,
            due_at: 0,
            attempts: 0,
            waited: 0,
            carried: Vec::new(),
        };
        self.send_all(queue, events, None).await
    }

    /// Sends the events of a queue up to the one numbered `to`.
    pub async fn queued(self, queue: Queue, to: i64) -> Ended {
        let delay = self.sender.endpoint.delay();
        // an endpoint that fails is told of one event, which is found at once
        let limit = match (delay > 0, queue.attempts > 0) {
            (true, _) => COLLAPSED,
            (false, true) => 1,
            (false, false) => IN_A_ROW,
        };
        let outbox = self.registry.outbox();
        let read = outbox
            .events_of(&queue.repository, queue.next, to, limit)
            .await;
        let mut events = match read {
            Ok(events) => events,
            Err(error) => {
                tracing::warn!(endpoint = self.sender.endpoint.name, %error, "cannot read the outbox; trying again");
                let due_at = now().saturating_add(ERROR_PAUSE);
                return self.ended(Queue { due_at, ..queue }, Vec::new());
            }
        };
        let after = events.last().filter(|_| events.len() == limit);
        let mut next = after.map(|event| (event.id + 1, 0));
        events.retain(|event| self.sender.endpoint.wants(event));
        if delay == 0 {
            return self.send_all(queue, events, next).await;
        }
        let due = collapse(events, delay, &queue, now());
        let Due {
            events, carried, ..
        } = due;
        next = due.next.or(next);
        self.send_all(Queue { carried, ..queue }, events, next)
            .await
    }

    /// Sends an event that somebody asked for.
    pub async fn asked(self, asked: AskedFor) -> Ended {
        let event = asked.event;
        let answer = self.send(event.clone()).await;
        let at = now();
        let pause = self.sender.endpoint.pause(asked.attempts + 1);
        let outcome = match answer.is_success {
            true => AttemptOutcome::Delivered,
            false if answer.is_hopeless || asked.waited >= PATIENCE => AttemptOutcome::Dead,
            false => AttemptOutcome::FailedAgain(
                at.saturating_add(pause),
                asked.waited.saturating_add(pause),
            ),
        };
        Ended {
            lane: Lane::Event(event.id),
            attempts: vec![attempt(event.id, at, outcome, answer)],
            left: None,
        }
    }

    /// Sends events in their order. Without a failure, `next` is what is left: an event, and when it is due.
    async fn send_all(
        &self,
        mut queue: Queue,
        events: Vec<Event>,
        next: Option<(i64, Millis)>,
    ) -> Ended {
        let (begun, mut attempts) = (Instant::now(), Vec::new());
        for (place, event) in events.into_iter().enumerate() {
            let (id, happened) = (event.id, event.at);
            queue.next = id;
            queue.carried.retain(|(event, _)| *event >= id);
            if place > 0 && begun.elapsed() > TURN {
                queue.due_at = now();
                return self.ended(queue, attempts);
            }
            let answer = self.send(event).await;
            let at = now();
            // the endpoint had its time, and so had the event
            let is_old = queue.waited >= PATIENCE && at.saturating_sub(happened) >= PATIENCE;
            if answer.is_success {
                (queue.attempts, queue.waited) = (0, 0);
                attempts.push(attempt(id, at, AttemptOutcome::Delivered, answer));
            } else if answer.is_hopeless || is_old {
                attempts.push(attempt(id, at, AttemptOutcome::Dead, answer));
            } else {
                queue.attempts += 1;
                let pause = self.sender.endpoint.pause(queue.attempts);
                queue.due_at = at.saturating_add(pause);
                queue.waited = queue.waited.saturating_add(pause);
                let outcome = AttemptOutcome::Failed(queue.due_at);
                attempts.push(attempt(id, at, outcome, answer));
                return self.ended(queue, attempts);
            }
        }
        let left = next.map(|(next, due_at)| Queue {
            next,
            due_at,
            carried: Vec::new(),
            ..queue.clone()
        });
        Ended {
            lane: Lane::Repository(queue.repository),
            attempts,
            left,
        }
    }

    fn ended(&self, left: Queue, attempts: Vec<Attempt>) -> Ended {
        Ended {
            lane: Lane::Repository(left.repository.clone()),
            attempts,
            left: Some(left),
        }
    }

    async fn send(&self, mut event: Event) -> Answer {
        let begun = Instant::now();
        let send = async {
            if self.sender.endpoint.includes_references && has_references(event.kind) {
                let references = self.registry.outbox().references(&event).await;
                event.references = references.unwrap_or_default();
            }
            self.sender.send(&event, &self.source).await
        };
        unless_panicked(send, begun).await
    }
}

/// Takes a panic for a failure: the repository must not stay busy for ever.
async fn unless_panicked(send: impl Future<Output = Answer>, begun: Instant) -> Answer {
    let sent = AssertUnwindSafe(send).catch_unwind().await;
    sent.unwrap_or_else(|_| Answer {
        status: None,
        duration: begun.elapsed(),
        text: "sending it panicked: the log says where".to_owned(),
        is_success: false,
        is_hopeless: false,
    })
}

fn has_references(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::ManifestPushed
            | EventKind::TagMoved
            | EventKind::TagRestored
            | EventKind::ManifestRestored
            | EventKind::ManifestPulled
            | EventKind::ManifestChecked
    )
}

fn attempt(event: i64, at: Millis, outcome: AttemptOutcome, answer: Answer) -> Attempt {
    Attempt {
        event,
        at,
        outcome,
        status: answer.status,
        duration: u64::try_from(answer.duration.as_millis()).unwrap_or(u64::MAX),
        answer: answer.text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_failed_attempt() {
        let answer = unless_panicked(async { panic!("in a test") }, Instant::now()).await;
        assert!(!answer.is_success && !answer.is_hopeless);
    }
}
