//! What the tests of conflicts share.

use tidewire_core::error::Code;
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::model::conflict::{Conflict, State};
use tidewire_core::model::schema::{CollectionSettings, Strategy};
use tidewire_core::protocol::message::Verdict;

use super::{Server, patch, server};

/// A collection's strategy.
pub fn with(conflict: Strategy) -> CollectionSettings {
    CollectionSettings { conflict, ..CollectionSettings::default() }
}

pub fn manual() -> CollectionSettings {
    with(Strategy::Manual)
}

/// Anna wrote `/f` first, and Ben, who had not seen it, waits.
pub fn parked() -> Server {
    let mut server = server(manual(), json!({"f": "old", "g": 1}));
    server.one("anna", 1, patch("1", 1).set("/f", "anna").was("/f", "old").text());
    assert_eq!(waiting(&server.one("ben", 1, patch("1", 1).set("/f", "ben").was("/f", "old").text())), (3, vec!["/f"]));
    server
}

/// The revision and the paths that wait.
pub fn waiting(verdict: &Verdict) -> (u64, Vec<&str>) {
    match verdict {
        Verdict::Conflict { rev, parked, .. } => (*rev, parked.iter().map(|path| path.as_str()).collect()),
        other => panic!("nothing waits: {other:?}"),
    }
}

/// Why it was rejected.
pub fn code(verdict: &Verdict) -> Code {
    match verdict {
        Verdict::Rejected { code, .. } => *code,
        other => panic!("not rejected: {other:?}"),
    }
}

/// Path, author and value of each conflict in a state.
pub fn in_state(server: &Server, state: State) -> Vec<(String, String, Option<Value>)> {
    let all = server.conflicts("1").into_iter().filter(|(_, conflict)| conflict.state == state);
    all.map(|(_, conflict)| (conflict.path.to_string(), conflict.subject, conflict.yours)).collect()
}

/// As [`in_state`] tells it.
pub fn told(path: &str, author: &str, value: impl Into<Value>) -> (String, String, Option<Value>) {
    (path.into(), author.into(), Some(value.into()))
}

/// The only conflict.
pub fn only(server: &Server) -> (String, Conflict) {
    let mut all = server.conflicts("1");
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}
