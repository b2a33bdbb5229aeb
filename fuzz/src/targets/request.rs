//! What a server reads of a client, as `tidewire-server` reads it: by serde, documents as raw text.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidewire_core::json;
use tidewire_core::limits::{ID_BYTES_MAX, NAME_BYTES_MAX, PATH_BYTES_MAX};
use tidewire_core::model::mutation::Mutation;
use tidewire_core::protocol::message::{ClientMessage, Pull, Push};

use super::{print, refusal};

pub(super) fn run(input: &[u8]) -> u64 {
    let Some((first, rest)) = input.split_first() else { return 0 };
    match first {
        b'p' => read::<Push>(rest, push),
        b'l' => read::<Pull>(rest, pull),
        _ => read::<ClientMessage>(rest, |message| message_kind(message).to_owned()),
    }
}

fn read<T: Serialize + DeserializeOwned>(bytes: &[u8], look: impl Fn(&T) -> String) -> u64 {
    match serde_json::from_slice::<T>(bytes) {
        Ok(message) => {
            let text = json::to_text(&message);
            let again: T = match serde_json::from_str(&text) {
                Ok(again) => again,
                // A number that JavaScript does not have is written as the one that it has.
                Err(error) if error.to_string().contains("floating point") => return print(&["beyond"]),
                Err(error) => panic!("what is written is read: {error}"),
            };
            assert_eq!(json::to_text(&again), text, "written and read");
            print(&[std::any::type_name::<T>(), &look(&message)])
        }
        Err(error) => {
            let message: String = error.to_string().chars().filter(|letter| !letter.is_ascii_digit()).collect();
            print(&["refused", &message.chars().take(16).collect::<String>()])
        }
    }
}

fn push(push: &Push) -> String {
    assert!(!push.replica.as_str().is_empty());
    let mut codes = Vec::new();
    for item in &push.mutations {
        let Some(raw) = &item.m else { continue };
        match Mutation::parse(raw.get().as_bytes()) {
            Ok(mutation) => {
                bounds(&mutation);
                codes.push("taken");
            }
            Err(error) => {
                assert!(!error.message.is_empty() && error.message.len() < 400, "a message that is read: {error}");
                refusal(&error);
                codes.push(error.code.as_str());
            }
        }
    }
    codes.sort_unstable();
    codes.dedup();
    codes.join(",")
}

fn bounds(mutation: &Mutation) {
    assert!((1..=NAME_BYTES_MAX).contains(&mutation.collection.as_str().len()), "a name's length");
    assert!((1..=ID_BYTES_MAX).contains(&mutation.id.as_str().len()), "an id's length");
    assert!(!mutation.id.as_str().chars().any(char::is_control), "an id's characters");
    for path in mutation.paths() {
        assert!(path.as_str().len() <= PATH_BYTES_MAX && path.as_str().starts_with('/'), "a path");
        assert_ne!(path.top(), "id");
    }
}

fn pull(pull: &Pull) -> String {
    let names = || pull.collections.iter().chain(&pull.reread);
    assert!(names().all(|name| (1..=NAME_BYTES_MAX).contains(&name.as_str().len())));
    format!("{}{}", pull.cursor.is_some(), names().count().min(9))
}

fn message_kind(message: &ClientMessage) -> &'static str {
    match message {
        ClientMessage::Auth { .. } => "auth",
        ClientMessage::Token { .. } => "token",
        ClientMessage::Push { .. } => "push",
        ClientMessage::Ping => "ping",
        ClientMessage::Pong => "pong",
    }
}
