//! The command line of the registry.

mod cli;

use std::process::ExitCode;

/// Keeps memory flat under many short-lived buffers of many sizes, where the system's allocator keeps an arena a thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
