//! Violations: values of the right kind that a part of the server cannot use.

use std::fmt;

/// The violations found in a configuration; [`combine`] and [`collect`] join those of independent parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations(pub(super) Vec<Violation>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    /// Key or section.
    pub about: String,
    pub sentence: String,
    /// Section whose other errors suppress this one, because it may follow from them.
    pub unless: Option<String>,
}

impl Violations {
    /// A value that cannot be used, with a sentence that names cause and remedy.
    pub fn of(key: impl Into<String>, sentence: impl fmt::Display) -> Self {
        Self(vec![Violation {
            about: key.into(),
            sentence: sentence.to_string(),
            unless: None,
        }])
    }

    /// A missing key in a section, or two keys that exclude each other.
    pub fn within(section: impl Into<String>, sentence: impl fmt::Display) -> Self {
        let section = section.into();
        Self(vec![Violation {
            about: section.clone(),
            sentence: sentence.to_string(),
            unless: Some(section),
        }])
    }

    /// Suppresses these violations if another part of the section is invalid, from which they may follow.
    #[must_use]
    pub fn unless(mut self, section: &str) -> Self {
        self.0
            .iter_mut()
            .for_each(|violation| violation.unless = Some(section.to_owned()));
        self
    }

    /// Joins violations; `None` if there are none.
    pub fn all(found: impl IntoIterator<Item = Self>) -> Option<Self> {
        let all: Vec<_> = found
            .into_iter()
            .flat_map(|violations| violations.0)
            .collect();
        (!all.is_empty()).then_some(Self(all))
    }
}

impl fmt::Display for Violations {
    /// One sentence per line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentences: Vec<_> = self
            .0
            .iter()
            .map(|violation| &*violation.sentence)
            .collect();
        f.write_str(&sentences.join("\n"))
    }
}

impl std::error::Error for Violations {}

/// A tuple of results, of independent parts of a configuration.
pub trait CombineResults {
    type Values;

    /// Returns the values.
    ///
    /// # Errors
    /// The violations of all parts, not only of the first.
    fn combine(self) -> Result<Self::Values, Violations>;
}

macro_rules! combine_tuple {
    ($($part:ident),+) => {
        impl<$($part),+> CombineResults for ($(Result<$part, Violations>,)+) {
            type Values = ($($part,)+);

            #[expect(non_snake_case, reason = "a part is called as its type")]
            fn combine(self) -> Result<Self::Values, Violations> {
                let ($($part,)+) = self;
                let mut all = Vec::new();
                $(let $part = $part.map_err(|violations| all.extend(violations.0));)+
                match ($($part,)+) {
                    ($(Ok($part),)+) => Ok(($($part,)+)),
                    _ => Err(Violations(all)),
                }
            }
        }
    };
}

combine_tuple!(A, B);
combine_tuple!(A, B, C);
combine_tuple!(A, B, C, D);
combine_tuple!(A, B, C, D, E);

/// Returns the values of a tuple of results.
///
/// # Errors
/// The violations of all parts, not only of the first.
pub fn combine<T: CombineResults>(parts: T) -> Result<T::Values, Violations> {
    parts.combine()
}

/// Collects the values of any number of results.
///
/// # Errors
/// The violations of all parts, not only of the first.
pub fn collect<T>(
    parts: impl IntoIterator<Item = Result<T, Violations>>,
) -> Result<Vec<T>, Violations> {
    let (mut values, mut found) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Ok(value) => values.push(value),
            Err(violations) => found.push(violations),
        }
    }
    Violations::all(found).map_or(Ok(values), Err)
}
