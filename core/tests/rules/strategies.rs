//! The strategies that make one value of two concurrent ones.

use crate::common;

use common::{field, lost, patch, server};
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::model::schema::{CollectionSettings, FieldStrategy};
use tidewire_core::protocol::message::Verdict;

/// Both saw the same document and wrote `/f`: Anna's arrives first, Ben's is later.
fn meet(settings: CollectionSettings, was: Value, hers: Value, his: Value) -> (Value, Verdict) {
    let mut server = server(settings, json!({"f": was.clone()}));
    let edit = |value: Value, at| patch("1", 1).set("/f", value).was("/f", was.clone()).at(at).text();
    server.one("anna", 1, edit(hers, 20));
    let verdict = server.one("ben", 1, edit(his, 30));
    (server.doc("1")["f"].clone(), verdict)
}

fn merged_field() -> CollectionSettings {
    field("/f", FieldStrategy::Merge)
}

#[test]
fn union_keeps_what_either_added_and_drops_what_either_removed() {
    let union = || field("/f", FieldStrategy::Union);
    let (tags, verdict) =
        meet(union(), json!(["a", "b", "c"]), json!(["b", "c", "x", "y"]), json!(["z", "a", "x", "c"]));
    assert_eq!(tags, json!(["c", "x", "y", "z"]));
    assert_eq!(verdict, Verdict::Applied { rev: 3 }, "nobody lost anything");
    // Both made the field.
    let mut made = server(union(), json!({}));
    made.one("anna", 1, patch("1", 1).set("/f", json!(["a"])).text());
    made.one("ben", 1, patch("1", 1).set("/f", json!(["b"])).text());
    assert_eq!(made.doc("1"), json!({"f": ["a", "b"]}));
    // What is no array falls to the later stamp.
    let (kept, verdict) = meet(union(), json!(["a"]), json!("none"), json!(["a", "b"]));
    assert_eq!((kept, lost(&verdict).1.len()), (json!(["a", "b"]), 1));
}

#[test]
fn union_holds_through_a_chain_of_ones_own_offline_edits() {
    let mut server = server(field("/f", FieldStrategy::Union), json!({"f": ["a", "b"]}));
    server.one("anna", 1, patch("1", 1).set("/f", json!(["a", "b", "x"])).was("/f", json!(["a", "b"])).text());
    server.one("ben", 1, patch("1", 1).set("/f", json!(["a", "b", "c"])).was("/f", json!(["a", "b"])).text());
    server.one("ben", 2, patch("1", 1).set("/f", json!(["b", "c"])).was("/f", json!(["a", "b", "c"])).text());
    assert_eq!(server.doc("1"), json!({"f": ["b", "x", "c"]}));
}

#[test]
fn merge_takes_arrays_of_objects_by_their_id() {
    let was = json!([{"id": 1, "n": "a", "done": false}, {"id": 2, "n": "b"}, {"id": 3, "n": "c"}]);
    let hers = json!([{"id": 1, "n": "a", "done": true}, {"id": 3, "n": "c"}, {"id": 4}]);
    let his = json!([{"id": 1, "n": "A", "done": false}, {"id": 2, "n": "b"}, {"id": 3, "n": "c"}, {"id": 5}]);
    let (items, verdict) = meet(merged_field(), was, hers, his);
    assert_eq!(items, json!([{"id": 1, "n": "A", "done": true}, {"id": 3, "n": "c"}, {"id": 4}, {"id": 5}]));
    assert_eq!(verdict, Verdict::Applied { rev: 3 });
}

#[test]
fn merge_by_id_keeps_an_order_that_one_changed_and_tells_of_one_that_lost() {
    let list = |ids: &[i32]| Value::from(ids.iter().map(|id| json!({"id": *id})).collect::<Vec<_>>());
    for (hers, his, kept, losses) in [
        (&[3, 1, 2][..], &[1, 2, 3, 4][..], &[3, 1, 2, 4][..], 0),
        (&[1, 2, 3, 4], &[3, 1, 2], &[3, 1, 2, 4], 0),
        (&[3, 1, 2], &[3, 1, 2, 5], &[3, 1, 2, 5], 0),
        (&[3, 1, 2], &[2, 1, 3], &[2, 1, 3], 1),
    ] {
        let (items, verdict) = meet(merged_field(), list(&[1, 2, 3]), list(hers), list(his));
        assert_eq!(items, list(kept), "{hers:?} and {his:?}");
        let displaced = if losses == 0 { 0 } else { lost(&verdict).1.len() };
        assert_eq!(displaced, losses);
    }
}

