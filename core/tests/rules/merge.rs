//! The rules of concurrency, merge and time, each by name (`docs/PROTOCOL.md`).

use crate::common;

use common::{NOW, delete, field, insert, insert_at, lost, patch, server};
use tidewire_core::clock::{Exchange, Hlc};
use tidewire_core::error::Code;
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::merge::predict;
use tidewire_core::model::mutation::Mutation;
use tidewire_core::model::path::Path;
use tidewire_core::model::schema::{CollectionSettings, DeleteConflict, FieldStrategy, Strategy};
use tidewire_core::protocol::message::{Overwritten, Verdict};

fn with(conflict: Strategy) -> CollectionSettings {
    CollectionSettings { conflict, ..CollectionSettings::default() }
}

fn update_wins() -> CollectionSettings {
    CollectionSettings { on_delete_conflict: DeleteConflict::UpdateWins, ..CollectionSettings::default() }
}

fn code(verdict: &Verdict) -> (Code, Option<String>) {
    match verdict {
        Verdict::Rejected { code, path, .. } => (*code, path.as_ref().map(ToString::to_string)),
        other => panic!("not rejected: {other:?}"),
    }
}

#[test]
fn rule_13_different_fields_merge_and_the_same_field_follows_the_strategy() {
    let table = [
        (Strategy::LastWriteWins, 30, "ben", "anna"),
        (Strategy::LastWriteWins, 15, "anna", "ben"),
        (Strategy::Merge, 30, "ben", "anna"),
        (Strategy::Merge, 15, "anna", "ben"),
        (Strategy::ClientWins, 15, "ben", "anna"),
        (Strategy::ServerWins, 30, "anna", "ben"),
    ];
    for (strategy, bens_time, kept, gone) in table {
        let mut server = server(with(strategy), json!({"f": "old", "g": 1, "h": 1}));
        let hers = patch("1", 1).set("/f", "anna").was("/f", "old").set("/g", 2).was("/g", 1).at(20);
        let his = patch("1", 1).set("/f", "ben").was("/f", "old").set("/h", 3).was("/h", 1).at(bens_time);
        assert_eq!(server.one("anna", 1, hers.text()), Verdict::Applied { rev: 2 });
        let (overwritten, displaced) = lost(&server.one("ben", 1, his.text()));
        assert_eq!(server.doc("1"), json!({"f": kept, "g": 2, "h": 3}), "{strategy:?}");
        let loss = Overwritten {
            path: Path::parse("/f").unwrap(),
            yours: Some(json!(gone)),
            kept: Some(json!(kept)),
            by: Some(tidewire_core::ids::ReplicaId::parse(kept).unwrap()),
        };
        let both = if gone == "ben" { (vec![loss], vec![]) } else { (vec![], vec![loss]) };
        assert_eq!((overwritten, displaced), both, "{strategy:?}");
    }
}

#[test]
fn rule_13_who_edits_the_same_field_three_times_offline_never_conflicts_with_himself() {
    for strategy in [Strategy::LastWriteWins, Strategy::Merge, Strategy::ClientWins, Strategy::ServerWins] {
        let mut server = server(with(strategy), json!({"f": 0}));
        // The clock went backwards between the edits, too.
        for (n, at) in [(1, 60), (2, 50), (3, 40)] {
            let edit = patch("1", 1).set("/f", n).was("/f", n - 1).at(at);
            assert_eq!(server.one("anna", n, edit.text()), Verdict::Applied { rev: n + 1 }, "{strategy:?}");
        }
        assert_eq!(server.doc("1"), json!({"f": 3}));
        let gone = delete("1", 1).was("/f", 3).text();
        assert_eq!(server.one("anna", 4, gone), Verdict::Applied { rev: 5 });
    }
}

#[test]
fn rule_13_the_same_value_is_no_conflict() {
    let mut server = server(with(Strategy::ServerWins), json!({"f": 0}));
    let edit = |at| patch("1", 1).set("/f", 1).was("/f", 0).at(at).text();
    assert_eq!(server.one("anna", 1, edit(20)), Verdict::Applied { rev: 2 });
    assert_eq!(server.one("ben", 1, edit(30)), Verdict::Applied { rev: 2 });
    let stored = server.stored("1").unwrap();
    assert_eq!((stored.rev, stored.by.as_str()), (2, "anna"), "nothing changed: the revision stays hers");
}

