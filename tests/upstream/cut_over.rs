//! Cut-over of a `docker-registry` while clients pull and push. `ADOPT_IMAGES=1000` moves that many images.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::json;

use super::adopt::{adopting, adoption};
use super::old::Old;
use crate::support::{
    Client, Image, OCI_INDEX, OCI_MANIFEST, Server, descriptor, eventually, noise, sha256,
};

/// Number of repositories.
const REPOSITORIES: usize = 20;
/// Number of clients that pull, and of those that push.
const PULLERS: usize = 3;
const PUSHERS: usize = 2;

/// An image with its place.
struct Placed {
    image: Image,
    repository: String,
    tag: String,
}

/// Makes images that share one of ten base layers.
fn images(number: usize) -> Vec<Placed> {
    let bases: Vec<_> = (0..10).map(|seed| noise(1000 + seed, 20_000)).collect();
    let placed = (0..number).map(|number| {
        let base = bases[number % bases.len()].clone();
        let own = noise(number as u64, 700);
        Placed {
            image: Image::new(&format!("image {number}"), vec![base, own]),
            repository: format!("team{}/app", number % REPOSITORIES),
            tag: format!("v{number}"),
        }
    });
    placed.collect()
}

/// An index of the first two images of a repository.
fn index(images: &[Placed]) -> Vec<u8> {
    let children = [&images[0], &images[REPOSITORIES]];
    let children = children.map(|placed| descriptor(OCI_MANIFEST, &placed.image.manifest));
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children });
    index.to_string().into_bytes()
}

fn number() -> usize {
    let given = std::env::var("ADOPT_IMAGES").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(100)
}

fn digest(client: &mut Client, repository: &str, tag: &str) -> Option<String> {
    let path = format!("/v2/{repository}/manifests/{tag}");
    let answer = client
        .request("HEAD", &path)
        .header("Accept", OCI_MANIFEST)
        .send();
    answer.header("docker-content-digest").map(str::to_owned)
}

/// Pulls images, every so many from a start, until told to end.
fn pull(server: &Server, images: &[Placed], start: usize, is_over: &AtomicBool) -> usize {
    let (mut client, mut pulled) = (server.client(), 0);
    while !is_over.load(Ordering::Relaxed) {
        let placed = &images[(start * 31 + pulled * 7) % images.len()];
        placed
            .image
            .assert_pulls(&mut client, &placed.repository, &placed.tag);
        pulled += 1;
    }
    pulled
}

/// Pushes new images, some as tags that the old registry has, until told to end; returns them.
fn push(server: &Server, pusher: usize, images: &[Placed], is_over: &AtomicBool) -> Vec<Placed> {
    let (mut client, mut pushed) = (server.client(), Vec::new());
    while !is_over.load(Ordering::Relaxed) && pushed.len() < images.len() / 4 {
        let number = pushed.len();
        let seed = (100_000 * (pusher + 1) + number) as u64;
        let placed = Placed {
            image: Image::new(&format!("new {seed}"), vec![noise(seed, 900)]),
            repository: format!("team{}/app", number % REPOSITORIES),
            tag: format!("new{pusher}-{number}"),
        };
        placed
            .image
            .push(&mut client, &placed.repository, &placed.tag);
        placed
            .image
            .assert_pulls(&mut client, &placed.repository, &placed.tag);
        pushed.push(placed);
    }
    pushed
}

#[test]
fn a_docker_registry_is_moved_while_clients_pull_and_push() {
    let Some(old) = Old::start() else { return };
    let images = images(number());
    let mut client = old.client();
    for placed in &images {
        placed
            .image
            .push(&mut client, &placed.repository, &placed.tag);
    }
    let index = index(&images);
    let put = client.put_manifest("team0/app", "both", OCI_INDEX, &index);
    assert_eq!(put.status, 201, "{put:?}");
    let began = Instant::now();
    let mut server = adopting(&old.url(), &json!({}));
    let (is_over, pulled) = (AtomicBool::new(false), AtomicUsize::new(0));
    let pushed: Vec<Placed> = std::thread::scope(|scope| {
        let (server, images, is_over, pulled) = (&server, &*images, &is_over, &pulled);
        for start in 0..PULLERS {
            scope.spawn(move || {
                pulled.fetch_add(pull(server, images, start, is_over), Ordering::Relaxed)
            });
        }
        let pushing: Vec<_> = (0..PUSHERS)
            .map(|pusher| scope.spawn(move || push(server, pusher, images, is_over)))
            .collect();
        let over = std::panic::catch_unwind(|| {
            eventually("everything is here", || adoption(server)["percent"] == 100);
        });
        is_over.store(true, Ordering::Relaxed);
        let pushed = pushing
            .into_iter()
            .flat_map(|pushing| pushing.join().expect("pushes succeed"));
        let pushed = pushed.collect();
        assert!(over.is_ok(), "{}", adoption(server));
        pushed
    });
    let state = adoption(&server);
    println!(
        "{} images moved in {:.1} s beside {} pulls and {} pushes: {state}",
        images.len(),
        began.elapsed().as_secs_f64(),
        pulled.into_inner(),
        pushed.len(),
    );
    let mut theirs = old.client();
    let mut ours = server.client();
    for placed in &images {
        let (repository, tag) = (&placed.repository, &placed.tag);
        let there = digest(&mut theirs, repository, tag);
        assert_eq!(
            digest(&mut ours, repository, tag),
            there,
            "{repository}:{tag}"
        );
        assert_eq!(there, Some(placed.image.digest()));
    }
    // the line is removed, and the old registry stopped
    server.stop();
    drop(old);
    let server = Server::at(server.directory(), &[]);
    let mut client = server.client();
    for placed in images.iter().chain(&pushed) {
        placed
            .image
            .assert_pulls(&mut client, &placed.repository, &placed.tag);
    }
    let both = client.get("/v2/team0/app/manifests/both");
    assert_eq!(sha256(&both.body), sha256(&index));
    assert!(server.cli(&["verify"]).status.success());
}
