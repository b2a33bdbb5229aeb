//! Pushes on the live channel: what `POST push` says of them, and nothing else.

mod common;

use std::time::Duration;

use axum::http::StatusCode;
use common::live::{Live, Socket};
use common::{TOML, insert, note, patch, push_body, rev};
use serde_json::{Value, json};
use tidewire_core::limits::LIVE_MESSAGE_BYTES_MAX;
use tidewire_server::Timeouts;

/// The answer with this number; frames may come before it.
async fn answer(socket: &mut Socket, id: u64) -> Value {
    loop {
        let heard = socket.hear().await;
        if heard["t"] == "answer" {
            assert_eq!(heard["id"], id);
            return heard;
        }
        assert_eq!(heard["t"], "frame");
    }
}

async fn push(socket: &mut Socket, id: u64, body: &Value) -> Value {
    socket.say(&json!({"t": "push", "id": id, "body": body})).await;
    answer(socket, id).await
}

/// An answer without what differs from one time to the next.
fn timeless(mut body: Value) -> Value {
    let fields = body.as_object_mut().expect("an object");
    fields.remove("now");
    // Each server has its own.
    fields.remove("history");
    body
}

async fn status_of(live: &Live, id: &str) -> u16 {
    let path = format!("/api/sync/entities/notes/{id}");
    live.server.get(&live.server.token("alice"), &path).await.status.as_u16()
}

#[tokio::test]
async fn the_answers_are_those_of_http() {
    let toml = format!("[server]\nmax_push_mutations = 3\n{TOML}");
    let (http, channel) = (Live::start_with(&toml, Timeouts::default()), Live::start_with(&toml, Timeouts::default()));
    let (http, channel) = (http.await, channel.await);
    let alice = http.server.token("alice");
    let (mut socket, ready) = channel.ready(channel.auth("alice")).await;
    assert_eq!(ready["push_bytes"], LIVE_MESSAGE_BYTES_MAX);
    let with = |field: &str, value: Value| {
        let mut body = push_body("r", 9, &[note("z")]);
        body[field] = value;
        body
    };
    let notes = push_body("r", 1, &[note("a"), note("b")]);
    let void = json!([{"n": [7, 0]}]);
    for (case, (body, status)) in [
        (notes.clone(), 200),
        (notes, 200),
        (push_body("r", 1, &[note("c")]), 200),
        (push_body("r", 3, &[insert("notes", "d", json!({"title": null}))]), 200),
        (push_body("r", 4, &[patch("notes", "gone", 1, "/title", json!("a"), json!("b"))]), 200),
        (push_body("other", 5, &[patch("notes", "a", 0, "/title", json!("x"), json!("y"))]), 200),
        (with("mutations", void), 200),
        (push_body("r", 10, &[note("e"), note("f"), note("g"), note("h")]), 413),
        (push_body("r", (1 << 53) + 1, &[note("e")]), 400),
        (with("v", json!(2)), 426),
        (with("history", json!("another")), 409),
        (with("as", json!({"tenant": "demo", "subject": "bob"})), 403),
        (json!({"v": 1}), 400),
        (json!("no push"), 400),
    ]
    .into_iter()
    .enumerate()
    {
        let expected = http.server.post(&alice, "/api/sync/push", body.to_string()).await;
        let told = push(&mut socket, case as u64, &body).await;
        assert_eq!((told["status"].as_u64(), expected.status.as_u16()), (Some(status.into()), status), "{body}");
        assert_eq!(timeless(told["body"].clone()), timeless(expected.json()), "{body}");
        assert_eq!(told.get("retry_after"), None);
    }
}

#[tokio::test]
async fn a_store_that_is_closed_says_when_to_come_again() {
    let live = Live::start(Timeouts::default()).await;
    let (mut socket, _) = live.ready(live.auth("alice")).await;
    live.server.state.store.close().await;
    let body = push_body("r", 1, &[note("a")]);
    let told = push(&mut socket, 1, &body).await;
    let alice = live.server.token("alice");
    let expected = live.server.post(&alice, "/api/sync/push", body.to_string()).await;
    assert_eq!(told["status"], expected.status.as_u16());
    assert_eq!((told["status"].clone(), told["retry_after"].clone()), (json!(503), json!(1)));
    assert_eq!((told["body"].clone(), expected.header("retry-after")), (expected.json(), "1"));
}

