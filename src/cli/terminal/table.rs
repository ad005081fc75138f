//! Tables: columns fit their content, and on a terminal its width.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};

use tarkeep::oci::Digest;
use tarkeep::registry::{Actor, Millis, UploadId};
use tarkeep::report::{Time, Viewer, Who};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::cli::terminal::output::Screen;
use crate::cli::terminal::values::{digest_on, named, plain, size, time_on, upload_on};

/// Maximum width of a cell, because clients control its text; JSON is never cut.
const CELL_LIMIT: usize = 300;

/// Minimum width to which a column is narrowed.
const NARROWEST: usize = 8;

/// Minimum width to which a column is narrowed while an optional one can be left out instead.
const COMFORTABLE: usize = 20;

/// Rows held in memory; further ones wait in a temporary file until all widths are known.
const ROWS_IN_MEMORY: usize = 10_000;

/// A column: its heading, and how its cells are aligned and shortened.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    heading: &'static str,
    kind: Kind,
    is_optional: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Aligned to the right, never shortened.
    Number,
    /// Never shortened.
    Fixed,
    /// Shortened in the middle, because names often differ at both ends.
    Name,
    /// Shortened at the end.
    Text,
}

impl Column {
    const fn new(heading: &'static str, kind: Kind) -> Self {
        Self {
            heading,
            kind,
            is_optional: false,
        }
    }

    /// A name of a repository or a tag.
    pub(crate) const fn name(heading: &'static str) -> Self {
        Self::new(heading, Kind::Name)
    }

    /// Free text.
    pub(crate) const fn text(heading: &'static str) -> Self {
        Self::new(heading, Kind::Text)
    }

    /// A size or a count.
    pub(crate) const fn number(heading: &'static str) -> Self {
        Self::new(heading, Kind::Number)
    }

    /// A time, a digest, or one of few words.
    pub(crate) const fn fixed(heading: &'static str) -> Self {
        Self::new(heading, Kind::Fixed)
    }

    /// Leaves the column out where the terminal is too narrow for all; the last of them first.
    pub(crate) const fn optional(mut self) -> Self {
        self.is_optional = true;
        self
    }
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Empty,
    Text(String),
    Size(u64),
    Count(u64),
    /// Relative on a terminal.
    Time(Millis),
    /// Short on a terminal.
    Digest(Digest),
    /// Short on a terminal.
    Upload(UploadId),
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        if text.is_empty() {
            Self::Empty
        } else {
            Self::Text(text)
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<&Digest> for Cell {
    fn from(digest: &Digest) -> Self {
        Self::Digest(digest.clone())
    }
}

impl From<Time> for Cell {
    fn from(Time(at): Time) -> Self {
        Self::Time(at)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Into::into)
    }
}

impl Cell {
    /// A time, or an empty cell.
    pub(crate) fn time(at: Option<Millis>) -> Self {
        at.map_or(Self::Empty, Self::Time)
    }

    /// A digest, as text.
    pub(crate) fn digest(text: &str) -> Self {
        Digest::parse(text).map_or_else(|_| text.into(), Self::Digest)
    }

    /// The maker of a change, or an empty cell.
    pub(crate) fn who(who: &Who) -> Self {
        match (&who.name, &who.address) {
            (None, None) => Self::Empty,
            (name, address) => named(name.as_deref(), address.as_deref()).into(),
        }
    }

    /// The actor of a change, or an empty cell.
    pub(crate) fn actor(who: &Actor) -> Self {
        Self::who(&Viewer::owner().who(who))
    }

