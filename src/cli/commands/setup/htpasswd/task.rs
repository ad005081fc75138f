//! Running a validated command line.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use tarkeep::auth::{BcryptHash, DEFAULT_COST};

use crate::cli::commands::setup::htpasswd::arguments::Arguments;
use crate::cli::commands::setup::htpasswd::end::{Code, End, end};
use crate::cli::commands::setup::htpasswd::file::{hash_of, read, with_line};
use crate::cli::commands::setup::htpasswd::outcome::Outcome;
use crate::cli::commands::setup::htpasswd::password::{ask, line_of};
use crate::cli::terminal::output::{Format, complain};

/// A validated command line.
struct Task<'a> {
    action: Action<'a>,
    user: &'a OsStr,
    password: Password<'a>,
    cost: u32,
    format: Format,
}

#[derive(Clone, Copy)]
enum Action<'a> {
    Print,
    Set { file: &'a Path, is_new: bool },
    Delete { file: &'a Path },
    Verify { file: &'a Path },
}

#[derive(Clone, Copy)]
enum Password<'a> {
    Given(&'a OsStr),
    FromStdin,
    Asked,
}

/// Runs the command, with Apache's messages and exit codes.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match task(arguments).and_then(|task| task.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(End(code, message)) => {
            complain(&message);
            ExitCode::from(code as u8)
        }
    }
}

fn task(arguments: &Arguments) -> Result<Task<'_>, End> {
    let syntax = |message: String| Err(End(Code::Syntax, format!("htpasswd: {message}")));
    let operands = &*arguments.operands;
    if let Some(flag) = arguments.others.flag() {
        return syntax(format!(
            "{flag} makes hashes that the registry rejects: omit it to use bcrypt"
        ));
    }
    if [
        arguments.create,
        arguments.print,
        arguments.verify,
        arguments.delete,
    ]
    .iter()
    .filter(|is_set| **is_set)
    .count()
        > 1
    {
        return syntax("only one of -c -n -v -D may be specified".to_owned());
    }
    let (file, rest) = match operands {
        [file, rest @ ..] if !arguments.print => (Path::new(file), rest),
        all => (Path::new(""), all),
    };
    let (user, password) = user_and_password(arguments, rest)?;
    let action = match arguments {
        Arguments { print: true, .. } => Action::Print,
        Arguments { delete: true, .. } => Action::Delete { file },
        Arguments { verify: true, .. } => Action::Verify { file },
        Arguments { create, .. } => Action::Set {
            file,
            is_new: *create,
        },
    };
    let cost = match &arguments.cost {
        None => DEFAULT_COST,
        Some(text) => match text.parse() {
            Ok(cost) => cost,
            Err(_) => return syntax("argument to -C must be a positive integer".to_owned()),
        },
    };
    Ok(Task {
        action,
        user,
        password,
        cost,
        format: arguments.output.format,
    })
}

fn user_and_password<'a>(
    arguments: &Arguments,
    operands: &'a [OsString],
) -> Result<(&'a OsStr, Password<'a>), End> {
    match (operands, arguments.batch) {
        ([user, password], true) => Ok((user, Password::Given(password))),
        ([user], false) if arguments.stdin => Ok((user, Password::FromStdin)),
        ([user], false) => Ok((user, Password::Asked)),
        // deleting needs no password
        ([user], true) if arguments.delete => Ok((user, Password::Asked)),
        _ => {
            let file = if arguments.print { "" } else { " FILE" };
            let password = if arguments.batch && !arguments.delete {
                " PASSWORD"
            } else {
                ""
            };
            Err(end(
                Code::Syntax,
                format!("htpasswd: these flags take{file} USER{password}; see htpasswd --help"),
            ))
        }
    }
}

