//! Who is calling: a bearer token becomes an [`Identity`], or nothing.
//!
//! Invariant: the key decides the algorithm, never the token. `jku`, `x5u` and `jwk` are not read. `exp`, `aud`,
//! `iss`, `sub` and the tenant are required and of the right type: a claim of another type must not count as absent
//! (CVE-2026-25537).

mod claims;
mod jwks;
mod keys;
mod revocations;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, Validation};
use serde_json::{Map, Value, json};
use tidewire_core::error::{Code, CoreError};

use crate::config::AuthConfig;
use crate::policy::Principal;
use claims::Claims;
use jwks::{Jwks, Unavailable};
use keys::{DEV_KEY, Key, allowed};
pub use revocations::{Revocations, Revoked};

/// The issuer and the audience of demo tokens, unless configured.
const DEV_NAME: &str = "tidewire-dev";
/// A token is no document.
const TOKEN_BYTES_MAX: usize = 15 * 1024;
/// Seconds by which the issuer's clock may differ.
const LEEWAY_SECONDS: u64 = 5;
/// What lives no longer than this may be asked for with `POST /api/dev/token`.
const DEV_TTL_SECONDS_MAX: u64 = 30 * 24 * 3_600;

/// Who a token speaks for, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whom.
    pub principal: Principal,
    /// The session that it belongs to, if it says so.
    pub session: Option<String>,
    /// When it was issued, in milliseconds since 1970, if it says so.
    pub issued_ms: Option<u64>,
    /// When the server stops accepting the token, in milliseconds since 1970.
    pub expires_ms: u64,
}

/// Why a token does not count.
#[derive(Debug, Clone, PartialEq)]
pub enum Unverified {
    /// It is not good.
    Refused(CoreError),
    /// Whether it is cannot be said at present: the keys of its issuer cannot be read.
    Unavailable,
}

impl From<CoreError> for Unverified {
    fn from(error: CoreError) -> Self {
        Self::Refused(error)
    }
}

/// Checks tokens, and with `--dev` makes them.
pub struct Auth {
    keys: Vec<Key>,
    jwks: Option<Arc<Jwks>>,
    issuer: String,
    audience: String,
    claims: Claims,
    leeway: u64,
    dev: Option<EncodingKey>,
}

impl Auth {
    /// The keys of a configuration, and with `--dev` one more that makes demo tokens. The address of an issuer's keys
    /// is asked again after `pause` at the earliest.
    pub fn new(config: &AuthConfig, dev_secret: Option<&str>, pause: Duration) -> Self {
        let keys = Key::configured(config, dev_secret);
        let jwks = config.jwks_url.clone().map(|url| Jwks::new(url, pause));
        Self {
            keys,
            jwks,
            issuer: config.issuer.clone().unwrap_or_else(|| DEV_NAME.to_owned()),
            audience: config.audience.clone().unwrap_or_else(|| DEV_NAME.to_owned()),
            claims: Claims::new(config),
            leeway: config.leeway.unwrap_or(if dev_secret.is_some() { 0 } else { LEEWAY_SECONDS }),
            dev: dev_secret.map(|secret| EncodingKey::from_secret(secret.as_bytes())),
        }
    }

    /// Reads the keys of the issuer, so that the first token need not wait for them.
    pub async fn warm_up(&self) {
        if let Some(jwks) = &self.jwks {
            // What went wrong is in the log; the first token tries again.
            let _ = jwks.renew().await;
        }
    }

