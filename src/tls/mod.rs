//! TLS by rustls: certificates and their renewal, cipher suites, client certificates.

pub mod acme;
mod certificate;
mod cipher_suites;
mod client_auth;
mod error;
mod handshake_failure;
mod server;
mod settings;
mod unverified;

pub use certificate::Certificate;
pub use client_auth::ClientAuth;
pub use error::Error;
pub use handshake_failure::{Failure, Reason};
pub use server::Tls;
pub use settings::{MinimumVersion, Settings, Source};
pub use unverified::unverified_client;
