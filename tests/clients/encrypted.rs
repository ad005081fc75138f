//! The registry's own TLS, by a private authority: refused without it, accepted with it, and certificates of clients.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::bench::Bench;
use crate::fixture::{Layout, assert_same, layout_content, noise};
use crate::nginx::Authority;

/// A server beside the bench's, with certificates of its own.
struct Secure {
    child: Child,
    host: String,
}

impl Secure {
    fn start(bench: &Bench, environment: &[(&str, &str)]) -> Self {
        let log = fs::File::create(bench.path("secure.log")).unwrap();
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_registry")])
            .args(["serve", "--data-dir"])
            .arg(bench.path("secure"))
            .env("REGISTRY_HTTP_ADDR", "127.0.0.1:0")
            .env("REGISTRY_STORAGE_RESERVE", "0")
            .env("REGISTRY_HTTP_TLS_CERTIFICATE", bench.path("site.pem"))
            .env("REGISTRY_HTTP_TLS_KEY", bench.path("site.key"))
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on https://").and_then(|rest| rest.split_once(','));
        let Some((address, _)) = address else { panic!("the server said {line:?}: {:?}", bench.read("secure.log")) };
        Self { child, host: address.replace("127.0.0.1", "localhost") }
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An authority, whose certificate is in `certs/ca.crt`, and a certificate of localhost by it.
fn prepare(bench: &Bench) -> Authority {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("localhost");
    bench.write("certs/ca.crt", authority.pem());
    bench.write("site.pem", certificate);
    bench.write("site.key", key);
    let layout = Layout::new(bench.path("source"));
    layout.tag("v1", &layout.plain_image("amd64", &[noise(1, 100), noise(2, 20 << 20)]));
    authority
}

const COPY: &str = "skopeo --insecure-policy copy --quiet --preserve-digests";

fn by_skopeo(bench: &Bench, secure: &Secure) {
    let image = format!("docker://{}/by/skopeo:v1", secure.host);
    bench.run(format!("{COPY} --dest-cert-dir=certs oci:source:v1 {image}"));
    bench.run(format!("{COPY} --src-cert-dir=certs {image} oci:skopeo-back:v1"));
    assert_same(&layout_content(&bench.path("skopeo-back")), &layout_content(&bench.path("source")));
}

pub fn private_authority(bench: &Bench) {
    prepare(bench);
    let secure = Secure::start(bench, &[]);
    let refused = bench.refused(format!("{COPY} oci:source:v1 docker://{}/by/skopeo:v1", secure.host)).both();
    assert!(refused.contains("certificate signed by unknown authority"), "{refused}");
    by_skopeo(bench, &secure);

    bench.refused(format!("crane push source {}/by/crane:v1", secure.host));
    bench.set("SSL_CERT_FILE", bench.path("certs/ca.crt").display().to_string());
    bench.run(format!("crane push source {}/by/crane:v1", secure.host));
    bench.run(format!("crane pull --format oci {}/by/crane:v1 crane-back", secure.host));
    assert_same(&layout_content(&bench.path("crane-back")), &layout_content(&bench.path("source")));
    // a name that is not in the certificate
    let other = secure.host.replace("localhost", "127.0.0.1");
    let refused = bench.refused(format!("{COPY} --dest-cert-dir=certs oci:source:v1 docker://{other}/a:v1")).both();
    assert!(refused.contains("127.0.0.1") && refused.contains("certificate"), "{refused}");
}

/// A client's certificate lies beside the authority's, as docker and the others have it.
pub fn client_certificates(bench: &Bench) {
    let authority = prepare(bench);
    let known = format!("[{}]", bench.path("certs/ca.crt").display());
    let secure = Secure::start(bench, &[("REGISTRY_HTTP_TLS_CLIENTCAS", &known)]);
    bench.refused(format!("{COPY} --dest-cert-dir=certs oci:source:v1 docker://{}/by/skopeo:v1", secure.host));
    let (stranger, key) = Authority::new().issue("client");
    bench.write("certs/client.cert", stranger);
    bench.write("certs/client.key", key);
    bench.refused(format!("{COPY} --dest-cert-dir=certs oci:source:v1 docker://{}/by/skopeo:v1", secure.host));
    let (own, key) = authority.issue("client");
    bench.write("certs/client.cert", own);
    bench.write("certs/client.key", key);
    by_skopeo(bench, &secure);
    let log = String::from_utf8_lossy(&bench.read("secure.log")).into_owned();
    assert!(log.matches("a client is refused for its certificate").count() >= 2, "{log}");
}
