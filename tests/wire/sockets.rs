//! `http.net: unix`.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use crate::support::{Client, Image, Server, noise};

fn client(path: &Path) -> Client {
    let path = path.to_owned();
    Client::over("localhost", move || {
        Ok(Box::new(UnixStream::connect(&path)?))
    })
}

fn start(path: &Path) -> Server {
    Server::with(&[
        ("REGISTRY_HTTP_NET", "unix"),
        ("REGISTRY_HTTP_ADDR", path.to_str().expect("a path")),
    ])
}

#[test]
fn a_socket_serves_like_a_port_and_is_removed_at_stop() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("registry.sock");
    let mut server = start(&path);
    assert_eq!(Path::new(server.address()), path);
    let mut client = client(&path);
    let image = Image::new("by socket", vec![noise(1, 100), noise(2, (5 << 20) + 3)]);
    image.push(&mut client, "a", "v1");
    image.assert_pulls(&mut client, "a", "v1");
    drop(client);
    assert!(server.stop().success());
    assert!(!path.exists());
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("registry.sock");
    let mut first = start(&path);
    first.kill();
    assert!(path.exists());
    let second = start(&path);
    assert_eq!(client(&path).get("/v2/").status, 200);

    let third = tempfile::TempDir::new().expect("a directory");
    let err = super::certificates::refusal(
        third.path(),
        &[
            ("REGISTRY_HTTP_NET", "unix"),
            ("REGISTRY_HTTP_ADDR", path.to_str().unwrap()),
        ],
    );
    assert!(
        err.contains("registry.sock") && err.contains("another server"),
        "{err}"
    );
    assert_eq!(client(&path).get("/v2/").status, 200);
    drop(second);

    // nor is a regular file, nor the socket of a slow server
    std::fs::remove_file(&path).expect("it can be removed");
    std::fs::write(&path, "precious").expect("a file");
    super::certificates::refusal(
        third.path(),
        &[
            ("REGISTRY_HTTP_NET", "unix"),
            ("REGISTRY_HTTP_ADDR", path.to_str().unwrap()),
        ],
    );
    assert_eq!(std::fs::read(&path).expect("it is there"), b"precious");
    std::fs::remove_file(&path).expect("it can be removed");
    let _other = UnixListener::bind(&path).expect("a socket");
    super::certificates::refusal(
        third.path(),
        &[
            ("REGISTRY_HTTP_NET", "unix"),
            ("REGISTRY_HTTP_ADDR", path.to_str().unwrap()),
        ],
    );
    assert!(UnixStream::connect(&path).is_ok());
}

/// Peers of a socket are local, and trusted like a local proxy.
#[test]
fn the_peer_of_a_socket_is_a_trusted_proxy() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("registry.sock");
    let address = path.to_str().expect("a path");
    for (trusted, expected) in [
        (Some("[127.0.0.1]"), "https://r.example/outer"),
        (None, "https://r.example"),
    ] {
        let mut environment = vec![
            ("REGISTRY_HTTP_NET", "unix"),
            ("REGISTRY_HTTP_ADDR", address),
            ("REGISTRY_HTTP_RELATIVEURLS", "false"),
        ];
        environment.extend(trusted.map(|trusted| ("REGISTRY_HTTP_TRUSTEDPROXIES", trusted)));
        let mut server = Server::with(&environment);
        let mut client = client(&path);
        let request = client
            .request("POST", "/v2/a/blobs/uploads/")
            .header("X-Forwarded-Host", "r.example")
            .header("X-Forwarded-Prefix", "/outer");
        let response = request.header("X-Forwarded-Proto", "https").send();
        assert!(
            response
                .header("location")
                .expect("a location")
                .starts_with(&format!("{expected}/v2/a/")),
            "{response:?}"
        );
        drop(client);
        assert!(server.stop().success());
    }
}
