//! Any edits of documents with local fields: the device shows what the same edits make of a plain document, before and
//! after a reload, and the server gets the rest of it.

use crate::world;

use proptest::prelude::*;
use tidewire_core::json;
use tidewire_core::json::{Map, Value};
use tidewire_core::model::document;
use tidewire_core::model::path::Path;
use world::{delete, insert, world};

/// The fields of the documents; those with an `l` are local.
const PATHS: [&str; 5] = ["/s", "/n/s", "/n/l", "/l", "/l/in"];

#[derive(Debug, Clone)]
enum Edit {
    Set(usize, u8),
    Unset(usize),
    SetParent(Option<u8>, Option<u8>),
    UnsetParent,
    Replace(Vec<(usize, u8)>),
    Renew(Vec<(usize, u8)>),
    Undo,
    Sync,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let fields = || prop::collection::vec((0..PATHS.len(), any::<u8>()), 0..4);
    prop::collection::vec(
        prop_oneof![
            4 => (0..PATHS.len(), any::<u8>()).prop_map(|(path, value)| Edit::Set(path, value)),
            2 => (0..PATHS.len()).prop_map(Edit::Unset),
            1 => any::<(Option<u8>, Option<u8>)>().prop_map(|(s, l)| Edit::SetParent(s, l)),
            1 => Just(Edit::UnsetParent),
            2 => fields().prop_map(Edit::Replace),
            1 => fields().prop_map(Edit::Renew),
            1 => Just(Edit::Undo),
            1 => Just(Edit::Sync),
        ],
        1..12,
    )
}

fn value(path: usize, number: u8) -> Value {
    match path {
        3 => json!({"in": format!("canary {number}")}),
        2 | 4 => json!(format!("canary {number}")),
        _ => json!(number),
    }
}

fn doc(fields: &[(usize, u8)]) -> Value {
    let mut doc = json!({});
    for (path, number) in fields {
        document::set(&mut doc, &path_of(*path), value(*path, *number));
    }
    doc
}

fn path_of(path: usize) -> Path {
    Path::parse(PATHS[path]).unwrap()
}

/// Without empty objects and what Tidewire adds.
fn plain(doc: &Value) -> Value {
    match doc {
        Value::Object(map) => {
            let mut out = Map::new();
            for (key, value) in map.iter().filter(|(key, _)| *key != "id" && !key.starts_with('$')) {
                let value = plain(value);
                if value != json!({}) {
                    out.insert(key.clone(), value);
                }
            }
            Value::Object(out)
        }
        other => other.clone(),
    }
}

fn shared(doc: &Value) -> Value {
    let mut doc = doc.clone();
    for path in ["/n/l", "/l"] {
        document::remove(&mut doc, &Path::parse(path).unwrap());
    }
    plain(&doc)
}

/// The operation of an edit, which is also made of a plain document; none for an undo, or to let time pass.
fn op_of(edit: &Edit, model: &mut Value) -> Option<Value> {
    let parent = Path::parse("/n").unwrap();
    let patch = |what: &str, part: Value| {
        let mut op = json!({"op": "patch", "c": "deals", "id": "d1"});
        op.as_object_mut().unwrap().insert(what.to_owned(), part);
        op
    };
    Some(match edit {
        Edit::Set(path, number) => {
            document::set(model, &path_of(*path), value(*path, *number));
            let mut set = json!({});
            set.as_object_mut().unwrap().insert(PATHS[*path].to_owned(), value(*path, *number));
            patch("set", set)
        }
        Edit::Unset(path) => {
            document::remove(model, &path_of(*path));
            patch("unset", json!([PATHS[*path]]))
        }
        Edit::SetParent(s, l) => {
            let fields: Vec<_> = s.map(|s| (1, s)).into_iter().chain(l.map(|l| (2, l))).collect();
            let value = doc(&fields).get("n").cloned().unwrap_or_else(|| json!({}));
            document::set(model, &parent, value.clone());
            patch("set", json!({"/n": value}))
        }
        Edit::UnsetParent => {
            document::remove(model, &parent);
            patch("unset", json!(["/n"]))
        }
        Edit::Replace(fields) => {
            *model = doc(fields);
            json!({"op": "replace", "c": "deals", "id": "d1", "value": model.clone()})
        }
        Edit::Renew(fields) => {
            *model = doc(fields);
            insert("d1", model.clone())
        }
        Edit::Undo | Edit::Sync => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_device_shows_all_and_tells_the_rest(edits in edits()) {
        let mut world = world();
        let options = json!({"collections": {"deals": {"local": ["/n/l", "/l"]}, "people": {}}});
        let profile = world.profile();
        let a = world.tab_with(profile, options.clone());
        let mut model = doc(&[(0, 1), (2, 1)]);
        world.write(a, insert("d1", model.clone()));
        for edit in edits {
            let Some(op) = op_of(&edit, &mut model) else {
                if let Edit::Undo = edit {
                    let replace = json!({"op": "replace", "c": "deals", "id": "d1", "value": doc(&[(0, 9), (3, 9)])});
                    let write = world.write(a, replace);
                    world.settle();
                    let _nothing_changed = world.tabs[a].engine.undo(world.now, write);
                } else {
                    world.run(2_000);
                }
                continue;
            };
            if let Edit::Renew(_) = edit {
                world.write(a, delete("d1"));
            }
            world.write(a, op);
            prop_assert_eq!(plain(&world.row(a, "d1").unwrap()), plain(&model), "{:?}", edit);
        }
        world.run(5_000);
        prop_assert_eq!(plain(&world.row(a, "d1").unwrap()), plain(&model));
        world.kill(a);
        let a = world.tab_with(profile, options);
        prop_assert_eq!(plain(&world.row(a, "d1").unwrap()), plain(&model));
        let b = world.device();
        world.run(1_000);
        prop_assert_eq!(plain(&world.row(b, "d1").unwrap()), shared(&model));
        for push in world.tabs.iter().flat_map(|tab| &tab.pushes) {
            prop_assert!(!push.to_string().contains("canary"), "{}", push);
        }
    }
}
