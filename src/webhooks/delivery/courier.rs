//! Delivery to one endpoint: in order for each repository, repositories beside each other.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::ledger::{Lane, Ledger};
use super::turn::{Ended, Sending};
use crate::registry::{Attempt, AttemptOutcome, EndpointCounters, Error, Millis, Queue, Told, now};

/// Number of turns at once.
const AT_ONCE: usize = 8;
/// Time for which new events are gathered, so that many pushes cost few looks at the outbox.
const GATHERING: Duration = Duration::from_millis(20);
/// Maximum number of events read at once.
const PAGE: usize = 100;
/// Interval between two records of what was told.
const RECORD_INTERVAL: Duration = Duration::from_millis(250);
/// Interval between two counts of what waits, which looks at all of it.
const COUNT_INTERVAL: Duration = Duration::from_secs(15);
/// Pause after an error of the database.
const ERROR_PAUSE: Duration = Duration::from_secs(1);
/// Longest sleep.
const LONGEST: Duration = Duration::from_secs(3600);

/// Order from the service to its couriers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Deliver,
    /// Another process may have changed the outbox.
    LookAgain,
    /// End the attempts under way, and begin no more.
    Stop,
}

type Recording = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// Delivery to one endpoint.
pub(super) struct Courier {
    sending: Sending,
    counters: Arc<EndpointCounters>,
    ledger: Ledger,
    turns: JoinSet<Ended>,
    recording: Option<(Recording, Arc<Told>)>,
    /// Time from which new events are read; `None` without news.
    read_at: Option<Instant>,
    /// Time from which recorded queues are looked at; `None` if none is due by itself.
    queues_at: Option<Instant>,
    record_at: Instant,
    count_at: Instant,
    /// Time before which the database is left alone, after an error.
    paused_until: Instant,
}

impl Courier {
    /// Returns a courier that goes on where the last one ended.
    pub(super) async fn begin(sending: Sending) -> Self {
        let outbox = sending.registry.outbox();
        let name = &sending.sender.endpoint.name;
        let counters = outbox.counters().of(name);
        let cursor = loop {
            match outbox.cursor(name).await {
                Ok(cursor) => break cursor,
                Err(error) => {
                    tracing::warn!(endpoint = name, %error, "cannot read the outbox; trying again");
                    tokio::time::sleep(ERROR_PAUSE).await;
                }
            }
        };
        let now = Instant::now();
        Self {
            sending,
            counters,
            ledger: Ledger::new(cursor),
            turns: JoinSet::new(),
            recording: None,
            read_at: Some(now),
            queues_at: Some(now),
            record_at: now,
            count_at: now,
            paused_until: now,
        }
    }

    /// Delivers until it is told to stop, and records what was told. If it is dropped, attempts under way are made again.
    ///
    /// It ends by itself if a turn panics: what is recorded holds, and another courier goes on from there.
    pub(super) async fn run(mut self, mut orders: watch::Receiver<Order>) {
        let mut news = self.sending.registry.outbox().news();
        loop {
            if let Err(error) = self.advance().await {
                let name = &self.sending.sender.endpoint.name;
                tracing::warn!(endpoint = name, %error, "cannot read the outbox; trying again");
                self.paused_until = Instant::now() + ERROR_PAUSE;
            }
            let wake = self.wake();
            tokio::select! {
                Some(ended) = self.turns.join_next() => match ended {
                    Ok(ended) => self.end(ended),
                    // its events are in no hand any more: the next courier begins with what is recorded
                    Err(_) => return,
                },
                outcome = finished(&mut self.recording) => self.end_record(outcome),
                Ok(()) = news.changed(), if self.read_at.is_none() => {
                    self.read_at = Some(Instant::now() + GATHERING);
                }
                () = tokio::time::sleep_until(wake.into()) => {}
                changed = orders.changed() => {
                    let order = *orders.borrow_and_update();
                    if changed.is_err() || order == Order::Stop {
                        break;
                    }
                    let now = Instant::now();
                    (self.read_at, self.queues_at) = (Some(now), Some(now));
                }
            }
        }
        self.finish().await;
    }

