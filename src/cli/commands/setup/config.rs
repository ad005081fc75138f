//! `registry config`: checks a configuration, or shows the effective one.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};
use tarkeep::config::{self, Config, Loaded, Origin, Problem};

use crate::cli::configuration::Configuration;
use crate::cli::error::Error;
use crate::cli::from_config::check::{self, Flags};
use crate::cli::from_config::defaults;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format, Output};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Report all errors in a configuration and in the files that it names, and keys without effect
    Check {
        #[command(flatten)]
        config: Configuration,
        #[command(flatten)]
        output: Output,
    },
    /// Print the effective configuration, with the origin of each value; secrets are redacted
    Show {
        #[command(flatten)]
        config: Configuration,
        #[command(flatten)]
        output: Output,
    },
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    match arguments.command {
        Command::Check { config, output } => check(config.path(), output.format),
        Command::Show { config, output } => show(config.path(), output.format),
    }
}

/// Validates a configuration as a start would, without changing anything; the notes include the warnings of a start.
fn validated(file: Option<PathBuf>) -> Result<Loaded, config::Error> {
    let mut draft = Config::draft(
        defaults::configuration(file).as_deref(),
        std::env::vars_os(),
    )?;
    let ((), warnings) = tarkeep::log::gather(|| check::everything(&mut draft, &Flags::default()));
    warnings.into_iter().for_each(|warning| draft.note(warning));
    draft.finish()
}

fn check(file: Option<PathBuf>, format: Format) -> Result<(), Error> {
    let validated = validated(file);
    match format {
        Format::Text => {
            let notes: String = validated?
                .notes
                .iter()
                .map(|note| format!("note: {note}\n"))
                .collect();
            output::print(&format!("{notes}the configuration is valid\n"))
        }
        Format::Json => {
            let (problems, notes) = match &validated {
                Ok(loaded) => (Vec::new(), loaded.notes.clone()),
                Err(config::Error::Problems(problems)) => {
                    (problems.iter().map(object).collect(), Vec::new())
                }
                Err(unreadable @ config::Error::Read { path, .. }) => (
                    vec![json!({
                        "key": null, "file": path, "line": null, "variable": null, "reason": unreadable.to_string(),
                    })],
                    Vec::new(),
                ),
            };
            let object =
                json!({ "valid": validated.is_ok(), "problems": problems, "notes": notes });
            json::print(&object)?;
            validated.map(drop).map_err(|_| Error::Reported)
        }
    }
}

fn object(problem: &Problem) -> Value {
    let (file, line, variable) = match &problem.origin {
        Origin::File { path, line } => (Some(&**path), Some(*line), None),
        Origin::Variable(name) => (None, None, Some(&**name)),
        Origin::Default => (None, None, None),
    };
    let key = Some(&*problem.about).filter(|key| !key.is_empty());
    json!({
        "key": key, "file": file, "line": line, "variable": variable, "reason": problem.sentence,
    })
}

fn show(file: Option<PathBuf>, format: Format) -> Result<(), Error> {
    let loaded = Config::load(
        defaults::configuration(file).as_deref(),
        std::env::vars_os(),
    )?;
    match format {
        Format::Text => output::print(&loaded.to_yaml()),
        Format::Json => json::print(&loaded.to_json()),
    }
}