    fn shown_on(self, screen: Screen) -> String {
        let text = match self {
            Self::Empty => return String::new(),
            Self::Text(text) => plain(&text),
            Self::Size(bytes) => size(bytes),
            Self::Count(number) => number.to_string(),
            Self::Time(at) => time_on(screen, at),
            Self::Digest(digest) => digest_on(screen, &digest),
            Self::Upload(id) => upload_on(screen, &id),
        };
        match text.char_indices().nth(CELL_LIMIT) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

/// A table that is printed when all its rows are known, so that columns are aligned from top to bottom.
pub(crate) struct Table {
    columns: Vec<Column>,
    screen: Screen,
    widths: Vec<usize>,
    has_content: Vec<bool>,
    rows: Vec<Vec<String>>,
    /// Earlier rows: cells end with a tab, rows with a newline, which no cell contains.
    spool: Option<BufWriter<File>>,
}

impl Table {
    pub(crate) fn new(columns: &[Column], screen: Screen) -> Self {
        Self {
            columns: columns.to_vec(),
            screen,
            widths: columns
                .iter()
                .map(|column| column.heading.width())
                .collect(),
            has_content: vec![false; columns.len()],
            rows: Vec::new(),
            spool: None,
        }
    }

    /// Adds a row, with a cell for each column.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) -> io::Result<()> {
        let row: Vec<_> = cells
            .into_iter()
            .map(|cell| cell.shown_on(self.screen))
            .collect();
        for (number, text) in row.iter().enumerate() {
            self.widths[number] = self.widths[number].max(text.width());
            self.has_content[number] |= !text.is_empty();
        }
        self.rows.push(row);
        if self.rows.len() >= ROWS_IN_MEMORY {
            self.spool_rows()?;
        }
        Ok(())
    }

    fn spool_rows(&mut self) -> io::Result<()> {
        let spool = match &mut self.spool {
            Some(spool) => spool,
            None => self.spool.insert(BufWriter::new(tempfile::tempfile()?)),
        };
        for row in self.rows.drain(..) {
            for cell in row {
                spool.write_all(cell.as_bytes())?;
                spool.write_all(b"\t")?;
            }
            spool.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Prints the table.
    pub(crate) fn print(mut self, out: &mut impl Write) -> io::Result<()> {
        let shown = self.fit();
        let headings = self.columns.iter().map(|column| column.heading);
        self.print_row(out, &headings.collect::<Vec<_>>(), &shown)?;
        if let Some(spool) = self.spool.take() {
            let mut file = spool.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.rewind()?;
            for line in BufReader::new(file).lines() {
                let line = line?;
                let cells: Vec<_> = line.split_terminator('\t').collect();
                self.print_row(out, &cells, &shown)?;
            }
        }
        for row in &self.rows {
            let cells: Vec<_> = row.iter().map(String::as_str).collect();
            self.print_row(out, &cells, &shown)?;
        }
        out.flush()
    }

    /// Narrows columns to the width of the terminal, and returns the numbers of those to show.
    fn fit(&mut self) -> Vec<usize> {
        let all = 0..self.columns.len();
        let Screen::Terminal { columns } = self.screen else {
            return all.collect();
        };
        let has_rows = !self.rows.is_empty() || self.spool.is_some();
        let mut shown: Vec<_> = all
            .filter(|&number| self.has_content[number] || !has_rows)
            .collect();
        loop {
            let last = shown
                .iter()
                .rposition(|&number| self.columns[number].is_optional);
            let narrowest = last.map_or(NARROWEST, |_| COMFORTABLE);
            if self.narrow(&shown, columns, narrowest) {
                return shown;
            }
            let Some(last) = last else { return shown };
            shown.remove(last);
        }
    }

    /// Narrows names and texts until the columns fit; false if they do not fit at their narrowest.
    fn narrow(&mut self, shown: &[usize], columns: usize, narrowest: usize) -> bool {
        let mut widths = self.widths.clone();
        let gaps = 2 * shown.len().saturating_sub(1);
        while shown.iter().map(|&number| widths[number]).sum::<usize>() + gaps > columns {
            let widest = shown
                .iter()
                .copied()
                .filter(|&number| {
                    matches!(self.columns[number].kind, Kind::Name | Kind::Text)
                        && widths[number] > narrowest
                })
                .max_by_key(|&number| widths[number]);
            let Some(widest) = widest else { return false };
            widths[widest] -= 1;
        }
        self.widths = widths;
        true
    }

    fn print_row(&self, out: &mut impl Write, row: &[&str], shown: &[usize]) -> io::Result<()> {
        let mut line = String::new();
        for (place, &number) in shown.iter().enumerate() {
            let (kind, width) = (self.columns[number].kind, self.widths[number]);
            let text = match row.get(number).copied().unwrap_or_default() {
                "" => "-".to_owned(),
                text => shortened(text, width, kind),
            };
            let padding = " ".repeat(width.saturating_sub(text.width()));
            if place > 0 {
                line += "  ";
            }
            if kind == Kind::Number {
                line += &padding;
                line += &text;
            } else {
                line += &text;
                line += &padding;
            }
        }
        writeln!(out, "{}", line.trim_end())
    }
}

/// Shortens a text to a width, with an ellipsis.
fn shortened(text: &str, width: usize, kind: Kind) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let end = match kind {
        Kind::Name => (width - 1) / 2,
        _ => 0,
    };
    let mut start = taken(text.chars(), width - 1 - end);
    let tail: String = taken(text.chars().rev(), end).chars().rev().collect();
    start.push('…');
    start + &tail
}

/// Takes as many characters as fit a width.
fn taken(characters: impl Iterator<Item = char>, width: usize) -> String {
    let mut left = width;
    characters
        .take_while(|c| {
            let fits = c.width().unwrap_or(0) <= left;
            left = left.saturating_sub(c.width().unwrap_or(0));
            fits
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::name("NAME"),
        Column::number("SIZE"),
        Column::fixed("GONE"),
        Column::text("WHY"),
    ];

    fn printed(screen: Screen, rows: Vec<Vec<Cell>>) -> String {
        let mut table = Table::new(&COLUMNS, screen);
        rows.into_iter().for_each(|row| table.row(row).unwrap());
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn rows() -> Vec<Vec<Cell>> {
        vec![
            vec![
                "a".into(),
                Cell::Size(1),
                Cell::Empty,
                "a\nreason that is long".into(),
            ],
            vec![
                "team/some-quite-long-name/app".into(),
                Cell::Size(20_000),
                Cell::Empty,
                Cell::Empty,
            ],
        ]
    }

    #[test]
    fn columns_line_up_and_pipes_get_everything() {
        assert_eq!(
            printed(Screen::Pipe, rows()),
            "NAME                               SIZE  GONE  WHY\n\
             a                                   1 B  -     a\\nreason that is long\n\
             team/some-quite-long-name/app  19.5 KiB  -     -\n"
        );
    }

    #[test]
    fn terminals_get_lines_that_fit_without_empty_columns() {
        let shown = printed(Screen::Terminal { columns: 40 }, rows());
        assert_eq!(
            shown,
            "NAME                SIZE  WHY\n\
             a                    1 B  a\\nreason tha…\n\
             team/so…me/app  19.5 KiB  -\n"
        );
        assert!(shown.lines().all(|line| line.width() <= 40));
    }

    #[test]
    fn texts_stay_readable_while_optional_columns_can_go() {
        let columns = [Column::text("WHY"), Column::name("POLICY").optional()];
        let mut table = Table::new(&columns, Screen::Terminal { columns: 30 });
        let cells = vec!["a reason of many words".into(), "team/policy".into()];
        table.row(cells).unwrap();
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(shown, "WHY\na reason of many words\n");
    }

    #[test]
    fn optional_columns_give_way() {
        let columns = [
            Column::name("REPOSITORY"),
            Column::fixed("ONE").optional(),
            Column::fixed("OTHER").optional(),
        ];
        let mut table = Table::new(&columns, Screen::Terminal { columns: 30 });
        let cells = vec![
            "a-long-repository".into(),
            "12 h ago".into(),
            "0123456789ab".into(),
        ];
        table.row(cells).unwrap();
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(
            shown,
            "REPOSITORY         ONE\na-long-repository  12 h ago\n"
        );
    }

    #[test]
    fn many_rows_wait_in_a_file() {
        let number = 2 * ROWS_IN_MEMORY + 5;
        let rows = (0..number)
            .map(|row| {
                vec![
                    row.to_string().into(),
                    Cell::Count(row as u64),
                    Cell::Empty,
                    "-".into(),
                ]
            })
            .collect();
        let shown = printed(Screen::Pipe, rows);
        let width = |line: &str| line.find("  ").map(|_| line.len());
        assert_eq!(shown.lines().count(), number + 1);
        assert!(
            shown
                .lines()
                .skip(1)
                .all(|line| width(line) == width(shown.lines().nth(1).unwrap()))
        );
        assert!(shown.lines().last().unwrap().starts_with("20004"));
    }
}
