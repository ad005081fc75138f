//! Tokens that this registry issues: `tk_…`, sent as the password of any user, and those of its token service (JWT), which
//! clients get for a login, or without one, and send with each request.

mod authenticator;
mod bearer;
mod record;
mod scopes;
mod secret;
mod service;
mod verified;
mod void;

pub(super) use authenticator::{Issued, Known};
pub use record::{Answer, SigningKey, TokenRecord, TokenSource};
pub use secret::TokenSecret;
pub use service::IssuedToken;
pub(super) use service::Proof;
pub(super) use void::Void;
