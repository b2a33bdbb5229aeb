//! Forged, stale and malformed tokens, at every address that asks for one.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::case::{Family, PULL, PUSH};
use super::site::{SECRET, Site, claims, now_ms, token};

/// Any header and any claims, signed with HMAC.
pub fn signed(secret: &[u8], header: &Value, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(secret);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("a signature");
    format!("{message}.{signature}")
}

/// What `Authorization` says, and what it is.
pub fn forged(site: &Site) -> Vec<(String, String)> {
    let good = token(&claims("alice", "demo"));
    let mut all: Vec<(String, String)> = Vec::new();
    for (what, header) in headers() {
        all.push((what.into(), signed(SECRET.as_bytes(), &header, &claims("alice", "demo").to_string())));
    }
    for (what, text) in bad_claims() {
        all.push((what, signed(SECRET.as_bytes(), &json!({"alg": "HS256"}), &text)));
    }
    let other =
        |secret: &str| signed(secret.as_bytes(), &json!({"alg": "HS256"}), &claims("alice", "demo").to_string());
    for secret in ["", "secret", "a secret of at least thirty-two byteS", "tidewire-dev"] {
        all.push((format!("the secret `{secret}`"), other(secret)));
    }
    let parts: Vec<&str> = good.split('.').collect();
    let unsigned = |alg: &str| format!("{}.{}.", URL_SAFE_NO_PAD.encode(json!({"alg": alg}).to_string()), parts[1]);
    for alg in ["none", "None", "NONE", "HS256", ""] {
        all.push((format!("unsigned, alg `{alg}`"), unsigned(alg)));
    }
    let carol = token(&claims("carol", "other"));
    let carols: Vec<&str> = carol.split('.').collect();
    all.extend([
        ("another's claims".into(), format!("{}.{}.{}", parts[0], carols[1], parts[2])),
        ("another's signature".into(), format!("{}.{}.{}", parts[0], parts[1], carols[2])),
        ("no signature".into(), format!("{}.{}", parts[0], parts[1])),
        ("one part".into(), parts[0].into()),
        ("four parts".into(), format!("{good}.x")),
        ("a dot before".into(), format!(".{good}")),
        ("padded".into(), format!("{}=.{}.{}", parts[0], parts[1], parts[2])),
        ("standard base64".into(), format!("{}.{}.{}", STANDARD.encode(parts[0]), parts[1], parts[2])),
        ("encoded twice".into(), URL_SAFE.encode(&good)),
        ("cut".into(), good[..good.len() - 4].into()),
        ("longer".into(), format!("{good}AAAA")),
        ("15 KiB".into(), "A".repeat(15 * 1_024 + 1)),
        ("dots".into(), "..".into()),
        ("nothing".into(), String::new()),
        ("null".into(), "null".into()),
        ("a blank inside".into(), good.replacen('.', " .", 1)),
        ("a quoted one".into(), format!("\"{good}\"")),
    ]);
    for at in [0, good.len() / 3, good.len() / 2, good.len() - 8] {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'Q' { b'R' } else { b'Q' };
        all.push((format!("a letter at {at}/{}", site.cursors.len()), String::from_utf8(bytes).expect("ASCII")));
    }
    all
}

fn headers() -> Vec<(&'static str, Value)> {
    vec![
        ("alg none, signed", json!({"alg": "none"})),
        ("no alg", json!({"typ": "JWT"})),
        ("alg in lower case", json!({"alg": "hs256"})),
        ("alg HS384", json!({"alg": "HS384"})),
        ("alg RS256", json!({"alg": "RS256"})),
        ("alg EdDSA", json!({"alg": "EdDSA"})),
        ("alg as a list", json!({"alg": ["HS256"]})),
        ("the demo kid", json!({"alg": "HS256", "kid": "tidewire-dev"})),
        ("kid 7", json!({"alg": "HS256", "kid": 7})),
        ("crit", json!({"alg": "HS256", "crit": ["exp"]})),
        ("b64", json!({"alg": "HS256", "b64": false})),
        ("enc", json!({"alg": "HS256", "enc": "A128GCM"})),
        ("typ logout", json!({"alg": "HS256", "typ": "logout+jwt"})),
        ("a header that is a list", json!([])),
    ]
}

