//! Authorization: the one place that decides what an identity may do.
//!
//! The decision is a pure function of identity, action and resource. Access rules, once there are any, are its third input.

use super::identity::Identity;
use super::scope::Scope;

/// Reports whether `identity` may do what `scope` names.
///
/// A token limits its bearer to the access that it lists. Any other authenticated client may do everything.
pub fn is_authorized(identity: &Identity, scope: &Scope) -> bool {
    match identity.grants() {
        Some(grants) => grants.iter().any(|grant| grant.allows(scope)),
        None => true,
    }
}

/// Reports whether `identity` may do everything in every repository.
pub fn is_unrestricted(identity: &Identity) -> bool {
    identity.grants().is_none()
}
