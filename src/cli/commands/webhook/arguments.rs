//! The arguments of the commands.

use std::path::PathBuf;

use crate::cli::place::Place;
use crate::cli::terminal::output::Output;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List webhooks that a server has had: their last success, what waits, and what failed
    #[command(alias = "list")]
    Ls(ListArguments),
    /// List deliveries, newest first: the event, the last answer, the next attempt
    Deliveries(DeliveriesArguments),
    /// Send an event again, such as one that was given up; the server does it within seconds
    Resend(ResendArguments),
    /// Send an event of a push that did not happen, and show the answer
    Test(TestArguments),
}

#[derive(clap::Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub output: Output,
}

#[derive(clap::Args)]
pub(super) struct DeliveriesArguments {
    /// Only those of this webhook
    pub name: Option<String>,
    /// Only those whose last attempt failed
    #[arg(long)]
    pub failed: bool,
    /// Maximum number of rows; 0 for all
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub output: Output,
}

#[derive(clap::Args)]
pub(super) struct ResendArguments {
    /// Name of the webhook
    pub name: String,
    /// Number of the event, as `registry webhook deliveries` shows it
    pub event: i64,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub output: Output,
}

#[derive(clap::Args)]
pub(super) struct TestArguments {
    /// Name of the webhook
    pub name: String,
    /// The server's configuration
    #[arg(long, value_name = "CONFIG.yml")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}
