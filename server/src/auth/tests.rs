//! A table of forged tokens, all refused, and of good ones, all accepted.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tidewire_core::ids::Owner;

use super::Auth;
use crate::config::Config;
use crate::policy::Principal;

const SECRET: &str = "a secret of at least thirty-two bytes";
/// The two test keys of RFC 8032 §7.1, as PKCS#8 without the public half; their public halves are in the TOML.
const SEED: &str = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
const OTHER_SEED: &str = "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5bbms24tG7Dt+9GeAF7pA8T7IqZkDGj+Kb7";
const PAUSE: Duration = Duration::from_secs(10);
const NOW: u64 = 1_800_000_000_000;

const TOML: &str = r#"
[auth]
issuer = "https://issuer.example"
audience = "tidewire"
hs256_secret = "a secret of at least thirty-two bytes"
leeway = 5
tenant_claim = "org"
[[auth.ed25519]]
kid = "ed-1"
key = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
"#;

fn auth() -> Auth {
    Auth::new(&Config::parse("t", TOML).expect("parses").auth, None, PAUSE)
}

fn alice() -> Principal {
    Principal::plain(Owner { tenant: "acme".into(), subject: "alice".into() })
}

fn claims() -> Value {
    json!({"iss": "https://issuer.example", "aud": "tidewire", "sub": "alice", "org": "acme", "exp": NOW / 1_000 + 60})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().expect("an object").remove(name);
    claims
}

fn hs(header: Value, claims: &Value) -> String {
    hs_with(SECRET.as_bytes(), header, &claims.to_string())
}

/// Signs any header and any text, as a forger who knows the secret could.
fn hs_with(secret: &[u8], header: Value, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(secret);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("a signature");
    format!("{message}.{signature}")
}

fn plain(claims: &Value) -> String {
    hs(json!({"alg": "HS256", "typ": "JWT"}), claims)
}

fn ed(seed: &str, kid: Option<&str>) -> String {
    let der = base64::engine::general_purpose::STANDARD.decode(seed).expect("base64");
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::EdDSA) };
    jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_ed_der(&der)).expect("a token")
}

#[test]
fn good_tokens_are_accepted() {
    let good = [
        ("plain", plain(&claims())),
        ("no typ", hs(json!({"alg": "HS256"}), &claims())),
        ("at+jwt", hs(json!({"alg": "HS256", "typ": "at+jwt"}), &claims())),
        ("a kid of the issuer", hs(json!({"alg": "HS256", "kid": "their-name"}), &claims())),
        ("several audiences", plain(&with("aud", json!(["other", "tidewire"])))),
        ("nbf in the past", plain(&with("nbf", json!(NOW / 1_000 - 1)))),
        ("nbf within the leeway", plain(&with("nbf", json!(NOW / 1_000 + 5)))),
        ("expired within the leeway", plain(&with("exp", json!(NOW / 1_000 - 4)))),
        ("a fraction of a second", plain(&with("exp", json!(NOW as f64 / 1_000.0 + 0.5)))),
        ("EdDSA", ed(SEED, Some("ed-1"))),
        ("EdDSA without kid", ed(SEED, None)),
    ];
    for (name, token) in good {
        let identity = auth().check(&token, NOW).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            (identity.principal.owner.tenant.as_str(), identity.principal.owner.subject.as_str()),
            ("acme", "alice"),
            "{name}"
        );
    }
    assert_eq!(auth().check(&plain(&claims()), NOW).expect("accepted").expires_ms, NOW + 65_000);
}

