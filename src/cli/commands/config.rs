//! `registry config`: what a configuration says, before a server has to find out.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use tarkeep::config::{self, Config, Loaded, Origin, Problem};

use crate::cli::error::Error;
use crate::cli::from_config::check::{self, Flags};
use crate::cli::from_config::defaults;
use crate::cli::terminal::output;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say all that is wrong with a configuration and the files that it names, and what of it has no effect
    Check {
        /// In distribution's format; REGISTRY_… variables go over it [default: $REGISTRY_CONFIGURATION_PATH]
        #[arg(value_name = "CONFIG.yml")]
        config: Option<PathBuf>,
        /// Print sentences for people, or JSON for scripts
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        output: Report,
    },
    /// Print the configuration in force, and where each value comes from; secrets are masked
    Show {
        /// In distribution's format; REGISTRY_… variables go over it [default: $REGISTRY_CONFIGURATION_PATH]
        #[arg(value_name = "CONFIG.yml")]
        config: Option<PathBuf>,
        /// Print a file for people, or JSON for scripts
        #[arg(long, value_name = "FORMAT", default_value = "yaml")]
        output: Format,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Report {
    Text,
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    match arguments.command {
        Command::Check { config, output } => check(config, output),
        Command::Show { config, output } => show(config, output),
    }
}

/// Everything that a start looks at, without a change to anything; what a start would warn of is among the notes.
fn judged(file: Option<PathBuf>) -> Result<Loaded, config::Error> {
    let mut draft = Config::draft(
        defaults::configuration(file).as_deref(),
        std::env::vars_os(),
    )?;
    let ((), warnings) = tarkeep::log::gather(|| check::everything(&mut draft, &Flags::default()));
    warnings.into_iter().for_each(|warning| draft.note(warning));
    draft.finish()
}

fn check(file: Option<PathBuf>, report: Report) -> Result<(), Error> {
    let judged = judged(file);
    match report {
        Report::Text => {
            let notes: String = judged?
                .notes
                .iter()
                .map(|note| format!("note: {note}\n"))
                .collect();
            output::print(format!("{notes}the configuration is valid\n").as_bytes())
        }
        Report::Json => {
            let (problems, notes) = match &judged {
                Ok(loaded) => (Vec::new(), loaded.notes.clone()),
                Err(config::Error::Problems(problems)) => {
                    (problems.iter().map(object).collect(), Vec::new())
                }
                Err(unreadable @ config::Error::Read { path, .. }) => (
                    vec![json!({ "file": path, "sentence": unreadable.to_string() })],
                    Vec::new(),
                ),
            };
            let object = json!({ "valid": judged.is_ok(), "problems": problems, "notes": notes });
            output::print(format!("{object:#}\n").as_bytes())?;
            judged.map(drop).map_err(|_| Error::Reported)
        }
    }
}

fn object(problem: &Problem) -> Value {
    let mut object = json!({ "sentence": problem.sentence });
    if !problem.about.is_empty() {
        object["key"] = Value::from(&*problem.about);
    }
    match &problem.origin {
        Origin::File { path, line } => {
            object["file"] = json!(&**path);
            object["line"] = Value::from(*line);
        }
        Origin::Variable(name) => object["variable"] = Value::from(&**name),
        Origin::Default => {}
    }
    object
}

fn show(file: Option<PathBuf>, format: Format) -> Result<(), Error> {
    let loaded = Config::load(
        defaults::configuration(file).as_deref(),
        std::env::vars_os(),
    )?;
    match format {
        Format::Yaml => output::print(loaded.to_yaml().as_bytes()),
        Format::Json => output::print(format!("{:#}\n", loaded.to_json()).as_bytes()),
    }
}
