//! Budget of memory for heads of requests, over all connections: of those that are not complete, and, apart from them,
//! of those whose requests are being answered. An unfinished TLS handshake counts as such a head.
//!
//! Heads of ordinary size do not count, so that clients who send large ones slowly delay nobody else. Of unfinished
//! ones, only what a client was waited for counts.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Request;

use crate::client_parts::ClientParts;

/// Size of a head that does not count, in bytes: that of the buffer which every connection has anyway.
const ORDINARY: usize = 8 << 10;
/// Budget of all connections, in bytes.
const IN_TOTAL: usize = 32 << 20;
/// Part of it for unfinished heads of one client, in bytes.
const OF_CLIENT: usize = IN_TOTAL / 4;
/// Memory for a header beside its name and value, in bytes.
const OVERHEAD: usize = 104;

/// Budget of all connections: bytes that they hold.
#[derive(Clone)]
pub(crate) struct HeadBudget {
    total: Arc<AtomicUsize>,
    clients: Arc<ClientParts<AtomicUsize>>,
}

/// Budget of one connection: that of all, and its client's part of it.
#[derive(Clone)]
pub(crate) struct ConnectionHeads {
    total: Arc<AtomicUsize>,
    /// `None` for a client without a part: a proxy, or a Unix socket.
    client: Option<Arc<AtomicUsize>>,
}

/// Verdict on an unfinished head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Ordinary,
    /// It counts against the budget.
    Large,
    /// It counts, and the budget is used up: the connection must end.
    Excessive,
}

/// Head that a connection waits for. It returns to the budget what it holds when it is dropped.
pub(crate) struct Head {
    budget: ConnectionHeads,
    /// Number of its request.
    number: usize,
    arrived: usize,
    held: usize,
}

impl Head {
    pub(crate) fn new(budget: ConnectionHeads) -> Self {
        Self {
            budget,
            number: 0,
            arrived: 0,
            held: 0,
        }
    }

    /// Notes that `bytes` more have arrived.
    pub(crate) fn arrived(&mut self, bytes: usize) {
        self.arrived += bytes;
    }

    /// Counts what has arrived of the head of request `number`, which is not complete.
    pub(crate) fn wait_for(&mut self, number: usize) -> Size {
        if self.number != number {
            self.finish();
            self.number = number;
        }
        if self.arrived <= ORDINARY {
            return Size::Ordinary;
        }
        let more = self.arrived - self.held;
        self.held = self.arrived;
        if self.budget.add(more) {
            Size::Large
        } else {
            Size::Excessive
        }
    }

    /// Returns what it holds: the head is complete.
    pub(crate) fn finish(&mut self) {
        self.budget.remove(self.held);
        (self.arrived, self.held) = (0, 0);
    }
}

/// Share of a head whose request is being answered, returned when it is dropped.
pub(crate) struct HeadShare(Option<(HeadBudget, usize)>);

impl ConnectionHeads {
    /// Adds bytes; returns false if that is more than the budget has.
    fn add(&self, bytes: usize) -> bool {
        let fits = |held: &AtomicUsize, limit| {
            let before = held.fetch_add(bytes, Ordering::Relaxed);
            before + bytes <= limit
        };
        let fits_client = self
            .client
            .as_ref()
            .is_none_or(|held| fits(held, OF_CLIENT));
        fits(&self.total, IN_TOTAL) && fits_client
    }

    fn remove(&self, bytes: usize) {
        for held in std::iter::once(&self.total).chain(&self.client) {
            held.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl Default for HeadBudget {
    fn default() -> Self {
        Self {
            total: Arc::default(),
            clients: Arc::new(ClientParts::new(AtomicUsize::default)),
        }
    }
}

impl HeadBudget {
    /// Returns the budget of a connection from this address.
    pub(crate) fn of(&self, address: Option<IpAddr>) -> ConnectionHeads {
        ConnectionHeads {
            total: Arc::clone(&self.total),
            client: address.map(|address| self.clients.of(address)),
        }
    }

    /// Counts the head of a request, if it is large. Returns `None` if the budget is used up.
    pub(crate) fn hold<B>(&self, request: &Request<B>) -> Option<HeadShare> {
        let headers = request.headers().iter();
        let text = headers.map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD);
        let target = request.uri().path_and_query();
        let size = text.sum::<usize>() + target.map_or(0, |target| target.as_str().len());
        if size <= ORDINARY {
            return Some(HeadShare(None));
        }
        let before = self.total.fetch_add(size, Ordering::Relaxed);
        let share = HeadShare(Some((self.clone(), size)));
        (before + size <= IN_TOTAL).then_some(share)
    }
}

impl Drop for HeadShare {
    fn drop(&mut self) {
        if let Some((budget, size)) = &self.0 {
            budget.total.fetch_sub(*size, Ordering::Relaxed);
        }
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_heads_share_a_budget_and_return_it() {
        let budget = HeadBudget::default();
        let wait_from = |address, bytes| {
            let mut head = Head::new(budget.of(address));
            head.arrived(bytes);
            (head.wait_for(0), head)
        };
        let wait = |bytes| wait_from(None, bytes);
        let one = Some([192, 0, 2, 1].into());
        let mut held: Vec<_> = (0..9).map(|_| wait_from(one, 1 << 20)).collect();
        let sizes: Vec<_> = held.iter().map(|(size, _)| size).collect();
        assert!(sizes[..8].iter().all(|size| **size == Size::Large));
        assert_eq!(sizes[8], &Size::Excessive, "it is beyond its client's part");
        assert_eq!(wait(1 << 20).0, Size::Large);
        held.clear();
        held.extend((0..32).map(|_| wait(1 << 20)));
        assert!(held.iter().all(|(size, _)| *size == Size::Large));
        assert_eq!(wait(ORDINARY).0, Size::Ordinary);
        assert_eq!(wait(ORDINARY + 1).0, Size::Excessive);
        held[0].1.finish();
        assert_eq!(wait(1 << 20).0, Size::Large);
        // the next request over a connection begins anew
        assert_eq!(held[1].1.wait_for(1), Size::Ordinary);
        drop(held);
        assert_eq!(budget.total.load(Ordering::Relaxed), 0);
    }
}
