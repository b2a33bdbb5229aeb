//! The rules of exactly once: floors, digests, retries, forks and voids, each by name (`docs/PROTOCOL.md`).

use crate::common;

use common::{Item, Server, delete, insert, patch, user};
use tidewire_core::clock::Hlc;
use tidewire_core::error::Code;
use tidewire_core::ids::{MutationId, ReplicaId};
use tidewire_core::json;
use tidewire_core::json::Raw;
use tidewire_core::model::former::Former;
use tidewire_core::protocol::message::{HeldReason, Verdict};

const MISSING: Verdict = Verdict::Held { reason: HeldReason::Missing };

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
fn rule_06_a_doubled_push_gets_the_same_verdicts_and_counts_once() {
    let mut server = Server::default();
    let push = [
        ((1, 0), insert("1", json!({"n": 1}))),
        ((2, 0), patch("1", 1).inc("/n", 2.0).text()),
        ((3, 0), delete("2", 0).text()),
        ((4, 0), insert("1", json!({"n": 7}))),
    ];
    let first = server.push("anna", &push);
    let store = server.store.clone();
    let second = server.push("anna", &push);
    assert_eq!(server.doc("1"), json!({"n": 3}));
    assert_eq!(server.store, store);
    assert!(first.verdicts.iter().all(|item| !item.duplicate));
    assert!(second.verdicts.iter().all(|item| item.duplicate));
    for (one, other) in first.verdicts.iter().zip(&second.verdicts) {
        assert_eq!(one.verdict, other.verdict);
    }
    assert_eq!(first.verdicts[1].verdict, applied(2));
    assert_eq!(code(&first.verdicts[3].verdict), Code::Exists);
}

#[test]
fn rule_06_a_half_lost_push_goes_on_where_it_stopped() {
    let mut server = with_one();
    let edit = |n: u64| ((n, 0), patch("1", 1).inc("/n", 1.0).text());
    server.push("anna", &[edit(1), edit(2)]);
    let again = server.push("anna", &[edit(2), edit(3), edit(1)]);
    let duplicates: Vec<_> = again.verdicts.iter().map(|item| item.duplicate).collect();
    assert_eq!(duplicates, [true, false, true]);
    assert_eq!(server.doc("1"), json!({"n": 4}));
}

#[test]
fn rule_06_numbers_need_not_arrive_in_order() {
    let mut server = with_one();
    let waits = patch("late", 0).set("/f", 1).text();
    assert_eq!(server.one("anna", 5, waits.clone()), MISSING);
    assert_eq!(server.one("anna", 9, patch("1", 1).inc("/n", 1.0).text()), applied(2));
    assert_eq!(server.one("ben", 1, insert("late", json!({}))), applied(3));
    assert_eq!(server.one("anna", 5, waits), applied(4));
}

#[test]
fn rule_06_the_same_number_twice_in_one_push_counts_once() {
    let mut server = with_one();
    let edit = || ((1, 0), patch("1", 1).inc("/n", 1.0).text());
    let answer = server.push("anna", &[edit(), edit()]);
    assert_eq!(answer.verdicts[1].verdict, answer.verdicts[0].verdict);
    assert!(answer.verdicts[1].duplicate);
    let other = server.push("anna", &[((2, 0), edit().1), ((2, 0), patch("1", 1).inc("/n", 50.0).text())]);
    assert_eq!(code(&other.verdicts[1].verdict), Code::BadMessage);
    assert_eq!(server.doc("1"), json!({"n": 3}));
}

#[test]
fn rule_06_the_floor_rises_and_never_falls() {
    let mut server = with_one();
    let floor = |server: &Server| server.store.floors.get(&(user("anna"), ReplicaId::parse("anna").unwrap())).copied();
    server.floor = MutationId(3, 1);
    server.push("anna", &[]);
    server.floor = MutationId(2, 9);
    server.push("anna", &[]);
    assert_eq!(floor(&server), Some(MutationId(3, 1)));
    // Content of an unknown number below the floor comes from an older copy of the store.
    let answer = server.push("anna", &[((3, 0), patch("1", 1).inc("/n", 1.0).text())]);
    let forked = answer.forked.unwrap();
    assert_eq!((forked[0].same.clone(), forked[0].differs), (None, false));
    assert_eq!(server.doc("1"), json!({"n": 1}));
    let at_the_floor = server.push("anna", &[((3, 1), patch("1", 1).inc("/n", 1.0).text())]);
    assert_eq!(at_the_floor.verdicts[0].verdict, applied(2));
}

