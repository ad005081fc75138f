//! The registry's own TLS, by a private authority: refused without it, accepted with it, and certificates of clients.

use crate::harness::fixture::{Layout, assert_same, layout_content};
use crate::harness::pki::{Authority, Issued};
use crate::harness::sandbox::Sandbox;
use crate::harness::server::Server;
use crate::support::content::noise;

/// A server beside the sandbox's, with certificates of its own.
fn secure(sandbox: &Sandbox, environment: &[(&str, &str)]) -> Server {
    let [certificate, key] =
        ["site.pem", "site.key"].map(|name| sandbox.path(name).display().to_string());
    let own = [
        ("REGISTRY_HTTP_TLS_CERTIFICATE", &*certificate),
        ("REGISTRY_HTTP_TLS_KEY", &key),
    ];
    let mut server = Server::launch(
        sandbox.dir(),
        "secure",
        &["--addr", "127.0.0.1:0", "--data-dir", "secure"],
        &[environment, &own].concat(),
    );
    server.host = server.host.replace("127.0.0.1", "localhost");
    server
}

/// An authority, whose certificate is in `certs/ca.crt`, and a certificate of localhost by it.
fn prepare(sandbox: &Sandbox) -> Authority {
    let authority = Authority::new("our own");
    authority.certify(sandbox);
    let layout = Layout::new(sandbox.path("source"));
    layout.tag(
        "v1",
        &layout.plain_image("amd64", &[noise(1, 100), noise(2, 20 << 20)]),
    );
    authority
}

const COPY: &str = "skopeo --insecure-policy copy --quiet --preserve-digests";

fn by_skopeo(sandbox: &Sandbox, secure: &Server) {
    let image = format!("docker://{}/by/skopeo:v1", secure.host);
    sandbox.run(format!(
        "{COPY} --dest-cert-dir=certs oci:source:v1 {image}"
    ));
    sandbox.run(format!(
        "{COPY} --src-cert-dir=certs {image} oci:skopeo-back:v1"
    ));
    assert_same(
        &layout_content(&sandbox.path("skopeo-back")),
        &layout_content(&sandbox.path("source")),
    );
}

pub fn private_authority(sandbox: &Sandbox) {
    prepare(sandbox);
    let secure = secure(sandbox, &[]);
    let refused = sandbox
        .refused(format!(
            "{COPY} oci:source:v1 docker://{}/by/skopeo:v1",
            secure.host
        ))
        .both();
    assert!(
        refused.contains("certificate signed by unknown authority"),
        "{refused}"
    );
    by_skopeo(sandbox, &secure);

    sandbox.refused(format!("crane push source {}/by/crane:v1", secure.host));
    sandbox.set(
        "SSL_CERT_FILE",
        sandbox.path("certs/ca.crt").display().to_string(),
    );
    sandbox.run(format!("crane push source {}/by/crane:v1", secure.host));
    sandbox.run(format!(
        "crane pull --format oci {}/by/crane:v1 crane-back",
        secure.host
    ));
    assert_same(
        &layout_content(&sandbox.path("crane-back")),
        &layout_content(&sandbox.path("source")),
    );
    // a name that is not in the certificate
    let other = secure.host.replace("localhost", "127.0.0.1");
    let refused = sandbox
        .refused(format!(
            "{COPY} --dest-cert-dir=certs oci:source:v1 docker://{other}/a:v1"
        ))
        .both();
    assert!(
        refused.contains("127.0.0.1") && refused.contains("certificate"),
        "{refused}"
    );
}

/// A client's certificate lies beside the authority's, as docker and the others have it.
pub fn client_certificates(sandbox: &Sandbox) {
    let authority = prepare(sandbox);
    let known = format!("[{}]", sandbox.path("certs/ca.crt").display());
    let secure = secure(sandbox, &[("REGISTRY_HTTP_TLS_CLIENTCAS", &known)]);
    sandbox.refused(format!(
        "{COPY} --dest-cert-dir=certs oci:source:v1 docker://{}/by/skopeo:v1",
        secure.host
    ));
    let Issued {
        certificate: stranger,
        key,
    } = Authority::new("a stranger's").issue(&["client"]);
    sandbox.write("certs/client.cert", stranger);
    sandbox.write("certs/client.key", key);
    sandbox.refused(format!(
        "{COPY} --dest-cert-dir=certs oci:source:v1 docker://{}/by/skopeo:v1",
        secure.host
    ));
    let Issued {
        certificate: own,
        key,
    } = authority.issue(&["client"]);
    sandbox.write("certs/client.cert", own);
    sandbox.write("certs/client.key", key);
    by_skopeo(sandbox, &secure);
    let log = String::from_utf8_lossy(&sandbox.read("secure.log")).into_owned();
    // once for both: a client keeps to itself what none of the authorities that the server names has made
    assert_eq!(
        log.matches("it shows no certificate, which http.tls.clientauth asks for")
            .count(),
        1,
        "{log}"
    );
}
