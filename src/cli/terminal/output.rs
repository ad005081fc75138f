//! Printing for people and for scripts.

use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tarkeep::registry::{Actor, Millis};

use crate::cli::error::Error;

/// How a command prints what it found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Json,
}

/// Rows under a heading, in columns as wide as what is in them.
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

    /// Prints the rows that have come since the last time; columns only grow wider.
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

/// What clients may write without end is cut in tables; JSON has all of it.
const CELL_LIMIT: usize = 300;

fn shortened(text: String) -> String {
    match text.char_indices().nth(CELL_LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Prints values one by one as a JSON array, so that none of them has to be kept.
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

    /// Prints what comes before an item, which the caller prints himself.
    pub(crate) fn begin_item(&mut self, out: &mut impl Write) -> io::Result<()> {
        let separator = if self.is_empty { "[\n" } else { ",\n" };
        self.is_empty = false;
        write!(out, "{separator}  ")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Ends an array inside of something else.
    pub(crate) fn end(&self, out: &mut impl Write) -> io::Result<()> {
        write!(out, "{}", if self.is_empty { "[]" } else { "\n]" })
    }

    /// Ends an array that is all there is to print.
    pub(crate) fn finish(&self, out: &mut impl Write) -> io::Result<()> {
        self.end(out)?;
        writeln!(out)?;
        out.flush()
    }
}

/// Prints to standard output, and means it: what could not be written is an error.
pub(crate) fn print(text: &[u8]) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    written(out.write_all(text).and_then(|()| out.flush()))
}

/// Text of clients, without what a terminal would take for an order.
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

/// What a failing write of output means; a reader that has seen enough is none.
pub(crate) fn written(result: io::Result<()>) -> Result<(), Error> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::Other(format!("cannot print: {error}")))
        }
        _ => Ok(()),
    }
}

/// `1.4 MiB`.
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

/// `1 tag`, `2 tags`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `2026-11-21T10:29:00Z`.
pub(crate) fn time(millis: Millis) -> String {
    humantime::format_rfc3339_seconds(moment(millis)).to_string()
}

/// `2026-11-21T10:29:00.123Z`: where two may be close to each other, or one is to be typed again.
pub(crate) fn exact_time(millis: Millis) -> String {
    humantime::format_rfc3339_millis(moment(millis)).to_string()
}

/// Up to the last year that can be written: a rule may ask for thousands.
fn moment(millis: Millis) -> SystemTime {
    const END: u64 = 253_402_300_799_999;
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or_default().min(END))
}

/// Who did something, and from where, as far as that is known.
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
