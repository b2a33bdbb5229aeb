//! The server's half of the wire over `MemoryStore`: push by the authority, pull in pages, frames.

use std::cell::Cell;
use std::collections::BTreeMap;

use tidewire_core::authority::memory::{MemoryStore, OpenPolicy};
use tidewire_core::authority::relations::Relations;
use tidewire_core::authority::{Policy, admit, decide_push};

use super::strict::Strict;
use tidewire_core::diff::{Diff, diff};
use tidewire_core::ids::{CollectionName, EntityId, Group, MutationId, Owner, ReplicaId};
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::model::digest::Digest;
use tidewire_core::model::migration::Migrations;
use tidewire_core::model::schema::{CollectionSettings, Settings};
use tidewire_core::protocol::message::{Applied, Pull, Push};

pub(crate) struct Server {
    pub store: MemoryStore,
    pub policy: OpenPolicy,
    pub history: String,
    pub policy_version: String,
    pub now: u64,
    /// How far its clock is ahead of the world's.
    pub ahead_ms: u64,
    /// Rows between two checkpoints of a pull.
    pub page: usize,
    /// Tokens that are refused.
    pub refused: Vec<String>,
    pub pulls: usize,
    /// Entities that were asked for one by one, and the status with which all of them are refused.
    pub fetches: usize,
    pub gives_none: Option<u16>,
    /// Pulls that asked for digests.
    pub verified: usize,
    /// What it says of its data is wrong.
    pub wrong_digests: bool,
    /// A value that a rule refuses, and where.
    pub reject: Option<(String, Value)>,
    /// The app's schema.
    pub migrations: Option<Migrations>,
    /// How entities hang together.
    pub relations: Relations,
    /// A push that holds this id makes the server fail.
    pub poison: Option<String>,
    pub body_max: usize,
    /// Messages of so many bytes on the live channel may be pushes; 0: it takes none there.
    pub push_bytes: usize,
    /// It tells nobody what it applied of his edits but in the answer to their push, as earlier releases do.
    pub answers_only: bool,
    /// How often a body was refused for its size.
    pub refusals: usize,
    /// What entities were, and who held them, at revisions of theirs.
    pub versions: Versions,
    /// How many changes went out as deltas.
    pub deltas: Cell<usize>,
}

type Versions = BTreeMap<(CollectionName, EntityId), BTreeMap<u64, (Value, Vec<Group>)>>;

impl Default for Server {
    fn default() -> Self {
        Self {
            store: MemoryStore::default(),
            policy: OpenPolicy { settings: settings(), private_to: None },
            history: "h1".into(),
            policy_version: "p1".into(),
            now: 0,
            ahead_ms: 0,
            page: 3,
            refused: Vec::new(),
            pulls: 0,
            fetches: 0,
            gives_none: None,
            verified: 0,
            wrong_digests: false,
            reject: None,
            migrations: None,
            relations: Relations::default(),
            poison: None,
            body_max: usize::MAX,
            push_bytes: 0,
            answers_only: false,
            refusals: 0,
            versions: Versions::new(),
            deltas: Cell::new(0),
        }
    }
}

fn settings() -> Settings {
    ["deals", "people"]
        .map(|name| (CollectionName::parse(name).unwrap(), CollectionSettings::default()))
        .into_iter()
        .collect()
}

fn owner(bearer: &str) -> Owner {
    Owner { tenant: "acme".into(), subject: bearer.into() }
}

impl Server {
    /// Status and body.
    pub(crate) fn answer(&mut self, path: &str, bearer: Option<&str>, body: &str) -> (u16, String) {
        let Some(bearer) = bearer.filter(|bearer| !self.refused.iter().any(|refused| refused == bearer)) else {
            return (401, json!({"code": "unauthorized", "message": "who are you?"}).to_string());
        };
        let user = owner(bearer);
        if path == "pull" {
            let pull: Pull = serde_json::from_str(body).unwrap();
            if pull.owner.as_ref().is_some_and(|known| *known != user) {
                return (403, json!({"code": "wrong-user", "message": "not yours"}).to_string());
            }
            return (200, self.pull(&user, &pull));
        }
        let failed = |status, code: &str| (status, json!({"code": code, "message": ""}).to_string());
        if let Some(path) = path.strip_prefix("entities/") {
            self.fetches += 1;
            if let Some(status) = self.gives_none {
                return failed(status, "forbidden");
            }
            return match self.entity(&user, path) {
                Some(change) => (200, id_first(&change)),
                None => failed(404, "not-found"),
            };
        }
        if body.len() > self.body_max {
            self.refusals += 1;
            return failed(413, "too-large");
        }
        if self.poison.as_ref().is_some_and(|id| body.contains(&format!("\"{id}\""))) {
            return failed(500, "server-error");
        }
        let push: Push = serde_json::from_str(body).unwrap();
        if push.owner.as_ref().is_some_and(|known| *known != user) {
            return (403, json!({"code": "wrong-user", "message": "not yours"}).to_string());
        }
        if push.history.as_ref().is_some_and(|known| *known != self.history) {
            return failed(409, "history-changed");
        }
        let policy = Strict(&self.policy, &self.reject, self.migrations.as_ref(), &self.relations);
        if let Err(error) = admit(&policy, &push) {
            return failed(426, error.code.as_str());
        }
        let mut rows = self.store.rows(&user, &push.replica);
        let Ok(mut answer) = decide_push(&mut rows, &policy, &user, &push, self.now);
        answer.history = push.history.is_none().then(|| self.history.clone());
        for (key, row) in self.store.entities.iter().filter(|(_, row)| !row.stored.deleted) {
            let version = || (row.stored.doc.clone(), row.groups.clone());
            self.versions.entry(key.clone()).or_default().entry(row.stored.rev).or_insert_with(version);
        }
        (200, json::to_text(&answer))
    }

