//! Compares the registry with its peers, in one run on one machine: `cargo bench --bench peers`.
//!
//! `benches/README.md` explains each figure and its limits.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "benchmarks print, and fail by panicking"
)]
#![allow(
    unsafe_code,
    reason = "measurements need system calls that no safe crate wraps"
)]

mod api;
mod consts;
mod data;
mod error;
mod http;
mod images;
mod launch;
mod limits;
mod load;
mod machine;
mod manifest;
mod measures;
mod memory;
mod options;
mod peer;
mod process;
mod pull;
mod push;
mod report;
mod series;
mod server;
mod stats;
mod trial;
mod wrk;

use std::process::ExitCode;

use error::Result;
use measures::MEASURES;
use options::{Command, Options};
use trial::Bench;

fn main() -> ExitCode {
    let outcome = match options::parse(
        std::env::args().skip(1),
        &MEASURES.map(|measure| measure.choice),
    ) {
        Ok(Command::Run(options)) => run(options),
        Ok(Command::Print(text)) => {
            println!("{text}");
            Ok(true)
        }
        Err(error) => Err(error),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the chosen measures; returns false if any peer failed in any of them.
fn run(options: Options) -> Result<bool> {
    let bench = Bench::new(options)?;
    let json = bench.options.json;
    let header = report::Header::new(&bench);
    if !json {
        print!("{}", header.text());
    }
    let mut sections = Vec::new();
    for measure in MEASURES
        .iter()
        .filter(|measure| bench.options.includes(&measure.choice))
    {
        let section = (measure.run)(&bench).map_err(|e| format!("{}: {e}", measure.choice.name))?;
        if !json {
            print!("{}", section.text());
        }
        sections.push(section);
    }
    if json {
        println!("{}", report::json(&header, &sections));
    }
    Ok(sections.iter().all(|section| section.failures.is_empty()))
}
