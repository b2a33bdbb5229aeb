//! How many bytes the server sends for fixed data. `cargo xtask work` reads the lines and compares.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

mod common;

use std::time::Duration;

use common::{Server, insert, note, patch, rev};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tidewire_server::serve;
use tokio_tungstenite::tungstenite::Message;

/// Mutations in a push, below the server's bound.
const PUSH: u64 = 500;

#[tokio::test]
async fn pull_of_a_thousand_rows() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let document =
        |i| json!({"title": format!("The title of number {i:04}"), "done": false, "amount": i, "tags": ["a"]});
    for first in [0, PUSH] {
        let rows: Vec<Value> =
            (first..first + PUSH).map(|i| insert("notes", &format!("n{i:04}"), document(i))).collect();
        server.push(&alice, "r", 1 + first, &rows).await;
    }
    // Not compressed: how often a stream is flushed, and so its length, is a matter of time.
    let answer = server.post(&alice, "/api/sync/pull", common::pull_body(None, &["notes"]).to_string()).await;
    assert_eq!(answer.status.as_u16(), 200);
    println!("bytes  pull of 1,000 rows  {}", answer.bytes.len());
}

#[tokio::test]
async fn frame_and_answer_of_one_field() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let made = server.push(&alice, "r", 1, &[note("a")]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("ws://{}/api/sync/live", listener.local_addr().expect("an address"));
    tokio::spawn(serve::serve(listener, server.state.clone()));
    let (mut socket, _) = tokio_tungstenite::connect_async(address).await.expect("a socket");
    let auth = json!({"t": "auth", "v": 1, "token": alice, "replica": "reader", "collections": ["notes"]});
    socket.send(Message::text(auth.to_string())).await.expect("sent");
    let mut hear = async || {
        let message = tokio::time::timeout(Duration::from_secs(10), socket.next()).await.expect("in time");
        message.expect("open").expect("no error").into_text().expect("text").len()
    };
    println!("bytes  ready of a socket  {}", hear().await);
    let edit = patch("notes", "a", rev(&made[0]), "/title", json!("a"), json!("another"));
    let mut push = common::push_body("r", 2, &[edit]);
    // A device that has pulled names the history; to one that has not, the answer says it.
    push["history"] = json!(server.state.store.history());
    let answer = server.post(&alice, "/api/sync/push", push.to_string()).await;
    println!("bytes  answer to a push of one field  {}", answer.bytes.len());
    println!("bytes  live frame of one field  {}", hear().await);
}
