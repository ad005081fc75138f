//! `manifest`: rate of GETs of a manifest by tag.

use crate::api;
use crate::data::{Blob, Random};
use crate::error::Result;
use crate::load;
use crate::peer;
use crate::series::{Better, Section, Series};
use crate::trial::{Bench, Trial};
use crate::wrk;

const REPOSITORY: &str = "bench/manifest";
const TAG: &str = "latest";
const CONNECTIONS: usize = 16;
const LAYERS: usize = 8;

pub fn run(bench: &Bench) -> Result<Section> {
    let mut random = Random::new(3);
    let layers: Vec<Blob> = (0..LAYERS)
        .map(|_| Blob::random(&mut random, 4096))
        .collect();
    let config = api::config(random.next());
    let manifest = api::manifest(&config, &layers);
    let seconds = bench.options.seconds;
    let title = format!(
        "GET of a manifest of {} bytes by tag, {CONNECTIONS} connections, {} rounds of {seconds} s",
        manifest.bytes.len(),
        bench.options.rounds
    );
    let mut section = Section::new(
        "manifest",
        title,
        vec![
            Series::new("requests/s", "", Better::Higher),
            Series::new("server CPU a request", "µs", Better::Lower),
        ],
    );
    let wrk = peer::search("wrk");
    section.notes.push(match &wrk {
        Some(path) => format!("load from {}, one thread", path.display()),
        None => "load from the built-in generator, one thread: wrk is not installed".to_owned(),
    });
    let target = api::manifest_path(REPOSITORY, TAG);
    let mut trial = Trial::start(bench, section, |_| true);
    trial.prepare(|server| {
        for blob in layers.iter().chain([&config]) {
            api::install_blob(server, REPOSITORY, blob)?;
        }
        api::install_manifest(server, REPOSITORY, TAG, &manifest)?;
        Ok(())
    });
    for _ in 0..bench.options.rounds {
        trial.round(|server| {
            let (load, cost) = server.cost(|| match &wrk {
                Some(wrk) => wrk::run(wrk, server.addr, &target, CONNECTIONS, seconds),
                None => load::run(server.addr, &target, CONNECTIONS, seconds),
            })?;
            let requests = load.requests as f64;
            Ok(vec![requests / load.seconds, cost.cpu * 1e6 / requests])
        });
    }
    Ok(trial.finish())
}
