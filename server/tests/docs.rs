//! The examples of the docs are read into the types that they show.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tidewire_core::error::Code;
use tidewire_core::ids::Owner;
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::model::mutation::Mutation;
use tidewire_core::protocol::message::{
    AnswerBody, Applied, Change, Checkpoint, ClientMessage, Cursor, ErrorBody, Pull, PullHeader, Push, PushAnswer,
    ServerMessage,
};
use tidewire_server::config::Config;

const PROTOCOL: &str = include_str!("../../docs/PROTOCOL.md");
const OPERATIONS: &str = include_str!("../../docs/OPERATIONS.md");

/// The blocks of a page: what stands behind the fence, and the text.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let mut parts = page.split("```");
    parts.next();
    let mut blocks = Vec::new();
    while let (Some(block), _) = (parts.next(), parts.next()) {
        blocks.push(block.split_once('\n').expect("a fence and a text"));
    }
    blocks
}

/// Reads an example and writes it again: a field that the type does not know would be gone.
fn round_trip<T: DeserializeOwned + Serialize>(text: &str) -> (Value, Value) {
    let read: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"));
    let written = json::to_value(&read);
    (serde_json::from_str(text).expect("JSON"), written)
}

fn header(text: &str) -> (Value, Value) {
    let line: Value = serde_json::from_str(text).expect("JSON");
    round_trip::<PullHeader>(&line["pull"].to_string())
}

/// The server only writes its messages: an example is what it writes from the example's parts.
fn said(text: &str) -> (Value, Value) {
    #[derive(Deserialize)]
    struct Parts {
        now: Option<u64>,
        user: Option<Owner>,
        after: Option<Cursor>,
        cursor: Option<Cursor>,
        changes: Option<Vec<Change>>,
        code: Option<Code>,
        message: Option<String>,
        push_bytes: Option<usize>,
        applied: Option<Vec<Applied>>,
        id: Option<u64>,
        status: Option<u16>,
        retry_after: Option<u32>,
        seq: Option<u64>,
    }
    let shown: Value = serde_json::from_str(text).expect("JSON");
    let parts: Parts = serde_json::from_str(text).expect("a message");
    let message = match (shown["t"].as_str().expect("a tag"), parts) {
        ("ready", Parts { now: Some(now), user: Some(user), cursor: Some(cursor), push_bytes, .. }) => {
            ServerMessage::Ready { now, user, cursor, push_bytes }
        }
        ("frame", Parts { after: Some(after), cursor: Some(cursor), applied, changes: Some(changes), .. }) => {
            ServerMessage::Frame { after, cursor, applied: applied.unwrap_or_default(), changes }
        }
        ("answer", Parts { id: Some(id), status: Some(status), retry_after, .. }) => {
            let body = shown["body"].to_string();
            let body = match status {
                200 => AnswerBody::Push(serde_json::from_str(&body).expect("an answer")),
                _ => AnswerBody::Error(serde_json::from_str(&body).expect("a refusal")),
            };
            ServerMessage::Answer { id, status, retry_after, body }
        }
        ("error", Parts { code: Some(code), message: Some(message), .. }) => ServerMessage::Error { code, message },
        ("pull", _) => ServerMessage::Pull,
        ("ping", _) => ServerMessage::Ping,
        ("pong", Parts { seq: Some(seq), .. }) => ServerMessage::Pong { seq },
        (other, _) => panic!("`{other}` lacks a part, or nobody says it"),
    };
    (shown, json::to_value(&message))
}

/// What a client says; the push in it is read apart.
fn asked(text: &str) -> (Value, Value) {
    let (mut shown, written) = round_trip::<ClientMessage>(text);
    if let Some(body) = shown.as_object_mut().expect("an object").remove("body") {
        let (shown, written) = round_trip::<Push>(&body.to_string());
        assert_eq!(shown, written);
    }
    (shown, written)
}

#[test]
fn every_example_of_the_protocol_is_a_message() {
    let mut count = 0;
    for (kind, text) in blocks(PROTOCOL) {
        let (shown, written) = match kind {
            "json Push" => round_trip::<Push>(text),
            "json PushAnswer" => round_trip::<PushAnswer>(text),
            "json Pull" => round_trip::<Pull>(text),
            "json PullHeader" => header(text),
            "json Change" => round_trip::<Change>(text),
            "json Checkpoint" => round_trip::<Checkpoint>(text),
            "json ClientMessage" => asked(text),
            "json ServerMessage" => said(text),
            "json ErrorBody" => round_trip::<ErrorBody>(text),
            other => panic!("no type {other}"),
        };
        assert_eq!(shown, written);
        count += 1;
    }
    assert!(count >= 15, "{count} examples");
}

#[test]
fn the_mutations_of_the_example_are_mutations() {
    let (_, text) = blocks(PROTOCOL)[0];
    let push: Push = serde_json::from_str(text).expect("a push");
    for raw in push.mutations.iter().filter_map(|item| item.m.as_ref()) {
        Mutation::parse(raw.get().as_bytes()).expect("a mutation");
    }
}

#[test]
fn the_file_of_the_operations_page_is_a_configuration() {
    let (_, text) = blocks(OPERATIONS).into_iter().find(|(kind, _)| *kind == "toml").expect("a file");
    let config = Config::parse("docs/OPERATIONS.md", text).expect("parses");
    config.check_for_production("docs/OPERATIONS.md").expect("complete");
    let defaults = Config::default().server;
    assert_eq!((config.server.port, config.server.max_push_bytes), (defaults.port, defaults.max_push_bytes));
    assert_eq!(config.server.max_connections, defaults.max_connections);
}