#[test]
fn rule_13_absence_is_a_value() {
    let mut server = server(with(Strategy::ServerWins), json!({}));
    server.one("anna", 1, patch("1", 1).set("/f", Value::Null).text());
    let (overwritten, _) = lost(&server.one("ben", 1, patch("1", 1).set("/f", 1).text()));
    assert_eq!((overwritten[0].yours.clone(), overwritten[0].kept.clone()), (Some(json!(1)), Some(Value::Null)));
    let (overwritten, _) = lost(&server.one("ben", 2, patch("1", 1).unset("/f").was("/f", 1).text()));
    assert_eq!((overwritten[0].yours.clone(), overwritten[0].kept.clone()), (None, Some(Value::Null)));
}

#[test]
fn rule_14_fields_of_one_object_merge_by_leaf_also_when_the_object_is_set_whole() {
    let doc = json!({"address": {"city": "Bonn", "zip": 1, "floor": {"no": 2}}});
    let mut server = server(with(Strategy::ServerWins), doc.clone());
    let whole = json!({"city": "Ulm", "zip": 1, "floor": {"no": 2}});
    let hers = patch("1", 1).set("/address", whole).was("/address", doc["address"].clone());
    let fields = patch("1", 1).set("/address/zip", 9).was("/address/zip", 1).unset("/address/floor/no");
    assert_eq!(server.one("anna", 1, hers.text()), Verdict::Applied { rev: 2 });
    assert_eq!(server.one("ben", 1, fields.was("/address/floor/no", 2).text()), Verdict::Applied { rev: 3 });
    assert_eq!(server.doc("1"), json!({"address": {"city": "Ulm", "zip": 9, "floor": {}}}));
}

#[test]
fn rule_14_unsetting_an_object_leaves_what_others_wrote_into_it() {
    let mut server = server(with(Strategy::LastWriteWins), json!({"o": {"x": 1, "y": 1}}));
    server.one("anna", 1, patch("1", 1).set("/o/x", 2).was("/o/x", 1).set("/o/new", 3).at(30).text());
    let gone = patch("1", 1).unset("/o").was("/o", json!({"x": 1, "y": 1})).at(20);
    let (overwritten, _) = lost(&server.one("ben", 1, gone.text()));
    assert_eq!(server.doc("1"), json!({"o": {"x": 2, "new": 3}}));
    assert_eq!(overwritten.len(), 1);
    assert_eq!((overwritten[0].path.as_str(), overwritten[0].yours.clone()), ("/o/x", None));
}

#[test]
fn rule_14_a_child_that_no_longer_fits_under_its_parent_loses_and_is_returned() {
    let child = || patch("1", 1).set("/o/x", 2).was("/o/x", 1).at(90).text();
    let parent = || patch("1", 1).set("/o", Value::Null).was("/o", json!({"x": 1, "y": 1})).at(20).text();

    let mut parent_first = server(with(Strategy::LastWriteWins), json!({"o": {"x": 1, "y": 1}}));
    parent_first.one("anna", 1, parent());
    let (overwritten, _) = lost(&parent_first.one("ben", 1, child()));
    assert_eq!((overwritten[0].path.as_str(), overwritten[0].yours.clone()), ("/o/x", Some(json!(2))));
    assert_eq!(overwritten[0].by.as_ref().unwrap().as_str(), "anna");

    let mut child_first = server(with(Strategy::LastWriteWins), json!({"o": {"x": 1, "y": 1}}));
    child_first.one("ben", 1, child());
    let (_, displaced) = lost(&child_first.one("anna", 1, parent()));
    assert_eq!((displaced[0].path.as_str(), displaced[0].yours.clone()), ("/o", Some(json!({"x": 2, "y": 1}))));

    assert_eq!(parent_first.doc("1"), json!({"o": null}));
    assert_eq!(child_first.doc("1"), json!({"o": null}));
}

