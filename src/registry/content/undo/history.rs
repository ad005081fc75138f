//! Tag history.

use crate::meta::{HistoryCursor, TagState};
use crate::oci::{RepositoryName, TagName};
use crate::registry::content::page::Page;
use crate::registry::error::Error;
use crate::registry::facades::Tags;

/// Maximum number of states in a page.
const PAGE: usize = 1000;

impl Tags<'_> {
    /// Lists the states of a tag, newest first; the present state has no end.
    ///
    /// `before` is the cursor of the last page.
    pub async fn history(
        self,
        repository: &RepositoryName,
        tag: &TagName,
        before: Option<HistoryCursor>,
    ) -> Result<Page<TagState>, Error> {
        let (repository, tag) = (repository.clone(), tag.clone());
        let rows = self
            .registry
            .scan(move |meta| {
                meta.tag_history(
                    &repository,
                    &tag,
                    before.unwrap_or(HistoryCursor::NEWEST),
                    PAGE,
                )
            })
            .await?;
        let next = rows
            .last()
            .filter(|_| rows.len() == PAGE)
            .map(|(id, _)| id.to_string());
        Ok(Page {
            items: rows.into_iter().map(|(_, state)| state).collect(),
            next,
        })
    }
}
