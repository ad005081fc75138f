//! The user at the shell, as the author of changes.

use tarkeep::registry::Actor;

/// Returns the user at the shell, the one behind sudo if there is one.
pub(crate) fn local_user() -> Actor {
    let named = ["SUDO_USER", "USER"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    let name = named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    Actor {
        name: Some(name),
        address: None,
        user_agent: None,
    }
}
