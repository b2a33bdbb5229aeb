//! Transactions of which a member has to wait for its author (rule 11).

use crate::common;

use common::conflicts::{code, in_state, only, parked, told, waiting};
use common::{DEALS, Server, delete, insert, patch};
use tidewire_core::error::Code;
use tidewire_core::ids::MutationId;
use tidewire_core::json;
use tidewire_core::json::Raw;
use tidewire_core::log::record::{Commit, Record, Sent};
use tidewire_core::model::conflict::State;
use tidewire_core::model::schema::Strategy;
use tidewire_core::protocol::message::Verdict;
use tidewire_core::queue::batch::keep;
use tidewire_core::store::fold::fold;
use tidewire_core::store::state;

#[test]
fn rule_11_one_member_that_waits_makes_all_wait() {
    let mut server = parked();
    server.one("maker", 2, insert("2", json!({"n": 1, "f": "x", "o": {"a": 1}})));
    server.one("anna", 2, patch("1", 3).set("/f", "anna 2").was("/f", "anna").text());
    let base = server.stored("1").unwrap().rev;
    let verdicts = server.transaction(
        "carl",
        1,
        &[
            patch("2", 4)
                .inc("/n", 5.0)
                .was("/n", 1)
                .set("/f", "y")
                .was("/f", "x")
                .unset("/o")
                .was("/o", json!({"a": 1}))
                .text(),
            patch("2", 4).set("/f", "z").was("/f", "y").text(),
            patch("1", base).set("/g", 1).was("/g", 1).text(),
            patch("1", 2).set("/f", "carl").was("/f", "anna").text(),
        ],
    );
    let rev = server.store.seq;
    let shown: Vec<_> = verdicts.iter().map(waiting).collect();
    assert_eq!(
        shown,
        [(rev, vec!["/f", "/o/a", "/n"]), (rev, vec!["/f"]), (rev, vec![]), (rev, vec!["/f"])],
        "one verdict and one seq"
    );
    assert_eq!(server.doc("2"), json!({"n": 1, "f": "x", "o": {"a": 1}}), "nothing of it took effect");
    let of_two: Vec<_> =
        server.conflicts("2").into_iter().map(|(_, c)| (c.path.to_string(), c.yours, c.base)).collect();
    assert_eq!(
        of_two,
        [
            ("/f".into(), Some(json!("z")), Some(json!("x"))),
            ("/o/a".into(), None, Some(json!(1))),
            ("/n".into(), Some(json!(6)), Some(json!(1))),
        ]
    );
    assert_eq!(in_state(&server, State::Open), [told("/f", "ben", "ben"), told("/f", "carl", "carl")]);
}

#[test]
fn rule_11_a_transaction_that_makes_or_deletes_cannot_wait_and_nothing_of_it_is_lost() {
    for other in [insert("9", json!({})), delete("2", 4).text()] {
        let mut server = parked();
        server.one("maker", 2, insert("2", json!({})));
        let before = server.store.clone();
        let his = patch("1", 1).set("/f", "carl").was("/f", "old").text();
        let verdicts = server.transaction("carl", 1, &[other, his]);
        for verdict in &verdicts {
            assert_eq!(code(verdict), Code::TransactionFailed);
        }
        assert!(matches!(&verdicts[1], Verdict::Rejected { path: Some(path), .. } if path.as_str() == "/f"));
        assert_eq!((&server.store.entities, server.store.seq), (&before.entities, before.seq));
    }
}

#[test]
fn rule_11_a_member_of_those_that_wait_says_what_it_lost() {
    let mut server = parked();
    // Ben's own text waits at `/f`, and nothing fits below it.
    let below = patch("1", 3).set("/f/x", 1).text();
    let verdicts = server.transaction("ben", 2, &[below, patch("1", 3).set("/f", "ben 2").was("/f", "ben").text()]);
    assert_eq!((waiting(&verdicts[0]).1, waiting(&verdicts[1]).1), (vec![], vec!["/f"]));
    let Verdict::Conflict { overwritten, .. } = &verdicts[0] else { panic!("{verdicts:?}") };
    assert_eq!((overwritten.len(), overwritten[0].yours.clone()), (1, Some(json!(1))));
    assert_eq!(in_state(&server, State::Lost), [told("/f/x", "ben", 1)]);
}

#[test]
fn rule_11_a_member_that_fails_behind_one_that_waits_fails_the_transaction() {
    let mut server = parked();
    let his = patch("1", 1).set("/f", "carl").was("/f", "old").text();
    let verdicts = server.transaction("carl", 1, &[his, patch("1", 3).inc("/f", 1.0).text()]);
    assert_eq!((code(&verdicts[0]), code(&verdicts[1])), (Code::TransactionFailed, Code::WrongType));
    assert_eq!(in_state(&server, State::Open), [told("/f", "ben", "ben")]);
}

/// Ben's value of `/f` waits, and Anna has written `/h` of another entity behind his back: what he writes there waits.
fn parked_and_another() -> (Server, String, String) {
    let mut server = parked();
    server.one("maker", 2, insert("2", json!({"h": 0})));
    server.one("anna", 2, patch("2", 4).set("/h", 1).was("/h", 0).text());
    let (id, _) = only(&server);
    (server, id, patch("2", 4).set("/h", 2).was("/h", 0).text())
}

