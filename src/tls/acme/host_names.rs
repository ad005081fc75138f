//! Validation of the hosts to be certified.

use rustls::pki_types::DnsName;

use super::cache::Cache;
use super::settings::Settings;
use crate::tls::error::Error;

/// Returns the errors that [`super::Acme::open`] would find, without changing anything.
pub(in crate::tls) fn check(settings: &Settings) -> Vec<Error> {
    normalized(&settings.hosts)
        .err()
        .into_iter()
        .chain(Cache::check(&settings.cache).err())
        .collect()
}

/// Validates the hosts, at least one, and normalizes their spelling.
pub(super) fn normalized(hosts: &[String]) -> Result<Vec<String>, Error> {
    if hosts.is_empty() {
        return Err(Error::Settings(
            "http.tls.letsencrypt needs hosts, the names to be certified".to_owned(),
        ));
    }
    let name = |host: &String| {
        let host = host.trim().to_ascii_lowercase();
        if DnsName::try_from(host.as_str()).is_err()
            || host.starts_with("*.")
            || host.parse::<std::net::IpAddr>().is_ok()
        {
            let problem = format!(
                "http.tls.letsencrypt.hosts names '{host}', which is not the name of one host: write registry.example.com"
            );
            return Err(Error::Settings(problem));
        }
        Ok(host)
    };
    hosts.iter().map(name).collect()
}