    fn entity(&self, user: &Owner, path: &str) -> Option<Value> {
        let (collection, id) = path.split_once('/')?;
        let id = self.store.resolve(&CollectionName::parse(collection).ok()?, EntityId::parse(&decoded(id)).ok()?);
        let changes = self.changes(user, &[collection.to_owned()], 0);
        let found = changes.into_iter().map(|(_, change)| change);
        found.filter(|change| change.get("doc").is_some()).find(|change| change["id"] == id.as_str())
    }

    /// What is older than now is past the horizon: tombstones go, and cursors from before are reset.
    pub(crate) fn prune(&mut self) {
        self.store.horizon = self.store.seq;
        self.store.entities.retain(|_, row| !row.stored.deleted);
    }

    pub(crate) fn cursor(&self, user: &Owner, collections: &[String], seq: u64) -> Value {
        let mut collections = collections.to_vec();
        collections.sort();
        let mut groups = self.policy.reader_groups(user);
        groups.sort();
        let scope = json!({"groups": groups, "collections": collections, "policy": self.policy_version});
        json!({"history": self.history, "seq": seq, "mark": format!("m{seq}"), "scope": scope})
    }

    /// Everything above a `seq` that the reader may see, ordered, each entity once.
    fn changes(&self, user: &Owner, collections: &[String], above: u64) -> Vec<(u64, Value)> {
        let groups = self.policy.reader_groups(user);
        let mut changes: Vec<(u64, Value)> = self
            .store
            .entities
            .iter()
            .filter(|((collection, _), row)| {
                row.stored.rev > above && collections.iter().any(|c| c == collection.as_str())
            })
            .filter_map(|((collection, id), row)| {
                let held: Vec<_> = row.groups.iter().filter(|group| groups.contains(group)).collect();
                let left =
                    groups.iter().any(|g| self.store.left.contains_key(&(g.clone(), collection.clone(), id.clone())));
                if held.is_empty() && !left {
                    return None;
                }
                let stored = &row.stored;
                let mut change =
                    json!({"id": id, "c": collection, "rev": stored.rev, "at": stored.at, "by": stored.by, "g": held});
                if !stored.deleted && !held.is_empty() {
                    change["doc"] = stored.doc.clone();
                }
                Some((stored.rev, change))
            })
            .collect();
        changes.sort_by_key(|(rev, _)| *rev);
        changes
    }

    fn pull(&mut self, user: &Owner, pull: &Pull) -> String {
        self.pulls += 1;
        let collections: Vec<String> = pull.collections.iter().map(ToString::to_string).collect();
        let here = self.cursor(user, &collections, 0);
        let after = pull.cursor.as_ref().map(|cursor| json!(cursor));
        let lost = lost(after.as_ref(), &here);
        let is_other =
            |after: &Value| after["history"] != here["history"] || after["scope"] != here["scope"] && lost.is_empty();
        let reset = after.as_ref().is_some_and(is_other)
            || pull.cursor.as_ref().is_some_and(|c| c.seq < self.store.horizon || c.seq > self.store.seq);
        let above = if reset { 0 } else { pull.cursor.as_ref().map_or(0, |cursor| cursor.seq) };
        let mut at = if reset { None } else { after.clone() };
        let reread: Vec<String> = pull.reread.iter().filter(|_| at.is_some()).map(ToString::to_string).collect();
        let mut changes = self.changes(user, &collections, above);
        changes.retain(|(_, change)| !reread.iter().any(|name| change["c"] == name.as_str()));
        changes.extend(self.changes(user, &reread, 0));
        changes.sort_by_key(|(rev, _)| *rev);
        let settings = &self.policy.settings;
        let header = json!({"v": 1, "now": self.now, "user": user, "after": at, "reset": reset, "settings": settings,
            "total": changes.len(), "reread": reread,
            "applied": pull.floor.map_or(Vec::new(), |floor| self.applied(user, &pull.replica, floor, 0)),
            "forget_collections": if reset { json!([]) } else { json!(lost) }});
        let header = json!({"pull": header});
        let mut lines = vec![header.to_string()];
        for (index, (rev, change)) in changes.iter().enumerate() {
            lines.push(id_first(change));
            let is_last_of_seq = changes.get(index + 1).is_none_or(|(next, _)| next != rev);
            if (index + 1) % self.page == 0 && is_last_of_seq {
                let cursor = self.cursor(user, &collections, *rev);
                lines.push(json!({"cursor": cursor, "after": at, "done": false}).to_string());
                at = Some(cursor);
            }
        }
        let cursor = self.cursor(user, &collections, self.store.seq);
        let mut last = json!({"cursor": cursor, "after": at, "done": true});
        if pull.verify {
            self.verified += 1;
            last["digests"] = self.digests(user, &collections);
        }
        lines.push(last.to_string());
        lines.join("\n") + "\n"
    }