    /// Does whatever can be done now.
    async fn advance(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        if now >= self.paused_until {
            while self.read_at.is_some_and(|at| now >= at) && self.ledger.has_room() {
                self.read().await?;
            }
            self.begin_turns().await?;
        }
        if now >= self.record_at || !self.ledger.has_room() {
            self.begin_record();
        }
        if now >= self.count_at {
            self.count().await;
        }
        Ok(())
    }

    /// Returns when there is something to be done, whatever else happens.
    fn wake(&self) -> Instant {
        let now = Instant::now();
        let mut wake = self.count_at.min(now + LONGEST);
        if !self.ledger.is_idle() && self.recording.is_none() {
            wake = wake.min(self.record_at);
        }
        if self.ledger.has_room() {
            wake = self.read_at.map_or(wake, |at| wake.min(at));
            if self.free() > 0 {
                let unrecorded = self.ledger.next_due().map(instant);
                let due = self.queues_at.into_iter().chain(unrecorded);
                wake = due.fold(wake, Instant::min);
            }
        }
        wake.max(self.paused_until)
    }

    fn free(&self) -> usize {
        AT_ONCE.saturating_sub(self.ledger.turns())
    }

    /// Reads new events, and those that somebody asked for.
    async fn read(&mut self) -> Result<(), Error> {
        let outbox = self.sending.registry.outbox();
        let endpoint = &self.sending.sender.endpoint;
        let (new, asked) = outbox
            .new_events(&endpoint.name, self.ledger.read(), PAGE)
            .await?;
        self.read_at = (new.len() == PAGE).then(Instant::now);
        let delay = endpoint.delay();
        for new in new {
            match endpoint.wants(&new.event) {
                true => {
                    self.counters.events.add(1);
                    self.ledger.add(new, delay);
                }
                false => self.ledger.skip(new.event.id),
            }
        }
        let time = now();
        for asked in asked {
            if asked.due_at > time || self.free() == 0 {
                // the first one that is due later, or has no room now
                let at = instant(asked.due_at).max(Instant::now() + ERROR_PAUSE);
                self.read_at = Some(self.read_at.map_or(at, |read_at| read_at.min(at)));
                break;
            }
            if self.ledger.begin_asked(asked.event.id) {
                self.turns.spawn(self.sending.clone().asked(asked));
            }
        }
        Ok(())
    }

    async fn begin_turns(&mut self) -> Result<(), Error> {
        while self.free() > 0
            && let Some((repository, events)) = self.ledger.begin_fresh()
        {
            self.turns
                .spawn(self.sending.clone().fresh(repository, events));
        }
        if !self.ledger.has_room() {
            return Ok(());
        }
        for queue in self.ledger.due(now(), self.free()) {
            self.begin_queue(queue);
        }
        if self.free() > 0 && self.queues_at.is_some_and(|at| Instant::now() >= at) {
            self.begin_recorded().await?;
        }
        Ok(())
    }

    /// Begins the turns of queues that are due, as the database has them.
    async fn begin_recorded(&mut self) -> Result<(), Error> {
        let limit = AT_ONCE + 1 + self.ledger.unrecorded_count();
        let name = &self.sending.sender.endpoint.name;
        let queues = self.sending.registry.outbox().queues(name, limit).await?;
        let time = now();
        self.queues_at = None;
        for queue in queues {
            if !self.ledger.is_free(&queue.repository) {
                continue;
            }
            if queue.due_at > time || self.free() == 0 {
                self.queues_at = Some(instant(queue.due_at));
                break;
            }
            self.begin_queue(queue);
        }
        Ok(())
    }

