//! What is wrong with values that fit their keys: only the parts of the server know.

use std::fmt;

/// What is wrong with some values; one of several independent parts does not hide what is wrong with the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrongs(pub(super) Vec<Wrong>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The key or the section.
    pub about: String,
    pub sentence: String,
    /// Of no interest where something else in this section is wrong, from which it may follow.
    pub unless: Option<String>,
}

impl Wrongs {
    /// A value that cannot be used: the key, and a sentence with cause and remedy.
    pub fn of(key: impl Into<String>, sentence: impl fmt::Display) -> Self {
        Self(vec![Wrong {
            about: key.into(),
            sentence: sentence.to_string(),
            unless: None,
        }])
    }

    /// Something that a section lacks, or two things in it that do not go together.
    pub fn within(section: impl Into<String>, sentence: impl fmt::Display) -> Self {
        let section = section.into();
        Self(vec![Wrong {
            about: section.clone(),
            sentence: sentence.to_string(),
            unless: Some(section),
        }])
    }

    /// The same, of no interest where something in this section is wrong, from which it may follow.
    #[must_use]
    pub fn unless(mut self, section: &str) -> Self {
        self.0
            .iter_mut()
            .for_each(|wrong| wrong.unless = Some(section.to_owned()));
        self
    }

    /// All of them at once; none where there are none.
    pub fn all(found: impl IntoIterator<Item = Self>) -> Option<Self> {
        let all: Vec<_> = found.into_iter().flat_map(|wrongs| wrongs.0).collect();
        (!all.is_empty()).then_some(Self(all))
    }
}

impl fmt::Display for Wrongs {
    /// A sentence a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentences: Vec<_> = self.0.iter().map(|wrong| &*wrong.sentence).collect();
        f.write_str(&sentences.join("\n"))
    }
}

impl std::error::Error for Wrongs {}

/// Both, or all that is wrong with either.
///
/// # Errors
/// What is wrong with one of them, or with both.
pub fn both<A, B>(one: Result<A, Wrongs>, other: Result<B, Wrongs>) -> Result<(A, B), Wrongs> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(mut one), Err(other)) => {
            one.0.extend(other.0);
            Err(one)
        }
        (Err(wrongs), Ok(_)) | (Ok(_), Err(wrongs)) => Err(wrongs),
    }
}

/// Every one, or all that is wrong with any.
///
/// # Errors
/// What is wrong with one of them or with several.
pub fn each<T>(results: impl Iterator<Item = Result<T, Wrongs>>) -> Result<Vec<T>, Wrongs> {
    let (mut values, mut wrongs) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(wrong) => wrongs.push(wrong),
        }
    }
    Wrongs::all(wrongs).map_or(Ok(values), Err)
}