fn forged_headers() -> Vec<(&'static str, String)> {
    let token = |header: Value| hs(header, &claims());
    let public = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").expect("base64");
    let unsigned = |alg: &str| {
        let header = json!({"alg": alg}).to_string();
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims().to_string()))
    };
    vec![
        ("none", unsigned("none")),
        ("None", unsigned("None")),
        ("nOnE", unsigned("nOnE")),
        ("no signature", unsigned("HS256")),
        ("none, signed", token(json!({"alg": "none"}))),
        ("no alg", token(json!({"typ": "JWT"}))),
        ("alg of another type", token(json!({"alg": ["HS256"]}))),
        ("alg in lower case", token(json!({"alg": "hs256"}))),
        ("HS384 says the header", token(json!({"alg": "HS384"}))),
        ("RS256 says the header", token(json!({"alg": "RS256"}))),
        ("EdDSA says the header", token(json!({"alg": "EdDSA"}))),
        ("HMAC with the public key", hs_with(&public, json!({"alg": "HS256", "kid": "ed-1"}), &claims().to_string())),
        ("HMAC with no key", hs_with(b"", json!({"alg": "HS256"}), &claims().to_string())),
        (
            "another secret",
            hs_with(b"another secret of thirty-two bytes!!", json!({"alg": "HS256"}), &claims().to_string()),
        ),
        ("the demo kid", token(json!({"alg": "HS256", "kid": "tidewire-dev"}))),
        ("kid of another type", token(json!({"alg": "HS256", "kid": 7}))),
        ("crit", token(json!({"alg": "HS256", "crit": ["exp"], "exp": 1}))),
        ("unencoded payload", token(json!({"alg": "HS256", "b64": false}))),
        ("encrypted", token(json!({"alg": "HS256", "enc": "A128GCM"}))),
        ("another typ", token(json!({"alg": "HS256", "typ": "logout+jwt"}))),
        ("typ of another type", token(json!({"alg": "HS256", "typ": 1}))),
        ("its own key by jwk", {
            let jwk = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(b"forger's own key, thirty-two bytes")});
            hs_with(b"forger's own key, thirty-two bytes", json!({"alg": "HS256", "jwk": jwk}), &claims().to_string())
        }),
        ("its own key by jku", {
            let header = json!({"alg": "HS256", "jku": "https://evil.example/keys"});
            hs_with(b"forger's own key, thirty-two bytes", header, &claims().to_string())
        }),
        ("another Ed25519 key", ed(OTHER_SEED, Some("ed-1"))),
        ("another Ed25519 key without kid", ed(OTHER_SEED, None)),
        ("an unknown kid", ed(SEED, Some("ed-2"))),
    ]
}

fn forged_claims() -> Vec<(&'static str, String)> {
    let raw = |claims: &str| hs_with(SECRET.as_bytes(), json!({"alg": "HS256"}), claims);
    let overflow = claims().to_string().replace(&format!("{}", NOW / 1_000 + 60), "1e400");
    vec![
        ("no exp", plain(&without("exp"))),
        ("exp null", plain(&with("exp", Value::Null))),
        ("exp as text", plain(&with("exp", json!("9999999999")))),
        ("exp as a list", plain(&with("exp", json!([9_999_999_999u64])))),
        ("exp negative", plain(&with("exp", json!(-1)))),
        ("exp true", plain(&with("exp", json!(true)))),
        ("exp too large", raw(&overflow)),
        ("exp beyond all dates", plain(&with("exp", json!(1e300)))),
        ("expired", plain(&with("exp", json!(NOW / 1_000 - 5)))),
        ("nbf in the future", plain(&with("nbf", json!(NOW / 1_000 + 6)))),
        ("nbf as text", plain(&with("nbf", json!("0")))),
        ("nbf null", plain(&with("nbf", Value::Null))),
        ("no aud", plain(&without("aud"))),
        ("aud of another", plain(&with("aud", json!("other")))),
        ("aud as an object", plain(&with("aud", json!({"tidewire": true})))),
        ("aud empty", plain(&with("aud", json!([])))),
        ("aud null", plain(&with("aud", Value::Null))),
        ("no iss", plain(&without("iss"))),
        ("iss of another", plain(&with("iss", json!("https://issuer.example.evil")))),
        ("iss in capitals", plain(&with("iss", json!("HTTPS://issuer.example")))),
        ("iss as a number", plain(&with("iss", json!(7)))),
        ("no sub", plain(&without("sub"))),
        ("sub empty", plain(&with("sub", json!("")))),
        ("sub as a number", plain(&with("sub", json!(7)))),
        ("sub null", plain(&with("sub", Value::Null))),
        ("sub too long", plain(&with("sub", json!("x".repeat(124))))),
        ("sub with a control character", plain(&with("sub", json!("a\nb")))),
        ("no tenant", plain(&without("org"))),
        ("tenant empty", plain(&with("org", json!("")))),
        ("tenant as a list", plain(&with("org", json!(["acme"])))),
        ("tenant too long", plain(&with("org", json!("x".repeat(129))))),
        ("claims are a list", raw("[]")),
        ("claims are no JSON", raw("{")),
        ("a huge token", plain(&with("x", json!("x".repeat(20_000))))),
    ]
}

