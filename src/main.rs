//! The command line of the registry.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "commands print")]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
