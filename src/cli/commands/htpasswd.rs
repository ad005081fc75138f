//! Making the file of users and passwords: Apache's `htpasswd`, except that every hash is bcrypt's.
//!
//! Flags, messages and exit codes are those of httpd 2.4 (`support/htpasswd.c`), so that scripts go on.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use tarkeep::auth::{self, BcryptHash, DEFAULT_COST};

/// Make or change a file of users for auth.htpasswd; always bcrypt
///
/// FILE is left out with -n. A FILE is replaced as a whole and keeps its mode and owner; a running server takes the change
/// at once.
#[derive(clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "As in: registry htpasswd -Bbn joe SECRET >> htpasswd"
)]
pub(crate) struct Arguments {
    /// Take the password from the command line
    #[arg(short = 'b', conflicts_with = "stdin")]
    batch: bool,
    /// Use bcrypt, which is what is always used
    #[arg(short = 'B')]
    _bcrypt: bool,
    /// Print the line instead of changing a file
    #[arg(short = 'n')]
    print: bool,
    /// Make a new file, or empty the one there is
    #[arg(short = 'c')]
    create: bool,
    /// Read the password from standard input, without asking
    #[arg(short = 'i')]
    stdin: bool,
    /// What a hash costs, 4 to 17: each step doubles the time [default: 10]
    #[arg(short = 'C', value_name = "COST")]
    cost: Option<String>,
    /// Delete the user
    #[arg(short = 'D')]
    delete: bool,
    /// Verify the user's password
    #[arg(short = 'v')]
    verify: bool,
    #[command(flatten)]
    others: Others,
    #[arg(value_name = "FILE USER PASSWORD")]
    operands: Vec<OsString>,
}

/// Apache's other ways to hash, which the registry does not take.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "that is what flags are")]
struct Others {
    #[arg(short = 'm', hide = true)]
    md5: bool,
    #[arg(short = '2', hide = true)]
    sha256: bool,
    #[arg(short = '5', hide = true)]
    sha512: bool,
    #[arg(short = 'd', hide = true)]
    crypt: bool,
    #[arg(short = 's', hide = true)]
    sha1: bool,
    #[arg(short = 'p', hide = true)]
    plain: bool,
    #[arg(short = 'r', hide = true, value_name = "ROUNDS")]
    rounds: Option<String>,
}

impl Others {
    fn flag(&self) -> Option<&'static str> {
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

// the command under its own name; what is said of it is said of its arguments
#[derive(clap::Parser)]
#[command(name = "htpasswd", max_term_width = 100)]
pub(crate) struct Alone {
    #[command(flatten)]
    pub arguments: Arguments,
}

/// What is to be done.
struct Task<'a> {
    action: Action<'a>,
    user: &'a OsStr,
    password: Password<'a>,
    cost: u32,
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

/// Apache's exit codes.
#[derive(Clone, Copy)]
enum Code {
    File = 1,
    Syntax = 2,
    Password = 3,
    TooLong = 5,
    User = 6,
    NoHtpasswd = 7,
}

/// An end that is not success, with what is said about it.
struct End(Code, String);

fn end(code: Code, message: impl Into<String>) -> End {
    End(code, message.into())
}

/// Marks where the flags end, which is at the first word that is none, as for Apache's: a password may begin with a dash.
pub(crate) fn with_flags_ended(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words = words.peekable();
    let mut marked = Vec::new();
    while let Some(flags) =
        words.next_if(|word| word.len() > 1 && word.as_bytes().starts_with(b"-") && word != "--")
    {
        // the rest of the word, if there is any, is the flag's value
        let takes_next = !flags.as_bytes().starts_with(b"--")
            && flags
                .as_bytes()
                .iter()
                .position(|byte| b"Cr".contains(byte))
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

/// Does it, and says how it went as Apache's does.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match task(arguments).and_then(|task| task.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(End(code, message)) => {
            eprintln!("{message}");
            ExitCode::from(code as u8)
        }
    }
}