#[test]
fn forged_tokens_are_refused() {
    let mut forged = forged_headers();
    forged.extend(forged_claims());
    forged.extend([
        ("empty", String::new()),
        ("dots", "..".into()),
        ("one part", "abc".into()),
        ("four parts", format!("{}.x", plain(&claims()))),
        ("five parts", format!("{}.x.y", plain(&claims()))),
        ("white space inside", plain(&claims()).replace('.', ". ")),
        ("padding", format!("{}=", plain(&claims()))),
    ]);
    assert!(forged.len() >= 60, "{}", forged.len());
    for (name, token) in forged {
        let refused = auth().check(&token, NOW);
        assert_eq!(
            refused.as_ref().err().map(|error| error.code.as_str()),
            Some("unauthorized"),
            "{name}: {refused:?}"
        );
    }
}

#[test]
fn any_changed_letter_is_refused() {
    let token = plain(&claims());
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).expect("text");
        if changed == token {
            continue;
        }
        assert!(auth().check(&changed, NOW).is_err(), "letter {at}");
    }
}

#[test]
fn demo_tokens_need_dev() {
    let config = Config::parse("t", TOML).expect("parses").auth;
    assert_eq!(auth().issue(&alice(), 60, NOW), None);
    let dev = Auth::new(&config, Some("the demo secret, thirty-two bytes long"), PAUSE);
    let (token, expires) = dev.issue(&alice(), 60, NOW).expect("a token");
    assert_eq!(expires, NOW + 60_000);
    assert_eq!(dev.check(&token, NOW).expect("accepted").principal.owner.subject, "alice");
    assert!(dev.check(&token, NOW + 66_000).is_err());
    assert!(auth().check(&token, NOW).is_err(), "not without --dev");
}

#[tokio::test]
async fn the_header_must_be_a_bearer() {
    let token = plain(&claims());
    assert!(auth().verify_header(Some(&format!("Bearer {token}")), NOW).await.is_ok());
    for bad in [None, Some(""), Some("Basic YTpi"), Some("Bearer"), Some("Bearer ")] {
        assert!(auth().verify_header(bad, NOW).await.is_err(), "{bad:?}");
    }
    assert!(auth().verify_header(Some(&token), NOW).await.is_err());
}

