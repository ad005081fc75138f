//! Budget of memory for content that clients have not received: per connection, and in total.
//!
//! Windows shrink as the budget is used up. When it is, a body gets small windows, each once the client has received
//! the one before: slow clients hold little, however many responses they request, and delay no other client. Lists,
//! which exist as a whole or not at all, have a room inside the total (`list_room.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::AbortHandle;
use futures_util::task::AtomicWaker;
use http::request::Parts;

/// Largest window, in bytes.
pub(crate) const LARGEST: u64 = 256 << 10;
/// Smallest window, in bytes. Content that fits into it is not worth counting.
pub(crate) const SMALLEST: u64 = 16 << 10;
/// Divisor of the free budget that one window may use: three pulls over one connection still get the largest.
const SHARE: u64 = 4;
/// Approximate cost of a window beside its bytes: hyper's bookkeeping is larger than the smallest parts of a file.
const OVERHEAD: u64 = 512;
/// Budget of one connection, and of all, in bytes.
const PER_CONNECTION: u64 = 2 << 20;
const IN_TOTAL: u64 = 64 << 20;

/// Budget of one connection, inside the total.
#[derive(Clone)]
pub(crate) struct SendBudget {
    account: Arc<Budget>,
    /// Ends the connection.
    end: AbortHandle,
}

/// Budget of all connections.
#[derive(Clone)]
pub(crate) struct TotalBudget(Arc<Budget>);

struct Budget {
    limit: u64,
    held: AtomicU64,
    parent: Option<Arc<Budget>>,
}

impl Budget {
    /// Returns the size of the largest window that fits.
    fn window(&self) -> u64 {
        let own = self.limit.saturating_sub(self.held.load(Ordering::Relaxed)) / SHARE;
        self.parent
            .as_ref()
            .map_or(own, |parent| own.min(parent.window()))
    }

    fn charge(&self, bytes: u64) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        if let Some(parent) = &self.parent {
            parent.charge(bytes);
        }
    }

    fn release(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(parent) = &self.parent {
            parent.release(bytes);
        }
    }
}

impl Default for TotalBudget {
    fn default() -> Self {
        Self(Arc::new(Budget {
            limit: IN_TOTAL,
            held: AtomicU64::default(),
            parent: None,
        }))
    }
}

impl TotalBudget {
    /// Returns the budget of a connection, which `end` ends.
    pub(crate) fn connection(&self, end: AbortHandle) -> SendBudget {
        let parent = Some(Arc::clone(&self.0));
        SendBudget {
            account: Arc::new(Budget {
                limit: PER_CONNECTION,
                held: AtomicU64::default(),
                parent,
            }),
            end,
        }
    }

    /// Charges bytes of no connection in particular.
    pub(crate) fn charge(&self, bytes: u64) -> Charge {
        Charge::new(&self.0, bytes)
    }
}

impl Default for SendBudget {
    fn default() -> Self {
        TotalBudget::default().connection(AbortHandle::new_pair().0)
    }
}

impl SendBudget {
    /// Returns the budget of the connection over which a request came.
    pub(crate) fn of(head: &Parts) -> Self {
        head.extensions.get().cloned().unwrap_or_default()
    }

    pub(crate) fn body(&self) -> Windows {
        Windows {
            account: Arc::clone(&self.account),
            own: Arc::default(),
        }
    }

    /// Charges content that is in memory as a whole; content of up to [`SMALLEST`] bytes is free. Returns `None` if the
    /// budget has no window of that size.
    pub(crate) fn hold(&self, content: &Bytes) -> Option<Bytes> {
        let size = content.len() as u64;
        if size <= SMALLEST {
            return Some(content.clone());
        }
        (size <= self.account.window()).then(|| self.body().hold(content.clone()).freeze())
    }

    /// Returns the handle that ends the connection.
    pub(crate) fn end(&self) -> &AbortHandle {
        &self.end
    }
}

/// Share of a budget, returned when it is dropped.
pub(crate) struct Charge {
    cost: u64,
    account: Arc<Budget>,
}

