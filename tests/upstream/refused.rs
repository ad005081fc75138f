//! Refusals, told apart, and an upstream in trouble.

use std::time::Duration;

use tarkeep::upstream::{Dialect, Error, Queue};

use super::{digest, name, run, settings, upstream};
use crate::support::hub::{Hub, Part};
use crate::support::{Image, OCI_MANIFEST, sha256};

#[test]
fn refusals_are_told_apart() {
    let hub = Hub::start();
    hub.add("a/b", "v1", &Image::small(1));
    let client = upstream(&settings(&hub));
    let wait = Duration::from_secs(17);
    for (status, headers, error) in [
        (404, "", Error::NotFound),
        (403, "", Error::Denied),
        (
            429,
            "Retry-After: 17\r\n",
            Error::TooManyRequests {
                retry_after: Some(wait),
            },
        ),
        (429, "", Error::TooManyRequests { retry_after: None }),
        (503, "", Error::Server(503)),
        (418, "", Error::Broken("status 418".to_owned())),
    ] {
        hub.behave(|behaviour| behaviour.statuses = [(status, headers)].into());
        let asked = run(client.manifest(&name("a/b"), "v1"));
        assert_eq!(asked.map(|_| ()), Err(error), "{status}");
    }
    let asked = run(client.manifest(&name("a/b"), "v2"));
    assert_eq!(asked.map(|_| ()), Err(Error::NotFound));
}

#[test]
fn docker_hub_says_401_for_what_does_not_exist() {
    let hub = Hub::start();
    let mut settings = settings(&hub);
    let asked = run(upstream(&settings).manifest(&name("no/such"), "v1"));
    assert_eq!(asked.map(|_| ()), Err(Error::NotFound));
    settings.dialect = Dialect::Plain;
    let asked = run(upstream(&settings).manifest(&name("no/such"), "v1")).map(|_| ());
    assert_eq!(asked, Err(Error::NoLogin));
}

#[test]
fn answers_are_bounded() {
    let hub = Hub::start();
    hub.add_manifest("a/b", Some("v1"), OCI_MANIFEST, &vec![b' '; 2000]);
    let mut settings = settings(&hub);
    settings.manifest_limit = 1999;
    let asked = run(upstream(&settings).manifest(&name("a/b"), "v1")).map(|_| ());
    assert!(matches!(asked, Err(Error::Broken(_))), "{asked:?}");
    settings.manifest_limit = 2000;
    assert!(run(upstream(&settings).manifest(&name("a/b"), "v1")).is_ok());
}

#[test]
fn an_upstream_in_trouble_is_left_alone() {
    let hub = Hub::start();
    hub.add("a/b", "v1", &Image::small(2));
    let client = upstream(&settings(&hub));
    hub.behave(|behaviour| behaviour.statuses = [(503, ""); 100].into());
    let ask = || run(client.manifest(&name("a/b"), "v1")).map(|_| ());
    for _ in 0..5 {
        assert_eq!(ask(), Err(Error::Server(503)));
    }
    hub.seen();
    assert!(matches!(ask(), Err(Error::Paused(_))));
    assert!(hub.seen_by(Part::Registry).is_empty());
}

#[test]
fn an_upstream_that_is_not_there_is_told_apart_too() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = closed.local_addr().expect("an address");
    drop(closed);
    let hub = Hub::start();
    let mut settings = settings(&hub);
    settings.url = format!("http://{address}");
    let asked = run(upstream(&settings).manifest(&name("a/b"), "v1")).map(|_| ());
    assert!(matches!(asked, Err(Error::Unreachable(_))), "{asked:?}");
    // it accepts, and says nothing
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    settings.url = format!("http://{}", silent.local_addr().expect("an address"));
    settings.timeout = Duration::from_millis(50);
    let asked = run(upstream(&settings).manifest(&name("a/b"), "v1")).map(|_| ());
    assert_eq!(asked, Err(Error::Timeout(settings.timeout)));
}

/// Requests that wait for their turn are not sent once the upstream has failed.
#[test]
fn a_queue_ends_with_the_failures_that_end_trust() {
    let hub = Hub::start();
    hub.add("a/b", "v1", &Image::small(1));
    hub.behave(|behaviour| behaviour.is_down = true);
    let mut settings = settings(&hub);
    settings.concurrency = 1;
    let client = upstream(&settings);
    let name = name("a/b");
    let asked = run(async {
        let asking = (0..10).map(|_| client.head_manifest(&name, "v1", None));
        futures_util::future::join_all(asking).await
    });
    let paused = |asked: &Result<_, Error>| matches!(asked, Err(Error::Paused(_)));
    let paused = asked.iter().filter(|asked| paused(asked)).count();
    assert_eq!(paused, 5, "{asked:?}");
}

/// Redirects and logins do not each get the whole time.
#[test]
fn one_time_out_counts_for_all_on_the_way() {
    let hub = Hub::start();
    let image = Image::small(1);
    hub.add("a/b", "v1", &image);
    hub.behave(|behaviour| {
        behaviour.hops = 4;
        behaviour.delay = Duration::from_millis(150);
    });
    let mut settings = settings(&hub);
    settings.timeout = Duration::from_millis(400);
    settings.queue = Queue::Timed;
    let blob = sha256(&image.layers[0]);
    let asked = run(async {
        let client = upstream(&settings);
        client.blob(&name("a/b"), &digest(&blob)).await.err()
    });
    assert_eq!(asked, Some(Error::Timeout(settings.timeout)));
}
