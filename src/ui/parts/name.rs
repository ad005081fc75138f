//! Names: folder in grey, last part in ink.

use std::fmt;

use askama::filters::HtmlSafe;

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
