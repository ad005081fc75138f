//! The registry measured beside its peers, in one run on one machine: `cargo bench --bench peers`.
//!
//! What each figure means, and what it does not, is in `benches/README.md`.

mod api;
mod data;
mod http;
mod images;
mod launch;
mod limits;
mod load;
mod machine;
mod manifest;
mod memory;
mod options;
mod peer;
mod process;
mod pull;
mod push;
mod report;
mod server;
mod stats;
mod trial;
mod wrk;

use std::error::Error;
use std::process::ExitCode;

use options::{Command, Options};
use report::Section;
use trial::Bench;

pub type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// One thing that can be measured, chosen by its name on the command line.
pub struct Measure {
    pub name: &'static str,
    pub about: &'static str,
    /// Whether it runs when no measure is named.
    pub by_default: bool,
    pub run: fn(&Bench) -> Result<Section>,
}

pub const MEASURES: [Measure; 7] = [
    Measure {
        name: "pull",
        about: "GET of one big blob: wall and server CPU",
        by_default: true,
        run: pull::one,
    },
    Measure {
        name: "pull4",
        about: "the same blob on four connections at once",
        by_default: true,
        run: pull::four,
    },
    Measure {
        name: "push",
        about: "POST, then PUT with the whole blob",
        by_default: true,
        run: push::whole,
    },
    Measure {
        name: "push-chunked",
        about: "POST, PATCH with a chunked stream, PUT: as docker pushes",
        by_default: true,
        run: push::chunked,
    },
    Measure {
        name: "manifest",
        about: "a manifest by tag, 16 keep-alive connections",
        by_default: true,
        run: manifest::run,
    },
    Measure {
        name: "images",
        about: "small images pushed by 8 clients",
        by_default: true,
        run: images::run,
    },
    Measure {
        name: "memory",
        about: "peak memory while 32 clients push and pull shared layers",
        by_default: false,
        run: memory::run,
    },
];

fn main() -> ExitCode {
    let outcome = match options::parse(std::env::args().skip(1)) {
        Ok(Command::Run(options)) => run(options),
        Ok(Command::Say(text)) => {
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

/// Runs the chosen measures; false if any peer failed in any of them.
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
        .filter(|measure| bench.options.chosen(measure))
    {
        let section = (measure.run)(&bench).map_err(|e| format!("{}: {e}", measure.name))?;
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
