//! Tokens of an issuer who publishes keys: RS256, ES256, EdDSA; rotation; an issuer who does not answer.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::live::Live;
use common::{Server, now};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tidewire_server::Timeouts;
use tidewire_server::config::Config;
use tokio::net::TcpListener;

const RSA_1: &str = include_str!("fixtures/rsa-1.pem");
const RSA_2: &str = include_str!("fixtures/rsa-2.pem");
const P256: &str = include_str!("fixtures/p256.pem");
/// The first test key of RFC 8032 §7.1, as PKCS#8 without the public half.
const ED25519: &str = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
const ED25519_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// An issuer on this machine.
#[derive(Clone)]
struct Issuer {
    url: String,
    /// What it answers.
    answer: Arc<Mutex<(StatusCode, String)>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/keys.json", listener.local_addr().expect("an address"));
        let issuer = Self { url, answer: Arc::default(), asked: Arc::default() };
        issuer.publish(keys);
        let it = issuer.clone();
        let answer = move || {
            it.asked.fetch_add(1, Ordering::SeqCst);
            let (status, body) = it.answer.lock().expect("no panic").clone();
            async move { (status, body) }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/keys.json", get(answer))).await });
        issuer
    }

    fn publish(&self, keys: &[Value]) {
        self.says(StatusCode::OK, &json!({"keys": keys}).to_string());
    }

    fn says(&self, status: StatusCode, body: &str) {
        *self.answer.lock().expect("no panic") = (status, body.to_owned());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn toml(&self) -> String {
        format!(
            "[auth]\nissuer = \"i\"\naudience = \"a\"\nhs256_secret = \"{}\"\njwks_url = \"{}\"\n[collections.notes]\n",
            "s".repeat(32),
            self.url
        )
    }

    async fn server(&self, pause: Duration) -> Server {
        let timeouts = Timeouts { jwks_pause: pause, ..Timeouts::default() };
        Server::start_with(&self.toml(), timeouts).await
    }
}

fn rsa(pem: &str) -> EncodingKey {
    EncodingKey::from_rsa_pem(pem.as_bytes()).expect("a key")
}

fn p256() -> EncodingKey {
    EncodingKey::from_ec_pem(P256.as_bytes()).expect("a key")
}

fn ed25519() -> EncodingKey {
    EncodingKey::from_ed_der(&base64::engine::general_purpose::STANDARD.decode(ED25519).expect("base64"))
}

fn jwk(key: &EncodingKey, algorithm: Algorithm, kid: &str) -> Value {
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).expect("a JWK")).expect("JSON");
    jwk["kid"] = json!(kid);
    jwk["use"] = json!("sig");
    jwk
}

fn rsa_jwk(pem: &str, kid: &str) -> Value {
    jwk(&rsa(pem), Algorithm::RS256, kid)
}

fn token(key: &EncodingKey, algorithm: Algorithm, kid: Option<&str>) -> String {
    let claims = json!({"iss": "i", "aud": "a", "sub": "alice", "tenant": "acme", "exp": now() / 1_000 + 60});
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, &claims, key).expect("a token")
}

async fn status(server: &Server, token: &str) -> u16 {
    server.get(token, "/api/sync/status").await.status.as_u16()
}

