//! Trusted issuers of tokens, from the section `trust`.

use std::collections::{BTreeMap, BTreeSet};

use http::Uri;
use tarkeep::auth::{Requirement, TrustSettings};
use tarkeep::config::{Config, Violations, collect, combine};
use tarkeep::oci::Glob;
use tarkeep::redact;

/// Issuer whose tokens anybody can get.
pub(super) struct OpenIssuer {
    pub(super) host: &'static str,
    /// Claims that say whose a token is.
    pub(super) owner: &'static [&'static str],
    /// One of them, with a value.
    pub(super) example: &'static str,
}

const OPEN_ISSUERS: [OpenIssuer; 3] = [
    OpenIssuer {
        host: "token.actions.githubusercontent.com",
        owner: &[
            "repository",
            "repository_owner",
            "repository_id",
            "repository_owner_id",
            "enterprise",
            "enterprise_id",
            "sub",
        ],
        example: "repository: 'acme/*'",
    },
    OpenIssuer {
        host: "gitlab.com",
        owner: &[
            "project_path",
            "namespace_path",
            "project_id",
            "namespace_id",
            "sub",
        ],
        example: "namespace_path: acme",
    },
    OpenIssuer {
        host: "accounts.google.com",
        owner: &["email", "hd", "sub"],
        example: "hd: acme.com",
    },
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
        let fault = match (is_name(&given.name), names.insert(&*given.name)) {
            (true, true) => None,
            (true, false) => Some("is the name of two issuers in trust: give each its own"),
            (false, _) => {
                Some("is no name for trust: write names of letters, digits, dots and hyphens")
            }
        };
        let name = match fault {
            None => Ok(given.name.clone()),
            Some(fault) => Err(Violations::of(
                format!("{place}.name"),
                format!("'{}' {fault}", given.name),
            )),
        };
        let parts = (
            name,
            issuer(&place, &given.issuer),
            require(&place, &given.issuer, &given.require, &OPEN_ISSUERS),
        );
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

/// Reports whether a text can be a name that rules refer to behind a prefix.
pub(super) fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !text.is_empty() && text.chars().all(is_part)
}

impl OpenIssuer {
    /// Reports whether a token must have a claim that says whose it is.
    fn names_owner(&self, given: &BTreeMap<String, Vec<String>>) -> bool {
        given.iter().any(|(claim, values)| {
            self.owner.contains(&&**claim) && values.iter().all(|value| is_of_one_owner(value))
        })
    }
}

/// Reports whether a glob has no wildcard in the owner's name: `acme/*`, `repo:acme/*`, `*@acme.com`.
fn is_of_one_owner(value: &str) -> bool {
    let kinds = ["repo:", "project_path:"];
    let value = kinds
        .iter()
        .find_map(|kind| value.strip_prefix(kind))
        .unwrap_or(value);
    let first = value.split('/').next().unwrap_or_default();
    let owner = first.rsplit('@').next().unwrap_or_default();
    !owner.contains(['*', '?', '['])
}

/// Checks the URL of an issuer.
pub(super) fn issuer(place: &str, given: &str) -> Result<String, Violations> {
    let url = given.parse::<Uri>().ok();
    let is_plain = |url: &Uri| {
        let authority = url.authority().map(|authority| authority.as_str());
        url.scheme_str() == Some("https")
            && authority.is_some_and(|authority| !authority.contains('@'))
            && !given.contains(['?', '#'])
    };
    match url.is_some_and(|url| is_plain(&url)) {
        true => Ok(given.to_owned()),
        false => Err(Violations::of(
            format!("{place}.issuer"),
            format!(
                "an issuer is a URL that begins with https://, without user and query, unlike '{}'",
                redact::url(given)
            ),
        )),
    }
}

/// Converts the claims that tokens of an issuer must have; those of an open issuer must say whose they are.
pub(super) fn require(
    place: &str,
    issuer: &str,
    given: &BTreeMap<String, Vec<String>>,
    open: &[OpenIssuer],
) -> Result<Vec<Requirement>, Violations> {
    let key = format!("{place}.require");
    let host = issuer.parse::<Uri>().ok();
    let host = host.as_ref().and_then(Uri::host).unwrap_or_default();
    let mut open = open.iter().filter(|open| open.host == host);
    if let Some(open) = open.find(|open| !open.names_owner(given)) {
        let sentence = format!(
            "anybody can get a token of {host}: say in {key} whose count, without wildcards in the owner's name, as in {{{}}} (by {})",
            open.example,
            open.owner.join(", ")
        );
        return Err(Violations::within(place, sentence));
    }
    collect(given.iter().map(|(claim, values)| {
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
