//! The dispatch to the commands.

use super::arguments::{Arguments, Command};
use super::{keep, ls};
use crate::cli::error::Error;

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    match arguments.command {
        Command::Ls(arguments) => ls::run(arguments).await,
        Command::Keep(arguments) => keep::run(arguments).await,
    }
}
