//! Sessions that are ended before their tokens expire.

mod common;

use common::live::Live;
use common::{Server, now};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rusqlite::Connection;
use serde_json::{Value, json};
use tidewire_server::Timeouts;

const TOML: &str = r#"
[auth]
issuer = "i"
audience = "a"
leeway = 0
hs256_secret = "a secret of at least thirty-two bytes"
[admin]
roles = ["admin"]
[collections.notes]
[collections.drafts]
"#;

fn token(user: &str, more: Value) -> String {
    let seconds = now() / 1_000;
    let mut claims = json!({"iss": "i", "aud": "a", "sub": user, "tenant": "acme", "exp": seconds + 600});
    claims.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let key = EncodingKey::from_secret(b"a secret of at least thirty-two bytes");
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).expect("a token")
}

/// A token of a session that began a while ago.
fn old(user: &str, session: &str) -> String {
    token(user, json!({"sid": session, "iat": now() / 1_000 - 100}))
}

fn admin() -> String {
    token("root", json!({"roles": ["admin"]}))
}

async fn status(server: &Server, token: &str) -> u16 {
    server.get(token, "/api/sync/status").await.status.as_u16()
}

async fn post(server: &Server, token: &str, path: &str) -> Value {
    let answer = server.post(token, &format!("/api/sync/sessions/{path}"), "").await;
    let mut said = answer.json();
    said["status"] = json!(answer.status.as_u16());
    said
}

#[tokio::test]
async fn a_session_ends_and_the_users_others_go_on() {
    let server = Server::start_with(TOML, Timeouts::default()).await;
    let (one, other, same) = (old("alice", "s1"), old("alice", "s2"), token("alice", json!({"sid": "s1"})));
    let ended = post(&server, &admin(), "s1/revoke").await;
    assert_eq!((&ended["status"], &ended["session"]), (&json!(200), &json!("s1")));
    assert_eq!((status(&server, &one).await, status(&server, &other).await), (401, 200));
    assert_eq!(status(&server, &same).await, 401, "a new token of that session neither");
    let told = server.get(&one, "/api/sync/status").await;
    assert_eq!(told.refused(), (401, "unauthorized".into()));
    assert_eq!(told.json()["message"], "this session was ended: sign in again");
    // Where tokens have names and no session, the name is the session.
    let named = token("alice", json!({"jti": "t1"}));
    post(&server, &admin(), "t1/revoke").await;
    assert_eq!(status(&server, &named).await, 401);
    // In another tenant a session of the same id is another.
    let elsewhere = token("alice", json!({"sid": "s1", "tenant": "other"}));
    assert_eq!(status(&server, &elsewhere).await, 200);
    // It is remembered.
    let server = server.restart(TOML).await;
    assert_eq!((status(&server, &one).await, status(&server, &other).await), (401, 200));
}

#[tokio::test]
async fn all_of_a_user_end_and_he_can_sign_in_again() {
    let server = Server::start_with(TOML, Timeouts::default()).await;
    let (one, ageless, bobs) = (old("alice", "s1"), token("alice", json!({})), old("bob", "s3"));
    let ended = post(&server, &admin(), "revoke-all?sub=alice").await;
    assert_eq!((&ended["status"], &ended["subject"]), (&json!(200), &json!("alice")));
    assert_eq!(
        (status(&server, &one).await, status(&server, &ageless).await, status(&server, &bobs).await),
        (401, 401, 200)
    );
    let at = ended["now"].as_u64().expect("a time");
    let again = token("alice", json!({"sid": "s4", "iat": at / 1_000 + 1}));
    assert_eq!(status(&server, &again).await, 200);
}

