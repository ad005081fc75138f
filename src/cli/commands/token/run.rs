//! The dispatch to the commands.

use super::arguments::{Arguments, Command};
use super::{changes, list};
use crate::cli::error::Error;

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    match arguments.command {
        Command::Create(arguments) => changes::create(arguments).await,
        Command::Ls(arguments) => list::list(arguments).await,
        Command::Rotate(arguments) => changes::rotate(arguments).await,
        Command::Revoke(arguments) => changes::revoke(arguments).await,
    }
}
