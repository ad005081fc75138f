//! Reading passwords.

use std::io::{self, BufRead, IsTerminal};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// Prompts on standard error, because standard output may be a file, without echo.
///
/// rpassword would ask the controlling terminal, and not every process has one.
pub(super) fn ask(prompt: &str) -> io::Result<Vec<u8>> {
    let mut input = io::stdin().lock();
    if !input.is_terminal() {
        eprint!("{prompt}");
        return line_of(&mut input);
    }
    let shown = tcgetattr(&input)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    // flushes what was typed before, so the prompt comes after
    tcsetattr(&input, OptionalActions::Flush, &hidden)?;
    eprint!("{prompt}");
    let line = line_of(&mut input);
    tcsetattr(&input, OptionalActions::Drain, &shown)?;
    eprintln!();
    line
}

/// Reads a line without its end.
///
/// # Errors
/// End of input: no password is not the same as an empty one.
pub(super) fn line_of(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    // more than the longest accepted password
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
