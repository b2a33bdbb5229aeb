//! Keys that tokens are checked with. A key has one algorithm; a token cannot choose another (RFC 8725 §3.1).

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use crate::config::AuthConfig;

/// The `kid` of demo tokens.
pub(super) const DEV_KEY: &str = "tidewire-dev";
/// Bytes of the modulus of an RSA key of 2048 bits, the least there may be (RFC 7518 §3.3), without its leading zero.
const MODULUS_BYTES_MIN: usize = 256;

/// A key, under the name that tokens may call it by.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl Key {
    /// The keys of a configuration, and one more with which demo tokens are made.
    pub(super) fn configured(config: &AuthConfig, dev_secret: Option<&str>) -> Vec<Self> {
        let mut keys = Vec::new();
        if let Some(secret) = &config.hs256_secret {
            keys.push(Self { kid: None, algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret.bytes()) });
        }
        for entry in &config.ed25519 {
            let key = DecodingKey::from_ed_der(&entry.key.0);
            keys.push(Self { kid: entry.kid.clone(), algorithm: Algorithm::EdDSA, key });
        }
        for entry in &config.rs256 {
            keys.push(Self { kid: entry.kid.clone(), algorithm: Algorithm::RS256, key: entry.key.0.clone() });
        }
        for entry in &config.es256 {
            keys.push(Self { kid: entry.kid.clone(), algorithm: Algorithm::ES256, key: entry.key.0.clone() });
        }
        if let Some(secret) = dev_secret {
            let key = DecodingKey::from_secret(secret.as_bytes());
            keys.push(Self { kid: Some(DEV_KEY.to_owned()), algorithm: Algorithm::HS256, key });
        }
        keys
    }

    /// A key of a JWK set; `None` if it is of a kind that is not used here: a shared secret above all, which has no
    /// business in a set that everybody can read.
    pub(super) fn of_jwk(value: &Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        if jwk.common.public_key_use.as_ref().is_some_and(|used| *used != PublicKeyUse::Signature) {
            return None;
        }
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) if is_long(value) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
            _ => return None,
        };
        let named = value.get("alg").and_then(Value::as_str);
        if named.is_some_and(|named| allowed(named) != Some(algorithm)) {
            return None;
        }
        Some(Self { kid: jwk.common.key_id.clone(), algorithm, key: DecodingKey::from_jwk(&jwk).ok()? })
    }

    /// A key with a name is used only by tokens that name it, or by those that name none.
    pub(super) fn answers_to(&self, kid: Option<&str>) -> bool {
        match (kid, &self.kid) {
            (Some(wanted), Some(kid)) => wanted == kid,
            (Some(wanted), None) => wanted != DEV_KEY,
            (None, _) => true,
        }
    }
}

/// The algorithms that tokens may name.
pub(super) fn allowed(name: &str) -> Option<Algorithm> {
    match name {
        "HS256" => Some(Algorithm::HS256),
        "RS256" => Some(Algorithm::RS256),
        "ES256" => Some(Algorithm::ES256),
        "EdDSA" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

fn is_long(jwk: &Value) -> bool {
    use base64::Engine;
    let modulus = jwk.get("n").and_then(Value::as_str).unwrap_or_default();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(modulus).unwrap_or_default();
    bytes.iter().skip_while(|byte| **byte == 0).count() >= MODULUS_BYTES_MIN
}
