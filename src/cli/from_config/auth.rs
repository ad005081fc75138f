//! The settings of access, from the sections `auth`, `access`, `trust` and `ui.oidc`.

use std::sync::Arc;

use tarkeep::auth::{self, Access};
use tarkeep::config::{self, Config, Violations, combine};
use tarkeep::redact;

use crate::cli::from_config::{access, oidc, trust};

/// Converts the sections.
pub(crate) fn settings(config: &Config) -> Result<auth::Settings, Violations> {
    let parts = (
        method(config),
        access::rules(config),
        trust::settings(config),
        oidc::settings(config),
    );
    let (method, rules, trust, oidc) = combine(parts)?;
    Ok(auth::Settings {
        method,
        challenge: challenge(config),
        rules: rules.map(Arc::new),
        trust,
        oidc,
    })
}

fn method(config: &Config) -> Result<auth::Method, Violations> {
    let config::Auth {
        silly,
        htpasswd,
        token,
        ..
    } = &config.auth;
    // at most one of them is there
    if let Some(silly) = silly {
        return Ok(auth::Method::Silly {
            realm: silly.realm.clone(),
            service: silly.service.clone(),
        });
    }
    if let Some(htpasswd) = htpasswd {
        return Ok(auth::Method::Htpasswd(auth::HtpasswdSettings {
            realm: htpasswd.realm.clone(),
            path: htpasswd.path.clone(),
            cache: htpasswd
                .cache
                .map_or(auth::HtpasswdSettings::DEFAULT_CACHE, |cache| cache.0),
        }));
    }
    token.as_ref().map_or(Ok(auth::Method::None), |token| {
        token_settings(token).map(auth::Method::Token)
    })
}

fn challenge(config: &Config) -> auth::Challenge {
    match config.auth.challenge {
        config::Challenge::Auto => auth::Challenge::Auto,
        config::Challenge::Basic => auth::Challenge::Basic,
        config::Challenge::Bearer => auth::Challenge::Bearer,
    }
}

/// Validates the sections and the files that they name, without changing anything.
pub(crate) fn check(config: &Config) -> Result<(), Violations> {
    Access::check(&settings(config)?).map_err(|error| violations(&error))
}

/// Converts an error of authentication into a violation of its key.
pub(crate) fn violations(error: &auth::Error) -> Violations {
    let key = match error {
        auth::Error::File(error) if error.what().starts_with("auth.") => error.what(),
        auth::Error::Trust { .. } => return Violations::within("trust", error),
        auth::Error::Oidc { .. } => return Violations::within("ui.oidc", error),
        auth::Error::Token(_) => return Violations::within("auth.token", error),
        auth::Error::File(_)
        | auth::Error::Missing { .. }
        | auth::Error::Create { .. }
        | auth::Error::Random => "auth.htpasswd.path",
    };
    Violations::of(key, error)
}

/// Distribution's default path of a token server beside the registry.
const REDIRECT_PATH: &str = "/auth/token";

fn token_settings(token: &config::Token) -> Result<auth::TokenSettings, Violations> {
    let path = token
        .autoredirectpath
        .as_deref()
        .filter(|path| !path.is_empty())
        .unwrap_or(REDIRECT_PATH);
    if !path.starts_with('/') {
        let sentence = format!(
            "auth.token.autoredirectpath must begin with a slash, as {REDIRECT_PATH} does, unlike '{}'",
            redact::url(path)
        );
        return Err(Violations::of("auth.token.autoredirectpath", sentence));
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
