//! No value is lost silently: authors who write over each other for a while, with what they see and when they see it
//! left to chance (rules 11, 13, 14, 17 and 19).

use crate::common;

use std::collections::BTreeSet;

use common::{DEALS, Item, Server, insert_at, user};
use proptest::prelude::*;
use tidewire_core::json;
use tidewire_core::json::{Map, Value};
use tidewire_core::model::conflict::{Conflict, State};
use tidewire_core::model::document;
use tidewire_core::model::path::Path;
use tidewire_core::model::schema::{CollectionSettings, DeleteConflict, FieldStrategy, Strategy as Of};
use tidewire_core::protocol::message::Verdict;

/// Users and their devices.
const DEVICES: [(&str, &str); 4] = [("anna", "anna"), ("ben", "ben"), ("ben", "phone"), ("carl", "carl")];
const PATHS: [&str; 5] = ["/a", "/m", "/o", "/o/x", "/o/y"];

/// One step of one author.
#[derive(Debug, Clone)]
enum Act {
    /// Writes a value, an object, or nothing at a path.
    Write(usize, u8),
    /// Sends what is queued; two edits perhaps as one transaction.
    Push(bool),
    Pull,
    /// Keeps one of the own values that wait, or lets it go, or puts one back that lost.
    Decide(bool),
    /// Takes the last decision back.
    Undo,
    Delete,
}

fn acts() -> impl Strategy<Value = Vec<(usize, Act)>> {
    let act = prop_oneof![
        6 => (0..PATHS.len(), 0..4_u8).prop_map(|(path, what)| Act::Write(path, what)),
        3 => any::<bool>().prop_map(Act::Push),
        2 => Just(Act::Pull),
        2 => any::<bool>().prop_map(Act::Decide),
        1 => Just(Act::Undo),
    ];
    let act = prop_oneof![60 => act, 1 => Just(Act::Delete)];
    prop::collection::vec((0..DEVICES.len(), act), 1..60)
}

fn settings() -> impl Strategy<Value = CollectionSettings> {
    let conflict = prop_oneof![
        4 => Just(Of::Manual),
        1 => Just(Of::LastWriteWins),
        1 => Just(Of::Merge),
        1 => Just(Of::ClientWins),
        1 => Just(Of::ServerWins),
    ];
    (conflict, any::<bool>(), any::<bool>()).prop_map(|(conflict, manual, update)| CollectionSettings {
        conflict,
        fields: manual.then(|| (Path::parse("/m").unwrap(), FieldStrategy::Manual)).into_iter().collect(),
        on_delete_conflict: if update { DeleteConflict::UpdateWins } else { DeleteConflict::DeleteWins },
    })
}

#[derive(Default)]
struct Author {
    base: u64,
    /// What is confirmed, and what is shown of it.
    confirmed: Value,
    view: Value,
    own: Vec<(String, Conflict)>,
    decided: Option<String>,
    queue: Vec<(String, Vec<String>)>,
    n: u64,
}

struct World {
    server: Server,
    authors: [Author; 4],
    /// Every value that was written, with its author.
    written: Vec<(usize, String)>,
    /// Values that somebody replaced who saw them, or that were given back as a whole.
    accounted: BTreeSet<String>,
}

fn scalars(value: Option<&Value>, out: &mut Vec<String>) {
    match value {
        Some(Value::Object(map)) => map.values().for_each(|value| scalars(Some(value), out)),
        Some(value) => out.extend(value.as_str().map(str::to_owned)),
        None => {}
    }
}

fn put(doc: &mut Value, path: &Path, value: Option<&Value>) {
    match value {
        Some(value) => drop(document::set(doc, path, value.clone())),
        None => drop(document::remove(doc, path)),
    }
}

