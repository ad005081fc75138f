//! Failed handshakes: the log gives reasons, and is bounded.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, SupportedProtocolVersion};

use super::Secure;
use super::pki::{Authority, Issued, client, params, secure};
use crate::support::client::dial_tcp;
use crate::support::eventually_some;

/// Waits for these words, and returns all log lines about failed handshakes.
fn logged(server: &Secure, words: &str) -> Vec<String> {
    eventually_some(&format!("the log has '{words}'"), || {
        let log = server.server.log();
        let failed = log.lines().filter(|line| line.contains("handshake failed"));
        let lines: Vec<_> = failed.map(str::to_owned).collect();
        lines
            .iter()
            .any(|line| line.contains(words))
            .then_some(lines)
    })
}

/// Asserts that a handshake or its first request fails: with TLS 1.3 a client learns of a rejected
/// certificate only then.
fn assert_handshake_fails(server: &Secure, config: ClientConfig) {
    let Ok(mut stream) = secure(server.server.address(), &Arc::new(config)) else {
        return;
    };
    let _ = stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(!matches!(stream.read(&mut [0; 1]), Ok(1)), "it is let in");
}

/// A server that verifies client certificates.
fn start_with_client_auth(mode: &str) -> (Secure, Authority) {
    let files = tempfile::TempDir::new().expect("a directory");
    let known = Authority::new("known");
    let path = files.path().join("ca.pem");
    std::fs::write(&path, known.pem()).expect("a file");
    let authorities = format!("[{}]", path.display());
    (
        Secure::with(&[
            ("REGISTRY_HTTP_TLS_CLIENTCAS", &authorities),
            ("REGISTRY_HTTP_TLS_CLIENTAUTH", mode),
        ]),
        known,
    )
}

#[test]
fn the_log_explains_a_rejected_client_certificate() {
    let (server, known) = start_with_client_auth("require-and-verify-client-cert");
    let between = |from: i32, until: i32| {
        let mut params = params(&["client"]);
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        known.issue_as(params)
    };
    let mut of_servers = params(&["client"]);
    of_servers.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let mut authority = params(&["client"]);
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    for (identity, words) in [
        (None, &["no certificate", "client.cert"][..]),
        (
            Some(Authority::new("stranger").issue(&["client"])),
            &["of no authority in http.tls.clientcas"],
        ),
        (Some(between(2001, 2002)), &["has expired"]),
        (Some(between(2101, 2102)), &["not valid yet"]),
        (
            Some(known.issue_as(of_servers)),
            &["not meant for clients", "extendedKeyUsage=clientAuth"],
        ),
        (
            Some(known.issue_as(authority)),
            &["an authority's own", "http.tls.clientcas"],
        ),
    ] {
        assert_handshake_fails(
            &server,
            server
                .authority
                .client_config(identity.as_ref(), &["http/1.1"]),
        );
        let lines = logged(&server, words[0]);
        let line = lines.last().expect("a line");
        assert!(
            words.iter().all(|word| line.contains(word)) && line.contains("127.0.0.1"),
            "{words:?}: {line}"
        );
        // no Rust type names
        assert!(
            !line.contains("InvalidCertificate") && !line.contains("{ "),
            "{line}"
        );
    }
    assert_eq!(logged(&server, "an authority's own").len(), 6);
}

/// The value of the first DER element, and the rest.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (header, length) = match der[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        0x81 => (3, usize::from(der[2])),
        _ => (4, usize::from(u16::from_be_bytes([der[2], der[3]]))),
    };
    der[header..].split_at(length)
}

fn sequence(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len())
        .expect("a short one")
        .to_be_bytes();
    // the shortest form is the only one
    let header = match length {
        [0, low @ ..=0x7f] => vec![0x30, low],
        [0, low] => vec![0x30, 0x81, low],
        [high, low] => vec![0x30, 0x82, high, low],
    };
    [&header[..], content].concat()
}

