//! Values that wait for their author on the server (rules 17 and 18).

use crate::common;

use common::conflicts::{code, in_state, manual, only, parked, told, waiting};
use common::{DEALS, NOW, delete, field, insert, patch, server};
use tidewire_core::error::Code;
use tidewire_core::ids::{CollectionName, EntityId};
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::model::conflict::{Conflict, State, prefix};
use tidewire_core::model::schema::{CollectionSettings, DeleteConflict, FieldStrategy, Strategy};
use tidewire_core::protocol::message::Verdict;

#[test]
fn rule_17_a_concurrent_write_waits_and_everything_else_goes_on() {
    let mut server = server(manual(), json!({"f": "old", "g": 1}));
    server.one("anna", 1, patch("1", 1).set("/f", "anna").was("/f", "old").text());
    let his = patch("1", 1).set("/f", "ben").was("/f", "old").set("/g", 2).was("/g", 1).text();
    let verdict = server.one("ben", 1, his.clone());
    assert_eq!(waiting(&verdict), (3, vec!["/f"]));
    assert_eq!(server.doc("1"), json!({"f": "anna", "g": 2}), "his other field is taken");
    let (id, conflict) = only(&server);
    assert_eq!(id, format!("{}{:016x}-{:08x}", prefix(DEALS, "1"), 3, 0));
    let shown = json::to_value(&conflict);
    assert_eq!(
        shown,
        json!({"c": DEALS, "e": "1", "path": "/f", "state": "open", "base": "old", "yours": "ben", "kept": "anna",
               "by": "anna", "subject": "ben", "replica": "ben", "at": NOW})
    );
    let key = (CollectionName::of_conflicts(), EntityId::parse(&id).unwrap());
    let row = &server.store.entities[&key];
    assert_eq!((row.stored.rev, row.groups[0].as_str(), row.groups.len()), (3, "user:ben", 1));
    // A second delivery writes nothing.
    let before = server.store.clone();
    assert_eq!(server.one("ben", 1, his), verdict);
    assert_eq!(server.store, before);
    // Others go on with the field.
    let more = patch("1", 2).set("/f", "anna 2").was("/f", "anna").text();
    assert_eq!(server.one("anna", 2, more), Verdict::Applied { rev: 4 });
}

#[test]
fn rule_17_what_nobody_else_wrote_applies_and_the_same_value_does_not_wait() {
    let mut server = server(manual(), json!({"f": 0, "n": 1, "tags": []}));
    server.one("anna", 1, patch("1", 1).set("/f", 1).was("/f", 0).text());
    assert_eq!(server.one("ben", 1, patch("1", 1).set("/f", 1).was("/f", 0).text()), Verdict::Applied { rev: 2 });
    // Operators commute.
    server.one("anna", 2, patch("1", 2).inc("/n", 2.0).add("/tags", json!(["a"])).was("/n", 1).text());
    let his = patch("1", 2).inc("/n", 5.0).add("/tags", json!(["b"])).was("/n", 1).text();
    assert_eq!(server.one("ben", 2, his), Verdict::Applied { rev: 4 });
    assert_eq!(server.doc("1"), json!({"f": 1, "n": 8, "tags": ["a", "b"]}));
    assert_eq!(server.conflicts("1"), vec![]);
}

#[test]
fn rule_17_one_field_of_a_collection_waits_and_a_field_may_have_a_strategy_that_does_not() {
    let mut one = server(field("/f", FieldStrategy::Manual), json!({"f": 0, "g": 0}));
    let edit = |to: i32, at| patch("1", 1).set("/f", to).was("/f", 0).set("/g", to).was("/g", 0).at(at).text();
    one.one("anna", 1, edit(1, 20));
    let verdict = one.one("ben", 1, edit(2, 30));
    assert_eq!(waiting(&verdict).1, ["/f"]);
    assert_eq!(one.doc("1"), json!({"f": 1, "g": 2}));
    assert_eq!(in_state(&one, State::Lost), [told("/g", "anna", 1)], "the other field goes to the later one");
    let mut counted = server(
        CollectionSettings { conflict: Strategy::Manual, ..field("/n", FieldStrategy::Counter) },
        json!({"n": 1}),
    );
    counted.one("anna", 1, patch("1", 1).set("/n", 3).was("/n", 1).text());
    counted.one("ben", 1, patch("1", 1).set("/n", 4).was("/n", 1).text());
    assert_eq!((counted.doc("1"), counted.conflicts("1")), (json!({"n": 6}), vec![]));
}

