//! The command line of the registry.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
