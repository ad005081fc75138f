//! Printing for people and for scripts.

use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use super::Failure;

/// How a command prints what it found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    #[default]
    Table,
    Json,
}

/// Rows under a heading, in columns as wide as what is in them.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|&name| name.to_owned()).collect()] }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| plain(cell)).collect());
    }

    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
        for row in &self.rows {
            let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
            writeln!(out, "{}", cells.join("  ").trim_end())?;
        }
        out.flush()
    }
}

/// Prints values one by one as a JSON array, so that none of them has to be kept.
pub(super) struct JsonArray<W: Write> {
    out: W,
    is_empty: bool,
}

impl<W: Write> JsonArray<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, is_empty: true }
    }

    pub(super) fn push(&mut self, value: &serde_json::Value) -> io::Result<()> {
        let separator = if self.is_empty { "[\n" } else { ",\n" };
        self.is_empty = false;
        write!(self.out, "{separator}  {value}")
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        writeln!(self.out, "{}", if self.is_empty { "[]" } else { "\n]" })?;
        self.out.flush()
    }
}

/// Prints to standard output, and means it: what could not be written is an error.
pub(super) fn print(text: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    written(out.write_all(text).and_then(|()| out.flush()))
}

/// Text of clients, without what a terminal would take for an order.
pub(super) fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// What a failing write of output means; a reader that has seen enough is none.
pub(super) fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Other(format!("cannot print: {error}"))),
        _ => Ok(()),
    }
}

/// `1.4 MiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// `2026-11-21T10:29:00Z`.
pub(super) fn time(millis: i64) -> String {
    let since_epoch = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since_epoch).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_500_000, "1.4 MiB"), (u64::MAX, "16384.0 PiB")] {
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
