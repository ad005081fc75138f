//! Two servers on one data directory.

use std::collections::BTreeMap;

use super::receiver::Receiver;
use crate::support::{Image, Server, eventually};

/// Between them each event is delivered once, and one takes over when the other dies.
#[test]
fn two_servers_deliver_each_event_once() {
    let receiver = Receiver::start();
    let webhooks = format!("[{{name: all, url: '{}'}}]", receiver.url());
    let environment = [("REGISTRY_WEBHOOKS", &*webhooks)];
    let mut first = Server::with(&environment);
    let second = Server::at(first.directory(), &environment);
    let push = |server: &Server, numbers: std::ops::Range<u64>| {
        let client = &mut server.client();
        for number in numbers {
            Image::small(number).push(client, &format!("app{}", number % 3), &format!("v{number}"));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| push(&first, 0..30));
        scope.spawn(|| push(&second, 30..60));
    });
    eventually("all arrive", || receiver.taken().len() >= 60);
    let times = || {
        let mut times = BTreeMap::<String, usize>::new();
        for taken in receiver.taken() {
            *times.entry(taken.json()["id"].to_string()).or_default() += 1;
        }
        times
    };
    assert!(
        times().len() == 60 && times().values().all(|times| *times == 1),
        "{:?}",
        times()
    );
    first.kill();
    push(&second, 60..70);
    eventually("the other one delivers", || times().len() == 70);
}
