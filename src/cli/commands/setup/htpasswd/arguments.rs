//! The arguments of `htpasswd`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::cli::terminal::keys;
use crate::cli::terminal::output::Output;

/// Create or change a password file for auth.htpasswd; always with bcrypt
///
/// Omit FILE with -n. FILE is replaced atomically and keeps its mode and owner; a running server picks up the change.
#[derive(clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = keys::HTPASSWD
)]
pub(crate) struct Arguments {
    /// Take the password from the command line
    #[arg(short = 'b', conflicts_with = "stdin")]
    pub batch: bool,
    /// Use bcrypt (always on)
    #[arg(short = 'B')]
    _bcrypt: bool,
    /// Print the line instead of changing a file
    #[arg(short = 'n')]
    pub print: bool,
    /// Create a new file, or truncate an existing one
    #[arg(short = 'c')]
    pub create: bool,
    /// Read the password from standard input, without a prompt
    #[arg(short = 'i')]
    pub stdin: bool,
    /// Cost of the hash, 4 to 17; each step doubles the time [default: 10]
    #[arg(short = 'C', value_name = "COST")]
    pub cost: Option<String>,
    /// Delete the user
    #[arg(short = 'D')]
    pub delete: bool,
    /// Verify the user's password
    #[arg(short = 'v')]
    pub verify: bool,
    #[command(flatten)]
    pub others: Others,
    #[command(flatten)]
    pub output: Output,
    /// Password file, user, and with -b the password
    #[arg(value_name = "FILE USER PASSWORD")]
    pub operands: Vec<OsString>,
}

/// Apache's other hash algorithms, which the registry rejects.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Others {
    #[arg(short = 'm', hide = true)]
    pub md5: bool,
    #[arg(short = '2', hide = true)]
    pub sha256: bool,
    #[arg(short = '5', hide = true)]
    pub sha512: bool,
    #[arg(short = 'd', hide = true)]
    pub crypt: bool,
    #[arg(short = 's', hide = true)]
    pub sha1: bool,
    #[arg(short = 'p', hide = true)]
    pub plain: bool,
    #[arg(short = 'r', hide = true, value_name = "ROUNDS")]
    pub rounds: Option<String>,
}

impl Others {
    /// Returns a flag that was given.
    pub fn flag(&self) -> Option<&'static str> {
        let flags = [
            (self.md5, "-m"),
            (self.sha256, "-2"),
            (self.sha512, "-5"),
            (self.crypt, "-d"),
            (self.sha1, "-s"),
            (self.plain, "-p"),
        ];
        let flag = flags
            .iter()
            .find(|(is_set, _)| *is_set)
            .map(|(_, flag)| *flag);
        flag.or(self.rounds.is_some().then_some("-r"))
    }
}

// the command under its own name; its help is that of its arguments, so it has no doc comment
#[derive(clap::Parser)]
#[command(name = "htpasswd", max_term_width = 100)]
pub(crate) struct Alone {
    #[command(flatten)]
    pub arguments: Arguments,
}

/// Inserts `--` before the first operand: as with Apache's, flags end there and a password may begin with a dash.
pub(crate) fn with_flags_ended(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words = words.peekable();
    let mut marked = Vec::new();
    while let Some(flags) =
        words.next_if(|word| word.len() > 1 && word.as_bytes().starts_with(b"-") && word != "--")
    {
        // the rest of the word, if there is any, is the flag's value
        let takes_next = flags == "--output"
            || !flags.as_bytes().starts_with(b"--")
                && flags
                    .as_bytes()
                    .iter()
                    .position(|byte| b"Cor".contains(byte))
                    == Some(flags.len() - 1);
        marked.push(flags);
        marked.extend(takes_next.then(|| words.next()).flatten());
    }
    if words.peek().is_some_and(|word| word != "--") {
        marked.push("--".into());
    }
    marked.extend(words);
    marked
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn flags_end_at_the_first_word_that_is_none() {
        for (words, marked) in [
            ("-Bbn joe -x", "-Bbn -- joe -x"),
            ("-C 4 -bn joe -x", "-C 4 -bn -- joe -x"),
            ("-BbnC 4 joe -x", "-BbnC 4 -- joe -x"),
            ("-C4 -n joe", "-C4 -n -- joe"),
            ("-bnC4r 3 joe", "-bnC4r -- 3 joe"),
            ("-n -- -joe", "-n -- -joe"),
            ("--output json -n joe", "--output json -n -- joe"),
            ("-Bno json joe -x", "-Bno json -- joe -x"),
            ("--help", "--help"),
            ("-C", "-C"),
            ("", ""),
        ] {
            let split = words
                .split(' ')
                .filter(|word| !word.is_empty())
                .map(OsString::from);
            assert_eq!(with_flags_ended(split).join(OsStr::new(" ")), marked);
        }
    }
}
