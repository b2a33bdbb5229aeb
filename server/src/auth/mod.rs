//! Who is calling: a bearer token becomes an [`Identity`], or nothing.
//!
//! Invariant: the key decides the algorithm, never the token. `jku`, `x5u` and `jwk` are not read. `exp`, `aud`,
//! `iss`, `sub` and the tenant are required and of the right type: a claim of another type must not count as absent
//! (CVE-2026-25537).

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Map, Value, json};
use tidewire_core::error::{Code, CoreError};
use tidewire_core::ids::Owner;

use crate::config::AuthConfig;
use crate::policy::{Principal, user_group};

/// The issuer and the audience of demo tokens, unless configured.
const DEV_NAME: &str = "tidewire-dev";
/// The `kid` of demo tokens.
const DEV_KEY: &str = "tidewire-dev";
/// A token is no document.
const TOKEN_BYTES_MAX: usize = 15 * 1024;
/// Length of a tenant's name, in bytes.
const TENANT_BYTES_MAX: usize = 128;
/// Roles of one user.
const ROLES_MAX: usize = 100;
/// Seconds by which the issuer's clock may differ.
const LEEWAY_SECONDS: u64 = 5;
/// What lives no longer than this may be asked for with `POST /api/dev/token`.
const DEV_TTL_SECONDS_MAX: u64 = 30 * 24 * 3_600;

/// Who a token speaks for, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whom.
    pub principal: Principal,
    /// When the server stops accepting the token, in milliseconds since 1970.
    pub expires_ms: u64,
}

/// Checks tokens, and with `--dev` makes them.
pub struct Auth {
    keys: Vec<Key>,
    issuer: String,
    audience: String,
    claims: Claims,
    leeway: u64,
    dev: Option<EncodingKey>,
}

/// Which claim says what: a name, or a JSON Pointer into the claims.
struct Claims {
    subject: String,
    tenant: String,
    roles: String,
    app: String,
}

struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Auth {
    /// The keys of a configuration, and with `--dev` one more that makes demo tokens.
    pub fn new(config: &AuthConfig, dev_secret: Option<&str>) -> Self {
        let mut keys = Vec::new();
        if let Some(secret) = &config.hs256_secret {
            keys.push(Key { kid: None, algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret.bytes()) });
        }
        for entry in &config.ed25519 {
            let key = DecodingKey::from_ed_der(&entry.key.0);
            keys.push(Key { kid: entry.kid.clone(), algorithm: Algorithm::EdDSA, key });
        }
        if let Some(secret) = dev_secret {
            let key = DecodingKey::from_secret(secret.as_bytes());
            keys.push(Key { kid: Some(DEV_KEY.to_owned()), algorithm: Algorithm::HS256, key });
        }
        Self {
            keys,
            issuer: config.issuer.clone().unwrap_or_else(|| DEV_NAME.to_owned()),
            audience: config.audience.clone().unwrap_or_else(|| DEV_NAME.to_owned()),
            claims: Claims {
                subject: config.subject_claim.clone(),
                tenant: config.tenant_claim.clone(),
                roles: config.roles_claim.clone(),
                app: config.app_claim.clone(),
            },
            leeway: config.leeway.unwrap_or(if dev_secret.is_some() { 0 } else { LEEWAY_SECONDS }),
            dev: dev_secret.map(|secret| EncodingKey::from_secret(secret.as_bytes())),
        }
    }

    /// Checks the value of an `Authorization` header.
    ///
    /// # Errors
    /// `unauthorized`
    pub fn check_header(&self, value: Option<&str>, now_ms: u64) -> Result<Identity, CoreError> {
        let token = value.and_then(|value| value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer ")));
        match token {
            Some(token) => self.check(token.trim(), now_ms),
            None => Err(refusal("send the header `Authorization: Bearer <token>`")),
        }
    }

    /// Checks a token.
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
        Ok(Identity { principal, expires_ms })
    }

    /// Makes a demo token, with `--dev` only. Returns it and when it expires, in milliseconds since 1970.
    pub fn issue(&self, principal: &Principal, ttl_seconds: u64, now_ms: u64) -> Option<(String, u64)> {
        let key = self.dev.as_ref()?;
        let exp = now_ms.div_ceil(1_000) + ttl_seconds.min(DEV_TTL_SECONDS_MAX);
        let mut claims = json!({"iss": self.issuer, "aud": self.audience, "sub": "demo", "exp": exp});
        let Principal { owner, roles, app } = principal;
        put_claim(&mut claims, &self.claims.subject, json!(owner.subject));
        put_claim(&mut claims, &self.claims.tenant, json!(owner.tenant));
        if !roles.is_empty() {
            put_claim(&mut claims, &self.claims.roles, json!(roles));
        }
        if let Some(app) = app {
            put_claim(&mut claims, &self.claims.app, json!(app));
        }
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
        for key in self.keys.iter().filter(|key| key.algorithm == algorithm && key.answers_to(kid)) {
            let mut validation = Validation::new(key.algorithm);
            validation.set_issuer(&[&self.issuer]);
            validation.set_audience(&[&self.audience]);
            // The user, the tenant and the times are asked for by the caller.
            validation.set_required_spec_claims(&["exp", "aud", "iss"]);
            validation.validate_exp = false;
            validation.validate_nbf = false;
            if let Ok(data) = jsonwebtoken::decode::<Map<String, Value>>(token, &key.key, &validation) {
                return Ok(data.claims);
            }
        }
        Err(bad())
    }
}

