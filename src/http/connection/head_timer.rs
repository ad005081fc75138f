//! Time limits of a connection that waits for a request.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Event that a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// The first byte of the next request.
    Next,
    /// The rest of its head.
    Head,
}

/// Timer of a connection over HTTP/1: a head has limited time from its first byte on, and the next request from the
/// end of the last response. Hyper has one limit for both.
pub(crate) struct HeadTimer {
    /// Maximum time for a head, and for the first one from the beginning of the connection.
    head: Duration,
    /// Maximum time until the next request.
    keep_alive: Duration,
    /// Number of the request that is waited for, and how much of it is there.
    waiting: Option<(usize, Wait)>,
    end: Option<Pin<Box<Sleep>>>,
}

impl HeadTimer {
    pub(crate) fn new(head: Duration, keep_alive: Duration) -> Self {
        Self {
            head,
            keep_alive,
            waiting: None,
            end: None,
        }
    }

    /// Notes that bytes of request `number` have arrived.
    pub(crate) fn arrived(&mut self, number: usize) {
        self.wait(number, Wait::Head);
    }

    /// Completes when request `number` has not arrived in time.
    pub(crate) fn poll_late(&mut self, number: usize, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting.is_none_or(|(earlier, _)| earlier != number) {
            let first = if number == 0 { Wait::Head } else { Wait::Next };
            self.wait(number, first);
        }
        match &mut self.end {
            Some(end) => end.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    fn wait(&mut self, number: usize, wait: Wait) {
        if self.waiting.replace((number, wait)) == Some((number, wait)) {
            return;
        }
        let patience = match wait {
            Wait::Next => self.keep_alive,
            Wait::Head => self.head,
        };
        match &mut self.end {
            Some(end) => end.as_mut().reset(Instant::now() + patience),
            None => self.end = Some(Box::pin(sleep(patience))),
        }
    }
}
