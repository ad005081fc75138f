//! Repositories that a token would reach, before it is made.

use http::request::Parts;

use crate::auth::{Requester, Rights, TokenRecord};
use crate::http::response::error::ApiError;
use crate::registry::{ListQuery, Registry};
use crate::report::TokenWords;
use crate::ui::Reached;

/// Returns what a token would reach of what there is, by the rules in force; `None` if the words describe none.
///
/// # Errors
/// Those of the database.
pub(super) async fn of(
    registry: &Registry,
    head: &Parts,
    words: &TokenWords,
) -> Result<Option<Vec<Reached>>, ApiError> {
    let requester = head.extensions.get::<Requester>();
    let (Some(requester), Ok((token, wanted))) = (requester, words.parse()) else {
        return Ok(None);
    };
    if token.repositories.is_empty() {
        return Ok(None);
    }
    let record = TokenRecord {
        name: token.name,
        repositories: token.repositories,
        may: token.may,
        owner: token.owner,
        hash: Vec::new(),
        expires_at: None,
        replaced_at: None,
        revoked_at: None,
    };
    let bearer = record.bearer(None, requester.rules().cloned());
    let names = registry.repositories().names(ListQuery::default()).await?;
    let reached = names.iter().filter_map(|name| {
        let decision = bearer.decide(name.as_str(), wanted);
        let limit = decision.user.filter(|user| !user.rights.contains(wanted));
        (decision.rights != Rights::NONE).then(|| Reached {
            repository: name.to_string(),
            rights: decision.rights.to_string(),
            is_limited: limit.is_some(),
        })
    });
    Ok(Some(reached.collect()))
}