#[test]
fn rule_14_an_object_that_loses_takes_its_fields_with_it() {
    let mut server = server(with(Strategy::LastWriteWins), json!({"contact": "none"}));
    server.one("anna", 1, patch("1", 1).unset("/contact").was("/contact", "none").at(40).text());
    let object = json!({"mail": "a@b"});
    let edit = patch("1", 1).set("/contact", object.clone()).was("/contact", "none").at(30);
    let (overwritten, _) = lost(&server.one("ben", 1, edit.text()));
    assert_eq!(server.doc("1"), json!({}));
    assert_eq!((overwritten.len(), overwritten[0].yours.clone()), (1, Some(object)));
}

#[test]
fn rule_14_a_paths_revision_counts_its_ancestors_its_descendants_and_what_was_removed() {
    let doc = json!({"o": {"x": {"deep": 1}}});
    let mut server = server(with(Strategy::ServerWins), doc.clone());
    server.one("anna", 1, patch("1", 1).set("/o/x/deep", 2).was("/o/x/deep", 1).text());
    // A descendant changed.
    let (overwritten, _) = lost(&server.one("ben", 1, patch("1", 1).set("/o", 7).was("/o", doc["o"].clone()).text()));
    assert_eq!(overwritten[0].path.as_str(), "/o");
    // An ancestor was removed, and with it the field.
    let now = server.doc("1")["o"].clone();
    assert_eq!(server.one("anna", 2, patch("1", 2).unset("/o").was("/o", now).text()), Verdict::Applied { rev: 4 });
    let late = patch("1", 1).set("/o/x/deep", 5).was("/o/x/deep", 1);
    let (overwritten, _) = lost(&server.one("ben", 2, late.text()));
    assert_eq!((overwritten[0].yours.clone(), overwritten[0].kept.clone()), (Some(json!(5)), None));
    assert_eq!(server.doc("1"), json!({}));
}

#[test]
fn rule_14_an_array_is_one_value_edited_whole_or_by_add_and_remove() {
    let mut server = server(with(Strategy::ServerWins), json!({"tags": ["a", "b"]}));
    let anna = patch("1", 1).add("/tags", json!(["c", "a"])).was("/tags", json!(["a", "b"]));
    let ben = patch("1", 1).take("/tags", json!(["a", "zz"])).was("/tags", json!(["a", "b"]));
    assert_eq!(server.one("anna", 1, anna.text()), Verdict::Applied { rev: 2 });
    assert_eq!(server.doc("1"), json!({"tags": ["a", "b", "c"]}));
    assert_eq!(server.one("ben", 1, ben.text()), Verdict::Applied { rev: 3 });
    assert_eq!(server.doc("1"), json!({"tags": ["b", "c"]}));
    let whole = patch("1", 1).set("/tags", json!([])).was("/tags", json!(["a", "b"]));
    assert_eq!(lost(&server.one("ben", 2, whole.text())).0.len(), 1);
}

#[test]
fn rule_16_inc_commutes_and_is_rejected_on_a_non_number() {
    for strategy in [Strategy::LastWriteWins, Strategy::ClientWins, Strategy::ServerWins] {
        let mut server = server(with(strategy), json!({"n": 1, "s": "text"}));
        for (author, by) in [("anna", 2.0), ("ben", -5.5), ("ben", 10.0)] {
            let n = server.store.seq;
            let verdict = server.one(author, n, patch("1", 1).inc("/n", by).was("/n", 1).at(20).text());
            assert_eq!(verdict, Verdict::Applied { rev: n + 1 });
        }
        assert_eq!(server.doc("1")["n"], json!(7.5));
        let verdict = server.one("anna", 90, patch("1", 4).inc("/s", 1.0).text());
        assert_eq!(code(&verdict), (Code::WrongType, Some("/s".into())));
        assert_eq!(server.doc("1"), json!({"n": 7.5, "s": "text"}));
    }
}

