//! Messages to the service manager (`sd_notify(3)`).

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Maximum time for a message.
const PATIENCE: Duration = Duration::from_secs(1);

/// Connection to the service manager. Without one, nothing is sent.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    /// Time without a sign of life after which the manager restarts the service.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Connects to the manager that `NOTIFY_SOCKET` names, with the watchdog of `WATCHDOG_USEC`.
    pub fn from_environment() -> Self {
        let name = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let socket = name.and_then(|name| {
            connect(name.as_bytes())
                .inspect_err(|error| {
                    tracing::warn!(%error, "cannot reach the service manager at NOTIFY_SOCKET: it may believe that the start failed");
                })
                .ok()
        });
        Self {
            socket,
            watchdog: watchdog(),
        }
    }

    /// Says that connections are accepted.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// Says that the service ends within `at_most`.
    pub fn stopping(&self, at_most: Duration) {
        self.send(&format!(
            "STOPPING=1\nEXTEND_TIMEOUT_USEC={}",
            at_most.as_micros()
        ));
    }

    /// Sends signs of life, twice in the watchdog's time, until it is dropped. Without a watchdog it ends at once.
    pub async fn keep_alive(&self) {
        let Some(period) = self.watchdog.filter(|_| self.socket.is_some()) else {
            return;
        };
        let mut interval = tokio::time::interval(period / 2);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, message: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(message.as_bytes())
        {
            tracing::warn!(%error, message, "cannot notify the service manager");
        }
    }
}

/// Connects to a path, or to an abstract name that begins with `@`.
fn connect(name: &[u8]) -> io::Result<UnixDatagram> {
    let address = match name.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

/// Returns the watchdog's time, if it is meant for this process.
fn watchdog() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_for_us = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(std::process::id()));
    let micros = number("WATCHDOG_USEC").filter(|micros| is_for_us && *micros > 1)?;
    Some(Duration::from_micros(micros))
}
