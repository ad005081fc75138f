//! The service manager that started this process, such as systemd: sockets that it opened, and what it is told.

mod notifier;
mod sockets;

pub use notifier::Notifier;
pub use sockets::{InheritedSocket, InheritedSocketError, take_sockets};
