//! What a client reads of a server. The first byte of an input says which message it is taken for. The client reads by
//! hand; serde, which the server's side and the tests use, has to have the same.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidewire_core::error::{Code, CoreError};
use tidewire_core::json::{self, JsonLimits, Value};
use tidewire_core::protocol::message::{Change, Checkpoint, ErrorBody, PullHeader, PushAnswer};
use tidewire_core::protocol::read::{Frame, Live};

use super::{print, refusal};

pub(super) fn run(input: &[u8]) -> u64 {
    let Some((first, rest)) = input.split_first() else { return 0 };
    match first {
        b'a' => both(rest, |bytes| PushAnswer::read(&door(bytes)?)),
        b'h' => header(rest),
        b'k' => both(rest, Checkpoint::read),
        b'c' => both(rest, Change::read),
        b'e' => error_body(rest),
        _ => live(rest),
    }
}

fn door(bytes: &[u8]) -> Result<Value, CoreError> {
    json::parse(bytes, JsonLimits::MESSAGE)
}

/// What one reader takes the other takes as well, if the door lets it in.
fn both<T: Serialize + DeserializeOwned>(bytes: &[u8], read: impl Fn(&[u8]) -> Result<T, CoreError>) -> u64 {
    let ours = read(bytes);
    let serde = serde_json::from_slice::<T>(bytes);
    let ours = match ours {
        Ok(ours) => ours,
        Err(error) => {
            codes(&error);
            return refusal(&error);
        }
    };
    let text = json::to_text(&ours);
    let again = read(text.as_bytes()).expect("what is written is read");
    assert_eq!(json::to_text(&again), text, "written and read");
    let Ok(serde) = serde else { return print(&["more lenient", std::any::type_name::<T>()]) };
    assert_eq!(json::to_text(&serde), text, "as serde has it");
    print(&[std::any::type_name::<T>(), &shape(&text)])
}

fn codes(error: &CoreError) {
    let known = [Code::BadMessage, Code::BadName, Code::BadJson, Code::TooDeep, Code::ForbiddenKey, Code::BadPath];
    assert!(known.contains(&error.code), "a code of the wire: {error}");
}

fn header(bytes: &[u8]) -> u64 {
    #[derive(Serialize)]
    struct Line {
        pull: PullHeader,
    }
    match PullHeader::read(bytes) {
        Ok(pull) => {
            let text = json::to_text(&Line { pull });
            let pull = PullHeader::read(text.as_bytes()).expect("what is written is read");
            assert_eq!(json::to_text(&Line { pull }), text, "written and read");
            print(&["header", &shape(&text)])
        }
        Err(error) => refusal(&error),
    }
}

fn error_body(bytes: &[u8]) -> u64 {
    let Ok(value) = door(bytes) else { return 1 };
    let Some(body) = ErrorBody::read(&value) else { return 2 };
    let text = json::to_text(&body);
    let again = ErrorBody::read(&door(text.as_bytes()).expect("JSON")).expect("what is written is read");
    assert_eq!(again, body);
    print(&["error", body.code.as_str()])
}

fn live(bytes: &[u8]) -> u64 {
    let Ok(text) = str::from_utf8(bytes) else { return 3 };
    match Live::read(text) {
        Ok(Live::Frame(Frame { after, cursor, changes, applied })) => {
            let one = |change: &Change| {
                let line = json::to_text(change);
                let again = Change::read(line.as_bytes()).expect("a change is a change by itself");
                assert_eq!(json::to_text(&again), line, "written and read");
            };
            changes.iter().for_each(one);
            assert_eq!(after.reaches(&cursor), after.seq >= cursor.seq && json_of(&after) == json_of(&cursor));
            print(&["frame", &changes.len().min(9).to_string(), &applied.len().min(2).to_string()])
        }
        Ok(Live::Error(body)) => print(&["error", body.code.as_str()]),
        Ok(other) => print(&[&format!("{other:?}").chars().take(5).collect::<String>()]),
        Err(error) => {
            codes(&error);
            refusal(&error)
        }
    }
}

/// History and scope: what has to be the same for one cursor to reach another.
fn json_of(cursor: &tidewire_core::protocol::message::Cursor) -> String {
    format!("{}{}", json::to_text(&cursor.history), json::to_text(&cursor.scope))
}

/// The keys of a message, so that each set of fields is an outcome of its own.
fn shape(text: &str) -> String {
    let mut keys: Vec<&str> = text.split('"').skip(1).step_by(2).filter(|key| (2..14).contains(&key.len())).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.truncate(7);
    keys.join(",")
}
