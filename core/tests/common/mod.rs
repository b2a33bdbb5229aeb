//! Builders for the tests of `core`: one mutation as text, one server in memory.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "shared by the test files, each of which uses its own part"
)]

pub mod conflicts;
#[cfg(feature = "planted")]
pub mod planted;
pub mod reader;
pub mod tied;

use std::collections::BTreeMap;

use tidewire_core::authority::memory::{MemoryStore, OpenPolicy};
use tidewire_core::authority::{Stored, decide_push};
use tidewire_core::clock::Hlc;
use tidewire_core::ids::{CollectionName, EntityId, MutationId, Owner, ReplicaId};
use tidewire_core::json;
use tidewire_core::json::{Raw, Value};
use tidewire_core::model::conflict::Conflict;
use tidewire_core::model::path::Path;
use tidewire_core::model::schema::{CollectionSettings, FieldStrategy};
use tidewire_core::protocol::message::{Overwritten, Push, PushAnswer, PushItem, Verdict};

/// The server's clock in all tests.
pub const NOW: u64 = 1_000_000;
/// The collection of all tests.
pub const DEALS: &str = "deals";

/// A mutation being written.
#[derive(Clone)]
pub struct Edit(Value);

/// An insert as text.
pub fn insert(id: &str, doc: Value) -> String {
    insert_at(id, doc, 10)
}

/// An insert with a time.
pub fn insert_at(id: &str, doc: Value, at: u64) -> String {
    let set: BTreeMap<String, &Value> =
        doc.as_object().unwrap().iter().map(|(key, value)| (format!("/{key}"), value)).collect();
    json!({"c": DEALS, "id": id, "kind": "insert", "base": 0, "set": set, "at": [at, 0]}).to_string()
}

/// A patch to fill in.
pub fn patch(id: &str, base: u64) -> Edit {
    Edit(json!({"c": DEALS, "id": id, "kind": "patch", "base": base, "at": [20, 0]}))
}

/// A delete to fill in.
pub fn delete(id: &str, base: u64) -> Edit {
    Edit(json!({"c": DEALS, "id": id, "kind": "delete", "base": base, "at": [20, 0]}))
}

impl Edit {
    fn with(mut self, part: &str, path: &str, value: Value) -> Self {
        self.0[part][path] = value;
        self
    }

    pub fn set(self, path: &str, value: impl Into<Value>) -> Self {
        self.with("set", path, value.into())
    }

    pub fn was(self, path: &str, value: impl Into<Value>) -> Self {
        self.with("was", path, value.into())
    }

    pub fn inc(self, path: &str, by: f64) -> Self {
        self.with("inc", path, by.into())
    }

    pub fn add(self, path: &str, items: Value) -> Self {
        self.with("add", path, items)
    }

    pub fn take(self, path: &str, items: Value) -> Self {
        self.with("remove", path, items)
    }

    pub fn unset(mut self, path: &str) -> Self {
        let mut paths = self.0["unset"].as_array().cloned().unwrap_or_default();
        paths.push(path.into());
        self.0["unset"] = paths.into();
        self
    }

    pub fn at(mut self, ms: u64) -> Self {
        self.0["at"] = json!([ms, 0]);
        self
    }

    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0[name] = value.into();
        self
    }

    pub fn text(&self) -> String {
        self.0.to_string()
    }
}

/// The authority over a store in memory.
#[derive(Clone)]
pub struct Server {
    pub store: MemoryStore,
    pub policy: OpenPolicy,
    pub now: u64,
    /// What the sender's clock shows.
    pub sender_now: u64,
    pub floor: MutationId,
    /// What is pushed comes from before the server was restored.
    pub old: bool,
    /// Which edit voids give up.
    pub void_at: Option<Hlc>,
}

impl Default for Server {
    fn default() -> Self {
        Self::with(CollectionSettings::default())
    }
}

/// One item: number, transaction, text (`None`: void).
pub type Item<'a> = ((u64, u32), Option<(u64, u32)>, Option<&'a str>);

impl Server {
    pub fn with(settings: CollectionSettings) -> Self {
        let settings = [(CollectionName::parse(DEALS).unwrap(), settings)].into_iter().collect();
        let policy = OpenPolicy { settings, private_to: None };
        Self {
            store: MemoryStore::default(),
            policy,
            now: NOW,
            sender_now: NOW,
            floor: MutationId::default(),
            old: false,
            void_at: None,
        }
    }

