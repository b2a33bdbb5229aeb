//! An insert is made from the text of its document: it is the edit that its parsed document would make.

use crate::world;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tidewire_core::clock::Hlc;
use tidewire_core::error::{Code, CoreError};
use tidewire_core::ids::{CollectionName, EntityId};
use tidewire_core::json::{self, JsonLimits};
use tidewire_core::model::edit::Edit;
use tidewire_core::model::insert::{insert, insert_fields};
use tidewire_core::model::mutation::{Kind, Mutation};
use tidewire_core::model::path::Path;
use world::{insert as insert_op, world};

const AT: Hlc = Hlc(7, 1);

fn names() -> (CollectionName, EntityId) {
    (CollectionName::parse("deals").unwrap(), EntityId::parse("a\"b/\u{e9}").unwrap())
}

/// By way of the parsed document, one field after the other.
fn by_hand(doc: &str) -> Result<Mutation, CoreError> {
    let (collection, id) = names();
    let mut mutation = Mutation { kind: Kind::Insert, ..Mutation::empty(collection, id, AT) };
    let json::Value::Object(map) = json::parse(doc.as_bytes(), JsonLimits::MESSAGE)? else {
        return Err(CoreError::new(Code::WrongType, "no object"));
    };
    for (key, value) in map {
        mutation.set.insert(Path::of_key(&key)?, value);
    }
    mutation.check().map(|()| mutation)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..3).prop_map(|map| Value::Object(Map::from_iter(map))),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-c/~\"\\\\\u{1}\u{e9}]{0,3}",
        1 => prop::sample::select(vec!["id", "__proto__", "constructor", "$sync"]).prop_map(String::from),
        1 => (250..1_100_usize).prop_map(|length| "k".repeat(length)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_insert_is_what_its_document_says(
        doc in prop::collection::btree_map(key(), value(), 0..6),
        pretty in any::<bool>(),
    ) {
        let doc = Value::Object(Map::from_iter(doc));
        let text = if pretty { serde_json::to_string_pretty(&doc) } else { serde_json::to_string(&doc) }.unwrap();
        let (collection, id) = names();
        let made = insert(&collection, &id, &text, 1, AT, false);
        match by_hand(&text) {
            Ok(expected) => {
                let edit = made.unwrap();
                prop_assert!(edit.is_as_read());
                prop_assert_eq!(&*edit.mutation(), &expected);
                prop_assert_eq!(Edit::read(edit.raw.clone()).unwrap().target(), edit.target());
                let mut row = String::from("{\"\":0");
                insert_fields(edit.raw.get(), &mut row);
                let fields = format!("{{{}}}", row[5..].trim_start_matches(','));
                let read = |text: &str| json::parse(text.as_bytes(), JsonLimits::MESSAGE);
                prop_assert_eq!(read(&fields), read(&text));
            }
            // Of two things that are wrong either may be named.
            Err(error) => prop_assert!(made.is_err(), "{error:?}"),
        }
    }

    #[test]
    fn no_text_panics_or_gets_through_unread(text in "[{}\\[\\],:\"a\\\\u0-9.eE+ ntf-]{0,24}", open in any::<bool>()) {
        let text = if open { format!("{{\"a\":{text}}}") } else { text };
        let (collection, id) = names();
        match insert(&collection, &id, &text, 1, AT, true) {
            Ok(edit) => prop_assert!(Mutation::parse(edit.raw.get().as_bytes()).is_ok(), "{text}"),
            Err(_) => prop_assert!(by_hand(&text).is_err(), "{text}"),
        }
    }
}

#[test]
fn documents_too_deep_are_refused_wherever_they_come_in() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let (collection, id) = names();
    for depth in [1, 62, 63, 64, 65, 600] {
        let made = insert(&collection, &id, &nested(depth), 1, AT, false).map(|edit| edit.mutation());
        let expected = by_hand(&nested(depth));
        assert_eq!(made.as_ref().err().map(|e| e.code), expected.as_ref().err().map(|e| e.code), "{depth}");
    }
}

#[test]
fn inserts_by_lines_are_one_call_that_happens_whole_or_not_at_all() {
    let mut world = world();
    let a = world.device();
    world.write(a, insert_op("there", json::json!({"n": 0})));
    let request = |count: usize| json!({"ops": [{"op": "insert", "c": "deals", "count": count}]}).to_string();
    let lines = |last: &str| format!("\"x1\"{{\"n\":1}}\n\"x\\u0032\"{{\"n\":2}}\n{last}");
    for (last, code) in
        [("\"there\"{}", "exists"), ("\"x1\"{}", "exists"), ("\"x3\"[]", "wrong-type"), ("", "bad-json")]
    {
        let engine = &mut world.tabs[a].engine;
        let refused = engine.write(world.now, &request(3), &lines(last)).unwrap_err();
        assert_eq!(refused.code.as_str(), code, "{last}");
        assert!(world.row(a, "x1").is_none(), "nothing of it stays");
    }
    let engine = &mut world.tabs[a].engine;
    let answer = engine.write(world.now, &request(3), &lines("\"x3\"{}")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["count"], 3);
    world.run(2_000);
    let a = world.reload(a);
    assert_eq!(world.row(a, "x2").unwrap()["n"], 2);
    assert!(world.row(a, "x3").is_some());
}

#[test]
fn a_document_may_begin_with_a_space() {
    let (collection, id) = names();
    let edit = insert(&collection, &id, " \n{\"a\":1}", 1, AT, false).unwrap();
    assert_eq!(*edit.mutation(), by_hand("{\"a\":1}").unwrap());
}
