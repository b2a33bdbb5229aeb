//! The algebra of diff and merge, on random documents and edits.

use crate::common;

use std::collections::BTreeMap;

use common::{DEALS, Server, insert_at};
use proptest::prelude::*;
use proptest::sample::Index;
use tidewire_core::diff::diff;
use tidewire_core::json;
use tidewire_core::json::{Map, Value};
use tidewire_core::merge::predict;
use tidewire_core::model::document;
use tidewire_core::model::mutation::Mutation;
use tidewire_core::model::path::Path;
use tidewire_core::model::schema::{CollectionSettings, DeleteConflict, Strategy as Conflict};
use tidewire_core::protocol::message::{Overwritten, Verdict};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Objects of few keys, so that they meet; `Null` and `{}` among the leaves.
fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (0..9_i32).prop_map(Value::from),
        Just(Value::Null),
        Just(json!({})),
        prop::collection::vec(0..3_i32, 0..3).prop_map(Value::from)
    ];
    let tree = leaf.prop_recursive(3, 12, 3, |inner| {
        prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect()))
    });
    prop::collection::btree_map("[a-d]", tree, 0..4).prop_map(|map| Value::Object(map.into_iter().collect()))
}

/// Where an edit goes: `/a` and `/b` are fields, `/o` is an object of fields and of one object.
const FIELDS: [&str; 8] = ["/a", "/b", "/n", "/o/x", "/o/y", "/o/z", "/o/p/q", "/o/p/r"];

fn base() -> Value {
    json!({"a": "base-a", "b": "base-b", "o": {"x": "base-x", "y": "base-y", "p": {"q": "base-q"}}})
}

/// One author's edit of some fields: a value of its own, or none.
#[derive(Debug, Clone)]
struct Draft {
    fields: BTreeMap<usize, bool>,
    /// Writes `/o` as one value instead of its fields.
    whole: bool,
    /// A scalar in the place of `/o`.
    scalar: bool,
}

fn drafts(scalars: bool) -> impl Strategy<Value = Draft> {
    let fields = prop::collection::btree_map(0..FIELDS.len(), prop::bool::weighted(0.7), 1..5);
    (fields, any::<bool>(), prop::bool::weighted(if scalars { 0.4 } else { 0.0 }))
        .prop_map(|(fields, whole, scalar)| Draft { fields, whole, scalar })
}

/// The edit as text, written at `at` on the base document, with values that name their author.
fn edit(draft: &Draft, author: usize, at: u64) -> String {
    let mut doc = base();
    let (mut set, mut unset, mut was) = (Map::new(), Vec::new(), Map::new());
    for (field, keep) in &draft.fields {
        let path = Path::parse(FIELDS[*field]).unwrap();
        let before = document::get(&doc, &path).cloned();
        let in_object = path.as_str().starts_with("/o/");
        if in_object && draft.scalar || before.is_none() && !keep {
            continue;
        }
        if *keep {
            let value = json!(format!("{author}{path}"));
            assert!(document::set(&mut doc, &path, value.clone()));
            if !(draft.whole && in_object) {
                set.insert(path.to_string(), value);
            }
        } else {
            document::remove(&mut doc, &path);
            if !(draft.whole && in_object) {
                unset.push(path.to_string());
            }
        }
        if !(draft.whole && in_object) {
            was.extend(before.map(|before| (path.to_string(), before)));
        }
    }
    if draft.scalar {
        set.insert("/o".into(), json!(format!("{author}/o")));
    } else if draft.whole && doc["o"] != base()["o"] {
        set.insert("/o".into(), doc["o"].clone());
    }
    if set.contains_key("/o") {
        was.insert("/o".into(), base()["o"].clone());
    }
    json!({"c": DEALS, "id": "1", "kind": "patch", "base": 1, "at": [at, 0], "set": set, "unset": unset, "was": was})
        .to_string()
}

fn server(settings: CollectionSettings) -> Server {
    let mut server = Server::with(settings);
    assert_eq!(server.one("maker", 1, insert_at("1", base(), 10)), Verdict::Applied { rev: 1 });
    server
}

