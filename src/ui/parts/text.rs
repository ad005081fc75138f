//! Text that clients chose: labels, commands, media types, names of people.

use std::fmt;

use askama::filters::{Escaper, Html, HtmlSafe};

use crate::escape::OneLine;

/// Maximum number of characters that are shown.
const LONGEST: usize = 300;

/// Text on one line, within bounds, escaped, and kept from reordering what stands beside it.
#[derive(Clone, Copy, Debug)]
pub struct Text<'t>(pub &'t str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = self.0.char_indices().nth(LONGEST).map(|(end, _)| end);
        let shown = OneLine(&self.0[..cut.unwrap_or(self.0.len())]).to_string();
        f.write_str("<bdi>")?;
        Html.write_escaped_str(&mut *f, &shown)?;
        f.write_str(match cut {
            Some(_) => "…</bdi>",
            None => "</bdi>",
        })
    }
}

impl HtmlSafe for Text<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let shown = Text("<script>\u{202e}\"'&\n").to_string();
        assert_eq!(
            shown,
            "<bdi>&#60;script&#62;\\u{202e}&#34;&#39;&#38;\\n</bdi>"
        );
        let long = Text(&"é".repeat(1000)).to_string();
        assert_eq!(long.chars().filter(|c| *c == 'é').count(), LONGEST);
        assert!(long.ends_with("…</bdi>"));
    }
}
