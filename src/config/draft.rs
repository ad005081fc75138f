//! A configuration that was read, and that the parts of the server have yet to validate.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::error::{Error, Problem, Report};
use crate::config::keys::is_within;
use crate::config::loaded::Loaded;
use crate::config::schema::Config;
use crate::config::source::Origin;
use crate::config::validate::Checked;
use crate::config::violations::Violations;

/// A configuration and the problems found in it so far.
///
/// Invalid sections are left out of [`Self::config`], so that the parts of the server can validate the others.
#[derive(Debug)]
pub struct Draft {
    loaded: Loaded,
    problems: Vec<Problem>,
}

impl Draft {
    pub(super) fn new(checked: Checked, report: Report, file: &Origin) -> Self {
        let Checked {
            mut values,
            origins,
        } = checked;
        let Report {
            mut problems,
            notes,
        } = report;
        if !problems.is_empty()
            && let Value::Object(sections) = &mut values
        {
            sections.retain(|name, section| {
                serde_json::from_value::<Config>(json!({ name: section })).is_ok()
            });
        }
        let config = serde_json::from_value(values.clone()).unwrap_or_else(|error| {
            // values that pass the table of keys fit the types; a test holds both together
            problems.push(Problem {
                origin: file.clone(),
                about: String::new(),
                sentence: error.to_string(),
            });
            Config::default()
        });
        Self {
            loaded: Loaded {
                config,
                notes,
                values,
                origins,
            },
            problems,
        }
    }

    pub fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Adds the violations that a part of the server found; returns the value if there are none.
    pub fn validated<T>(&mut self, found: Result<T, Violations>) -> Option<T> {
        let violations = match found {
            Ok(value) => return Some(value),
            Err(violations) => violations.0,
        };
        for violation in violations {
            let may_follow = violation.unless.is_some_and(|section| {
                self.problems
                    .iter()
                    .any(|problem| is_within(&problem.about, &section))
            });
            // two parts of a server may read one key
            let is_known = self.problems.iter().any(|problem| {
                (&problem.about, &problem.sentence) == (&violation.about, &violation.sentence)
            });
            if !may_follow && !is_known {
                let origin = origin(&self.loaded.origins, &violation.about);
                self.problems.push(Problem {
                    origin,
                    about: violation.about,
                    sentence: violation.sentence,
                });
            }
        }
        None
    }

    /// Overrides the text of a key by a flag of the command line.
    pub fn override_by_flag(&mut self, key: &str, text: &str, flag: &'static str) {
        let mut place = &mut self.loaded.values;
        for name in key.split('.') {
            if !place.is_object() {
                *place = json!({});
            }
            place = &mut place[name];
        }
        *place = Value::from(text);
        let origin = Origin::Flag(flag);
        self.loaded.origins.insert(key.to_owned(), origin);
        if let Ok(config) = serde_json::from_value(self.loaded.values.clone()) {
            self.loaded.config = config;
        }
    }

    /// Adds a note, which is logged at start.
    pub fn note(&mut self, sentence: String) {
        self.loaded.notes.push(sentence);
    }

    /// Returns the configuration if it is valid.
    ///
    /// # Errors
    /// All problems: those in the file first, by line.
    pub fn finish(self) -> Result<Loaded, Error> {
        if self.problems.is_empty() {
            Ok(self.loaded)
        } else {
            Err(self.error())
        }
    }

    /// Returns the configuration, and the settings that `part` derives from it.
    ///
    /// # Errors
    /// All problems, those that `part` finds included.
    pub fn finish_with<T>(
        mut self,
        part: impl FnOnce(&Config) -> Result<T, Violations>,
    ) -> Result<(Loaded, T), Error> {
        let found = part(self.config());
        match self.validated(found) {
            Some(value) => Ok((self.finish()?, value)),
            None => Err(self.error()),
        }
    }

    fn error(mut self) -> Error {
        self.problems.sort_by_key(|problem| match &problem.origin {
            Origin::File { line, .. } => (0, *line, None),
            Origin::Variable(name) => (1, 0, Some(Arc::clone(name))),
            Origin::Flag(_) => (2, 0, None),
            Origin::Default => (3, 0, None),
        });
        Error::Problems(self.problems)
    }
}

/// Returns the origin of a key; for a section, of its first key.
fn origin(origins: &BTreeMap<String, Origin>, about: &str) -> Origin {
    if let Some(origin) = origins.get(about) {
        return origin.clone();
    }
    let inside = origins
        .iter()
        .filter(|(key, _)| is_within(key, about))
        .map(|(_, origin)| origin);
    let first = inside.min_by_key(|origin| match origin {
        Origin::File { line, .. } => *line,
        Origin::Variable(_) | Origin::Flag(_) | Origin::Default => u64::MAX,
    });
    first.cloned().unwrap_or(Origin::Default)
}
