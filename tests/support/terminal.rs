//! A terminal of 80 columns, for commands that behave differently for a person.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, ExitStatus};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Width of the terminal, in characters.
pub const COLUMNS: u16 = 80;

/// A command that runs at a terminal of its own, for its input, output and errors.
pub struct Terminal {
    child: Child,
    near: File,
    shown: String,
}

/// Everything that a command showed, and its end.
#[derive(Debug)]
pub struct Shown {
    /// Text as written, control characters included; lines end with `\r\n`.
    pub text: String,
    pub status: ExitStatus,
}

impl Terminal {
    /// Starts a command at a new terminal.
    pub fn spawn(command: &mut Command) -> Self {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&near)
            .and_then(|()| unlockpt(&near))
            .expect("its other end");
        let name = ptsname(&near, Vec::new()).expect("a name");
        let name = name.into_string().expect("text");
        let far = || {
            let far = File::options().read(true).write(true).open(&name);
            far.expect("the other end")
        };
        let size = Winsize {
            ws_row: 24,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(far(), size).expect("the terminal has a size");
        command.env("TERM", "xterm-256color").env_remove("COLUMNS");
        command.stdin(far()).stdout(far()).stderr(far());
        let child = command.spawn().expect("the command starts");
        // close the copies that the command keeps for another run: only its process may hold the other end open
        for keep in [Command::stdin, Command::stdout, Command::stderr] {
            keep(command, std::process::Stdio::null());
        }
        Self {
            child,
            near: File::from(near),
            shown: String::new(),
        }
    }

    /// Runs a command that is given `typed` as its input.
    pub fn run(command: &mut Command, typed: &str) -> Shown {
        let mut terminal = Self::spawn(command);
        terminal.type_text(typed);
        terminal.finish()
    }

    /// Types text; a line ends with `\n`.
    pub fn type_text(&mut self, text: &str) {
        self.near.write_all(text.as_bytes()).expect("it is typed");
    }

    /// Reads until the text shown so far ends with `end`, and returns all of it.
    pub fn read_until(&mut self, end: &str) -> &str {
        while !self.shown.ends_with(end) {
            assert!(self.read_some(), "the command ended: {:?}", self.shown);
        }
        &self.shown
    }

    /// Reads to the end of the command.
    pub fn finish(mut self) -> Shown {
        while self.read_some() {}
        Shown {
            text: self.shown,
            status: self.child.wait().expect("the command ends"),
        }
    }

    /// Reads what is shown next; false at the end of the command.
    fn read_some(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let mut length = match self.near.read(&mut bytes) {
            Ok(length) => length,
            // the other end is closed
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => 0,
            Err(error) if error.kind() == ErrorKind::Interrupted => return true,
            Err(error) => panic!("cannot read the terminal: {error}"),
        };
        if length == 0 {
            return false;
        }
        // a character may be cut in two
        while std::str::from_utf8(&bytes[..length]).is_err_and(|error| error.error_len().is_none())
            && length < bytes.len()
        {
            length += self
                .near
                .read(&mut bytes[length..=length])
                .expect("the rest of a character");
        }
        self.shown += &String::from_utf8_lossy(&bytes[..length]);
        true
    }
}

impl Shown {
    /// Returns the lines that are left on the screen, without control sequences.
    pub fn lines(&self) -> Vec<String> {
        self.text
            .split("\r\n")
            .map(|line| {
                let visible = line.rsplit('\r').next().unwrap_or_default();
                without_sequences(visible)
            })
            .collect()
    }

    /// Asserts that no line is wider than the terminal.
    #[track_caller]
    pub fn assert_fits(&self) {
        for line in self.lines() {
            assert!(
                line.chars().count() <= usize::from(COLUMNS),
                "{} columns: {line}\nin:\n{}",
                line.chars().count(),
                self.text
            );
        }
    }
}

/// Removes escape sequences such as `\x1b[2K`.
fn without_sequences(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let rest = part.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
        text + rest.get(1..).unwrap_or_default()
    })
}
