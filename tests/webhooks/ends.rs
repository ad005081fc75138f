//! Ends and beginnings: of servers, of settings, of endpoints.

use super::receiver::{Behaviour, Receiver};
use super::server;
use crate::support::{Image, Server, eventually};

/// A reload that changes nothing about an endpoint cuts no attempt off, and a stop waits for it.
#[test]
fn an_attempt_under_way_ends_and_is_recorded() {
    let receiver = Receiver::with(|_, _| Behaviour::Slow(1500));
    let mut server = server(&format!(
        "[{{name: all, url: '{}', format: distribution}}]",
        receiver.url()
    ));
    Image::small(1).push(&mut server.client(), "app", "v1");
    eventually("it is sent", || receiver.arrived() == 1);
    server.hang_up();
    eventually("the configuration is reloaded", || {
        server.log().contains("configuration reloaded")
    });
    server.stop();
    assert_eq!(receiver.taken().len(), 1, "the answer was not waited for");
    server.restart();
    Image::small(2).push(&mut server.client(), "app", "v2");
    eventually("the next one arrives", || receiver.taken().len() == 2);
    let tags: Vec<_> = receiver
        .taken()
        .iter()
        .map(|taken| {
            taken.json()["events"][0]["target"]["tag"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(tags, [Some("v1".to_owned()), Some("v2".to_owned())]);
}

/// A server with other webhooks beside the one that delivers changes nothing; an endpoint that was taken away and comes back
/// is told of what happens from then on.
#[test]
fn other_endpoints_wait_for_their_server_and_returning_ones_begin_anew() {
    let (first, second) = (
        Receiver::with(|number, _| match number {
            0 => Behaviour::Take,
            _ => Behaviour::Refuse,
        }),
        Receiver::start(),
    );
    let webhooks = |name: &str, url: &str| format!("[{{name: {name}, url: '{url}'}}]");
    let (ours, theirs) = (webhooks("a", &first.url()), webhooks("b", &second.url()));
    let mut server = Server::with(&[("REGISTRY_WEBHOOKS", &ours)]);
    let other = Server::at(server.directory(), &[("REGISTRY_WEBHOOKS", &theirs)]);
    eventually("the other one knows", || {
        other
            .log()
            .contains("another server of the data directory delivers events")
    });
    Image::small(1).push(&mut server.client(), "app", "v1");
    eventually("the first one delivers", || first.taken().len() == 1);
    Image::small(2).push(&mut server.client(), "app", "v2");
    eventually("it is refused", || first.arrived() == 2);
    server.stop();
    eventually("the other one takes over", || {
        other.log().contains("what waited for it is dropped")
    });
    Image::small(3).push(&mut other.client(), "app", "v3");
    eventually("it delivers to its own", || second.taken().len() == 1);
    assert_eq!(second.taken()[0].json()["data"]["tag"], "v3");
    let seen = first.arrived();
    drop(other);
    server.restart();
    eventually("the first one takes over", || {
        server.log().contains("what waited for it is dropped")
    });
    Image::small(4).push(&mut server.client(), "app", "v4");
    eventually("it is told of the news", || first.arrived() > seen);
}