#[test]
fn rule_17_fields_of_objects_wait_one_by_one_and_an_object_waits_whole() {
    let doc = json!({"o": {"x": 1, "y": 1}, "p": "text"});
    let mut server = server(manual(), doc.clone());
    server.one("anna", 1, patch("1", 1).set("/o/x", 2).was("/o/x", 1).set("/p", "anna").was("/p", "text").text());
    let whole = patch("1", 1).set("/o", json!({"x": 3, "y": 3})).was("/o", doc["o"].clone());
    let his = whole.set("/p", json!({"a": 1, "b": 2})).was("/p", "text").text();
    let verdict = server.one("ben", 1, his);
    assert_eq!(waiting(&verdict).1, ["/o/x", "/p"]);
    assert_eq!(server.doc("1"), json!({"o": {"x": 2, "y": 3}, "p": "anna"}));
    assert_eq!(in_state(&server, State::Open), [told("/o/x", "ben", 3), told("/p", "ben", json!({"a": 1, "b": 2}))]);
}

#[test]
fn rule_17_value_and_fields_of_an_object_in_its_place_wait_in_both_orders() {
    let doc = json!({"o": {"x": 1}});
    let child = || patch("1", 1).set("/o/x", 2).was("/o/x", 1).text();
    let parent = || patch("1", 1).set("/o", Value::Null).was("/o", json!({"x": 1})).text();
    let mut parent_first = server(manual(), doc.clone());
    parent_first.one("anna", 1, parent());
    assert_eq!(waiting(&parent_first.one("ben", 1, child())).1, ["/o/x"]);
    assert_eq!(only(&parent_first).1.kept, None);
    let mut child_first = server(manual(), doc);
    child_first.one("ben", 1, child());
    assert_eq!(waiting(&child_first.one("anna", 1, parent())).1, ["/o"]);
    let (_, conflict) = only(&child_first);
    assert_eq!((conflict.yours, conflict.kept), (Some(Value::Null), Some(json!({"x": 2}))), "null is a value");
}

#[test]
fn rule_17_later_edits_of_a_path_that_waits_join_it() {
    let mut server = parked();
    let (id, first) = only(&server);
    // Ben sees his own value; this would not be concurrent.
    let verdict = server.one("ben", 2, patch("1", 3).set("/f", "ben 2").was("/f", "ben").text());
    assert_eq!(waiting(&verdict), (4, vec!["/f"]));
    let (same, joined) = only(&server);
    assert_eq!(same, id);
    assert_eq!(joined, Conflict { yours: Some(json!("ben 2")), ..first });
    assert_eq!(server.doc("1")["f"], "anna");
    // From another device of his, too, and into an object, and with operators.
    let phone = patch("1", 4).unset("/f").was("/f", "ben 2").text();
    server.push_as(&common::user("ben"), "phone", &[((1, 0), None, Some(&phone))]);
    let (_, gone) = only(&server);
    assert_eq!((gone.yours, gone.replica.as_str()), (None, "phone"));
    server.one("ben", 3, patch("1", 3).set("/f/deep/x", 1).text());
    server.one("ben", 4, patch("1", 3).inc("/f/deep/x", 2.0).add("/f/list", json!([7])).text());
    assert_eq!(only(&server).1.yours, Some(json!({"deep": {"x": 3}, "list": [7]})));
    assert_eq!(only(&server).1.base, Some(json!("old")));
    assert_eq!(code(&server.one("ben", 5, patch("1", 3).inc("/f", 1.0).text())), Code::WrongType);
    // Anna's edits of the same path do not.
    assert_eq!(
        server.one("anna", 2, patch("1", 2).set("/f", "A").was("/f", "anna").text()),
        Verdict::Applied { rev: server.store.seq }
    );
}

#[test]
fn rule_17_an_edit_above_what_waits_takes_its_place() {
    let doc = json!({"o": {"x": 1, "y": 1, "z": 1}});
    let mut server = server(manual(), doc.clone());
    let both = |to: i32| patch("1", 1).set("/o/x", to).was("/o/x", 1).set("/o/y", to).was("/o/y", 1).text();
    server.one("anna", 1, both(2));
    assert_eq!(waiting(&server.one("ben", 1, both(3))).1, ["/o/x", "/o/y"]);
    let seen = json!({"x": 3, "y": 3, "z": 1});
    let verdict = server.one("ben", 2, patch("1", 3).set("/o", 7).was("/o", seen).text());
    assert_eq!(waiting(&verdict).1, ["/o"]);
    assert_eq!(in_state(&server, State::Open), [told("/o", "ben", 7)]);
    assert_eq!(in_state(&server, State::Closed), [told("/o/x", "ben", 3), told("/o/y", "ben", 3)]);
    let (_, open) = server.conflicts("1").remove(2);
    assert_eq!((open.base, open.kept), (Some(doc["o"].clone()), Some(json!({"x": 2, "y": 2, "z": 1}))));
    // What does not fit into the value that waits is returned.
    let lost = server.one("ben", 3, patch("1", 3).set("/o/x", 9).text());
    assert!(matches!(lost, Verdict::Merged { .. }), "{lost:?}");
    assert_eq!(in_state(&server, State::Lost), [told("/o/x", "ben", 9)]);
    assert_eq!(server.doc("1"), json!({"o": {"x": 2, "y": 2, "z": 1}}));
}

