//! The issuer at which people log in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::sync::{Mutex, Semaphore};

use super::attempt::Attempt;
use super::exchange::{Exchange, NoToken};
use super::settings::OidcSettings;
use crate::auth::authorization::MemberGrant;
use crate::auth::issued::{TokenSource, Void};
use crate::auth::trust::{Description, IssuerKeys, Issuers, find, text, texts, verified_claims};

/// Age at which the issuer is asked again for its addresses.
const REFRESH: Duration = Duration::from_secs(3600);
/// Pause after an issuer could not be asked.
const PAUSE: Duration = Duration::from_secs(5);
/// Maximum number of codes that are exchanged at a time: whoever knows the address can make the server ask.
const EXCHANGES: usize = 16;
/// Maximum length of a name, in characters.
const LONGEST_NAME: usize = 100;
/// Maximum length of an issuer's word for what went wrong, in characters.
const LONGEST_WORD: usize = 100;

/// The section `ui.oidc` in force.
pub(in crate::auth) struct Provider {
    settings: OidcSettings,
    fingerprint: String,
    keys: Arc<IssuerKeys>,
    described: Mutex<Described>,
    exchanges: Semaphore,
}

/// Answer of the issuer about itself.
#[derive(Default)]
struct Described {
    asked_at: Option<Instant>,
    /// The last answer; `None` if there was none yet.
    last: Option<Arc<Description>>,
}

/// Parameters with which the issuer sends a browser back.
#[derive(Clone, Debug, Default)]
pub struct Returned {
    pub code: Option<String>,
    pub state: Option<String>,
    /// Word of the issuer for what went wrong.
    pub error: Option<String>,
    /// The issuer, if it says who it is (RFC 9207).
    pub issuer: Option<String>,
}

/// Reason why a login at the issuer came to nothing.
#[derive(Debug, PartialEq, Eq)]
pub enum IssuerFault {
    /// There is no issuer.
    Off,
    /// The issuer, or whoever logged in, did something that is not accepted, in a sentence.
    Refused(String),
    /// The issuer cannot be asked; the log has the reason.
    Unreachable,
    /// Many log in at once.
    Busy,
}

impl Provider {
    pub(in crate::auth) fn new(settings: &OidcSettings, issuers: &Issuers) -> Self {
        Self {
            fingerprint: settings.fingerprint(),
            keys: issuers.of(settings.issuer()),
            settings: settings.clone(),
            described: Mutex::default(),
            exchanges: Semaphore::new(EXCHANGES),
        }
    }

    pub(in crate::auth) fn label(&self) -> &str {
        &self.settings.label
    }

    /// Reports whether the settings that accepted a login are still in force.
    pub(in crate::auth) fn has_accepted(&self, grant: &MemberGrant) -> bool {
        grant.settings() == self.fingerprint
    }

    /// Fetches keys that are old.
    pub(in crate::auth) async fn refresh(&self, store: &dyn TokenSource) {
        self.keys.refresh(store).await;
    }

    /// Returns the address at the issuer to which a browser is sent.
    pub(in crate::auth) async fn begin(
        &self,
        attempt: &Attempt,
        redirect: &str,
    ) -> Result<String, IssuerFault> {
        let description = self.description().await?;
        let endpoint = description.authorization_endpoint.as_deref();
        let endpoint = endpoint.ok_or_else(|| self.failed("it names no authorization_endpoint"))?;
        let (state, nonce, challenge) = (attempt.state(), attempt.nonce(), attempt.challenge());
        let scopes = self.settings.scopes.join(" ");
        Ok(with_query(
            endpoint,
            &[
                ("response_type", "code"),
                ("client_id", &self.settings.client),
                ("redirect_uri", redirect),
                ("scope", &scopes),
                ("state", &state),
                ("nonce", &nonce),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
            ],
        ))
    }

    /// Returns what the login proves with which a browser comes back.
    pub(in crate::auth) async fn complete(
        &self,
        attempt: &Attempt,
        redirect: &str,
        returned: Returned,
        store: &dyn TokenSource,
    ) -> Result<MemberGrant, IssuerFault> {
        let issuer = &self.settings.issuer;
        if returned.state.as_deref() != Some(&*attempt.state())
            || returned.issuer.is_some_and(|other| other != *issuer)
        {
            return Err(refused("This login was not begun here, or not last."));
        }
        let Some(code) = returned.code.filter(|_| returned.error.is_none()) else {
            let word = short(&returned.error.unwrap_or_default());
            return Err(refused(&format!("The issuer did not log you in: {word}")));
        };
        let description = self.description().await?;
        let endpoint = description.token_endpoint.clone();
        let _turn = self
            .exchanges
            .try_acquire()
            .map_err(|_| IssuerFault::Busy)?;
        let exchange = Exchange {
            endpoint: endpoint.ok_or_else(|| self.failed("it names no token_endpoint"))?,
            authorities: self.settings.authorities(),
            client: self.settings.client.clone(),
            secret: self.settings.secret.clone(),
            code,
            verifier: attempt.verifier(),
            redirect: redirect.to_owned(),
        };
        let token = exchange.run().await.map_err(|none| match none {
            NoToken::Refused(word) => {
                let word = short(&word);
                refused(&format!("The issuer does not accept this login: {word}"))
            }
            NoToken::Failed(error) => self.failed(&error),
        })?;
        let named = (&**issuer, &*self.settings.client);
        let claims = verified_claims(token.as_bytes(), &self.keys, named, store).await;
        let claims = claims.map_err(|void| match void {
            Void::Forged(reason) => refused(&format!("The issuer sent a {reason}.")),
            Void::Ended(reason) => refused(&format!("Not accepted: {reason}.")),
            Void::Unreadable => IssuerFault::Unreachable,
        })?;
        self.judge(&claims, &attempt.nonce())
    }

