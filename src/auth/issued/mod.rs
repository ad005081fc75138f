//! Tokens that this registry issues: `tk_…`, sent as the password of any user.

mod authenticator;
mod record;
mod secret;

pub(super) use authenticator::Issued;
pub use record::{Answer, TokenRecord, TokenSource};
pub use secret::TokenSecret;
