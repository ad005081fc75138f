//! The command line: its arguments, and the dispatch to commands.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::cli::commands::{
    config, du, garbage_collect, gc, health, htpasswd, inspect, ls, policy, restore, rm, tag, why,
};
use crate::cli::docker_entrypoint;
use crate::cli::error::Error;
use crate::cli::server::serve;
use crate::cli::terminal::output;

/// A container registry: one binary, one data directory.
#[derive(Parser)]
#[command(
    name = "registry",
    version,
    disable_version_flag = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
struct Arguments {
    /// Print version
    // -v is distribution's, and -V everybody else's
    #[arg(short, long, visible_short_alias = 'V', action = clap::ArgAction::Version)]
    version: (),
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve images to docker, podman and every OCI client
    Serve(serve::Arguments),
    /// List the repositories, or the tags of one
    Ls(ls::Arguments),
    /// Show what an image is made of, and who refers to it
    Inspect(inspect::Arguments),
    Du(du::Arguments),
    /// Remove tags, a manifest or whole repositories, after showing what goes and how much disk comes back
    Rm(rm::Arguments),
    /// List what was deleted and can be brought back, or bring it back
    Restore(restore::Arguments),
    /// Show what a tag pointed at before, or point it there again
    Tag(tag::Arguments),
    /// Show what keeps a blob or a manifest: the chains of references up to tags, leases and rules; or when it goes
    Why(why::Arguments),
    /// Show what the rules about tags decide
    Policy(policy::Arguments),
    /// Collect what nobody needs, beside a running server or without one
    Gc(gc::Arguments),
    /// Collect as the registry:2 image does: everything unneeded goes at once if no server is running
    GarbageCollect(garbage_collect::Arguments),
    Htpasswd(htpasswd::Arguments),
    Health(health::Arguments),
    /// Check a configuration, or show the one in force
    Config(config::Arguments),
    /// Print a completion script for a shell
    Completions {
        /// The shell, as in: registry completions bash > /etc/bash_completion.d/registry
        shell: clap_complete::Shell,
    },
}

/// Runs the command line and says how it went.
pub fn main() -> ExitCode {
    let given: Vec<_> = std::env::args_os().collect();
    let is_called_htpasswd = given
        .first()
        .is_some_and(|path| std::path::Path::new(path).file_name() == Some("htpasswd".as_ref()));
    let mut words = if is_called_htpasswd {
        given
    } else {
        docker_entrypoint::arguments(given.into_iter())
    };
    if is_called_htpasswd || words.get(1).is_some_and(|command| command == "htpasswd") {
        let rest = words.split_off(words.len().min(if is_called_htpasswd { 1 } else { 2 }));
        words.extend(htpasswd::with_flags_ended(rest.into_iter()));
    }
    if is_called_htpasswd {
        return htpasswd::run(&htpasswd::Alone::parse_from(words).arguments);
    }
    let outcome = match Arguments::parse_from(words).command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Ls(arguments) => wait_for(ls::run(arguments)),
        Command::Inspect(arguments) => wait_for(inspect::run(arguments)),
        Command::Du(arguments) => wait_for(du::run(arguments)),
        Command::Rm(arguments) => wait_for(rm::run(arguments)),
        Command::Restore(arguments) => wait_for(restore::run(arguments)),
        Command::Tag(arguments) => wait_for(tag::run(arguments)),
        Command::Why(arguments) => wait_for(why::run(arguments)),
        Command::Policy(arguments) => wait_for(policy::run(arguments)),
        Command::Gc(arguments) => wait_for(gc::run(arguments)),
        Command::GarbageCollect(arguments) => wait_for(garbage_collect::run(arguments)),
        Command::Htpasswd(arguments) => return htpasswd::run(&arguments),
        Command::Health(arguments) => health::run(arguments),
        Command::Config(arguments) => config::run(arguments),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "registry", &mut script);
            output::print(&script)
        }
    };
    tarkeep::log::flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // of a configuration all is said that is wrong with it, a line each
            failure
                .to_string()
                .lines()
                .for_each(|line| eprintln!("registry: {line}"));
            ExitCode::FAILURE
        }
    }
}

fn wait_for(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .map_err(|error| Error::Other(format!("cannot start: {error}")))?
        .block_on(work)
}