#[test]
fn rule_17_what_does_not_fit_into_what_waits_does_not_wait_beside_it() {
    let mut server = server(manual(), json!({"o": {"x": 1}}));
    server.one("anna", 1, patch("1", 1).set("/o/x", 2).was("/o/x", 1).text());
    assert_eq!(waiting(&server.one("ben", 1, patch("1", 1).set("/o", 7).was("/o", json!({"x": 1})).text())).1, ["/o"]);
    // Another device of his, which does not know yet.
    let verdict = server.one("ben", 2, patch("1", 1).set("/o/x", 9).was("/o/x", 1).text());
    assert!(matches!(verdict, Verdict::Merged { .. }), "{verdict:?}");
    assert_eq!(in_state(&server, State::Open), [told("/o", "ben", 7)]);
    assert_eq!(in_state(&server, State::Lost), [told("/o/x", "ben", 9)]);
}

#[test]
fn rule_17_what_waits_is_not_lost_to_another_device_that_had_not_seen_it() {
    let mut server = parked();
    let phone = patch("1", 1).set("/f", "phone").was("/f", "old").text();
    let mut push =
        |text: &str| server.push_as(&common::user("ben"), "phone", &[((text.len() as u64, 0), None, Some(text))]);
    push(&phone);
    assert_eq!(in_state(&server, State::Open), [told("/f", "ben", "phone")]);
    assert_eq!(in_state(&server, State::Lost), [told("/f", "ben", "ben")]);
    let (_, lost) = server.conflicts("1").remove(1);
    assert_eq!((lost.replica.as_str(), lost.by.unwrap().as_str(), lost.kept), ("ben", "phone", Some(json!("phone"))));
    // The same from above: what could not be seen can be put back.
    let mut above = common::server(manual(), json!({"o": {"x": 1}}));
    above.one("anna", 1, patch("1", 1).set("/o", Value::Null).was("/o", json!({"x": 1})).text());
    above.one("ben", 1, patch("1", 1).set("/o/x", 2).was("/o/x", 1).text());
    above.one("ben", 2, patch("1", 3).set("/o", 5).was("/o", Value::Null).text());
    assert_eq!(in_state(&above, State::Open), [told("/o", "ben", 5)]);
    assert_eq!(in_state(&above, State::Lost), [told("/o/x", "ben", 2)]);
}

#[test]
fn rule_17_who_goes_on_from_what_another_device_has_decided_waits_again() {
    let mut server = parked();
    let (id, _) = only(&server);
    let decision = patch("1", 2).field("resolves", json!([id])).text();
    server.push_as(&common::user("ben"), "phone", &[((1, 0), None, Some(&decision))]);
    // He has seen Anna's value, but wrote on his own.
    let verdict = server.one("ben", 2, patch("1", 2).set("/f", "ben 2").was("/f", "ben").text());
    assert_eq!((waiting(&verdict).1, server.doc("1")["f"].clone()), (vec!["/f"], json!("anna")));
    assert_eq!(in_state(&server, State::Open), [told("/f", "ben", "ben 2")]);
    // Who wrote over what stands has decided.
    let (id, _) = server.conflicts("1").pop().unwrap();
    server.one("ben", 3, patch("1", 2).field("resolves", json!([id])).text());
    server.one("ben", 4, patch("1", 2).set("/f", "ben 3").was("/f", "anna").text());
    assert_eq!((in_state(&server, State::Open), server.doc("1")["f"].clone()), (vec![], json!("ben 3")));
}

