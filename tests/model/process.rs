//! The process of a server that is killed and restarted.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::support::Server;

/// The current server process and its address.
pub struct ServerProcess {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone)]
struct State {
    number: u64,
    address: String,
    is_stopping: bool,
}

impl ServerProcess {
    pub fn new(address: &str) -> Self {
        Self {
            state: Mutex::new(State {
                number: 0,
                address: address.to_owned(),
                is_stopping: false,
            }),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a running server; returns its process number and address.
    pub fn current(&self) -> (u64, String) {
        let state = self
            .changed
            .wait_while(self.state(), |state| state.is_stopping)
            .unwrap_or_else(PoisonError::into_inner);
        (state.number, state.address.clone())
    }

    /// True if requests to that process may fail.
    pub fn has_died(&self, number: u64) -> bool {
        let state = self.state();
        state.is_stopping || state.number != number
    }

    pub fn kill_and_restart(&self, server: &mut Server) {
        self.state().is_stopping = true;
        server.kill();
        server.restart();
        let mut state = self.state();
        *state = State {
            number: state.number + 1,
            address: server.address().to_owned(),
            is_stopping: false,
        };
        self.changed.notify_all();
    }
}
