//! Bookkeeping of a courier: what its endpoint was told, what it is being told, and what it is behind with. No IO.
//!
//! New events of a repository are sent as they are read. Where that fails, or takes long, the repository gets a queue: a place in
//! the list of events, from which on its events are read when they are due. Whatever is lost with the process was recorded
//! as untold, and is sent again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::events::Event;
use crate::registry::{Attempt, Millis, NewEvent, Queue, Told};

/// Maximum number of events in memory.
const WINDOW: usize = 500;
/// Maximum number of events of a repository in one turn.
const IN_A_ROW: usize = 100;
/// Time within which a new event is sent, before its repository gets a queue.
const PROMPT: Duration = Duration::from_secs(1);

/// Sequence that is kept: all about a repository, or an event that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    Repository(String),
    Event(i64),
}

/// Ledger of one endpoint.
pub(super) struct Ledger {
    /// Number of the last event that was read.
    read: i64,
    /// Number of the event up to which the record goes.
    recorded: i64,
    /// New events that are neither told nor left to a queue: when they were read, and their repository.
    open: BTreeMap<i64, (Instant, String)>,
    /// Those of them that are not being sent.
    fresh: HashMap<String, VecDeque<Event>>,
    /// Repositories of `fresh` whose turn can begin.
    ready: VecDeque<String>,
    turns: HashMap<Lane, Hand>,
    unrecorded: Unrecorded,
    /// Changes that are being recorded.
    recording: Unrecorded,
    is_recording: bool,
}

/// Events that a turn has in hand.
#[derive(Debug)]
struct Hand {
    /// New events; none if it works on a queue.
    events: Vec<i64>,
    /// Number of the last event that it looks at.
    to: i64,
    /// True if its repository has later events, which were left to the queue.
    has_more: bool,
}

/// Changes of the record.
#[derive(Debug, Default)]
struct Unrecorded {
    attempts: Vec<Attempt>,
    /// `None` of repositories that the endpoint is not behind with any more.
    queues: HashMap<String, Option<Queue>>,
}

impl Ledger {
    /// Returns the ledger of an endpoint that was told up to the event numbered `cursor`.
    pub fn new(cursor: i64) -> Self {
        Self {
            read: cursor,
            recorded: cursor,
            open: BTreeMap::new(),
            fresh: HashMap::new(),
            ready: VecDeque::new(),
            turns: HashMap::new(),
            unrecorded: Unrecorded::default(),
            recording: Unrecorded::default(),
            is_recording: false,
        }
    }

    /// Number of the last event that was read.
    pub fn read(&self) -> i64 {
        self.read
    }

    /// Number of turns.
    pub fn turns(&self) -> usize {
        self.turns.len()
    }

    /// Reports whether more can be read and sent.
    pub fn has_room(&self) -> bool {
        self.open.len() < WINDOW && self.unrecorded.attempts.len() < WINDOW
    }

    /// True if there is nothing to be sent, and nothing to be recorded.
    pub fn is_idle(&self) -> bool {
        self.turns.is_empty() && self.open.is_empty() && self.is_recorded()
    }

    /// Adds an event that was read, and is told of: to those that are sent, or to its repository's queue.
    pub fn add(&mut self, new: NewEvent, delay: Millis) {
        let event = new.event;
        self.read = event.id;
        let repository = event.repository.clone().unwrap_or_default();
        if self.is_behind(&repository, new.is_behind) {
            if let Some(hand) = self.turns.get_mut(&Lane::Repository(repository)) {
                hand.has_more = true;
            }
            return;
        }
        if delay > 0 {
            let due_at = event.at.saturating_add(delay);
            self.set_queue(queue(repository, event.id, due_at));
            return;
        }
        self.open
            .insert(event.id, (Instant::now(), repository.clone()));
        let events = self.fresh.entry(repository.clone()).or_default();
        events.push_back(event);
        let is_busy = self
            .turns
            .contains_key(&Lane::Repository(repository.clone()));
        if events.len() == 1 && !is_busy {
            self.ready.push_back(repository);
        }
    }

    /// Notes that an event was read of which the endpoint is not told.
    pub fn skip(&mut self, event: i64) {
        self.read = event;
    }

