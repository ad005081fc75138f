//! The command line: its arguments, and the dispatch to commands.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tarkeep::escape::OneLine;

use crate::cli::commands::changes::{restore, rm, tag, uploads};
use crate::cli::commands::collection::{garbage_collect, gc, policy};
use crate::cli::commands::reports::{audit, du, growth, inspect, ls, quotas, verify, why};
use crate::cli::commands::setup::{
    access, completions, config, credential_provider, health, htpasswd, mirror_config,
};
use crate::cli::commands::token;
use crate::cli::commands::transfer::{backup, export, import};
use crate::cli::commands::upstream;
use crate::cli::commands::webhook;
use crate::cli::configuration;
use crate::cli::docker_entrypoint;
use crate::cli::error::Error;
use crate::cli::server::serve;
use crate::cli::terminal::output;

/// First steps, below the list of commands.
const EXAMPLES: &str = "\
Names are REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST; HOST:PORT/ may stand
before them. Digests may be shortened to 4 digits or more; globs are quoted.

  registry serve                    run the server, on 127.0.0.1:5000
  registry ls team/app              tags of a repository
  registry rm 'team/app:pr-*'       delete tags, after asking
  registry restore team/app         undo that
  registry du --limit 10            where the disk space is
  registry config show --example    a configuration to begin with
  registry help COMMAND             more about a command";

