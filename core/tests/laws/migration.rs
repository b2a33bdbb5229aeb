//! Invariant 13: an edit that is migrated makes of a migrated document what migrating makes of the edited one, over
//! random steps from version to version, or it is refused with `migration`.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tidewire_core::authority::{Stored, bring_stored};
use tidewire_core::clock::{Hlc, Stamp};
use tidewire_core::error::Code;
use tidewire_core::ids::{CollectionName, EntityId, MutationId, ReplicaId};
use tidewire_core::json::{Value, json};
use tidewire_core::merge::{Parking, TextSteps, merge};
use tidewire_core::model::document::{self, apply};
use tidewire_core::model::migration::Migrations;
use tidewire_core::model::mutation::{Kind, Mutation};
use tidewire_core::model::path::Path;
use tidewire_core::model::schema::CollectionSettings;

const CASES: u32 = 4_000;

/// Fields that documents have and steps name; `/o` holds an object where it holds anything.
const PATHS: [&str; 8] = ["/a", "/b", "/c", "/n", "/t", "/o", "/o/x", "/o/y"];

fn deals() -> CollectionName {
    CollectionName::parse("deals").unwrap()
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn top() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "n", "t", "o"])
}

/// A step after which a field has another name, or is no more.
fn moved() -> impl Strategy<Value = Value> {
    prop_oneof![
        (top(), top()).prop_filter("itself", |(a, b)| a != b).prop_map(|(a, b)| json!({"rename": a, "to": b})),
        Just(json!({"rename": "o.x", "to": "o.y"})),
        Just(json!({"rename": ["o", "y"], "to": ["o", "z"]})),
        top().prop_map(|field| json!({"remove": field})),
    ]
}

/// One step as an app writes it.
fn step() -> impl Strategy<Value = Value> {
    let value = prop::sample::select(vec![json!(0), json!(7), json!([]), json!(["x"]), json!({}), json!("z")]);
    prop_oneof![
        4 => moved(),
        1 => (top(), value).prop_map(|(field, value)| json!({"default": field, "value": value})),
    ]
}

/// The way from version 1 to 3, and the same in two parts.
fn ways() -> impl Strategy<Value = [Migrations; 3]> {
    (vec(step(), 0..3), vec(step(), 0..3)).prop_map(|(two, three)| {
        let (two, three) = (json!({"deals": two}), json!({"deals": three}));
        [
            Migrations::read(3, &json!({"2": two.clone(), "3": three.clone()})).unwrap(),
            Migrations::read(2, &json!({"2": two})).unwrap(),
            Migrations::read(3, &json!({"3": three})).unwrap(),
        ]
    })
}

fn value_at(at: &'static str) -> BoxedStrategy<Value> {
    match at {
        "/n" => (0..9_u32).prop_map(|n| json!(n)).boxed(),
        "/t" => vec(prop::sample::select(vec!["x", "y"]), 0..3).prop_map(|items| json!(items)).boxed(),
        "/o" => prop_oneof![
            Just(json!({})),
            (0..9_u32).prop_map(|n| json!({"x": n})),
            (0..9_u32).prop_map(|n| json!({"y": n, "deep": {"x": 1}})),
        ]
        .boxed(),
        _ => (0..9_u32).prop_map(|n| json!(n)).boxed(),
    }
}

fn doc() -> impl Strategy<Value = Value> {
    let field = |at: &'static str| (Just(at), prop::option::of(value_at(at)));
    (field("/a"), field("/b"), field("/n"), field("/t"), field("/o")).prop_map(|fields| {
        let mut doc = json!({});
        for (at, value) in [fields.0, fields.1, fields.2, fields.3, fields.4] {
            if let Some(value) = value {
                document::set(&mut doc, &path(at), value);
            }
        }
        doc
    })
}

/// What is done at one path.
fn change() -> impl Strategy<Value = (&'static str, u8, Value)> {
    prop::sample::select(PATHS.to_vec()).prop_flat_map(|at| (Just(at), 0..4_u8, value_at(at)))
}

