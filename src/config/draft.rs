//! A configuration that was read and is yet to be judged by the parts of the server.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::error::{Error, Problem, Report};
use crate::config::loaded::Loaded;
use crate::config::schema::Config;
use crate::config::source::Origin;
use crate::config::validate::Checked;
use crate::config::violations::Violations;

/// What was read, and all that is wrong with it as far as that is known. A section that does not fit is left out of
/// [`Self::config`], for it to be judged by what is right.
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
            // what the table of keys lets through fits the types below it; this is for the day it does not
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

    /// Adds what a part of the server has found wrong.
    pub fn judge<T>(&mut self, found: Result<T, Violations>) -> Option<T> {
        let wrongs = match found {
            Ok(value) => return Some(value),
            Err(wrongs) => wrongs.0,
        };
        for wrong in wrongs {
            let may_follow = wrong.unless.is_some_and(|section| {
                self.problems
                    .iter()
                    .any(|problem| is_within(&problem.about, &section))
            });
            if !may_follow {
                let origin = origin(&self.loaded.origins, &wrong.about);
                self.problems.push(Problem {
                    origin,
                    about: wrong.about,
                    sentence: wrong.sentence,
                });
            }
        }
        None
    }

    /// Adds something that is no problem, and that its owner should know.
    pub fn note(&mut self, sentence: String) {
        self.loaded.notes.push(sentence);
    }

    /// The configuration.
    ///
    /// # Errors
    /// All that is wrong with it: what is in the file first, in its order.
    pub fn finish(self) -> Result<Loaded, Error> {
        if self.problems.is_empty() {
            Ok(self.loaded)
        } else {
            Err(self.error())
        }
    }

    /// The configuration, and what a part of the server makes of it.
    ///
    /// # Errors
    /// As [`Self::finish`], with what that part finds wrong.
    pub fn finish_with<T>(
        mut self,
        part: impl FnOnce(&Config) -> Result<T, Violations>,
    ) -> Result<(Loaded, T), Error> {
        let found = part(self.config());
        match self.judge(found) {
            Some(value) => Ok((self.finish()?, value)),
            None => Err(self.error()),
        }
    }

    fn error(mut self) -> Error {
        self.problems.sort_by_key(|problem| match &problem.origin {
            Origin::File { line, .. } => (0, *line, None),
            Origin::Variable(name) => (1, 0, Some(Arc::clone(name))),
            Origin::Default => (2, 0, None),
        });
        Error::Problems(self.problems)
    }
}

fn is_within(key: &str, section: &str) -> bool {
    key.strip_prefix(section)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Where a key was given; for a section, where the first of its keys was.
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
        Origin::Variable(_) | Origin::Default => u64::MAX,
    });
    first.cloned().unwrap_or(Origin::Default)
}
