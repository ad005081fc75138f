//! Executor of HTTP/2 requests that resets stalled responses.
//!
//! Over HTTP/1 a stalled response blocks its connection, whose stream notices (`stream.rs`). Over HTTP/2 it waits for
//! the client to open its window, and nothing is written. But hyper runs each request in a task of its own, and leaves
//! the executor to us: a task that has begun to send and then makes no progress for too long is dropped, which resets
//! its stream and no other.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Sleep, sleep};

tokio::task_local! {
    static IS_SENDING: Cell<bool>;
}

/// Marks the response of the current task as being sent.
pub(crate) fn begin_sending() {
    // outside of an HTTP/2 task there is nothing to mark
    let _ = IS_SENDING.try_with(|is_sending| is_sending.set(true));
}

/// Executor of the requests of HTTP/2 connections.
#[derive(Clone, Copy)]
pub(crate) struct Http2Executor {
    /// Maximum time without progress of a response.
    pub patience: Duration,
}

impl<F> Executor<F> for Http2Executor
where
    F: Future + Send + 'static,
{
    fn execute(&self, request: F) {
        let patience = self.patience;
        tokio::spawn(IS_SENDING.scope(Cell::new(false), async move {
            let mut request = pin!(request);
            let mut late: Option<Pin<Box<Sleep>>> = None;
            poll_fn(|cx| {
                if request.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                if !IS_SENDING.with(Cell::get) {
                    return Poll::Pending;
                }
                // a wake-up by the timer means a stall; any other means progress
                if late
                    .as_mut()
                    .is_some_and(|timer| timer.as_mut().poll(cx).is_ready())
                {
                    return Poll::Ready(());
                }
                late.insert(Box::pin(sleep(patience))).as_mut().poll(cx)
            })
            .await;
        }));
    }
}
