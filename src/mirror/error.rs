//! Failures to bring content from an upstream.

use std::sync::Arc;

use crate::oci::{Digest, RepositoryName};
use crate::registry;
use crate::upstream;

/// Failure to bring content from an upstream; all who wait for the same content get it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Upstream(#[from] upstream::Error),
    #[error("the upstream sent other content than {expected}: its digest is {actual}")]
    Altered { expected: Digest, actual: Digest },
    #[error("the upstream sent a manifest that is none: {0}")]
    Invalid(String),
    #[error(transparent)]
    Registry(Arc<registry::Error>),
    #[error(
        "'{source_name}' is not fetched from the upstream {upstream}: its configuration (allow) does not name it"
    )]
    NotAllowed {
        /// Prefix of the upstream, or its URL.
        upstream: String,
        /// Name there.
        source_name: RepositoryName,
    },
    #[error("the fetch from the upstream ended early")]
    Interrupted,
    #[error("too much is being fetched from other registries: try again later")]
    Crowded,
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        Self::Registry(Arc::new(error))
    }
}

impl Error {
    /// Reports whether there is no such content for this repository.
    pub fn is_absence(&self) -> bool {
        match self {
            Self::Upstream(error) => *error == upstream::Error::NotFound,
            // it became one's own meanwhile
            Self::Registry(error) => matches!(**error, registry::Error::NoCache(_)),
            Self::Altered { .. }
            | Self::Invalid(_)
            | Self::NotAllowed { .. }
            | Self::Interrupted
            | Self::Crowded => false,
        }
    }

    /// Reports whether the upstream will not send it, until somebody changes that.
    pub(super) fn is_lasting(&self) -> bool {
        use upstream::Error::{Denied, NoLogin, Unauthorized};
        self.is_absence() || matches!(self, Self::Upstream(Denied | NoLogin | Unauthorized(_)))
    }
}
