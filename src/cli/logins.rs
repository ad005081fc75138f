//! From a configuration to the terms of logins.

use registry::auth;
use registry::config::{self, Config};

use super::Failure;

/// Who may use the registry.
pub(super) fn of(config: &Config) -> Result<auth::Settings, Failure> {
    Ok(match &config.auth {
        None | Some(config::Auth::None(_)) => auth::Settings::None,
        Some(config::Auth::Silly(silly)) => auth::Settings::Silly { realm: silly.realm.clone(), service: silly.service.clone() },
        Some(config::Auth::Htpasswd(htpasswd)) => auth::Settings::Htpasswd(auth::HtpasswdSettings {
            realm: htpasswd.realm.clone(),
            path: htpasswd.path.clone(),
            cache: htpasswd.cache.map_or(auth::HtpasswdSettings::DEFAULT_CACHE, |cache| cache.0),
        }),
        Some(config::Auth::Token(token)) => auth::Settings::Token(token_settings(token)?),
    })
}

/// Where distribution looks for a token server beside the registry.
const REDIRECT_PATH: &str = "/auth/token";

fn token_settings(token: &config::Token) -> Result<auth::TokenSettings, Failure> {
    let path = token.autoredirectpath.as_deref().filter(|path| !path.is_empty()).unwrap_or(REDIRECT_PATH);
    if !path.starts_with('/') {
        return Err(Failure::Other(format!(
            "auth.token.autoredirectpath is a path and begins with a slash, as {REDIRECT_PATH}, unlike '{path}'"
        )));
    }
    Ok(auth::TokenSettings {
        realm: token.realm.clone(),
        service: token.service.clone(),
        issuer: token.issuer.clone(),
        root_certificates: token.rootcertbundle.clone(),
        jwks: token.jwks.clone(),
        algorithms: token.signingalgorithms.clone(),
        redirect_path: token.autoredirect.then(|| path.to_owned()),
    })
}
