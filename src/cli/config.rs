//! `registry config`: what a configuration says, before a server has to find out.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use registry::config::{Config, Loaded};

use super::{Failure, output, place, settings};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say all that is wrong with a configuration, and what of it has no effect
    Check {
        /// In distribution's format; REGISTRY_… variables go over it [default: $REGISTRY_CONFIGURATION_PATH]
        #[arg(value_name = "CONFIG.yml")]
        config: Option<PathBuf>,
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
enum Format {
    Yaml,
    Json,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Check { config } => check(config),
        Command::Show { config, output } => show(config, output),
    }
}

fn load(file: Option<PathBuf>) -> Result<Loaded, Failure> {
    Ok(Config::load(place::configuration(file).as_deref(), std::env::vars_os())?)
}

fn check(file: Option<PathBuf>) -> Result<(), Failure> {
    let loaded = load(file)?;
    settings::check(&loaded.config)?;
    let notes: String = loaded.notes.iter().map(|note| format!("note: {note}\n")).collect();
    output::print(format!("{notes}the configuration is valid\n").as_bytes())
}

fn show(file: Option<PathBuf>, format: Format) -> Result<(), Failure> {
    let loaded = load(file)?;
    match format {
        Format::Yaml => output::print(loaded.to_yaml().as_bytes()),
        Format::Json => output::print(format!("{:#}\n", loaded.to_json()).as_bytes()),
    }
}