fn bad_claims() -> Vec<(String, String)> {
    let good = claims("alice", "demo");
    let mut all = Vec::new();
    for name in ["iss", "aud", "sub", "org", "exp"] {
        let mut less = good.clone();
        less.as_object_mut().expect("an object").remove(name);
        all.push((format!("no {name}"), less.to_string()));
        for value in [json!(null), json!(true), json!(-1), json!([]), json!({}), json!(""), json!("\u{0}"), json!([[]])]
        {
            let mut other = good.clone();
            other[name] = value.clone();
            all.push((format!("{name} {value}"), other.to_string()));
        }
    }
    let exp = good["exp"].to_string();
    for (what, text) in [
        ("exp as a text", format!("\"{exp}\"")),
        ("exp 1e400", "1e400".into()),
        ("exp 1e300", "1e300".into()),
        ("expired", (now_ms() / 1_000 - 1).to_string()),
        ("expired in 1970", "0".into()),
    ] {
        all.push((what.into(), good.to_string().replace(&exp, &text)));
    }
    let with = |name: &str, value: Value| {
        let mut other = good.clone();
        other[name] = value;
        other.to_string()
    };
    all.push(("not yet".into(), with("nbf", json!(now_ms() / 1_000 + 600))));
    all.push(("nbf a text".into(), with("nbf", json!("0"))));
    all.push(("another issuer".into(), with("iss", json!("https://issuer.example.evil"))));
    all.push(("another audience".into(), with("aud", json!("tidewire2"))));
    all.push(("a long sub".into(), with("sub", json!("s".repeat(200)))));
    all.push(("a long tenant".into(), with("org", json!("t".repeat(200)))));
    all.push(("no claims".into(), "[]".into()));
    all.push(("no JSON".into(), "{".into()));
    all
}

/// Addresses that ask for a token.
pub const GUARDED: [(&str, &str); 6] = [
    ("POST", PUSH),
    ("POST", PULL),
    ("GET", "/api/sync/entities/drafts/secret"),
    ("GET", "/api/sync/entities/drafts/secret/history"),
    ("GET", "/api/sync/status"),
    ("GET", "/api/sync/health"),
];

pub fn tokens(site: &Site) -> Family<'_> {
    let mut family = Family::new("token", site);
    for (what, token) in forged(site) {
        for to in GUARDED {
            family.bare(format!("{} {what}", to.1), to, &[("authorization", &format!("Bearer {token}"))], b"{}");
        }
    }
    family
}

/// Good tokens where they are not looked for, or in another dress.
pub fn schemes(site: &Site) -> Family<'_> {
    let mut family = Family::new("scheme", site);
    let good = site.mallory.clone();
    for to in GUARDED {
        let with_query = format!("{}?token={good}&access_token={good}", to.1);
        family.bare(format!("{} in the query", to.1), (to.0, &with_query), &[], b"{}");
        for (what, name, value) in [
            ("none", "x-nothing", String::new()),
            ("in a cookie", "cookie", format!("token={good}; authorization={good}")),
            ("as Basic", "authorization", format!("Basic {}", STANDARD.encode(format!("mallory:{good}")))),
            ("as Token", "authorization", format!("Token {good}")),
            ("without a scheme", "authorization", good.clone()),
            ("BEARER", "authorization", format!("BEARER {good}")),
            ("two blanks", "authorization", format!("Bearer  {good} x")),
            ("two tokens", "authorization", format!("Bearer {good}, Bearer {good}")),
            ("forwarded", "x-forwarded-authorization", format!("Bearer {good}")),
            ("an identity", "x-forwarded-user", "alice".into()),
        ] {
            family.bare(format!("{} {what}", to.1), to, &[(name, &value)], b"{}");
        }
    }
    family
}
