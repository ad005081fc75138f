//! `registry man`.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::error::Error;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{Format, Output};

/// Write manual pages, one a command, for man(1)
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Directory for the pages, as in: registry man /usr/local/share/man/man1
    directory: PathBuf,
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(arguments: &Arguments, command: clap::Command) -> Result<(), Error> {
    let directory = &arguments.directory;
    write(directory, command).map_err(|error| {
        Error::Other(format!(
            "cannot write manual pages to {}: {error}; name a directory that exists",
            directory.display()
        ))
    })?;
    match arguments.output.format {
        Format::Text => Ok(()),
        Format::Json => json::print(&json!({ "directory": directory })),
    }
}

/// Writes `registry.1`, `registry-ls.1` and so on.
fn write(directory: &Path, command: clap::Command) -> std::io::Result<()> {
    clap_mangen::generate_to(command.disable_help_subcommand(true), directory)
}
