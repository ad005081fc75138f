//! The dispatch to the commands.

use super::arguments::{Arguments, Command};
use super::{check, show};
use crate::cli::error::Error;

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    match arguments.command {
        Command::Check(arguments) => check::check(arguments).await,
        Command::Show(arguments) => show::show(arguments).await,
    }
}
