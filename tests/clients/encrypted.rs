//! The registry's own TLS, by a private authority: refused without it, accepted with it, and certificates of clients.

use crate::bench::Bench;
use crate::content::noise;
use crate::fixture::{Layout, assert_same, layout_content};
use crate::pki::{Authority, Issued};
use crate::server::Server;

/// A server beside the bench's, with certificates of its own.
fn secure(bench: &Bench, environment: &[(&str, &str)]) -> Server {
    let [certificate, key] =
        ["site.pem", "site.key"].map(|name| bench.path(name).display().to_string());
    let own = [
        ("REGISTRY_HTTP_TLS_CERTIFICATE", &*certificate),
        ("REGISTRY_HTTP_TLS_KEY", &key),
    ];
    let mut server = Server::launch(
        bench.dir(),
        "secure",
        &["--addr", "127.0.0.1:0", "--data-dir", "secure"],
        &[environment, &own].concat(),
    );
    server.host = server.host.replace("127.0.0.1", "localhost");
    server
}

/// An authority, whose certificate is in `certs/ca.crt`, and a certificate of localhost by it.
fn prepare(bench: &Bench) -> Authority {
    let authority = Authority::new("our own");
    authority.certify(bench);
    let layout = Layout::new(bench.path("source"));
    layout.tag(
        "v1",
        &layout.plain_image("amd64", &[noise(1, 100), noise(2, 20 << 20)]),
    );
    authority
}

const COPY: &str = "skopeo --insecure-policy copy --quiet --preserve-digests";

fn by_skopeo(bench: &Bench, secure: &Server) {
    let image = format!("docker://{}/by/skopeo:v1", secure.host);
    bench.run(format!(
        "{COPY} --dest-cert-dir=certs oci:source:v1 {image}"
    ));
    bench.run(format!(
        "{COPY} --src-cert-dir=certs {image} oci:skopeo-back:v1"
    ));
    assert_same(
        &layout_content(&bench.path("skopeo-back")),
        &layout_content(&bench.path("source")),
    );
}

pub fn private_authority(bench: &Bench) {
    prepare(bench);
    let secure = secure(bench, &[]);
    let refused = bench
        .refused(format!(
            "{COPY} oci:source:v1 docker://{}/by/skopeo:v1",
            secure.host
        ))
        .both();
    assert!(
        refused.contains("certificate signed by unknown authority"),
        "{refused}"
    );
    by_skopeo(bench, &secure);

    bench.refused(format!("crane push source {}/by/crane:v1", secure.host));
    bench.set(
        "SSL_CERT_FILE",
        bench.path("certs/ca.crt").display().to_string(),
    );
    bench.run(format!("crane push source {}/by/crane:v1", secure.host));
    bench.run(format!(
        "crane pull --format oci {}/by/crane:v1 crane-back",
        secure.host
    ));
    assert_same(
        &layout_content(&bench.path("crane-back")),
        &layout_content(&bench.path("source")),
    );
    // a name that is not in the certificate
    let other = secure.host.replace("localhost", "127.0.0.1");
    let refused = bench
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
pub fn client_certificates(bench: &Bench) {
    let authority = prepare(bench);
    let known = format!("[{}]", bench.path("certs/ca.crt").display());
    let secure = secure(bench, &[("REGISTRY_HTTP_TLS_CLIENTCAS", &known)]);
    bench.refused(format!(
        "{COPY} --dest-cert-dir=certs oci:source:v1 docker://{}/by/skopeo:v1",
        secure.host
    ));
    let Issued {
        certificate: stranger,
        key,
    } = Authority::new("a stranger's").issue(&["client"]);
    bench.write("certs/client.cert", stranger);
    bench.write("certs/client.key", key);
    bench.refused(format!(
        "{COPY} --dest-cert-dir=certs oci:source:v1 docker://{}/by/skopeo:v1",
        secure.host
    ));
    let Issued {
        certificate: own,
        key,
    } = authority.issue(&["client"]);
    bench.write("certs/client.cert", own);
    bench.write("certs/client.key", key);
    by_skopeo(bench, &secure);
    let log = String::from_utf8_lossy(&bench.read("secure.log")).into_owned();
    // once for both: a client keeps to itself what none of the authorities that the server names has made
    assert_eq!(
        log.matches("it shows no certificate, which http.tls.clientauth asks for")
            .count(),
        1,
        "{log}"
    );
}
