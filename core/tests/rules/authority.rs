//! The rules of verdicts, transactions, numbers and who sees what, each by name (`docs/PROTOCOL.md`).

use crate::common;

use common::{Item, NOW, Server, delete, insert, patch, user};
use tidewire_core::error::Code;
use tidewire_core::ids::Group;
use tidewire_core::json;
use tidewire_core::limits::{DOCUMENT_BYTES_MAX, TRANSACTION_BYTES_MAX, TRANSACTION_MUTATIONS_MAX};
use tidewire_core::model::schema::{CollectionSettings, Strategy};
use tidewire_core::protocol::message::{HeldReason, Verdict};

const MISSING: Verdict = Verdict::Held { reason: HeldReason::Missing };
const AFTER: Verdict = Verdict::Held { reason: HeldReason::After };

fn applied(rev: u64) -> Verdict {
    Verdict::Applied { rev }
}

fn code(verdict: &Verdict) -> Code {
    match verdict {
        Verdict::Rejected { code, message, .. } => {
            assert!(!message.is_empty(), "a rejection says what to do");
            *code
        }
        other => panic!("not rejected: {other:?}"),
    }
}

fn with_one() -> Server {
    let mut server = Server::default();
    assert_eq!(server.one("maker", 1, insert("1", json!({"n": 1}))), applied(1));
    server
}

#[test]
fn rule_10_one_bad_mutation_never_fails_its_neighbours() {
    let mut server = with_one();
    let good = || patch("1", 1).inc("/n", 1.0).text();
    let table = [
        (r#"{"c":"deals"}"#.to_owned(), Code::BadMutation),
        (patch("1", 1).set("/a", 1).set("/a/b", 2).text(), Code::BadPath),
        (patch("1", 1).set("/a", json!({"__proto__": 1})).text(), Code::ForbiddenKey),
        (format!("{}1{}", "[".repeat(9_000), "]".repeat(9_000)), Code::TooDeep),
        (patch("1", 1).set("/big", "x".repeat(DOCUMENT_BYTES_MAX)).text(), Code::TooLarge),
        (insert("3", json!({})).replace("deals", "nothing"), Code::UnknownCollection),
        (patch("1", 1).inc("/n", 1.0).field("if_rev", 1).text(), Code::StaleRev),
        (insert("1", json!({"n": 2})), Code::Exists),
    ];
    for (i, (bad, expected)) in (1..).zip(table) {
        let (first, second, third) = ((i, 0), (i, 1), (i, 2));
        let answer = server.push("anna", &[(first, good()), (second, bad), (third, good())]);
        let verdicts: Vec<_> = answer.verdicts.into_iter().map(|item| item.verdict).collect();
        assert_eq!(code(&verdicts[1]), expected);
        if expected != Code::Exists {
            assert_eq!(
                [verdicts[0].clone(), verdicts[2].clone()],
                [applied(2 * i), applied(2 * i + 1)],
                "{expected:?}"
            );
        }
    }
    assert_eq!(server.stored("1").unwrap().doc["n"], json!(16));
}

#[test]
fn rule_10_if_rev_is_true_or_the_edit_is_stale() {
    let mut server = with_one();
    assert_eq!(server.one("anna", 1, patch("1", 1).inc("/n", 1.0).field("if_rev", 1).text()), applied(2));
    assert_eq!(code(&server.one("anna", 2, patch("1", 1).inc("/n", 1.0).field("if_rev", 1).text())), Code::StaleRev);
    assert_eq!(code(&server.one("anna", 3, delete("1", 1).field("if_rev", 1).text())), Code::StaleRev);
    assert_eq!(server.one("anna", 4, delete("1", 2).field("if_rev", 2).text()), applied(3));
}

#[test]
fn rule_10_an_insert_of_an_existing_id_is_rejected_unless_it_is_the_same() {
    let mut server = with_one();
    assert_eq!(code(&server.one("anna", 1, insert("1", json!({"n": 2})))), Code::Exists);
    assert_eq!(server.one("anna", 2, insert("1", json!({"n": 1}))), applied(1));
    assert_eq!(server.store.seq, 1);
}

#[test]
fn rule_10_what_follows_a_held_mutation_waits_and_is_released_in_order() {
    let mut server = with_one();
    let edit = |by: f64| patch("late", 0).inc("/n", by).text();
    let push = [((1, 0), edit(1.0)), ((2, 0), patch("1", 1).inc("/n", 1.0).text()), ((3, 0), edit(2.0))];
    let verdicts: Vec<_> = server.push("anna", &push).verdicts.into_iter().map(|item| item.verdict).collect();
    assert_eq!(verdicts, [MISSING, applied(2), AFTER]);
    assert_eq!(server.store.verdicts.len(), 2, "held is not stored");
    server.one("ben", 1, insert("late", json!({"n": 10})));
    let answer = server.push("anna", &push);
    let verdicts: Vec<_> = answer.verdicts.iter().map(|item| (item.duplicate, item.verdict.clone())).collect();
    assert_eq!(verdicts, [(false, applied(4)), (true, applied(2)), (false, applied(5))]);
    assert_eq!(server.doc("late"), json!({"n": 13}));
}

#[test]
fn rule_10_who_deletes_what_is_not_there_does_not_wait_for_his_edits_of_it() {
    let mut server = Server::default();
    let mine = insert("late", json!({"n": 7}));
    let push = [((1, 0), patch("late", 0).set("/n", 7).text()), ((2, 0), delete("late", 0).text()), ((3, 0), mine)];
    let verdicts: Vec<_> = server.push("anna", &push).verdicts.into_iter().map(|item| item.verdict).collect();
    assert_eq!(verdicts, [MISSING, applied(1), applied(2)]);
    let again: Vec<_> = server.push("anna", &push).verdicts.into_iter().map(|item| item.verdict).collect();
    assert_eq!(again[1..], [applied(1), applied(2)]);
    assert_eq!(server.doc("late"), json!({"n": 7}), "what came back after the deletion stays");
}

#[test]
fn rule_10_edits_that_follow_a_rejected_insert_are_held_with_it() {
    let mut server = with_one();
    let push = [((1, 0), insert("1", json!({"mine": true}))), ((2, 0), patch("1", 0).set("/mine", 2).text())];
    let verdicts: Vec<_> = server.push("anna", &push).verdicts.into_iter().map(|item| item.verdict).collect();
    assert_eq!(code(&verdicts[0]), Code::Exists);
    assert_eq!(verdicts[1], AFTER);
    assert_eq!(server.doc("1"), json!({"n": 1}), "an edit of one's own entity never lands in somebody else's");
}

#[test]
fn rule_10_a_later_insert_releases_those_who_wait() {
    let mut server = Server::default();
    let waits = ((1, 0), patch("1", 0).inc("/n", 1.0).text());
    let made = [insert("1", json!({"n": 1})), patch("1", 0).inc("/n", 10.0).text()];
    let items: Vec<Item<'_>> = vec![
        (waits.0, None, Some(&waits.1)),
        ((2, 0), Some((2, 0)), Some(&made[0])),
        ((2, 1), Some((2, 0)), Some(&made[1])),
    ];
    let verdicts: Vec<_> = server.push_items("anna", &items).verdicts.into_iter().map(|item| item.verdict).collect();
    assert_eq!(verdicts, [MISSING, applied(1), applied(1)]);
    assert_eq!(server.push("anna", &[waits]).verdicts[0].verdict, applied(2));
    assert_eq!(server.doc("1"), json!({"n": 12}));
}