#[test]
fn rule_07_a_retry_is_a_new_mutation_and_a_rejection_is_final_for_its_number() {
    let mut server = Server::default();
    let wrong = patch("1", 1).inc("/s", 1.0).text();
    server.one("anna", 1, insert("1", json!({"s": "x"})));
    assert_eq!(code(&server.one("anna", 2, wrong.clone())), Code::WrongType);
    server.one("ben", 1, patch("1", 1).set("/s", 1).was("/s", "x").text());
    assert_eq!(code(&server.one("anna", 2, wrong)), Code::WrongType);
    let retry = patch("1", 1).inc("/s", 1.0).field("retry_of", json!([2, 0])).text();
    assert_eq!(server.one("anna", 3, retry), applied(3));
    assert_eq!(server.doc("1"), json!({"s": 2}));
}

#[test]
fn rule_08_a_fork_answers_the_whole_push_and_applies_nothing() {
    let mut server = with_one();
    let edit = |by: f64| patch("1", 1).inc("/n", by).text();
    assert_eq!(server.one("anna", 1, edit(1.0)), applied(2));
    assert_eq!(server.one("anna", 2, edit(2.0)), applied(3));
    let before = server.store.clone();
    server.floor = MutationId(2, 0);
    let answer =
        server.push("anna", &[((1, 0), edit(1.0)), ((2, 0), edit(20.0)), ((3, 0), edit(30.0)), ((4, 0), edit(4.0))]);
    assert!(answer.verdicts.is_empty());
    let forked: Vec<_> = answer.forked.unwrap().into_iter().map(|item| (item.n, item.same, item.differs)).collect();
    let expected = [
        (MutationId(1, 0), Some(applied(2)), false),
        (MutationId(2, 0), None, true),
        (MutationId(3, 0), None, false),
        (MutationId(4, 0), None, false),
    ];
    assert_eq!(forked, expected);
    assert_eq!(server.store, before);
}

#[test]
fn rule_08_a_void_never_makes_a_fork() {
    let mut server = with_one();
    let edit = patch("1", 1).inc("/n", 1.0).text();
    let void: Item<'_> = ((1, 0), None, None);
    server.one("anna", 1, edit.clone());
    let decided = server.push_items("anna", &[void, ((2, 0), None, None)]);
    assert_eq!(decided.verdicts[0].verdict, applied(2), "a decided number gets its verdict");
    assert_eq!(decided.verdicts[1].verdict, Verdict::Void);
    let content = server.push("anna", &[((2, 0), edit)]);
    assert!(content.forked.is_none());
    assert_eq!((content.verdicts[0].verdict.clone(), content.verdicts[0].duplicate), (Verdict::Void, false));
    assert_eq!(server.doc("1"), json!({"n": 2}));
}

#[test]
fn rule_09_knowing_a_replica_id_gives_nobody_anything() {
    let mut server = with_one();
    let edit = patch("1", 1).inc("/n", 1.0).text();
    server.one("anna", 1, edit.clone());
    let other = patch("1", 1).inc("/n", 5.0).text();
    let answer = server.push_as(&user("mallory"), "anna", &[((1, 0), None, Some(&other)), ((2, 0), None, None)]);
    assert!(answer.forked.is_none(), "another user's numbers are his own");
    assert_eq!(answer.verdicts[0].verdict, applied(3));
    assert!(server.push("anna", &[((1, 0), edit)]).verdicts[0].duplicate);
    assert_eq!(server.one("anna", 2, patch("1", 1).inc("/n", 1.0).text()), applied(4), "mallory's void is not anna's");
}

/// An edit with the name under which it may have gone up before.
fn renamed(edit: &str, replica: &str, (key, index): (u64, u32)) -> String {
    let former = Former { replica: ReplicaId::parse(replica).unwrap(), n: MutationId(key, index) };
    former.name(&Raw::parse(edit).unwrap()).get().to_owned()
}

#[test]
fn rule_06_a_mutation_that_comes_under_another_name_counts_once_whichever_arrives_first() {
    let edit = patch("1", 1).inc("/n", 2.0).text();
    let lost = ("lost", 5, edit.clone());
    let first = ("first", 7, renamed(&edit, "lost", (5, 0)));
    let second = ("second", 9, renamed(&first.2, "first", (7, 0)));
    assert_eq!(second.2, first.2, "the first name stays");
    for order in
        [[&lost, &first, &second], [&first, &lost, &second], [&second, &first, &lost], [&first, &second, &lost]]
    {
        let mut server = with_one();
        for (at, (replica, n, text)) in order.into_iter().enumerate() {
            let mut push = || server.push_as(&user("anna"), replica, &[((*n, 0), None, Some(text))]).verdicts.remove(0);
            let (answer, again) = (push(), push());
            assert_eq!((&answer.verdict, answer.duplicate), (&applied(2), at > 0), "{replica} of {order:?}");
            assert_eq!((&again.verdict, again.duplicate), (&applied(2), true));
        }
        assert_eq!(server.doc("1"), json!({"n": 3}));
    }
}

