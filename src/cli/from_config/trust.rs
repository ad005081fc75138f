//! Trusted issuers of tokens, from the section `trust`.

use std::collections::BTreeSet;

use http::Uri;
use tarkeep::auth::{Requirement, TrustSettings};
use tarkeep::config::{self, Config, Violations, collect, combine};
use tarkeep::oci::Glob;
use tarkeep::redact;

/// Hosts whose tokens anybody can get.
const FOR_EVERYBODY: [&str; 3] = [
    "token.actions.githubusercontent.com",
    "gitlab.com",
    "accounts.google.com",
];

/// Converts the section.
pub(crate) fn settings(config: &Config) -> Result<Vec<TrustSettings>, Violations> {
    if !config.trust.is_empty() && config.access.is_none() {
        let sentence = "trust needs a section access: its logins have no rights but those that rules give to trust:NAME";
        return Err(Violations::within("trust", sentence));
    }
    let mut names = BTreeSet::new();
    collect(config.trust.iter().enumerate().map(|(number, given)| {
        let place = format!("trust[{number}]");
        let is_new = names.insert(&*given.name);
        let name = match is_new && is_name(&given.name) {
            true => Ok(given.name.clone()),
            false => Err(Violations::of(
                format!("{place}.name"),
                format!("trust needs names of letters, digits, dots and hyphens, each once, unlike '{}'", given.name),
            )),
        };
        let parts = (name, issuer(&place, given), require(&place, given));
        let (name, issuer, require) = combine(parts)?;
        Ok(TrustSettings {
            name,
            issuer,
            audience: given.audience.clone(),
            authority: given.ca.clone(),
            bearer: given.bearer.clone(),
            require,
        })
    }))
}

fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !text.is_empty() && text.chars().all(is_part)
}

fn issuer(place: &str, given: &config::TrustedIssuer) -> Result<String, Violations> {
    let url = given.issuer.parse::<Uri>().ok();
    let is_plain = |url: &Uri| {
        let authority = url.authority().map(|authority| authority.as_str());
        url.scheme_str() == Some("https")
            && authority.is_some_and(|authority| !authority.contains('@'))
            && !given.issuer.contains(['?', '#'])
    };
    match url.is_some_and(|url| is_plain(&url)) {
        true => Ok(given.issuer.clone()),
        false => Err(Violations::of(
            format!("{place}.issuer"),
            format!(
                "an issuer is a URL that begins with https://, without user and query, unlike '{}'",
                redact::url(&given.issuer)
            ),
        )),
    }
}

fn require(place: &str, given: &config::TrustedIssuer) -> Result<Vec<Requirement>, Violations> {
    let key = format!("{place}.require");
    let host = given.issuer.parse::<Uri>().ok();
    let host = host.as_ref().and_then(Uri::host).unwrap_or_default();
    if given.require.is_empty() && FOR_EVERYBODY.contains(&host) {
        let sentence = format!(
            "anybody can get a token of {host}: say in {key} which ones count, as in {{repository: 'acme/*'}}"
        );
        return Err(Violations::within(place, sentence));
    }
    collect(given.require.iter().map(|(claim, values)| {
        let fault = |sentence: String| Violations::of(&*key, sentence);
        if values.is_empty() {
            return Err(fault(format!(
                "{key}.{claim} is empty: no token could log in"
            )));
        }
        let globs = values.iter().map(|text| Glob::try_from(text.clone()));
        let values = globs.collect::<Result<_, _>>();
        Ok(Requirement {
            claim: claim.clone(),
            values: values.map_err(|error| fault(format!("in {key}, {error}")))?,
        })
    }))
}
