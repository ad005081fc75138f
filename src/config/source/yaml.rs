//! Parsing YAML into a tree, with the line of every value.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::config::source::origin::Origin;
use crate::config::source::tree::{Content, Node, Scalar};

/// A syntax error, or a duplicate key.
pub(in crate::config) struct NotYaml {
    pub line: Option<u64>,
    pub cause: String,
}

/// Parses a file.
pub(in crate::config) fn read_file(text: &str, path: &Arc<Path>) -> Result<Node, NotYaml> {
    let line = |location: serde_saphyr::Location| Origin::File {
        path: Arc::clone(path),
        line: location.line(),
    };
    read(text, &line)
}

/// Parses the value of a variable.
pub(in crate::config) fn read_variable(name: &Arc<str>, value: &str) -> Result<Node, NotYaml> {
    read(value, &|_| Origin::Variable(Arc::clone(name)))
}

type OriginOf<'a> = &'a dyn Fn(serde_saphyr::Location) -> Origin;

fn read(text: &str, origin: OriginOf<'_>) -> Result<Node, NotYaml> {
    match serde_saphyr::from_str::<Spanned<Parsed>>(text) {
        Ok(parsed) => Ok(node(parsed, text, origin)),
        Err(error) => {
            let line = error.location().map(|location| location.line());
            let cause = match error.without_snippet() {
                serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
                    format!("the key {key} is given twice in its section")
                }
                other => format!(
                    "this is not YAML: {}",
                    other.to_string().lines().next().unwrap_or_default()
                ),
            };
            Err(NotYaml { line, cause })
        }
    }
}

fn node(parsed: Spanned<Parsed>, text: &str, origin: OriginOf<'_>) -> Node {
    let content = match parsed.value {
        Parsed::Null => Content::Null,
        Parsed::Scalar(Value::String(spelled)) => Content::Scalar(Scalar {
            value: Value::from(spelled.clone()),
            text: spelled,
        }),
        Parsed::Scalar(value) => {
            // 0123 and 1.10 must not become 123 and 1.1 if they are names
            let span = parsed.defined.span();
            let place = span
                .byte_offset()
                .zip(span.byte_len())
                .and_then(|(start, length)| {
                    let start = usize::try_from(start).ok()?;
                    text.get(start..start.checked_add(usize::try_from(length).ok()?)?)
                });
            let spelled = place.map(str::trim).filter(|spelled| !spelled.is_empty());
            Content::Scalar(Scalar {
                text: spelled.map_or_else(|| value.to_string(), str::to_owned),
                value,
            })
        }
        Parsed::List(items) => Content::List(
            items
                .into_iter()
                .map(|item| node(item, text, origin))
                .collect(),
        ),
        Parsed::Map(members) => {
            let member = |(key, value): (Spanned<String>, Spanned<Parsed>)| {
                let place = origin(key.referenced);
                (
                    key.value,
                    Node {
                        origin: place,
                        ..node(value, text, origin)
                    },
                )
            };
            Content::Map(members.into_iter().map(member).collect())
        }
    };
    Node {
        origin: origin(parsed.referenced),
        content,
    }
}

enum Parsed {
    Null,
    Scalar(Value),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Parsed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Parsed, E> {
        Ok(Parsed::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Parsed, E> {
        Ok(Parsed::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Parsed, E> {
        Ok(Parsed::Scalar(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Parsed, E> {
        Ok(Parsed::Scalar(value.to_string().into()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Parsed, E> {
        Ok(Parsed::Scalar(value.to_string().into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Parsed, E> {
        Ok(Parsed::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Parsed, E> {
        Ok(Parsed::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Parsed, E> {
        Ok(Parsed::Null)
    }

    fn visit_none<E>(self) -> Result<Parsed, E> {
        Ok(Parsed::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Parsed, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Parsed, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Parsed::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Parsed, A::Error> {
        let mut map = Vec::new();
        while let Some(member) = members.next_entry()? {
            map.push(member);
        }
        Ok(Parsed::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Node {
        read_file(text, &Path::new("config.yml").into())
            .map_err(|error| error.cause)
            .unwrap()
    }

    fn line(node: &Node) -> u64 {
        match node.origin {
            Origin::File { line, .. } => line,
            _ => panic!("{:?}", node.origin),
        }
    }

    #[test]
    fn places_are_those_of_keys() {
        let tree = parsed(
            "a:\n  b:\n    c: 1\n  d:\n  - x\n  - e: >\n      long\n      text\nf: {g: h}\n",
        );
        let a = tree.member("a").unwrap();
        assert_eq!(
            (
                line(a),
                line(a.member("b").unwrap()),
                line(a.member("b").unwrap().member("c").unwrap())
            ),
            (1, 2, 3)
        );
        let Content::List(items) = &a.member("d").unwrap().content else {
            panic!("{a:?}")
        };
        assert_eq!(
            (line(&items[0]), line(items[1].member("e").unwrap())),
            (5, 6)
        );
        assert_eq!(line(tree.member("f").unwrap().member("g").unwrap()), 9);
    }

    #[test]
    fn scalars_keep_their_spelling() {
        let tree =
            parsed("[0123, 1.10, 0x1F, yes, 'true', \"a\\tb\", ~, 18446744073709551615, 1e3]");
        let Content::List(items) = &tree.content else {
            panic!("{tree:?}")
        };
        let texts = items.iter().map(|item| match &item.content {
            Content::Scalar(scalar) => &*scalar.text,
            Content::Null => "null",
            other => panic!("{other:?}"),
        });
        assert_eq!(
            texts.collect::<Vec<_>>(),
            [
                "0123",
                "1.10",
                "0x1F",
                "yes",
                "true",
                "a\tb",
                "null",
                "18446744073709551615",
                "1e3"
            ]
        );
    }

    #[test]
    fn anchors_are_followed_and_what_is_given_twice_is_an_error() {
        let tree = parsed("a: &x {b: 007}\nc: *x\nd:\n  <<: *x\n  e: 1\n");
        for name in ["c", "d"] {
            let Content::Scalar(scalar) = &tree.member(name).unwrap().member("b").unwrap().content
            else {
                panic!("{tree:?}")
            };
            assert_eq!(scalar.text, "007");
        }
        let path = Path::new("config.yml").into();
        for (text, at) in [
            ("a: 1\nb: 2\na: 3\n", 3),
            ("a:\n\tb: 1\n", 2),
            ("a: [1\n", 2),
            ("a: *nobody\n", 1),
            ("a: 1\n---\nb: 1\n", 2),
        ] {
            let error = read_file(text, &path).err().unwrap();
            assert!(
                error.line.is_some_and(|line| line.abs_diff(at) <= 1),
                "{text}: {:?}: {}",
                error.line,
                error.cause
            );
        }
        assert!(parsed("").is_empty());
        assert!(parsed("# nothing\n").is_empty());
    }
}
