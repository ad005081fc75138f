//! `images`: small images pushed by many clients; shows the fixed cost of a push.

use std::thread;
use std::time::{Duration, Instant};

use crate::api::{self, UploadMode};
use crate::data::{Blob, Random};
use crate::error::Result;
use crate::http::Conn;
use crate::series::{Better, Section, Series};
use crate::server::Server;
use crate::stats::percentile;
use crate::trial::{Bench, Trial};

const CLIENTS: usize = 8;
const LAYER: usize = 4096;

pub fn run(bench: &Bench) -> Result<Section> {
    let seconds = bench.options.seconds;
    let title = format!(
        "images of a {LAYER}-byte layer, a config and a manifest, {CLIENTS} clients with a \
         repository each, {} rounds of {seconds} s",
        bench.options.rounds
    );
    let section = Section::new(
        "images",
        title,
        vec![
            Series::new("images/s", "", Better::Higher),
            Series::new("p50 an image", "ms", Better::Lower),
            Series::new("p99 an image", "ms", Better::Lower),
            Series::new("server CPU an image", "ms", Better::Lower),
        ],
    );
    let mut trial = Trial::start(bench, section, |peer| peer.takes_pushes);
    trial.prepare(verify);
    for _ in 0..bench.options.rounds {
        trial.round(|server| {
            let (taken, cost) = server.cost(|| all_clients(server, seconds))?;
            let images = taken.len() as f64;
            Ok(vec![
                images / cost.wall,
                percentile(&taken, 0.50).ok_or("no image was pushed")?,
                percentile(&taken, 0.99).ok_or("no image was pushed")?,
                cost.cpu * 1e3 / images,
            ])
        });
    }
    trial.verify(verify);
    Ok(trial.finish())
}

/// Returns the milliseconds that each image took, for all clients together.
fn all_clients(server: &Server, seconds: u64) -> Result<Vec<f64>> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let results: Vec<Result<Vec<f64>>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(move || one_client(server, client, end)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Err("a client panicked".into())))
            .collect()
    });
    let mut taken = Vec::new();
    for result in results {
        taken.extend(result?);
    }
    Ok(taken)
}

fn one_client(server: &Server, client: usize, end: Instant) -> Result<Vec<f64>> {
    let repository = format!("bench/client-{client}");
    let mut random = Random::new(client as u64);
    let mut conn = server.open()?;
    let mut taken = Vec::new();
    while Instant::now() < end {
        let start = Instant::now();
        push_image(&mut conn, &repository, &mut random)?;
        taken.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(taken)
}

/// Pushes a new image under a new tag.
fn push_image(conn: &mut Conn, repository: &str, random: &mut Random) -> Result<Image> {
    let layer = Blob::random(random, LAYER);
    let config = api::config(random.next());
    let manifest = api::manifest(&config, [&layer]);
    let tag = format!("v{:016x}", random.next());
    api::push_blob(conn, repository, &config, UploadMode::Whole)?;
    api::push_blob(conn, repository, &layer, UploadMode::Whole)?;
    api::push_manifest(conn, repository, &tag, &manifest.bytes)?;
    Ok(Image {
        layer,
        config,
        manifest,
        tag,
    })
}

struct Image {
    layer: Blob,
    config: Blob,
    manifest: Blob,
    tag: String,
}

/// Pushes an image and pulls it back.
fn verify(server: &Server) -> Result<()> {
    let repository = "bench/verified";
    let mut conn = server.open()?;
    let image = push_image(&mut conn, repository, &mut Random::new(4))?;
    let target = api::manifest_path(repository, &image.tag);
    api::check(&mut conn, &target, &image.manifest.digest)?;
    for blob in [&image.layer, &image.config] {
        let target = api::blob_path(repository, &blob.digest);
        api::check(&mut conn, &target, &blob.digest)?;
    }
    Ok(())
}
