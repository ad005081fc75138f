//! What each request takes, and letting it in.

use axum::body::Body;
use http::Request;
use http::header::AUTHORIZATION;

use crate::auth::{
    Access, Identity, Login, Permission, Refusal, RequiredScopes, Scope, is_authorized,
    is_unrestricted,
};
use crate::http::api::action::Action;
use crate::http::proxy::base_url;
use crate::http::proxy::client::Client;
use crate::http::response::error::ApiError;
use crate::oci::RepositoryName;

/// Finds out who makes a request; the request carries the [`Identity`] from here on. Gives the action that is to be done,
/// which may be less than what was asked for.
pub(crate) async fn admit(
    access: &Access,
    action: Action,
    request: &mut Request<Body>,
) -> Result<Action, ApiError> {
    let Some(wanted) = wanted(&action) else {
        return Ok(action);
    };
    let client = request.extensions().get::<Client>();
    let site = base_url::address(request.uri(), request.headers(), client);
    let login = Login {
        authorization: request
            .headers()
            .get(AUTHORIZATION)
            .map(|value| value.as_bytes()),
        address: client.and_then(|client| client.address),
    };
    let admitted = access.admit(login, &wanted, &site).await;
    let identity = admitted.map_err(|refusal| match refusal {
        Refusal::Challenge(challenge) => ApiError::Unauthorized { challenge, wanted },
        Refusal::TooMany { wait } => ApiError::TooManyLogins { wait },
    })?;
    let action = narrowed(action, &identity);
    request.extensions_mut().insert(identity);
    Ok(action)
}

/// What an action takes, by distribution's rules (`registry/handlers/app.go`): reading is pull, writing is pull and push,
/// DELETE is delete. None for what everybody may ask.
fn wanted(action: &Action) -> Option<RequiredScopes> {
    let required = match action {
        // what watches over the server, and what says nothing of its content; browsers send OPTIONS without credentials
        Action::Root
        | Action::Live
        | Action::Ready(_)
        | Action::PingV1
        | Action::Options { .. }
        | Action::Redirect { .. } => {
            return None;
        }
        // a login, for whatever
        Action::CheckApi => Vec::new(),
        Action::ListRepositories { .. } | Action::SearchV1 { .. } => vec![Scope::catalog()],
        Action::GetManifest { name, .. }
        | Action::GetBlob { name, .. }
        | Action::GetUpload { name, .. }
        | Action::ListTags { name, .. }
        | Action::ListReferrers { name, .. }
        | Action::TagHistory { name, .. } => vec![Scope::repository(name, Permission::Pull)],
        Action::PutManifest { name, .. }
        | Action::BeginUpload { name, .. }
        | Action::PushBlob { name, .. }
        | Action::MountBlob { name, .. }
        | Action::AppendUpload { name, .. }
        | Action::FinishUpload { name, .. } => to_push(name),
        Action::DeleteManifest { name, .. }
        | Action::DeleteRepository { name }
        | Action::DeleteBlob { name, .. }
        | Action::CancelUpload { name, .. } => vec![Scope::repository(name, Permission::Delete)],
    };
    let optional = match action {
        Action::MountBlob {
            from: Some(from), ..
        } => vec![Scope::repository(from, Permission::Pull)],
        _ => Vec::new(),
    };
    Some(RequiredScopes { required, optional })
}

fn to_push(name: &RepositoryName) -> Vec<Scope> {
    vec![
        Scope::repository(name, Permission::Pull),
        Scope::repository(name, Permission::Push),
    ]
}

/// A mount from where somebody may not read begins an upload, as a mount does that fails for any other reason. Distribution
/// refuses the whole request, and with it the push of somebody who has the blob at hand; and one that names no source must
/// not look for the blob where this one may not.
fn narrowed(action: Action, identity: &Identity) -> Action {
    match action {
        Action::MountBlob { name, digest, from } => {
            let may_mount = match &from {
                Some(from) => is_authorized(identity, &Scope::repository(from, Permission::Pull)),
                None => is_unrestricted(identity),
            };
            if may_mount {
                Action::MountBlob { name, digest, from }
            } else {
                Action::BeginUpload {
                    name,
                    algorithm: digest.algorithm(),
                }
            }
        }
        other => other,
    }
}
