//! What stands behind the question mark of a request, read as what it must be.

use std::borrow::Cow;
use std::time::UNIX_EPOCH;

use super::action::Action;
use super::error::Failure;
use crate::oci::{Algorithm, Digest, RepositoryName, TagName};

/// How many tags one push may bring: each is a header of the answer, and proxies take only so many bytes of those.
pub(super) const MOST_TAGS: usize = 100;

/// Which part of a list is wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PageQuery {
    pub n: Option<usize>,
    pub last: String,
}

/// Which events of a tag are wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct HistoryFilter {
    pub n: Option<usize>,
    /// Milliseconds since 1970; the first event not to be told.
    pub before: Option<i64>,
    /// The first one to be told.
    pub since: Option<i64>,
    pub digest: Option<Digest>,
}

/// The text of it.
#[derive(Clone, Copy)]
pub(super) struct Query<'q>(pub &'q str);

impl<'q> Query<'q> {
    pub(super) fn get(self, key: &str) -> Option<Cow<'q, str>> {
        form_urlencoded::parse(self.0.as_bytes())
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    pub(super) fn digest(self) -> Result<Option<Digest>, Failure> {
        Ok(self
            .get("digest")
            .map(|text| Digest::parse(&text))
            .transpose()?)
    }

    pub(super) fn tags(self) -> Result<Vec<TagName>, Failure> {
        let tags = || form_urlencoded::parse(self.0.as_bytes()).filter(|(name, _)| name == "tag");
        if tags().nth(MOST_TAGS).is_some() {
            return Err(Failure::TooManyTags);
        }
        Ok(tags()
            .map(|(_, tag)| TagName::parse(&tag))
            .collect::<Result<_, _>>()?)
    }

    pub(super) fn page(self) -> Result<PageQuery, Failure> {
        Ok(PageQuery {
            n: self.number()?,
            last: self.get("last").unwrap_or_default().into_owned(),
        })
    }

    fn number(self) -> Result<Option<usize>, Failure> {
        match self.get("n").filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                // a number too large to hold is merely a page too large to give
                Ok(Some(text.parse().unwrap_or(usize::MAX)))
            }
            Some(text) => Err(Failure::PageNumber(text.into_owned())),
        }
    }

    pub(super) fn history(self) -> Result<HistoryFilter, Failure> {
        let time = |key: &str| {
            let Some(text) = self.get(key).filter(|text| !text.is_empty()) else {
                return Ok(None);
            };
            // a plus sign that was not encoded reads as a space
            let time = humantime::parse_rfc3339_weak(
                text.trim()
                    .trim_end_matches("+00:00")
                    .trim_end_matches(" 00:00"),
            );
            let since_epoch = time
                .ok()
                .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let millis = since_epoch.and_then(|time| i64::try_from(time.as_millis()).ok());
            millis.map(Some).ok_or_else(|| Failure::Time {
                key: key.to_owned(),
                text: text.into_owned(),
            })
        };
        Ok(HistoryFilter {
            n: self.number()?,
            before: time("before")?,
            since: time("since")?,
            digest: self.digest()?,
        })
    }

    pub(super) fn new_upload(self, name: RepositoryName) -> Result<Action, Failure> {
        if let Some(digest) = self.get("mount") {
            // what cannot be mounted is uploaded
            let Ok(digest) = Digest::parse(&digest) else {
                return Ok(Action::BeginUpload {
                    name,
                    algorithm: Algorithm::Sha256,
                });
            };
            let from = self
                .get("from")
                .filter(|from| !from.is_empty())
                .map(|from| RepositoryName::parse(&from))
                .transpose();
            return Ok(match from {
                Ok(from) => Action::MountBlob { name, digest, from },
                // some clients name what they pulled from another registry: nothing here is called that
                Err(_) => Action::BeginUpload {
                    name,
                    algorithm: digest.algorithm(),
                },
            });
        }
        if let Some(digest) = self.digest()? {
            return Ok(Action::PushBlob { name, digest });
        }
        let algorithm = self
            .get("digest-algorithm")
            .map_or(Ok(Algorithm::Sha256), |text| Algorithm::parse(&text))?;
        Ok(Action::BeginUpload { name, algorithm })
    }

    pub(super) fn search(self) -> Result<Action, Failure> {
        let number = |key, default| {
            self.get(key)
                .and_then(|text| text.parse().ok())
                .unwrap_or(default)
        };
        Ok(Action::SearchV1 {
            term: self.get("q").unwrap_or_default().into_owned(),
            count: number("n", 25),
            page: number("page", 1),
        })
    }
}