fn deliver(server: &mut Server, edits: &[(usize, String)]) -> Vec<Verdict> {
    edits.iter().map(|(author, text)| server.one(&format!("author{author}"), 1, text.clone())).collect()
}

fn losses(verdict: &Verdict) -> Vec<Overwritten> {
    match verdict {
        Verdict::Merged { overwritten, displaced, .. } => overwritten.iter().chain(displaced).cloned().collect(),
        _ => Vec::new(),
    }
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(count - 1);
    shorter
        .iter()
        .flat_map(|order| {
            (0..count).map(|at| {
                let mut order = order.clone();
                order.insert(at, count - 1);
                order
            })
        })
        .collect()
}

/// Times 100, 200, … given to the authors in a random order.
fn times(count: usize) -> impl Strategy<Value = Vec<u64>> {
    Just((1..=count as u64).map(|i| i * 100).collect::<Vec<_>>()).prop_shuffle()
}

fn outcome_in(order: &[usize], edits: &[(usize, String)]) -> Value {
    let mut server = server(CollectionSettings::default());
    let ordered: Vec<_> = order.iter().map(|i| edits[*i].clone()).collect();
    deliver(&mut server, &ordered);
    server.doc("1")
}

fn strategies() -> impl Strategy<Value = CollectionSettings> {
    let conflict = prop_oneof![
        Just(Conflict::LastWriteWins),
        Just(Conflict::Merge),
        Just(Conflict::ClientWins),
        Just(Conflict::ServerWins),
        Just(Conflict::Manual)
    ];
    let deletes = prop_oneof![Just(DeleteConflict::DeleteWins), Just(DeleteConflict::UpdateWins)];
    (conflict, deletes).prop_map(|(conflict, on_delete_conflict)| CollectionSettings {
        conflict,
        on_delete_conflict,
        ..CollectionSettings::default()
    })
}