/// A store was copied twice, and each copy wrote its own under the next number before it heard of the other.
#[test]
fn rule_06_what_two_copies_wrote_under_one_number_counts_once_each() {
    let edits = [patch("1", 1).inc("/n", 2.0).text(), patch("1", 1).inc("/n", 10.0).text()];
    let named = [0, 1].map(|which| renamed(&edits[which], "store", (5, 0)));
    for order in [[0, 1, 0, 1], [0, 1, 1, 0]] {
        let mut server = with_one();
        for (at, which) in order.into_iter().enumerate() {
            let items: [Item<'_>; 1] = [((9, 0), None, Some(&named[which]))];
            let answer = server.push_as(&user("anna"), &format!("copy{at}"), &items).verdicts.remove(0);
            assert_eq!(answer.duplicate, at > 1, "{at} of {order:?}: {answer:?}");
        }
        let answer = server.push_as(&user("anna"), "store", &[((5, 0), None, Some(&edits[order[0]]))]);
        assert!(answer.verdicts[0].duplicate, "{answer:?}");
        assert_eq!(server.doc("1"), json!({"n": 13}));
    }
}

/// A store was lost just after it had joined edits; one of its tabs had not heard of that, and wrote them again.
#[test]
fn rule_06_an_edit_that_was_joined_counts_once_though_it_comes_alone_under_another_name() {
    let part = |n: u32, was: f64| patch("1", 1).inc("/n", 1.0).was("/n", was).at(20 + u64::from(n)).text();
    let alone = [0, 1].map(|n| ((9, n), renamed(&part(n, f64::from(n + 1)), "lost", (5, n))));
    let joined = patch("1", 1).inc("/n", 2.0).was("/n", 1.0).at(21).field("joined", true).text();
    for is_joined_first in [true, false] {
        let mut server = with_one();
        server.void_at = Some(Hlc(20, 0));
        for is_joined in [is_joined_first, !is_joined_first] {
            let answer = if is_joined {
                server.push_items("lost", &[((5, 0), None, None), ((5, 1), None, Some(&joined))])
            } else {
                server.push_as(&user("lost"), "next", &[0, 1].map(|n| (alone[n].0, None, Some(alone[n].1.as_str()))))
            };
            let is_known = is_joined != is_joined_first;
            assert_eq!(answer.verdicts[1].duplicate, is_known, "{is_joined_first}: {answer:?}");
        }
        assert_eq!(server.doc("1"), json!({"n": 3}), "{is_joined_first}");
    }
}

#[test]
fn rule_06_a_transaction_that_comes_under_another_name_counts_once() {
    let members = [patch("1", 1).inc("/n", 2.0).text(), insert("2", json!({}))];
    let named = |at: u32| renamed(&members[at as usize], "lost", (7, at));
    let mut server = with_one();
    for (replica, texts) in [("lost", members.clone()), ("next", [named(0), named(1)])] {
        let items: Vec<Item<'_>> =
            (0..).zip(&texts).map(|(at, text)| ((7, at), Some((7, 0)), Some(text.as_str()))).collect();
        let answer = server.push_as(&user("anna"), replica, &items);
        assert!(answer.verdicts.iter().all(|item| item.verdict == applied(2)), "{answer:?}");
    }
    assert_eq!(server.doc("1"), json!({"n": 3}));
}

#[test]
fn rule_08_what_a_copy_says_of_its_former_name_is_no_fork_and_only_its_own_content_and_users() {
    let mut server = with_one();
    let edit = patch("1", 1).inc("/n", 2.0).text();
    let mut push = |who: &str, replica: &str, n: u64, text: &str| {
        server.push_as(&user(who), replica, &[((n, 0), None, Some(text))])
    };
    push("anna", "copy", 9, &renamed(&edit, "store", (5, 0)));
    // The other copy goes on under the old name, with an edit of its own.
    let other = push("anna", "store", 5, &patch("1", 1).inc("/n", 10.0).text());
    assert_eq!((other.forked, other.verdicts[0].duplicate), (None, false));
    push("anna", "third", 9, &renamed(&patch("1", 1).inc("/n", 100.0).text(), "store", (5, 0)));
    push("bea", "hers", 9, &renamed(&edit, "store", (5, 0)));
    assert_eq!(server.doc("1"), json!({"n": 115}));
}
