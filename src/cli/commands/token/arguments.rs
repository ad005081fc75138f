//! The arguments of the commands.

use tarkeep::report::OVERLAP;

use crate::cli::place::Place;
use crate::cli::terminal::output::Output;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make a token, and show its secret this once: a password for machines, with any user name
    Create(CreateArguments),
    /// List tokens: what each may do, until when, and its last use
    #[command(alias = "list")]
    Ls(ListArguments),
    /// Give a token another secret; the former one goes on working for a while
    Rotate(RotateArguments),
    /// Revoke a token: the next request with it is refused
    #[command(alias = "rm")]
    Revoke(RevokeArguments),
}

#[derive(clap::Args)]
pub(super) struct CreateArguments {
    /// Name, which rules and logs show as token:NAME
    pub name: String,
    /// Repositories, as a quoted glob: 'team/**'; may be repeated; {user} is the name of --for [default: those of the access rules
    /// that name it]
    #[arg(long, value_name = "GLOB", requires = "may")]
    pub repositories: Vec<String>,
    /// Actions or roles, separated by commas: pull, create, update, delete, push, maintain or admin
    #[arg(
        long,
        value_name = "ACTIONS",
        value_delimiter = ',',
        requires = "repositories"
    )]
    pub may: Vec<String>,
    #[command(flatten)]
    pub lifetime: Lifetime,
    /// User of the htpasswd file: the token may never do more than this user, and nothing once the user is gone
    #[arg(long = "for", value_name = "USER")]
    pub owner: Option<String>,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub output: Output,
}

#[derive(clap::Args)]
pub(super) struct Lifetime {
    /// Time until the secret expires: 90d, 12h, or never [default: 90d for a new token, else as before]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub expires: Option<String>,
}

#[derive(clap::Args)]
pub(super) struct ListArguments {
    /// Also list tokens that were revoked in the last 90 days
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub output: Output,
}

#[derive(clap::Args)]
pub(super) struct RotateArguments {
    /// Name of the token
    pub name: String,
    /// Time for which the former secret goes on working
    #[arg(
        long,
        value_name = "TIME",
        default_value = OVERLAP,
        allow_hyphen_values = true
    )]
    pub overlap: String,
    #[command(flatten)]
    pub lifetime: Lifetime,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub output: Output,
}

#[derive(clap::Args)]
pub(super) struct RevokeArguments {
    /// Name of the token
    pub name: String,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub output: Output,
}
