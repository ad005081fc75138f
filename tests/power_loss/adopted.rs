//! The power fails while a registry is moved here: what it was told of as complete may be stopped, and what was deleted stays away.

use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::disk::Disk;
use crate::crash::faults::verified;
use crate::crash::random::Random;
use crate::support::hub::Hub;
use crate::support::{Image, Server, announce_skipped, eventually, noise};
use crate::upstream::adopt::{adopting_at, completed};

/// Number of images of the old registry.
const IMAGES: u64 = 8;
/// Number of cuts at a random moment.
const RANDOM_CUTS: u64 = 3;
/// Longest time before such a cut, in milliseconds.
const LONGEST: u64 = 300;

/// Moment of a cut.
enum Moment {
    /// The registry has said that everything is here.
    Complete,
    /// A client was told that a tag is deleted.
    Deleted,
    /// Clients pull, and the walk is somewhere.
    Random(Duration),
}

fn tag(number: u64) -> String {
    format!("v{number}")
}

/// The old registry, which the power loss does not concern.
fn old() -> (Hub, Vec<Image>) {
    let hub = Hub::start();
    let image = |seed| {
        Image::new(
            &tag(seed),
            vec![noise(seed % 3, 30_000), noise(50 + seed, 9_000)],
        )
    };
    let images: Vec<_> = (0..IMAGES).map(image).collect();
    for (number, image) in (0..).zip(&images) {
        hub.add("team/app", &tag(number), image);
    }
    (hub, images)
}

#[test]
fn an_adoption_survives_a_power_loss() {
    let directory = TempDir::new().expect("a directory");
    let disk = match Disk::new(directory.path(), "data") {
        Ok(disk) => disk,
        Err(error) => {
            let reason = format!("root and loop mounts are required: {error}");
            return announce_skipped("power loss of an adoption", &reason);
        }
    };
    let mut random = Random::new(Random::seed_from("POWER_SEED"));
    let mut moments = vec![Moment::Complete, Moment::Deleted];
    for _ in 0..RANDOM_CUTS {
        let life = Duration::from_millis(random.below(LONGEST));
        moments.push(Moment::Random(life));
    }
    for (number, moment) in moments.into_iter().enumerate() {
        let (hub, images) = old();
        let path = disk.path().join(format!("round-{number}"));
        let mut server = adopting_at(&path, &hub.url(), &json!({}));
        reach(&moment, &server, &images);
        disk.cut();
        server.kill();
        // the owner may have stopped it, once everything was here
        hub.behave(|behaviour| behaviour.is_down = matches!(moment, Moment::Complete));
        disk.restore_power();
        server.restart();
        completed(&server);
        check(&moment, &server, &hub, &images);
    }
}

/// Works until a moment has come.
fn reach(moment: &Moment, server: &Server, images: &[Image]) {
    let mut client = server.client();
    match moment {
        Moment::Complete => completed(server),
        Moment::Deleted => {
            let path = format!("/v2/team/app/manifests/{}", tag(1));
            eventually("the old registry answers", || {
                client.get(&path).status == 200
            });
            let deleted = client.request("DELETE", &path).send();
            assert_eq!(deleted.status, 202);
        }
        Moment::Random(life) => {
            let begun = std::time::Instant::now();
            for (number, image) in (0..).zip(images.iter().cycle()) {
                if begun.elapsed() > *life {
                    break;
                }
                let number = number % IMAGES;
                image.assert_pulls(&mut client, "team/app", &tag(number));
            }
        }
    }
}

/// Everything is here without the old registry, but for what was deleted.
fn check(moment: &Moment, server: &Server, hub: &Hub, images: &[Image]) {
    let mut client = server.client();
    let is_deleted = |number| number == 1 && matches!(moment, Moment::Deleted);
    hub.behave(|behaviour| behaviour.is_down = true);
    for (number, image) in (0..).zip(images) {
        if is_deleted(number) {
            let path = format!("/v2/team/app/manifests/{}", tag(number));
            assert_eq!(client.get(&path).status, 404, "it is back");
            continue;
        }
        image.assert_pulls(&mut client, "team/app", &tag(number));
    }
    let (is_sound, printed) = verified(server.directory());
    assert!(is_sound, "{printed}");
}
