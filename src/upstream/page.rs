//! Pages of lists, whose entries are taken one by one: another registry must not choose how much memory they take.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::error::Error;
use crate::oci::{ListedReferrer, Referrer};

/// Maximum number of names in a list, and of the bytes that they need.
const NAMES: usize = 1 << 18;
const NAMES_BYTES: usize = 24 << 20;
/// Maximum number of referrers in a list, and of the bytes that they need.
const REFERRERS: usize = 1 << 14;
const REFERRERS_BYTES: usize = 8 << 20;
/// Bytes that an entry needs beside its text.
const NAME: usize = 64;
const REFERRER: usize = 192;

/// Entries of a list, from all of its pages.
pub(super) trait Entries {
    type Entry<'e>: Deserialize<'e>;

    /// Takes an entry; false if that is too much.
    fn take(&mut self, entry: Self::Entry<'_>) -> bool;
}

/// Names, each once.
#[derive(Default)]
pub(super) struct Names {
    pub all: BTreeSet<String>,
    bytes: usize,
}

/// Referrers in the order in which they came.
#[derive(Default)]
pub(super) struct Referrers {
    pub all: Vec<Referrer>,
    bytes: usize,
}

/// A name, which is copied only if it is kept.
#[derive(Deserialize)]
pub(super) struct Name<'n>(#[serde(borrow)] Cow<'n, str>);

impl Entries for Names {
    type Entry<'e> = Name<'e>;

    fn take(&mut self, Name(name): Name<'_>) -> bool {
        if !self.all.contains(&*name) {
            self.bytes += name_size(&name);
            self.all.insert(name.into_owned());
        }
        self.all.len() <= NAMES && self.bytes <= NAMES_BYTES
    }
}

impl Entries for Referrers {
    type Entry<'e> = ListedReferrer<'e>;

    fn take(&mut self, entry: ListedReferrer<'_>) -> bool {
        if let Some(referrer) = Referrer::listed(entry) {
            self.bytes += referrer_size(&referrer);
            self.all.push(referrer);
        }
        self.all.len() <= REFERRERS && self.bytes <= REFERRERS_BYTES
    }
}

/// Returns about how many bytes a name needs in a list.
pub fn name_size(name: &str) -> usize {
    NAME + name.len()
}

/// Returns about how many bytes a referrer needs in a list.
pub fn referrer_size(referrer: &Referrer) -> usize {
    let annotations = referrer.annotations.as_ref();
    REFERRER
        + referrer.digest.len()
        + referrer.media_type.len()
        + referrer.artifact_type.as_ref().map_or(0, String::len)
        + annotations.map_or(0, |annotations| annotations.get().len())
}

/// Reads a page, whose list has a key; returns the number of its entries.
///
/// # Errors
/// [`Error::Broken`] for what is no page, and for a list that is too long.
pub(super) fn read<E: Entries>(
    page: &[u8],
    key: &'static str,
    entries: &mut E,
) -> Result<usize, Error> {
    let mut is_full = false;
    let reading = Page {
        key,
        entries,
        is_full: &mut is_full,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(page);
    let read = reading.deserialize(&mut deserializer);
    let read = read.and_then(|count| deserializer.end().map(|()| count));
    read.map_err(|_| match is_full {
        true => endless(),
        false => Error::Broken("its list is not one".to_owned()),
    })
}

pub(super) fn endless() -> Error {
    Error::Broken("its list has no end".to_owned())
}

struct Page<'p, E> {
    key: &'static str,
    entries: &'p mut E,
    is_full: &'p mut bool,
}

impl<'de, E: Entries> DeserializeSeed<'de> for Page<'_, E> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, E: Entries> Visitor<'de> for Page<'_, E> {
    type Value = usize;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a page of a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while let Some(Name(key)) = map.next_key()? {
            if key == self.key {
                count += map.next_value_seed(List {
                    entries: &mut *self.entries,
                    is_full: &mut *self.is_full,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(count)
    }
}

/// The list itself; `null` is an empty one.
struct List<'l, E> {
    entries: &'l mut E,
    is_full: &'l mut bool,
}

impl<'de, E: Entries> DeserializeSeed<'de> for List<'_, E> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, E: Entries> Visitor<'de> for List<'_, E> {
    type Value = usize;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_unit<R>(self) -> Result<usize, R> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while let Some(entry) = list.next_element_seed(PhantomData::<E::Entry<'de>>)? {
            count += 1;
            if !self.entries.take(entry) {
                *self.is_full = true;
                return Err(A::Error::custom("it is too long"));
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(page: &str) -> Result<Vec<String>, Error> {
        let mut names = Names::default();
        read(page.as_bytes(), "tags", &mut names)?;
        Ok(names.all.into_iter().collect())
    }

    #[test]
    fn names_are_read_from_all_forms_of_a_page() {
        let some = Ok(vec!["a".to_owned(), "b\"".to_owned()]);
        assert_eq!(
            names(r#"{"name":"x","tags":["b\"","a","a"],"more":[1]}"#),
            some
        );
        for page in [r#"{"tags":null}"#, r#"{"tags":[]}"#, r#"{"name":"x"}"#] {
            assert_eq!(names(page), Ok(Vec::new()), "{page}");
        }
        for page in [
            "",
            "[]",
            r#"{"tags":[1]}"#,
            r#"{"tags":"a"}"#,
            r#"{"tags":["a"]} x"#,
        ] {
            assert!(names(page).is_err(), "{page}");
        }
    }

    #[test]
    fn a_list_is_bounded_in_number_and_in_bytes() {
        let many: Vec<_> = (0..=NAMES).map(|n| format!("\"{n}\"")).collect();
        let page = format!("{{\"tags\":[{}]}}", many.join(","));
        assert_eq!(names(&page), Err(endless()));
        let mut referrers = Referrers::default();
        let text = "x".repeat(1 << 20);
        let digest = format!("sha256:{}", "0".repeat(64));
        let entry = format!(r#"{{"digest":"{digest}","size":1,"annotations":{{"a":"{text}"}}}}"#);
        let page = format!("{{\"manifests\":[{entry},{entry},{entry}]}}");
        for _ in 0..2 {
            assert_eq!(read(page.as_bytes(), "manifests", &mut referrers), Ok(3));
        }
        let full = read(page.as_bytes(), "manifests", &mut referrers);
        assert_eq!(full, Err(endless()));
    }

    #[test]
    fn referrers_are_descriptors_with_annotations_of_text() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let page = format!(
            r#"{{"manifests":[{{"digest":"{digest}","mediaType":"m","size":7,"urls":["u"],"annotations":{{"a":"b"}}}},
            {{"digest":"none"}}, {{"digest":"{digest}","size":-1}}, {{"digest":"{digest}","annotations":{{"a":1}}}}]}}"#
        );
        let mut referrers = Referrers::default();
        assert_eq!(read(page.as_bytes(), "manifests", &mut referrers), Ok(4));
        let texts = referrers.all.iter().map(|referrer| {
            referrer
                .annotations
                .as_ref()
                .map(|annotations| annotations.get())
        });
        assert_eq!(texts.collect::<Vec<_>>(), [Some(r#"{"a":"b"}"#), None]);
    }
}
