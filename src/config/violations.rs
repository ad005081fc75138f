//! What is wrong with values that fit their keys: only the parts of the server know.

use std::fmt;

/// What is wrong with some values; one of several independent parts does not hide what is wrong with the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations(pub(super) Vec<Violation>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    /// The key or the section.
    pub about: String,
    pub sentence: String,
    /// Of no interest where something else in this section is wrong, from which it may follow.
    pub unless: Option<String>,
}

impl Violations {
    /// A value that cannot be used: the key, and a sentence with cause and remedy.
    pub fn of(key: impl Into<String>, sentence: impl fmt::Display) -> Self {
        Self(vec![Violation {
            about: key.into(),
            sentence: sentence.to_string(),
            unless: None,
        }])
    }

    /// Something that a section lacks, or two things in it that do not go together.
    pub fn within(section: impl Into<String>, sentence: impl fmt::Display) -> Self {
        let section = section.into();
        Self(vec![Violation {
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
            .for_each(|violation| violation.unless = Some(section.to_owned()));
        self
    }

    /// All of them at once; none where there are none.
    pub fn all(found: impl IntoIterator<Item = Self>) -> Option<Self> {
        let all: Vec<_> = found
            .into_iter()
            .flat_map(|violations| violations.0)
            .collect();
        (!all.is_empty()).then_some(Self(all))
    }
}

impl fmt::Display for Violations {
    /// A sentence a line.
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
pub trait Zip {
    type Values;

    /// The tuple of the values.
    ///
    /// # Errors
    /// The violations of every part, not only of the first.
    fn zip(self) -> Result<Self::Values, Violations>;
}

macro_rules! zip_tuple {
    ($($part:ident),+) => {
        impl<$($part),+> Zip for ($(Result<$part, Violations>,)+) {
            type Values = ($($part,)+);

            #[expect(non_snake_case, reason = "a part is called as its type")]
            fn zip(self) -> Result<Self::Values, Violations> {
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

zip_tuple!(A, B);
zip_tuple!(A, B, C);
zip_tuple!(A, B, C, D);

/// As [`Zip::zip`].
///
/// # Errors
/// The violations of every part, not only of the first.
pub fn zip<T: Zip>(parts: T) -> Result<T::Values, Violations> {
    parts.zip()
}

/// Collects the values of independent parts.
///
/// # Errors
/// The violations of every part, not only of the first.
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