fn task(arguments: &Arguments) -> Result<Task<'_>, End> {
    let syntax = |message: String| Err(End(Code::Syntax, format!("htpasswd: {message}")));
    let operands = &*arguments.operands;
    if let Some(flag) = arguments.others.flag() {
        return syntax(format!(
            "{flag} makes hashes that the registry refuses: leave it out, and bcrypt is used"
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
    let (user, password) = match (rest, arguments.batch) {
        ([user, password], true) => (user, Password::Given(password)),
        ([user], false) => (
            user,
            if arguments.stdin {
                Password::FromStdin
            } else {
                Password::Asked
            },
        ),
        // no password is needed to delete
        ([user], true) if arguments.delete => (user, Password::Asked),
        _ => {
            let file = if arguments.print { "" } else { " FILE" };
            let password = if arguments.batch && !arguments.delete {
                " PASSWORD"
            } else {
                ""
            };
            return syntax(format!(
                "these flags take{file} USER{password}; see htpasswd --help"
            ));
        }
    };
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
    })
}

impl Task<'_> {
    fn run(&self) -> Result<(), End> {
        self.check_user()?;
        let user = self.user.to_string_lossy();
        match self.action {
            Action::Print => {
                let line = self.line()?;
                let mut out = io::stdout().lock();
                // with an empty line after it, as Apache's
                let written = out
                    .write_all(&line)
                    .and_then(|()| out.write_all(b"\n"))
                    .and_then(|()| out.flush());
                written.map_err(|error| end(Code::File, format!("htpasswd: cannot print: {error}")))
            }
            Action::Set { file, is_new } => {
                let content = if is_new { Vec::new() } else { read(file)? };
                let (content, was_there) = with_line(&content, self.user, Some(&self.line()?));
                let failed = if is_new { "create" } else { "modify" };
                // others than the owner may read it as far as the umask allows: it is made by one user and read by another
                tarkeep::atomic_file::replace(file, &content, 0o666).map_err(|error| {
                    end(
                        Code::File,
                        format!("htpasswd: cannot {failed} file {}: {error}", file.display()),
                    )
                })?;
                eprintln!(
                    "{} password for user {user}",
                    if was_there { "Updating" } else { "Adding" }
                );
                Ok(())
            }
            Action::Delete { file } => {
                let (content, was_there) = with_line(&read(file)?, self.user, None);
                if !was_there {
                    eprintln!("User {user} not found");
                    return Ok(());
                }
                tarkeep::atomic_file::replace(file, &content, 0o666).map_err(|error| {
                    end(
                        Code::File,
                        format!("htpasswd: cannot modify file {}: {error}", file.display()),
                    )
                })?;
                eprintln!("Deleting password for user {user}");
                Ok(())
            }
            Action::Verify { file } => self.verify(&read(file)?),
        }
    }

    fn check_user(&self) -> Result<(), End> {
        let name = self.user.as_bytes();
        if name.len() > 255 {
            return Err(end(Code::TooLong, "htpasswd: username too long (> 255)"));
        }
        let illegal = name
            .iter()
            .find(|byte| **byte == b':' || byte.is_ascii_control());
        // what the registry would take for a comment, or not find again for its spaces
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
                "htpasswd: a username begins neither with # nor with a space, and does not end with one",
            )),
            None => Ok(()),
        }
    }

    /// `USER:HASH` and a line end.
    fn line(&self) -> Result<Vec<u8>, End> {
        let password = self.new_password()?;
        if password.len() > 256 {
            return Err(end(Code::TooLong, "htpasswd: password too long (> 256)"));
        }
        if password.iter().any(u8::is_ascii_control) {
            return Err(end(
                Code::Password,
                "htpasswd: the password contains a control character, and no client could log in with it",
            ));
        }
        if password.len() > 72 {
            eprintln!(
                "htpasswd: of this password only the first 72 bytes count, as always with bcrypt"
            );
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
        eprintln!("Password for user {user} correct.");
        Ok(())
    }
}

fn read(file: &Path) -> Result<Vec<u8>, End> {
    let content = match std::fs::read(file) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(end(
                Code::File,
                format!(
                    "htpasswd: cannot modify file {}; use '-c' to create it",
                    file.display()
                ),
            ));
        }
        Err(error) => {
            return Err(end(
                Code::File,
                format!(
                    "htpasswd: cannot open file {} for read/write access: {error}",
                    file.display()
                ),
            ));
        }
    };
    let is_readable = auth::entries(&content).all(|entry| entry.is_ok());
    let message = || {
        end(
            Code::NoHtpasswd,
            format!(
                "htpasswd: The file {} does not appear to be a valid htpasswd file.",
                file.display()
            ),
        )
    };
    if is_readable {
        Ok(content)
    } else {
        Err(message())
    }
}