#[test]
fn rule_11_a_transaction_has_one_verdict() {
    let mut server = with_one();
    let good = || patch("1", 1).inc("/n", 1.0).text();
    let before = server.store.entities.clone();

    let rejected = server.transaction("anna", 1, &[good(), insert("1", json!({})), good()]);
    let codes: Vec<_> = rejected.iter().map(code).collect();
    assert_eq!(codes, [Code::TransactionFailed, Code::Exists, Code::TransactionFailed]);

    let held = server.transaction("anna", 2, &[good(), patch("late", 0).set("/f", 1).text()]);
    assert_eq!(held, [MISSING, MISSING]);
    let malformed = server.transaction("anna", 3, &[good(), "{}".into()]);
    assert_eq!(code(&malformed[1]), Code::BadMutation);
    assert_eq!((&server.store.entities, server.store.seq), (&before, 1));

    assert_eq!(server.transaction("anna", 4, &[good(), good(), insert("2", json!({}))]), vec![applied(2); 3]);
    assert_eq!(server.doc("1"), json!({"n": 3}));
}

#[test]
fn rule_11_later_edits_of_every_entity_of_a_held_transaction_wait() {
    let mut server = with_one();
    let edit = patch("1", 1).inc("/n", 1.0).text();
    let missing = patch("late", 0).set("/f", 1).text();
    let free = insert("2", json!({}));
    let items: Vec<Item<'_>> = vec![
        ((1, 0), Some((1, 0)), Some(&edit)),
        ((1, 1), Some((1, 0)), Some(&missing)),
        ((2, 0), None, Some(&edit)),
        ((3, 0), None, Some(&free)),
    ];
    let verdicts: Vec<_> = server.push_items("anna", &items).verdicts.into_iter().map(|item| item.verdict).collect();
    assert_eq!(verdicts, [MISSING, MISSING, AFTER, applied(2)]);
}