#[tokio::test]
async fn each_kind_of_key_is_accepted_with_its_own_algorithm_only() {
    let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": ED25519_X, "kid": "ed"});
    // What is of no use here does not spoil the rest.
    let others = [
        json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode([7; 32]), "kid": "shared", "alg": "HS256"}),
        json!({"kty": "OKP", "crv": "X25519", "x": ED25519_X, "kid": "x"}),
        json!({"kty": "new", "kid": "n"}),
        json!(7),
        {
            let mut encrypts = rsa_jwk(RSA_2, "enc");
            encrypts["use"] = json!("enc");
            encrypts
        },
        {
            let mut other = rsa_jwk(RSA_2, "ps");
            other["alg"] = json!("PS256");
            other
        },
    ];
    let keys = [rsa_jwk(RSA_1, "rsa"), jwk(&p256(), Algorithm::ES256, "ec"), ed];
    let issuer = Issuer::start(&[&keys[..], &others[..]].concat()).await;
    let server = issuer.server(Duration::from_secs(10)).await;
    assert_eq!(issuer.asked(), 1, "at the start");
    for (key, algorithm, kid) in
        [(rsa(RSA_1), Algorithm::RS256, "rsa"), (p256(), Algorithm::ES256, "ec"), (ed25519(), Algorithm::EdDSA, "ed")]
    {
        assert_eq!(status(&server, &token(&key, algorithm, Some(kid))).await, 200, "{kid}");
        assert_eq!(status(&server, &token(&key, algorithm, None)).await, 200, "{kid}, not named");
    }
    let shared = EncodingKey::from_secret(&[7; 32]);
    // The public half as a shared secret, in the forms that forgers have it in.
    let public = |text: &str| EncodingKey::from_secret(text.as_bytes());
    let modulus = keys[0]["n"].as_str().expect("a modulus").to_owned();
    let forged = [
        ("a shared secret of the set", token(&shared, Algorithm::HS256, Some("shared"))),
        ("HMAC with the modulus", token(&public(&modulus), Algorithm::HS256, Some("rsa"))),
        ("HMAC with the JWK", token(&public(&keys[0].to_string()), Algorithm::HS256, Some("rsa"))),
        ("another RSA key under a name", token(&rsa(RSA_2), Algorithm::RS256, Some("rsa"))),
        ("another RSA key without a name", token(&rsa(RSA_2), Algorithm::RS256, None)),
        ("a key for encryption", token(&rsa(RSA_2), Algorithm::RS256, Some("enc"))),
        ("a key for another algorithm", token(&rsa(RSA_2), Algorithm::RS256, Some("ps"))),
        ("PS256 with a key for RS256", token(&rsa(RSA_1), Algorithm::PS256, Some("rsa"))),
        ("RS512 with a key for RS256", token(&rsa(RSA_1), Algorithm::RS512, Some("rsa"))),
        ("the name of a key of another kind", token(&p256(), Algorithm::ES256, Some("rsa"))),
    ];
    for (name, token) in forged {
        assert_eq!(status(&server, &token).await, 401, "{name}");
    }
}

#[tokio::test]
async fn a_name_that_is_not_known_has_the_keys_read_again_but_not_for_each_forger() {
    let issuer = Issuer::start(&[rsa_jwk(RSA_1, "one")]).await;
    let server = issuer.server(Duration::ZERO).await;
    let (old, new) =
        (token(&rsa(RSA_1), Algorithm::RS256, Some("one")), token(&rsa(RSA_2), Algorithm::RS256, Some("two")));
    assert_eq!((status(&server, &old).await, status(&server, &new).await), (200, 401));
    // Rotation: both for a time, then the new one alone.
    issuer.publish(&[rsa_jwk(RSA_1, "one"), rsa_jwk(RSA_2, "two")]);
    assert_eq!((status(&server, &new).await, status(&server, &old).await), (200, 200));
    issuer.publish(&[rsa_jwk(RSA_2, "two")]);
    let unknown = token(&rsa(RSA_1), Algorithm::RS256, Some("three"));
    assert_eq!((status(&server, &unknown).await, status(&server, &old).await), (401, 401), "withdrawn");
    assert_eq!(status(&server, &new).await, 200);
    // Once in a while, whoever asks: also where all come at once.
    let server = issuer.server(Duration::from_secs(60)).await;
    let before = issuer.asked();
    let all = futures_util::future::join_all((0..20).map(|_| status(&server, &unknown))).await;
    assert!(all.iter().all(|status| *status == 401), "{all:?}");
    assert_eq!(issuer.asked(), before, "the start was a moment ago");
}

#[tokio::test]
async fn an_issuer_who_does_not_answer_makes_nobody_a_stranger() {
    let issuer = Issuer::start(&[]).await;
    let good = token(&rsa(RSA_1), Algorithm::RS256, Some("one"));
    for (status, body) in [(500, "{}"), (200, "<html>"), (200, "{\"keys\": []}"), (302, "")] {
        issuer.says(StatusCode::from_u16(status).expect("a status"), body);
        let server = issuer.server(Duration::ZERO).await;
        let answer = server.get(&good, "/api/sync/status").await;
        assert_eq!(answer.refused(), (503, "server-error".into()), "{status} {body}");
        assert_eq!(answer.header("retry-after"), "1");
        assert!(!answer.json().to_string().contains("127.0.0.1"), "nothing internal: {}", answer.json());
        // Who signs with a key of the configuration is known all the same.
        let own = EncodingKey::from_secret("s".repeat(32).as_bytes());
        assert_eq!(crate::status(&server, &token(&own, Algorithm::HS256, None)).await, 200);
        issuer.publish(&[rsa_jwk(RSA_1, "one")]);
        assert_eq!(crate::status(&server, &good).await, 200, "it is back");
        // What was read stays good while it is away again.
        issuer.says(StatusCode::BAD_GATEWAY, "");
        assert_eq!(crate::status(&server, &good).await, 200);
        let other = token(&rsa(RSA_2), Algorithm::RS256, Some("two"));
        assert_eq!(crate::status(&server, &other).await, 503, "it may be a new key");
    }
}

