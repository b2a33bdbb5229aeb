//! The rules of exactly once, verdicts, transactions and who sees what, each by name (`docs/PROTOCOL.md`).

mod common;

use common::{Server, delete, insert, patch};
use serde_json::json;
use tidewire_core::protocol::message::Verdict;

#[test]
fn rule_06_a_doubled_push_gets_the_same_verdicts_and_counts_once() {
    let mut server = Server::default();
    let push = [
        ((1, 0), insert("1", json!({"n": 1}))),
        ((2, 0), patch("1", 1).inc("/n", 2.0).text()),
        ((3, 0), delete("2", 0).text()),
    ];
    let first = server.push("anna", &push);
    let second = server.push("anna", &push);
    assert_eq!(server.doc("1"), json!({"n": 3}));
    assert!(first.verdicts.iter().all(|item| !item.duplicate));
    assert!(second.verdicts.iter().all(|item| item.duplicate));
    for (one, other) in first.verdicts.iter().zip(&second.verdicts) {
        assert_eq!(one.verdict, other.verdict);
    }
    assert_eq!(first.verdicts[1].verdict, Verdict::Applied { rev: 2 });
}
