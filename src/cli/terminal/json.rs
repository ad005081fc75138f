//! JSON output: one object, whose lists are printed item by item. `docs/json.md` describes every object.

use std::io::{self, Write};

use serde_json::{Value, json};
use tarkeep::escape;
use tarkeep::registry::{Actor, Millis};
use tarkeep::report::{Time, Viewer};

use crate::cli::error::Error;
use crate::cli::terminal::output;

/// Prints an object.
pub(crate) fn print(object: &Value) -> Result<(), Error> {
    output::print_raw(text(object).as_bytes())
}

/// Formats an object as [`print`] does.
pub(crate) fn text(object: &Value) -> String {
    escape::json(&format!("{object:#}\n")).into_owned()
}

/// Converts the actor of a change.
pub(crate) fn who(actor: &Actor) -> Value {
    json!(Viewer::owner().who(actor))
}

/// Converts a time.
pub(crate) fn time(at: Millis) -> Value {
    json!(Time(at))
}

/// An object that is printed key by key, without holding its lists.
pub(crate) struct JsonObject<W> {
    out: W,
    has_keys: bool,
    /// True once the open list has an item; `None` without an open list.
    list: Option<bool>,
}

impl<W: Write> JsonObject<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            has_keys: false,
            list: None,
        }
    }

    /// Prints a key with its value.
    pub(crate) fn field(&mut self, key: &str, value: &Value) -> io::Result<()> {
        self.key(key)?;
        write!(self.out, "{}", escape::json(&value.to_string()))
    }

    /// Begins a list.
    pub(crate) fn list(&mut self, key: &str) -> io::Result<()> {
        self.key(key)?;
        self.list = Some(false);
        write!(self.out, "[")
    }

    /// Prints an item of the open list.
    pub(crate) fn item(&mut self, value: &Value) -> io::Result<()> {
        let separator = if self.list == Some(true) { "," } else { "" };
        self.list = Some(true);
        write!(
            self.out,
            "{separator}\n    {}",
            escape::json(&value.to_string())
        )
    }

    /// Ends the open list, if there is one.
    fn end_list(&mut self) -> io::Result<()> {
        match self.list.take() {
            Some(true) => write!(self.out, "\n  ]"),
            Some(false) => write!(self.out, "]"),
            None => Ok(()),
        }
    }

    fn key(&mut self, key: &str) -> io::Result<()> {
        self.end_list()?;
        let separator = if self.has_keys { "," } else { "{" };
        self.has_keys = true;
        write!(self.out, "{separator}\n  {}: ", Value::from(key))
    }

    /// Ends the object.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.end_list()?;
        writeln!(self.out, "{}", if self.has_keys { "\n}" } else { "{}" })?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_piece_by_piece_is_one_object() {
        let mut out = Vec::new();
        let mut object = JsonObject::new(&mut out);
        object.list("empty").unwrap();
        object.list("items").unwrap();
        object.item(&json!({ "a": 1 })).unwrap();
        object.item(&json!(2)).unwrap();
        object.field("after", &json!("text")).unwrap();
        object.finish().unwrap();
        let read: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            read,
            json!({ "empty": [], "items": [{ "a": 1 }, 2], "after": "text" })
        );
        let mut out = Vec::new();
        JsonObject::new(&mut out).finish().unwrap();
        assert_eq!(out, b"{}\n");
    }
}
