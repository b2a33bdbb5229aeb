//! A reader of a `MemoryServer`, as the protocol describes one: pulls that may be cut, frames, what is staged and what
//! is shown.

use std::collections::BTreeMap;

use tidewire_core::authority::Policy;
use tidewire_core::authority::memory::server::{MemoryServer, Subscription};
use tidewire_core::ids::{Group, Owner};
use tidewire_core::json::{JsonLimits, Value};
use tidewire_core::model::change::Change;
use tidewire_core::{json, protocol::message::Checkpoint};

/// What it holds of an entity: revision, groups, document.
pub type Held = (u64, Vec<Group>, String);

pub struct Reader {
    pub user: Owner,
    pub collections: Vec<&'static str>,
    pub rows: BTreeMap<(String, String), Held>,
    cursor: Option<Value>,
    staged: Staged,
    socket: Option<Subscription>,
    /// Everything that it was ever sent since somebody looked.
    pub told: Vec<String>,
}

#[derive(Default)]
struct Staged {
    cursor: Option<Value>,
    rows: Vec<Change>,
    reset: bool,
    forget: Vec<Group>,
}

impl Reader {
    pub fn new(user: Owner, collections: &[&'static str]) -> Self {
        Self {
            user,
            collections: collections.to_vec(),
            rows: BTreeMap::new(),
            cursor: None,
            staged: Staged::default(),
            socket: None,
            told: Vec::new(),
        }
    }

    /// Pulls; `cut`: only so many lines arrive.
    pub fn pull<P: Policy>(&mut self, server: &MemoryServer<P>, cut: usize) {
        let mut pull = json!({"v": 1, "replica": "r", "collections": self.collections, "now": 0});
        if let Some(cursor) = self.staged.cursor.as_ref().or(self.cursor.as_ref()) {
            pull["cursor"] = cursor.clone();
        }
        let text = server.pull_text(&self.user, &pull.to_string(), 0).unwrap();
        let mut page = Vec::new();
        for line in text.lines().take(cut) {
            self.told.push(line.to_owned());
            let value = json::parse(line.as_bytes(), JsonLimits::MESSAGE).unwrap();
            if let Some(header) = value.get("pull") {
                if header.get("reset").is_some() {
                    self.staged = Staged { reset: true, ..Staged::default() };
                }
                let lost = header.get("forget_groups").and_then(Value::as_array).into_iter().flatten();
                let lost: Vec<Group> = lost.map(|group| Group::read(group).unwrap()).collect();
                // What an earlier stream has staged is forgotten, too.
                for change in &mut self.staged.rows {
                    change.g.retain(|group| !lost.contains(group));
                    change.doc = change.doc.take().filter(|_| !change.g.is_empty());
                }
                self.staged.forget.extend(lost);
            } else if value.get("cursor").is_some() {
                let checkpoint: Checkpoint = serde_json::from_str(line).unwrap();
                self.staged.rows.append(&mut page);
                self.staged.cursor = value.get("cursor").cloned();
                if checkpoint.done {
                    self.show();
                }
            } else {
                page.push(Change::read(line.as_bytes()).unwrap());
            }
        }
    }

    fn show(&mut self) {
        let staged = std::mem::take(&mut self.staged);
        self.cursor = staged.cursor;
        if staged.reset {
            self.rows.clear();
        }
        self.rows.retain(|_, (_, groups, _)| {
            groups.retain(|group| !staged.forget.contains(group));
            !groups.is_empty()
        });
        staged.rows.into_iter().for_each(|change| self.take(change));
    }

    fn take(&mut self, change: Change) {
        let key = (change.c.to_string(), change.id.to_string());
        match change.doc {
            Some(doc) => self.rows.insert(key, (change.rev, change.g, doc.get().to_owned())),
            None => self.rows.remove(&key),
        };
    }

    /// Opens a live channel, if it has none.
    pub fn listen<P: Policy>(&mut self, server: &MemoryServer<P>) {
        if self.socket.is_none() {
            let auth = json!({"t": "auth", "v": 1, "token": "t", "replica": "r", "collections": self.collections});
            self.socket = server.subscribe(&self.user, &auth.to_string(), 0).ok().map(|(_, socket)| socket);
        }
    }

    /// Takes what the channel has. Returns whether it said that a pull is needed.
    pub fn hear<P: Policy>(&mut self, server: &MemoryServer<P>) -> bool {
        let Some(said) = self.socket.as_mut().and_then(|socket| server.frame(socket)) else { return false };
        self.told.push(said.clone());
        let frame = json::parse(said.as_bytes(), JsonLimits::MESSAGE).unwrap();
        if frame["t"] != "frame" || self.staged.cursor.is_some() || Some(&frame["after"]) != self.cursor.as_ref() {
            return true;
        }
        self.cursor = frame.get("cursor").cloned();
        for change in frame["changes"].as_array().unwrap() {
            self.take(Change::read(change.to_string().as_bytes()).unwrap());
        }
        false
    }
}
