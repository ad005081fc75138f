//! One entry of the section `trust`.

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::issuer::Issuer;
use super::requirement::Requirement;
use crate::auth::error::Error;
use crate::outbound::{Authorities, client_config};

/// Issuer whose tokens are logins, and the tokens among them that count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustSettings {
    /// Name of the logins: `trust:NAME`.
    pub name: String,
    /// URL of the issuer, as its tokens have it (`iss`).
    pub issuer: String,
    /// Name of this registry in tokens (`aud`).
    pub audience: String,
    /// PEM file: the authorities of the issuer's certificate; `None` for those of the system.
    pub authority: Option<PathBuf>,
    /// File with a token that the issuer asks for before it shows its keys.
    pub bearer: Option<PathBuf>,
    /// All of these must be met.
    pub require: Vec<Requirement>,
}

impl TrustSettings {
    /// Validates the files that it names.
    ///
    /// # Errors
    /// [`Error::Trust`].
    pub(in crate::auth) fn check(&self) -> Result<(), Error> {
        match client_config(&self.authorities()) {
            Ok(_) => Ok(()),
            Err(cause) => Err(Error::Trust {
                name: self.name.clone(),
                cause,
            }),
        }
    }

    pub(super) fn issuer(&self) -> Issuer {
        Issuer {
            url: self.issuer.clone(),
            authorities: self.authorities(),
            bearer: self.bearer.clone(),
        }
    }

    fn authorities(&self) -> Authorities {
        let file = self.authority.clone();
        file.map_or(Authorities::System, Authorities::File)
    }

    /// Returns what changes with the tokens that are accepted.
    pub(super) fn fingerprint(&self) -> String {
        let Self {
            issuer,
            audience,
            require,
            ..
        } = self;
        let hash = Sha256::digest(format!("{issuer:?} {audience:?} {require:?}"));
        HEXLOWER.encode(&hash[..16])
    }
}
