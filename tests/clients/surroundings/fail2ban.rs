//! The files in `docs/fail2ban`, with fail2ban itself: who is found in the log of a server, when, and whether it starts with them.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::sandbox::Sandbox;
use crate::harness::server::Server;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/fail2ban");

/// Reads lines of a log as fail2ban's own reader of the journal hands them on, by the filter, and prints who is found.
const JOURNAL: &str = "
import configparser, datetime, sys
from fail2ban.server.filtersystemd import FilterSystemd
from fail2ban.server.jail import Jail
settings = configparser.ConfigParser()
settings.read(sys.argv[1])
reader = FilterSystemd(Jail('registry'))
reader.addFailRegex(settings['Definition']['failregex'])
reader.setDatePattern(settings['Definition']['datepattern'])
now = datetime.datetime.now()
for message in sys.stdin:
    entry = {'_HOSTNAME': 'myhost', 'SYSLOG_IDENTIFIER': 'registry', '_PID': 123, 'MESSAGE': message.rstrip(),
             '_SOURCE_REALTIME_TIMESTAMP': now, '__REALTIME_TIMESTAMP': now}
    line, time = reader.formatJournalEntry(entry)
    for failure in reader.processLine(line, time):
        print(failure[1])
";

/// Addresses to be banned, each once, whatever user name they send.
const GUESSES: [(&str, &str); 3] = [
    ("joe", "192.0.2.7"),
    ("x\u{20}address=198.51.100.9\u{20}reason=", "192.0.2.8"),
    ("nobody", "2001:db8::7"),
];

/// A server that some have failed to log in to, who are said in `guarded.log`.
fn guessed_at(sandbox: &Sandbox) -> Server {
    let users = sandbox
        .registry(&["htpasswd", "-Bbn", "-C", "4", "joe", "right"])
        .output()
        .unwrap();
    sandbox.write("htpasswd", users.stdout);
    let users = sandbox.path("htpasswd").display().to_string();
    let environment = [
        ("REGISTRY_AUTH", "htpasswd"),
        ("REGISTRY_AUTH_HTPASSWD_REALM", "tests"),
        ("REGISTRY_AUTH_HTPASSWD_PATH", &*users),
        ("REGISTRY_HTTP_TRUSTEDPROXIES", "[127.0.0.1]"),
    ];
    let server = Server::launch(
        sandbox.dir(),
        "guarded",
        &["--addr", "127.0.0.1:0", "--data-dir", "guarded"],
        &environment,
    );
    let show = |user: &str, password: &str, address: &str| {
        sandbox.write(
            "options",
            format!("user = \"{user}:{password}\"\nheader = \"X-Forwarded-For: {address}\"\n"),
        );
        sandbox.status(
            "GET",
            &format!("http://{}/v2/", server.host),
            "--config options",
        )
    };
    assert_eq!(show("joe", "right", "192.0.2.1"), "200");
    for (user, address) in GUESSES {
        assert_eq!(show(user, "wrong", address), "401");
    }
    server
}

fn addresses() -> Vec<&'static str> {
    GUESSES.iter().map(|(_, address)| *address).collect()
}

/// In a file, on machines of different zones: a time that is read wrongly is an hour old, and nobody is banned.
pub fn in_a_file(sandbox: &Sandbox) {
    let _server = guessed_at(sandbox);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    for zone in ["UTC", "Europe/Berlin", "America/New_York"] {
        sandbox.set("TZ", zone);
        let printed = sandbox.run(format!(
            "fail2ban-regex --out=<time>,<ip> guarded.log {DOCS}/filter.d/registry.conf"
        ));
        let found: Vec<_> = printed
            .stdout
            .lines()
            .filter_map(|line| line.split_once(','))
            .collect();
        assert_eq!(
            found
                .iter()
                .map(|(_, address)| *address)
                .collect::<Vec<_>>(),
            addresses(),
            "{zone}: {}",
            printed.both()
        );
        for (time, _) in found {
            let time: f64 = time.parse().unwrap();
            assert!(
                (now - time).abs() < 60.0,
                "in {zone} {time} was read where it was {now}"
            );
        }
    }
}

pub fn in_the_journal(sandbox: &Sandbox) {
    let _server = guessed_at(sandbox);
    sandbox.write("journal.py", JOURNAL);
    let printed = sandbox.run_with(
        format!("python3 journal.py {DOCS}/filter.d/registry.conf"),
        &sandbox.read("guarded.log"),
    );
    assert_eq!(
        printed.stdout.lines().collect::<Vec<_>>(),
        addresses(),
        "{}",
        printed.both()
    );
}

/// fail2ban ends as a whole for one jail that it cannot start.
pub fn jail(sandbox: &Sandbox) {
    sandbox.run("cp -r /etc/fail2ban etc");
    sandbox.run("rm -rf etc/jail.d");
    sandbox.run(format!("cp -r {DOCS}/jail.d {DOCS}/filter.d etc"));
    sandbox.run("fail2ban-client -c etc -t");
}

/// Debian's fail2ban does not need it.
pub fn lacks_journal() -> Option<String> {
    let found = Command::new("/usr/bin/python3")
        .args(["-c", "import systemd.journal"])
        .output();
    let is_there = Path::new("/usr/bin/python3").is_file()
        && found.is_ok_and(|output| output.status.success());
    (!is_there).then(|| "python3-systemd is not installed".to_owned())
}
