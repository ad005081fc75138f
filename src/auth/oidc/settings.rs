//! The section `ui.oidc`.

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::auth::error::Error;
use crate::auth::trust::{Issuer, Requirement};
use crate::outbound::{Authorities, client_config};

/// Issuer at which people log in to the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcSettings {
    /// Name on the button.
    pub label: String,
    /// URL of the issuer, as its tokens have it.
    pub issuer: String,
    /// Name of this registry at the issuer.
    pub client: String,
    /// File with the registry's secret at the issuer; `None` for a public client.
    pub secret: Option<PathBuf>,
    /// PEM file: the authorities of the issuer's certificate; `None` for those of the system.
    pub authority: Option<PathBuf>,
    pub scopes: Vec<String>,
    /// Claim that names the login.
    pub user: String,
    /// Claim with the groups.
    pub groups: String,
    /// All of these must be met.
    pub require: Vec<Requirement>,
}

impl OidcSettings {
    /// Validates the files that it names.
    ///
    /// # Errors
    /// [`Error::Oidc`].
    pub(in crate::auth) fn check(&self) -> Result<(), Error> {
        match client_config(&self.authorities()) {
            Ok(_) => Ok(()),
            Err(cause) => Err(Error::Oidc { cause }),
        }
    }

    pub(super) fn authorities(&self) -> Authorities {
        let file = self.authority.clone();
        file.map_or(Authorities::System, Authorities::File)
    }

    pub(super) fn issuer(&self) -> Issuer {
        Issuer {
            url: self.issuer.clone(),
            authorities: self.authorities(),
            bearer: None,
        }
    }

    /// Returns what changes with the logins that are accepted.
    pub(super) fn fingerprint(&self) -> String {
        let Self {
            issuer,
            client,
            user,
            groups,
            require,
            ..
        } = self;
        let hash = Sha256::digest(format!(
            "{issuer:?} {client:?} {user:?} {groups:?} {require:?}"
        ));
        HEXLOWER.encode(&hash[..16])
    }
}
