//! `[auth]`: whose tokens are accepted. A key has one algorithm; a token cannot choose another (RFC 8725 §3.1).

use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;

use super::ConfigError;
use super::origin::is_loopback_name;

/// An HS256 key must be as long as its hash (RFC 7518 §3.2).
const SECRET_BYTES_MIN: usize = 32;
/// The least that a `PUBLIC KEY` file of RSA with 2048 bits holds.
const RSA_SPKI_BYTES_MIN: usize = 290;
/// What a `PUBLIC KEY` file of a key on P-256 holds (RFC 5480).
const P256_SPKI_BYTES: usize = 91;
/// What stands before the 32 bytes of a key in an Ed25519 `PUBLIC KEY` file (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// `[auth]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// The `iss` of every token.
    pub issuer: Option<String>,
    /// The `aud` of every token, or one of them.
    pub audience: Option<String>,
    /// For tokens with `"alg": "HS256"`.
    pub hs256_secret: Option<HsSecret>,
    /// The file that holds it.
    pub hs256_secret_file: Option<PathBuf>,
    /// For tokens with `"alg": "EdDSA"`.
    pub ed25519: Vec<Ed25519Key>,
    /// For tokens with `"alg": "RS256"`.
    pub rs256: Vec<NamedKey<RsaKey>>,
    /// For tokens with `"alg": "ES256"`.
    pub es256: Vec<NamedKey<P256Key>>,
    /// Where the issuer publishes its keys.
    pub jwks_url: Option<JwksUrl>,
    /// The claim that names the user.
    pub subject_claim: String,
    /// The claim that names the tenant.
    pub tenant_claim: String,
    /// The claim with the user's roles: a list of texts, or one text.
    pub roles_claim: String,
    /// The claim that names the app that the token is for.
    pub app_claim: String,
    /// The claim that names the session; without it, `jti`.
    pub session_claim: String,
    /// Seconds by which the issuer's clock may differ. 5 by default, 0 with `--dev`.
    pub leeway: Option<u64>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: None,
            hs256_secret: None,
            hs256_secret_file: None,
            ed25519: Vec::new(),
            rs256: Vec::new(),
            es256: Vec::new(),
            jwks_url: None,
            subject_claim: "sub".to_owned(),
            tenant_claim: "tenant".to_owned(),
            roles_claim: "roles".to_owned(),
            app_claim: "app".to_owned(),
            session_claim: "sid".to_owned(),
            leeway: None,
        }
    }
}

impl AuthConfig {
    /// Reads the secret from its file, if it stands in one.
    ///
    /// # Errors
    /// Names the file.
    pub(super) fn read_secret(&mut self) -> Result<(), ConfigError> {
        let Some(path) = &self.hs256_secret_file else { return Ok(()) };
        let refused = |why: String| ConfigError(format!("auth.hs256_secret_file: {}: {why}", path.display()));
        if self.hs256_secret.is_some() {
            return Err(refused("auth.hs256_secret is given as well: remove one of them".to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(|error| refused(format!("cannot be read: {error}")))?;
        self.hs256_secret = Some(HsSecret::parse(text.trim_end_matches(['\n', '\r'])).map_err(refused)?);
        Ok(())
    }

    /// Whether any token could be accepted.
    pub fn has_keys(&self) -> bool {
        self.hs256_secret.is_some()
            || !self.ed25519.is_empty()
            || !self.rs256.is_empty()
            || !self.es256.is_empty()
            || self.jwks_url.is_some()
    }
}

/// A shared secret of at least 32 bytes. Not printed.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct HsSecret(Vec<u8>);

impl HsSecret {
    /// Checks the length.
    ///
    /// # Errors
    /// Says what a secret needs.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() < SECRET_BYTES_MIN {
            return Err(format!(
                "an HS256 secret has at least {SECRET_BYTES_MIN} bytes: make one with `openssl rand -base64 48`"
            ));
        }
        Ok(Self(text.as_bytes().to_vec()))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<String> for HsSecret {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl fmt::Debug for HsSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HsSecret(…)")
    }
}

/// One public key, with the `kid` that tokens name it by.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ed25519Key {
    /// Tokens without a `kid` are tried with every key.
    pub kid: Option<String>,
    /// The key.
    pub key: PublicKey,
}

/// One public key, with the `kid` that tokens name it by.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedKey<K> {
    /// Tokens without a `kid` are tried with every key.
    pub kid: Option<String>,
    /// The key.
    pub key: K,
}

/// An RSA key of at least 2048 bits, given as the text of a `PUBLIC KEY` file.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct RsaKey(pub DecodingKey);

/// A key on the curve P-256, given as the text of a `PUBLIC KEY` file.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct P256Key(pub DecodingKey);

impl TryFrom<String> for RsaKey {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let key = DecodingKey::from_rsa_pem(text.trim().as_bytes());
        let key = key.map_err(|_| "this is no RSA public key: give the text that `openssl pkey -pubout` writes")?;
        if pem_bytes(&text) < RSA_SPKI_BYTES_MIN {
            return Err("this RSA key has less than 2048 bits: make a longer one");
        }
        Ok(Self(key))
    }
}

impl TryFrom<String> for P256Key {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let key = DecodingKey::from_ec_pem(text.trim().as_bytes()).ok().filter(|_| pem_bytes(&text) == P256_SPKI_BYTES);
        key.map(Self).ok_or("this is no P-256 public key: give the text that `openssl pkey -pubout` writes")
    }
}

fn pem_bytes(text: &str) -> usize {
    let body: String = text.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(&body).unwrap_or_default().len()
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaKey(…)")
    }
}

impl fmt::Debug for P256Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P256Key(…)")
    }
}

/// An address of keys: `https`, or `http` on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct JwksUrl(String);

impl JwksUrl {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for JwksUrl {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let is_safe = match scheme {
            "https" => !authority.is_empty(),
            "http" => is_loopback_name(authority),
            _ => false,
        };
        if !is_safe || authority.contains('@') {
            return Err("this is no address of keys: write https://issuer.example/.well-known/jwks.json");
        }
        Ok(Self(text))
    }
}

impl fmt::Display for JwksUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 32 bytes, given as the text of a `PUBLIC KEY` file or as the `x` of a JWK.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicKey(pub [u8; 32]);

impl TryFrom<String> for PublicKey {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
        let body: String = lines.collect();
        let bytes = STANDARD.decode(&body).or_else(|_| URL_SAFE_NO_PAD.decode(&body)).unwrap_or_default();
        let key = bytes.strip_prefix(&SPKI_PREFIX).unwrap_or(&bytes);
        <[u8; 32]>::try_from(key).map(Self).map_err(|_| {
            "this is no Ed25519 public key: give the text of the `-----BEGIN PUBLIC KEY-----` file that \
             `openssl pkey -pubout` writes, or the `x` of its JWK"
                .to_owned()
        })
    }
}
