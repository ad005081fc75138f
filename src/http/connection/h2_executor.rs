//! HTTP/2's answers, each with a client that must take something of it now and then.
//!
//! Over HTTP/1 an answer that nobody takes blocks its connection, whose stream notices (`sendfile.rs`). Over HTTP/2 it
//! waits for the client to open its window, without anything being written. But hyper has a task for each request, and
//! leaves it to us how that is run: a task that has begun to send, and then has not got on for too long, is dropped, which
//! resets its stream and no other.

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

/// Says, in the task of a request, that its answer is being sent from now on.
pub(crate) fn begin_sending() {
    // elsewhere nobody watches, and nobody need know
    let _ = IS_SENDING.try_with(|is_sending| is_sending.set(true));
}

/// Runs the requests of HTTP/2 connections.
#[derive(Clone, Copy)]
pub(crate) struct Http2Executor {
    /// How long a client may take nothing of an answer.
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
                // woken by the timer it is late; woken by anything else it got on
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