    /// Begins the turn of a repository that has new events.
    pub fn begin_fresh(&mut self) -> Option<(String, Vec<Event>)> {
        let repository = self.ready.pop_front()?;
        let mut events = self.fresh.remove(&repository)?;
        let rest = events.split_off(events.len().min(IN_A_ROW));
        if !rest.is_empty() {
            self.fresh.insert(repository.clone(), rest);
        }
        let hand = Hand {
            events: events.iter().map(|event| event.id).collect(),
            to: events.back().map_or(self.read, |event| event.id),
            has_more: false,
        };
        self.turns
            .insert(Lane::Repository(repository.clone()), hand);
        Some((repository, events.into()))
    }

    /// Begins the turn of a queue; returns the number of the last event that it may send.
    pub fn begin_queue(&mut self, queue: &Queue) -> i64 {
        let lane = Lane::Repository(queue.repository.clone());
        self.turns.insert(lane, self.empty_hand());
        self.read
    }

    /// Begins to send an event that somebody asked for; false if that is done already.
    pub fn begin_asked(&mut self, event: i64) -> bool {
        let mut attempts = self
            .unrecorded
            .attempts
            .iter()
            .chain(&self.recording.attempts);
        if self.turns.contains_key(&Lane::Event(event))
            || attempts.any(|attempt| attempt.event == event)
        {
            return false;
        }
        self.turns.insert(Lane::Event(event), self.empty_hand());
        true
    }

    fn empty_hand(&self) -> Hand {
        Hand {
            events: Vec::new(),
            to: self.read,
            has_more: false,
        }
    }

    /// Ends a turn, with the queue that it leaves.
    pub fn end(&mut self, lane: Lane, attempts: Vec<Attempt>, left: Option<Queue>, now: Millis) {
        self.unrecorded.attempts.extend(attempts);
        let (Some(hand), Lane::Repository(repository)) = (self.turns.remove(&lane), lane) else {
            return;
        };
        let was_fresh = !hand.events.is_empty();
        for event in &hand.events {
            self.open.remove(event);
        }
        match left {
            Some(left) => {
                self.drop_fresh(&repository);
                self.set_queue(left);
            }
            None if !was_fresh && hand.has_more => {
                self.set_queue(queue(repository, hand.to + 1, now));
            }
            None if !was_fresh => {
                self.unrecorded.queues.insert(repository, None);
            }
            None if self.fresh.contains_key(&repository) => self.ready.push_back(repository),
            None => {}
        }
    }

    /// Lists queues that are due and not recorded yet, at most `limit`.
    pub fn due(&self, now: Millis, limit: usize) -> Vec<Queue> {
        let queues = self.unrecorded_queues();
        let due = queues.filter(|queue| queue.due_at <= now);
        due.take(limit).cloned().collect()
    }

    /// Returns when the next of the queues is due that are not recorded yet.
    pub fn next_due(&self) -> Option<Millis> {
        self.unrecorded_queues().map(|queue| queue.due_at).min()
    }

    fn unrecorded_queues(&self) -> impl Iterator<Item = &Queue> {
        let older = self.recording.queues.iter();
        let older =
            older.filter(|(repository, _)| !self.unrecorded.queues.contains_key(*repository));
        let queues = self.unrecorded.queues.iter().chain(older);
        let queues = queues.filter_map(|(_, queue)| queue.as_ref());
        queues.filter(|queue| {
            !self
                .turns
                .contains_key(&Lane::Repository(queue.repository.clone()))
        })
    }

    /// Reports whether what the database has of a repository's queue holds, and no turn is under way.
    pub fn is_free(&self, repository: &str) -> bool {
        let lane = Lane::Repository(repository.to_owned());
        !self.turns.contains_key(&lane)
            && !self.unrecorded.queues.contains_key(repository)
            && !self.recording.queues.contains_key(repository)
    }

    /// Number of queues of which the record is not what they are.
    pub fn unrecorded_count(&self) -> usize {
        self.unrecorded.queues.len() + self.recording.queues.len() + self.turns.len()
    }

