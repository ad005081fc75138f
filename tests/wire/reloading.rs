//! Reload of the `http` section, also during a renewal of certificates.

use std::path::{Path, PathBuf};

use super::pki::Authority;
use crate::support::{Server, eventually};

/// A server whose configuration file contains its TLS settings.
struct Configured {
    server: Server,
    authority: Authority,
    files: tempfile::TempDir,
}

impl Configured {
    fn start() -> Self {
        let files = tempfile::TempDir::new().expect("a directory");
        let authority = Authority::new("an authority");
        authority.issue(&["localhost"]).write(files.path());
        let path = file(files.path());
        std::fs::write(&path, encrypted(files.path(), "")).expect("a file");
        let server = Server::with(&[(
            "REGISTRY_CONFIGURATION_PATH",
            path.to_str().expect("a path"),
        )]);
        Self {
            server,
            authority,
            files,
        }
    }

    fn write(&self, text: &str) {
        std::fs::write(file(self.files.path()), text).expect("a file");
    }

    /// Waits until the log contains these words.
    fn says(&self, words: &str) {
        eventually(&format!("the log has '{words}'"), || {
            self.server.log().contains(words)
        });
    }

    /// A header of the response to a login check over TLS.
    fn header(&self, name: &str) -> Option<String> {
        let answer = self.authority.client(self.server.address()).get("/v2/");
        assert_eq!(answer.status, 200);
        answer.header(name).map(str::to_owned)
    }
}

fn file(directory: &Path) -> PathBuf {
    directory.join("config.yml")
}

fn encrypted(directory: &Path, more: &str) -> String {
    let directory = directory.display();
    format!(
        "version: 0.1\nhttp: {{tls: {{certificate: {directory}/cert.pem, key: {directory}/key.pem}}{more}}}\n"
    )
}

#[test]
fn a_half_written_file_does_not_disable_tls() {
    let configured = Configured::start();
    configured.write("version: 0.1\nhttp:\n");
    configured.says("http.tls is missing");
    assert_eq!(configured.header("x-a"), None);
    configured.server.hang_up();
    configured.says("now in force: http.tls");
    assert_eq!(configured.server.client().get("/v2/").status, 200);
}

/// During a copy, a certificate briefly exists without its key.
#[test]
fn a_change_while_a_certificate_is_renewed_is_not_lost() {
    let configured = Configured::start();
    let next = configured.authority.issue(&["localhost"]);
    std::fs::write(configured.files.path().join("cert.pem"), &next.certificate).expect("a file");
    configured.write(&encrypted(configured.files.path(), ", headers: {X-A: [b]}"));
    configured.says("now in force: http.headers");
    assert_eq!(configured.header("x-a").as_deref(), Some("b"));
    // where that itself changes, it waits for the files
    configured.write(&encrypted(
        configured.files.path(),
        ", headers: {X-A: [c]}, http2: {disabled: true}",
    ));
    configured.says("new configuration is rejected");
    assert_eq!(configured.header("x-a").as_deref(), Some("b"));
    std::fs::write(configured.files.path().join("key.pem"), &next.key).expect("a file");
    configured.says("now in force: http.headers.X-A, http.http2.disabled");
    assert_eq!(configured.header("x-a").as_deref(), Some("c"));
}