    /// Checks the value of an `Authorization` header.
    ///
    /// # Errors
    /// `unauthorized`; or the keys of the issuer cannot be read.
    pub async fn verify_header(&self, value: Option<&str>, now_ms: u64) -> Result<Identity, Unverified> {
        let token = value.and_then(|value| value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer ")));
        match token {
            Some(token) => self.verify(token.trim(), now_ms).await,
            None => Err(refusal("send the header `Authorization: Bearer <token>`").into()),
        }
    }

    /// Checks a token. One that names a key of the issuer which is not known has them read again.
    ///
    /// # Errors
    /// `unauthorized`; or the keys of the issuer cannot be read.
    pub async fn verify(&self, token: &str, now_ms: u64) -> Result<Identity, Unverified> {
        if let Some(jwks) = &self.jwks {
            jwks.renew_if_old();
            if self.may_be_new(token) {
                jwks.renew().await.map_err(|Unavailable| Unverified::Unavailable)?;
            }
        }
        Ok(self.check(token, now_ms)?)
    }

    /// Whether the issuer may have signed a token with a key that is not known here.
    fn may_be_new(&self, token: &str) -> bool {
        let Some(header) = header_of(token).filter(|_| token.len() <= TOKEN_BYTES_MAX) else { return false };
        let kid = header.get("kid").and_then(Value::as_str);
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(allowed);
        let is_unknown = |algorithm| self.with_key(algorithm, kid, |_| Some(())).is_none();
        algorithm.is_some_and(|algorithm| algorithm != Algorithm::HS256 && is_unknown(algorithm))
    }

    /// What `with` finds with the first key of this algorithm and name that it finds something with.
    fn with_key<T>(&self, algorithm: Algorithm, kid: Option<&str>, with: impl FnMut(&Key) -> Option<T>) -> Option<T> {
        let of_issuer = self.jwks.as_ref().map(|jwks| jwks.keys());
        let keys = self.keys.iter().chain(of_issuer.iter().flat_map(|keys| keys.iter()));
        keys.filter(|key| key.algorithm == algorithm && key.answers_to(kid)).find_map(with)
    }

    /// Checks a token with the keys that are known.
    ///
    /// # Errors
    /// `unauthorized`; which check failed is told only where it helps the issuer and not a forger.
    pub fn check(&self, token: &str, now_ms: u64) -> Result<Identity, CoreError> {
        let claims = self.verified_claims(token)?;
        let principal = self.claims.principal(&claims)?;
        let Some(exp_ms) = time_claim(&claims, "exp") else {
            return Err(refusal("the token's `exp` must be a number"));
        };
        let leeway_ms = self.leeway.saturating_mul(1_000);
        let expires_ms = exp_ms.saturating_add(leeway_ms);
        if expires_ms <= now_ms {
            return Err(refusal("the token has expired: ask for another"));
        }
        if claims.contains_key("nbf") {
            match time_claim(&claims, "nbf") {
                Some(nbf_ms) if nbf_ms <= now_ms.saturating_add(leeway_ms) => {}
                _ => return Err(refusal("the token is not valid yet")),
            }
        }
        let session = self.claims.session(&claims)?;
        Ok(Identity { principal, session, issued_ms: time_claim(&claims, "iat"), expires_ms })
    }

    /// Makes a demo token, with `--dev` only. Returns it and when it expires, in milliseconds since 1970.
    pub fn issue(&self, principal: &Principal, ttl_seconds: u64, now_ms: u64) -> Option<(String, u64)> {
        let key = self.dev.as_ref()?;
        let exp = now_ms.div_ceil(1_000) + ttl_seconds.min(DEV_TTL_SECONDS_MAX);
        let mut claims =
            json!({"iss": self.issuer, "aud": self.audience, "sub": "demo", "exp": exp, "iat": now_ms / 1_000});
        self.claims.write(&mut claims, principal);
        let header = Header { kid: Some(DEV_KEY.to_owned()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims, key).ok().map(|token| (token, exp * 1_000))
    }

    fn verified_claims(&self, token: &str) -> Result<Map<String, Value>, CoreError> {
        let bad = || refusal("the token is not one that this server accepts");
        if token.len() > TOKEN_BYTES_MAX {
            return Err(bad());
        }
        let header = header_of(token).ok_or_else(bad)?;
        let kid = header.get("kid").map(|kid| kid.as_str().ok_or_else(bad)).transpose()?;
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(allowed).ok_or_else(bad)?;
        let checked = self.with_key(algorithm, kid, |key| {
            let mut validation = Validation::new(key.algorithm);
            validation.set_issuer(&[&self.issuer]);
            validation.set_audience(&[&self.audience]);
            // The user, the tenant and the times are asked for by the caller.
            validation.set_required_spec_claims(&["exp", "aud", "iss"]);
            validation.validate_exp = false;
            validation.validate_nbf = false;
            jsonwebtoken::decode::<Map<String, Value>>(token, &key.key, &validation).ok()
        });
        checked.map(|data| data.claims).ok_or_else(bad)
    }
}

/// The header, unless it asks for something that this server does not do (`crit`, an unencoded payload, another type).
fn header_of(token: &str) -> Option<Map<String, Value>> {
    let (header, rest) = token.split_once('.')?;
    if rest.split('.').count() != 2 {
        return None;
    }
    let header: Map<String, Value> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let typ_fits = match header.get("typ") {
        None => true,
        Some(Value::String(typ)) => typ.eq_ignore_ascii_case("jwt") || typ.eq_ignore_ascii_case("at+jwt"),
        Some(_) => false,
    };
    let plain = !header.contains_key("crit") && !header.contains_key("b64") && !header.contains_key("enc");
    (typ_fits && plain).then_some(header)
}

/// A time in milliseconds; `None` if it is missing, of another type, negative or not finite.
fn time_claim(claims: &Map<String, Value>, name: &str) -> Option<u64> {
    let seconds = claims.get(name)?.as_f64()?;
    // Above 2^53 milliseconds a number is no date.
    let plausible = seconds.is_finite() && (0.0..9.0e12).contains(&seconds);
    plausible.then_some((seconds * 1_000.0) as u64)
}

fn refusal(message: impl Into<Cow<'static, str>>) -> CoreError {
    CoreError::new(Code::Unauthorized, message)
}
