//! A list in either format: a table, or a named list in a JSON object.

use std::io::{BufWriter, Stdout, stdout};

use serde_json::Value;

use crate::cli::error::Error;
use crate::cli::terminal::json::JsonObject;
use crate::cli::terminal::output::{Format, Screen, written};
use crate::cli::terminal::table::{Cell, Column, Table};

/// A list on standard output.
pub(crate) enum List {
    Text(Table),
    Json(JsonObject<BufWriter<Stdout>>),
}

impl List {
    /// Begins a list: a table of these columns, or the named list of a JSON object.
    pub(crate) fn begin(format: Format, name: &str, columns: &[Column]) -> Result<Self, Error> {
        let mut list = Self::object(format, columns);
        list.next(name)?;
        Ok(list)
    }

    /// Like [`Self::begin`], for an object with other keys before its list.
    pub(crate) fn object(format: Format, columns: &[Column]) -> Self {
        match format {
            Format::Text => Self::Text(Table::new(columns, Screen::of_stdout())),
            Format::Json => Self::Json(JsonObject::new(BufWriter::new(stdout()))),
        }
    }

    /// Begins another list of the same object; in a table its rows follow.
    pub(crate) fn next(&mut self, name: &str) -> Result<(), Error> {
        match self {
            Self::Text(_) => Ok(()),
            Self::Json(object) => written(object.list(name)),
        }
    }

    /// Adds a key to the JSON object.
    pub(crate) fn field(&mut self, name: &str, value: &Value) -> Result<(), Error> {
        match self {
            Self::Text(_) => Ok(()),
            Self::Json(object) => written(object.field(name, value)),
        }
    }

    /// Adds an item, as a row or as a value.
    pub(crate) fn push(
        &mut self,
        row: impl FnOnce() -> Vec<Cell>,
        value: impl FnOnce() -> Value,
    ) -> Result<(), Error> {
        written(match self {
            Self::Text(table) => table.row(row()),
            Self::Json(object) => object.item(&value()),
        })
    }

    /// Ends the list, and prints what is not printed yet.
    pub(crate) fn finish(self) -> Result<(), Error> {
        written(match self {
            Self::Text(table) => table.print(&mut BufWriter::new(stdout().lock())),
            Self::Json(object) => object.finish(),
        })
    }
}
