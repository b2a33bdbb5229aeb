//! What fails inside the store fails alone, says nothing of why, and leaves nothing behind.

mod common;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use common::{Server, TOML, insert, note, patch, push_body};
use serde_json::{Value, json};
use tidewire_server::Timeouts;
use tower::ServiceExt;

fn spoil(server: &Server, sql: &str) {
    let file = server.directory.path().join("tidewire.sqlite");
    let connection = rusqlite::Connection::open(file).expect("opened");
    assert_eq!(connection.execute(sql, []).expect("executed"), 1);
}

#[tokio::test]
async fn a_push_that_fails_in_the_store_is_rolled_back_alone() {
    let server = Server::start().await;
    let alice = server.token("alice");
    server.push(&alice, "r", 1, &[note("spoilt")]).await;
    spoil(&server, "UPDATE entities SET paths = 'canary-8812' WHERE id = 'spoilt'");
    let bad = push_body("r", 2, &[note("half"), patch("notes", "spoilt", 1, "/title", json!("spoilt"), json!("x"))]);
    let good = push_body("q", 1, &[note("good")]);
    // Sent together, so that they share a database transaction.
    let (bad, good) = tokio::join!(
        server.post(&alice, "/api/sync/push", bad.to_string()),
        server.post(&alice, "/api/sync/push", good.to_string())
    );
    assert_eq!(bad.refused(), (500, "server-error".into()));
    assert!(!String::from_utf8_lossy(&bad.bytes).contains("canary"), "nothing internal is told");
    assert_eq!(good.json()["verdicts"][0]["verdict"], "applied");
    assert_eq!(server.get(&alice, "/api/sync/entities/notes/half").await.status, StatusCode::NOT_FOUND);
    // Nothing of it was remembered either: sent again, its first half is new.
    let again = server.push(&alice, "r", 2, &[note("half")]).await;
    assert_eq!((&again[0]["verdict"], again[0].get("duplicate")), (&json!("applied"), None));
}

#[tokio::test]
async fn a_pull_that_cannot_be_read_to_its_end_has_no_done() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let notes: Vec<Value> = (0..600).map(|i| note(&format!("n{i}"))).collect();
    server.push(&alice, "r", 1, &notes).await;
    spoil(&server, "UPDATE entities SET groups = 'canary' WHERE id = 'n599'");
    let answer = server.post(&alice, "/api/sync/pull", common::pull_body(None, &["notes"]).to_string()).await;
    let text = String::from_utf8_lossy(&answer.bytes);
    assert!(!text.contains(r#""done":true"#) && !text.contains("canary"), "cut, without a reason");
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let server = Server::start().await;
    server.state.store.close().await;
    let file = server.directory.path().join("tidewire.sqlite");
    let connection = rusqlite::Connection::open(file).expect("opened");
    connection.pragma_update(None, "user_version", 99).expect("written");
    let policy = server.state.policy.clone();
    let opened = tidewire_server::store::Store::open(server.directory.path(), policy, Duration::from_secs(1));
    let error = opened.err().expect("refused");
    assert!(error.to_string().contains("99"), "{error}");
}

#[tokio::test]
async fn a_pull_that_nobody_reads_is_cut_and_gives_its_place_back() {
    let timeouts = Timeouts { slow_reader: Duration::from_millis(200), ..Timeouts::default() };
    let server = Server::start_with(TOML, timeouts).await;
    let alice = server.token("alice");
    let body = "x".repeat(100_000);
    let large: Vec<Value> =
        (0..50).map(|i| insert("notes", &format!("n{i}"), json!({"title": "t", "body": body}))).collect();
    server.push(&alice, "r", 1, &large).await;
    let free = server.state.pulls.available_permits();
    let request = Request::builder()
        .method(Method::POST)
        .uri("/api/sync/pull")
        .header("authorization", format!("Bearer {alice}"))
        .body(Body::from(common::pull_body(None, &["notes"]).to_string()))
        .expect("a request");
    let unread = server.router.clone().oneshot(request).await.expect("an answer");
    assert_eq!(unread.status(), StatusCode::OK);
    assert_eq!(server.state.pulls.available_permits(), free - 1);
    let ended = async {
        while server.state.pulls.available_permits() < free {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("cut");
    drop(unread);
}