/// A certificate as `openssl x509 -req` makes it: without version and extensions. Its signature is
/// invalid.
fn of_version_one(issued: &Issued) -> CertificateDer<'static> {
    let der = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("a certificate");
    let (certificate, _) = element(&der);
    let (mut rest, signature) = element(certificate);
    let mut kept = Vec::new();
    while !rest.is_empty() {
        let (_, next) = element(rest);
        let whole = &rest[..rest.len() - next.len()];
        // [0] is the version, [3] the extensions
        if !matches!(whole[0], 0xa0 | 0xa3) {
            kept.extend_from_slice(whole);
        }
        rest = next;
    }
    sequence(&[&sequence(&kept), signature].concat()).into()
}

/// Makes a client present a certificate without having its key.
fn show(config: &mut ClientConfig, certificate: CertificateDer<'static>, key: &str) {
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let key = aws_lc_rs::sign::any_supported_type(&key).expect("a key");
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(CertifiedKey::new(
        vec![certificate],
        key,
    )));
}

/// Certificates are public: a client must have the key.
#[test]
fn a_certificate_without_its_key_is_rejected() {
    use rustls::version::{TLS12, TLS13};
    for mode in [
        "request-client-cert",
        "require-any-client-cert",
        "verify-client-cert-if-given",
        "require-and-verify-client-cert",
    ] {
        let (server, known) = start_with_client_auth(mode);
        let (issued, other) = (known.issue(&["client"]), known.issue(&["client"]));
        let certificate =
            CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("a certificate");
        for version in [&TLS12, &TLS13] {
            let mut config = client_limited_to(&server, &[version], None);
            show(&mut config, certificate.clone(), &other.key);
            assert_handshake_fails(&server, config);
            let mut config = client_limited_to(&server, &[version], None);
            show(&mut config, certificate.clone(), &issued.key);
            let mut client = client(server.server.address(), config);
            assert_eq!(client.get("/v2/").status, 200, "{mode}: {version:?}");
        }
    }
}

#[test]
fn version_one_certificates_are_refused_with_a_remedy() {
    for mode in ["require-any-client-cert", "require-and-verify-client-cert"] {
        let (server, known) = start_with_client_auth(mode);
        let issued = known.issue(&["client"]);
        let mut config = server.authority.client_config(None, &["http/1.1"]);
        show(&mut config, of_version_one(&issued), &issued.key);
        assert_handshake_fails(&server, config);
        let lines = logged(&server, "version 1 of X.509");
        assert!(
            lines.len() == 1 && lines[0].contains("openssl x509 -req an -extfile"),
            "{mode}: {lines:?}"
        );
    }
}

#[test]
fn the_log_reports_a_client_that_rejects_the_server_certificate() {
    let server = Secure::start();
    assert_handshake_fails(
        &server,
        Authority::new("another").client_config(None, &["http/1.1"]),
    );
    let lines = logged(
        &server,
        "does not know the authority of this server's certificate",
    );
    assert!(lines[0].contains("/etc/docker/certs.d"), "{lines:?}");
    server
        .authority
        .issue(&["elsewhere.example"])
        .write(server.files.path());
    server.server.hang_up();
    let deadline = Instant::now() + Duration::from_secs(30);
    while secure(
        server.server.address(),
        &Arc::new(server.authority.client_config(None, &[])),
    )
    .is_ok()
    {
        assert!(Instant::now() < deadline, "the certificate is not renewed");
    }
    logged(&server, "a name that is not in the certificate");
}

