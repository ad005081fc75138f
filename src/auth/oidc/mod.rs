//! Logins of people to the page by an OpenID Connect issuer: authorization code with PKCE.
//!
//! - `settings`: the section `ui.oidc`. `attempt`: the secret by which a browser is known that comes back from the issuer.
//! - `provider`: where the issuer sends people, and what the code proves that it gives them. `exchange`: the code for a token.

mod attempt;
mod exchange;
mod provider;
mod settings;

pub use attempt::Attempt;
pub(super) use provider::Provider;
pub use provider::{IssuerFault, Returned};
pub use settings::OidcSettings;
