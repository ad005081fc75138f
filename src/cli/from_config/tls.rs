//! The settings of TLS, from the section `http.tls`.

use std::path::PathBuf;
use std::sync::Arc;

use tarkeep::config::{self, ClientAuth, MinimumTls, Violations};
use tarkeep::redact;
use tarkeep::tls::{self, MinimumVersion, Source, Tls, acme};

/// True if the server speaks TLS.
pub(crate) fn is_encrypted(http: &config::Http) -> Result<bool, Violations> {
    Ok(source(&http.tls)?.is_some())
}

/// Returns notes about keys without effect.
pub(super) fn notes(tls: &config::Tls) -> Vec<String> {
    let omitted = Tls::omitted_suites(&tls.ciphersuites);
    let suites = (!omitted.is_empty()).then(|| {
        format!(
            "http.tls.ciphersuites: these are weak and not offered, and every client has one of the others: {}",
            omitted.join(", ")
        )
    });
    let wants_acme = tls.letsencrypt != config::LetsEncrypt::default();
    let has_files = tls.certificate.is_some() && tls.key.is_some();
    let letsencrypt =
        (wants_acme && has_files && cache_of(&tls.letsencrypt).is_none()).then(|| {
            "http.tls.letsencrypt has no effect without cachefile: http.tls.certificate is served"
                .to_owned()
        });
    suites.into_iter().chain(letsencrypt).collect()
}

/// Returns the directory for certificates of an authority.
fn cache_of(letsencrypt: &config::LetsEncrypt) -> Option<&PathBuf> {
    letsencrypt
        .cachefile
        .as_ref()
        .filter(|path| !path.as_os_str().is_empty())
}

/// Reads the certificates; settings equal to the `running` ones are reused.
pub(super) fn open(
    http: &config::Http,
    running: Option<&Arc<Tls>>,
) -> Result<Option<Arc<Tls>>, Violations> {
    settings(http)?
        .map(|settings| encryption(settings, running))
        .transpose()
}

/// Validates the section as [`open`] does, without changing anything.
pub(super) fn check(http: &config::Http) -> Result<(), Violations> {
    let settings = settings(http)?;
    let found = settings
        .iter()
        .flat_map(Tls::check)
        .map(|error| violation(&error));
    Violations::all(found).map_or(Ok(()), Err)
}

fn settings(http: &config::Http) -> Result<Option<tls::Settings>, Violations> {
    let tls = &http.tls;
    let Some(source) = source(tls)? else {
        return Ok(None);
    };
    // distribution ignores clientauth then, and accepts every client
    if tls.clientauth.is_some() && tls.clientcas.is_empty() {
        let sentence = "http.tls.clientauth is set but http.tls.clientcas is not, so no client would be asked for a certificate: set clientcas, or remove clientauth";
        return Err(Violations::of("http.tls.clientauth", sentence).unless("http.tls.clientcas"));
    }
    Ok(Some(tls::Settings {
        source,
        client_authorities: tls.clientcas.clone(),
        client_auth: match tls.clientauth {
            Some(ClientAuth::RequestClientCert) => tls::ClientAuth::Request,
            Some(ClientAuth::RequireAnyClientCert) => tls::ClientAuth::RequireAny,
            Some(ClientAuth::VerifyClientCertIfGiven) => tls::ClientAuth::VerifyIfGiven,
            Some(ClientAuth::RequireAndVerifyClientCert) | None => {
                tls::ClientAuth::RequireAndVerify
            }
        },
        minimum: match tls.minimumtls {
            Some(MinimumTls::Tls12) | None => MinimumVersion::Tls12,
            Some(MinimumTls::Tls13) => MinimumVersion::Tls13,
        },
        cipher_suites: tls.ciphersuites.clone(),
        is_http2_enabled: !http.http2.disabled,
    }))
}

fn encryption(settings: tls::Settings, running: Option<&Arc<Tls>>) -> Result<Arc<Tls>, Violations> {
    // it may be in the middle of an ACME order, and it watches its files itself
    if let Some(running) = running.filter(|running| *running.settings() == settings) {
        return Ok(Arc::clone(running));
    }
    Tls::new(settings)
        .map(Arc::new)
        .map_err(|error| violation(&error))
}

fn violation(error: &tls::Error) -> Violations {
    use tls::Error::{Content, Mismatch, Order, Read, Settings, Suite};
    let key = match error {
        Read {
            what: "certificate",
            ..
        }
        | Content {
            what: "certificate",
            ..
        }
        | Order { .. } => "http.tls.certificate",
        Read { what: "key", .. } | Content { what: "key", .. } | Mismatch { .. } => "http.tls.key",
        Read {
            what: "authority of clients",
            ..
        }
        | Content {
            what: "authority of clients",
            ..
        } => "http.tls.clientcas",
        Suite { .. } => "http.tls.ciphersuites",
        Read { .. } | Content { .. } => "http.tls.letsencrypt.cachefile",
        Settings(_) => "http.tls",
    };
    Violations::of(key, error)
}

/// Returns the source of certificates, or `None` without TLS.
fn source(tls: &config::Tls) -> Result<Option<Source>, Violations> {
    let missing = |given: &str, missing: &str| {
        Err(incomplete(format!(
            "{given} is set but {missing} is not: TLS needs both"
        )))
    };
    let wants_acme = tls.letsencrypt != config::LetsEncrypt::default();
    match (&tls.certificate, &tls.key) {
        (None, None) if wants_acme => acme(&tls.letsencrypt).map(Some),
        (None, None) if *tls == config::Tls::default() => Ok(None),
        (None, None) => Err(incomplete(
            "http.tls has no certificate: set certificate and key, or remove the section to serve without TLS"
                .to_owned(),
        )),
        (Some(_), None) => missing("http.tls.certificate", "http.tls.key"),
        (None, Some(_)) => missing("http.tls.key", "http.tls.certificate"),
        (Some(_), Some(_)) if cache_of(&tls.letsencrypt).is_some() => Err(incomplete(
            "http.tls has both certificate and letsencrypt: remove one of them".to_owned(),
        )),
        (Some(certificate), Some(key)) => Ok(Some(Source::Files { certificate: certificate.clone(), key: key.clone() })),
    }
}

fn incomplete(sentence: String) -> Violations {
    Violations::within("http.tls", sentence)
}

fn acme(letsencrypt: &config::LetsEncrypt) -> Result<Source, Violations> {
    let Some(cache) = cache_of(letsencrypt).cloned() else {
        return Err(incomplete(
            "http.tls.letsencrypt requires cachefile, the directory for certificates".to_owned(),
        ));
    };
    let directory = letsencrypt
        .directoryurl
        .clone()
        .filter(|url| !url.is_empty())
        .unwrap_or_else(acme::lets_encrypt);
    if !directory.starts_with("https://") {
        let sentence = format!(
            "http.tls.letsencrypt.directoryurl must begin with https://, unlike '{}'",
            redact::url(&directory)
        );
        return Err(Violations::of(
            "http.tls.letsencrypt.directoryurl",
            sentence,
        ));
    }
    Ok(Source::Acme(acme::Settings {
        cache,
        email: letsencrypt
            .email
            .clone()
            .filter(|address| !address.is_empty()),
        hosts: letsencrypt.hosts.clone(),
        directory,
        directory_authority: letsencrypt.directoryca.clone(),
    }))
}
