//! Golden cases of `diff` and `merge`, which the package's pure tools (`tidewire/diff`) must answer alike.
//!
//! The cases are drawn from fixed seeds, so the files change only with the rules or with this file.
//! `UPDATE_GOLDEN=1 cargo test -p tidewire-core --test golden_tools` writes them anew; `pkg/test/tools-golden.test.mjs`
//! reads them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::path::PathBuf;

use tidewire_core::clock::{Hlc, Stamp};
use tidewire_core::diff::{Diff, diff};
use tidewire_core::ids::{MutationId, ReplicaId};
use tidewire_core::json;
use tidewire_core::json::{Map, Value};
use tidewire_core::merge::{Parking, Stored, TextSteps, merge};
use tidewire_core::model::document;
use tidewire_core::model::mutation::Mutation;
use tidewire_core::model::schema::CollectionSettings;
use tidewire_core::model::verdict::Overwritten;

#[test]
fn diffs() {
    let cases = (0..300).map(|seed| {
        let mut draw = Draw(seed);
        let before = draw.document();
        let after = draw.edited(&before);
        let found = diff(&before, &after).unwrap();
        let mut doc = before.clone();
        found.apply(&mut doc).unwrap();
        assert_eq!(doc, after, "seed {seed}");
        json!({"before": before, "after": after, "set": set_of(&found), "unset": unset_of(&found)})
    });
    check("tools-diff", cases.collect());
}

#[test]
fn merges() {
    let cases = (0..600).map(|seed| {
        let mut draw = Draw(1_000_000 + seed);
        let base = draw.document();
        let (mine, theirs) = (draw.edited(&base), draw.edited(&base));
        let strategies = draw.strategies();
        let merged = merged(&base, &mine, &theirs, &strategies);
        json!({"base": base, "mine": mine, "theirs": theirs, "strategies": strategies, "merged": merged})
    });
    check("tools-merge", cases.collect());
}

/// Lists of few items, so that two edits often meet in one: as sets, and by the `id` of their items.
#[test]
fn array_merges() {
    let cases = (0..400).map(|seed| {
        let mut draw = Draw(2_000_000 + seed);
        let base = draw.list(seed % 2 == 0);
        let (mine, theirs) = (draw.edited_list(&base), draw.edited_list(&base));
        let document = |list: &Value| json!({"list": list.clone()});
        let (base, mine, theirs) = (document(&base), document(&mine), document(&theirs));
        let strategy = ["union", "merge"][draw.below(2) as usize];
        let strategies = json!({
            "conflict": "merge", "later": ["mine", "theirs"][draw.below(2) as usize],
            "fields": {"list": strategy}, "pointers": {"/list": strategy},
        });
        let merged = merged(&base, &mine, &theirs, &strategies);
        json!({"base": base, "mine": mine, "theirs": theirs, "strategies": strategies, "merged": merged})
    });
    check("tools-arrays", cases.collect());
}

fn check(name: &str, cases: Vec<Value>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.json"));
    let lines: Vec<String> = cases.iter().map(json::to_text).collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap();
    for (line, (expected, actual)) in expected.lines().zip(text.lines()).enumerate() {
        assert_eq!(actual, expected, "{name}, line {}", line + 1);
    }
    assert_eq!(expected.lines().count(), text.lines().count());
}

/// What the server makes of my edit on theirs, both of what was inserted as `base`.
fn merged(base: &Value, mine: &Value, theirs: &Value, strategies: &Value) -> Value {
    let settings = CollectionSettings::read(&json!({
        "conflict": strategies["conflict"].clone(), "fields": strategies["pointers"].clone(),
    }))
    .unwrap();
    let mine_at = if strategies["later"].as_str() == Some("theirs") { 15 } else { 30 };
    let insert = mutation("insert", &json!({}), base).unwrap();
    let made = merge(None, &insert, &stamp(10, "anna"), &settings, &Parking::default(), &TextSteps::default())
        .unwrap()
        .store(None, 1, &replica("anna"));
    let stored: Stored = match mutation("patch", base, theirs) {
        None => made,
        Some(edit) => {
            let outcome =
                merge(Some(&made), &edit, &stamp(20, "anna"), &settings, &Parking::default(), &TextSteps::default())
                    .unwrap();
            outcome.store(Some(&made), 2, &replica("anna"))
        }
    };
    assert_eq!(&stored.doc, theirs);
    let Some(edit) = mutation("patch", base, mine) else {
        return json!({"value": theirs, "overwritten": [], "displaced": []});
    };
    let outcome =
        merge(Some(&stored), &edit, &stamp(mine_at, "ben"), &settings, &Parking::default(), &TextSteps::default())
            .unwrap();
    json!({
        "value": outcome.doc, "overwritten": lost(&outcome.overwritten), "displaced": lost(&outcome.displaced),
    })
}

