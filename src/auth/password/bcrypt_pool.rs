//! Bounded pool of blocking threads that compare passwords with bcrypt hashes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::bcrypt_hash::BcryptHash;
use super::cache::{Fingerprint, PasswordCache};
use super::fair_queue::FairQueue;
use crate::auth::throttle::{FailedLogin, Throttle};
use crate::client_key;
use crate::log_limit::LogLimiter;

/// Time that a full queue takes to drain, approximately, with every core at work.
const DRAIN_TIME: Duration = Duration::from_secs(10);
/// Assumed time of one hash of cost 10; each further cost doubles it.
const TIME_AT_COST_10: Duration = Duration::from_millis(50);
/// Maximum queue length for each core, however cheap the hashes are.
const QUEUED_PER_CORE: u64 = 2000;
/// Retry time for a client rejected by a full queue.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Minimum interval between log lines about a full queue.
const FULL_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Password to be compared with a user's hash.
pub(super) struct PasswordCheck {
    pub(super) fingerprint: Fingerprint,
    pub(super) user: String,
    pub(super) password: Vec<u8>,
    /// The user's hash; for an unknown user, `usual`.
    pub(super) hash: BcryptHash,
    /// A hash of the commonest cost in the file.
    pub(super) usual: BcryptHash,
    pub(super) is_user: bool,
    pub(super) address: Option<IpAddr>,
}

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Correct,
    Wrong,
    /// The password was not compared, and may be sent again after this time.
    Unchecked {
        wait: Duration,
    },
}

/// Bounded bcrypt worker pool; clones share it.
#[derive(Clone)]
pub(super) struct BcryptPool(Arc<Shared>);

struct Shared {
    /// As many as there are cores, but two at least, so that costly hashes leave one to the others.
    threads: usize,
    work: Mutex<Work>,
    cache: Arc<PasswordCache>,
    throttle: Arc<Throttle>,
    full: LogLimiter<()>,
}

#[derive(Default)]
struct Work {
    /// Checks that are queued or running, to be joined by equal ones.
    pending: HashMap<Fingerprint, watch::Receiver<Option<Outcome>>>,
    queue: FairQueue<Option<IpAddr>, Job>,
    /// Checks of hashes costlier than the usual one, which run on half of the threads only.
    costly: FairQueue<Option<IpAddr>, Job>,
    costly_running: usize,
    /// Number of pending checks of each client.
    clients: HashMap<Option<IpAddr>, usize>,
    workers: usize,
}

struct Job {
    check: PasswordCheck,
    outcome: watch::Sender<Option<Outcome>>,
}

impl PasswordCheck {
    /// True if the user's hash is costlier than most.
    fn is_costly(&self) -> bool {
        self.hash.cost() > self.usual.cost()
    }
}

impl Work {
    fn queue_for(&mut self, check: &PasswordCheck) -> &mut FairQueue<Option<IpAddr>, Job> {
        if check.is_costly() {
            &mut self.costly
        } else {
            &mut self.queue
        }
    }
}

impl BcryptPool {
    pub(super) fn new(cache: Arc<PasswordCache>, throttle: Arc<Throttle>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = cores.max(2);
        let full = LogLimiter::new("full queue of passwords", FULL_LOG_INTERVAL, 1);
        Self(Arc::new(Shared {
            threads,
            work: Mutex::default(),
            cache,
            throttle,
            full,
        }))
    }

    /// Compares a password with a user's hash; a wrong one counts as a failed login.
    ///
    /// The check continues if the client disconnects, so that every guess has its full price: the time of a hash of
    /// the commonest cost, even if the user's own is cheaper, so that time does not reveal who is a user.
    pub(super) async fn check(&self, check: PasswordCheck) -> Outcome {
        let Some(mut outcome) = self.join(check) else {
            // not a failed login: the client has done nothing wrong
            if self.0.full.may_log(()) {
                tracing::warn!("the queue of passwords to be checked is full; logins are rejected");
            }
            return Outcome::Unchecked { wait: RETRY_AFTER };
        };
        // a sender dropped without an outcome means that the runtime is shutting down
        outcome
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|outcome| *outcome)
            .unwrap_or(Outcome::Unchecked { wait: RETRY_AFTER })
    }

    /// Returns the number of checks that are queued or running.
    pub(super) fn queued(&self) -> usize {
        self.0.work.lock().pending.len()
    }

    /// Reports whether a check of this client is queued or running.
    pub(super) fn has_check_of(&self, client: Option<IpAddr>) -> bool {
        self.0.work.lock().clients.contains_key(&client)
    }

    /// Joins an equal check that is pending, or queues this one.
    ///
    /// Returns `None` if the queue is full, or half full of checks of the same client.
    fn join(&self, check: PasswordCheck) -> Option<watch::Receiver<Option<Outcome>>> {
        let client = check.address.map(client_key::of);
        let mut work = self.0.work.lock();
        if let Some(outcome) = work.pending.get(&check.fingerprint) {
            return Some(outcome.clone());
        }
        let capacity = capacity(check.usual.cost().max(check.hash.cost()), self.0.threads);
        let queue = work.queue_for(&check);
        if queue.len() >= capacity || queue.len_of(&client) >= capacity / 2 {
            return None;
        }
        let (sender, outcome) = watch::channel(None);
        work.pending.insert(check.fingerprint, outcome.clone());
        *work.clients.entry(client).or_default() += 1;
        let job = Job {
            check,
            outcome: sender,
        };
        work.queue_for(&job.check).push(client, job);
        if work.workers < self.0.threads {
            work.workers += 1;
            drop(work);
            Shared::spawn_worker(Arc::clone(&self.0));
        }
        Some(outcome)
    }
}