impl Charge {
    fn new(account: &Arc<Budget>, cost: u64) -> Self {
        account.charge(cost);
        Self {
            cost,
            account: Arc::clone(account),
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.release(self.cost);
    }
}

/// Windows of one body.
pub(crate) struct Windows {
    account: Arc<Budget>,
    own: Arc<Held>,
}

#[derive(Default)]
struct Held {
    held: AtomicU64,
    /// Woken when nothing is held.
    waker: AtomicWaker,
}

impl Windows {
    /// Returns the size of the next window; pending while the budget is used up and the client has windows to receive.
    pub(crate) fn poll_size(&self, cx: &mut Context<'_>) -> Poll<u64> {
        let size = self.account.window();
        if size >= SMALLEST {
            return Poll::Ready(size.min(LARGEST));
        }
        // before the check, or a release in between would wake no task
        self.own.waker.register(cx.waker());
        if self.own.held.load(Ordering::Acquire) == 0 {
            Poll::Ready(SMALLEST)
        } else {
            Poll::Pending
        }
    }

    /// Creates a window of `size` bytes to be filled.
    pub(crate) fn open(&self, size: u64) -> Window {
        self.hold(vec![0; size as usize])
    }

    /// Creates a window of bytes that are in memory already.
    pub(crate) fn hold<B: AsRef<[u8]>>(&self, bytes: B) -> Window<B> {
        let cost = bytes.as_ref().len() as u64 + OVERHEAD;
        self.own.held.fetch_add(cost, Ordering::Relaxed);
        Window {
            bytes,
            charge: Charge::new(&self.account, cost),
            own: Arc::clone(&self.own),
        }
    }
}

/// Bytes that count against the budget until they are dropped.
pub(crate) struct Window<B = Vec<u8>> {
    pub bytes: B,
    charge: Charge,
    own: Arc<Held>,
}

impl<B: AsRef<[u8]> + Send + 'static> Window<B> {
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Window<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl<B> Drop for Window<B> {
    fn drop(&mut self) {
        let cost = self.charge.cost;
        if self.own.held.fetch_sub(cost, Ordering::AcqRel) == cost {
            self.own.waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes windows until the budget is used up; returns their total size.
    fn take_all(windows: &Windows, held: &mut Vec<Window>) -> u64 {
        let mut sum = 0;
        while let Poll::Ready(size) = windows.poll_size(&mut Context::from_waker(Waker::noop())) {
            held.push(windows.open(size));
            sum += size;
        }
        sum
    }

    #[test]
    fn a_client_that_reads_nothing_holds_little_and_delays_no_other() {
        let all = TotalBudget::default();
        let mut held = Vec::new();
        let greedy = all.connection(AbortHandle::new_pair().0);
        let bodies: Vec<_> = (0..128).map(|_| greedy.body()).collect();
        let sum: u64 = bodies
            .iter()
            .map(|windows| take_all(windows, &mut held))
            .sum();
        assert!(sum <= PER_CONNECTION + 128 * SMALLEST, "{sum}");
        // another connection has its whole budget
        assert_eq!(
            all.connection(AbortHandle::new_pair().0)
                .body()
                .poll_size(&mut Context::from_waker(Waker::noop())),
            Poll::Ready(LARGEST)
        );
        let connections: Vec<_> = (0..200)
            .map(|_| all.connection(AbortHandle::new_pair().0))
            .collect();
        let sum: u64 = sum
            + connections
                .iter()
                .map(|connection| take_all(&connection.body(), &mut held))
                .sum::<u64>();
        assert!(sum <= IN_TOTAL + 400 * SMALLEST, "{sum}");
        // small windows, one after the other, are always available
        let late = all.connection(AbortHandle::new_pair().0).body();
        for _ in 0..10 {
            let mut one = Vec::new();
            assert_eq!(take_all(&late, &mut one), SMALLEST);
        }
        held.clear();
        assert_eq!(
            (
                all.0.held.load(Ordering::Relaxed),
                greedy.account.held.load(Ordering::Relaxed)
            ),
            (0, 0)
        );
    }

    #[test]
    fn a_received_window_wakes_its_body() {
        let all = TotalBudget::default();
        let (connection, mut held) = (all.connection(AbortHandle::new_pair().0), Vec::new());
        take_all(&connection.body(), &mut held);
        let windows = connection.body();
        let (counter, waker) = counting_waker();
        let small = windows.open(SMALLEST);
        assert!(
            windows
                .poll_size(&mut Context::from_waker(&waker))
                .is_pending()
        );
        drop(small.freeze());
        assert_eq!(counter.0.load(Ordering::Relaxed), 1);
        assert_eq!(
            windows.poll_size(&mut Context::from_waker(&waker)),
            Poll::Ready(SMALLEST)
        );
    }

    struct Woken(AtomicU64);

    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counting_waker() -> (Arc<Woken>, Waker) {
        let counter = Arc::new(Woken(AtomicU64::default()));
        (Arc::clone(&counter), Waker::from(counter))
    }
}
