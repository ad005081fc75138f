//! Invalid and renewed certificates.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::pki::{Authority, Issued, params, secure};
use super::{Secure, serve};
use crate::start;
use crate::support::{Image, eventually, eventually_some, sha256};

/// The one-sentence error of a server that must not start.
pub fn refusal(directory: &Path, environment: &[(&str, &str)]) -> String {
    // a flag would override the address in the environment
    let mut command = start::command(&["serve", "--data-dir"]);
    command
        .arg(directory.join("data"))
        .env("REGISTRY_HTTP_ADDR", "127.0.0.1:0")
        .envs(environment.iter().copied());
    start::sentence(command)
}

#[test]
fn unusable_certificates_are_reported() {
    let authority = Authority::new("an authority");
    let (own, other) = (
        authority.issue(&["localhost"]),
        authority.issue(&["localhost"]),
    );
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let legacy = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIB\n-----END RSA PRIVATE KEY-----\n";
    let reversed = authority.pem() + &own.certificate;
    let damaged = own.certificate.replacen("MII", "!!!", 1);
    for (certificate, key, words) in [
        (
            &*own.certificate,
            &*other.key,
            &["does not belong to", "cert.pem", "key.pem"][..],
        ),
        (&*own.key, &*own.certificate, &["cert.pem", "swapped"]),
        (&own.certificate, &own.certificate, &["key.pem", "swapped"]),
        (
            &own.certificate,
            encrypted,
            &["key.pem", "encrypted", "openssl pkey"],
        ),
        (&own.certificate, legacy, &["key.pem", "encrypted"]),
        (&reversed, &own.key, &["number 2", "first"]),
        (&damaged, &own.key, &["cert.pem", "damaged"]),
        (
            include_str!("rsa1024.pem"),
            include_str!("rsa1024.pem"),
            &["key.pem", "at least 2048 bits", "has 1024"],
        ),
        ("", &own.key, &["cert.pem", "no certificate"]),
        (&own.certificate, "nothing", &["key.pem", "no private key"]),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            &own.key,
            &["cert.pem", "X.509"],
        ),
        (
            &own.certificate,
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            &["key.pem", "damaged", "RSA, ECDSA or Ed25519"],
        ),
    ] {
        let files = tempfile::TempDir::new().expect("a directory");
        Issued {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        }
        .write(files.path());
        let (certificate, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
        let environment = [
            (
                "REGISTRY_HTTP_TLS_CERTIFICATE",
                certificate.to_str().unwrap(),
            ),
            ("REGISTRY_HTTP_TLS_KEY", key.to_str().unwrap()),
        ];
        let err = refusal(files.path(), &environment);
        for word in words {
            assert!(err.contains(word), "'{word}' is not in: {err}");
        }
        assert!(!err.contains("MII"), "{err}");
    }
}

#[test]
fn inconsistent_tls_settings_are_refused() {
    let files = tempfile::TempDir::new().expect("a directory");
    Authority::new("an authority")
        .issue(&["localhost"])
        .write(files.path());
    let (certificate, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let pair = [
        ("REGISTRY_HTTP_TLS_CERTIFICATE", certificate),
        ("REGISTRY_HTTP_TLS_KEY", key),
    ];
    let odd = files.path().join("odd.pem");
    let block = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&odd, Authority::new("an authority").pem() + block).expect("a file");
    let odd = format!("[{}]", odd.display());
    for (environment, words) in [
        (&pair[..1], &["http.tls.key"][..]),
        (&pair[1..], &["http.tls.certificate"]),
        (
            &[("REGISTRY_HTTP_TLS_MINIMUMTLS", "tls1.3")],
            &["http.tls", "certificate"],
        ),
        (
            &[pair[0], ("REGISTRY_HTTP_TLS_KEY", "/nowhere/key.pem")],
            &["/nowhere/key.pem", "No such file"],
        ),
        (
            &[
                pair[0],
                pair[1],
                (
                    "REGISTRY_HTTP_TLS_CIPHERSUITES",
                    "[TLS_RSA_WITH_AES_128_CBC_SHA]",
                ),
            ],
            &[
                "TLS_RSA_WITH_AES_128_CBC_SHA",
                "weak",
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            ],
        ),
        (
            &[
                pair[0],
                pair[1],
                ("REGISTRY_HTTP_TLS_CLIENTCAS", "[/nowhere/ca.pem]"),
            ],
            &["/nowhere/ca.pem"],
        ),
        (
            &[pair[0], pair[1], ("REGISTRY_HTTP_TLS_CLIENTCAS", &odd)],
            &["odd.pem", "number 2 is not an X.509 certificate"],
        ),
        (
            &[
                pair[0],
                pair[1],
                ("REGISTRY_HTTP_TLS_LETSENCRYPT_CACHEFILE", "/nowhere/cache"),
            ],
            &["both certificate and letsencrypt", "remove"],
        ),
        (
            &[pair[0], pair[1], ("REGISTRY_HTTP_TLS_MINIMUMTLS", "ssl3.0")],
            &["http.tls.minimumtls", "tls1.2, tls1.3", "ssl3.0"],
        ),
    ] {
        assert_refused(files.path(), environment, words);
    }
}

