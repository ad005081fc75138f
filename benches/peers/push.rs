//! `push` and `push-chunked`: one big blob of fresh bytes, compared with hashing and writing them alone.

use crate::api::{self, UploadMode};
use crate::data::{Blob, Random};
use crate::error::Result;
use crate::limits;
use crate::machine::{free_space, warm_page_cache};
use crate::series::{Better, Section, Series};
use crate::trial::{Bench, Trial, settle};

const REPOSITORY: &str = "bench/push";
/// Index of the limits among the series, after those of the peers.
const LIMITS: usize = 3;

pub fn whole(bench: &Bench) -> Result<Section> {
    run(bench, "push", "POST, PUT", UploadMode::Whole)
}

pub fn chunked(bench: &Bench) -> Result<Section> {
    run(
        bench,
        "push-chunked",
        "POST, PATCH in 32 KiB chunks, PUT",
        UploadMode::Chunked,
    )
}

fn run(bench: &Bench, name: &'static str, verbs: &str, mode: UploadMode) -> Result<Section> {
    let rounds = bench.options.rounds;
    let size = bench.options.size;
    enough_space(bench)?;
    let title = format!("{verbs} of a blob of {} MiB, {rounds} rounds", size >> 20);
    let section = Section::new(
        name,
        title,
        vec![
            Series::new("wall", "s", Better::Lower),
            Series::new("server CPU", "s", Better::Lower),
            Series::new("wall / slower limit", "", Better::Lower),
            Series::new("limits", "s", Better::Neither),
        ],
    );
    let mut random = Random::new(2);
    let mut trial = Trial::start(bench, section, |peer| peer.takes_pushes);
    for round in 0..rounds {
        let blob = Blob::random(&mut random, size);
        settle();
        let hash = limits::sha256(&blob.bytes);
        warm_page_cache(&bench.options.dir, size)?;
        let disk = limits::disk(&blob.bytes, &bench.options.dir)?;
        let series = &mut trial.section.series[LIMITS];
        series.push("sha256 alone", hash);
        series.push("write + fdatasync alone", disk);
        trial.round(|server| {
            warm_page_cache(&bench.options.dir, size)?;
            let mut conn = server.open()?;
            let ((), cost) = server.cost(|| api::push_blob(&mut conn, REPOSITORY, &blob, mode))?;
            Ok(vec![cost.wall, cost.cpu, cost.wall / hash.max(disk)])
        });
        if round + 1 == rounds {
            trial.verify(|server| {
                let target = api::blob_path(REPOSITORY, &blob.digest);
                api::check(&mut server.open()?, &target, &blob.digest)
            });
        }
    }
    Ok(trial.finish())
}

fn enough_space(bench: &Bench) -> Result<()> {
    let peers = bench.found.iter().filter(|found| found.peer.takes_pushes);
    let blobs = bench.options.rounds * peers.count() + 3;
    let need = (blobs * bench.options.size) as u64;
    let free = free_space(&bench.options.dir);
    if free < need {
        let dir = bench.options.dir.display();
        return Err(format!(
            "{} MiB needed below {dir}, {} free: use fewer --rounds or another --dir",
            need >> 20,
            free >> 20
        )
        .into());
    }
    Ok(())
}
