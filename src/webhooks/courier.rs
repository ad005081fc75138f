//! Delivery to one endpoint: in order for each repository, repositories beside each other.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::events::EventKind;
use crate::registry::{
    Attempt, AttemptOutcome, EndpointCounters, Error, Registry, WaitingDelivery, now,
};
use crate::webhooks::format::Source;
use crate::webhooks::retry::PATIENCE;
use crate::webhooks::sender::{Answer, Sender};

/// Interval between two looks at the outbox.
const INTERVAL: Duration = Duration::from_millis(100);
/// Number of repositories whose events are sent at once.
const AT_ONCE: usize = 8;
/// Maximum number of events of a repository that are sent before the others have their turn.
const IN_A_ROW: usize = 100;
/// Time after which no further event of a repository is sent before the others have their turn.
const TURN: Duration = Duration::from_secs(1);
/// Pause after an error of the database.
const ERROR_PAUSE: Duration = Duration::from_secs(1);
/// Interval between two counts of what waits.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// Delivery to one endpoint.
pub(super) struct Courier {
    registry: Registry,
    sender: Arc<Sender>,
    source: Arc<Source>,
    counters: Arc<EndpointCounters>,
    turns: JoinSet<Turn>,
    /// Repositories whose events are being sent.
    busy: HashSet<String>,
}

/// Outcome of attempting to deliver the next events of a repository.
struct Turn {
    repository: String,
    attempts: Vec<Attempt>,
}

impl Courier {
    pub(super) fn new(registry: &Registry, sender: Arc<Sender>, source: Arc<Source>) -> Self {
        let counters = registry.outbox().counters().of(&sender.endpoint.name);
        Self {
            registry: registry.clone(),
            sender,
            source,
            counters,
            turns: JoinSet::new(),
            busy: HashSet::new(),
        }
    }

    /// Delivers until it is dropped. Attempts under way are then cut off, and made again.
    pub(super) async fn run(mut self) {
        let mut counted = None;
        loop {
            if counted.is_none_or(|at: Instant| at.elapsed() >= COUNT_INTERVAL) {
                self.count().await;
                counted = Some(Instant::now());
            }
            if let Err(error) = self.begin_turns().await {
                tracing::warn!(endpoint = self.sender.endpoint.name, %error, "cannot read the outbox; trying again");
                tokio::time::sleep(ERROR_PAUSE).await;
            }
            // few and large changes of the database: pushes come first
            tokio::time::sleep(INTERVAL).await;
            self.end_turns().await;
        }
    }

    async fn count(&self) {
        if let Ok(waiting) = self
            .registry
            .outbox()
            .count_waiting(&self.sender.endpoint.name)
            .await
        {
            self.counters
                .waiting
                .set(i64::try_from(waiting).unwrap_or(i64::MAX));
        }
    }

    /// Shares out new events, and gives repositories their turns.
    async fn begin_turns(&mut self) -> Result<(), Error> {
        let (outbox, endpoint) = (self.registry.outbox(), &self.sender.endpoint);
        let judge = |event: &_| {
            endpoint.wants(event).then(|| {
                self.counters.events.add(1);
                endpoint.collapse
            })
        };
        while outbox.share_out(&endpoint.name, judge).await? {}
        let free = AT_ONCE.saturating_sub(self.busy.len());
        if free == 0 {
            return Ok(());
        }
        let due = outbox
            .due(&endpoint.name, AT_ONCE + self.busy.len())
            .await?;
        let next = due
            .into_iter()
            .filter(|repository| !self.busy.contains(repository));
        for repository in next.take(free).collect::<Vec<_>>() {
            self.busy.insert(repository.clone());
            let (registry, sender, source) = (
                self.registry.clone(),
                Arc::clone(&self.sender),
                Arc::clone(&self.source),
            );
            self.turns
                .spawn(async move { turn(&registry, &sender, &source, repository).await });
        }
        Ok(())
    }

    /// Records the attempts of the turns that have ended.
    async fn end_turns(&mut self) {
        let mut ended = Vec::new();
        while let Some(next) = self.turns.try_join_next() {
            ended.extend(next.ok());
        }
        let (repositories, attempts): (Vec<_>, Vec<_>) = ended
            .into_iter()
            .map(|turn| (turn.repository, turn.attempts))
            .unzip();
        if repositories.is_empty() {
            return;
        }
        let attempts = attempts.concat();
        attempts
            .iter()
            .for_each(|attempt| self.count_attempt(attempt));
        let name = &self.sender.endpoint.name;
        // what is not recorded would be sent again, and again
        while let Err(error) = self.registry.outbox().record(name, attempts.clone()).await {
            tracing::warn!(endpoint = name, %error, "cannot record deliveries; trying again");
            tokio::time::sleep(ERROR_PAUSE).await;
        }
        for repository in &repositories {
            self.busy.remove(repository);
        }
    }

    fn count_attempt(&self, attempt: &Attempt) {
        match (attempt.outcome, attempt.status) {
            (AttemptOutcome::Delivered, _) => self.counters.delivered.add(1),
            (_, Some(_)) => self.counters.failed.add(1),
            (_, None) => self.counters.unanswered.add(1),
        }
        if let Some(status) = attempt.status {
            self.counters.count_status(status);
        }
        if attempt.outcome == AttemptOutcome::Dead {
            self.counters.dead.add(1);
            tracing::warn!(
                endpoint = self.sender.endpoint.name,
                event = attempt.event,
                status = attempt.status,
                "an event could not be delivered and is not tried any more: see registry webhook deliveries --failed"
            );
        }
    }
}

/// Sends the next events of a repository, one after the other, until one fails.
async fn turn(registry: &Registry, sender: &Sender, source: &Source, repository: String) -> Turn {
    let (begun, endpoint) = (Instant::now(), &sender.endpoint);
    let next = registry
        .outbox()
        .next(&endpoint.name, &repository, IN_A_ROW)
        .await;
    let mut attempts = Vec::new();
    for mut delivery in next.unwrap_or_default() {
        if endpoint.includes_references && has_references(delivery.event.kind) {
            let references = registry.outbox().references(&delivery.event).await;
            delivery.event.references = references.unwrap_or_default();
        }
        let answer = sender.send(&delivery.event, source).await;
        let attempt = attempt(sender, &delivery, answer);
        let is_failed = matches!(attempt.outcome, AttemptOutcome::Failed(_));
        attempts.push(attempt);
        if is_failed || begun.elapsed() > TURN {
            break;
        }
    }
    Turn {
        repository,
        attempts,
    }
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

/// Judges an answer.
fn attempt(sender: &Sender, delivery: &WaitingDelivery, answer: Answer) -> Attempt {
    let at = now();
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let is_old = at.saturating_sub(delivery.since) > millis(PATIENCE);
    let outcome = match answer.is_success {
        true => AttemptOutcome::Delivered,
        false if answer.is_hopeless || is_old => AttemptOutcome::Dead,
        false => {
            let pause = sender.endpoint.retry.pause(delivery.attempts + 1);
            AttemptOutcome::Failed(at.saturating_add(millis(pause)))
        }
    };
    Attempt {
        event: delivery.event.id,
        at,
        outcome,
        status: answer.status,
        duration: u64::try_from(answer.duration.as_millis()).unwrap_or(u64::MAX),
        answer: answer.text,
    }
}