impl Claims {
    /// A claim of another type than it should be is not taken for none.
    fn principal(&self, claims: &Map<String, Value>) -> Result<Principal, CoreError> {
        let text = |name: &str| claim(claims, name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let Some(subject) = text(&self.subject).filter(|subject| user_group(subject).is_some()) else {
            let claim = &self.subject;
            let what = "must be a text of at most 123 bytes without control characters";
            return Err(refusal(format!("the token's `{claim}` {what}")));
        };
        let Some(tenant) = text(&self.tenant).filter(|tenant| is_name(tenant)) else {
            let claim = &self.tenant;
            return Err(refusal(format!("the token's `{claim}` must name a tenant (auth.tenant_claim)")));
        };
        let Some(roles) = claim(claims, &self.roles).map_or(Some(Vec::new()), roles_of) else {
            let claim = &self.roles;
            return Err(refusal(format!("the token's `{claim}` must be a list of names of roles (auth.roles_claim)")));
        };
        let app = match claim(claims, &self.app) {
            None | Some(Value::Null) => None,
            Some(_) => match text(&self.app).filter(|app| is_name(app)) {
                Some(app) => Some(app.to_owned()),
                None => {
                    let claim = &self.app;
                    return Err(refusal(format!("the token's `{claim}` must name an app (auth.app_claim)")));
                }
            },
        };
        Ok(Principal { owner: Owner { tenant: tenant.to_owned(), subject: subject.to_owned() }, roles, app })
    }
}

fn claim<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    let Some(path) = name.strip_prefix('/') else { return claims.get(name) };
    let mut steps = path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
    let first = claims.get(&steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(&step))
}

/// Where the demo's tokens say it, for [`claim`] to find.
fn put_claim(claims: &mut Value, name: &str, value: Value) {
    let Some(path) = name.strip_prefix('/') else {
        claims[name] = value;
        return;
    };
    let steps = path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
    *steps.fold(claims, |into, step| &mut into[step]) = value;
}

fn roles_of(value: &Value) -> Option<Vec<String>> {
    let names: Vec<&Value> = match value {
        Value::Null => Vec::new(),
        Value::Array(names) => names.iter().collect(),
        one => vec![one],
    };
    if names.len() > ROLES_MAX {
        return None;
    }
    let name = |role: &Value| role.as_str().filter(|role| !role.is_empty() && is_name(role)).map(str::to_owned);
    let mut roles = names.into_iter().map(name).collect::<Option<Vec<_>>>()?;
    roles.sort();
    roles.dedup();
    Some(roles)
}

impl Key {
    /// A key with a name is used only by tokens that name it, or by those that name none.
    fn answers_to(&self, kid: Option<&str>) -> bool {
        match (kid, &self.kid) {
            (Some(wanted), Some(kid)) => wanted == kid,
            (Some(wanted), None) => wanted != DEV_KEY,
            (None, _) => true,
        }
    }
}

fn allowed(name: &str) -> Option<Algorithm> {
    match name {
        "HS256" => Some(Algorithm::HS256),
        "EdDSA" => Some(Algorithm::EdDSA),
        _ => None,
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

fn is_name(text: &str) -> bool {
    text.len() <= TENANT_BYTES_MAX && !text.chars().any(char::is_control)
}

fn refusal(message: impl Into<Cow<'static, str>>) -> CoreError {
    CoreError::new(Code::Unauthorized, message)
}
