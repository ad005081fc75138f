//! Obstacles between: certificates, proxies, and this registry itself as the upstream.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use serde_json::json;
use tarkeep::upstream::{Error, Settings};

use super::{fetch, login, name, run, upstream};
use crate::login::machine_tokens::fill;
use crate::login::{Guarded, line};
use crate::support::{Image, sha256};
use crate::wire::Secure;

#[test]
fn this_registry_is_an_upstream_too() {
    // with a rule for everybody, its challenges name its token service
    let rules = json!({ "rules": [
        { "repositories": "**", "who": "ann", "may": "admin" },
        { "repositories": "other/**", "who": "anonymous", "may": "pull" },
    ] });
    let guarded = Guarded::set_up(
        &line("ann", "secret"),
        &[("REGISTRY_ACCESS", &rules.to_string())],
    );
    let image = fill(&guarded);
    let mut settings = Settings::of(&format!("http://{}", guarded.server.address()));
    settings.logins = vec![login("ann", "secret")];
    let client = upstream(&settings);
    run(async {
        let manifest = client
            .manifest(&name("team/app"), "v1")
            .await
            .expect("a manifest");
        assert_eq!(manifest, image.manifest);
        let layer = fetch(&client, "team/app", &sha256(&image.layers[0])).await;
        assert_eq!(layer.as_ref(), Ok(&image.layers[0]));
        let tags = client.tags(&name("team/app")).await.expect("tags");
        assert!(tags.contains("v1"));
        let repositories = client.repositories().await.expect("repositories");
        assert!(repositories.contains("team/app"));
    });
    settings.logins.clear();
    let client = upstream(&settings);
    assert!(run(client.manifest(&name("other/app"), "v1")).is_ok());
    let asked = run(client.manifest(&name("team/app"), "v1")).map(|_| ());
    assert_eq!(asked, Err(Error::NoLogin));
}

#[test]
fn a_named_authority_is_trusted_and_proxies_are_used() {
    let secure = Secure::start();
    let image = Image::small(2);
    let address = secure.server.address();
    image.push(&mut secure.authority.client(address), "a/b", "v1");
    let ca = secure.files.path().join("ca.pem");
    std::fs::write(&ca, secure.authority.pem()).expect("a file");
    let mut settings = Settings::of(&format!("https://{address}"));
    let asked = run(upstream(&settings).manifest(&name("a/b"), "v1")).map(|_| ());
    assert!(matches!(asked, Err(Error::Unreachable(_))), "{asked:?}");
    settings.ca = Some(ca);
    let asked = run(upstream(&settings).manifest(&name("a/b"), "v1"));
    assert_eq!(asked.expect("a manifest"), image.manifest);
    let (proxy, lines) = proxy();
    settings.proxy = Some(format!("http://me:hidden@{proxy}"));
    let asked = run(upstream(&settings).manifest(&name("a/b"), "v1"));
    assert_eq!(asked.expect("a manifest"), image.manifest);
    let line = lines.recv().expect("a request");
    assert_eq!(line, format!("CONNECT {address} HTTP/1.1"));
    settings.proxy = Some("socks5://127.0.0.1:1".to_owned());
    assert!(tarkeep::upstream::Upstream::new(&settings).is_err());
}

/// A proxy for one connection, which reports the first line of the request.
fn proxy() -> (std::net::SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        let (client, _) = listener.accept().expect("a connection");
        let mut reader = BufReader::new(client.try_clone().expect("a socket"));
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a line");
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim_end().to_owned());
        }
        let is_known = head.iter().any(|line| {
            line.to_lowercase()
                .starts_with("proxy-authorization: basic ")
        });
        assert!(is_known, "{head:?}");
        sender.send(head[0].clone()).expect("a test");
        let target = head[0].split(' ').nth(1).expect("a target");
        let server = TcpStream::connect(target).expect("a server");
        let mut client = client;
        client
            .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
            .expect("an answer");
        let (mut from, mut to) = (
            client.try_clone().expect("a socket"),
            server.try_clone().expect("a socket"),
        );
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let mut server = server;
        let _ = std::io::copy(&mut server, &mut client);
    });
    (address, lines)
}