#[test]
fn rule_16_a_concurrent_set_of_a_declared_counter_is_its_delta() {
    let settings = field("/stock", FieldStrategy::Counter);
    let mut server = server(settings, json!({"stock": 3}));
    let set = |to: i32| patch("1", 1).set("/stock", to).was("/stock", 3).text();
    server.one("anna", 1, set(4));
    // The same number is another count.
    assert_eq!(server.one("ben", 1, set(4)), Verdict::Applied { rev: 3 });
    assert_eq!(server.doc("1"), json!({"stock": 5}));
    server.one("carl", 1, set(0));
    assert_eq!(server.doc("1"), json!({"stock": 2}));
    // Who saw the stored value sets it.
    server.one("carl", 2, patch("1", 4).set("/stock", 100).was("/stock", 2).text());
    assert_eq!(server.doc("1"), json!({"stock": 100}));
}

#[test]
fn a_field_follows_its_own_strategy_by_the_longest_path() {
    let mut settings = field("/o", FieldStrategy::ClientWins);
    settings.fields.insert(Path::parse("/o/x").unwrap(), FieldStrategy::ServerWins);
    settings.conflict = Strategy::ServerWins;
    let mut server = server(settings, json!({"f": 0, "o": {"x": 0, "y": 0}}));
    let edit = |to: i32| patch("1", 1).set("/f", to).set("/o/x", to).set("/o/y", to);
    let edit = |to: i32| edit(to).was("/f", 0).was("/o/x", 0).was("/o/y", 0).at(20).text();
    server.one("anna", 1, edit(1));
    server.one("ben", 1, edit(2));
    assert_eq!(server.doc("1"), json!({"f": 1, "o": {"x": 1, "y": 2}}));
}

#[test]
fn rule_20_the_offset_of_the_exchange_is_taken_out() {
    // Ben's clock is a day ahead; he wrote before Anna, and says so in his own time.
    let day = 86_400_000;
    let mut server = server(with(Strategy::LastWriteWins), json!({"f": 0}));
    server.one("anna", 1, patch("1", 1).set("/f", "anna").was("/f", 0).at(NOW - 1_000).text());
    server.sender_now = NOW + day;
    let his = patch("1", 1).set("/f", "ben").was("/f", 0).at(NOW + day - 2_000);
    assert_eq!(lost(&server.one("ben", 1, his.text())).0[0].yours, Some(json!("ben")));
    assert_eq!(server.doc("1"), json!({"f": "anna"}));
}

#[test]
fn rule_20_a_stamp_is_not_above_now_nor_below_what_its_author_had_seen() {
    let even = Exchange { sender_now: 500, sent_at: None, server_now: 500 };
    assert_eq!(even.server_time(Hlc(900, 3), false, None), Hlc(500, 3));
    assert_eq!(even.server_time(Hlc(900, 3), true, None), Hlc(900, 3));
    assert_eq!(even.server_time(Hlc(90_000, 3), true, None), Hlc(60_500, 3));
    assert_eq!(even.server_time(Hlc(5, 0), false, Some(Hlc(7, 9))), Hlc(7, 9));
    let hostile = Exchange { sender_now: 0, sent_at: None, server_now: 500 };
    assert_eq!(hostile.server_time(Hlc(u64::MAX, u32::MAX), true, None), Hlc(60_500, u32::MAX));
    assert_eq!(Hlc(1, u32::MAX).next(), Hlc(2, 0));
    let near = |sent_at| Exchange { sender_now: 500, sent_at: Some(sent_at), server_now: 100_500 };
    for (sent_at, then) in [(100_300, 100_200), (100_501, 100_400), (40_500, 40_400), (40_499, 100_400), (0, 100_400)] {
        assert_eq!(near(sent_at).server_time(Hlc(400, 0), false, None), Hlc(then, 0), "sent at {sent_at}");
    }
    let behind = Exchange { sender_now: u64::MAX, sent_at: None, server_now: 500 };
    assert_eq!(behind.server_time(Hlc(3, 0), false, None), Hlc(0, 0));
}