    fn applied(&self, user: &Owner, replica: &ReplicaId, floor: MutationId, above: u64) -> Vec<Applied> {
        if self.answers_only { Vec::new() } else { self.store.applied(user, replica, floor, above) }
    }

    fn digests(&self, user: &Owner, collections: &[String]) -> Value {
        let mut digests = json!({});
        for name in collections {
            let mut digest = Digest::default();
            for (rev, change) in self.changes(user, std::slice::from_ref(name), 0) {
                if let Some(doc) = change.get("doc") {
                    digest.add_canonical(change["id"].as_str().unwrap(), rev, doc.to_string().as_bytes());
                }
            }
            digests[name] = if self.wrong_digests { json!("0-0") } else { json!(digest.text()) };
        }
        digests
    }

    pub(crate) fn ready(&self, auth: &Value) -> Value {
        let (user, collections) = subscriber(auth);
        let cursor = self.cursor(&user, &collections, self.store.seq);
        let mut ready = json!({"t": "ready", "now": self.now, "user": user, "cursor": cursor});
        if self.push_bytes > 0 {
            ready["push_bytes"] = json!(self.push_bytes);
        }
        ready
    }

    /// What a socket that stands at `at` has not seen.
    pub(crate) fn frame(&self, auth: &Value, at: &Value) -> Option<Value> {
        let (user, collections) = subscriber(auth);
        let seq = at["seq"].as_u64().unwrap();
        if seq >= self.store.seq {
            return None;
        }
        let mut changes: Vec<Value> =
            self.changes(&user, &collections, seq).into_iter().map(|(_, change)| change).collect();
        for change in &mut changes {
            self.shorten(&user, auth, seq, change);
        }
        let cursor = self.cursor(&user, &collections, self.store.seq);
        let replica = ReplicaId::parse(auth["replica"].as_str().unwrap()).unwrap();
        let floor = self.store.floors.get(&(user.clone(), replica.clone())).copied().unwrap_or_default();
        let applied = self.applied(&user, &replica, floor, seq);
        Some(json!({"t": "frame", "after": at, "cursor": cursor, "applied": applied, "changes": changes}))
    }

    /// Puts what is different in the place of a document that the reader has had at `seq`, where he takes that.
    fn shorten(&self, user: &Owner, auth: &Value, seq: u64, change: &mut Value) {
        let named =
            |name: &str| auth.get("deltas").and_then(Value::as_array).is_some_and(|all| all.contains(&json!(name)));
        let (name, id) = (change["c"].as_str().unwrap().to_owned(), change["id"].as_str().unwrap().to_owned());
        let key = (CollectionName::parse(&name).unwrap(), EntityId::parse(&id).unwrap());
        let Some((was, (before, groups))) = self.versions.get(&key).and_then(|of| of.range(..=seq).next_back()) else {
            return;
        };
        let readers = self.policy.reader_groups(user);
        if !named(&name) || !groups.iter().any(|group| readers.contains(group)) {
            return;
        }
        let Some(doc) = change.as_object_mut().unwrap().remove("doc") else { return };
        let Diff { set, unset } = diff(before, &doc).unwrap();
        change["delta"] = json!({"was": was, "set": set, "unset": unset});
        self.deltas.set(self.deltas.get() + 1);
    }
}

fn subscriber(auth: &Value) -> (Owner, Vec<String>) {
    (owner(auth["token"].as_str().unwrap()), serde_json::from_str(&auth["collections"].to_string()).unwrap())
}

/// `json!` sorts keys; a change's line begins with its id.
fn id_first(change: &Value) -> String {
    let mut rest = change.clone();
    let id = rest.as_object_mut().unwrap().remove("id").unwrap();
    format!("{{\"id\":{id},{}", rest.to_string().trim_start_matches('{'))
}

/// The collections that a reader asks for no more, if nothing else is different.
fn lost(after: Option<&Value>, here: &Value) -> Vec<Value> {
    let Some(after) = after else { return Vec::new() };
    let of = |cursor: &Value| cursor["scope"]["collections"].as_array().unwrap().clone();
    let (old, new) = (of(after), of(here));
    let same = |key: &str| after["scope"][key] == here["scope"][key];
    if !same("groups") || !same("policy") || !new.iter().all(|name| old.contains(name)) {
        return Vec::new();
    }
    old.into_iter().filter(|name| !new.contains(name)).collect()
}

/// A segment of an address.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut parts = text.split('%');
    bytes.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        let (code, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(code, 16).unwrap());
        bytes.extend(rest.bytes());
    }
    String::from_utf8(bytes).unwrap()
}