#[test]
fn merge_by_id_settles_a_field_that_both_changed_by_the_later_stamp_and_returns_the_other() {
    let item = |n: &str, done: bool| json!([{"id": "x", "n": n, "done": done}]);
    let (items, verdict) = meet(merged_field(), item("a", false), item("anna", true), item("ben", false));
    assert_eq!(items, item("ben", true));
    let (_, displaced) = lost(&verdict);
    assert_eq!((displaced[0].yours.clone(), displaced[0].kept.clone()), (Some(item("anna", true)), Some(items)));
    // The earlier one arrives later.
    let mut late = server(merged_field(), json!({"f": item("a", false)}));
    let edit = |value: Value, at| patch("1", 1).set("/f", value).was("/f", item("a", false)).at(at).text();
    late.one("ben", 1, edit(item("ben", false), 30));
    let (overwritten, _) = lost(&late.one("anna", 1, edit(item("anna", true), 20)));
    assert_eq!(late.doc("1")["f"], item("ben", true));
    assert_eq!(overwritten[0].yours, Some(item("anna", true)));
    assert_eq!(overwritten[0].by.as_ref().unwrap().as_str(), "ben");
    // Removed by one and changed by the other.
    let (items, verdict) = meet(merged_field(), item("a", false), json!([]), item("ben", false));
    assert_eq!((items, lost(&verdict).1[0].yours.clone()), (item("ben", false), Some(json!([]))));
}

#[test]
fn arrays_without_ids_of_their_own_are_one_value() {
    let same_twice = json!([{"id": 1}, {"id": 1}]);
    for (was, hers, his) in [
        (json!([1]), json!([1, 2]), json!([1, 3])),
        (json!([{"n": 1}]), json!([{"n": 2}]), json!([{"n": 1}, {"n": 3}])),
        (json!([]), json!([{"id": 2}]), same_twice),
    ] {
        let (kept, verdict) = meet(merged_field(), was, hers.clone(), his.clone());
        assert_eq!((kept, lost(&verdict).1[0].yours.clone()), (his, Some(hers)));
    }
}

#[test]
fn an_array_over_the_limit_of_items_is_one_value() {
    use tidewire_core::limits::MERGE_ITEMS_MAX;
    let numbers = |count: usize| Value::from((0..count as u32).map(Value::from).collect::<Vec<_>>());
    for (items, merged) in [(MERGE_ITEMS_MAX, true), (MERGE_ITEMS_MAX + 1, false)] {
        let union = field("/f", FieldStrategy::Union);
        let (kept, verdict) = meet(union, json!([]), json!(["hers"]), numbers(items));
        assert_eq!(kept.as_array().unwrap().len(), items + usize::from(merged));
        assert_eq!(verdict == Verdict::Applied { rev: 3 }, merged);
    }
}

fn texts(was: &str, hers: &str, his: &str) -> (String, Verdict) {
    let (text, verdict) = meet(field("/f", FieldStrategy::Text), json!(was), json!(hers), json!(his));
    (text.as_str().unwrap().to_owned(), verdict)
}

#[test]
fn text_keeps_changes_of_different_places() {
    for (was, hers, his, kept) in [
        ("one two three", "ONE two three", "one two THREE", "ONE two THREE"),
        ("one two", "ONE two", "one TWO", "ONE TWO"),
        ("one two three", "two three", "one two three four", "two three four"),
        ("Hello.", "Hello. Hers.", "Hello. His.", "Hello. Hers. His."),
        ("a b", "a b c", "a b c", "a b c"),
        ("a\nb\nc\n", "a\nx\nb\nc\n", "a\nb\nc\nd\n", "a\nx\nb\nc\nd\n"),
        ("\u{4f60}\u{597d}\u{5417}", "\u{60a8}\u{597d}\u{5417}", "\u{4f60}\u{597d}", "\u{60a8}\u{597d}"),
    ] {
        let (text, verdict) = texts(was, hers, his);
        assert_eq!(text, kept);
        assert!(matches!(verdict, Verdict::Applied { .. }), "{hers} and {his}: {verdict:?}");
    }
}

