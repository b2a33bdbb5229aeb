//! The exported class: a request as texts, and what it comes to.
//!
//! An answer is the status, a line feed, and the body as HTTP has it.

use std::collections::BTreeMap;

use tidewire_core::authority::memory::MemoryRow;
use tidewire_core::authority::memory::server::{Backup, MemoryServer, Refused, Subscription, refusal};
use tidewire_core::error::Code;
use tidewire_core::ids::{CONFLICTS, Owner};
use tidewire_core::json::{Value, json};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::policy::{self, HostPolicy, Rules};

/// Pushes on the channel: as many bytes as the real server takes there.
const PUSH_BYTES: usize = 16_384;

/// A server, seen from JavaScript.
#[wasm_bindgen]
pub struct Authority {
    server: MemoryServer<HostPolicy>,
    sockets: BTreeMap<u32, Subscription>,
    backups: Vec<Backup>,
}

fn owner(user: &str) -> Owner {
    Owner { tenant: "test".into(), subject: user.into() }
}

fn answer(result: Result<String, Refused>) -> String {
    match result {
        Ok(body) => format!("200\n{body}"),
        Err((code, status)) => format!("{status}\n{}", refusal(code)),
    }
}

fn shown(id: &str, row: &MemoryRow) -> Value {
    json!({"id": id, "rev": row.stored.rev, "doc": row.stored.doc})
}

#[wasm_bindgen]
impl Authority {
    /// `settings` are the collections', and `relations` how they hang together, as JSON; nothing where one is not to be
    /// read.
    pub fn make(settings: &str, relations: &str, rules: Rules) -> Option<Self> {
        if cfg!(debug_assertions) {
            // A release panics without text.
            std::panic::set_hook(Box::new(|info| wasm_bindgen::throw_str(&info.to_string())));
        }
        let settings = serde_json::from_str(settings).ok()?;
        let relations = policy::relations(relations)?;
        let mut server = MemoryServer::new(HostPolicy { settings, relations, rules });
        server.push_bytes = PUSH_BYTES;
        Some(Self { server, sockets: BTreeMap::new(), backups: Vec::new() })
    }

    /// What a request of this user's comes to. Parts of a path are lines: an id may have a slash.
    pub fn answer(&mut self, user: &str, path: &str, body: &str, now_ms: f64) -> String {
        let (user, now_ms) = (owner(user), now_ms as u64);
        answer(match path {
            "push" => self.server.push_text(&user, body, now_ms),
            "pull" => self.server.pull_text(&user, body, now_ms),
            _ => self.read(&user, path),
        })
    }

    /// A socket's `auth`.
    pub fn subscribe(&mut self, socket: u32, user: &str, auth: &str, now_ms: f64) -> String {
        answer(self.server.subscribe(&owner(user), auth, now_ms as u64).map(|(ready, subscription)| {
            self.sockets.insert(socket, subscription);
            ready
        }))
    }

    /// The socket is closed.
    pub fn unsubscribe(&mut self, socket: u32) {
        self.sockets.remove(&socket);
    }

    /// What a socket has to be told, if anything.
    pub fn frame(&mut self, socket: u32) -> Option<String> {
        self.server.frame(self.sockets.get_mut(&socket)?)
    }

    /// Up to where a socket was sent frames.
    pub fn seq(&self, socket: u32) -> f64 {
        self.sockets.get(&socket).map_or(0.0, |subscription| subscription.told.seq as f64)
    }

    /// The newest commit.
    pub fn newest(&self) -> f64 {
        self.server.store.seq as f64
    }

    /// The live entities of a collection, or its conflicts, as a JSON array of `{id, rev, doc}`.
    pub fn rows(&self, collection: &str) -> String {
        let all = self.server.store.entities.iter();
        let rows = all.filter(|((c, _), row)| c.as_str() == collection && !row.stored.deleted);
        json::to_text(&rows.map(|((_, id), row)| shown(id.as_str(), row)).collect::<Vec<_>>())
    }

    /// Copies the data; returns the copy's number.
    pub fn back_up(&mut self) -> usize {
        self.backups.push(self.server.back_up());
        self.backups.len() - 1
    }

    /// Goes back to a copy, as a server restored from a backup.
    pub fn restore(&mut self, backup: usize) -> bool {
        let Some(backup) = self.backups.get(backup) else { return false };
        self.server.restore(backup);
        true
    }

    /// Loses everything.
    pub fn clear(&mut self) {
        self.server.clear();
    }

    /// Forgets deletions, as a real server does when they are past its horizon.
    pub fn prune(&mut self) {
        self.server.prune();
    }

    /// Other rules from now on: every reader starts anew.
    #[wasm_bindgen(js_name = changePolicy)]
    pub fn change_policy(&mut self) {
        self.server.change_policy();
    }

    fn read(&self, user: &Owner, path: &str) -> Result<String, Refused> {
        let missing = || (Code::NotFound, 404);
        let words: Vec<&str> = path.lines().collect();
        let (collection, id, history) = match words.as_slice() {
            ["entities", collection, id] => (collection, id, false),
            ["entities", collection, id, "history"] => (collection, id, true),
            _ => return Err(missing()),
        };
        let change = self.server.entity(user, collection, id).ok_or_else(missing)?;
        if !history {
            return Ok(json::to_text(&change));
        }
        let entries = self.server.store.entities.iter().filter(|((c, _), row)| {
            let of = |key: &str, value: &str| row.stored.doc.get(key).and_then(Value::as_str) == Some(value);
            c.as_str() == CONFLICTS && !row.stored.deleted && of("c", collection) && of("e", id)
        });
        let entries = entries.map(|((_, id), row)| {
            let mut doc = row.stored.doc.clone();
            if let Some(fields) = doc.as_object_mut() {
                fields.insert("id".into(), id.as_str().into());
            }
            doc
        });
        Ok(json::to_text(&json!({"v": 1, "conflicts": entries.collect::<Vec<_>>(), "dropped": 0})))
    }
}
