//! A token that questions are about, as it is stored.

use serde_json::{Value, json};
use tarkeep::auth::TokenRecord;
use tarkeep::config::Config;
use tarkeep::registry::{ListedToken, Millis, now};

use crate::cli::error::Error;
use crate::cli::from_config::known_users;
use crate::cli::store::Store;
use crate::cli::terminal::json;
use crate::cli::terminal::output;
use crate::cli::terminal::values::{exact_time, plain};
use crate::cli::token_record::token_record;

/// A token with its newest secret.
pub(super) struct KnownToken {
    pub record: TokenRecord,
    /// Reason why nothing is allowed to its bearer.
    pub void: Option<String>,
}

impl KnownToken {
    /// Finds a token; without one, or without a store, says that the rules alone are judged.
    pub(super) async fn find(
        name: &str,
        store: Store,
        config: &Config,
    ) -> Result<Option<Self>, Error> {
        let Some(registry) = store.open_if_there().await? else {
            output::complain(
                "note: there is no registry with tokens, so the rules alone are judged: name its data directory with --data-dir",
            );
            return Ok(None);
        };
        let listed = registry.tokens().list().await?;
        // those that were not revoked come first, and then the last that was
        let of_name = |listed: &ListedToken| listed.token.name == name;
        let valid = listed
            .iter()
            .position(|listed| of_name(listed) && listed.token.revoked_at.is_none());
        let found = valid
            .or_else(|| listed.iter().rposition(of_name))
            .map(|position| &listed[position]);
        let Some((token, (secret, _))) =
            found.and_then(|found| Some((&found.token, found.secrets.last()?)))
        else {
            output::complain(&format!(
                "note: there is no token {}, so the rules alone are judged",
                plain(name)
            ));
            return Ok(None);
        };
        let record = token_record(token, secret);
        let void = record
            .reason_against(now())
            .or_else(|| without_user(&record, config));
        Ok(Some(Self { record, void }))
    }

    /// Says what it was made for: `its own grant: pull in team/**`.
    pub(super) fn grant(&self) -> String {
        match &*self.record.repositories {
            [] => "it has no grant of its own".to_owned(),
            globs => format!("its own grant: {} in {}", self.record.may, globs.join(", ")),
        }
    }

    /// Says how long it is valid, or why it is not.
    pub(super) fn validity(&self) -> String {
        match (&self.void, self.record.expires_at) {
            (Some(reason), _) => reason.clone(),
            (None, Some(expires)) => format!("it expires at {}", exact_time(expires)),
            (None, None) => "it does not expire".to_owned(),
        }
    }

    /// Returns its keys for JSON; `decided` are those about one repository.
    pub(super) fn as_json(&self, decided: &[(&str, Value)]) -> Value {
        let TokenRecord {
            repositories,
            may,
            owner,
            expires_at,
            ..
        } = &self.record;
        let may: Vec<_> = may
            .split(", ")
            .filter(|action| !action.is_empty())
            .collect();
        let mut object = json!({
            "repositories": repositories,
            "may": may,
            "user": owner,
            "expires": expires_at.map(|time: Millis| json::time(time)),
            "void": self.void,
        });
        for (key, value) in decided {
            object[*key] = value.clone();
        }
        object
    }
}

/// Returns why a token of a user is void; `None` if the user exists, or may exist.
fn without_user(record: &TokenRecord, config: &Config) -> Option<String> {
    let user = record.owner.as_deref()?;
    known_users::is_gone(config, user).then(|| {
        format!(
            "the token {} is void, because its user {user} does not exist",
            record.name
        )
    })
}
