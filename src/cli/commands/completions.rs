//! `registry completions`.

use clap_complete::Shell;
use serde_json::json;

use crate::cli::error::Error;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format, Output};

/// Print a shell completion script
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Shell, as in: registry completions bash > /etc/bash_completion.d/registry
    shell: Shell,
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(arguments: Arguments, mut command: clap::Command) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "registry", &mut script);
    match arguments.output.format {
        Format::Text => output::print_raw(&script),
        Format::Json => json::print(&json!({
            "shell": arguments.shell.to_string(), "script": String::from_utf8_lossy(&script),
        })),
    }
}