#[tokio::test]
async fn the_live_channel_takes_such_tokens_and_says_when_it_cannot_tell() {
    let issuer = Issuer::start(&[rsa_jwk(RSA_1, "one")]).await;
    let live = Live::start_with(&issuer.toml(), Timeouts { jwks_pause: Duration::ZERO, ..Timeouts::default() }).await;
    let auth = |token: &str| json!({"t": "auth", "v": 1, "token": token, "replica": "r", "collections": ["notes"]});
    let (_socket, ready) = live.ready(auth(&token(&rsa(RSA_1), Algorithm::RS256, Some("one")))).await;
    assert_eq!(ready["user"], json!({"tenant": "acme", "subject": "alice"}));
    issuer.says(StatusCode::BAD_GATEWAY, "");
    let mut socket = live.connect(None).await.expect("a socket");
    socket.say(&auth(&token(&rsa(RSA_2), Algorithm::RS256, Some("two")))).await;
    assert_eq!(socket.closed().await, (1011, json!("server-error")));
}

#[tokio::test]
async fn keys_of_the_configuration_are_given_as_files_have_them() {
    let public = |pem: &str, algorithm| {
        let key = if algorithm == Algorithm::RS256 { rsa(pem) } else { p256() };
        let jwk = jwk(&key, algorithm, "");
        spki(&jwk)
    };
    let toml = format!(
        "[auth]\nissuer = \"i\"\naudience = \"a\"\n[[auth.rs256]]\nkid = \"r\"\nkey = \"\"\"\n{}\"\"\"\n\
         [[auth.es256]]\nkey = \"\"\"\n{}\"\"\"\n[collections.notes]\n",
        public(RSA_1, Algorithm::RS256),
        public(P256, Algorithm::ES256)
    );
    let server = Server::without_dev(&toml).await;
    assert_eq!(status(&server, &token(&rsa(RSA_1), Algorithm::RS256, Some("r"))).await, 200);
    assert_eq!(status(&server, &token(&p256(), Algorithm::ES256, None)).await, 200);
    assert_eq!(status(&server, &token(&rsa(RSA_2), Algorithm::RS256, Some("r"))).await, 401);
    let error = |text: &str| Config::parse("t.toml", text).expect_err("refused").to_string();
    let short = "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDJ9qHVPkRAKzLJjj2ecIo+va1r\n\
                 sg7JbMpThdTkcAgtsHWKlzahbdZyfpX46Ye4D+QBsn8icitnkBS8V72AUy98ro/e\n\
                 5velBc0ucmRRZ459cyQQVIwl4LW1dt6Q2mEp3UtEeHHdFOGpi+fCchtfBNAseTWI\n\
                 poz5n9tODuKzlEJT6QIDAQAB\n-----END PUBLIC KEY-----\n";
    let told = error(&format!("[[auth.rs256]]\nkey = \"\"\"{short}\"\"\"\n"));
    assert!(told.starts_with("t.toml:2: auth.rs256.key: this RSA key has less than 2048 bits"), "{told}");
    let told = error("[[auth.es256]]\nkey = \"x\"\n");
    assert!(told.starts_with("t.toml:2: auth.es256.key: this is no P-256 public key"), "{told}");
    let others = ["http://issuer.example/keys", "https://", "ftp://x/y", "keys.json", "https://user@issuer.example/"];
    for bad in others {
        let told = error(&format!("[auth]\njwks_url = \"{bad}\"\n"));
        assert!(told.starts_with("t.toml:2: auth.jwks_url: this is no address of keys"), "{told}");
    }
}

/// The text of a `PUBLIC KEY` file (RFC 5280, 8017, 5480).
fn spki(jwk: &Value) -> String {
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().expect("a text")).expect("base64");
    let der = |tag: u8, body: &[u8]| -> Vec<u8> {
        let length = body.len();
        let head = match length {
            0..128 => vec![tag, length as u8],
            128..256 => vec![tag, 0x81, length as u8],
            _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        };
        [&head[..], body].concat()
    };
    let bits = |body: &[u8]| der(3, &[&[0], body].concat());
    let (algorithm, key): (&[u8], Vec<u8>) = if jwk["kty"] == "RSA" {
        let number = |name| der(2, &[&[0], &bytes(name)[..]].concat());
        let body = der(0x30, &[number("n"), der(2, &bytes("e"))].concat());
        (&[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00], body)
    } else {
        const P256: [u8; 21] = [
            0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
            0x03, 0x01, 0x07,
        ];
        (&P256, [&[4], &bytes("x")[..], &bytes("y")[..]].concat())
    };
    let text = base64::engine::general_purpose::STANDARD.encode(der(0x30, &[algorithm, &bits(&key)].concat()));
    format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
}
