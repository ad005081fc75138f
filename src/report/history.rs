//! History of a tag.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::oci::{RepositoryName, TagName};
use crate::registry::{Error, Page, Registry, TagState};
use crate::report::values::{Time, Who};
use crate::report::viewer::Viewer;

/// State of a tag for some time.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateItem {
    pub digest: String,
    pub media_type: String,
    pub size: u64,
    pub since: Time,
    pub who: Who,
    /// `None` for the present state.
    pub end: Option<StateEnd>,
}

/// End of a state.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StateEnd {
    pub at: Time,
    pub how: String,
    pub who: Who,
}

/// Lists the states of a tag, newest first, after the page whose cursor is `last`.
///
/// # Errors
/// Those of the database.
pub async fn history(
    registry: &Registry,
    repository: &RepositoryName,
    tag: &TagName,
    last: Option<&str>,
    viewer: &Viewer,
) -> Result<Page<StateItem>, Error> {
    let before = last.and_then(|last| last.parse().ok());
    let page = registry.tags().history(repository, tag, before).await?;
    let states = page.items.iter().map(|state| item(state, viewer));
    Ok(Page {
        items: states.collect(),
        next: page.next,
    })
}

/// Returns the digests of states whose manifests are still there.
///
/// # Errors
/// Those of the database.
pub async fn stored(
    registry: &Registry,
    repository: &RepositoryName,
    states: &[StateItem],
) -> Result<HashSet<String>, Error> {
    let digests = states.iter().map(|state| state.digest.clone()).collect();
    registry.reports().stored(repository, digests).await
}

fn item(state: &TagState, viewer: &Viewer) -> StateItem {
    let end = state.end.as_ref().map(|end| StateEnd {
        at: Time(end.at),
        how: match end.is_deletion {
            true => "removed".to_owned(),
            false => "moved".to_owned(),
        },
        who: viewer.who(&end.by),
    });
    StateItem {
        digest: state.digest.to_string(),
        media_type: state.media_type.clone(),
        size: state.size,
        since: Time(state.since),
        who: viewer.who(&state.set_by),
        end,
    }
}
