//! A `MemoryServer` with a declared policy, and edits of several collections.

use tidewire_core::authority::Stored;
use tidewire_core::authority::memory::DeclaredPolicy;
use tidewire_core::authority::memory::server::MemoryServer;
use tidewire_core::error::Code;
use tidewire_core::ids::{CollectionName, EntityId};
use tidewire_core::json;
use tidewire_core::json::{JsonLimits, Value};
use tidewire_core::model::conflict::Conflict;
use tidewire_core::protocol::message::Verdict;

use super::user;

pub struct Tied {
    pub server: MemoryServer<DeclaredPolicy>,
    pub now: u64,
    n: u64,
}

pub fn make(c: &str, id: &str, doc: Value) -> Value {
    let mut edit = json!({"c": c, "id": id, "kind": "insert", "base": 0, "at": [10, 0]});
    for (key, value) in doc.as_object().unwrap().iter() {
        edit["set"][&format!("/{key}")] = value.clone();
    }
    edit
}

/// A patch of fields, each `(path, was, value)`; a `was` of `null` stands for absence.
pub fn change(c: &str, id: &str, base: u64, fields: &[(&str, Value, Value)]) -> Value {
    let mut edit = json!({"c": c, "id": id, "kind": "patch", "base": base, "at": [20, 0]});
    for (path, was, value) in fields {
        edit["set"][*path] = value.clone();
        if !was.is_null() {
            edit["was"][*path] = was.clone();
        }
    }
    edit
}

pub fn drop(c: &str, id: &str, base: u64) -> Value {
    json!({"c": c, "id": id, "kind": "delete", "base": base, "at": [30, 0]})
}

pub fn code(verdict: &Verdict) -> Code {
    match verdict {
        Verdict::Rejected { code, .. } => *code,
        other => panic!("not rejected: {other:?}"),
    }
}

impl Tied {
    pub fn new(policy: DeclaredPolicy) -> Self {
        Self { server: MemoryServer::new(policy), now: 1_000_000, n: 0 }
    }

    /// What is pushed together, with the verdicts as they are told.
    pub fn push_text(&mut self, who: &str, edits: &[Value], atomic: bool) -> String {
        self.n += 1;
        let n = self.n;
        let item = |(index, edit): (usize, &Value)| {
            let mut item = json!({"n": [n, index], "m": edit});
            if atomic {
                item["tx"] = json!([n, 0]);
            }
            item
        };
        let items: Vec<Value> = edits.iter().enumerate().map(item).collect();
        let push = json!({"v": 1, "replica": who, "floor": [0, 0], "fence": 0, "now": self.now, "mutations": items});
        self.server.push_text(&user(who), &push.to_string(), self.now).unwrap()
    }

    fn verdicts(&mut self, who: &str, edits: &[Value], atomic: bool) -> Vec<Verdict> {
        let text = self.push_text(who, edits, atomic);
        let answer = json::parse(text.as_bytes(), JsonLimits::MESSAGE).unwrap();
        answer["verdicts"].as_array().unwrap().iter().map(|verdict| Verdict::read(verdict).unwrap()).collect()
    }

    pub fn push(&mut self, who: &str, edits: &[Value]) -> Vec<Verdict> {
        self.verdicts(who, edits, false)
    }

    pub fn together(&mut self, who: &str, edits: &[Value]) -> Vec<Verdict> {
        self.verdicts(who, edits, true)
    }

    pub fn one(&mut self, who: &str, edit: Value) -> Verdict {
        self.push(who, &[edit]).remove(0)
    }

    pub fn stored(&self, c: &str, id: &str) -> Option<&Stored> {
        let key = (CollectionName::parse(c).unwrap(), EntityId::parse(id).unwrap());
        self.server.store.entities.get(&key).map(|row| &row.stored)
    }

    /// The live document.
    pub fn doc(&self, c: &str, id: &str) -> Option<Value> {
        self.stored(c, id).filter(|stored| !stored.deleted).map(|stored| stored.doc.clone())
    }

    /// What somebody lost: entity, field, value.
    pub fn losses(&self, subject: &str) -> Vec<(String, String, Option<Value>)> {
        let all = self.server.store.entities.iter().filter(|((c, _), row)| c.is_conflicts() && !row.stored.deleted);
        let all = all.map(|(_, row)| Conflict::read(&row.stored.doc).unwrap());
        let own = all.filter(|conflict| conflict.subject == subject);
        own.map(|conflict| (conflict.e.to_string(), conflict.path.to_string(), conflict.yours)).collect()
    }
}
