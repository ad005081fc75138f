//! Authentication and authorization of requests, by the right that the table of endpoints names.

use axum::body::Body;
use http::Request;
use http::header::{AUTHORIZATION, USER_AGENT};

use crate::auth::{
    Access, Login, Permission, Refusal, Requester, RequiredScopes, Scope, Site, is_administrator,
    is_authorized, may_change_administration, may_pull_everything,
};
use crate::http::api::request::action::Action;
use crate::http::endpoint::Right;
use crate::http::proxy::base_url;
use crate::http::proxy::client::Client;
use crate::http::response::error::ApiError;
use crate::http::settings::LiveSettings;

/// Proof by the session of a request for a page.
#[derive(Clone, Debug)]
pub(crate) struct SessionProof(pub String);

/// Authenticates a request and authorizes its action.
///
/// The request carries the [`Requester`] from here on. Returns the action to run, which may be less than the client asked
/// for.
pub(crate) async fn admit(
    access: &Access,
    settings: &LiveSettings,
    action: Action,
    request: &mut Request<Body>,
) -> Result<Action, ApiError> {
    let Some(required) = required_scopes(&action) else {
        return Ok(action);
    };
    let client = request.extensions().get::<Client>();
    let (uri, headers) = (request.uri(), request.headers());
    let site = || Site {
        address: base_url::address(uri, headers, client),
        base: settings.load().external_url.absolute(uri, headers, client),
    };
    let login = Login {
        authorization: headers.get(AUTHORIZATION).map(|value| value.as_bytes()),
        address: client.and_then(|client| client.address),
        user_agent: headers.get(USER_AGENT).map(|value| value.as_bytes()),
        session: request.extensions().get().map(|SessionProof(text)| &**text),
    };
    let admitted = access.admit(login, &required, &site).await;
    let requester = admitted.map_err(|refusal| refused(refusal, required))?;
    check_administrator(&action, &requester)?;
    let action = without_denied_mount(action, &requester);
    request.extensions_mut().insert(requester);
    Ok(action)
}

/// Rejects what takes an administrator, from others.
fn check_administrator(action: &Action, requester: &Requester) -> Result<(), ApiError> {
    let endpoint = action.endpoint();
    if endpoint.info().right != Right::Administrator {
        return Ok(());
    }
    if !is_administrator(requester) {
        return Err(ApiError::NotAdministrator);
    }
    match endpoint.is_change() && !may_change_administration(requester) {
        true => Err(ApiError::NoAdministrators),
        false => Ok(()),
    }
}

/// Returns the error that a refusal is sent as.
pub(crate) fn refused(refusal: Refusal, required: RequiredScopes) -> ApiError {
    match refusal {
        Refusal::Challenge {
            challenge, message, ..
        } => ApiError::Unauthorized {
            challenge,
            required,
            message,
        },
        Refusal::Unavailable => ApiError::LoginUnchecked,
        Refusal::TooMany { wait } => ApiError::TooManyLogins { wait },
        Refusal::Denied(scope) => ApiError::Denied(scope),
        Refusal::Hidden(name) => ApiError::Hidden(name),
        Refusal::NoTokenService => ApiError::UnknownPath,
    }
}

/// Scopes that an action requires; `None` if it is public.
fn required_scopes(action: &Action) -> Option<RequiredScopes> {
    let required = match action.endpoint().info().right {
        Right::Public => return None,
        // what else an administrator needs is no scope
        Right::Login | Right::Administrator => Vec::new(),
        Right::Catalog => vec![Scope::catalog()],
        Right::Repository(permissions) => match action.repository() {
            Some(name) => permissions
                .iter()
                .map(|permission| Scope::repository(name, *permission))
                .collect(),
            // does not happen; fails closed if it does
            None => vec![Scope::catalog()],
        },
    };
    let optional = match action {
        Action::MountBlob {
            from: Some(from), ..
        } => vec![Scope::repository(from, Permission::Pull)],
        _ => Vec::new(),
    };
    Some(RequiredScopes { required, optional })
}

/// Turns a mount that the identity may not make into an upload, as any other mount that fails.
///
/// Distribution rejects the whole request, and with it the push of a client that has the blob at hand. A mount that names
/// no source searches all repositories, so it takes permission to read them all.
fn without_denied_mount(action: Action, requester: &Requester) -> Action {
    match action {
        Action::MountBlob { name, digest, from } => {
            let may_mount = match &from {
                Some(from) => is_authorized(requester, &Scope::repository(from, Permission::Pull)),
                None => may_pull_everything(requester),
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
