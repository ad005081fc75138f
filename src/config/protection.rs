//! Detection of a configuration that lost its protection, as half-written files do.

use crate::config::schema::{Config, Tls};
use crate::config::violations::Violations;

impl Config {
    /// Reports protections that `before` has and this configuration lacks: login, access rules, TLS, client certificates.
    ///
    /// A half-written file looks just like that.
    pub fn lost_protection(&self, before: &Self) -> Option<Violations> {
        let asks = |config: &Self| config.auth.asks();
        let limits = |config: &Self| config.access.is_some();
        let encrypts = |config: &Self| config.http.tls != Tls::default();
        let knows = |config: &Self| !config.http.tls.clientcas.is_empty();
        let is_lost = |protects: &dyn Fn(&Self) -> bool| protects(before) && !protects(self);
        let losses = [
            ("auth", "login", is_lost(&asks)),
            ("access", "access rules", is_lost(&limits)),
            ("http.tls", "TLS", is_lost(&encrypts)),
            (
                "http.tls.clientcas",
                "the check of client certificates",
                is_lost(&knows) && !is_lost(&encrypts),
            ),
        ];
        Violations::all(losses.into_iter().filter(|(.., is_lost)| *is_lost).map(|(section, what, _)| {
            let sentence = format!(
                "{section} is missing and the file may be half written: to turn off {what}, send SIGHUP or restart the server"
            );
            Violations::within(section, sentence)
        }))
    }
}
