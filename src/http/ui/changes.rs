//! Changes that the page makes for whoever asks, and offers to them.

use http::request::Parts;

use crate::auth::{Access, Permission, Requester, Scope, is_authorized};
use crate::http::api::request::origin;
use crate::http::settings::{AnonymousChanges, ServerSettings};
use crate::oci::RepositoryName;

/// Reports whether somebody logged in, is on this machine, or need not be either.
///
/// Every passer-by has all rights where nobody ever logs in.
pub(super) fn is_somebody(access: &Access, settings: &ServerSettings, head: &Parts) -> bool {
    let requester = head.extensions.get::<Requester>();
    let is_named = requester.is_some_and(|requester| requester.identity().name().is_some());
    is_named
        || !access.is_open()
        || origin::is_local(head)
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