#[test]
fn invalid_http_settings_are_refused() {
    let directory = tempfile::TempDir::new().expect("a directory");
    for (environment, words) in [
        (
            &[("REGISTRY_HTTP_PREFIX", "/a b/")][..],
            &["http.prefix", "/a b/"][..],
        ),
        (
            &[("REGISTRY_HTTP_HOST", "ftp://registry.example.com")],
            &["http.host", "https://"],
        ),
        (
            &[("REGISTRY_HTTP_HEADERS", "{'X Y': [z]}")],
            &["http.headers", "X Y"],
        ),
        (
            &[("REGISTRY_HTTP_TRUSTEDPROXIES", "[10.0.0.0/99]")],
            &["http.trustedproxies", "10.0.0.0/99"],
        ),
        (
            &[("REGISTRY_HTTP_LIMITS_CONNECTIONS", "0")],
            &["http.limits.connections"],
        ),
        (
            &[("REGISTRY_HTTP_LIMITS_HEADER", "0s")],
            &["http.limits.header"],
        ),
        (
            &[
                ("REGISTRY_HTTP_NET", "unix"),
                ("REGISTRY_HTTP_ADDR", "/nowhere/at/all.sock"),
            ],
            &["/nowhere/at/all.sock", "http.addr"],
        ),
    ] {
        assert_refused(directory.path(), environment, words);
    }
}

/// Asserts that a server does not start with these settings, and names these words.
fn assert_refused(directory: &Path, environment: &[(&str, &str)], words: &[&str]) {
    let err = refusal(directory, environment);
    for word in words {
        assert!(err.contains(word), "'{word}' is not in: {err}");
    }
}

