//! Ways to the content of upstreams: a namespace in the query (`?ns=`), and addresses of this server that lead to one upstream.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use http::header::HOST;
use http::{Extensions, HeaderMap, Request, Uri};

use crate::http::api::request::action::Action;
use crate::http::api::request::query::Query;
use crate::http::endpoint::Right;
use crate::http::response::error::ApiError;
use crate::mirror::Mirrors;
use crate::oci::RepositoryName;
use crate::registry::Registry;

/// Prefix of the upstream to which a listener leads; an extension of its requests.
#[derive(Clone)]
pub(crate) struct UpstreamListener(pub Arc<RepositoryName>);

/// Parts of a request that say what it means.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'r> {
    uri: &'r Uri,
    headers: &'r HeaderMap,
    extensions: &'r Extensions,
}

impl<'r> Asked<'r> {
    pub(crate) fn of(request: &'r Request<Body>) -> Self {
        Self {
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    fn upstream_listener(self) -> Option<&'r UpstreamListener> {
        self.extensions.get()
    }

    /// Reports whether a namespace is the host that the client has asked.
    fn is_own(self, namespace: &str) -> bool {
        let host = self.headers.get(HOST);
        let host = host.and_then(|host| host.to_str().ok());
        let authority = || Some(self.uri.authority()?.as_str());
        host.or_else(authority) == Some(namespace)
    }
}

/// Way by which a request looks up a repository.
enum Way<'w> {
    /// By its name here.
    Plain,
    /// By its name upstream, which stands below this prefix here.
    Below(Cow<'w, RepositoryName>),
    /// In a namespace without an upstream.
    Nowhere(String),
}

impl<'w> Way<'w> {
    fn of(asked: Asked<'w>, mirrors: &Mirrors) -> Self {
        if let Some(UpstreamListener(prefix)) = asked.upstream_listener() {
            return Self::Below(Cow::Borrowed(prefix));
        }
        let query = asked.uri.query();
        let namespace = query.and_then(|query| Query(query).get("ns"));
        match namespace.filter(|namespace| !asked.is_own(namespace)) {
            // as in distribution, a cache of one upstream asks that one, and a registry without upstreams has one namespace
            Some(_) if mirrors.are_everything() || !mirrors.have_namespaces() => Self::Plain,
            None => Self::Plain,
            Some(namespace) => match mirrors.prefix_of(&namespace) {
                Some(prefix) => Self::Below(Cow::Owned(prefix)),
                None => Self::Nowhere(namespace.into_owned()),
            },
        }
    }
}

/// Leads an action to the repository here that its request means. Writes know no namespace.
///
/// # Errors
/// The name with the upstream's prefix is too long, or a way in that leads to one upstream has no such path.
pub(crate) fn lead(
    mut action: Action,
    mirrors: &Mirrors,
    asked: Asked<'_>,
) -> Result<Action, ApiError> {
    if mirrors.is_empty() {
        return Ok(action);
    }
    let Way::Below(prefix) = Way::of(asked, mirrors) else {
        return Ok(action);
    };
    let is_upstream_only = asked.upstream_listener().is_some();
    if is_upstream_only && matches!(action, Action::Api(_) | Action::Ui(_)) {
        return Err(ApiError::UnknownPath);
    }
    if let Action::GetToken { scopes } = &mut action
        && is_upstream_only
    {
        scopes
            .iter_mut()
            .for_each(|scope| lead_scope(scope, &prefix, mirrors));
    }
    if (is_upstream_only || action.is_look_up())
        && let Some(name) = action.repository_mut()
    {
        let led = RepositoryName::parse(&below(&prefix, name.as_str()))?;
        *name = mirrors.whole_name(led);
    }
    Ok(action)
}

/// Puts a prefix before a name, unless it is there: an address with `override_path` names it too.
fn below(prefix: &RepositoryName, name: &str) -> String {
    let rest = name.strip_prefix(prefix.as_str());
    match rest.is_some_and(|rest| rest.starts_with('/')) {
        true => name.to_owned(),
        false => format!("{prefix}/{name}"),
    }
}

/// Puts a prefix before the repository of a scope, as in `repository:NAME:pull`.
fn lead_scope(scope: &mut String, prefix: &RepositoryName, mirrors: &Mirrors) {
    if let Some((name, actions)) = scope
        .strip_prefix("repository:")
        .and_then(|rest| rest.rsplit_once(':'))
    {
        let name = below(prefix, name);
        let led = RepositoryName::parse(&name).map(|led| mirrors.whole_name(led));
        let name = led.map_or(name, |led| led.to_string());
        *scope = format!("repository:{name}:{actions}");
    }
}

/// Rejects what upstreams do not take: look-ups in a namespace without one, and changes other than deletions.
///
/// It comes after the authorization: others learn nothing of what is mirrored.
///
/// # Errors
/// [`ApiError::Namespace`], [`ApiError::OnlyPulls`], [`ApiError::Mirrored`], and those of the database.
pub(crate) async fn check(
    action: &Action,
    mirrors: &Mirrors,
    registry: &Registry,
    asked: Asked<'_>,
) -> Result<(), ApiError> {
    if mirrors.is_empty() {
        return Ok(());
    }
    if action.is_look_up()
        && let Way::Nowhere(namespace) = Way::of(asked, mirrors)
    {
        return Err(ApiError::Namespace(namespace));
    }
    let (is_change, info) = (action.endpoint().is_change(), action.endpoint().info());
    let is_upstream_only = asked.upstream_listener().is_some();
    let is_of_content = info.right != Right::Administrator;
    if is_change && is_of_content && (is_upstream_only || mirrors.are_everything())
        || is_upstream_only && info.right == Right::Catalog
    {
        return Err(ApiError::OnlyPulls);
    }
    match action.pushed_to() {
        Some(name) => check_pushed(name, mirrors, registry).await,
        None => Ok(()),
    }
}

/// Rejects content for a repository that is a cache of an upstream.
///
/// # Errors
/// [`ApiError::Mirrored`], and those of the database.
pub(crate) async fn check_pushed(
    name: &RepositoryName,
    mirrors: &Mirrors,
    registry: &Registry,
) -> Result<(), ApiError> {
    match mirrors.have(registry, name).await? {
        true => Err(ApiError::Mirrored(name.clone())),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_not_doubled() {
        let prefix = RepositoryName::parse("hub").unwrap();
        for (name, led) in [
            ("library/redis", "hub/library/redis"),
            ("hub/library/redis", "hub/library/redis"),
            ("hubs/redis", "hub/hubs/redis"),
            ("hub", "hub/hub"),
        ] {
            assert_eq!(below(&prefix, name), led);
            let mut scope = format!("repository:{name}:pull,push");
            lead_scope(&mut scope, &prefix, &Mirrors::default());
            assert_eq!(scope, format!("repository:{led}:pull,push"));
        }
        let mut other = "registry:catalog:*".to_owned();
        lead_scope(&mut other, &prefix, &Mirrors::default());
        assert_eq!(other, "registry:catalog:*");
    }
}
