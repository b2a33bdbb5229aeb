//! Whoever lost a value is told, on every device of theirs (rule 19).

use crate::common;

use common::conflicts::{code, in_state, manual, only, parked, told, waiting, with};
use common::{DEALS, NOW, Server, delete, insert, insert_at, patch, server};
use tidewire_core::error::Code;
use tidewire_core::ids::{CollectionName, EntityId, MutationId};
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::limits::{CONFLICT_BYTES_MAX, CONFLICTS_MAX, CONFLICTS_OPEN_MAX, DOCUMENT_BYTES_MAX};
use tidewire_core::model::conflict::{Conflict, State};
use tidewire_core::model::schema::{CollectionSettings, DeleteConflict, Strategy};
use tidewire_core::protocol::message::Verdict;

#[test]
fn rule_19_whoever_lost_is_told_in_both_orders_of_arrival_and_by_each_strategy() {
    let table = [
        (Strategy::LastWriteWins, [("ben", "anna"), ("ben", "anna")]),
        (Strategy::Merge, [("ben", "anna"), ("ben", "anna")]),
        (Strategy::ClientWins, [("ben", "anna"), ("anna", "ben")]),
        (Strategy::ServerWins, [("anna", "ben"), ("ben", "anna")]),
    ];
    let edit = |author: &str, at| patch("1", 1).set("/f", author).was("/f", "old").at(at).text();
    for (strategy, outcomes) in table {
        for (order, (kept, gone)) in [["anna", "ben"], ["ben", "anna"]].into_iter().zip(outcomes) {
            let mut server = server(with(strategy), json!({"f": "old"}));
            let verdicts =
                order.map(|author| server.one(author, 1, edit(author, if author == "ben" { 30 } else { 20 })));
            assert_eq!(server.doc("1")["f"], json!(kept), "{strategy:?} {order:?}");
            let (id, conflict) = only(&server);
            let expected = json!({"c": DEALS, "e": "1", "path": "/f", "state": "lost", "base": "old", "yours": gone,
                                  "kept": kept, "by": kept, "subject": gone, "replica": gone, "at": NOW});
            assert_eq!(json::to_value(&conflict), expected, "{strategy:?} {order:?}");
            let key = (CollectionName::of_conflicts(), EntityId::parse(&id).unwrap());
            assert_eq!(server.store.entities[&key].groups[0].as_str(), format!("user:{gone}"));
            let rev = server.store.entities[&key].stored.rev;
            assert!(matches!(&verdicts[1], Verdict::Merged { rev: said, .. } if *said == rev), "{verdicts:?}");
        }
    }
}

#[test]
fn rule_19_each_author_of_an_object_that_lost_is_told_of_his_own_fields() {
    let mut server = server(CollectionSettings::default(), json!({"o": {"x": 1, "y": 1, "z": 1}}));
    server.one("anna", 1, patch("1", 1).set("/o/x", 2).was("/o/x", 1).text());
    server.one("carl", 1, patch("1", 1).set("/o/y", 2).was("/o/y", 1).text());
    let whole = json!({"x": 1, "y": 1, "z": 1});
    server.one("ben", 1, patch("1", 1).set("/o", 0).was("/o", whole).text());
    assert_eq!(in_state(&server, State::Lost), [told("/o/x", "anna", 2), told("/o/y", "carl", 2)]);
    let bases: Vec<_> = server.conflicts("1").into_iter().map(|(_, conflict)| conflict.base).collect();
    assert_eq!(bases, [Some(json!(1)), Some(json!(1))]);
}

#[test]
fn rule_19_delete_against_update_tells_who_lost_both_ways() {
    let update = || patch("1", 1).set("/f", 1).was("/f", 0).at(20).text();
    let gone = || delete("1", 1).was("/f", 0).at(30).text();
    let mut deleted = server(CollectionSettings::default(), json!({"f": 0}));
    deleted.one("anna", 1, update());
    deleted.one("ben", 1, gone());
    assert_eq!(in_state(&deleted, State::Lost), [told("/f", "anna", 1)]);
    let wins = CollectionSettings { on_delete_conflict: DeleteConflict::UpdateWins, ..CollectionSettings::default() };
    for update_first in [true, false] {
        let mut kept = server(wins.clone(), json!({"f": 0}));
        let first = if update_first { ("anna", update()) } else { ("ben", gone()) };
        let second = if update_first { ("ben", gone()) } else { ("anna", update()) };
        kept.one(first.0, 1, first.1);
        kept.one(second.0, 1, second.1);
        assert_eq!(kept.doc("1"), json!({"f": 1}));
        let (_, conflict) = only(&kept);
        assert_eq!((conflict.subject.as_str(), conflict.yours, conflict.kept), ("ben", None, Some(json!(1))));
        assert_eq!(
            (conflict.path.as_str(), conflict.base, conflict.by.unwrap().as_str()),
            ("/f", Some(json!(0)), "anna")
        );
    }
}

