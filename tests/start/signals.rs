//! Signals that a service is sent by mistake.

use std::process::Command;

use crate::support::{Server, eventually};

/// Signals that end a process by default, mean nothing to a server and ask for no core dump, by what `kill` and the log
/// call them.
const FOREIGN: &[&str] = &[
    "USR1", "USR2", "ALRM", "VTALRM", "PROF", "IO", "PWR", "STKFLT", "XCPU", "XFSZ", "RTMIN",
    "RTMIN+1", "RTMIN+30",
];

fn send(server: &Server, name: &str) {
    let sent = Command::new("bash")
        .args(["-c", &format!("kill -s {name} {}", server.pid())])
        .status()
        .expect("kill runs");
    assert!(sent.success(), "{name}");
}

#[test]
fn a_signal_sent_by_mistake_is_a_line_of_log() {
    let mut server = Server::start();
    let blob = server.client().push_blob("a", b"before");
    for name in FOREIGN {
        send(&server, name);
        eventually(&format!("a line about {name}"), || {
            server
                .log()
                .contains(&format!("signal ignored: SIGTERM and SIGINT stop the server, SIGHUP reloads its configuration, and logs need no signal to be rotated signal=\"SIG{name}\""))
        });
    }
    // a line about every client that leaves would be one too many
    for name in ["PIPE", "CHLD", "URG", "WINCH", "CONT"] {
        send(&server, name);
    }
    // a repetition is no second line
    send(&server, "USR1");
    assert_eq!(
        server.client().get(&format!("/v2/a/blobs/{blob}")).body,
        b"before"
    );
    assert_eq!(server.stop().code(), Some(0));
    let log = server.log();
    assert_eq!(
        log.matches("signal ignored").count(),
        FOREIGN.len(),
        "{log}"
    );
}
