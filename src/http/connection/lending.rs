//! Lending of a connection's socket to the upload that it carries.
//!
//! The bytes of a fast upload need not pass through hyper and the async workers. Once hyper has no byte of the body left, the
//! connection offers its socket to the body (`upload_body.rs`), and a thread receives from it. When the socket is back, hyper
//! gets as many bytes that nobody reads as were received, so that it knows how far the body is. The body drops them. The
//! connection then goes on as before, at the end of the body or within it, and finds errors itself.

use std::io;
use std::mem;
use std::net::TcpStream;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, ReadBuf};

use crate::http::connection::stream::Stream;

/// Place of a connection's socket.
#[derive(Default)]
pub(super) struct Lending(Mutex<State>);

#[derive(Default)]
enum State {
    /// At the connection.
    #[default]
    Kept,
    /// The same, and the body waits for it.
    Wanted(Waker),
    /// On its way to the body; hyper has nothing left to read.
    Offered {
        socket: TcpStream,
        connection: Waker,
    },
    Lent {
        connection: Waker,
    },
    /// On its way back, after `received` bytes.
    Returned {
        socket: TcpStream,
        received: u64,
    },
}

impl Lending {
    /// Asks for the socket. Returns true if it is offered.
    pub(super) fn want(&self, body: &Waker) -> bool {
        let mut state = self.0.lock();
        match &mut *state {
            State::Kept => *state = State::Wanted(body.clone()),
            State::Wanted(waker) => waker.clone_from(body),
            State::Offered { .. } => return true,
            State::Lent { .. } | State::Returned { .. } => {}
        }
        false
    }

    pub(super) fn is_offered(&self) -> bool {
        matches!(*self.0.lock(), State::Offered { .. })
    }

    /// Takes the offered socket.
    pub(super) fn accept(&self) -> Option<TcpStream> {
        let mut state = self.0.lock();
        match mem::take(&mut *state) {
            State::Offered { socket, connection } => {
                *state = State::Lent { connection };
                Some(socket)
            }
            other => {
                *state = other;
                None
            }
        }
    }

    /// Gives a lent socket back.
    pub(super) fn give_back(&self, socket: TcpStream, received: u64) {
        let returned = State::Returned { socket, received };
        if let State::Lent { connection } = mem::replace(&mut *self.0.lock(), returned) {
            connection.wake();
        }
    }

    /// Ends the wish for the socket.
    pub(super) fn decline(&self) {
        if let Some(socket) = self.accept() {
            self.give_back(socket, 0);
        }
        let mut state = self.0.lock();
        if matches!(*state, State::Wanted(_)) {
            *state = State::Kept;
        }
    }
}

/// The connection's side of a loan.
#[derive(Default)]
pub(super) struct Lender {
    /// Bytes that hyper has yet to be told of.
    untold: u64,
}

impl Lender {
    /// Completes when the socket is at the connection.
    pub(super) fn poll_back(
        &mut self,
        lending: &Lending,
        stream: &mut Stream,
        cx: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = lending.0.lock();
        match &mut *state {
            State::Kept | State::Wanted(_) => return Poll::Ready(Ok(())),
            State::Offered { connection, .. } | State::Lent { connection } => {
                connection.clone_from(cx.waker());
                return Poll::Pending;
            }
            State::Returned { .. } => {}
        }
        if let State::Returned { socket, received } = mem::take(&mut *state) {
            self.untold = received;
            stream.take_back(socket)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads a part of a body for hyper.
    pub(super) fn poll_read(
        &mut self,
        lending: &Lending,
        stream: &mut Stream,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_back(lending, stream, cx))?;
        if self.untold > 0 {
            let length = usize::try_from(self.untold)
                .map_or(buffer.remaining(), |untold| untold.min(buffer.remaining()));
            buffer.initialize_unfilled_to(length);
            buffer.advance(length);
            self.untold -= length as u64;
            return Poll::Ready(Ok(()));
        }
        let mut state = lending.0.lock();
        if let State::Wanted(body) = &mut *state
            && let Some(socket) = stream.lend()
        {
            let offer = State::Offered {
                socket: socket?,
                connection: cx.waker().clone(),
            };
            body.wake_by_ref();
            *state = offer;
            return Poll::Pending;
        }
        drop(state);
        Pin::new(stream).poll_read(cx, buffer)
    }
}
