//! The issuer at which people log in to the page, from the section `ui.oidc`.

use http::Uri;
use tarkeep::auth::OidcSettings;
use tarkeep::config::{Config, Violations, combine};

use crate::cli::from_config::trust::{OpenIssuer, issuer, require};

const PLACE: &str = "ui.oidc";

/// Issuers at which anybody can have an account.
const OPEN_ISSUERS: [OpenIssuer; 2] = [
    OpenIssuer {
        host: "accounts.google.com",
        owner: &["hd", "email", "sub"],
        example: "hd: acme.com",
    },
    OpenIssuer {
        host: "gitlab.com",
        owner: &["groups_direct", "email", "sub"],
        example: "groups_direct: acme",
    },
];

/// Converts the section.
pub(crate) fn settings(config: &Config) -> Result<Option<OidcSettings>, Violations> {
    let Some(given) = &config.ui.oidc else {
        return Ok(None);
    };
    if config.access.is_none() {
        let sentence =
            "ui.oidc needs a section access: otherwise whoever the issuer knows may do everything";
        return Err(Violations::within(PLACE, sentence));
    }
    let (issuer, require) = combine((
        issuer(PLACE, &given.issuer),
        require(PLACE, &given.issuer, &given.require, &OPEN_ISSUERS),
    ))?;
    let host = issuer.parse::<Uri>().ok();
    let host = host.as_ref().and_then(Uri::host).unwrap_or_default();
    let scopes = match given.scopes.is_empty() {
        true => ["openid", "profile", "email"].map(str::to_owned).to_vec(),
        false => given.scopes.clone(),
    };
    let claim = |given: &Option<String>, default: &str| {
        let named = given.as_deref().unwrap_or(default);
        named.to_owned()
    };
    Ok(Some(OidcSettings {
        label: claim(&given.name, host),
        issuer,
        client: given.clientid.clone(),
        secret: given.secretfile.clone(),
        authority: given.ca.clone(),
        scopes,
        user: claim(&given.user, "preferred_username"),
        groups: claim(&given.groups, "groups"),
        require,
    }))
}