    /// Single mutations.
    pub fn push(&mut self, replica: &str, mutations: &[((u64, u32), String)]) -> PushAnswer {
        let items: Vec<Item<'_>> = mutations.iter().map(|(n, text)| (*n, None, Some(text.as_str()))).collect();
        self.push_items(replica, &items)
    }

    /// One mutation: its verdict.
    pub fn one(&mut self, replica: &str, n: u64, text: impl Into<String>) -> Verdict {
        self.push(replica, &[((n, 0), text.into())]).verdicts.remove(0).verdict
    }

    /// One transaction, numbered `(key, 0)`, `(key, 1)`, …: the verdicts.
    pub fn transaction(&mut self, replica: &str, key: u64, members: &[String]) -> Vec<Verdict> {
        let items: Vec<Item<'_>> =
            (0..).zip(members).map(|(i, text)| ((key, i), Some((key, 0)), Some(text.as_str()))).collect();
        self.push_items(replica, &items).verdicts.into_iter().map(|item| item.verdict).collect()
    }

    pub fn push_items(&mut self, replica: &str, items: &[Item<'_>]) -> PushAnswer {
        self.push_as(&user(replica), replica, items)
    }

    pub fn push_as(&mut self, user: &Owner, replica: &str, items: &[Item<'_>]) -> PushAnswer {
        let id = |(key, index)| MutationId(key, index);
        let replica = ReplicaId::parse(replica).unwrap();
        let one = |(n, tx, text): &Item<'_>| PushItem {
            n: id(*n),
            tx: tx.map(id),
            m: text.map(|text| serde_json::from_str::<Raw>(text).unwrap()),
            at: self.void_at.filter(|_| text.is_none()),
            old: self.old,
        };
        let push = Push {
            v: 1,
            replica: replica.clone(),
            owner: None,
            history: None,
            schema: 1,
            fence: 0,
            floor: self.floor,
            now: self.sender_now,
            sent_at: None,
            mutations: items.iter().map(one).collect(),
        };
        let mut rows = self.store.rows(user, &replica);
        match decide_push(&mut rows, &self.policy, user, &push, self.now) {
            Ok(answer) => answer,
        }
    }

    pub fn stored(&self, id: &str) -> Option<&Stored> {
        let key = (CollectionName::parse(DEALS).unwrap(), EntityId::parse(id).unwrap());
        self.store.entities.get(&key).map(|row| &row.stored)
    }

    /// An entity's conflicts, the oldest first.
    pub fn conflicts(&self, id: &str) -> Vec<(String, Conflict)> {
        let all = self.store.entities.iter().filter(|((c, _), row)| c.is_conflicts() && !row.stored.deleted);
        let all = all.map(|((_, id), row)| (id.to_string(), Conflict::read(&row.stored.doc).unwrap()));
        all.filter(|(_, conflict)| conflict.e.as_str() == id).collect()
    }

    /// The live document.
    pub fn doc(&self, id: &str) -> Value {
        let stored = self.stored(id).unwrap();
        assert!(!stored.deleted);
        stored.doc.clone()
    }
}

/// The user behind a replica.
pub fn user(name: &str) -> Owner {
    Owner { tenant: "acme".into(), subject: name.into() }
}

/// Settings with a strategy for one field.
pub fn field(path: &str, strategy: FieldStrategy) -> CollectionSettings {
    CollectionSettings { fields: [(Path::parse(path).unwrap(), strategy)].into_iter().collect(), ..Default::default() }
}

/// A server with one entity at revision 1.
pub fn server(settings: CollectionSettings, doc: Value) -> Server {
    let mut server = Server::with(settings);
    assert_eq!(server.one("maker", 1, insert("1", doc)), Verdict::Applied { rev: 1 });
    server
}

/// What a verdict gives back: of its author, and of those whose value it replaced.
pub fn lost(verdict: &Verdict) -> (Vec<Overwritten>, Vec<Overwritten>) {
    match verdict {
        Verdict::Merged { overwritten, displaced, .. } => (overwritten.clone(), displaced.clone()),
        other => panic!("nothing was lost: {other:?}"),
    }
}