#[test]
fn rule_20_a_write_that_is_not_concurrent_is_a_tick_later_than_what_it_replaces() {
    let mut server = server(with(Strategy::LastWriteWins), json!({"f": 0}));
    server.one("anna", 1, patch("1", 1).set("/f", 1).was("/f", 0).at(900).text());
    // Ben saw Anna's value and has a slow clock.
    server.one("ben", 1, patch("1", 2).set("/f", 2).was("/f", 1).at(5).text());
    let stamp = &server.stored("1").unwrap().paths.get("/f").unwrap().1;
    assert_eq!((stamp.0, stamp.1.as_str()), (Hlc(900, 1), "ben"));
    // Carl did not see it, and wrote in between.
    lost(&server.one("carl", 1, patch("1", 1).set("/f", 3).was("/f", 0).at(900).text()));
    assert_eq!(server.doc("1"), json!({"f": 2}));
}

#[test]
fn rule_20_ties_go_by_replica_then_by_number() {
    for order in [["anna", "ben"], ["ben", "anna"]] {
        let mut server = server(with(Strategy::LastWriteWins), json!({"f": 0}));
        for author in order {
            server.one(author, 1, patch("1", 1).set("/f", author).was("/f", 0).text());
        }
        assert_eq!(server.doc("1"), json!({"f": "ben"}));
    }
}

#[test]
fn delete_wins_over_a_concurrent_update_and_both_authors_values_are_returned() {
    let mut server = server(CollectionSettings::default(), json!({"f": 0, "g": 0}));
    server.one("anna", 1, patch("1", 1).set("/f", 1).was("/f", 0).text());
    let (_, displaced) = lost(&server.one("ben", 1, delete("1", 1).was("/f", 0).was("/g", 0).text()));
    assert_eq!((displaced.len(), displaced[0].yours.clone()), (1, Some(json!(1))));
    let late = server.one("carl", 1, patch("1", 1).set("/g", 5).was("/g", 0).text());
    assert_eq!(code(&late).0, Code::Deleted);
    let tombstone = server.stored("1").unwrap();
    assert!(tombstone.deleted);
    assert_eq!(
        (tombstone.rev, tombstone.doc.clone()),
        (3, json!({"f": 1, "g": 0})),
        "rule 30: the last document stays"
    );
}

#[test]
fn update_wins_over_a_concurrent_delete_in_both_orders() {
    let update = || patch("1", 1).set("/f", 1).was("/f", 0).at(20).text();
    let gone = || delete("1", 1).was("/f", 0).at(30).text();

    let mut update_first = server(update_wins(), json!({"f": 0}));
    update_first.one("anna", 1, update());
    let (overwritten, _) = lost(&update_first.one("ben", 1, gone()));
    assert_eq!((overwritten[0].yours.clone(), overwritten[0].kept.clone()), (None, Some(json!(1))));

    let mut delete_first = server(update_wins(), json!({"f": 0}));
    assert_eq!(delete_first.one("ben", 1, gone()), Verdict::Applied { rev: 2 });
    assert_eq!(delete_first.one("anna", 1, update()), Verdict::Applied { rev: 3 });

    assert_eq!(update_first.doc("1"), json!({"f": 1}));
    assert_eq!(delete_first.doc("1"), json!({"f": 1}));
    // An update to the very value that was deleted brings the entity back as well.
    let mut same_value = server(update_wins(), json!({"f": 0}));
    same_value.one("ben", 1, gone());
    assert_eq!(same_value.one("anna", 1, patch("1", 1).set("/f", 0).was("/f", 0).text()), Verdict::Applied { rev: 3 });
    assert_eq!(same_value.doc("1"), json!({"f": 0}));
    // Who saw the update deletes it.
    assert_eq!(update_first.one("ben", 2, delete("1", 2).text()), Verdict::Applied { rev: 4 });
}

#[test]
fn rule_24_an_update_brings_nothing_back_where_only_the_deletion_is_known() {
    let mut server = server(update_wins(), json!({"f": 0}));
    server.one("ben", 1, delete("2", 1).was("/f", 0).text());
    let verdict = server.one("anna", 1, patch("2", 1).set("/g", 1).text());
    assert_eq!(code(&verdict).0, Code::Deleted, "an entity of one field is none");
}

