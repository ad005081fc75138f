//! The user at the shell, as the author of changes.

use tarkeep::registry::Actor;

use crate::cli::account;

/// Returns the account of this process, with the user behind sudo if there is one.
pub(crate) fn local_user() -> Actor {
    let account = account::name_of(rustix::process::getuid().as_raw());
    let behind = std::env::var("SUDO_USER").unwrap_or_default();
    let name = if behind.is_empty() || behind == account {
        account
    } else {
        format!("{account} (sudo by {behind})")
    };
    Actor {
        name: Some(name),
        ..Actor::default()
    }
}