    /// Judges the claims of a token that is the issuer's.
    fn judge(&self, claims: &Map<String, Value>, nonce: &str) -> Result<MemberGrant, IssuerFault> {
        let found = |name: &str| find(claims, name).and_then(text);
        if found("nonce").as_deref() != Some(nonce) {
            return Err(refused("The issuer sent a token of another login."));
        }
        // of a token for several, it says who asked (OpenID Connect Core, section 3.1.3.7)
        if found("azp").is_some_and(|asker| asker != self.settings.client) {
            return Err(refused("The issuer sent a token that another asked for."));
        }
        let require = &self.settings.require;
        if let Some(fault) = require.iter().find_map(|required| required.fault(claims)) {
            return Err(refused(&format!(
                "Not accepted: {}.",
                fault.trim_start_matches("its ")
            )));
        }
        let user = &self.settings.user;
        let name = found(user).filter(|name| is_name(name));
        let name = name.ok_or_else(|| refused(&format!("The claim {user} is no user name.")))?;
        if user == "email" && found("email_verified").as_deref() != Some("true") {
            return Err(refused("The issuer has not verified the address."));
        }
        let groups = find(claims, &self.settings.groups)
            .map(texts)
            .unwrap_or_default();
        // Keycloak writes paths
        let groups = groups
            .iter()
            .map(|group| group.trim_start_matches('/').to_owned());
        let subject = found("sub").unwrap_or_default();
        let settings = self.fingerprint.clone();
        Ok(MemberGrant::new(name, &subject, groups.collect(), settings))
    }

    /// Returns the address at which the issuer logs people out, if it has one; they come back to `back`.
    pub(in crate::auth) async fn logout(&self, back: &str) -> Option<String> {
        let description = self.description().await.ok()?;
        let endpoint = description.end_session_endpoint.as_deref()?;
        let query = [
            ("client_id", &*self.settings.client),
            ("post_logout_redirect_uri", back),
        ];
        Some(with_query(endpoint, &query))
    }

    async fn description(&self) -> Result<Arc<Description>, IssuerFault> {
        let mut described = self.described.lock().await;
        let age = described.asked_at.map(|at| at.elapsed());
        let rest = match described.last {
            Some(_) => REFRESH,
            None => PAUSE,
        };
        if age.is_none_or(|age| age >= rest) {
            let asked = self.settings.issuer().describe().await;
            // those who wait meanwhile take the same answer
            described.asked_at = Some(Instant::now());
            match asked {
                Ok(description) => described.last = Some(Arc::new(description)),
                Err(error) => drop(self.failed(&error)),
            }
        }
        // an old answer is better than none
        described.last.clone().ok_or(IssuerFault::Unreachable)
    }

    /// Logs why the issuer cannot be asked.
    fn failed(&self, error: &str) -> IssuerFault {
        let issuer = &*self.settings.issuer;
        tracing::warn!(issuer, error, "nobody can log in to the page by the issuer");
        IssuerFault::Unreachable
    }
}

/// Cuts a word that came by way of a browser.
fn short(word: &str) -> String {
    word.chars().take(LONGEST_WORD).collect()
}

fn refused(sentence: &str) -> IssuerFault {
    IssuerFault::Refused(sentence.to_owned())
}

/// Reports whether a text can name a user: rules and logs have other meanings for some.
fn is_name(text: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && !":@/".contains(c);
    let is_address = |(user, host): (&str, &str)| {
        !user.is_empty() && !host.is_empty() && user.chars().chain(host.chars()).all(is_plain)
    };
    let is_word = !text.is_empty() && text.chars().all(is_plain);
    let is_short = text.chars().count() <= LONGEST_NAME;
    let is_taken = ["anonymous", "users"].contains(&text);
    is_short && !is_taken && (is_word || text.split_once('@').is_some_and(is_address))
}

/// Adds a query to an address that may have one.
fn with_query(address: &str, pairs: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let mark = if address.contains('?') { '&' } else { '?' };
    format!("{address}{mark}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_one_user() {
        for name in ["ann", "ann.b", "ann@example.com", "Ann-2", "\u{e9}ve"] {
            assert!(is_name(name), "{name}");
        }
        let long = "x".repeat(101);
        for name in [
            "",
            "anonymous",
            "users",
            "@dev",
            "token:ci",
            "trust:x",
            "a b",
            "a\nb",
            "a/b",
            "a@b@c",
            &*long,
        ] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