    /// Returns what is to be recorded; `None` if all of it is, or something is being recorded.
    pub fn begin_record(&mut self, now: Millis) -> Option<Told> {
        if self.is_recording {
            return None;
        }
        self.leave_to_queues(now, PROMPT);
        let cursor = self.cursor();
        if self.is_recorded() {
            return None;
        }
        self.is_recording = true;
        self.recording = std::mem::take(&mut self.unrecorded);
        let mut told = Told {
            attempts: self.recording.attempts.clone(),
            cursor,
            ..Told::default()
        };
        for (repository, queue) in &self.recording.queues {
            match queue {
                Some(queue) => told.behind.push(queue.clone()),
                None => told.caught_up.push(repository.clone()),
            }
        }
        Some(told)
    }

    /// Notes that it is recorded.
    pub fn end_record(&mut self, cursor: i64) {
        self.recorded = cursor;
        self.is_recording = false;
        self.recording = Unrecorded::default();
    }

    /// Leaves everything that is not sent to queues, for a later courier.
    pub fn leave_all(&mut self, now: Millis) {
        self.leave_to_queues(now, Duration::ZERO);
    }

    fn is_recorded(&self) -> bool {
        self.unrecorded.attempts.is_empty()
            && self.unrecorded.queues.is_empty()
            && self.cursor() == self.recorded
    }

    fn cursor(&self) -> i64 {
        let open = self.open.first_key_value();
        open.map_or(self.read, |(first, _)| first - 1)
    }

    /// Gives repositories queues whose events were read that long ago.
    fn leave_to_queues(&mut self, now: Millis, age: Duration) {
        while let Some((first, (since, repository))) = self.open.first_key_value()
            && since.elapsed() >= age
        {
            let (first, repository) = (*first, repository.clone());
            let had_fresh = self.drop_fresh(&repository);
            if let Some(hand) = self.turns.get_mut(&Lane::Repository(repository.clone())) {
                hand.has_more |= had_fresh;
                for event in std::mem::take(&mut hand.events) {
                    self.open.remove(&event);
                }
            }
            self.set_queue(queue(repository, first, now));
        }
    }

    /// Forgets the events of a repository that are not being sent; reports whether there were any.
    fn drop_fresh(&mut self, repository: &str) -> bool {
        let Some(events) = self.fresh.remove(repository) else {
            return false;
        };
        for event in &events {
            self.open.remove(&event.id);
        }
        self.ready.retain(|ready| ready != repository);
        true
    }

    fn set_queue(&mut self, queue: Queue) {
        let repository = queue.repository.clone();
        self.unrecorded.queues.insert(repository, Some(queue));
    }

    fn is_behind(&self, repository: &str, is_recorded: bool) -> bool {
        let known = self.unrecorded.queues.get(repository);
        let known = known.or_else(|| self.recording.queues.get(repository));
        known.map_or(is_recorded, Option::is_some)
    }
}