#[test]
fn rule_17_who_goes_on_from_what_another_device_has_replaced_and_decided_waits_again() {
    let mut server = parked();
    let (id, _) = only(&server);
    server.one("ben", 2, patch("1", 3).set("/f", "ben 2").was("/f", "ben").text());
    server.one("ben", 3, patch("1", 3).field("resolves", json!([id])).text());
    assert_eq!((in_state(&server, State::Open), server.doc("1")["f"].clone()), (vec![], json!("anna")));
    // His phone still shows the first of the two.
    let phone = patch("1", 3).set("/f", "phone").was("/f", "ben").text();
    let answer = server.push_as(&common::user("ben"), "phone", &[((1, 0), None, Some(&phone))]);
    assert_eq!(waiting(&answer.verdicts[0].verdict).1, ["/f"]);
    assert_eq!(
        (in_state(&server, State::Open), server.doc("1")["f"].clone()),
        (vec![told("/f", "ben", "phone")], json!("anna"))
    );
    // Where nothing waits for anybody any more, the time decides as everywhere.
    server.policy.settings.get_mut(DEALS).unwrap().conflict = Strategy::LastWriteWins;
    let (id, _) = server.conflicts("1").pop().unwrap();
    server.one("ben", 4, patch("1", 3).field("resolves", json!([id])).text());
    server.one("ben", 5, patch("1", 3).set("/f", "ben 3").was("/f", "ben").text());
    assert_eq!((in_state(&server, State::Open), server.doc("1")["f"].clone()), (vec![], json!("ben 3")));
}

#[test]
fn rule_17_an_object_is_set_by_its_fields_also_where_one_of_them_waits() {
    let mut server = server(manual(), json!({"o": {"x": 1, "y": 1}}));
    server.one("anna", 1, patch("1", 1).set("/o/x", 2).was("/o/x", 1).text());
    server.one("ben", 1, patch("1", 1).set("/o/x", 3).was("/o/x", 1).text());
    let seen = json!({"x": 3, "y": 1});
    let verdict = server.one("ben", 2, patch("1", 3).unset("/o").was("/o", seen).text());
    assert_eq!(waiting(&verdict).1, ["/o/x"]);
    assert_eq!(server.doc("1"), json!({"o": {"x": 2}}), "the other field went, and his removal of this one waits");
    assert_eq!(only(&server).1.yours, None);
}

#[test]
fn rule_17_who_comes_round_to_what_stands_has_nothing_to_decide() {
    let mut server = parked();
    let verdict = server.one("ben", 2, patch("1", 3).set("/f", "anna").was("/f", "ben").text());
    assert_eq!(verdict, Verdict::Applied { rev: 4 });
    assert_eq!(only(&server).1.state, State::Closed);
}

#[test]
fn rule_17_the_author_decides_and_takes_it_back() {
    // Keep mine.
    let mut mine = parked();
    let (id, _) = only(&mine);
    let keep = patch("1", 3).set("/f", "ben").was("/f", "anna").field("resolves", json!([id.clone()])).text();
    assert_eq!(mine.one("ben", 2, keep), Verdict::Applied { rev: 4 });
    assert_eq!((mine.doc("1")["f"].clone(), only(&mine).1.state), (json!("ben"), State::Closed));
    // Undo.
    let undo = patch("1", 4).set("/f", "anna").was("/f", "ben").field("reopens", json!([id.clone()])).text();
    assert_eq!(mine.one("ben", 3, undo), Verdict::Applied { rev: 5 });
    assert_eq!((mine.doc("1")["f"].clone(), only(&mine).1.state), (json!("anna"), State::Open));
    assert_eq!(only(&mine).1.yours, Some(json!("ben")));
    // Keep theirs: an edit that only resolves.
    let mut theirs = parked();
    let (id, _) = only(&theirs);
    let keep = patch("1", 3).field("resolves", json!([id.clone()]));
    assert_eq!(theirs.one("ben", 2, keep.text()), Verdict::Applied { rev: 4 });
    assert_eq!((theirs.doc("1")["f"].clone(), only(&theirs).1.state), (json!("anna"), State::Closed));
    // Deciding again, or what is unknown, is nothing.
    let again = keep.field("reopens", json!(["nothing"])).text();
    assert_eq!(theirs.one("ben", 3, again), Verdict::Applied { rev: 2 });
    assert_eq!(theirs.store.seq, 4);
    // A newer value that waits is not joined by an older one.
    theirs.one("anna", 2, patch("1", 2).set("/f", "A").was("/f", "anna").text());
    theirs.one("ben", 4, patch("1", 2).set("/f", "newer").was("/f", "anna").text());
    theirs.one("ben", 5, patch("1", 2).field("reopens", json!([id])).text());
    assert_eq!(in_state(&theirs, State::Open), [told("/f", "ben", "newer")]);
}

