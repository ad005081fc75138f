//! Errors of the authentication settings, in sentences for the owner.

use std::io;
use std::path::PathBuf;

use crate::files::file_watch;

/// Problem with the authentication settings or their files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    File(#[from] file_watch::Error),
    #[error(
        "there is no htpasswd file {path}, and none is created while the server runs: correct the path, or create the file with registry htpasswd -Bc FILE USER",
        path = .path.display()
    )]
    Missing { path: PathBuf },
    #[error("there is no htpasswd file {path} and it cannot be created: {cause}; create it with registry htpasswd -Bc FILE USER", path = .path.display())]
    Create { path: PathBuf, cause: io::Error },
    #[error("the system provides no random bytes")]
    Random,
    #[error("{0}")]
    Token(String),
    #[error("the authorities of trust {name} cannot be used: {cause}")]
    Trust { name: String, cause: String },
    #[error("the authorities of ui.oidc cannot be used: {cause}")]
    Oidc { cause: String },
}
