//! Creation of a missing htpasswd file with a first user, as distribution does.

use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::bcrypt_hash::{BcryptHash, DEFAULT_COST};
use crate::auth::error::Error;
use crate::files::{atomic_file, dir_check};

/// User of a created file.
const FIRST_USER: &str = "docker";

/// Reports whether a file is missing. Any other problem is found when it is read.
pub(in crate::auth) fn is_missing(path: &Path) -> bool {
    path.symlink_metadata()
        .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Checks that a missing file can be created, and logs that it will be.
pub(in crate::auth) fn check_missing(path: &Path) -> Result<(), Error> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let outcome = parent.metadata().and_then(|_| dir_check::check(parent));
    outcome.map_err(|cause| Error::Create {
        path: path.to_owned(),
        cause,
    })?;
    tracing::warn!(
        "there is no htpasswd file {}: the server will create it with the user {FIRST_USER} and log the password",
        path.display()
    );
    Ok(())
}

/// Creates a missing file with one user, whose password is logged.
pub(in crate::auth) fn create_if_missing(path: &Path) -> Result<(), Error> {
    if !is_missing(path) {
        return Ok(());
    }
    let failed = |cause| Error::Create {
        path: path.to_owned(),
        cause,
    };
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| Error::Random)?;
    let password = URL_SAFE_NO_PAD.encode(random);
    let hash = BcryptHash::of(password.as_bytes(), DEFAULT_COST)
        .map_err(|cause| failed(io::Error::other(cause)))?;
    let line = format!("{FIRST_USER}:{}\n", hash.as_str());
    atomic_file::replace(path, line.as_bytes(), 0o600).map_err(failed)?;
    // logged at the highest level: whoever does not see it cannot log in
    tracing::error!(
        user = FIRST_USER,
        password,
        "there was no htpasswd file {}: it has been created with one user",
        path.display()
    );
    Ok(())
}
