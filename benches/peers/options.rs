//! The command line.

use std::path::PathBuf;

use crate::error::Result;

/// A measure as it is chosen on the command line.
#[derive(Clone, Copy)]
pub struct Choice {
    pub name: &'static str,
    pub about: &'static str,
    /// True if it runs when no measure is named.
    pub is_default: bool,
}

pub struct Options {
    measures: Vec<String>,
    pub peers: Option<Vec<String>>,
    pub rounds: usize,
    /// Size of the big blob, bytes.
    pub size: usize,
    /// Length of one round of `manifest` and `images`.
    pub seconds: u64,
    pub json: bool,
    pub dir: PathBuf,
}

pub enum Command {
    Run(Options),
    Print(String),
}

impl Options {
    pub fn includes(&self, measure: &Choice) -> bool {
        if self.measures.is_empty() {
            return measure.is_default;
        }
        self.measures.iter().any(|name| name == measure.name)
    }
}

/// Parses the arguments; `choices` are the measures there are.
pub fn parse(args: impl Iterator<Item = String>, choices: &[Choice]) -> Result<Command> {
    let mut options = Options {
        measures: Vec::new(),
        peers: None,
        rounds: 5,
        size: 512 << 20,
        seconds: 4,
        json: false,
        dir: PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
    };
    let mut is_cargo_bench = false;
    let mut args = args;
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--bench" => is_cargo_bench = true,
            "--help" | "-h" => return Ok(Command::Print(usage(choices))),
            "--rounds" => options.rounds = number(&value()?)?.max(1),
            "--size" => options.size = number(&value()?)?.max(1) << 20,
            "--seconds" => options.seconds = number(&value()?)?.max(1) as u64,
            "--dir" => options.dir = PathBuf::from(value()?),
            "--peers" => options.peers = Some(value()?.split(',').map(str::to_owned).collect()),
            "--output" => options.json = output_is_json(&value()?)?,
            name => options.measures.push(measure_named(name, choices)?),
        }
    }
    // `cargo test --benches` runs this binary too, without `--bench`
    if !is_cargo_bench {
        return Ok(Command::Print(
            "peers: nothing is measured; run `cargo bench --bench peers`".to_owned(),
        ));
    }
    Ok(Command::Run(options))
}

fn number(text: &str) -> Result<usize> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a whole number").into())
}

fn output_is_json(format: &str) -> Result<bool> {
    match format {
        "json" => Ok(true),
        "text" => Ok(false),
        other => Err(format!("--output is text or json, not {other:?}").into()),
    }
}

fn measure_named(name: &str, choices: &[Choice]) -> Result<String> {
    if choices.iter().any(|measure| measure.name == name) {
        return Ok(name.to_owned());
    }
    Err(format!("no measure or option {name:?}\n\n{}", usage(choices)).into())
}

fn usage(choices: &[Choice]) -> String {
    let mut text = String::from(
        "cargo bench --bench peers -- [MEASURE]... [OPTION]...\n\n\
         Options:\n\
         \x20 --rounds N         rounds of each measure, in which peers take turns (5)\n\
         \x20 --size MIB         size of the big blob (512)\n\
         \x20 --seconds S        length of a round of manifest and images (4)\n\
         \x20 --peers A,B        only these peers\n\
         \x20 --dir PATH         where servers keep their data; a real disk (target/tmp)\n\
         \x20 --output FORMAT    text or json (text)\n\n\
         Measures:\n",
    );
    for measure in choices {
        let mark = if measure.is_default {
            ""
        } else {
            " (only when named)"
        };
        text += &format!("  {:<14} {}{mark}\n", measure.name, measure.about);
    }
    text
}