/// Returns the queue's capacity for hashes of this cost.
fn capacity(cost: u32, threads: usize) -> usize {
    let time = TIME_AT_COST_10.as_micros() << cost >> 10;
    let per_core = u64::try_from(DRAIN_TIME.as_micros() / time.max(1))
        .unwrap_or(u64::MAX)
        .clamp(4, QUEUED_PER_CORE);
    threads * usize::try_from(per_core).unwrap_or(usize::MAX)
}

impl Shared {
    /// Runs queued jobs on a blocking thread.
    ///
    /// Each job is a separate task, so that a shutdown waits for one hash only.
    fn spawn_worker(shared: Arc<Self>) {
        tokio::task::spawn_blocking(move || {
            if let Some(job) = shared.next() {
                shared.run(job);
                Self::spawn_worker(shared);
            }
        });
    }

    /// Returns a worker's next job; without one the worker ends.
    fn next(&self) -> Option<Job> {
        let mut work = self.work.lock();
        if work.costly_running < self.threads / 2
            && let Some(job) = work.costly.pop()
        {
            work.costly_running += 1;
            return Some(job);
        }
        let job = work.queue.pop();
        if job.is_none() {
            work.workers -= 1;
        }
        job
    }

    fn run(&self, job: Job) {
        let Job {
            check,
            outcome: sender,
        } = job;
        // a panic is logged by its hook, and must not cost a worker
        let compared = panic::catch_unwind(AssertUnwindSafe(|| self.compare(&check)));
        let outcome = compared.unwrap_or(Outcome::Unchecked { wait: RETRY_AFTER });
        let client = check.address.map(client_key::of);
        if outcome == Outcome::Correct {
            // before it stops pending, so that an equal login finds it in one of the two
            self.cache.insert(check.fingerprint, client);
        }
        let mut work = self.work.lock();
        work.costly_running -= usize::from(check.is_costly());
        work.pending.remove(&check.fingerprint);
        if let Entry::Occupied(mut count) = work.clients.entry(client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        drop(work);
        sender.send_replace(Some(outcome));
    }

    fn compare(&self, check: &PasswordCheck) -> Outcome {
        // other checks of this client may have failed meanwhile
        if let Some(lockout) = self.throttle.lockout(check.address, Instant::now()) {
            return Outcome::Unchecked { wait: lockout.wait };
        }
        if check.hash.matches(&check.password) && check.is_user {
            return Outcome::Correct;
        }
        pay_difference(&check.hash, &check.usual, &check.password);
        let failed = FailedLogin {
            fingerprint: Some(check.fingerprint),
            user: &check.user,
            address: check.address,
            reason: wrong(check.is_user),
        };
        self.throttle.count_failure(failed, Instant::now());
        Outcome::Wrong
    }
}

/// Names what is wrong with a login that is no user's.
pub(super) fn wrong(is_user: bool) -> &'static str {
    match is_user {
        true => "wrong password",
        false => "unknown user",
    }
}

/// Spends the time by which the usual hash exceeds `hash`.
///
/// Each cost takes twice as long as the one before, so those from the hash's own up to the usual one add up to it.
fn pay_difference(hash: &BcryptHash, usual: &BcryptHash, password: &[u8]) {
    for cost in hash.cost()..usual.cost() {
        std::hint::black_box(BcryptHash::dummy(cost).matches(password));
    }
}

#[cfg(test)]
pub(super) mod tests;