fn mutation(kind: &str, before: &Value, after: &Value) -> Option<Mutation> {
    let found = diff(before, after).unwrap();
    if found.is_empty() && kind == "patch" {
        return None;
    }
    let mut was = Map::new();
    for path in found.set.keys().chain(&found.unset) {
        if let Some(value) = document::get(before, path) {
            was.insert(path.as_str().to_owned(), value.clone());
        }
    }
    let base = u64::from(kind == "patch");
    let edit = json!({
        "c": "things", "id": "1", "kind": kind, "base": base, "at": [1, 0],
        "set": set_of(&found), "unset": unset_of(&found), "was": Value::Object(was),
    });
    Some(Mutation::parse(json::to_text(&edit).as_bytes()).unwrap())
}

fn set_of(found: &Diff) -> Value {
    let mut set = Map::new();
    for (path, value) in found.set.iter() {
        set.insert(path.as_str().to_owned(), value.clone());
    }
    Value::Object(set)
}

fn unset_of(found: &Diff) -> Value {
    Value::Array(found.unset.iter().map(|path| Value::from(path.as_str())).collect())
}

fn lost(list: &[Overwritten]) -> Value {
    let one = |loss: &Overwritten| {
        let mut map = Map::new();
        map.insert("path".to_owned(), Value::from(loss.path.as_str()));
        for (key, value) in [("yours", &loss.yours), ("kept", &loss.kept)] {
            if let Some(value) = value {
                map.insert(key.to_owned(), value.clone());
            }
        }
        Value::Object(map)
    };
    Value::Array(list.iter().map(one).collect())
}

fn replica(name: &str) -> ReplicaId {
    ReplicaId::parse(name).unwrap()
}

fn stamp(ms: u64, by: &str) -> Stamp {
    Stamp(Hlc(ms, 0), replica(by), MutationId(ms, 0))
}

/// Documents and edits from a seed. Few keys and few values, so that two edits often meet.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn key(&mut self) -> String {
        ["a", "b", "n", "a/b", "~1", ""][self.below(6) as usize].to_owned()
    }

    fn document(&mut self) -> Value {
        self.object(3)
    }

    fn object(&mut self, depth: u64) -> Value {
        let mut map = Map::new();
        for _ in 0..self.below(5) {
            map.insert(self.key(), self.value(depth - 1));
        }
        Value::Object(map)
    }

    fn value(&mut self, depth: u64) -> Value {
        match self.below(9) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!("text"),
            3 => json!([1, "x"]),
            4 => json!([2]),
            5 | 6 if depth > 0 => self.object(depth),
            7 => json!(0.5),
            _ => json!(self.below(4)),
        }
    }

    fn edited(&mut self, document: &Value) -> Value {
        let mut out = Map::new();
        for (key, value) in document.as_object().unwrap().iter() {
            match (self.below(6), value) {
                (0, _) => {}
                (1, _) => {
                    out.insert(key.to_owned(), self.value(2));
                }
                (2 | 3, Value::Object(_)) => {
                    out.insert(key.to_owned(), self.edited(value));
                }
                _ => {
                    out.insert(key.to_owned(), value.clone());
                }
            }
        }
        if self.below(3) == 0 {
            out.insert(self.key(), self.value(2));
        }
        Value::Object(out)
    }

    fn list(&mut self, of_objects: bool) -> Value {
        let mut items = Vec::new();
        for id in 0..self.below(5) {
            items.push(if of_objects { self.item(id) } else { json!(self.below(6)) });
        }
        Value::Array(items)
    }

    fn item(&mut self, id: u64) -> Value {
        json!({"id": id, "x": self.below(3), "y": {"z": self.below(2)}})
    }

    /// Items go, come, change, and change places.
    fn edited_list(&mut self, list: &Value) -> Value {
        let before = list.as_array().unwrap();
        let mut items = Vec::new();
        for item in before {
            match (self.below(6), item.get("id")) {
                (0, _) => {}
                (1 | 2, Some(id)) => items.push(self.item(id.as_u64().unwrap())),
                _ => items.push(item.clone()),
            }
        }
        if self.below(3) == 0 && items.len() > 1 {
            let last = items.len() - 1;
            items.swap(0, last);
        }
        if self.below(3) == 0 {
            let of_objects = before.iter().any(|item| item.get("id").is_some());
            items.push(if of_objects { self.item(7) } else { json!(self.below(9)) });
        }
        Value::Array(items)
    }

    /// As the face takes them, with the pointers of the dotted paths that the core takes.
    fn strategies(&mut self) -> Value {
        let names = ["last-write-wins", "merge", "client-wins", "server-wins", "counter"];
        let (mut fields, mut pointers) = (Map::new(), Map::new());
        for (path, pointer) in [("a", "/a"), ("n", "/n"), ("a.n", "/a/n"), ("b.n", "/b/n")] {
            if self.below(3) == 0 {
                let strategy = names[self.below(5) as usize];
                fields.insert(path.to_owned(), Value::from(strategy));
                pointers.insert(pointer.to_owned(), Value::from(strategy));
            }
        }
        json!({
            "conflict": names[self.below(4) as usize], "later": ["mine", "theirs"][self.below(2) as usize],
            "fields": Value::Object(fields), "pointers": Value::Object(pointers),
        })
    }
}
