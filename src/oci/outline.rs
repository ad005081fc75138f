//! Space that parsing a document takes, told from its punctuation alone.
//!
//! A few bytes of JSON can stand for a structure in memory many times their size, so that the size of a document says little.

/// Maximum number of objects and arrays inside each other.
pub const MAX_DEPTH: usize = 128;

/// Memory that an object takes at most, as a descriptor in a list that grows and as a reference, in bytes.
const OBJECT: usize = 512;
/// Memory that a member of an object takes at most, as an annotation, in bytes without its text.
const MEMBER: usize = 128;
/// Memory that an element of a list takes at most, as a URL, in bytes without its text.
const ELEMENT: usize = 80;

/// Structure of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Number of objects and arrays inside each other.
    pub depth: usize,
    /// Memory that parsing takes at most, in bytes.
    pub memory: usize,
}

impl Outline {
    /// Reads the outline of a document; one that is no JSON has one too.
    pub fn of(document: &[u8]) -> Self {
        let mut outline = Self {
            depth: 0,
            memory: document.len(),
        };
        let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
        for byte in document {
            if is_text {
                match byte {
                    _ if is_escaped => is_escaped = false,
                    b'\\' => is_escaped = true,
                    b'"' => is_text = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => is_text = true,
                b'{' | b'[' => {
                    depth += 1;
                    outline.depth = outline.depth.max(depth);
                    outline.memory += if *byte == b'{' { OBJECT } else { ELEMENT };
                }
                b'}' | b']' => depth = depth.saturating_sub(1),
                b':' => outline.memory += MEMBER,
                b',' => outline.memory += ELEMENT,
                _ => {}
            }
        }
        outline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_punctuation_outside_of_texts_counts() {
        for (document, depth, memory) in [
            ("", 0, 0),
            ("{}", 1, 2 + OBJECT),
            (r#"{"a":"{[,:\"{"}"#, 1, 15 + OBJECT + MEMBER),
            (
                r#"{"a":"\\","b":[1,2]}"#,
                2,
                20 + OBJECT + 2 * MEMBER + 3 * ELEMENT,
            ),
            ("]]]]{[{", 3, 7 + 2 * OBJECT + ELEMENT),
        ] {
            let outline = Outline::of(document.as_bytes());
            assert_eq!(outline, Outline { depth, memory }, "{document}");
        }
    }
}
