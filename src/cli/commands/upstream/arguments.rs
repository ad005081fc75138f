//! The arguments of the commands.

use crate::cli::place::Place;
use crate::cli::terminal::output::Output;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List upstreams as the server sees them: whether they answer, what is cached, how often it served
    #[command(alias = "list")]
    Ls(ListArguments),
    /// Make a cached image one's own, without copying: it stays whatever becomes of the upstream
    Keep(KeepArguments),
}

#[derive(clap::Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub output: Output,
}

#[derive(clap::Args)]
pub(super) struct KeepArguments {
    /// Image in a cache: hub/library/redis:7
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// Its name from now on: team/redis:7
    #[arg(value_name = "REPOSITORY:TAG")]
    pub target: String,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub output: Output,
}
