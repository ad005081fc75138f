//! The lives of a server that is killed and restarted.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::support::Server;

/// Current address of the server.
pub struct Life {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone)]
struct State {
    number: u64,
    address: String,
    is_dying: bool,
}

impl Life {
    pub fn new(address: &str) -> Self {
        Self {
            state: Mutex::new(State {
                number: 0,
                address: address.to_owned(),
                is_dying: false,
            }),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a server that lives; gives the number of its life, and its address.
    pub fn present(&self) -> (u64, String) {
        let state = self
            .changed
            .wait_while(self.state(), |state| state.is_dying)
            .unwrap_or_else(PoisonError::into_inner);
        (state.number, state.address.clone())
    }

    /// True if requests of that life may fail.
    pub fn is_over(&self, number: u64) -> bool {
        let state = self.state();
        state.is_dying || state.number != number
    }

    pub fn renew(&self, server: &mut Server) {
        self.state().is_dying = true;
        server.kill();
        server.restart();
        let mut state = self.state();
        *state = State {
            number: state.number + 1,
            address: server.address().to_owned(),
            is_dying: false,
        };
        self.changed.notify_all();
    }
}
