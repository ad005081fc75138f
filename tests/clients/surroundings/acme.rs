//! Certificates from a real authority of ACME, which looks at what the server shows it: Let's Encrypt's pebble.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::pki::Authority;
use crate::harness::sandbox::Sandbox;
use crate::surroundings::nginx::free_port;

/// Lifetime of a certificate; it is renewed after two thirds.
const LIFE: Duration = Duration::from_secs(45);
const PATIENCE: Duration = Duration::from_secs(120);

struct Registry {
    child: Child,
    port: u16,
}

impl Registry {
    fn start(sandbox: &Sandbox, port: u16, directory: &str) -> Self {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(sandbox.path("acme.log"))
            .unwrap();
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_registry")])
            .args(["serve", "--data-dir"])
            .arg(sandbox.path("acme-data"))
            .env("REGISTRY_HTTP_ADDR", format!("127.0.0.1:{port}"))
            .env("REGISTRY_STORAGE_RESERVE", "0")
            .env(
                "REGISTRY_HTTP_TLS_LETSENCRYPT_CACHEFILE",
                sandbox.path("acme-cache"),
            )
            .env("REGISTRY_HTTP_TLS_LETSENCRYPT_EMAIL", "owner@registry.test")
            .env(
                "REGISTRY_HTTP_TLS_LETSENCRYPT_HOSTS",
                "[registry.test, Other.test]",
            )
            .env("REGISTRY_HTTP_TLS_LETSENCRYPT_DIRECTORYURL", directory)
            .env(
                "REGISTRY_HTTP_TLS_LETSENCRYPT_DIRECTORYCA",
                sandbox.path("certs/ca.crt"),
            )
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(
            line.starts_with("listening on https://"),
            "{line:?}: {}",
            log_of(sandbox)
        );
        Self { child, port }
    }

    /// Asks the server by one of its names; gives the status and the certificates it showed, in PEM.
    fn ask(&self, sandbox: &Sandbox, host: &str) -> (String, String) {
        let (port, format) = (self.port, "%{http_code}%{certs}");
        let printed = sandbox.run(format!(
            "curl --silent --show-error --output /dev/null --write-out {format} --cacert roots.pem \
             --resolve {host}:{port}:127.0.0.1 https://{host}:{port}/v2/"
        ));
        let (status, certificates) = printed.stdout.split_at(3);
        (status.to_owned(), certificates.to_owned())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_of(sandbox: &Sandbox) -> String {
    String::from_utf8_lossy(&sandbox.read("acme.log")).into_owned()
}

fn wait_for(sandbox: &Sandbox, what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(
            start.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}\n{}",
            log_of(sandbox)
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn assert_private(folder: &std::path::Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{:?}",
            entry.path()
        );
    }
}

pub fn issued_and_renewed(sandbox: &Sandbox) {
    Authority::new("pebble's own").certify(sandbox);
    let [dns, names, directory, management, port] = std::array::from_fn(|_| free_port());
    let config = json!({ "pebble": {
        "listenAddress": format!("127.0.0.1:{directory}"), "managementListenAddress": format!("127.0.0.1:{management}"),
        "certificate": "site.pem", "privateKey": "site.key", "httpPort": free_port(), "tlsPort": port,
        "keyAlgorithm": "ecdsa", "retryAfter": { "authz": 1, "order": 1 },
        "profiles": { "default": { "description": "short", "validityPeriod": LIFE.as_secs() } },
    }});
    sandbox.write("pebble.json", config.to_string());
    // it would wait for up to fifteen seconds before it looks
    sandbox.set("PEBBLE_VA_NOSLEEP", "1");
    let _names = sandbox.daemon(
        format!(
            "pebble-challtestsrv -dnsserver 127.0.0.1:{dns} -management 127.0.0.1:{names} -defaultIPv4 127.0.0.1 -defaultIPv6= \
             -http01= -https01= -tlsalpn01= -doh="
        ),
        format!("curl --silent --output /dev/null http://127.0.0.1:{names}/"),
    );
    let mut pebble = sandbox.daemon(
        format!("pebble -config pebble.json -dnsserver 127.0.0.1:{dns}"),
        format!("curl --silent --output /dev/null --cacert certs/ca.crt https://localhost:{directory}/dir"),
    );
    let roots = sandbox
        .run(format!(
            "curl --silent --fail --cacert certs/ca.crt https://localhost:{management}/roots/0"
        ))
        .stdout;
    sandbox.write("roots.pem", roots);

    let directory = format!("https://localhost:{directory}/dir");
    let registry = Registry::start(sandbox, port, &directory);
    let kept =
        |host: &str| fs::read_to_string(sandbox.path("acme-cache").join(host)).unwrap_or_default();
    wait_for(sandbox, "both names are certified", || {
        ["registry.test", "other.test"]
            .iter()
            .all(|host| kept(host).contains("CERTIFICATE"))
    });
    let (status, shown) = registry.ask(sandbox, "registry.test");
    assert_eq!(status, "200");
    assert!(
        shown.contains("registry.test") && !shown.contains("other.test"),
        "{shown}"
    );
    assert!(registry.ask(sandbox, "other.test").1.contains("other.test"));
    let stranger = format!(
        "curl --silent --insecure --resolve x.test:{port}:127.0.0.1 https://x.test:{port}/v2/"
    );
    sandbox.refused(stranger);
    assert_private(&sandbox.path("acme-cache"));

    // two thirds of its life later there is another one, and nobody has noticed
    let first = kept("registry.test");
    wait_for(sandbox, "the certificate is renewed", || {
        assert_eq!(registry.ask(sandbox, "registry.test").0, "200");
        kept("registry.test") != first
    });
    wait_for(sandbox, "the renewed certificate is shown", || {
        registry.ask(sandbox, "registry.test").1 != shown
    });

    // a start needs no authority while what is kept is good
    drop(registry);
    pebble.stop();
    let registry = Registry::start(sandbox, port, &directory);
    assert_eq!(registry.ask(sandbox, "registry.test").0, "200");
}
