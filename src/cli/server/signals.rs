//! Signals that stop or reload a server, and those that mean nothing to it.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::error::Error;

/// Signals that ask the process to end. Once they are listened for, they no longer end it by themselves.
pub(in crate::cli) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub fn listen() -> Result<Self, Error> {
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for a signal, and returns its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Listens for SIGHUP, which reloads the configuration.
pub(super) fn hangup() -> Result<Signal, Error> {
    listen(SignalKind::hangup())
}

/// Minimum interval between lines about the same signal.
const LINES_EVERY: Duration = Duration::from_secs(60);

/// Signals that would end a process and mean nothing to this one, such as logrotate's SIGUSR1.
///
/// Those that ask for a core dump still get it. SIGPIPE stays ignored without a line, because the kernel sends it for
/// every client that leaves.
const FOREIGN: [(libc::c_int, &str); 10] = [
    (libc::SIGUSR1, "SIGUSR1"),
    (libc::SIGUSR2, "SIGUSR2"),
    (libc::SIGALRM, "SIGALRM"),
    (libc::SIGVTALRM, "SIGVTALRM"),
    (libc::SIGPROF, "SIGPROF"),
    (libc::SIGIO, "SIGIO"),
    (libc::SIGPWR, "SIGPWR"),
    (libc::SIGSTKFLT, "SIGSTKFLT"),
    (libc::SIGXCPU, "SIGXCPU"),
    (libc::SIGXFSZ, "SIGXFSZ"),
];

/// Reduces signals that mean nothing to a server to a line of log, until the runtime ends.
pub(super) fn ignore_foreign() -> Result<(), Error> {
    let first = libc::SIGRTMIN();
    let named = FOREIGN.map(|(number, name)| (number, name.to_owned()));
    let real_time = (first..=libc::SIGRTMAX()).map(|number| match number - first {
        0 => (number, "SIGRTMIN".to_owned()),
        above => (number, format!("SIGRTMIN+{above}")),
    });
    for (number, name) in named.into_iter().chain(real_time) {
        tokio::spawn(log_each(listen(SignalKind::from_raw(number))?, name));
    }
    Ok(())
}

async fn log_each(mut signal: Signal, name: String) {
    while signal.recv().await.is_some() {
        tracing::info!(
            signal = name,
            "signal ignored: SIGTERM and SIGINT stop the server, SIGHUP reloads its configuration, and logs need no signal to be rotated"
        );
        tokio::time::sleep(LINES_EVERY).await;
    }
}

fn listen(kind: SignalKind) -> Result<Signal, Error> {
    signal(kind).map_err(|error| Error::Other(format!("cannot listen for signals: {error}")))
}