impl World {
    fn new(settings: CollectionSettings) -> Self {
        let mut server = Server::with(settings);
        let doc = json!({"a": "a0", "m": "m0", "o": {"x": "x0", "y": "y0"}});
        assert_eq!(server.one("maker", 1, insert_at("1", doc, 10)), Verdict::Applied { rev: 1 });
        let mut world = Self { server, authors: Default::default(), written: Vec::new(), accounted: BTreeSet::new() };
        (0..DEVICES.len()).for_each(|who| world.pull(who));
        world
    }

    fn act(&mut self, who: usize, act: &Act) {
        match act {
            Act::Write(path, what) => self.write(who, &Path::parse(PATHS[*path]).unwrap(), *what),
            Act::Push(together) => self.push(who, *together),
            Act::Pull => {
                self.push(who, false);
                self.pull(who);
            }
            Act::Decide(keep) => self.decide(who, *keep),
            Act::Undo => {
                if let Some(id) = self.authors[who].decided.take() {
                    self.queue(who, json!({"reopens": [id]}), Vec::new());
                }
            }
            Act::Delete => {
                let was: Map = self.authors[who].view.as_object().unwrap().clone();
                let was: Map = was.iter().map(|(key, value)| (format!("/{key}"), value.clone())).collect();
                // Beside his own values that wait he saw what stands.
                let Author { view, confirmed, .. } = &self.authors[who];
                for value in [view.clone(), confirmed.clone()] {
                    self.saw(Some(&value));
                }
                self.queue(who, json!({"kind": "delete", "was": was}), Vec::new());
            }
        }
    }

    /// What an author replaces knowingly is no loss.
    fn saw(&mut self, value: Option<&Value>) {
        let mut seen = Vec::new();
        scalars(value, &mut seen);
        self.accounted.extend(seen);
    }

    fn fresh(&mut self, who: usize) -> Value {
        let value = format!("{} {}", DEVICES[who].1, self.written.len());
        self.written.push((who, value.clone()));
        value.into()
    }

    fn write(&mut self, who: usize, path: &Path, what: u8) {
        if document::blocked(&self.authors[who].view, path) {
            return;
        }
        let was = document::get(&self.authors[who].view, path).cloned();
        let value = match what {
            0 | 1 => Some(self.fresh(who)),
            2 => Some(json!({"x": self.fresh(who)})),
            _ if was.is_none() => return,
            _ => None,
        };
        self.saw(was.as_ref());
        put(&mut self.authors[who].view, path, value.as_ref());
        self.edit(who, path, value, was, json!({}));
    }

    fn edit(&mut self, who: usize, path: &Path, value: Option<Value>, was: Option<Value>, mut more: Value) {
        let mut written = Vec::new();
        scalars(value.as_ref(), &mut written);
        match value {
            Some(value) => more["set"][path.as_str()] = value,
            None => more["unset"] = json!([path.as_str()]),
        }
        if let Some(was) = was {
            more["was"][path.as_str()] = was;
        }
        self.queue(who, more, written);
    }

    fn queue(&mut self, who: usize, mut edit: Value, written: Vec<String>) {
        let at = 20 + (self.written.len() as u64 * 7919) % 50;
        for (key, value) in [("c", json!(DEALS)), ("id", json!("1")), ("at", json!([at, 0]))] {
            edit[key] = value;
        }
        edit["base"] = json!(self.authors[who].base);
        if edit.get("kind").is_none() {
            edit["kind"] = json!("patch");
        }
        self.authors[who].queue.push((edit.to_string(), written));
    }

