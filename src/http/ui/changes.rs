//! Changes that the page makes for whoever asks, and offers to them.

use http::request::Parts;

use crate::auth::{Access, Permission, Requester, Scope, is_authorized};
use crate::http::proxy::client::Client;
use crate::http::settings::{AnonymousChanges, ServerSettings};
use crate::oci::RepositoryName;

/// Reports whether somebody logged in, is on this machine, or need not be either.
///
/// Where nobody ever logs in, every passer-by has all rights.
pub(super) fn is_somebody(access: &Access, settings: &ServerSettings, head: &Parts) -> bool {
    let requester = head.extensions.get::<Requester>();
    let is_named = requester.is_some_and(|requester| requester.identity().name().is_some());
    let client = head.extensions.get::<Client>();
    let address = client.and_then(|client| client.address);
    let is_here = address.is_none_or(|address| address.to_canonical().is_loopback());
    is_named
        || !access.is_open()
        || is_here
        || settings.anonymous_changes == AnonymousChanges::Everywhere
}

/// Reports whether whoever reads a page may delete in a repository that they see.
pub(super) fn may_delete(
    access: &Access,
    settings: &ServerSettings,
    head: &Parts,
    repository: &RepositoryName,
) -> bool {
    let scope = Scope::repository(repository, Permission::Delete);
    let requester = head.extensions.get::<Requester>();
    requester.is_some_and(|requester| is_authorized(requester, &scope))
        && is_somebody(access, settings, head)
}
