//! `pull` and `pull4`: one big blob, out of the page cache.

use std::thread;

use crate::api;
use crate::data::{Blob, Random};
use crate::error::Result;
use crate::series::{Better, Section, Series};
use crate::server::Server;
use crate::trial::{Bench, Trial};

const REPOSITORY: &str = "bench/pull";

pub fn one(bench: &Bench) -> Result<Section> {
    run(bench, "pull", 1)
}

pub fn four(bench: &Bench) -> Result<Section> {
    run(bench, "pull4", 4)
}

fn run(bench: &Bench, name: &'static str, connections: usize) -> Result<Section> {
    let size = bench.options.size;
    let title = format!(
        "GET of one blob of {} MiB, {connections} connection(s), {} rounds",
        size >> 20,
        bench.options.rounds
    );
    let section = Section::new(
        name,
        title,
        vec![
            Series::new("wall", "s", Better::Lower),
            Series::new("server CPU", "s", Better::Lower),
        ],
    );
    let blob = Blob::random(&mut Random::new(1), size);
    let target = api::blob_path(REPOSITORY, &blob.digest);
    let mut trial = Trial::start(bench, section, |_| true);
    trial.prepare(|server| {
        api::install_blob(server, REPOSITORY, &blob)?;
        pull(server, &target, connections, size as u64)
    });
    for _ in 0..bench.options.rounds {
        trial.round(|server| {
            let ((), cost) = server.cost(|| pull(server, &target, connections, size as u64))?;
            Ok(vec![cost.wall, cost.cpu])
        });
    }
    Ok(trial.finish())
}

/// Pulls the blob on several connections at the same time, once on each.
fn pull(server: &Server, target: &str, connections: usize, size: u64) -> Result<()> {
    let lengths: Vec<Result<u64>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|_| scope.spawn(|| server.open()?.get_discarding(target)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Err("a client panicked".into())))
            .collect()
    });
    for length in lengths {
        let length = length?;
        if length != size {
            return Err(format!("{length} bytes came, not {size}").into());
        }
    }
    Ok(())
}