    fn push(&mut self, who: usize, together: bool) {
        let queue = std::mem::take(&mut self.authors[who].queue);
        let texts: Vec<String> = queue.iter().map(|(text, _)| text.clone()).collect();
        self.authors[who].n += 1;
        let n = self.authors[who].n;
        let items: Vec<Item<'_>> =
            (0..).zip(&texts).map(|(i, text)| ((n, i), together.then_some((n, 0)), Some(text.as_str()))).collect();
        let send = |server: &mut Server| -> Vec<Verdict> {
            let (subject, replica) = DEVICES[who];
            let answer = server.push_as(&user(subject), replica, &items);
            answer.verdicts.into_iter().map(|item| item.verdict).collect()
        };
        let verdicts = send(&mut self.server);
        let after = self.server.store.clone();
        assert_eq!(send(&mut self.server), verdicts);
        assert_eq!(self.server.store, after, "a second delivery changes nothing");
        for (verdict, (_, written)) in verdicts.iter().zip(queue) {
            // What is refused becomes a dead letter.
            if let Verdict::Rejected { .. } = verdict {
                self.accounted.extend(written);
            }
        }
        if together && verdicts.iter().any(|verdict| matches!(verdict, Verdict::Conflict { .. })) {
            assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Conflict { .. })), "{verdicts:?}");
        }
    }

    fn pull(&mut self, who: usize) {
        let stored = self.server.stored("1").unwrap();
        let author = &mut self.authors[who];
        author.base = stored.rev;
        author.confirmed = if stored.deleted { json!({}) } else { stored.doc.clone() };
        author.view = author.confirmed.clone();
        let all = self.server.conflicts("1").into_iter();
        author.own = all.filter(|(_, conflict)| conflict.subject == DEVICES[who].0).collect();
        for (_, conflict) in author.own.iter().filter(|(_, conflict)| conflict.state == State::Open) {
            put(&mut author.view, &conflict.path, conflict.yours.as_ref());
        }
    }

    fn decide(&mut self, who: usize, keep: bool) {
        let undecided = |(_, conflict): &&(String, Conflict)| conflict.state != State::Closed;
        let Some((id, conflict)) = self.authors[who].own.iter().find(undecided).cloned() else { return };
        self.authors[who].own.retain(|(other, _)| *other != id);
        self.authors[who].decided = Some(id.clone());
        let resolves = json!({"resolves": [id]});
        let was = document::get(&self.authors[who].confirmed, &conflict.path).cloned();
        if !keep {
            put(&mut self.authors[who].view, &conflict.path, was.as_ref());
            return self.queue(who, resolves, Vec::new());
        }
        if document::blocked(&self.authors[who].confirmed, &conflict.path) {
            return;
        }
        let shown = document::get(&self.authors[who].view, &conflict.path).cloned();
        self.saw(was.as_ref());
        self.saw(shown.as_ref());
        put(&mut self.authors[who].view, &conflict.path, conflict.yours.as_ref());
        self.edit(who, &conflict.path, conflict.yours, was, resolves);
    }

    fn check(&self) {
        let all = self.server.conflicts("1");
        let stored = self.server.stored("1").unwrap();
        let mut standing = Vec::new();
        scalars((!stored.deleted).then_some(&stored.doc), &mut standing);
        for (who, value) in &self.written {
            let mut found = standing.clone();
            let own = all.iter().filter(|(_, conflict)| conflict.subject == DEVICES[*who].0);
            own.for_each(|(_, conflict)| scalars(conflict.yours.as_ref(), &mut found));
            let queued = self.authors[*who].queue.iter().any(|(text, _)| text.contains(&format!("\"{value}\"")));
            assert!(found.contains(value) || queued || self.accounted.contains(value), "{value} is nowhere");
        }
        let open: Vec<_> = all.iter().filter(|(_, conflict)| conflict.state == State::Open).collect();
        for (at, (_, one)) in open.iter().enumerate() {
            for (_, other) in open[..at].iter().filter(|(_, other)| other.subject == one.subject) {
                assert!(!one.path.overlaps(&other.path), "{} and {} wait beside each other", one.path, other.path);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_is_lost_silently_whoever_writes_whatever(settings in settings(), acts in acts()) {
        let mut world = World::new(settings);
        for (who, act) in &acts {
            world.act(*who, act);
            world.check();
        }
    }
}
