//! Ids by which tokens name a key that has none of its own.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::RsaPublicKeyComponents;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::BASE32_NOPAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters,
    EllipticCurveKeyType, Jwk, OctetKeyPairParameters, OctetKeyPairType, RSAKeyParameters,
    RSAKeyType, ThumbprintHash,
};
use rustls::sign::public_key_to_spki;
use rustls_pki_types::alg_id;
use sha2::{Digest, Sha256};

use super::key::{PublicKey, unpadded};

/// Returns the ids of a key: RFC 7638's thumbprint, and libtrust's, used with distribution 2.
pub(super) fn ids_of(key: &PublicKey<'_>) -> Vec<String> {
    let parameters = match *key {
        PublicKey::Rsa { modulus, exponent } => {
            vec![AlgorithmParameters::RSA(RSAKeyParameters {
                key_type: RSAKeyType::RSA,
                n: encoded(modulus),
                e: encoded(exponent),
            })]
        }
        PublicKey::P256(point) => on_curve(EllipticCurve::P256, point),
        PublicKey::P384(point) => on_curve(EllipticCurve::P384, point),
        PublicKey::Ed25519(bytes) => {
            vec![AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
                key_type: OctetKeyPairType::OctetKeyPair,
                curve: EllipticCurve::Ed25519,
                x: encoded(bytes),
            })]
        }
    };
    let thumbprints = parameters.into_iter().filter_map(|algorithm| {
        let common = CommonParameters::default();
        Jwk { common, algorithm }
            .thumbprint(ThumbprintHash::SHA256)
            .ok()
    });
    thumbprints.chain(libtrust_id(key)).collect()
}

/// Returns the parameters of a point, with its leading zeros and, as in distribution, without them.
fn on_curve(curve: EllipticCurve, point: &[u8]) -> Vec<AlgorithmParameters> {
    let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
    [(x, y), (unpadded(x), unpadded(y))]
        .map(|(x, y)| {
            AlgorithmParameters::EllipticCurve(EllipticCurveKeyParameters {
                key_type: EllipticCurveKeyType::EC,
                curve: curve.clone(),
                x: encoded(x),
                y: encoded(y),
            })
        })
        .into()
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns libtrust's id of a key (`docker/libtrust`, `util.go`).
///
/// It is 240 bits of a hash in base 32, in groups of four.
fn libtrust_id(key: &PublicKey<'_>) -> Option<String> {
    let info: Vec<u8> = match *key {
        PublicKey::Rsa { modulus, exponent } => {
            let components = RsaPublicKeyComponents {
                n: modulus,
                e: exponent,
            };
            let der: PublicKeyX509Der<'_> = components.as_der().ok()?;
            der.as_ref().to_vec()
        }
        PublicKey::P256(point) => public_key_to_spki(&alg_id::ECDSA_P256, point).to_vec(),
        PublicKey::P384(point) => public_key_to_spki(&alg_id::ECDSA_P384, point).to_vec(),
        PublicKey::Ed25519(bytes) => public_key_to_spki(&alg_id::ED25519, bytes).to_vec(),
    };
    let hash = Sha256::digest(info);
    let text = BASE32_NOPAD.encode(&hash[..30]);
    let groups: Vec<_> = text
        .as_bytes()
        .chunks(4)
        .map(String::from_utf8_lossy)
        .collect();
    Some(groups.join(":"))
}