#[test]
fn roles_and_app_are_where_the_configuration_says() {
    let read = |toml: &str, more: Value| {
        let config = Config::parse("t", &TOML.replace("leeway = 5", toml)).expect("parses").auth;
        let mut claims = claims();
        claims.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let token = hs(json!({"alg": "HS256"}), &claims);
        Auth::new(&config, None, PAUSE)
            .check(&token, NOW)
            .map(|identity| (identity.principal.roles, identity.principal.app))
    };
    let roles = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(read("", json!({})), Ok((vec![], None)));
    assert_eq!(read("", json!({"roles": ["b", "a", "b"], "app": "web"})), Ok((roles(&["a", "b"]), Some("web".into()))));
    assert_eq!(read("", json!({"roles": "a", "app": null})), Ok((roles(&["a"]), None)));
    // As Supabase, Keycloak and Auth0 have them.
    let nested = "roles_claim = \"/app_metadata/role\"\napp_claim = \"azp\"";
    assert_eq!(
        read(nested, json!({"app_metadata": {"role": "staff"}, "azp": "desk"})),
        Ok((roles(&["staff"]), Some("desk".into())))
    );
    let deep = "roles_claim = \"/resource_access/my~1app/roles\"";
    assert_eq!(read(deep, json!({"resource_access": {"my/app": {"roles": ["x"]}}})), Ok((roles(&["x"]), None)));
    let name = "roles_claim = \"https://acme.example/roles\"";
    assert_eq!(read(name, json!({"https://acme.example/roles": ["x"]})), Ok((roles(&["x"]), None)));
    let subject = "subject_claim = \"user_id\"";
    assert!(read(subject, json!({})).is_err(), "`sub` is another's name then");
    assert!(read(subject, json!({"user_id": "u"})).is_ok());
    // What is of another type does not count as absent.
    for bad in [json!(7), json!([7]), json!([""]), json!({"a": true}), json!(["a\n"]), json!(vec!["r"; 101])] {
        assert!(read("", json!({"roles": bad})).is_err(), "{bad}");
    }
    for bad in [json!(7), json!([]), json!(""), json!("a\n")] {
        assert!(read("", json!({"app": bad})).is_err(), "{bad}");
    }
}

/// The claims as docs/OPERATIONS.md says that these issuers write them, with what it says to configure.
#[test]
fn the_recipes_read_the_tokens_of_their_issuers() {
    let recipes = [
        (
            "Auth0",
            r#"tenant_claim = "org_id"
roles_claim = "https://example.com/roles"
app_claim = "azp""#,
            json!({
                "sub": "auth0|65f1", "azp": "client", "org_id": "acme", "scope": "openid", "gty": "password",
                "https://example.com/roles": ["admin"],
            }),
            ("auth0|65f1", &["admin"][..], Some("client")),
        ),
        (
            "Clerk",
            r#"tenant_claim = "tenant""#,
            json!({
                "sub": "user_2abc", "azp": "https://app.example.com", "sid": "sess_1", "tenant": "acme",
                "roles": ["org:admin"],
            }),
            ("user_2abc", &["org:admin"][..], None),
        ),
        (
            "Supabase",
            r#"tenant_claim = "/app_metadata/tenant"
roles_claim = "/app_metadata/roles""#,
            json!({
                "sub": "0e4a-uuid", "role": "authenticated", "aal": "aal1", "session_id": "s",
                "app_metadata": {"provider": "email", "tenant": "acme", "roles": ["staff"]}, "user_metadata": {},
            }),
            ("0e4a-uuid", &["staff"][..], None),
        ),
        (
            "Firebase",
            r#"tenant_claim = "tenant""#,
            json!({
                "sub": "uid1", "user_id": "uid1", "auth_time": 1, "tenant": "acme", "roles": ["a", "b"],
                "firebase": {"identities": {}, "sign_in_provider": "password"},
            }),
            ("uid1", &["a", "b"][..], None),
        ),
        (
            "Keycloak",
            r#"tenant_claim = "org"
roles_claim = "/realm_access/roles"
app_claim = "azp""#,
            json!({"sub": "f:1", "azp": "desk", "org": "acme", "typ": "Bearer", "realm_access": {"roles": ["user"]}}),
            ("f:1", &["user"][..], Some("desk")),
        ),
    ];
    for (issuer, toml, more, (subject, roles, app)) in recipes {
        let toml = TOML.replace("tenant_claim = \"org\"", toml);
        let auth = Auth::new(&Config::parse("t", &toml).expect("parses").auth, None, PAUSE);
        let mut claims = json!({"iss": "https://issuer.example", "aud": "tidewire", "exp": NOW / 1_000 + 60});
        claims.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let found = auth.check(&plain(&claims), NOW).unwrap_or_else(|error| panic!("{issuer}: {error}")).principal;
        let told = (found.owner.tenant.as_str(), found.owner.subject.as_str(), found.app.as_deref());
        assert_eq!(told, ("acme", subject, app), "{issuer}");
        assert_eq!(found.roles, roles, "{issuer}");
    }
}