/// A container registry: one binary, one data directory.
#[derive(Parser)]
#[command(
    name = "registry",
    version,
    disable_version_flag = true,
    arg_required_else_help = true,
    max_term_width = 80,
    after_help = EXAMPLES
)]
struct Arguments {
    /// Print version
    // -v is distribution's flag, -V the usual one
    #[arg(short, long, visible_short_alias = 'V', action = clap::ArgAction::Version)]
    version: (),
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Arguments),
    #[command(alias = "list")]
    Ls(ls::Arguments),
    #[command(alias = "show")]
    Inspect(inspect::Arguments),
    Du(du::Arguments),
    Growth(growth::Arguments),
    /// Delete tags, a manifest or whole repositories, after showing how much disk space that frees
    #[command(aliases = ["delete", "remove"])]
    Rm(rm::Arguments),
    /// List deleted content that can still be restored, and until when; or restore it
    #[command(aliases = ["undo", "undelete"])]
    Restore(restore::Arguments),
    /// Point a tag at an image, as docker tag does; show its history, or move it back
    Tag(tag::Arguments),
    /// Show why a blob or manifest is kept (tags, references, leases, rules), or when it will be removed
    Why(why::Arguments),
    /// Preview the effect of the retention rules
    Policy(policy::Arguments),
    /// Read everything that is stored and compare it with its digests; a server may be running
    Verify(verify::Arguments),
    Backup(backup::Arguments),
    Export(export::Arguments),
    Import(import::Arguments),
    /// List uploads that are open, or drop them
    Uploads(uploads::Arguments),
    /// Remove what is due, and say what waits and why; a server may be running
    Gc(gc::Arguments),
    /// Collect garbage as registry:2 does, at once and without undo; beside a running server as gc does
    ///
    /// While a server runs on the same directory, leases and grace periods apply, because its clients rely on them.
    GarbageCollect(garbage_collect::Arguments),
    /// Explain what the access rules let somebody do
    Access(access::Arguments),
    /// Make, list, rotate or revoke tokens: passwords for machines, with rights of their own
    Token(token::Arguments),
    /// List who changed what, and when: pushes, tags, deletions, tokens, refused logins
    Audit(audit::Arguments),
    /// List quotas: what repositories hold together, beside their limits
    Quotas(quotas::Arguments),
    /// List webhooks and what they were told; tell them again, or send a test
    Webhook(webhook::Arguments),
    /// List the registries whose content is cached here, or make a cached image one's own
    Upstream(upstream::Arguments),
    MirrorConfig(mirror_config::Arguments),
    Htpasswd(htpasswd::Arguments),
    Health(health::Arguments),
    /// Check a configuration, or show the effective one
    Config(config::Arguments),
    Completions(completions::Arguments),
    #[command(hide = true)]
    Complete(completions::Names),
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let given: Vec<_> = std::env::args_os().collect();
    let is_called = |name: &str| {
        let path = given.first().map(Path::new);
        path.is_some_and(|path| path.file_name() == Some(name.as_ref()))
    };
    if is_called("registry-credential-provider") {
        return outcome_of(credential_provider::run().map_err(Error::Other));
    }
    let is_called_htpasswd = is_called("htpasswd");
    let mut words = if is_called_htpasswd {
        given
    } else {
        configuration::with_flag(
            docker_entrypoint::arguments(given.into_iter()),
            Path::is_file,
        )
    };
    if is_called_htpasswd || words.get(1).is_some_and(|command| command == "htpasswd") {
        let rest = words.split_off(words.len().min(if is_called_htpasswd { 1 } else { 2 }));
        words.extend(htpasswd::with_flags_ended(rest.into_iter()));
    }
    if is_called_htpasswd {
        return htpasswd::run(&parse::<htpasswd::Alone>(words).arguments);
    }
    let outcome = match parse::<Arguments>(words).command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Ls(arguments) => wait_for(ls::run(arguments)),
        Command::Inspect(arguments) => wait_for(inspect::run(arguments)),
        Command::Du(arguments) => wait_for(du::run(arguments)),
        Command::Growth(arguments) => wait_for(growth::run(arguments)),
        Command::Rm(arguments) => wait_for(rm::run(arguments)),
        Command::Restore(arguments) => wait_for(restore::run(arguments)),
        Command::Tag(arguments) => wait_for(tag::run(arguments)),
        Command::Why(arguments) => wait_for(why::run(arguments)),
        Command::Policy(arguments) => wait_for(policy::run(arguments)),
        Command::Verify(arguments) => wait_for(verify::run(arguments)),
        Command::Backup(arguments) => wait_for(backup::run(arguments)),
        Command::Export(arguments) => wait_for(export::run(arguments)),
        Command::Import(arguments) => wait_for(import::run(arguments)),
        Command::Uploads(arguments) => wait_for(uploads::run(arguments)),
        Command::Gc(arguments) => wait_for(gc::run(arguments)),
        Command::GarbageCollect(arguments) => wait_for(garbage_collect::run(arguments)),
        Command::Access(arguments) => wait_for(access::run(arguments)),
        Command::Audit(arguments) => wait_for(audit::run(arguments)),
        Command::Quotas(arguments) => wait_for(quotas::run(arguments)),
        Command::Token(arguments) => wait_for(token::run(arguments)),
        Command::Webhook(arguments) => wait_for(webhook::run(arguments)),
        Command::Upstream(arguments) => wait_for(upstream::run(arguments)),
        Command::MirrorConfig(arguments) => wait_for(mirror_config::run(arguments)),
        Command::Htpasswd(arguments) => return htpasswd::run(&arguments),
        Command::Health(arguments) => wait_for(health::run(arguments)),
        Command::Config(arguments) => wait_for(config::run(arguments)),
        Command::Complete(arguments) => wait_for(completions::complete(arguments)),
        Command::Completions(arguments) => completions::run(arguments, Arguments::command()),
    };
    tarkeep::log::flush();
    outcome_of(outcome)
}

/// Reports an error, and returns the exit code.
fn outcome_of(outcome: Result<(), Error>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // an invalid configuration has one line per problem
            failure
                .to_string()
                .lines()
                .for_each(|line| output::complain(&format!("registry: {line}")));
            failure.exit_code()
        }
    }
}

/// Parses the command line, or ends the process with a message that shows no hidden character of it.
fn parse<T: Parser>(words: Vec<OsString>) -> T {
    let error = match T::try_parse_from(&words) {
        Ok(arguments) => return arguments,
        Err(error) => error,
    };
    let shown = |word: &OsString| OneLine(&word.to_string_lossy()).to_string();
    match T::try_parse_from(words.iter().map(shown)) {
        Err(shown) => shown.exit(),
        // the value was wrong only before
        Ok(_) => {
            error.to_string().lines().for_each(output::complain);
            std::process::exit(error.exit_code())
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
