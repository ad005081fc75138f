//! What can be typed: serving, and looking at the data directory beside a running server or without one.

mod config;
mod du;
mod forecast;
mod gc;
mod health;
mod htpasswd;
mod image;
mod inspect;
mod live;
mod log;
mod logins;
mod ls;
mod moment;
mod output;
mod place;
mod policy;
mod progress;
mod ready;
mod reference;
mod restore;
mod rm;
mod selection;
mod serve;
mod settings;
mod tag;
mod watch;
mod why;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tarkeep::config::{Config, Loaded, Wrongs};
use tarkeep::registry::{Registry, Retention, Settings};

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
    GarbageCollect(gc::Classic),
    Htpasswd(htpasswd::Arguments),
    Health(ready::Arguments),
    /// Check a configuration, or show the one in force
    Config(config::Arguments),
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
    /// The server's configuration, for its data directory and its rules
    #[arg(long, value_name = "CONFIG.yml")]
    config: Option<PathBuf>,
}

impl Store {
    /// Opens the store, beside a running server or without one.
    async fn open(self) -> Result<Registry, Failure> {
        let (registry, _) = self.open_with_rules().await?;
        Ok(registry)
    }

    /// As [`Self::open`], with the rules of what is kept: the configuration's, where one is named or variables make one, and
    /// otherwise those of the last server on that directory.
    async fn open_with_rules(self) -> Result<(Registry, Retention), Failure> {
        let file = place::configuration(self.config);
        let is_named = file.is_some();
        let (Loaded { config, .. }, rules) =
            Config::draft(file.as_deref(), std::env::vars_os())?.finish_with(settings::of)?;
        let directory = place::data_directory(self.data_dir.as_deref(), &config)?;
        place::check_foreign_store(&directory, &config)?;
        // what clients may not, the owner may
        let settings = Settings {
            delete: true,
            ..rules
        };
        let own = settings.retention.clone();
        let registry = Registry::open_existing(&directory, settings)?;
        let recorded = if is_named || settings::names_retention(&config) {
            None
        } else {
            registry.recorded_retention().await?
        };
        let retention = recorded.unwrap_or(own);
        Ok((registry.with_retention(retention.clone()), retention))
    }
}

/// Why a command failed, in one sentence for a person.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] tarkeep::config::Error),
    #[error(transparent)]
    Wrong(#[from] Wrongs),
    #[error(transparent)]
    Registry(#[from] tarkeep::registry::Error),
    #[error("{0}")]
    Other(String),
    /// What was printed says why.
    #[error("")]
    Told,
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
        image::arguments(given.into_iter())
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
        Command::GarbageCollect(arguments) => wait_for(gc::classic(arguments)),
        Command::Htpasswd(arguments) => return htpasswd::run(&arguments),
        Command::Health(arguments) => ready::run(arguments),
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

fn wait_for(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .map_err(|error| Failure::Other(format!("cannot start: {error}")))?
        .block_on(work)
}