#[test]
fn rule_11_a_decision_waits_with_its_transaction_and_says_so() {
    let (mut server, id, waits) = parked_and_another();
    let theirs = patch("1", 3).field("resolves", json!([id]));
    let verdicts = server.transaction("ben", 2, &[theirs.text(), waits]);
    let rev = server.store.seq;
    assert_eq!((waiting(&verdicts[0]), waiting(&verdicts[1])), ((rev, vec!["/f"]), (rev, vec!["/h"])));
    assert_eq!(in_state(&server, State::Open), [told("/f", "ben", "ben")], "it waits as before");
    // Alone it is decided.
    server.one("ben", 3, theirs.text());
    assert_eq!((in_state(&server, State::Open), server.doc("1")["f"].clone()), (vec![], json!("anna")));
    // With a value it joins what waits.
    let (mut server, id, waits) = parked_and_another();
    let own = patch("1", 3).set("/f", "ben 2").was("/f", "anna").field("resolves", json!([id])).text();
    let verdicts = server.transaction("ben", 2, &[own, waits]);
    assert_eq!((waiting(&verdicts[0]).1, waiting(&verdicts[1]).1), (vec!["/f"], vec!["/h"]));
    assert_eq!(in_state(&server, State::Open), [told("/f", "ben", "ben 2")]);
}

#[test]
fn rule_11_a_decision_that_is_taken_back_waits_again_also_in_a_transaction_that_waits() {
    let (mut server, id, waits) = parked_and_another();
    server.one("ben", 2, patch("1", 3).field("resolves", json!([id.clone()])).text());
    let undo = patch("1", 3).field("reopens", json!([id])).text();
    let verdicts = server.transaction("ben", 3, &[undo, waits]);
    assert_eq!((waiting(&verdicts[0]).1, waiting(&verdicts[1]).1), (vec![], vec!["/h"]));
    assert_eq!(in_state(&server, State::Open), [told("/f", "ben", "ben")]);
    // What would put another value in its place waits itself.
    for state in [State::Open, State::Lost] {
        let (mut server, id, waits) = parked_and_another();
        if state == State::Lost {
            server.policy.settings.get_mut(DEALS).unwrap().conflict = Strategy::ServerWins;
            server.one("carl", 1, patch("1", 1).set("/f", "carl").was("/f", "old").text());
            server.policy.settings.get_mut(DEALS).unwrap().conflict = Strategy::Manual;
        }
        let (who, id) = if state == State::Lost { ("carl", server.conflicts("1").remove(1).0) } else { ("ben", id) };
        let keep = patch("1", 3).set("/f", who).was("/f", "anna").field("resolves", json!([id.clone()])).text();
        server.one(who, 4, keep);
        assert_eq!(server.doc("1")["f"], who);
        let base = server.stored("1").unwrap().rev;
        let undo = patch("1", base).set("/f", "anna").was("/f", who).field("reopens", json!([id])).text();
        let verdicts = server.transaction(who, 5, &[undo, waits]);
        assert_eq!((waiting(&verdicts[0]).1, waiting(&verdicts[1]).1), (vec!["/f"], vec!["/h"]), "{state:?}");
        assert_eq!(server.doc("1")["f"], who);
        let own = in_state(&server, State::Open).into_iter().filter(|(_, author, _)| author == who);
        assert_eq!(own.collect::<Vec<_>>(), [told("/f", who, "anna")], "{state:?}");
        assert_eq!(in_state(&server, State::Lost), [], "{state:?}: its value stands");
    }
}

/// A tab stores what it writes together with the note that this is sent, under the number that it will probably have:
/// another tab's transaction may have that number (seed 753 of the simulator with apps of several versions).
#[test]
fn rule_11_a_transaction_is_sent_as_a_whole_or_not_at_all() {
    let edit = |id: &str| {
        let text = json!({"c": "deals", "id": id, "kind": "patch", "base": 1, "inc": {"/n": 1}, "at": [1, 0]});
        Raw::parse(&text.to_string()).unwrap()
    };
    let mut state = state::State::default();
    let commit = |mutations: Vec<Raw>, tx| Record::Commit(Commit { mutations, tx, call: None });
    fold(&mut state, 1, commit(vec![edit("d1")], vec![]), 0).unwrap();
    fold(&mut state, 2, commit(vec![edit("d2"), edit("d3")], vec![(0, 2)]), 0).unwrap();
    fold(&mut state, 3, Record::Sent(Sent { fence: 0, through: MutationId(2, 0) }), 0).unwrap();
    // Who hears of a copy's that it was applied settles all of it (seed 1286 of the second dealing).
    assert!(state.was_sent(MutationId(2, 1)));
    let all = || vec![MutationId(1, 0), MutationId(2, 0), MutationId(2, 1)];
    let mut batch = all();
    keep(&state, &mut batch, &|n| n <= MutationId(2, 0));
    assert_eq!(batch, [MutationId(1, 0)]);
    let mut batch = all();
    keep(&state, &mut batch, &|_| true);
    assert_eq!(batch, all());
}
