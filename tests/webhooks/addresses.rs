//! Addresses that are not asked: link-local ones unless their host is named, and those that an answer redirects to.

use serde_json::json;

use super::receiver::{Behaviour, Receiver};
use super::server;
use crate::support::{Image, Server, eventually};

const REFUSED: &str = "a link-local address is not connected to";

/// The last two are names: what the resolver makes of them counts.
const LINK_LOCAL: [&str; 5] = [
    "169.254.1.1",
    "[fe80::1]",
    "[::ffff:169.254.1.1]",
    "2851995905",
    "0xa9fe0101",
];

#[test]
fn link_local_addresses_are_reached_only_where_the_webhook_says_so() {
    let url = |host: &str| format!("http://{host}:9/hook");
    // without an interface the kernel sends nothing there: the test leaves the network alone
    let named = json!({ "name": "named", "url": url("[fe80::1]"), "linklocal": true });
    let plain = LINK_LOCAL.iter().enumerate();
    let plain =
        plain.map(|(number, host)| json!({ "name": format!("plain-{number}"), "url": url(host) }));
    let webhooks: Vec<_> = plain.chain([named]).collect();
    // a proxy would look up names itself
    let server = Server::with(&[
        ("REGISTRY_WEBHOOKS", &json!(webhooks).to_string()),
        ("NO_PROXY", "*"),
    ]);
    Image::small(1).push(&mut server.client(), "app", "v1");
    let connection =
        rusqlite::Connection::open(server.directory().join("registry.db")).expect("a database");
    let answers = || {
        let sql = "SELECT endpoint, answer FROM attempts";
        let mut rows = connection.prepare(sql).expect("a statement");
        let read =
            |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
        let rows = rows.query_map([], read).expect("rows");
        rows.map(|row| row.expect("a row")).collect::<Vec<_>>()
    };
    eventually("all were tried", || answers().len() == webhooks.len());
    for (endpoint, answer) in answers() {
        assert_eq!(
            answer != REFUSED,
            endpoint == "named",
            "{endpoint}: {answer}"
        );
    }
}

/// The target of a redirect is never asked, whatever its address, and the event is sent again.
#[test]
fn redirects_are_not_followed() {
    let other = Receiver::start();
    let target = other.address();
    let link_local = "169.254.1.1:9".parse().expect("an address");
    let receiver = Receiver::with(move |number, _| match number {
        0 => Behaviour::Redirect(target),
        1 => Behaviour::Redirect(link_local),
        _ => Behaviour::Take,
    });
    let server = server(&format!("[{{name: all, url: '{}'}}]", receiver.url()));
    for number in 0..3 {
        Image::small(number).push(&mut server.client(), "app", &format!("v{number}"));
    }
    eventually("the first event arrives", || !receiver.taken().is_empty());
    assert_eq!(receiver.taken()[0].json()["data"]["tag"], "v0");
    assert_eq!(other.arrived(), 0);
}
