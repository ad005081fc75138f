//! Pages that are ready.

use std::time::Duration;

use askama::Template;

use crate::registry::Error;

/// Place of the time that a page took; no text of clients has this character.
pub(super) const TOOK: &str = "\u{1}";

/// A page.
#[derive(Debug)]
pub struct Page {
    /// HTML, the same for the same content.
    pub text: String,
}

impl Page {
    /// Renders a template.
    ///
    /// # Errors
    /// [`Error::Internal`], which no template causes.
    pub(super) fn of(template: &impl Template) -> Result<Self, Error> {
        let text = template.render();
        let text = text.map_err(|error| Error::Internal(format!("a page: {error}")))?;
        Ok(Self { text })
    }

    /// Returns the HTML with the time that it took.
    pub fn timed(&self, took: Duration) -> String {
        let milliseconds = took.as_millis().max(1);
        self.text.replacen(TOOK, &format!("{milliseconds} ms"), 1)
    }
}