/// A queue that has not failed.
fn queue(repository: String, next: i64, due_at: Millis) -> Queue {
    Queue {
        repository,
        next,
        due_at,
        attempts: 0,
        waited: 0,
        carried: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{EventActor, EventKind};

    /// A database, and receivers of some repositories' events.
    #[derive(Default)]
    struct World {
        events: Vec<Event>,
        queues: HashMap<String, Queue>,
        cursor: i64,
        received: HashMap<String, Vec<i64>>,
        random: u64,
    }

    impl World {
        fn below(&mut self, limit: u64) -> u64 {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            (self.random >> 16) % limit
        }

        fn happen(&mut self) {
            let repository = format!("r{}", self.below(3));
            let id = self.events.len() as i64 + 1;
            self.events.push(Event {
                id,
                uuid: String::new(),
                at: 0,
                kind: EventKind::TagMoved,
                repository: Some(repository),
                tag: None,
                target: None,
                former: None,
                from_repository: None,
                references: Vec::new(),
                actor: EventActor::default(),
                request: None,
                detail: None,
            });
        }

        fn read(&mut self, ledger: &mut Ledger) {
            let new = self.events.iter().skip(ledger.read() as usize).take(3);
            for event in new.cloned().collect::<Vec<_>>() {
                let is_behind = self
                    .queues
                    .contains_key(event.repository.as_deref().unwrap());
                ledger.add(NewEvent { event, is_behind }, 0);
            }
        }

        fn record(&mut self, ledger: &mut Ledger, age: Duration) {
            ledger.leave_to_queues(0, age);
            let Some(told) = ledger.begin_record(0) else {
                return;
            };
            self.cursor = told.cursor;
            for queue in told.behind {
                self.queues.insert(queue.repository.clone(), queue);
            }
            for repository in told.caught_up {
                self.queues.remove(&repository);
            }
            ledger.end_record(told.cursor);
        }

        /// Sends events until one fails by chance; returns the place of that one.
        fn send(&mut self, repository: &str, events: &[i64]) -> Option<i64> {
            for event in events {
                if self.below(5) == 0 {
                    return Some(*event);
                }
                let received = self.received.entry(repository.to_owned()).or_default();
                if !received.contains(event) {
                    received.push(*event);
                }
            }
            None
        }
    }

    /// Turns that have begun: their repository and events.
    type Turns = Vec<(String, Vec<i64>)>;

    fn begin(world: &mut World, ledger: &mut Ledger, turns: &mut Turns) {
        if let Some((repository, events)) = ledger.begin_fresh() {
            turns.push((repository, events.iter().map(|event| event.id).collect()));
        }
        let recorded = world.queues.values();
        let recorded = recorded.filter(|queue| ledger.is_free(&queue.repository));
        let due = ledger.due(0, 1).into_iter().chain(recorded.cloned()).next();
        if let Some(queue) = due {
            let to = ledger.begin_queue(&queue);
            let events = world.events.iter().filter(|event| {
                event.repository.as_ref() == Some(&queue.repository)
                    && (queue.next..=to).contains(&event.id)
            });
            turns.push((
                queue.repository.clone(),
                events.map(|event| event.id).collect(),
            ));
        }
    }

    /// Whatever fails, is late or crashes, everything arrives, and first in its order.
    #[test]
    fn everything_arrives_in_order() {
        for seed in 1..400 {
            let mut world = World {
                random: seed * 0x9e37_79b9,
                ..World::default()
            };
            let (mut ledger, mut turns) = (Ledger::new(0), Turns::new());
            for step in 0..400 {
                match world.below(12) {
                    0..=2 if step < 300 => world.happen(),
                    3 | 4 => world.read(&mut ledger),
                    5 | 6 => begin(&mut world, &mut ledger, &mut turns),
                    7 | 8 if !turns.is_empty() => {
                        let place = world.below(turns.len() as u64) as usize;
                        let (repository, events) = turns.swap_remove(place);
                        let failed = world.send(&repository, &events);
                        let left = failed.map(|next| queue(repository.clone(), next, 0));
                        ledger.end(Lane::Repository(repository), Vec::new(), left, 0);
                    }
                    9 => world.record(&mut ledger, PROMPT),
                    10 => world.record(&mut ledger, Duration::ZERO),
                    11 if world.below(4) == 0 => {
                        (ledger, turns) = (Ledger::new(world.cursor), Turns::new());
                    }
                    _ => {}
                }
                let lanes: Vec<_> = turns.iter().map(|(repository, _)| repository).collect();
                assert!(
                    (1..lanes.len()).all(|n| !lanes[n..].contains(&lanes[n - 1])),
                    "{lanes:?}"
                );
            }
            for _ in 0..2000 {
                world.read(&mut ledger);
                begin(&mut world, &mut ledger, &mut turns);
                while let Some((repository, events)) = turns.pop() {
                    let failed = world.send(&repository, &events);
                    let left = failed.map(|next| queue(repository.clone(), next, 0));
                    ledger.end(Lane::Repository(repository), Vec::new(), left, 0);
                }
                world.record(&mut ledger, PROMPT);
            }
            for (repository, received) in &world.received {
                let all = world
                    .events
                    .iter()
                    .filter(|event| event.repository.as_ref() == Some(repository));
                let all: Vec<_> = all.map(|event| event.id).collect();
                assert_eq!(*received, all, "seed {seed}, {repository}");
            }
            assert!(ledger.is_idle() && world.queues.is_empty(), "seed {seed}");
        }
    }
}