#[tokio::test]
async fn who_is_no_administrator_ends_his_own_only() {
    let server = Server::start_with(TOML, Timeouts::default()).await;
    let (alice, bob) = (old("alice", "s1"), old("bob", "s3"));
    for path in ["s1/revoke", "revoke-all?sub=alice"] {
        let refused = post(&server, &bob, path).await;
        assert_eq!((&refused["status"], &refused["code"]), (&json!(403), &json!("forbidden")), "{path}");
    }
    assert_eq!(status(&server, &alice).await, 200);
    assert_eq!(post(&server, &bob, "revoke-all").await["subject"], "bob");
    assert_eq!(status(&server, &bob).await, 401);
    assert_eq!(post(&server, &alice, "s1/revoke").await["status"], 200);
    assert_eq!(status(&server, &alice).await, 401);
    for path in ["revoke-all?user=x", "revoke-all?sub="] {
        assert_eq!(post(&server, &admin(), path).await["status"], 400, "{path}");
    }
    let nobody = post(&server, "", "s1/revoke").await;
    assert_eq!(nobody["status"], 401);
}

#[tokio::test]
async fn sockets_of_an_ended_session_close_at_once_and_others_stay() {
    let live = Live::start_with(TOML, Timeouts::default()).await;
    let auth = |token: &str| live.auth_with(token);
    let (mut ended, _) = live.ready(auth(&old("alice", "s1"))).await;
    let (mut stays, _) = live.ready(auth(&old("alice", "s2"))).await;
    let (mut refreshed, _) = live.ready(auth(&old("bob", "s3"))).await;
    post(&live.server, &admin(), "s1/revoke").await;
    assert_eq!(ended.closed().await, (4401, json!("unauthorized")));
    stays.say(&json!({"t": "ping"})).await;
    assert_eq!(stays.hear().await["t"], "pong");
    // A new token of a session that has ended does not help.
    post(&live.server, &admin(), "s9/revoke").await;
    refreshed.say(&json!({"t": "token", "token": old("bob", "s9")})).await;
    assert_eq!(refreshed.closed().await, (4401, json!("unauthorized")));
    post(&live.server, &admin(), "revoke-all?sub=alice").await;
    assert_eq!(stays.closed().await, (4401, json!("unauthorized")));
}

#[tokio::test]
async fn a_session_that_is_no_text_is_refused() {
    let server = Server::start_with(TOML, Timeouts::default()).await;
    for claims in [json!({"sid": 7}), json!({"sid": ""}), json!({"sid": {"a": 1}}), json!({"jti": 7})] {
        assert_eq!(status(&server, &token("alice", claims.clone())).await, 401, "{claims}");
    }
    assert_eq!(status(&server, &token("alice", json!({"sid": null, "jti": "t"}))).await, 200);
}

/// Whoever ended a session after a theft does not expect a backup to bring it back.
#[tokio::test]
async fn a_restored_server_has_ended_sessions_ended() {
    let server = Server::start_with(TOML, Timeouts::default()).await;
    let stolen = old("alice", "s1");
    let copy = server.directory.path().join("copy.sqlite");
    let database = Connection::open(server.directory.path().join("tidewire.sqlite")).expect("it opens");
    database.execute("VACUUM INTO ?1", [copy.to_str()]).expect("a copy");
    drop(database);
    post(&server, &admin(), "s1/revoke").await;
    server.state.store.close().await;
    let Server { directory, .. } = server;
    tidewire_server::store::sqlite::restore(directory.path(), &copy).expect("restored");
    let server = Server::open(directory, TOML, Timeouts::default()).await;
    assert_eq!(status(&server, &stolen).await, 401);
    assert_eq!(status(&server, &old("alice", "s2")).await, 200);
}

#[tokio::test]
async fn a_session_claim_of_another_name_is_read() {
    let toml = TOML.replace("leeway = 0", "leeway = 0\nsession_claim = \"session_id\"");
    let server = Server::start_with(&toml, Timeouts::default()).await;
    let token = token("alice", json!({"session_id": "x y/z", "sid": "other"}));
    assert_eq!(post(&server, &admin(), "x%20y%2Fz/revoke").await["session"], "x y/z");
    assert_eq!(status(&server, &token).await, 401);
}
