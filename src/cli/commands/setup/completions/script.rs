//! `registry completions`.

use clap_complete::Shell;
use serde_json::json;

use crate::cli::error::Error;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format, Output};

/// Print a shell completion script; in bash, zsh and fish it knows repositories and tags
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
    let script = with_names(arguments.shell, &String::from_utf8_lossy(&script));
    match arguments.output.format {
        Format::Text => output::print_raw(script.as_bytes()),
        Format::Json => {
            json::print(&json!({ "shell": arguments.shell.to_string(), "script": script }))
        }
    }
}

/// Adds the completion of repositories and tags to clap's script.
fn with_names(shell: Shell, script: &str) -> String {
    match shell {
        Shell::Bash => format!("{script}{}", include_str!("names.bash")),
        Shell::Fish => format!("{script}{}", include_str!("names.fish")),
        Shell::Zsh => {
            let lines = script.split_inclusive('\n').map(|line| {
                let is_reference = [
                    "':reference",
                    "'::reference",
                    "'*:reference",
                    "'*::reference",
                ]
                .iter()
                .any(|start| line.starts_with(start));
                if line.starts_with("if [ \"$funcstack[1]\"") {
                    format!("{}{line}", include_str!("names.zsh"))
                } else if is_reference {
                    line.replace(":_default'", ":_registry_names'")
                } else {
                    line.to_owned()
                }
            });
            lines.collect()
        }
        _ => script.to_owned(),
    }
}