#[test]
fn rule_11_a_transaction_is_bounded() {
    let mut server = with_one();
    let edits = |count: usize| vec![patch("1", 1).inc("/n", 1.0).text(); count];
    assert_eq!(code(&server.transaction("anna", 1, &edits(TRANSACTION_MUTATIONS_MAX + 1))[7]), Code::TransactionFailed);
    assert_eq!(code(&server.transaction("anna", 2, &edits(TRANSACTION_MUTATIONS_MAX + 1))[0]), Code::TooLarge);
    assert_eq!(server.transaction("anna", 3, &edits(TRANSACTION_MUTATIONS_MAX))[499], applied(2));
    let large = |i: u32| insert(&format!("large{i}"), json!({"text": "x".repeat(TRANSACTION_BYTES_MAX / 3)}));
    assert_eq!(server.transaction("anna", 4, &[large(1), large(2)]), vec![applied(3); 2]);
    assert_eq!(code(&server.transaction("anna", 5, &[large(3), large(4), large(5)])[0]), Code::TooLarge);
}

#[test]
fn rule_11_a_part_of_a_transaction_takes_no_effect() {
    let mut server = with_one();
    let edit = patch("1", 1).inc("/n", 1.0).text();
    let without_first: Vec<Item<'_>> = vec![((1, 1), Some((1, 0)), Some(&edit))];
    assert_eq!(code(&server.push_items("anna", &without_first).verdicts[0].verdict), Code::BadMutation);
    server.push_items("anna", &[((2, 1), None, None)]);
    let rest: Vec<Item<'_>> = vec![((2, 0), Some((2, 0)), Some(&edit)), ((2, 1), Some((2, 0)), Some(&edit))];
    let verdicts: Vec<_> = server.push_items("anna", &rest).verdicts.into_iter().map(|item| item.verdict).collect();
    assert_eq!((code(&verdicts[0]), verdicts[1].clone()), (Code::BadMutation, Verdict::Void));
    assert_eq!(server.doc("1"), json!({"n": 1}));
}

#[test]
fn rule_11_a_doubled_transaction_counts_once() {
    let mut server = with_one();
    let edit = patch("1", 1).inc("/n", 1.0).text();
    let once: Vec<Item<'_>> = vec![((1, 0), Some((1, 0)), Some(&edit)), ((1, 1), Some((1, 0)), Some(&edit))];
    let answer = server.push_items("anna", &[once.clone(), once].concat());
    let verdicts: Vec<_> = answer.verdicts.iter().map(|item| (item.duplicate, item.verdict.clone())).collect();
    assert_eq!(verdicts, [(false, applied(2)), (false, applied(2)), (true, applied(2)), (true, applied(2))]);
    assert_eq!(server.doc("1"), json!({"n": 3}));
}

#[test]
fn rule_12_a_push_is_decided_in_its_order() {
    let mut server = Server::default();
    let push = [
        ((1, 0), insert("1", json!({"log": []}))),
        ((2, 0), patch("1", 0).add("/log", json!(["a"])).text()),
        ((3, 0), patch("1", 0).add("/log", json!(["b"])).text()),
    ];
    let answer = server.push("anna", &push);
    let order: Vec<_> = answer.verdicts.iter().map(|item| item.n.0).collect();
    assert_eq!(order, [1, 2, 3]);
    assert_eq!(server.doc("1"), json!({"log": ["a", "b"]}));
}

#[test]
fn rule_15_the_revision_is_the_seq_of_the_last_change() {
    let mut server = with_one();
    server.one("anna", 1, insert("2", json!({})));
    assert_eq!(server.one("anna", 2, patch("1", 1).inc("/n", 1.0).text()), applied(3));
    assert_eq!((server.stored("1").unwrap().rev, server.stored("2").unwrap().rev, server.store.seq), (3, 2, 3));
    let paths = &server.stored("1").unwrap().paths;
    assert_eq!(paths.values().map(|entry| entry.0).max(), Some(3));
    assert_eq!(server.stored("1").unwrap().by.as_str(), "anna");
}

