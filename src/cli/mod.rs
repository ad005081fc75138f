//! What can be typed: serving, and looking at the data directory beside a running server or without one.

mod place;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// A container registry: one binary, one data directory.
#[derive(Parser)]
#[command(name = "registry", version, arg_required_else_help = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve images to docker, podman and every OCI client
    Serve(serve::Arguments),
    /// Print a completion script for a shell
    Completions {
        /// The shell, as in: registry completions bash > /etc/bash_completion.d/registry
        shell: clap_complete::Shell,
    },
}

/// Where the store is, for commands that work on it.
#[derive(clap::Args)]
struct Store {
    /// The data directory [default: as the server has it]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The server's configuration, to find its data directory
    #[arg(long, value_name = "CONFIG.yml")]
    config: Option<PathBuf>,
}

/// Why a command failed, in one sentence for a person.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] registry::config::Error),
    #[error(transparent)]
    Registry(#[from] registry::registry::Error),
    #[error("{0}")]
    Other(String),
}

/// Runs the command line and says how it went.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "registry", &mut std::io::stdout());
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("registry: {failure}");
            ExitCode::FAILURE
        }
    }
}