/// An edit of a document, as its author makes it: with what stood there.
fn made(doc: &Value, kind: Kind, changes: &[(&'static str, u8, Value)]) -> Option<Mutation> {
    let mut edit = Mutation { kind, ..Mutation::empty(deals(), EntityId::parse("1").unwrap(), Hlc(1, 0)) };
    let fields = doc.as_object().unwrap().iter().map(|(key, value)| (Path::of_key(key).unwrap(), value.clone()));
    match kind {
        Kind::Insert => edit.set = fields.collect(),
        Kind::Delete => edit.was = fields.collect(),
        Kind::Patch => {
            for (at, what, value) in changes {
                let (at, items) = (path(at), vec![json!("x"), json!("y")]);
                match (what, at.as_str()) {
                    (0, _) => edit.unset.push(at),
                    (1, "/n") => _ = edit.inc.insert(at, 2.0),
                    (1, "/t") => _ = edit.add.insert(at, items),
                    (2, "/t") => _ = edit.remove.insert(at, items),
                    _ => _ = edit.set.insert(at, value.clone()),
                }
            }
            let seen = edit.paths().filter_map(|at| Some((at.clone(), document::get(doc, at)?.clone())));
            edit.was = seen.collect();
        }
    }
    edit.check().ok().map(|()| edit)
}

/// How often an edit was brought over, and how often it was refused.
#[derive(Default)]
struct Seen {
    brought: u32,
    refused: u32,
}

fn law(
    seen: &std::cell::RefCell<Seen>,
    ways: &[Migrations; 3],
    doc: &Value,
    edit: &Mutation,
) -> Result<(), TestCaseError> {
    let [whole, first, second] = ways;
    let before = (edit.kind != Kind::Insert).then(|| doc.clone());
    let Ok(after) = apply(before.clone(), edit) else { return Ok(()) };
    let migrated = |doc: Option<Value>| doc.map(|doc| whole.document(&deals(), 1, doc)).transpose();
    let Ok(new_before) = migrated(before) else { return Ok(()) };
    let new = match whole.mutation(edit) {
        Ok(new) => new,
        Err(error) => {
            prop_assert_eq!(error.code, Code::Migration);
            seen.borrow_mut().refused += 1;
            return Ok(());
        }
    };
    seen.borrow_mut().brought += 1;
    let by_steps = first.mutation(edit).and_then(|half| second.mutation(&half));
    prop_assert_eq!(by_steps.as_ref(), Ok(&new), "step by step it is the same");
    prop_assert_eq!(new.schema, 3);
    prop_assert_eq!(apply(new_before.clone(), &new), Ok(migrated(after).expect("what both ends can do")), "{:?}", new);
    // What its author saw is what he would have seen.
    let sees = |at: &Path| new_before.as_ref().and_then(|doc| document::get(doc, at)).cloned();
    for at in new.paths().filter(|_| edit.kind == Kind::Patch) {
        prop_assert_eq!(new.was.get(at).cloned(), sees(at), "was at {:?}", at);
    }
    // Of all that it said something of, nothing may be left.
    if edit.kind == Kind::Delete && !new.was.is_empty() {
        let fields = new_before.as_ref().and_then(Value::as_object).unwrap();
        prop_assert_eq!(new.was.len(), fields.len());
        for (at, was) in new.was.iter() {
            prop_assert_eq!(Some(was.clone()), sees(at));
        }
    }
    Ok(())
}

fn check(cases: u32) -> Result<Seen, String> {
    let seen = std::cell::RefCell::new(Seen::default());
    let kind = prop_oneof![1 => Just(Kind::Insert), 1 => Just(Kind::Delete), 4 => Just(Kind::Patch)];
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let done = runner.run(&(ways(), doc(), kind, vec(change(), 1..4)), |(ways, doc, kind, changes)| {
        made(&doc, kind, &changes).map_or(Ok(()), |edit| law(&seen, &ways, &doc, &edit))
    });
    done.map_err(|error| error.to_string())?;
    Ok(seen.into_inner())
}

#[test]
fn invariant_13_a_migrated_edit_does_to_a_migrated_document_what_it_did_to_the_old_one() {
    let seen = check(CASES).unwrap_or_else(|error| panic!("{error}"));
    assert!(seen.brought > CASES / 4 && seen.refused > CASES / 100, "{} {}", seen.brought, seen.refused);
}

#[cfg(feature = "planted")]
#[test]
fn invariant_13_planted_bugs_are_found() {
    use tidewire_core::planted::{Bug, plant};
    for bug in [Bug::WasNotMigrated, Bug::DeepPathsStay] {
        plant(Some(bug));
        assert!(check(CASES).is_err(), "{bug:?}");
    }
    plant(None);
}

/// Deciding and bringing over may change places: what is stored then, and who wrote it, is the same. Not so where a
/// field has a default now: nobody wrote that.
#[test]
fn invariant_13_what_is_stored_is_brought_over_with_who_wrote_it() {
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let decided = std::cell::Cell::new(0);
    let edits = || vec(change(), 1..4);
    runner
        .run(&(vec(moved(), 1..5), doc(), edits(), edits()), |(steps, doc, first, second)| {
            let way = Migrations::read(2, &json!({"2": {"deals": steps}})).unwrap();
            let Some(insert) = made(&doc, Kind::Insert, &[]) else { return Ok(()) };
            let merged = |stored: Option<&Stored>, edit: &Mutation, n: u64| {
                let (replica, settings) = (ReplicaId::parse(&format!("r{n}")).unwrap(), CollectionSettings::default());
                let stamp = Stamp(Hlc(n, 0), replica.clone(), MutationId(n, 0));
                let outcome = merge(stored, edit, &stamp, &settings, &Parking::default(), &TextSteps::default());
                outcome.ok().map(|outcome| outcome.store(stored, n, &replica))
            };
            // Both saw the first revision.
            let at = |edit: Option<Mutation>| edit.map(|edit| Mutation { base_rev: 1, ..edit });
            let (Some(first), Some(second)) =
                (at(made(&doc, Kind::Patch, &first)), at(made(&doc, Kind::Patch, &second)))
            else {
                return Ok(());
            };
            let Some(old) = merged(None, &insert, 1).and_then(|stored| merged(Some(&stored), &first, 2)) else {
                return Ok(());
            };
            let brought = |stored: &Stored| bring_stored(&way, &deals(), 1, stored.clone());
            let (Ok(new), Ok(edit)) = (brought(&old), way.mutation(&second)) else { return Ok(()) };
            let (Some(late), Some(early)) = (merged(Some(&old), &second, 3), merged(Some(&new), &edit, 3)) else {
                return Ok(());
            };
            let Ok(doc) = brought(&late).map(|late| late.doc) else { return Ok(()) };
            decided.set(decided.get() + 1);
            prop_assert_eq!(&doc, &early.doc);
            for (path, entry) in late.paths.iter().filter(|(path, _)| document::get(&late.doc, path).is_some()) {
                if let Some(path) = way.path(&deals(), 1, path).unwrap() {
                    prop_assert_eq!(early.paths.get(&path), Some(entry), "{:?}", path);
                }
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(decided.get() > CASES / 4, "{}", decided.get());
}

fn patch(body: Value) -> Mutation {
    let mut edit = json!({"c": "deals", "id": "1", "kind": "patch", "base": 1, "at": [1, 0]});
    body.as_object().unwrap().iter().for_each(|(key, value)| edit[key.as_str()] = value.clone());
    Mutation::parse(edit.to_string().as_bytes()).unwrap()
}

fn refusal(steps: Value, edit: Value) -> (Code, Option<String>) {
    let migrations = Migrations::read(2, &json!({"2": {"deals": steps}})).unwrap();
    let error = migrations.mutation(&patch(edit)).unwrap_err();
    (error.code, error.path.clone())
}

#[test]
fn invariant_13_what_cannot_be_brought_over_says_where() {
    let at = |path: &str| (Code::Migration, Some(path.to_owned()));
    // Nothing of it is left.
    assert_eq!(refusal(json!([{"remove": "a"}]), json!({"set": {"/a": 1}})), at("/a"));
    // Two fields would become one.
    assert_eq!(refusal(json!([{"rename": "a", "to": "b"}]), json!({"set": {"/b": 1}})), at("/b"));
    assert_eq!(refusal(json!([{"rename": "o.x", "to": "o.y"}]), json!({"set": {"/o": {"x": 1, "y": 2}}})), at("/y"));
    // Where there was nothing, and now is something else.
    assert_eq!(refusal(json!([{"default": "n", "value": 7}]), json!({"inc": {"/n": 1}})), at("/n"));
    assert_eq!(refusal(json!([{"default": "o", "value": 7}]), json!({"set": {"/o/x": 1}})), at("/o/x"));
}

#[test]
fn invariant_13_the_rest_of_an_edit_goes_on_without_a_field_that_is_no_more() {
    let migrations = Migrations::read(2, &json!({"2": {"deals": [{"remove": "a"}]}})).unwrap();
    let new = migrations.mutation(&patch(json!({"set": {"/a": 1, "/b": 2}, "was": {"/a": 0}}))).unwrap();
    assert_eq!(new, Mutation { schema: 2, ..patch(json!({"set": {"/b": 2}})) });
}

#[test]
fn steps_that_cannot_be_meant_are_refused() {
    for steps in [
        json!({"2": {"deals": [{"rename": "a.x", "to": "b.x"}]}}),
        json!({"2": {"deals": [{"rename": "a", "to": "a"}]}}),
        json!({"2": {"deals": [{"remove": "a.x"}]}}),
        json!({"2": {"deals": [{"default": "a"}]}}),
        json!({"2": {"deals": [{"remove": "id"}]}}),
        json!({"2": {"deals": [{"remove": "__proto__"}]}}),
        json!({"2": {"deals": [{}]}}),
        json!({"3": {}}),
        json!({"1": {}, "2": {}}),
        json!({"2": {}, "4": {}}),
        json!({"two": {}}),
        json!([]),
    ] {
        let error = Migrations::read(2, &steps).expect_err(&steps.to_string());
        assert!([Code::BadConfig].contains(&error.code), "{steps} {error}");
    }
    assert_eq!(Migrations::read(4, &json!({"3": {}, "4": {}})).unwrap().version(), 4);
    assert_eq!(Migrations::read(2, &json!({})).unwrap().version(), 2);
}
