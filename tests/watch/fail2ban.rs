//! The filter in `docs/fail2ban` finds the address in real log lines; `tests/clients/fail2ban.rs`
//! runs fail2ban itself.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;

use super::Watched;
use crate::support::eventually_some;

/// The filter's expressions as fail2ban reads them: the time is removed from the line, and `<HOST>`
/// is an address.
fn filter() -> (Regex, Regex) {
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/fail2ban/filter.d/registry.conf"
    ))
    .expect("the filter");
    let of = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap_or_else(|| panic!("no {key}"))
            .to_owned()
    };
    let time = of("datepattern = ")
        .replace("%%Y", r"\d{4}")
        .replace("%%f", r"\d+")
        .replace("%%z", "Z");
    let time = ["%%m", "%%d", "%%H", "%%M", "%%S"]
        .iter()
        .fold(time, |time, part| time.replace(part, r"\d\d"));
    let failure = of("failregex = ").replace("<HOST>", "(?P<host>[0-9a-fA-F:.]+)");
    (
        Regex::new(&time).expect("an expression"),
        Regex::new(&failure).expect("an expression"),
    )
}

/// A server that believes any address that a test names, with one user.
struct Guarded {
    server: Watched,
    _users: tempfile::TempDir,
}

impl Guarded {
    fn start() -> Self {
        let temporary = tempfile::TempDir::new().expect("a directory");
        let users = temporary.path().join("htpasswd");
        let made = Command::new(env!("CARGO_BIN_EXE_registry"))
            .args(["htpasswd", "-Bbn", "-C", "4", "user", "right"])
            .output()
            .expect("it runs");
        std::fs::write(&users, made.stdout).expect("a file");
        let path = users.display().to_string();
        let server = Watched::start(&[
            ("REGISTRY_AUTH", "htpasswd"),
            ("REGISTRY_AUTH_HTPASSWD_REALM", "r"),
            ("REGISTRY_AUTH_HTPASSWD_PATH", &path),
            ("REGISTRY_HTTP_TRUSTEDPROXIES", "[127.0.0.1]"),
        ]);
        Self {
            server,
            _users: temporary,
        }
    }

    /// Status of a request with these credentials from this address.
    fn show(&self, credentials: &str, from: &str) -> u16 {
        self.server
            .client()
            .request("GET", "/v2/")
            .header("Authorization", credentials)
            .header("X-Forwarded-For", from)
            .send()
            .status
    }

    fn log_in(&self, user: &str, password: &str, from: &str) -> u16 {
        let credentials = STANDARD.encode(format!("{user}:{password}"));
        self.show(&format!("Basic {credentials}"), from)
    }

    /// Waits for the log lines of `count` failed logins, and asserts that there are no more.
    fn failures(&self, count: usize) -> Vec<String> {
        let failures = eventually_some("all failures are logged", || {
            let lines: Vec<_> = self
                .server
                .err()
                .into_iter()
                .filter(|line| line.contains("login failed"))
                .collect();
            (lines.len() >= count).then_some(lines)
        });
        assert_eq!(failures.len(), count, "{failures:?}");
        failures
    }
}

/// User names that try to forge a line of the log.
const HOSTILE: [&str; 8] = [
    "user",
    "nobody",
    "",
    "two words",
    "x address=198.51.100.9 reason=",
    "quote\" address=198.51.100.9 reason=\"",
    "back\\slash\\\"",
    "line\nbreak",
];

#[test]
fn the_filter_finds_the_address_of_each_failure_and_no_other() {
    let guarded = Guarded::start();
    assert_eq!(guarded.log_in("user", "right", "192.0.2.1"), 200);
    let mut expected = Vec::new();
    for (number, user) in HOSTILE.iter().enumerate() {
        let from = format!("192.0.2.{}", 10 + number);
        assert_eq!(guarded.log_in(user, "hunter2", &from), 401, "{user}");
        expected.push(from);
    }
    assert_eq!(guarded.log_in("user", "hunter2", "2001:db8::7"), 401);
    assert_eq!(guarded.show("Basic !!!", "192.0.2.100"), 401);
    expected.extend(["2001:db8::7".to_owned(), "192.0.2.100".to_owned()]);
    // enough guesses for a lockout, during which a rejected login is no attempt and logs no line
    let guesses: Vec<_> = (0..14)
        .map(|number| guarded.log_in("user", &format!("hunter2{number}"), "192.0.2.101"))
        .collect();
    assert_eq!(
        (
            guesses.iter().filter(|status| **status == 401).count(),
            guesses[13]
        ),
        (11, 429)
    );
    expected.extend(vec!["192.0.2.101".to_owned(); 11]);

    let failures = guarded.failures(expected.len());
    let (time, failure) = filter();
    for (line, expected) in failures.iter().zip(expected) {
        assert!(time.is_match(line), "{line}");
        let found = failure
            .captures(&time.replace(line, ""))
            .unwrap_or_else(|| panic!("not found: {line}"))["host"]
            .to_owned();
        assert_eq!(found, expected, "{line}");
        assert!(!line.contains("hunter2"), "{line}");
    }
    let log = guarded.server.err();
    assert!(
        log.iter()
            .any(|line| line.contains("too many failed logins") && line.contains("192.0.2.101")),
        "{log:?}"
    );
    for line in log.iter().filter(|line| !line.contains("login failed")) {
        assert!(!failure.is_match(&time.replace(line, "")), "{line}");
    }
    // the access log names authenticated users only
    let users: Vec<_> = guarded
        .server
        .out()
        .iter()
        .skip(1)
        .filter_map(|line| line.split(' ').nth(2).map(str::to_owned))
        .collect();
    assert_eq!(users[0], "user");
    assert!(users[1..].iter().all(|user| user == "-"), "{users:?}");
}