    fn begin_queue(&mut self, queue: Queue) {
        let to = self.ledger.begin_queue(&queue);
        self.turns.spawn(self.sending.clone().queued(queue, to));
    }

    /// Notes what became of a turn.
    fn end(&mut self, ended: Ended) {
        for attempt in &ended.attempts {
            self.count_attempt(attempt);
        }
        if matches!(ended.lane, Lane::Event(_)) {
            // others may have had no room
            self.read_at.get_or_insert_with(Instant::now);
        }
        self.ledger
            .end(ended.lane, ended.attempts, ended.left, now());
    }

    fn begin_record(&mut self) {
        self.record_at = Instant::now() + RECORD_INTERVAL;
        if self.recording.is_some() {
            return;
        }
        if let Some(told) = self.ledger.begin_record(now()) {
            self.submit(Arc::new(told));
        }
    }

    fn submit(&mut self, told: Arc<Told>) {
        let (registry, sender) = (
            self.sending.registry.clone(),
            Arc::clone(&self.sending.sender),
        );
        let submitted = Arc::clone(&told);
        let record = async move {
            let name = &sender.endpoint.name;
            registry.outbox().record(name, submitted).await
        };
        self.recording = Some((Box::pin(record), told));
    }

    fn end_record(&mut self, outcome: Result<(), Error>) {
        let Some((_, told)) = self.recording.take() else {
            return;
        };
        match outcome {
            Ok(()) => {
                self.ledger.end_record(told.cursor);
                if !told.behind.is_empty() {
                    self.queues_at = Some(Instant::now());
                }
            }
            Err(error) => {
                // what is not recorded would be sent again, and again
                let name = &self.sending.sender.endpoint.name;
                tracing::warn!(endpoint = name, %error, "cannot record deliveries; trying again");
                let registry = self.sending.registry.clone();
                let (name, submitted) = (name.clone(), Arc::clone(&told));
                let record = async move {
                    tokio::time::sleep(ERROR_PAUSE).await;
                    registry.outbox().record(&name, submitted).await
                };
                self.recording = Some((Box::pin(record), told));
            }
        }
    }

    /// Ends the turns, and records what they did.
    async fn finish(mut self) {
        while let Some(Ok(ended)) = self.turns.join_next().await {
            self.end(ended);
        }
        if !self.turns.is_empty() {
            return;
        }
        self.ledger.leave_all(now());
        if self.recording.is_some() {
            let outcome = finished(&mut self.recording).await;
            self.end_record(outcome);
        }
        let Some(told) = self.ledger.begin_record(now()) else {
            return;
        };
        let name = &self.sending.sender.endpoint.name;
        let outbox = self.sending.registry.outbox();
        if let Err(error) = outbox.record_last(name, Arc::new(told)).await {
            tracing::warn!(endpoint = name, %error, "cannot record the last deliveries: they are made again");
        }
    }

    async fn count(&mut self) {
        self.count_at = Instant::now() + COUNT_INTERVAL;
        let name = &self.sending.sender.endpoint.name;
        let waiting = self.sending.registry.outbox().count_waiting(name).await;
        if let Ok(waiting) = waiting {
            let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
            self.counters.waiting.set(waiting);
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
                endpoint = self.sending.sender.endpoint.name,
                event = attempt.event,
                status = attempt.status,
                "an event could not be delivered and is not tried any more: see registry webhook deliveries --failed"
            );
        }
    }
}

/// Waits for a record; for ever if nothing is being recorded.
async fn finished(recording: &mut Option<(Recording, Arc<Told>)>) -> Result<(), Error> {
    match recording {
        Some((recording, _)) => recording.await,
        None => std::future::pending().await,
    }
}

/// Converts a time of the clock.
fn instant(time: Millis) -> Instant {
    let left = u64::try_from(time.saturating_sub(now())).unwrap_or_default();
    Instant::now() + Duration::from_millis(left).min(LONGEST)
}