#[tokio::test]
async fn rule_06_the_same_number_by_both_ways_is_one_mutation() {
    let live = Live::start(Timeouts::default()).await;
    let alice = live.server.token("alice");
    let (mut socket, _) = live.ready(live.auth("alice")).await;
    // The very text counts, not what it means: it is what the device has in its log.
    let m = r#"{"kind":"insert", "c":"notes","id":"a","set":{"/title":"a","/amount":1.0},"base":0,"at":[1,0]}"#;
    let body = format!(
        r#"{{"v":1,"replica":"r","fence":1,"floor":[0,0],"now":{},"mutations":[{{"n":[1,0],"m":{m}}}]}}"#,
        common::now()
    );
    let text = format!(r#"{{"t":"push","id":7,"body":{body}}}"#);
    socket.say_text(&text).await;
    let first = answer(&mut socket, 7).await["body"]["verdicts"][0].clone();
    assert_eq!(first["verdict"], "applied");
    let again = live.server.post(&alice, "/api/sync/push", body).await.json();
    assert_eq!((&again["verdicts"][0]["duplicate"], rev(&again["verdicts"][0])), (&json!(true), rev(&first)));
}

#[tokio::test]
async fn the_others_are_told_and_so_is_the_author() {
    let live = Live::start(Timeouts::default()).await;
    let (mut author, _) = live.ready(live.auth("alice")).await;
    let (mut other, _) = live.ready(live.auth("bob")).await;
    // What comes at once is decided one behind the other.
    let numbers: Vec<u64> = (1..=20).collect();
    let push = |n: &u64| json!({"t": "push", "id": n, "body": push_body("r", *n, &[note(&format!("n{n}"))])});
    author.say_all(&numbers.iter().map(push).collect::<Vec<_>>()).await;
    let mut revs = Vec::new();
    while revs.len() < numbers.len() {
        revs.extend(other.hear().await["changes"].as_array().expect("a frame").iter().map(rev));
    }
    assert_eq!(revs, numbers);
    let (mut answers, mut frames) = (Vec::new(), 0);
    while answers.len() < numbers.len() || frames < numbers.len() {
        let said = author.hear().await;
        match said["t"].as_str() {
            Some("answer") => answers.push(said["id"].as_u64().expect("a number")),
            _ => frames += said["changes"].as_array().expect("a frame").len(),
        }
    }
    assert_eq!(answers, numbers);
}

#[tokio::test]
async fn a_push_under_an_expired_token_is_refused() {
    let live = Live::start(Timeouts::default()).await;
    let (token, expires_ms) = live.server.short_token("alice", 1);
    let mut sockets = Vec::new();
    for _ in 0..8 {
        sockets.push(live.ready(live.auth_with(&token)).await.0);
    }
    // Nothing of the server runs meanwhile, as in a machine that sleeps: its timers come with the messages.
    std::thread::sleep(Duration::from_millis(expires_ms.saturating_sub(common::now()) + 1));
    for (at, socket) in sockets.iter_mut().enumerate() {
        socket.say(&json!({"t": "push", "id": 1, "body": push_body("r", 1 + at as u64, &[note("late")])})).await;
    }
    for socket in &mut sockets {
        assert_eq!(socket.closed().await, (4401, json!("unauthorized")));
    }
    assert_eq!(status_of(&live, "late").await, 404);
}

#[tokio::test]
async fn what_is_no_push_ends_the_socket() {
    let live = Live::start(Timeouts::default()).await;
    let body = push_body("r", 1, &[note("a")]);
    for text in [
        json!({"t": "push", "body": body}).to_string(),
        json!({"t": "push", "id": 1}).to_string(),
        json!({"t": "push", "id": -1, "body": body}).to_string(),
        json!({"t": "push", "id": "1", "body": body}).to_string(),
        format!(r#"{{"t":"push","id":1,"body":{body}"#),
    ] {
        let (mut socket, _) = live.ready(live.auth("alice")).await;
        socket.say_text(&text).await;
        assert_eq!(socket.closed().await, (4400, json!("bad-message")), "{text}");
    }
    // Nor is one taken from somebody who has not said who he is.
    let mut socket = live.connect(None).await.expect("a socket");
    socket.say(&json!({"t": "push", "id": 1, "body": body})).await;
    assert_eq!(socket.closed().await, (4400, json!("bad-message")));
    assert_eq!(status_of(&live, "a").await, 404);
}

#[tokio::test]
async fn a_push_that_is_too_large_is_refused() {
    let live = Live::start_with(&format!("[server]\nmax_push_bytes = 2000\n{TOML}"), Timeouts::default()).await;
    let (mut socket, ready) = live.ready(live.auth("alice")).await;
    assert_eq!(ready["push_bytes"], 2000);
    let body = |size: usize| push_body("r", 1, &[insert("notes", "a", json!({"title": "a".repeat(size)}))]);
    let told = push(&mut socket, 1, &body(3_000)).await;
    let expected = live.server.post(&live.server.token("alice"), "/api/sync/push", body(3_000).to_string()).await;
    assert_eq!(expected.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!((told["status"].clone(), told["body"].clone()), (json!(413), expected.json()));
    // The socket stands; what is larger than any message ends it.
    assert_eq!(push(&mut socket, 2, &body(1_000)).await["status"], 200);
    socket.say(&json!({"t": "push", "id": 3, "body": body(LIVE_MESSAGE_BYTES_MAX)})).await;
    while let Some(Ok(message)) = socket.next().await {
        let text = message.into_text().expect("text");
        assert!(!text.contains("answer"), "{text}");
    }
}
