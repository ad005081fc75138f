//! Cipher suites by Go's names, which distribution's configurations use.

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion, version};

use super::error::Error;
use super::settings::MinimumVersion;

/// Suites of Go that rustls lacks because they are broken or lack forward secrecy.
const WEAK: &[&str] = &[
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
];

/// Returns Go's name of a suite.
fn go_name(suite: &SupportedCipherSuite) -> String {
    let name = format!("{:?}", suite.suite());
    name.replace("TLS13_", "TLS_")
}

/// Returns the suites that are left out because they are weak.
///
/// One is left out only beside a suite for certificates of the same kind, which every client of registries has.
pub(super) fn omitted(names: &[String]) -> Vec<&str> {
    let kind = |name: &str| name.contains("_ECDSA_");
    let has_strong = |of: bool| {
        names.iter().any(|name| {
            name.starts_with("TLS_ECDHE_") && !WEAK.contains(&&**name) && kind(name) == of
        })
    };
    names
        .iter()
        .map(String::as_str)
        .filter(|name| WEAK.contains(name) && has_strong(kind(name)))
        .collect()
}

/// Selects the suites and the versions of the protocol to offer.
///
/// As in Go, naming suites of TLS 1.2 does not restrict those of TLS 1.3: if none of these is named, all are offered.
///
/// # Errors
/// An unknown or unsupported suite.
pub(super) fn choose(
    names: &[String],
    minimum: MinimumVersion,
) -> Result<(CryptoProvider, Vec<&'static SupportedProtocolVersion>), Error> {
    let mut provider = aws_lc_rs::default_provider();
    let offered = std::mem::take(&mut provider.cipher_suites);
    let known = || offered.iter().map(go_name).collect::<Vec<_>>().join(", ");
    let omitted = omitted(names);
    let mut chosen = Vec::new();
    for name in names
        .iter()
        .filter(|name| !omitted.contains(&name.as_str()))
    {
        // Go's older names lack the suffix
        let wanted = if name.ends_with("_CHACHA20_POLY1305") {
            format!("{name}_SHA256")
        } else {
            name.clone()
        };
        match offered.iter().find(|suite| go_name(suite) == wanted) {
            Some(suite) => chosen.push(*suite),
            None => {
                let reason = if WEAK.contains(&&**name) {
                    "it is weak: only suites with forward secrecy and AEAD are supported"
                } else {
                    "no such suite is known"
                };
                return Err(Error::Suite {
                    name: name.clone(),
                    reason,
                    known: known(),
                });
            }
        }
    }
    let is_13 = |suite: &SupportedCipherSuite| suite.version().version == ProtocolVersion::TLSv1_3;
    if !chosen.iter().any(is_13) {
        chosen.extend(offered.iter().copied().filter(is_13));
    }
    if names.is_empty() {
        chosen = offered;
    }
    let mut versions = vec![&version::TLS13];
    if minimum == MinimumVersion::Tls12 && !chosen.iter().all(is_13) {
        versions.push(&version::TLS12);
    }
    if minimum == MinimumVersion::Tls13 {
        chosen.retain(is_13);
    }
    provider.cipher_suites = chosen;
    Ok((provider, versions))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &[&str], minimum: MinimumVersion) -> (Vec<String>, usize) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let (provider, versions) = choose(&names, minimum).unwrap();
        (
            provider.cipher_suites.iter().map(go_name).collect(),
            versions.len(),
        )
    }

    #[test]
    fn distributions_default_suites_are_supported() {
        let names = [
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_AES_128_GCM_SHA256",
            "TLS_CHACHA20_POLY1305_SHA256",
            "TLS_AES_256_GCM_SHA384",
        ];
        assert_eq!(
            chosen(&names, MinimumVersion::Tls12),
            (names.map(str::to_owned).to_vec(), 2)
        );
        assert_eq!(chosen(&[], MinimumVersion::Tls12).0.len(), names.len());
        assert_eq!(
            chosen(
                &["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"],
                MinimumVersion::Tls12
            )
            .0[0],
            names[3]
        );
    }

    #[test]
    fn suites_and_versions_match() {
        assert_eq!(
            chosen(
                &["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
                MinimumVersion::Tls12
            )
            .0
            .len(),
            4
        );
        assert_eq!(
            chosen(&["TLS_AES_128_GCM_SHA256"], MinimumVersion::Tls12),
            (vec!["TLS_AES_128_GCM_SHA256".to_owned()], 1)
        );
        let (suites, versions) = chosen(
            &["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
            MinimumVersion::Tls13,
        );
        assert_eq!((suites.len(), versions), (3, 1));
    }

    #[test]
    fn a_weak_suite_beside_a_strong_one_is_left_out() {
        let (strong, weak) = (
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_RSA_WITH_AES_128_CBC_SHA",
        );
        let (suites, versions) = chosen(&[weak, strong], MinimumVersion::Tls12);
        assert_eq!((&*suites[0], suites.len(), versions), (strong, 4, 2));
        // clients without TLS 1.3, and those of the other kind of certificate, would have none
        for names in [
            [weak, "TLS_AES_128_GCM_SHA256"],
            [weak, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"],
            [weak, "TLS_X"],
        ] {
            let names = names.map(str::to_owned);
            let error = choose(&names, MinimumVersion::Tls12).unwrap_err();
            assert!(error.to_string().contains(weak), "{error}");
        }
    }

    #[test]
    fn unsupported_suites_are_rejected_by_name() {
        for (name, reason) in WEAK
            .iter()
            .map(|name| (*name, "weak"))
            .chain([("TLS_X", "known"), ("", "known")])
        {
            let message = choose(&[name.to_owned()], MinimumVersion::Tls12)
                .unwrap_err()
                .to_string();
            assert!(
                message.contains(name)
                    && message.contains(reason)
                    && message.contains("TLS_AES_128_GCM_SHA256"),
                "{message}"
            );
        }
    }
}
