//! Certificates of clients: Go's four modes, as `http.tls.clientauth` names them.

use super::Secure;
use super::pki::{Authority, Issued, client, params};

/// The status that a client gets; `None` if the connection is refused.
fn status(server: &Secure, identity: Option<&Issued>) -> Option<u16> {
    let mut client = client(
        server.server.address(),
        server.authority.client_config(identity, &["http/1.1"]),
    );
    client
        .request("GET", "/v2/")
        .try_send()
        .ok()
        .map(|response| response.status)
}

#[test]
fn each_mode_requires_what_its_name_says() {
    let files = tempfile::TempDir::new().expect("a directory");
    let (known, stranger) = (Authority::new("known"), Authority::new("stranger"));
    let path = files.path().join("ca.pem");
    std::fs::write(&path, known.pem()).expect("a file");
    let authorities = format!("[{}]", path.display());
    let (good, bad) = (known.issue(&["client"]), stranger.issue(&["client"]));
    let modes = [
        (Some("request-client-cert"), [true, true, true]),
        (Some("require-any-client-cert"), [false, true, true]),
        (Some("verify-client-cert-if-given"), [true, false, true]),
        (Some("require-and-verify-client-cert"), [false, false, true]),
        (None, [false, false, true]),
    ];
    for (mode, expected) in modes {
        let mut environment = vec![("REGISTRY_HTTP_TLS_CLIENTCAS", &*authorities)];
        environment.extend(mode.map(|mode| ("REGISTRY_HTTP_TLS_CLIENTAUTH", mode)));
        let server = Secure::with(&environment);
        let found =
            [None, Some(&bad), Some(&good)].map(|identity| status(&server, identity) == Some(200));
        // a certificate made without an authority, as in Docker's documentation
        assert_eq!(
            status(&server, Some(&known.self_signed())),
            Some(200),
            "{mode:?}"
        );
        assert_eq!(
            status(&server, Some(&stranger.self_signed())) == Some(200),
            found[1],
            "{mode:?}"
        );
        assert_eq!(
            found, expected,
            "{mode:?}: without a certificate, with a stranger's, with a known one"
        );
    }
}

/// A listed client certificate is accepted without an authority, until it expires.
#[test]
fn a_listed_certificate_expires_too() {
    let files = tempfile::TempDir::new().expect("a directory");
    let mut params = params(&[]);
    (params.not_before, params.not_after) = (
        rcgen::date_time_ymd(2001, 1, 1),
        rcgen::date_time_ymd(2002, 1, 1),
    );
    let (good, old) = (Authority::new("good"), Authority::of("old", params));
    let path = files.path().join("ca.pem");
    std::fs::write(&path, good.pem() + &old.pem()).expect("a file");
    let authorities = format!("[{}]", path.display());
    let server = Secure::with(&[("REGISTRY_HTTP_TLS_CLIENTCAS", &authorities)]);
    assert_eq!(
        (
            status(&server, Some(&good.self_signed())),
            status(&server, Some(&old.self_signed()))
        ),
        (Some(200), None)
    );
}
