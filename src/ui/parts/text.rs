//! Text that clients chose: labels, commands, media types, names of people.

use std::fmt;

use askama::filters::{Escaper, Html, HtmlSafe};

use crate::escape::{self, OneLine};

/// Maximum number of characters that are shown.
const LONGEST: usize = 300;

/// Text on one line, within bounds, escaped, and kept from reordering what stands beside it.
#[derive(Clone, Debug)]
pub struct Text {
    shown: String,
    is_cut: bool,
}

impl Text {
    pub fn of(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        let cut = text.char_indices().nth(LONGEST).map(|(end, _)| end);
        Self {
            shown: OneLine(&text[..cut.unwrap_or(text.len())]).to_string(),
            is_cut: cut.is_some(),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<bdi>")?;
        Html.write_escaped_str(&mut *f, &self.shown)?;
        f.write_str(match self.is_cut {
            true => "…</bdi>",
            false => "</bdi>",
        })
    }
}

impl HtmlSafe for Text {}

/// Text on many lines, to stand in a box of its own; escaped as [`Text`] is.
#[derive(Clone, Debug)]
pub struct Block<'t>(pub &'t str);

impl fmt::Display for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.replace("\r\n", "\n").replace('\t', "    ");
        Html.write_escaped_str(f, &escape::lines(&text))
    }
}

impl HtmlSafe for Block<'_> {}

/// Returns text as an address to link to, if it is one of the web.
pub fn link(text: &str) -> Option<&str> {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '<' | '>' | '\\');
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))?;
    let is_address = !rest.is_empty() && !rest.starts_with('/') && text.len() <= 2000;
    (is_address && text.chars().all(is_plain)).then_some(text)
}

/// Returns the name of a label without the namespace that everybody uses.
pub fn label_name(key: &str) -> &str {
    key.strip_prefix("org.opencontainers.image.").unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let shown = Text::of("<script>\u{202e}\"'&\n").to_string();
        assert_eq!(
            shown,
            "<bdi>&#60;script&#62;\\u{202e}&#34;&#39;&#38;\\n</bdi>"
        );
        let long = Text::of("é".repeat(1000)).to_string();
        assert_eq!(long.chars().filter(|c| *c == 'é').count(), LONGEST);
        assert!(long.ends_with("…</bdi>"));
    }

    #[test]
    fn lines_stay_lines() {
        let shown = Block("a\r\n\tb<\u{202e}\u{1b}").to_string();
        assert_eq!(shown, "a\n    b&#60;\\u{202e}\\u{1b}");
    }

    #[test]
    fn only_addresses_of_the_web_are_links() {
        for text in ["https://git.example/a?b=c#d", "http://x"] {
            assert_eq!(link(text), Some(text));
        }
        for text in [
            "javascript:alert(1)",
            "//x",
            "https://",
            "https:///x",
            "https://x\"y",
            "HTTPS ://x",
            "https://a b",
            "https://\u{202e}x",
            "data:text/html,x",
        ] {
            assert_eq!(link(text), None, "{text}");
        }
    }
}
