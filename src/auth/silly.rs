//! Distribution's way to try logins out: whoever shows any credentials is let in.

use super::{Identity, Login, Refusal, RequiredScopes, challenge};

/// As distribution's `registry/auth/silly/access.go`.
pub struct Silly {
    pub(super) realm: String,
    pub(super) service: String,
}

impl Silly {
    pub(super) fn admit(&self, login: Login<'_>) -> Result<Identity, Refusal> {
        match login.authorization {
            Some(text) if !text.is_empty() => Ok(Identity::user("silly".to_owned())),
            _ => Err(Refusal::Challenge(self.challenge(login.wanted))),
        }
    }

    /// A bearer challenge, though it is no token that would be asked for.
    fn challenge(&self, wanted: &RequiredScopes) -> String {
        challenge::bearer(&self.realm, &self.service, wanted, None)
    }
}
