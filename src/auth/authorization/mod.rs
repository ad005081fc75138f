//! Authorization: identities, the scopes that requests require, and the decision whether one allows the other.

mod authorize;
pub(super) mod identity;
pub(super) mod scope;

pub use authorize::{is_authorized, is_unrestricted};
pub use identity::Identity;
pub use scope::{Permission, RequiredScopes, Resource, Scope};