/// A client that speaks only this.
fn client_limited_to(
    server: &Secure,
    versions: &[&'static SupportedProtocolVersion],
    suite: Option<rustls::CipherSuite>,
) -> ClientConfig {
    let all = aws_lc_rs::default_provider();
    let suites = all
        .cipher_suites
        .iter()
        .copied()
        .filter(|offered| suite.is_none_or(|suite| offered.suite() == suite))
        .collect();
    let provider = Arc::new(CryptoProvider {
        cipher_suites: suites,
        ..all
    });
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(
            CertificateDer::from_pem_slice(server.authority.pem().as_bytes())
                .expect("a certificate"),
        )
        .expect("an authority");
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions");
    builder.with_root_certificates(roots).with_no_client_auth()
}

#[test]
fn the_log_reports_a_handshake_without_common_parameters() {
    use rustls::version::{TLS12, TLS13};
    let least = Secure::with(&[("REGISTRY_HTTP_TLS_MINIMUMTLS", "tls1.3")]);
    assert_handshake_fails(&least, client_limited_to(&least, &[&TLS12], None));
    assert!(logged(&least, "no version of TLS")[0].contains("http.tls.minimumtls"));
    // a recent client is accepted
    assert!(
        secure(
            least.server.address(),
            &Arc::new(client_limited_to(&least, &[&TLS13], None))
        )
        .is_ok()
    );

    // the ClientHello of TLS 1.1 with a contemporary suite
    let any = Secure::start();
    let hello = [
        &[0x03, 0x02][..],
        &[7; 32],
        &[0],
        &[0, 2, 0xc0, 0x09],
        &[1, 0],
    ]
    .concat();
    let length = |more: usize| u8::try_from(hello.len() + more).expect("a short one");
    let record = [
        &[0x16, 0x03, 0x01, 0, length(4)][..],
        &[1, 0, 0, length(0)],
        &hello,
    ]
    .concat();
    let mut stream = dial_tcp(any.server.address()).expect("a connection");
    stream.write_all(&record).expect("bytes are taken");
    let _ = stream.read_to_end(&mut Vec::new());
    logged(&any, "no version of TLS");

    let chosen = Secure::with(&[(
        "REGISTRY_HTTP_TLS_CIPHERSUITES",
        "[TLS_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]",
    )]);
    let (small, large) = (
        rustls::CipherSuite::TLS13_AES_128_GCM_SHA256,
        rustls::CipherSuite::TLS13_AES_256_GCM_SHA384,
    );
    assert_handshake_fails(&chosen, client_limited_to(&chosen, &[&TLS13], Some(small)));
    assert!(logged(&chosen, "no cipher suite")[0].contains("http.tls.ciphersuites"));
    assert!(
        secure(
            chosen.server.address(),
            &Arc::new(client_limited_to(&chosen, &[&TLS13], Some(large)))
        )
        .is_ok()
    );
    let old = rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    assert!(
        secure(
            chosen.server.address(),
            &Arc::new(client_limited_to(&chosen, &[&TLS12], Some(old)))
        )
        .is_err()
    );
    let old = rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384;
    assert!(
        secure(
            chosen.server.address(),
            &Arc::new(client_limited_to(&chosen, &[&TLS12], Some(old)))
        )
        .is_ok()
    );
}

/// A scanner does not flood the log: each client's error is logged once.
#[test]
fn repeated_handshake_errors_are_logged_once() {
    let server = Secure::start();
    let stranger = Arc::new(Authority::new("another").client_config(None, &["http/1.1"]));
    for number in 0..50_u32 {
        assert!(secure(server.server.address(), &stranger).is_err());
        assert_eq!(server.server.client().get("/v2/").status, 400);
        // neither TLS nor HTTP
        let mut stream = dial_tcp(server.server.address()).expect("a connection");
        stream
            .write_all(&[&[0x80, 0x2e, 0x01], &number.to_be_bytes()[..], &[0; 60]].concat())
            .expect("bytes are taken");
        let _ = stream.read_to_end(&mut Vec::new());
        // closed without sending
        drop(dial_tcp(server.server.address()).expect("a connection"));
    }
    assert_eq!(server.client().get("/v2/").status, 200);
    for words in [
        "does not know the authority",
        "speaks HTTP without TLS",
        "not TLS",
    ] {
        let lines = logged(&server, words);
        assert_eq!(
            lines.iter().filter(|line| line.contains(words)).count(),
            1,
            "{words}: {lines:?}"
        );
    }
    assert_eq!(
        logged(&server, "not TLS").len(),
        3,
        "{}",
        server.server.log()
    );
}
