//! Names: folder in grey, last part in ink.

use std::fmt;

use askama::filters::{Escaper, Html, HtmlSafe};

/// Name of a repository: `web/`**api**. Names hold nothing that HTML gives a meaning.
#[derive(Clone, Copy, Debug)]
pub struct RepositoryLabel<'n>(pub &'n str);

/// Name of a tag in a repository: `web/api:`**latest**.
#[derive(Clone, Copy, Debug)]
pub struct ImageName<'n> {
    pub repository: &'n str,
    pub tag: &'n str,
}

impl fmt::Display for RepositoryLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.rfind('/') {
            Some(slash) => {
                let (folder, last) = self.0.split_at(slash + 1);
                write!(
                    f,
                    "<bdi><span class=\"quiet\">{folder}</span><b>{last}</b></bdi>"
                )
            }
            None => write!(f, "<bdi><b>{}</b></bdi>", self.0),
        }
    }
}

impl fmt::Display for ImageName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repository, tag } = self;
        write!(
            f,
            "<bdi><span class=\"quiet\">{repository}:</span><b>{tag}</b></bdi>"
        )
    }
}

impl HtmlSafe for RepositoryLabel<'_> {}
impl HtmlSafe for ImageName<'_> {}

/// First twelve digits of a digest, without its algorithm.
#[derive(Clone, Debug)]
pub struct Short(String);

impl Short {
    pub fn of(digest: impl AsRef<str>) -> Self {
        Self(short(digest.as_ref()).to_owned())
    }
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Html.write_escaped_str(f, &self.0)
    }
}

impl HtmlSafe for Short {}

/// Returns the first twelve digits of a digest, without its algorithm.
pub fn short(digest: &str) -> &str {
    let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex)
}