/// Every scalar in a value.
fn scalars(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.values().for_each(|value| scalars(value, out)),
        Value::Array(items) => items.iter().for_each(|value| scalars(value, out)),
        value => out.push(value.to_string()),
    }
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn apply_after_diff_is_the_identity((old, new) in (documents(), documents())) {
        let changed = diff(&old, &new).unwrap();
        let mut doc = old.clone();
        changed.apply(&mut doc).unwrap();
        prop_assert_eq!(&doc, &new);
        prop_assert_eq!(changed.is_empty(), old == new);
        for (path, value) in changed.set.iter() {
            prop_assert_ne!(document::get(&old, path), Some(value), "{} did not change", path);
        }
        let paths: Vec<_> = changed.set.keys().chain(&changed.unset).collect();
        for (i, path) in paths.iter().enumerate() {
            prop_assert!(paths[..i].iter().all(|other| !other.overlaps(path)), "{path} lies in another");
        }
    }

    #[test]
    fn both_ends_agree_where_nothing_is_concurrent(
        (old, new, settings) in (documents(), documents(), strategies())
    ) {
        let changed = diff(&old, &new).unwrap();
        let was: BTreeMap<_, _> = changed.set.keys().chain(&changed.unset)
            .filter_map(|path| Some((path.to_string(), document::get(&old, path)?.clone())))
            .collect();
        let text = json!({
            "c": DEALS, "id": "1", "kind": "patch", "base": 1, "at": [50, 0],
            "set": changed.set, "unset": changed.unset, "was": was
        }).to_string();
        let mutation = Mutation::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(predict(Some(old.clone()), 1, &mutation, &settings), Some(new.clone()));
        prop_assert_eq!(document::apply(Some(old.clone()), &mutation), Ok(Some(new.clone())));
        prop_assert_eq!(document::replay(Some(old.clone()), &mutation), Some(new.clone()));
        let mut server = Server::with(settings);
        server.one("maker", 1, insert_at("1", old.clone(), 10));
        let verdict = server.one("author", 1, text);
        prop_assert_eq!(verdict, Verdict::Applied { rev: if old == new { 1 } else { 2 } });
        prop_assert_eq!(server.doc("1"), new);
    }
}

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn last_write_wins_does_not_depend_on_the_order(
        (drafts, at) in (prop::collection::vec(drafts(false), 4), times(4))
    ) {
        let edits: Vec<_> = drafts.iter().zip(at).enumerate().map(|(i, (draft, at))| (i, edit(draft, i, at))).collect();
        let orders = permutations(edits.len());
        let expected = outcome_in(&orders[0], &edits);
        for order in &orders[1..] {
            prop_assert_eq!(&outcome_in(order, &edits), &expected, "in the order {:?} of {:#?}", order, edits);
        }
    }

    #[test]
    fn two_writes_of_other_shapes_do_not_depend_on_the_order(
        (drafts, at) in (prop::collection::vec(drafts(true), 2), times(2))
    ) {
        let edits: Vec<_> = drafts.iter().zip(at).enumerate().map(|(i, (draft, at))| (i, edit(draft, i, at))).collect();
        prop_assert_eq!(outcome_in(&[0, 1], &edits), outcome_in(&[1, 0], &edits), "{:#?}", edits);
    }

    #[test]
    fn increments_do_not_depend_on_the_order_and_count_once(
        (amounts, settings, again) in (prop::collection::vec(-9..9_i32, 1..6), strategies(), any::<Index>())
    ) {
        let edits: Vec<_> = amounts.iter().enumerate().map(|(i, by)| {
            (i, common::patch("1", 1).inc("/count", f64::from(*by)).at(100 + i as u64).text())
        }).collect();
        let mut forwards = server(settings.clone());
        deliver(&mut forwards, &edits);
        deliver(&mut forwards, &edits[again.index(edits.len())..]);
        let mut backwards = server(settings);
        deliver(&mut backwards, &edits.iter().rev().cloned().collect::<Vec<_>>());
        let sum: i32 = amounts.iter().sum();
        for server in [forwards, backwards] {
            prop_assert_eq!(server.doc("1").get("count").cloned().unwrap_or(json!(0)), json!(sum));
        }
    }

    #[test]
    fn a_second_delivery_changes_nothing(
        (drafts, at, settings) in (prop::collection::vec(drafts(true), 3), times(3), strategies())
    ) {
        let edits: Vec<_> = drafts.iter().zip(at).enumerate().map(|(i, (draft, at))| (i, edit(draft, i, at))).collect();
        let mut server = server(settings);
        let first = deliver(&mut server, &edits);
        let after = server.store.clone();
        prop_assert_eq!(deliver(&mut server, &edits), first);
        prop_assert_eq!(&server.store, &after);
        // Also by the merge alone, as after a restored backup that has lost the verdicts: values stay as they are.
        let before = server.doc("1");
        server.store.verdicts.clear();
        deliver(&mut server, &edits[2..]);
        prop_assert_eq!(server.doc("1"), before);
    }

    #[test]
    fn no_value_is_lost_silently(
        (drafts, at, settings) in (prop::collection::vec(drafts(true), 4), times(4), strategies())
    ) {
        let edits: Vec<_> = drafts.iter().zip(at).enumerate().map(|(i, (draft, at))| (i, edit(draft, i, at))).collect();
        let parks = settings.conflict == Conflict::Manual;
        let mut server = server(settings);
        let verdicts = deliver(&mut server, &edits);
        let verdicts = verdicts.iter().map(losses);
        let mut standing = Vec::new();
        scalars(&server.doc("1"), &mut standing);
        // All that was told is in the inbox of its author as well.
        let mut inboxes = vec![standing.clone(); edits.len()];
        for (_, conflict) in server.conflicts("1") {
            let author = conflict.subject.trim_start_matches("author").parse::<usize>().unwrap();
            conflict.yours.iter().for_each(|value| scalars(value, &mut inboxes[author]));
        }
        let mut found = standing;
        for lost in verdicts.flatten() {
            lost.yours.iter().for_each(|value| scalars(value, &mut found));
        }
        for (author, text) in &edits {
            let mutation = Mutation::parse(text.as_bytes()).unwrap();
            let mut written = Vec::new();
            mutation.set.values().for_each(|value| scalars(value, &mut written));
            for value in written.iter().filter(|value| !value.contains("base-")) {
                prop_assert!(parks || found.contains(value), "{value} is nowhere after {edits:#?}");
                prop_assert!(inboxes[*author].contains(value), "{value} is lost to author{author} after {edits:#?}");
            }
        }
    }
}