#[test]
fn rule_30_an_old_insert_never_revives_a_tombstone() {
    let mut server = server(CollectionSettings::default(), json!({"f": 0, "gone": 1}));
    server.one("ben", 1, delete("1", 1).at(50).text());
    assert_eq!(code(&server.one("anna", 1, insert_at("1", json!({"f": 9}), 50))).0, Code::Deleted);
    assert_eq!(server.one("anna", 2, insert_at("1", json!({"f": 9}), 51)), Verdict::Applied { rev: 3 });
    assert_eq!(server.doc("1"), json!({"f": 9}));
    // What was written on the entity before its deletion is concurrent with the new one.
    lost(&server.one("carl", 1, patch("1", 1).set("/gone", 2).was("/gone", 1).at(40).text()));
    assert_eq!(server.doc("1"), json!({"f": 9}));
}

#[test]
fn rule_30_an_author_takes_his_own_deletion_back_within_one_tick() {
    let mut server = server(CollectionSettings::default(), json!({"f": 0}));
    server.one("anna", 1, delete("1", 1).at(50).text());
    assert_eq!(server.one("anna", 2, insert_at("1", json!({"f": 0}), 50)), Verdict::Applied { rev: 3 });
    assert_eq!(server.doc("1"), json!({"f": 0}));
}

fn parsed(text: String) -> Mutation {
    Mutation::parse(text.as_bytes()).unwrap()
}

#[test]
fn the_view_shows_pending_edits_over_newer_confirmed_values_unless_the_server_wins() {
    let edit = parsed(patch("1", 1).set("/f", "mine").was("/f", "old").inc("/n", 1.0).text());
    let confirmed = json!({"f": "theirs", "n": 5});
    for strategy in [Strategy::LastWriteWins, Strategy::Merge, Strategy::ClientWins] {
        let shown = predict(Some(confirmed.clone()), 7, &edit, &with(strategy));
        assert_eq!(shown, Some(json!({"f": "mine", "n": 6})));
    }
    let server_wins = with(Strategy::ServerWins);
    assert_eq!(predict(Some(confirmed.clone()), 7, &edit, &server_wins), Some(json!({"f": "theirs", "n": 6})));
    assert_eq!(predict(Some(confirmed), 1, &edit, &server_wins), Some(json!({"f": "mine", "n": 6})));
}

#[test]
fn the_view_replays_what_fits_and_no_more() {
    let settings = CollectionSettings::default();
    let wrong = parsed(patch("1", 1).inc("/s", 1.0).set("/g", 2).was("/g", 1).text());
    assert_eq!(predict(Some(json!({"s": "x", "g": 1})), 1, &wrong, &settings), Some(json!({"s": "x", "g": 2})));
    assert_eq!(predict(None, 0, &wrong, &settings), None);
    let made = parsed(insert("1", json!({"a": {"b": 1}})));
    assert_eq!(predict(None, 0, &made, &settings), Some(json!({"a": {"b": 1}})));
    assert_eq!(predict(Some(json!({"x": 1})), 3, &made, &settings), Some(json!({"x": 1})), "the server will refuse it");
    let gone = parsed(delete("1", 1).was("/f", 0).text());
    assert_eq!(predict(Some(json!({"f": 1})), 2, &gone, &settings), None);
    assert_eq!(predict(Some(json!({"f": 1})), 2, &gone, &update_wins()), Some(json!({"f": 1})));
    assert_eq!(predict(Some(json!({"f": 0})), 2, &gone, &update_wins()), None);
}

#[test]
fn rule_20_who_writes_what_stands_already_makes_nobody_elses_edit_newer() {
    let mut server = server(CollectionSettings::default(), json!({"f": 0, "g": 0}));
    let edit = |path: &str, value: i32, at| patch("1", 1).set(path, value).was(path, 0).at(at).text();
    server.one("ben", 1, edit("/f", 0, 50));
    server.one("cara", 1, edit("/g", 1, 20));
    server.one("dan", 1, edit("/g", 2, 40));
    assert_eq!(server.doc("1"), json!({"f": 0, "g": 2}), "Dan wrote after Cara");
    // It counts against who wrote something else before it, unseen.
    server.one("cara", 2, edit("/f", 1, 20));
    server.one("ben", 2, edit("/f", 1, 50));
    server.one("dan", 2, edit("/f", 2, 45));
    assert_eq!(server.doc("1"), json!({"f": 1, "g": 2}), "Ben wrote after Dan");
}
