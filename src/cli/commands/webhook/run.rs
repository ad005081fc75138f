//! The dispatch to the commands.

use super::arguments::{Arguments, Command};
use super::{deliveries, ls, resend, test};
use crate::cli::error::Error;

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    match arguments.command {
        Command::Ls(arguments) => ls::run(arguments).await,
        Command::Deliveries(arguments) => deliveries::run(arguments).await,
        Command::Resend(arguments) => resend::run(arguments).await,
        Command::Test(arguments) => test::run(arguments).await,
    }
}