#[test]
fn rule_17_a_decision_for_what_stands_brings_no_deleted_entity_back() {
    for on_delete_conflict in [DeleteConflict::UpdateWins, DeleteConflict::DeleteWins] {
        let mut server = server(CollectionSettings { on_delete_conflict, ..manual() }, json!({"f": "old"}));
        server.one("anna", 1, patch("1", 1).set("/f", "anna").was("/f", "old").text());
        server.one("ben", 1, patch("1", 1).set("/f", "ben").was("/f", "old").text());
        let (id, _) = only(&server);
        assert_eq!(server.one("anna", 2, delete("1", 2).was("/f", "anna").text()), Verdict::Applied { rev: 4 });
        let theirs = patch("1", 2).field("resolves", json!([id])).text();
        assert_eq!(server.one("ben", 2, theirs), Verdict::Applied { rev: 4 });
        assert!(server.stored("1").unwrap().deleted, "{on_delete_conflict:?}");
    }
}

#[test]
fn rule_17_nobody_decides_for_another_and_nothing_of_another_entity() {
    let mut server = parked();
    let (id, before) = only(&server);
    server.one("maker", 2, insert("2", json!({})));
    for (author, n, edit) in [
        ("anna", 2, patch("1", 3).field("resolves", json!([id.clone()]))),
        ("ben", 2, patch("2", 4).field("resolves", json!([id.clone()]))),
        ("carl", 1, patch("1", 3).field("reopens", json!([id.clone()]))),
    ] {
        let verdict = server.one(author, n, edit.text());
        assert!(matches!(verdict, Verdict::Applied { .. }), "{verdict:?}");
        assert_eq!(only(&server).1, before, "{author}");
    }
    assert_eq!(server.store.seq, 4, "nothing was written");
}

#[test]
fn rule_18_a_decision_that_meets_another_write_waits_again_with_one_round_more() {
    let mut server = parked();
    for round in 1..4 {
        let (id, _) = server.conflicts("1").pop().unwrap();
        let stood = server.doc("1")["f"].clone();
        let base = server.stored("1").unwrap().rev;
        let newer = format!("anna {round}");
        server.one("anna", 10 + round, patch("1", base).set("/f", newer.as_str()).was("/f", stood.clone()).text());
        let mine = format!("ben {round}");
        let decision = patch("1", base).set("/f", mine.as_str()).was("/f", stood.clone());
        let verdict = server.one("ben", 10 + round, decision.field("resolves", json!([id])).text());
        assert_eq!(waiting(&verdict).1, ["/f"]);
        assert_eq!(in_state(&server, State::Open), [told("/f", "ben", mine.as_str())]);
        let (_, conflict) = server.conflicts("1").pop().unwrap();
        assert_eq!((conflict.rounds, conflict.base, conflict.kept), (round as u32, Some(stood), Some(json!(newer))));
    }
    // What he had before stays readable.
    let closed: Vec<_> = in_state(&server, State::Closed).into_iter().map(|(_, _, value)| value.unwrap()).collect();
    assert_eq!(closed, [json!("ben"), json!("ben 1"), json!("ben 2")]);
}

#[test]
fn a_delete_closes_what_waits_and_the_values_stay() {
    let mut server = parked();
    server.one("anna", 2, delete("1", 3).text());
    let (_, conflict) = only(&server);
    assert_eq!((conflict.state, conflict.yours), (State::Closed, Some(json!("ben"))));
    let late = patch("1", 3).set("/f", "ben 2").was("/f", "ben").text();
    assert_eq!(code(&server.one("ben", 2, late)), Code::Deleted);
}

#[test]
fn no_mutation_names_the_servers_own_collection() {
    let mut server = parked();
    let (id, before) = only(&server);
    let own = CollectionName::of_conflicts();
    server.policy.settings.insert(own.clone(), CollectionSettings::default());
    for kind in ["insert", "patch", "delete"] {
        let edit = json!({"c": own.as_str(), "id": id.as_str(), "kind": kind, "base": 3, "at": [20, 0]}).to_string();
        let n = server.store.verdicts.len() as u64 + 10;
        assert_eq!(code(&server.one("ben", n, edit)), Code::UnknownCollection);
    }
    assert_eq!(only(&server).1, before);
}

#[test]
fn the_view_shows_ones_own_value_while_it_waits() {
    let edit = patch("1", 1).set("/f", "ben").was("/f", "old").text();
    let edit = tidewire_core::model::mutation::Mutation::parse(edit.as_bytes()).unwrap();
    let shown = tidewire_core::merge::predict(Some(json!({"f": "anna"})), 2, &edit, &manual());
    assert_eq!(shown, Some(json!({"f": "ben"})));
}
