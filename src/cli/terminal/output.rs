//! Standard output: its format, its width, and prose on it.

use std::io::{self, IsTerminal, Write, stderr, stdout};
use std::os::fd::AsFd;

use tarkeep::escape::{self, OneLine};
use unicode_width::UnicodeWidthStr;

use crate::cli::error::Error;

/// Output format of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people: tables and sentences
    #[default]
    Text,
    /// For scripts: one JSON object
    Json,
}

/// The `--output` flag.
#[derive(clap::Args)]
pub(crate) struct Output {
    /// Output format: text for people, or json for scripts (docs/json.md)
    #[arg(
        short = 'o',
        long = "output",
        value_name = "text|json",
        default_value = "text",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub format: Format,
}

/// Receiver of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Screen {
    /// A person, who wants short values in lines that do not wrap.
    Terminal { columns: usize },
    /// A file or another program, which wants full values.
    Pipe,
}

/// Width of the labels of facts.
const LABEL_WIDTH: usize = 14;

/// Width of a terminal that does not state it.
const DEFAULT_COLUMNS: usize = 80;

impl Screen {
    /// Returns the receiver of standard output.
    pub(crate) fn of_stdout() -> Self {
        Self::of(&stdout())
    }

    fn of(stream: &(impl IsTerminal + AsFd)) -> Self {
        if !stream.is_terminal() {
            return Self::Pipe;
        }
        let columns =
            rustix::termios::tcgetwinsize(stream).map_or(0, |size| usize::from(size.ws_col));
        Self::Terminal {
            columns: if columns == 0 {
                DEFAULT_COLUMNS
            } else {
                columns
            },
        }
    }
}

/// Prints a sentence and ends its line; on a terminal, lines break between words.
pub(crate) fn say(sentence: &str) -> Result<(), Error> {
    print(&format!("{}\n", wrapped(sentence, Screen::of_stdout())))
}

/// Says a sentence about each of the first items, and one about all others.
pub(crate) fn say_first<T>(
    items: &[T],
    most: usize,
    about_one: impl Fn(&T) -> String,
    about_rest: impl FnOnce(&[T]) -> String,
) -> Result<(), Error> {
    let (first, rest) = items.split_at(items.len().min(most));
    first.iter().try_for_each(|item| say(&about_one(item)))?;
    match rest {
        [] => Ok(()),
        rest => say(&about_rest(rest)),
    }
}

/// Prints a fact beside its label; on a terminal, further lines are indented like the first, and what is too wide is below.
pub(crate) fn fact(label: &str, fact: &str) -> Result<(), Error> {
    print(&labelled(label, fact, Screen::of_stdout()))
}

fn labelled(label: &str, fact: &str, screen: Screen) -> String {
    let Screen::Terminal { columns } = screen else {
        return format!("{label:LABEL_WIDTH$} {fact}\n");
    };
    let beside = columns.saturating_sub(LABEL_WIDTH + 1);
    if fact.split_whitespace().any(|word| word.width() > beside) {
        // below its label, so that a digest stays whole and can be copied
        return format!("{label}\n{}\n", wrapped(&format!("  {fact}"), screen));
    }
    let fact = wrapped(fact, Screen::Terminal { columns: beside });
    let gap = format!("\n{:LABEL_WIDTH$} ", "");
    format!("{label:LABEL_WIDTH$} {}\n", fact.replace('\n', &gap))
}

/// Breaks lines between words so that they fit the screen; a word that is wider stays whole, so that it can be copied.
pub(crate) fn wrapped(text: &str, screen: Screen) -> String {
    let Screen::Terminal { columns } = screen else {
        return text.to_owned();
    };
    let lines: Vec<_> = text
        .split('\n')
        .map(|line| wrapped_line(line, columns))
        .collect();
    lines.join("\n")
}

/// Breaks a line; the lines after the first are indented like it, and by two more.
fn wrapped_line(line: &str, columns: usize) -> String {
    let indent = line.len() - line.trim_start().len();
    let (mut text, mut width, mut is_first) = (" ".repeat(indent), indent, true);
    for word in line.split_whitespace() {
        let length = word.width();
        if is_first {
            is_first = false;
        } else if width + 1 + length > columns {
            text += "\n";
            text += &" ".repeat(indent + 2);
            width = indent + 2;
        } else {
            text += " ";
            width += 1;
        }
        text += word;
        width += length;
    }
    text
}

/// Prints text to standard output, with hidden characters escaped; a failing write is an error.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    print_raw(escape::lines(text).as_bytes())
}

/// Prints bytes to standard output as they are; a failing write is an error.
pub(crate) fn print_raw(bytes: &[u8]) -> Result<(), Error> {
    let mut out = stdout().lock();
    written(out.write_all(bytes).and_then(|()| out.flush()))
}

/// Prints a line to standard error, with hidden characters escaped; on a terminal it breaks between words.
pub(crate) fn complain(line: &str) {
    let line = OneLine(line).to_string();
    eprintln!("{}", wrapped(&line, Screen::of(&stderr())));
}

/// Converts the result of a write; a closed pipe is not an error.
pub(crate) fn written(result: io::Result<()>) -> Result<(), Error> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::Other(format!("cannot print: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_stand_beside_their_labels() {
        let terminal = Screen::Terminal { columns: 30 };
        assert_eq!(
            labelled("Command", "sh -c 'exec something long'", terminal),
            "Command        sh -c 'exec\n                 something\n                 long'\n"
        );
        assert_eq!(
            labelled("Digest", "sha256:0123456789abcdef", terminal),
            "Digest\n  sha256:0123456789abcdef\n"
        );
        assert_eq!(
            labelled("", "  2026-11-21  1 B in 1 blob", Screen::Pipe),
            "                 2026-11-21  1 B in 1 blob\n"
        );
    }

    #[test]
    fn lines_break_between_words_on_a_terminal_only() {
        let text = "a sentence of words\n  indented words here";
        let terminal = Screen::Terminal { columns: 12 };
        assert_eq!(
            wrapped(text, terminal),
            "a sentence\n  of words\n  indented\n    words\n    here"
        );
        assert_eq!(wrapped(text, Screen::Pipe), text);
        assert_eq!(wrapped("a line\n", terminal), "a line\n");
        assert_eq!(
            wrapped("restore sha256:0123456789abcdef", terminal),
            "restore\n  sha256:0123456789abcdef"
        );
    }
}
