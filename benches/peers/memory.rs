//! `memory`: peak memory of a server while many clients push and pull at once.

use std::thread;

use crate::api::{self, UploadMode};
use crate::consts::MANIFEST_TYPE;
use crate::data::{Blob, Random};
use crate::error::Result;
use crate::http::{Body, Conn};
use crate::machine::warm_page_cache;
use crate::series::{Better, Section, Series};
use crate::server::Server;
use crate::trial::{Bench, Trial};

const CLIENTS: usize = 32;
const REPOSITORIES: usize = 8;
/// Distinct layers; every image takes some of them.
const LAYERS: usize = 16;
const LAYERS_AN_IMAGE: usize = 4;
const LAYER: usize = 8 << 20;
const IMAGES_A_CLIENT: usize = 8;

pub fn run(bench: &Bench) -> Result<Section> {
    let title = format!(
        "{CLIENTS} clients push and pull {} images of {LAYERS_AN_IMAGE} layers out of {LAYERS}, \
         {} MiB each, in {REPOSITORIES} repositories",
        CLIENTS * IMAGES_A_CLIENT,
        LAYER >> 20
    );
    let section = Section::new(
        "memory",
        title,
        vec![
            Series::new("peak memory when idle", "MiB", Better::Lower),
            Series::new("wall", "s", Better::Lower),
            Series::new("server CPU", "s", Better::Lower),
        ],
    );
    let mut random = Random::new(5);
    let layers: Vec<Blob> = (0..LAYERS)
        .map(|_| Blob::random(&mut random, LAYER))
        .collect();
    let mut trial = Trial::start(bench, section, |peer| peer.takes_pushes);
    trial.round(|server| {
        warm_page_cache(&bench.options.dir, LAYERS * LAYER * REPOSITORIES)?;
        let before = server.peak_memory()?;
        let ((), cost) = server.cost(|| all_clients(server, &layers))?;
        Ok(vec![before, cost.wall, cost.cpu])
    });
    Ok(trial.finish())
}

fn all_clients(server: &Server, layers: &[Blob]) -> Result<()> {
    let results: Vec<Result<()>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(move || one_client(server, client, layers)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Err("a client panicked".into())))
            .collect()
    });
    results.into_iter().collect()
}

/// Pushes images and pulls each back. Layers that the repository has are not sent again,
/// and many clients find the same layer missing at the same time.
fn one_client(server: &Server, client: usize, layers: &[Blob]) -> Result<()> {
    let repository = format!("bench/shared-{}", client % REPOSITORIES);
    let mut random = Random::new(client as u64);
    let mut conn = server.open()?;
    for image in 0..IMAGES_A_CLIENT {
        let first = random.next() as usize % LAYERS;
        let chosen: Vec<&Blob> = (0..LAYERS_AN_IMAGE)
            .map(|nth| &layers[(first + nth) % LAYERS])
            .collect();
        let config = api::config(random.next());
        let manifest = api::manifest(&config, chosen.iter().copied());
        for blob in chosen.iter().copied().chain([&config]) {
            if !api::has_blob(&mut conn, &repository, &blob.digest)? {
                api::push_blob(&mut conn, &repository, blob, UploadMode::Chunked)?;
            }
        }
        let tag = format!("client-{client}-{image}");
        api::push_manifest(&mut conn, &repository, &tag, &manifest.bytes)?;
        pull_image(&mut conn, &repository, &tag, &manifest, &chosen)?;
    }
    Ok(())
}

fn pull_image(
    conn: &mut Conn,
    repository: &str,
    tag: &str,
    manifest: &Blob,
    layers: &[&Blob],
) -> Result<()> {
    let target = api::manifest_path(repository, tag);
    let accept = [("Accept", MANIFEST_TYPE)];
    let reply = conn
        .call("GET", &target, &accept, Body::Empty)?
        .expect(200, "GET of a manifest")?;
    if reply.body != manifest.bytes {
        return Err(format!("{target} changed").into());
    }
    for layer in layers {
        let length = conn.get_discarding(&api::blob_path(repository, &layer.digest))?;
        if length != layer.bytes.len() as u64 {
            return Err(format!("{length} bytes of a layer came").into());
        }
    }
    Ok(())
}