/// An expired certificate is served, since clients may accept it, with a warning.
#[test]
fn an_expired_or_future_certificate_is_warned_about() {
    for (from, until, words) in [
        (2001, 2002, "expired at 2002-"),
        (2101, 2102, "not valid before 2101-"),
    ] {
        let files = tempfile::TempDir::new().expect("a directory");
        let authority = Authority::new("an authority");
        let mut params = params(&["localhost"]);
        params.not_before = rcgen::date_time_ymd(from, 2, 1);
        params.not_after = rcgen::date_time_ymd(until, 2, 1);
        authority.issue_as(params).write(files.path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
        command
            .args(["serve", "--addr", "127.0.0.1:0", "--data-dir"])
            .arg(files.path().join("data"));
        for (name, file) in [("CERTIFICATE", "cert.pem"), ("KEY", "key.pem")] {
            command.env(format!("REGISTRY_HTTP_TLS_{name}"), files.path().join(file));
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        std::io::BufRead::read_line(
            &mut std::io::BufReader::new(child.stdout.take().unwrap()),
            &mut line,
        )
        .expect("a line");
        assert!(line.starts_with("listening on https://"), "{line}");
        let _ = child.kill();
        let output = child.wait_with_output().expect("its end");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(
            err.contains(words) && err.contains("cert.pem") && err.contains("WARN"),
            "{err}"
        );
    }
}

/// An incomplete chain is served with a warning, since some clients trust the issuer directly.
#[test]
fn an_incomplete_chain_is_warned_about() {
    let authority = Authority::new("an authority");
    for (next, is_gap) in [
        (Authority::new("another").pem(), true),
        (authority.pem(), false),
    ] {
        let files = tempfile::TempDir::new().expect("a directory");
        let own = authority.issue(&["localhost"]);
        Issued {
            certificate: own.certificate + &next,
            key: own.key,
        }
        .write(files.path());
        let log = serve(files.path(), &[]).log();
        assert_eq!(
            log.contains("certificate number 2") && log.contains("cert.pem"),
            is_gap,
            "{log}"
        );
    }
}

/// The certificate presented to a new connection.
fn shown(server: &Secure) -> Vec<u8> {
    let config = std::sync::Arc::new(server.authority.client_config(None, &["http/1.1"]));
    let stream = secure(server.server.address(), &config).expect("a handshake");
    stream.conn.peer_certificates().expect("a certificate")[0].to_vec()
}

fn wait_for_another(server: &Secure, before: &[u8]) -> Vec<u8> {
    eventually_some("the certificate is renewed", || {
        Some(shown(server)).filter(|now| now != before)
    })
}

fn await_words(server: &Secure, words: &str) {
    eventually(&format!("the log has '{words}'"), || {
        server.server.log().contains(words)
    });
}

#[test]
fn a_renewed_certificate_is_loaded_and_an_invalid_one_is_not() {
    let server = Secure::start();
    let mut kept = server.client();
    assert_eq!(kept.get("/v2/").status, 200);
    let first = shown(&server);
    // a key alone: it does not match until the certificate is replaced too
    let next = server.authority.issue(&["localhost"]);
    std::fs::copy(
        server.files.path().join("key.pem"),
        server.files.path().join("former"),
    )
    .expect("a file");
    std::fs::write(server.files.path().join("key.pem"), &next.key).expect("a file");
    await_words(&server, "stays in force");
    assert!(shown(&server) == first);
    // restoring the files ends the warning
    let key = std::fs::read(server.files.path().join("former")).expect("a file");
    std::fs::write(server.files.path().join("key.pem"), key).expect("a file");
    await_words(&server, "can be used again");
    std::fs::write(server.files.path().join("key.pem"), &next.key).expect("a file");
    // logged once, however often it is looked at
    assert_eq!(
        server.server.log().matches("stays in force").count(),
        1,
        "{}",
        server.server.log()
    );
    std::fs::write(server.files.path().join("cert.pem"), &next.certificate).expect("a file");
    let second = wait_for_another(&server, &first);
    // as in Kubernetes: a link to another directory
    let links = server.files.path();
    assert_eq!(kept.get("/v2/").status, 200, "an open connection stays");
    for file in ["cert.pem", "key.pem"] {
        std::fs::remove_file(links.join(file)).expect("it can be removed");
    }
    let third = links.join("..data");
    std::fs::create_dir(&third).expect("a directory");
    server.authority.issue(&["localhost"]).write(&third);
    for file in ["cert.pem", "key.pem"] {
        std::os::unix::fs::symlink(third.join(file), links.join(file)).expect("a link");
    }
    wait_for_another(&server, &second);
    assert_eq!(kept.get("/v2/").status, 200);
}

/// "Certificates swapped under load 100 times: no failed request."
#[test]
fn a_hundred_renewals_under_load_fail_no_request() {
    const RENEWALS: usize = 100;
    let files = tempfile::TempDir::new().expect("a directory");
    let authority = Authority::new("an authority");
    authority
        .issue(&["localhost", "127.0.0.1"])
        .write(files.path());
    let server = serve(files.path(), &[]);
    let secure = Secure {
        server,
        authority,
        files,
    };
    let image = Image::small(1);
    image.push(&mut secure.client(), "a", "v1");
    let (is_over, requests) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for worker in 0..4_usize {
            let (secure, image, is_over, requests) = (&secure, &image, &is_over, &requests);
            scope.spawn(move || {
                let mut kept = secure.client();
                while !is_over.load(Ordering::Relaxed) {
                    // old and new connections
                    image.assert_pulls(&mut kept, "a", "v1");
                    let response = secure
                        .client()
                        .get(&format!("/v2/a/blobs/{}", sha256(&image.layers[0])));
                    assert_eq!(response.status, 200, "worker {worker}");
                    requests.fetch_add(4, Ordering::Relaxed);
                }
            });
        }
        let mut before = shown(&secure);
        for _ in 0..RENEWALS {
            secure
                .authority
                .issue(&["localhost", "127.0.0.1"])
                .write(secure.files.path());
            // at once; the files are also checked every second
            secure.server.hang_up();
            before = wait_for_another(&secure, &before);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    println!(
        "{} requests during {RENEWALS} renewals",
        requests.into_inner()
    );
}
