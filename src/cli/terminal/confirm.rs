//! Confirmation of what cannot be taken back, or not easily.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};

use tarkeep::escape::OneLine;

use crate::cli::error::Error;

/// The `--yes` flag of a destructive command.
#[derive(clap::Args)]
pub(crate) struct Confirmation {
    /// Do not ask for confirmation; required without a terminal
    #[arg(short, long)]
    yes: bool,
}

impl Confirmation {
    /// Fails if neither `--yes` nor a terminal is there; call it before anything is printed.
    pub(crate) fn check_possible(&self) -> Result<(), Error> {
        // a question on a redirected standard error would wait forever, unseen
        if self.yes || (stdin().is_terminal() && stderr().is_terminal()) {
            return Ok(());
        }
        Err(Error::Other(
            "nothing was removed: there is no terminal to confirm on, so add --yes".to_owned(),
        ))
    }

    /// Asks a question such as `remove 3 tags of team/app?`, and fails unless the answer is yes.
    pub(crate) fn ask(&self, question: &str) -> Result<(), Error> {
        self.check_possible()?;
        if self.yes || is_confirmed(question).map_err(unanswered)? {
            return Ok(());
        }
        Err(Error::Other("nothing was removed".to_owned()))
    }
}

fn is_confirmed(question: &str) -> std::io::Result<bool> {
    write!(stderr(), "{} [y/N] ", OneLine(question))?;
    stderr().flush()?;
    let mut answer = String::new();
    if stdin().lock().read_line(&mut answer)? == 0 {
        // Ctrl-D leaves the cursor behind the question
        writeln!(stderr())?;
    }
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn unanswered(error: std::io::Error) -> Error {
    Error::Other(format!(
        "nothing was removed: cannot ask for confirmation: {error}; add --yes to skip it"
    ))
}