/// Of more than one line the last, as the registry has it.
fn hash_of(content: &[u8], user: &OsStr) -> Option<String> {
    let user = auth::user_name(user.as_bytes());
    auth::entries(content)
        .filter_map(Result::ok)
        .filter(|entry| entry.user == user)
        .last()
        .map(|entry| entry.hash)
}

/// The file with another line for a user, or with none; and whether there was one. Everything else stays as it is.
fn with_line(content: &[u8], user: &OsStr, line: Option<&[u8]>) -> (Vec<u8>, bool) {
    let user = auth::user_name(user.as_bytes());
    let of_user: Vec<usize> = auth::entries(content)
        .filter_map(Result::ok)
        .filter(|entry| entry.user == user)
        .map(|entry| entry.line)
        .collect();
    let mut changed = Vec::with_capacity(content.len() + 128);
    for (old, number) in content.split_inclusive(|&byte| byte == b'\n').zip(1..) {
        match (of_user.contains(&number), line) {
            (false, _) => changed.extend_from_slice(old),
            (true, Some(line)) if of_user.first() == Some(&number) => {
                changed.extend_from_slice(line)
            }
            // deleted, or another line of the same user, which would count instead
            (true, _) => (),
        }
        if changed.last().is_some_and(|last| *last != b'\n') {
            changed.push(b'\n');
        }
    }
    if of_user.is_empty() {
        changed.extend_from_slice(line.unwrap_or_default());
    }
    (changed, !of_user.is_empty())
}

/// Asks on standard error, for standard output may be a file, and does not show what is typed.
fn ask(prompt: &str) -> io::Result<Vec<u8>> {
    let mut input = io::stdin().lock();
    if !input.is_terminal() {
        eprint!("{prompt}");
        return line_of(&mut input);
    }
    let shown = tcgetattr(&input)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    // what was typed before is thrown away, so the prompt comes after
    tcsetattr(&input, OptionalActions::Flush, &hidden)?;
    eprint!("{prompt}");
    let line = line_of(&mut input);
    tcsetattr(&input, OptionalActions::Drain, &shown)?;
    eprintln!();
    line
}

/// # Errors
/// No line at all: it is not an empty password that somebody wants who gives none.
fn line_of(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    // longer than any password that is taken
    if io::Read::take(input, 1024).read_until(b'\n', &mut line)? == 0 {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "there is none",
        ));
    }
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    Ok(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_of_the_user_changes() {
        let file = b"# c\r\njoe:one\n\nann:two\njoe:three\nlast:x";
        let set = |user: &str, line| with_line(file, OsStr::new(user), line);
        let (changed, was_there) = set("joe", Some(&b"joe:new\n"[..]));
        assert_eq!(
            (&*changed, was_there),
            (&b"# c\r\njoe:new\n\nann:two\nlast:x\n"[..], true)
        );
        let (changed, was_there) = set("bob", Some(&b"bob:new\n"[..]));
        assert_eq!(
            (&*changed, was_there),
            (
                &b"# c\r\njoe:one\n\nann:two\njoe:three\nlast:x\nbob:new\n"[..],
                false
            )
        );
        let (changed, was_there) = set("joe", None);
        assert_eq!(
            (&*changed, was_there),
            (&b"# c\r\n\nann:two\nlast:x\n"[..], true)
        );
        assert!(!set("bob", None).1);
    }

    #[test]
    fn flags_end_at_the_first_word_that_is_none() {
        for (words, marked) in [
            ("-Bbn joe -x", "-Bbn -- joe -x"),
            ("-C 4 -bn joe -x", "-C 4 -bn -- joe -x"),
            ("-BbnC 4 joe -x", "-BbnC 4 -- joe -x"),
            ("-C4 -n joe", "-C4 -n -- joe"),
            ("-bnC4r 3 joe", "-bnC4r -- 3 joe"),
            ("-n -- -joe", "-n -- -joe"),
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

    #[test]
    fn lines_end_as_they_do_everywhere() {
        for (text, line) in [
            ("a\nb\n", "a"),
            ("a\r\n", "a"),
            ("a", "a"),
            ("\n", ""),
            (" a \n", " a "),
        ] {
            assert_eq!(line_of(&mut text.as_bytes()).unwrap(), line.as_bytes());
        }
        assert!(line_of(&mut &b""[..]).is_err());
    }
}
