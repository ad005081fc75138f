//! `registry config`: checks a configuration, or shows the effective one.

use clap::Subcommand;
use serde_json::{Value, json};
use tarkeep::config::{self, Loaded, Origin, Problem};

use crate::cli::commands::setup::rule_tokens::{self, Place};
use crate::cli::configuration::Configuration;
use crate::cli::error::Error;
use crate::cli::from_config::check::{self, Flags};
use crate::cli::sources::Sources;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format, Output};

/// A commented configuration.
const EXAMPLE: &str = include_str!("example.yml");

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Report all errors in a configuration and in the files that it names, and keys without effect
    ///
    /// It is what registry serve takes from the same arguments and variables. Without any, it is that of the running server.
    Check {
        #[command(flatten)]
        config: Configuration,
        #[command(flatten)]
        flags: Flags,
        #[command(flatten)]
        output: Output,
    },
    /// Print the effective configuration, with the origin of each value; secrets are redacted
    ///
    /// It is what registry serve takes from the same arguments and variables. Without any, it is that of the running server.
    Show {
        #[command(flatten)]
        config: Configuration,
        #[command(flatten)]
        flags: Flags,
        /// Print a commented example instead, to begin with
        #[arg(long, conflicts_with_all = ["position", "named", "addr", "data_dir"])]
        example: bool,
        #[command(flatten)]
        output: Output,
    },
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    match arguments.command {
        Command::Check {
            config,
            flags,
            output,
        } => check(Sources::find(config.path(), flags)?, output.format).await,
        Command::Show {
            example: true,
            output,
            ..
        } => print_example(output.format),
        Command::Show {
            config,
            flags,
            output,
            ..
        } => show(Sources::find(config.path(), flags)?, output.format),
    }
}

/// Validates a configuration as a start would, without changing anything; the notes include the warnings of a start.
fn validated(sources: Sources) -> Result<Loaded, config::Error> {
    let flags = sources.flags.clone();
    let mut draft = sources.draft()?;
    let ((), warnings) = tarkeep::log::gather(|| check::everything(&mut draft, &flags));
    warnings.into_iter().for_each(|warning| draft.note(warning));
    draft.finish()
}

async fn check(sources: Sources, format: Format) -> Result<(), Error> {
    let named = sources.flags.data_dir.clone();
    let place = Place {
        directory: named.or(sources.data_directory.clone()),
        file: sources.file.clone(),
    };
    let mut validated = validated(sources);
    if let Ok(loaded) = &mut validated {
        let note = rule_tokens::note(&loaded.config, place).await;
        loaded.notes.extend(note);
    }
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
                        "key": null, "file": path, "line": null, "variable": null, "flag": null, "reason": unreadable.to_string(),
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
    let (file, line, variable, flag) = match &problem.origin {
        Origin::File { path, line } => (Some(&**path), Some(*line), None, None),
        Origin::Variable(name) => (None, None, Some(&**name), None),
        Origin::Flag(name) => (None, None, None, Some(*name)),
        Origin::Default => (None, None, None, None),
    };
    let key = Some(&*problem.about).filter(|key| !key.is_empty());
    json!({
        "key": key, "file": file, "line": line, "variable": variable, "flag": flag,
        "reason": problem.sentence,
    })
}

fn print_example(format: Format) -> Result<(), Error> {
    match format {
        Format::Text => output::print(EXAMPLE),
        Format::Json => json::print(&json!({ "example": EXAMPLE })),
    }
}

fn show(sources: Sources, format: Format) -> Result<(), Error> {
    let loaded = sources.draft()?.finish()?;
    match format {
        Format::Text => output::print(&loaded.to_yaml()),
        Format::Json => json::print(&loaded.to_json()),
    }
}
