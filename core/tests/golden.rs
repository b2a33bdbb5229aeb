//! Golden transcripts: what the engine answers to a list of inputs, kept as JSON beside this file and read by people.
//!
//! `UPDATE_GOLDEN=1 cargo test -p tidewire-core --test golden` writes them anew; the diff is then part of the review.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::path::PathBuf;

use tidewire_core::engine::Engine;
use tidewire_core::io::{Event, Fetch, Input, Now, Output, StoreError, StoreOp, StoreReply};
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::log::record::Record;

fn run(name: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.json"));
    let transcript: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let mut engine = Engine::new(&transcript["config"].to_string(), [7; 16]).unwrap();
    let mut steps = Vec::new();
    for step in transcript["steps"].as_array().unwrap() {
        let outputs = carry_out(&mut engine, step);
        steps.push(json!({"at": step["at"], "do": step["do"], "with": step["with"], "outputs": outputs}));
    }
    let actual = json!({"about": transcript["about"], "config": transcript["config"], "steps": steps});
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, serde_json::to_string_pretty(&actual).unwrap() + "\n").unwrap();
        return;
    }
    let expected = transcript["steps"].as_array().unwrap();
    for (index, (step, expected)) in actual["steps"].as_array().unwrap().iter().zip(expected).enumerate() {
        assert_eq!(step["outputs"], expected["outputs"], "{name}, step {index}: {}", step["do"]);
    }
}

fn carry_out(engine: &mut Engine, step: &Value) -> Vec<Value> {
    let at = step["at"].as_u64().unwrap();
    let now = Now { wall_ms: 1_700_000_000_000 + at, mono_ms: at };
    let with = &step["with"];
    let mut answer = Vec::new();
    match step["do"].as_str().unwrap() {
        "open" => engine.open(now),
        "write" => answer.push(text_answer("answer", engine.write(now, &with.to_string(), ""))),
        "command" => answer.push(text_answer("answer", engine.command(now, &with.to_string()))),
        "row" => {
            let row = engine.row(with[0].as_str().unwrap(), with[1].as_str().unwrap());
            answer.push(text_answer("row", row.map(|row| row.unwrap_or_else(|| "null".into()))));
        }
        "view" => answer.push(text_answer("view", engine.view(now, with.as_str().unwrap()))),
        kind => engine.handle(now, input(kind, with)),
    }
    while let Some(output) = engine.poll() {
        answer.push(describe(output));
    }
    answer
}

fn text_answer(name: &str, answer: Result<String, tidewire_core::error::CoreError>) -> Value {
    match answer {
        Ok(text) => json!({name: serde_json::from_str::<Value>(&text).unwrap()}),
        Err(error) => json!({"error": error.code}),
    }
}

fn input(kind: &str, with: &Value) -> Input {
    let token = with["token"].as_u64().unwrap_or_default();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match kind {
        "loaded" => Input::Stored {
            token,
            result: Ok(StoreReply::Loaded { state: None, fence: 0, directories: vec![], log: vec![] }),
        },
        "segments" => Input::Stored { token, result: Ok(StoreReply::Segments(vec![])) },
        "log" => Input::Stored { token, result: Ok(StoreReply::Log(vec![])) },
        "appended" => {
            Input::Stored { token, result: Ok(StoreReply::Appended { first_key: with["key"].as_u64().unwrap() }) }
        }
        "quota" => Input::Stored { token, result: Err(StoreError::Quota) },
        "lock" => Input::LockHeld,
        "token" => Input::Token { result: Ok(with.as_str().map(str::to_owned)) },
        "response" => Input::Response {
            token,
            status: with["status"].as_u64().unwrap().try_into().unwrap(),
            retry_after_ms: with["retryAfterMs"].as_u64(),
            json: true,
        },
        "lines" => {
            let lines: Vec<String> = with["lines"].as_array().unwrap().iter().map(text).collect();
            Input::Chunk { token, bytes: (lines.join("\n") + "\n").into_bytes() }
        }
        "finished" => Input::Finished { token },
        "cut" => Input::NetFailed { token, message: "cut".into() },
        "socket-open" => Input::SocketOpen { token },
        "socket-message" => Input::SocketMessage { token, text: text(&with["message"]) },
        "socket-closed" => Input::SocketClosed { token, code: 1006 },
        "wake" => Input::Wake,
        other => panic!("no step {other}"),
    }
}

fn describe(output: Output) -> Value {
    match output {
        Output::Store { token, op } => json!({"store": describe_op(op), "token": token}),
        Output::Fetch { token, request: Fetch { path, body, bearer } } => {
            let body: Value = serde_json::from_str(&body.unwrap_or_else(|| "null".into())).unwrap();
            json!({"fetch": path, "token": token, "bearer": bearer, "body": body})
        }
        Output::SocketSend { token, text } => {
            json!({"say": serde_json::from_str::<Value>(&text).unwrap(), "token": token})
        }
        Output::AskToken { why } => json!({"ask-token": why.as_str()}),
        Output::Broadcast(bytes) => json!({"broadcast": bytes.len()}),
        Output::Wake { at_mono_ms } => json!({"wake": at_mono_ms}),
        Output::Event(Event::Json(event)) => json!({"event": event}),
        other => json!(format!("{other:?}")),
    }
}

fn describe_op(op: StoreOp) -> Value {
    match op {
        StoreOp::Append { records, durability } => {
            let records: Vec<Value> = records.iter().map(|bytes| json!(Record::decode(bytes).unwrap())).collect();
            json!({"append": records, "durability": format!("{durability:?}")})
        }
        other => json!(format!("{other:?}")),
    }
}

#[test]
fn a_first_open_and_sync() {
    run("first-sync");
}

#[test]
fn the_first_write_of_a_new_store() {
    run("first-write");
}

#[test]
fn a_write_and_its_push() {
    run("write-and-push");
}

#[test]
fn a_live_frame_that_continues_the_cursor_and_one_that_does_not() {
    run("live");
}

#[test]
fn a_push_that_fails_and_is_sent_again() {
    run("push-again");
}
