//! The cost of webhooks to those who push: no receiver holds anybody up. `benches/webhooks.rs` measures it.

use std::time::{Duration, Instant};

use super::receiver::{Behaviour, Receiver};
use crate::support::{Client, Image, OCI_MANIFEST, Server, descriptor};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Pushes manifests of one image under new tags; returns the longest and the median push.
fn push(client: &mut Client, base: u64, number: u64) -> Vec<Duration> {
    let image = Image::small(1);
    (base..base + number)
        .map(|number| {
            let begun = Instant::now();
            let manifest = serde_json::json!({
                "schemaVersion": 2, "mediaType": OCI_MANIFEST,
                "config": descriptor(CONFIG, &image.config), "layers": [],
                "annotations": {"n": number.to_string()},
            });
            let tag = format!("v{}", number % 50);
            let response =
                client.put_manifest("app", &tag, OCI_MANIFEST, manifest.to_string().as_bytes());
            assert_eq!(response.status, 201, "{response:?}");
            begun.elapsed()
        })
        .collect()
}

#[test]
fn endpoints_hardly_slow_pushes() {
    let (taking, hanging) = (Receiver::start(), Receiver::with(|_, _| Behaviour::Hang));
    let three = |url: &str| {
        let one = |name: &str| format!("{{name: {name}, url: '{url}'}}");
        format!("[{}, {}, {}]", one("a"), one("b"), one("c"))
    };
    let (three_taking, three_hanging) = (three(&taking.url()), three(&hanging.url()));
    let servers = [
        ("none", Server::start()),
        (
            "three",
            Server::with(&[("REGISTRY_WEBHOOKS", &three_taking)]),
        ),
        (
            "three that hang",
            Server::with(&[("REGISTRY_WEBHOOKS", &three_hanging)]),
        ),
    ];
    let mut clients: Vec<_> = servers.iter().map(|(_, server)| server.client()).collect();
    for client in &mut clients {
        Image::small(1).push(client, "app", "first");
        push(client, 0, 20);
    }
    let (rounds, at_once) = (5, 20);
    let mut times = vec![Vec::new(); servers.len()];
    // in turns, so that the machine is the same for all
    for round in 0..rounds {
        for (client, times) in clients.iter_mut().zip(&mut times) {
            times.extend(push(client, 1000 + round * at_once, at_once));
        }
    }
    let figures: Vec<_> = times
        .into_iter()
        .map(|mut times: Vec<Duration>| {
            let total: Duration = times.iter().sum();
            times.sort();
            (
                times.len() as f64 / total.as_secs_f64(),
                times[times.len() / 2],
                times[times.len() * 99 / 100],
            )
        })
        .collect();
    for ((name, _), (rate, median, most)) in servers.iter().zip(&figures) {
        println!("{name}: {rate:.0} pushes/s, median {median:?}, 99 % within {most:?}");
    }
    println!(
        "three to none: {:.3}; hanging to none: {:.3}",
        figures[1].0 / figures[0].0,
        figures[2].0 / figures[0].0
    );
    assert!(hanging.arrived() > 0, "nothing was sent");
    // a machine that tests is busy, and so are these servers, which are not optimized
    let least = 0.4;
    assert!(figures[1].0 / figures[0].0 >= least, "{figures:?}");
    assert!(figures[2].0 / figures[0].0 >= least, "{figures:?}");
}
