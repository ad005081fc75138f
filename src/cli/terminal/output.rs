//! Output for people (tables) and for scripts (JSON).

use std::io::{self, Write};

use jiff::Timestamp;
use tarkeep::registry::{Actor, Millis};

use crate::cli::error::Error;

/// Output format of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Json,
}

/// A table whose columns fit their content.
pub(crate) struct Table {
    /// Not yet printed.
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl Table {
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self {
            rows: vec![heading.iter().map(|&name| name.to_owned()).collect()],
            widths: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows
            .push(cells.iter().map(|cell| shortened(plain(cell))).collect());
    }

    /// Prints the rows added since the last call; columns only grow wider.
    pub(crate) fn print(&mut self, out: &mut impl Write) -> io::Result<()> {
        for row in &self.rows {
            self.widths.resize(self.widths.len().max(row.len()), 0);
            self.widths
                .iter_mut()
                .zip(row)
                .for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
        }
        for row in self.rows.drain(..) {
            let cells: Vec<_> = row
                .iter()
                .zip(&self.widths)
                .map(|(cell, &width)| format!("{cell:width$}"))
                .collect();
            writeln!(out, "{}", cells.join("  ").trim_end())?;
        }
        out.flush()
    }
}

/// Maximum length of a cell, in characters, because clients control its text; JSON is never cut.
const CELL_LIMIT: usize = 300;

fn shortened(text: String) -> String {
    match text.char_indices().nth(CELL_LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A JSON array that is printed item by item, without holding all of them.
pub(crate) struct JsonArray {
    is_empty: bool,
}

impl JsonArray {
    pub(crate) fn new() -> Self {
        Self { is_empty: true }
    }

    pub(crate) fn push(
        &mut self,
        out: &mut impl Write,
        value: &serde_json::Value,
    ) -> io::Result<()> {
        self.begin_item(out)?;
        write!(out, "{value}")
    }

    /// Prints the separator before an item, which the caller prints.
    pub(crate) fn begin_item(&mut self, out: &mut impl Write) -> io::Result<()> {
        let separator = if self.is_empty { "[\n" } else { ",\n" };
        self.is_empty = false;
        write!(out, "{separator}  ")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Ends a nested array.
    pub(crate) fn end(&self, out: &mut impl Write) -> io::Result<()> {
        write!(out, "{}", if self.is_empty { "[]" } else { "\n]" })
    }

    /// Ends the outermost array.
    pub(crate) fn finish(&self, out: &mut impl Write) -> io::Result<()> {
        self.end(out)?;
        writeln!(out)?;
        out.flush()
    }
}

/// Prints to standard output; a failing write is an error.
pub(crate) fn print(text: &[u8]) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    written(out.write_all(text).and_then(|()| out.flush()))
}

/// Escapes control characters in text of clients.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect::<Vec<_>>()
            } else {
                vec![c]
            }
        })
        .collect()
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

/// Formats a size: `1.4 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// Formats a count: `1 tag`, `2 tags`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Formats a time: `2026-11-21T10:29:00Z`.
pub(crate) fn time(millis: Millis) -> String {
    format!("{:.0}", timestamp(millis))
}

/// Formats a time with milliseconds (`2026-11-21T10:29:00.123Z`), to tell close ones apart and to be typed again.
pub(crate) fn exact_time(millis: Millis) -> String {
    format!("{:.3}", timestamp(millis))
}

/// Converts a time, clamped to the year 9999, because a rule may ask for thousands of years.
fn timestamp(millis: Millis) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

/// Formats the actor of a change: name and address, as far as known.
pub(crate) fn actor(actor: &Actor) -> String {
    match (&actor.name, &actor.address) {
        (Some(name), Some(address)) => format!("{name} from {address}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_500_000, "1.4 MiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(time(1_795_256_940_000), "2026-11-21T10:29:00Z");
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["A", "LONG"]);
        table.row(vec!["value".into(), "x".into()]);
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "A      LONG\nvalue  x\n");
    }
}