#[test]
fn rule_19_who_deletes_is_told_of_the_removal_of_a_field_that_wins() {
    let wins = CollectionSettings { on_delete_conflict: DeleteConflict::UpdateWins, ..CollectionSettings::default() };
    for removal_first in [true, false] {
        let removal = ("anna", patch("1", 1).unset("/f").was("/f", 0).at(20).text());
        let gone = ("ben", delete("1", 1).was("/f", 0).was("/g", 0).at(30).text());
        let mut server = server(wins.clone(), json!({"f": 0, "g": 0}));
        for (who, edit) in if removal_first { [removal, gone] } else { [gone, removal] } {
            server.one(who, 1, edit);
        }
        assert_eq!(server.doc("1"), json!({"g": 0}));
        let (_, conflict) = only(&server);
        assert_eq!((conflict.subject.as_str(), conflict.path.as_str(), conflict.yours), ("ben", "/f", None));
    }
}

#[test]
fn rule_19_who_removed_a_field_is_told_when_a_deletion_that_is_taken_back_brings_it_back() {
    let mut server = server(CollectionSettings::default(), json!({"f": 0, "g": 0}));
    server.one("anna", 1, patch("1", 1).unset("/f").was("/f", 0).text());
    server.one("ben", 1, delete("1", 1).was("/f", 0).was("/g", 0).text());
    assert_eq!(server.conflicts("1"), vec![], "it is gone, as she wanted");
    let back = insert("1", json!({"f": 0, "g": 0})).replace(r#""base":0"#, r#""base":1"#);
    server.one("ben", 2, back);
    assert_eq!(server.doc("1"), json!({"f": 0, "g": 0}));
    let (_, conflict) = only(&server);
    assert_eq!((conflict.subject.as_str(), conflict.path.as_str()), ("anna", "/f"));
    assert_eq!((conflict.yours, conflict.kept), (None, Some(json!(0))));
}

/// Who was told that his removal, or his deletion, of `/f` does not hold.
fn bereft(server: &Server) -> Vec<String> {
    let all = server.conflicts("1").into_iter().map(|(_, conflict)| conflict);
    let removed = all.filter(|conflict| conflict.yours.is_none() && conflict.path.as_str() == "/f");
    removed.map(|conflict| conflict.subject).collect()
}

#[test]
fn rule_19_who_deleted_what_was_deleted_already_is_told_when_the_first_takes_his_deletion_back() {
    let back = |base: u64| insert_at("1", json!({"f": 0}), 30).replace(r#""base":0"#, &format!(r#""base":{base}"#));
    let gone = || delete("1", 1).was("/f", 0).text();
    for (author, base, told) in
        [("anna", 1, vec!["ben"]), ("anna", 2, vec!["ben"]), ("carl", 2, vec!["ben"]), ("carl", 3, vec![])]
    {
        let mut server = server(CollectionSettings::default(), json!({"f": 0}));
        server.one("anna", 1, gone());
        server.one("ben", 1, gone());
        server.one(author, 2, back(base));
        assert_eq!(server.doc("1"), json!({"f": 0}), "{author} {base}");
        assert_eq!(bereft(&server), told, "{author} {base}");
    }
}

#[test]
fn rule_19_who_deleted_first_is_told_when_another_who_did_so_as_well_takes_his_deletion_back() {
    let mut server = server(CollectionSettings::default(), json!({"f": 0}));
    server.floor = MutationId(0, 1);
    for author in ["anna", "ben"] {
        server.one(author, 1, delete("1", 1).was("/f", 0).text());
    }
    server.one("ben", 2, insert_at("1", json!({"f": 0}), 30));
    assert_eq!((server.doc("1"), bereft(&server)), (json!({"f": 0}), vec!["anna".to_owned()]));
}

#[test]
fn rule_19_who_removed_what_was_removed_already_is_told_when_the_first_takes_his_removal_back() {
    let back = |base: u64| patch("1", base).set("/f", 0).text();
    let gone = || patch("1", 1).unset("/f").was("/f", 0).text();
    let cases = [
        (["anna", "ben"], "anna", 1, vec!["ben"]),
        (["anna", "ben"], "anna", 2, vec!["ben"]),
        (["anna", "ben"], "anna", 3, vec![]),
        (["ben", "anna"], "anna", 1, vec!["ben"]),
        (["anna", "ben"], "carl", 2, vec!["ben"]),
        (["anna", "ben"], "carl", 3, vec![]),
    ];
    for (order, author, base, told) in cases {
        let mut server = server(CollectionSettings::default(), json!({"f": 0, "g": 0}));
        server.floor = MutationId(0, 1);
        for first in order {
            server.one(first, 1, gone());
        }
        server.one(author, 2, back(base));
        assert_eq!(server.doc("1"), json!({"f": 0, "g": 0}), "{order:?}, {author} {base}");
        assert_eq!(bereft(&server), told, "{order:?}, {author} {base}");
    }
}

#[test]
fn rule_19_who_deleted_is_told_of_a_later_insert_that_had_not_seen_it() {
    let mut server = server(CollectionSettings::default(), json!({"f": 0}));
    server.one("anna", 1, delete("1", 1).was("/f", 0).at(20).text());
    server.one("ben", 1, insert_at("1", json!({"f": 1}), 30));
    assert_eq!((server.doc("1"), bereft(&server)), (json!({"f": 1}), vec!["anna".to_owned()]));
}

#[test]
fn rule_19_a_value_that_lost_is_put_back_and_taken_back_again() {
    let mut server = server(CollectionSettings::default(), json!({"f": 0}));
    server.one("anna", 1, patch("1", 1).set("/f", 1).was("/f", 0).at(20).text());
    server.one("ben", 1, patch("1", 1).set("/f", 2).was("/f", 0).at(30).text());
    let (id, _) = only(&server);
    let back = patch("1", 3).set("/f", 1).was("/f", 2).field("resolves", json!([id.clone()])).text();
    assert_eq!(server.one("anna", 2, back), Verdict::Applied { rev: 4 });
    assert_eq!((server.doc("1")["f"].clone(), only(&server).1.state), (json!(1), State::Closed));
    let undo = patch("1", 4).set("/f", 2).was("/f", 1).field("reopens", json!([id])).text();
    server.one("anna", 3, undo);
    assert_eq!((server.doc("1")["f"].clone(), only(&server).1.state), (json!(2), State::Lost));
}

#[test]
fn rule_19_whose_commit_is_not_known_nobody_is_told_but_the_value_is_kept() {
    let mut server = server(CollectionSettings::default(), json!({"f": 0}));
    server.one("anna", 1, patch("1", 1).set("/f", 1).was("/f", 0).at(20).text());
    server.store.authors.clear();
    server.one("ben", 1, patch("1", 1).set("/f", 2).was("/f", 0).at(30).text());
    let (id, conflict) = only(&server);
    assert_eq!((conflict.subject.as_str(), conflict.yours), ("", Some(json!(1))));
    let key = (CollectionName::of_conflicts(), EntityId::parse(&id).unwrap());
    assert!(server.store.entities[&key].groups.is_empty());
}

#[test]
fn rule_19_both_who_wrote_the_value_that_lost_are_told_in_each_order_of_their_times() {
    for (anna, ben) in [(20, 25), (25, 20)] {
        let same = |at: u64| patch("1", 1).set("/f", "same").was("/f", "old").at(at).text();
        let other = || patch("1", 1).set("/f", "carl").was("/f", "old").at(30).text();
        for gone in [false, true] {
            let mut server = server(CollectionSettings::default(), json!({"f": "old"}));
            server.one("anna", 1, same(anna));
            assert_eq!(server.one("ben", 1, same(ben)), Verdict::Applied { rev: 2 });
            let verdict = server.one("carl", 1, if gone { delete("1", 1).at(30).text() } else { other() });
            let Verdict::Merged { displaced, .. } = &verdict else { panic!("{verdict:?}") };
            assert_eq!(displaced.len(), 1, "one value lost");
            let lost = [told("/f", "anna", "same"), told("/f", "ben", "same")];
            assert_eq!(in_state(&server, State::Lost), lost, "{anna} {ben} {gone}");
            let replicas: Vec<_> = server.conflicts("1").into_iter().map(|(_, one)| one.replica.to_string()).collect();
            assert_eq!(replicas, ["anna", "ben"]);
        }
    }
}

#[test]
fn rule_19_of_several_who_wrote_the_value_that_lost_the_first_and_the_latest_of_the_others_are_told() {
    let mut server = server(CollectionSettings::default(), json!({"f": "old"}));
    for (author, at) in [("anna", 22), ("ben", 20), ("dora", 25), ("emil", 21)] {
        server.one(author, 1, patch("1", 1).set("/f", "same").was("/f", "old").at(at).text());
    }
    // Dora's other device, and one of Anna's, say nothing new.
    let again = patch("1", 1).set("/f", "same").was("/f", "old").at(24).text();
    for (subject, replica) in [("dora", "phone"), ("anna", "tablet")] {
        server.push_as(&common::user(subject), replica, &[((1, 0), None, Some(&again))]);
    }
    server.one("carl", 1, patch("1", 1).set("/f", "carl").was("/f", "old").at(30).text());
    assert_eq!(in_state(&server, State::Lost), [told("/f", "anna", "same"), told("/f", "dora", "same")]);
}

#[test]
fn rule_19_a_replica_that_two_users_name_is_neithers() {
    let mut server = server(CollectionSettings::default(), json!({"f": "old"}));
    let same = |at: u64| patch("1", 1).set("/f", "same").was("/f", "old").at(at).text();
    server.one("anna", 1, same(20));
    for (subject, at) in [("ben", 21), ("mallory", 22)] {
        server.push_as(&common::user(subject), "ben", &[((1, 0), None, Some(&same(at)))]);
    }
    server.one("carl", 1, patch("1", 1).set("/f", "carl").was("/f", "old").at(30).text());
    assert_eq!(in_state(&server, State::Lost), [told("/f", "anna", "same")]);
}

#[test]
fn rule_19_history_is_bounded_and_what_was_dropped_is_counted() {
    let mut server = parked();
    let settings = server.policy.settings.get_mut(DEALS).unwrap();
    settings.conflict = Strategy::ServerWins;
    let lose = |server: &mut Server, n: u64, value: Value| server.one("ben", n, patch("1", 1).set("/g", value).text());
    server.one("anna", 2, patch("1", 3).set("/g", 2).was("/g", 1).text());
    for n in 0..CONFLICTS_MAX as u64 + 4 {
        lose(&mut server, 10 + n, json!(n + 1_000));
    }
    let all = server.conflicts("1");
    assert_eq!((all.len(), all[0].1.state), (CONFLICTS_MAX, State::Open), "what waits is not dropped");
    assert_eq!((all[1].1.yours.clone(), all[99].1.dropped), (Some(json!(1_005)), 5));
    // In bytes as well; the newest is kept however large it is.
    lose(&mut server, 500, json!("x".repeat(CONFLICT_BYTES_MAX)));
    let all = server.conflicts("1");
    assert_eq!((all.len(), all[1].1.dropped), (2, 5 + CONFLICTS_MAX as u32 - 1));
    let gone = server.store.entities.iter().filter(|((c, _), row)| c.is_conflicts() && row.stored.deleted);
    assert!(gone.clone().count() >= CONFLICTS_MAX);
    for (_, row) in gone {
        assert_eq!((row.stored.doc.clone(), row.groups.len()), (json!({}), 1), "its reader is told, its value is gone");
    }
}

#[test]
fn rule_19_of_many_losses_at_once_the_last_hundred_are_kept() {
    let doc: Value = json!({"o": {}});
    let mut server = server(with(Strategy::ServerWins), doc);
    server.one("anna", 1, many("anna", CONFLICTS_MAX + 20));
    server.one("ben", 1, many("ben", CONFLICTS_MAX + 20));
    let all = server.conflicts("1");
    assert_eq!((all.len(), all[0].1.path.as_str(), all[99].1.dropped), (CONFLICTS_MAX, "/o/k00020", 20));
}

/// Many fields of one object, none of them there before.
fn many(author: &str, count: usize) -> String {
    let mut edit = patch("1", 1);
    for i in 0..count {
        edit = edit.set(&format!("/o/k{i:05}"), author);
    }
    edit.text()
}

#[test]
fn more_than_a_person_can_decide_does_not_wait() {
    let mut server = server(manual(), json!({"o": {}}));
    server.one("anna", 1, many("anna", CONFLICTS_OPEN_MAX + 1));
    assert_eq!(code(&server.one("ben", 1, many("ben", CONFLICTS_OPEN_MAX + 1))), Code::TooLarge);
    assert_eq!(server.conflicts("1").len(), 0, "nothing of it was stored");
    assert_eq!(waiting(&server.one("ben", 2, many("ben", CONFLICTS_OPEN_MAX))).1.len(), CONFLICTS_OPEN_MAX);
    let last = format!("/o/k{CONFLICTS_OPEN_MAX:05}");
    assert_eq!(code(&server.one("ben", 3, patch("1", 1).set(&last, "ben").text())), Code::TooLarge);
    // To decide is always possible.
    let id = server.conflicts("1").remove(0).0;
    server.one("ben", 4, patch("1", 3).field("resolves", json!([id])).text());
    assert_eq!(waiting(&server.one("ben", 5, patch("1", 1).set(&last, "ben").text())).1, [last.as_str()]);
}

#[test]
fn more_than_a_document_can_hold_does_not_wait() {
    let mut server = parked();
    let half = "x".repeat(DOCUMENT_BYTES_MAX / 2);
    let longer = |path: &str| patch("1", 1).set(path, half.as_str()).text();
    server.one("anna", 2, patch("1", 2).set("/h", 1).set("/i", 1).text());
    assert_eq!(waiting(&server.one("ben", 2, longer("/h"))).1, ["/h"]);
    assert_eq!(code(&server.one("ben", 3, longer("/i"))), Code::TooLarge);
}

#[test]
fn an_edit_of_very_many_fields_is_settled_as_any_other() {
    const COUNT: usize = 5_000;
    for strategy in [Strategy::ServerWins, Strategy::ClientWins, Strategy::Manual] {
        let mut server = server(with(strategy), json!({"o": {}}));
        server.one("anna", 1, many("anna", COUNT));
        let verdict = server.one("ben", 1, many("ben", COUNT));
        if strategy == Strategy::Manual {
            assert_eq!(code(&verdict), Code::TooLarge);
            continue;
        }
        let all = server.conflicts("1");
        assert_eq!((all.len(), all[99].1.dropped), (CONFLICTS_MAX, (COUNT - CONFLICTS_MAX) as u32), "{strategy:?}");
    }
    // ... and to name very many conflicts is none.
    let ids: Vec<Value> = (0..=CONFLICTS_OPEN_MAX).map(|i| json!(format!("c{i}"))).collect();
    let mut server = parked();
    let edit = patch("1", 3).field("resolves", Value::from(ids)).text();
    assert_eq!(code(&server.one("ben", 2, edit)), Code::BadMutation);
}

#[test]
fn a_null_that_lost_is_told_as_one_on_the_wire_and_from_the_store() {
    let mut server = server(with(Strategy::ServerWins), json!({"f": 0}));
    server.one("anna", 1, patch("1", 1).set("/f", Value::Null).was("/f", 0).text());
    let verdict = server.one("ben", 1, patch("1", 1).set("/f", 1).was("/f", 0).text());
    let text = json::to_text(&verdict);
    assert_eq!(Verdict::read(&json::to_value(&verdict)).unwrap(), verdict, "{text}");
    assert_eq!(serde_json::from_str::<Verdict>(&text).unwrap(), verdict, "{text}");
    let (_, conflict) = only(&server);
    assert_eq!((conflict.kept.clone(), conflict.base.clone()), (Some(Value::Null), Some(json!(0))));
    assert_eq!(serde_json::from_str::<Conflict>(&json::to_text(&conflict)).unwrap(), conflict);
}