#[test]
fn rule_22_one_seq_per_transaction_and_none_where_nothing_changed() {
    let mut server = with_one();
    let members: Vec<_> = (0..5).map(|i| insert(&format!("t{i}"), json!({}))).collect();
    assert_eq!(server.transaction("anna", 1, &members), vec![applied(2); 5]);
    assert_eq!(server.store.seq, 2);
    let idle = [
        ((2, 0), patch("1", 1).set("/n", 1).was("/n", 1).text()),
        ((3, 0), patch("1", 1).inc("/n", 0.0).text()),
        ((4, 0), patch("late", 1).set("/n", 0).text()),
        ((5, 0), "{}".into()),
        ((6, 0), patch("1", 1).text()),
    ];
    server.push("anna", &idle);
    server.transaction("anna", 7, &[patch("1", 1).inc("/n", 1.0).text(), insert("1", json!({}))]);
    assert_eq!(server.store.seq, 2);
}

#[test]
fn rule_24_a_delete_of_an_unknown_id_writes_a_tombstone() {
    let mut server = Server::default();
    assert_eq!(server.one("anna", 1, delete("1", 0).at(50).text()), applied(1));
    assert!(server.stored("1").unwrap().deleted);
    assert_eq!(server.one("anna", 2, delete("1", 0).at(60).text()), applied(1), "it is gone already");
    assert_eq!(code(&server.one("ben", 1, patch("1", 0).set("/f", 1).text())), Code::Deleted);
}

fn group(text: &str) -> Group {
    Group::parse(text).unwrap()
}

#[test]
fn rule_26_groups_follow_the_fields_and_leave_a_marker() {
    let mut server = Server::default();
    server.policy.private_to = Some("owner".into());
    server.one("anna", 1, insert("1", json!({"owner": "anna"})));
    let groups = |server: &Server| server.store.entities.values().next().unwrap().groups.clone();
    assert_eq!(groups(&server), [group("user:anna")]);
    server.one("anna", 2, patch("1", 1).set("/owner", "ben").was("/owner", "anna").text());
    assert_eq!(groups(&server), [group("user:ben")]);
    let left: Vec<_> = server.store.left.iter().map(|((group, _, _), seq)| (group.clone(), *seq)).collect();
    assert_eq!(left, [(group("user:anna"), 2)]);
    server.one("ben", 1, delete("1", 2).text());
    assert_eq!(groups(&server), [group("user:ben")], "a tombstone keeps the groups that it had");
}

#[test]
fn rule_27_an_answer_shows_no_value_of_an_entity_that_its_author_may_not_see() {
    let strategy = CollectionSettings { conflict: Strategy::ServerWins, ..CollectionSettings::default() };
    let mut server = Server::with(strategy);
    server.policy.private_to = Some("owner".into());
    server.one("anna", 1, insert("1", json!({"owner": "anna", "f": 0})));
    let theirs = patch("1", 1).set("/f", "secret").was("/f", 0).set("/owner", "ben").was("/owner", "anna");
    server.one("ben", 1, theirs.text());
    let Verdict::Merged { overwritten, displaced, .. } =
        server.one("anna", 2, patch("1", 1).set("/f", 1).was("/f", 0).text())
    else {
        panic!("the stored value wins")
    };
    assert!(displaced.is_empty());
    assert_eq!((overwritten[0].yours.clone(), overwritten[0].kept.clone()), (Some(json!(1)), None));
    assert_eq!(overwritten[0].by, None);
}

#[test]
fn an_answer_tells_the_time_and_the_user() {
    let answer = Server::default().push("anna", &[]);
    assert_eq!((answer.now, answer.user, answer.v), (NOW, user("anna"), 1));
}

#[test]
fn rule_14_a_removed_field_is_concurrent_until_the_horizon() {
    let mut server = Server::default();
    server.one("maker", 1, insert("1", json!({"a": 1, "b": 1, "c": 1})));
    server.one("anna", 1, patch("1", 1).unset("/a").was("/a", 1).text());
    server.one("anna", 2, patch("1", 2).unset("/b").was("/b", 1).text());
    server.store.horizon = 2;
    let entries =
        |server: &Server| server.stored("1").unwrap().paths.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(entries(&server), ["/a", "/b", "/c"]);
    server.one("anna", 3, patch("1", 3).set("/c", 2).was("/c", 1).text());
    assert_eq!(entries(&server), ["/b", "/c"], "the entry of a field that is there stays, however old");
    // Ben wrote before Anna removed the field: he loses to her as long as that is known.
    let late = |path: &str| patch("1", 1).set(path, 2).was(path, 1).at(5).text();
    assert!(matches!(server.one("ben", 1, late("/b")), Verdict::Merged { .. }));
    assert_eq!(server.one("ben", 2, late("/a")), applied(6), "5 is the revision of his loss");
    assert_eq!(server.doc("1"), json!({"a": 2, "c": 2}));
}
