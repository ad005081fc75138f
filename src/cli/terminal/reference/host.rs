//! Hosts before names of repositories.

use crate::cli::terminal::reference::names::is_glob;

/// File with this machine's name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// True if the first component of a name may be the host of a registry.
pub(super) fn is_host(first: &str) -> bool {
    is_no_name(first) || first == "localhost" || (first.contains('.') && !is_glob(first))
}

/// True for text that no repository's name begins with: a colon, capital letters.
pub(super) fn is_no_name(first: &str) -> bool {
    first.contains(':') || first.chars().any(char::is_uppercase)
}

/// True for the names that a machine has for itself.
pub(super) fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let own = std::fs::read_to_string(HOST_NAME).unwrap_or_default();
    let is_loopback = name.starts_with("127.") || name == "[::1]";
    is_loopback || name.eq_ignore_ascii_case("localhost") || name.eq_ignore_ascii_case(own.trim())
}
