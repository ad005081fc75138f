//! Changes that the page makes for whoever asks, and offers to them.

use http::request::Parts;

use crate::auth::{Access, Permission, Requester, Scope, is_authorized};
use crate::http::api::request::origin;
use crate::http::api::request::rights::tag_changes;
use crate::http::settings::{AnonymousChanges, ServerSettings};
use crate::oci::RepositoryName;
use crate::registry::TagChanges;

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

/// Reports whether whoever reads a page may point tags elsewhere in a repository that they see.
pub(super) fn may_move_tags(
    access: &Access,
    settings: &ServerSettings,
    head: &Parts,
    repository: &RepositoryName,
) -> bool {
    let scope = Scope::repository(repository, Permission::Push);
    let requester = head.extensions.get::<Requester>();
    let is_pusher = requester.is_some_and(|requester| is_authorized(requester, &scope));
    let may_move = match tag_changes(head, repository) {
        TagChanges::All | TagChanges::Moves => true,
        TagChanges::Creations => false,
    };
    is_pusher && may_move && is_somebody(access, settings, head)
}