impl Task<'_> {
    fn run(&self) -> Result<(), End> {
        self.check_user()?;
        let outcome = match self.action {
            Action::Print => Outcome::Printed(self.line()?),
            Action::Set { file, is_new } => {
                let content = if is_new { Vec::new() } else { read(file)? };
                let (content, was_there) = with_line(&content, self.user, Some(&self.line()?));
                replace(file, &content, if is_new { "create" } else { "modify" })?;
                if was_there {
                    Outcome::Updated
                } else {
                    Outcome::Added
                }
            }
            Action::Delete { file } => {
                let (content, was_there) = with_line(&read(file)?, self.user, None);
                if was_there {
                    replace(file, &content, "modify")?;
                    Outcome::Deleted
                } else {
                    Outcome::Absent
                }
            }
            Action::Verify { file } => {
                self.verify(&read(file)?)?;
                Outcome::Correct
            }
        };
        let user = self.user.to_string_lossy();
        match self.format {
            Format::Text => outcome.say(&user),
            Format::Json => outcome.print(&user),
        }
        .map_err(|error| end(Code::File, format!("htpasswd: {error}")))
    }

    fn check_user(&self) -> Result<(), End> {
        let name = self.user.as_bytes();
        if name.len() > 255 {
            return Err(end(Code::TooLong, "htpasswd: username too long (> 255)"));
        }
        let illegal = name
            .iter()
            .find(|byte| **byte == b':' || byte.is_ascii_control());
        // the registry would read it as a comment, or trim its spaces
        let is_odd = name.starts_with(b"#") || name.trim_ascii() != name;
        match illegal {
            Some(byte) => Err(end(
                Code::User,
                format!(
                    "htpasswd: username contains illegal character '{}'",
                    byte.escape_ascii()
                ),
            )),
            None if is_odd => Err(end(
                Code::User,
                "htpasswd: a username must not begin with # or a space, or end with a space",
            )),
            None => Ok(()),
        }
    }

    /// Returns the line `USER:HASH`.
    fn line(&self) -> Result<Vec<u8>, End> {
        let password = self.new_password()?;
        if password.len() > 256 {
            return Err(end(Code::TooLong, "htpasswd: password too long (> 256)"));
        }
        if password.iter().any(u8::is_ascii_control) {
            return Err(end(
                Code::Password,
                "htpasswd: the password contains a control character, so no client could log in with it",
            ));
        }
        if password.len() > 72 {
            complain("htpasswd: warning: bcrypt uses only the first 72 bytes of this password");
        }
        let hash = BcryptHash::of(&password, self.cost).map_err(|cause| {
            end(
                Code::Password,
                format!("htpasswd: Unable to encode with bcrypt: {cause}"),
            )
        })?;
        Ok([self.user.as_bytes(), b":", hash.as_str().as_bytes(), b"\n"].concat())
    }

    fn new_password(&self) -> Result<Vec<u8>, End> {
        let Password::Asked = self.password else {
            return self.known_password("");
        };
        let (first, second) = (
            self.known_password("New password: ")?,
            self.known_password("Re-type new password: ")?,
        );
        if first == second {
            Ok(first)
        } else {
            Err(end(Code::Password, "htpasswd: password verification error"))
        }
    }

    fn known_password(&self, prompt: &str) -> Result<Vec<u8>, End> {
        let read = match self.password {
            Password::Given(password) => return Ok(password.as_bytes().to_vec()),
            Password::FromStdin => line_of(&mut io::stdin().lock()),
            Password::Asked => ask(prompt),
        };
        read.map_err(|error| {
            end(
                Code::Password,
                format!("htpasswd: cannot read the password: {error}"),
            )
        })
    }

    fn verify(&self, content: &[u8]) -> Result<(), End> {
        let user = self.user.to_string_lossy();
        let password = self.known_password("Enter password: ")?;
        let Some(hash) = hash_of(content, self.user) else {
            return Err(end(Code::User, format!("User {user} not found")));
        };
        let hash: BcryptHash = hash
            .parse()
            .map_err(|cause| end(Code::Password, format!("htpasswd: user {user}: {cause}")))?;
        if !hash.matches(&password) {
            return Err(end(Code::Password, "password verification failed"));
        }
        Ok(())
    }
}

/// Replaces a password file, readable as far as the umask allows: one user creates it, another one reads it.
fn replace(file: &Path, content: &[u8], failed: &str) -> Result<(), End> {
    tarkeep::files::atomic_file::replace(file, content, 0o666).map_err(|error| {
        end(
            Code::File,
            format!("htpasswd: cannot {failed} file {}: {error}", file.display()),
        )
    })
}
