//! Order of one certificate, proven over TLS on the registry's own port (RFC 8737).

use std::time::Duration;

use instant_acme::{
    Account, AccountBuilder, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder,
    Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use super::cache::Cache;
use super::resolver::Challenges;
use super::settings::Settings;
use crate::redact;

/// Time limit for the authority to check the proof, and again to issue.
const TIMEOUT: Duration = Duration::from_secs(120);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// New key and its certificates, in PEM.
pub(super) struct Issued {
    pub(super) key: String,
    pub(super) chain: String,
}

/// Returns the stored account, or creates one.
pub(super) async fn account(settings: &Settings, cache: &Cache) -> Result<Account, Failure> {
    if let Some(kept) = cache.account(&settings.directory) {
        match builder(settings)?.from_credentials(kept).await {
            Ok(account) => return Ok(account),
            Err(error) => {
                tracing::warn!(
                    "the account with {} cannot be used, so a new one is created: {error}",
                    redact::url(&settings.directory)
                )
            }
        }
    }
    let contact = settings
        .email
        .as_ref()
        .map(|address| format!("mailto:{address}"));
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let wanted = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let (account, credentials) = builder(settings)?
        .create(&wanted, settings.directory.clone(), None)
        .await?;
    cache.keep_account(&credentials)?;
    Ok(account)
}

fn builder(settings: &Settings) -> Result<AccountBuilder, instant_acme::Error> {
    settings
        .directory_authority
        .as_ref()
        .map_or_else(Account::builder, Account::builder_with_root)
}

/// Orders a certificate for `host`, proving control of it by `challenges`.
pub(super) async fn issue(
    account: &Account,
    host: &str,
    challenges: &Challenges,
) -> Result<Issued, Failure> {
    let names = [Identifier::Dns(host.to_owned())];
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    let outcome = prove_and_fetch(&mut order, host, challenges).await;
    challenges.forget(host);
    outcome
}

async fn prove_and_fetch(
    order: &mut Order,
    host: &str,
    challenges: &Challenges,
) -> Result<Issued, Failure> {
    let retries = RetryPolicy::default().timeout(TIMEOUT);
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            status => return Err(format!("the authorization is {status:?}").into()),
        }
        let mut challenge = authorization
            .challenge(ChallengeType::TlsAlpn01)
            .ok_or("the authority does not offer TLS-ALPN-01")?;
        challenges.answer(
            host,
            proof(host, challenge.key_authorization().digest().as_ref())?,
        );
        challenge.set_ready().await?;
    }
    if order.poll_ready(&retries).await? != OrderStatus::Ready {
        return Err(refusal(order).await);
    }
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([host.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    order
        .finalize_csr(params.serialize_request(&key)?.der())
        .await?;
    let chain = order.poll_certificate(&retries).await?;
    Ok(Issued {
        key: key.serialize_pem(),
        chain,
    })
}

/// Returns the authority's reason for a refusal.
async fn refusal(order: &mut Order) -> Failure {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if let Ok(state) = authorization.refresh().await
            && let Some(problem) = state
                .challenges
                .iter()
                .find_map(|challenge| challenge.error.as_ref())
        {
            return problem.to_string().into();
        }
    }
    "the authority refused without a reason".into()
}

/// Creates the certificate that proves control of a host (RFC 8737, section 3).
fn proof(host: &str, digest: &[u8]) -> Result<CertifiedKey, Failure> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([host.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(CertifiedKey::new(
        vec![certificate.der().clone()],
        any_supported_type(&secret)?,
    ))
}