#[test]
fn text_that_both_changed_in_one_place_goes_to_the_later_one_and_the_others_is_returned() {
    let (text, verdict) = texts("the old red car and more", "the new blue car and more", "the green car and less");
    assert_eq!(text, "the green car and less");
    assert_eq!(lost(&verdict).1[0].yours, Some(json!("the new blue car and more")));
    // The earlier one arrives later: only the place of the clash is lost, the rest is taken.
    let mut server = server(field("/f", FieldStrategy::Text), json!({"f": "one two three"}));
    let edit = |to: &str, at| patch("1", 1).set("/f", to).was("/f", "one two three").at(at).text();
    server.one("ben", 1, edit("uno two three", 30));
    let (overwritten, _) = lost(&server.one("anna", 1, edit("eins two drei", 20)));
    assert_eq!(server.doc("1")["f"], "uno two drei");
    assert_eq!(
        (overwritten[0].yours.clone(), overwritten[0].kept.clone()),
        (Some(json!("eins two drei")), Some(json!("uno two drei")))
    );
}

#[test]
fn text_holds_through_a_chain_of_ones_own_offline_edits() {
    let mut server = server(field("/f", FieldStrategy::Text), json!({"f": "a b"}));
    server.one("anna", 1, patch("1", 1).set("/f", "X a b").was("/f", "a b").text());
    server.one("ben", 1, patch("1", 1).set("/f", "a b c").was("/f", "a b").text());
    server.one("ben", 2, patch("1", 1).set("/f", "a b c d").was("/f", "a b c").text());
    assert_eq!(server.doc("1")["f"], "X a b c d");
}

#[test]
fn text_with_no_base_or_too_many_words_goes_to_the_later_one() {
    use tidewire_core::limits::MERGE_WORDS_MAX;
    let (text, verdict) = texts("", "hers", "his");
    assert_eq!((text.as_str(), lost(&verdict).1.len()), ("his", 1));
    for (words, merged) in [(MERGE_WORDS_MAX, true), (MERGE_WORDS_MAX + 1, false)] {
        let (_, verdict) = texts("a", "b a", &format!("a{}", ".".repeat(words - 1)));
        assert_eq!(verdict == Verdict::Applied { rev: 3 }, merged, "{words} words");
    }
}

#[test]
fn texts_that_cost_too_much_in_one_push_go_to_the_later_one_and_the_next_push_begins_anew() {
    let mut server = common::Server::with(field("/f", FieldStrategy::Text));
    let turned = |step: usize| (0..2_400).map(|i| format!("w{} ", i * step % 2_400)).collect::<String>();
    let (was, hers, his) = (turned(1), turned(2_399), turned(1_201));
    let texts = |i: u64| if (1..6).contains(&i) { (&*was, &*hers, &*his) } else { ("a b c", "A b c", "a b C") };
    for i in 0..8 {
        server.one("maker", 1 + i, common::insert(&i.to_string(), json!({"f": texts(i).0})));
        let edit = patch(&i.to_string(), 1 + 2 * i).set("/f", texts(i).1).was("/f", texts(i).0).at(20);
        server.one("anna", 1 + i, edit.text());
    }
    let edit = |i: u64| {
        let edit = patch(&i.to_string(), 1 + 2 * i).set("/f", texts(i).2).was("/f", texts(i).0).at(30);
        ((1 + i, 0), edit.text())
    };
    let all: Vec<_> = (0..7).map(edit).collect();
    let answer = server.push("ben", &all);
    assert_eq!(server.doc("6")["f"], "a b C", "nothing is left for it");
    let (_, displaced) = lost(&answer.verdicts[6].verdict);
    assert_eq!(displaced[0].yours, Some(json!("A b c")));
    assert_eq!(server.doc("0")["f"], "A b C", "the first is merged");
    assert!((1..6).all(|i| server.doc(&i.to_string())["f"].as_str() == Some(&*his)));
    server.push("ben", &[edit(7)]);
    assert_eq!(server.doc("7")["f"], "A b C");
}

#[test]
fn the_view_shows_ones_own_text_until_the_server_has_merged_it() {
    let edit = patch("1", 1).set("/f", "a b mine").was("/f", "a b").text();
    let edit = tidewire_core::model::mutation::Mutation::parse(edit.as_bytes()).unwrap();
    let settings = field("/f", FieldStrategy::Text);
    let shown = tidewire_core::merge::predict(Some(json!({"f": "theirs a b"})), 2, &edit, &settings);
    assert_eq!(shown, Some(json!({"f": "a b mine"})));
}
