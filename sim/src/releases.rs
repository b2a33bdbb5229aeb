//! Releases of the app and of its server, while edits of older ones wait and older tabs stay open: fields of notes get
//! other names, one has a default, one is no more.
//!
//! What is known of a field is kept under its first name. An app of a newer release reads it under the older names as
//! well, as one does whose rows may not have been brought over yet (`docs/decisions/0037`).

use tidewire_core::ids::MutationId;
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::model::migration::Migrations;

use crate::device::Tab;
use crate::oracle::{Effect, Token};
use crate::server::Server;
use crate::users::parse;
use crate::world::World;

/// The newest version of the schema; the first is 1.
pub(crate) const NEWEST: u64 = 3;

/// Fields that have another name: since which version, the first name, and the other.
const RENAMED: [(u64, &str, &str); 2] = [(2, "f3", "g3"), (3, "f2", "g2")];

/// The steps from one version to another, as an app writes them.
fn steps(from: u64, to: u64) -> Value {
    let all = [
        json!({"notes": [{"rename": "f3", "to": "g3"}, {"default": "kind", "value": "plain"}, {"remove": "old"}]}),
        json!({"notes": [{"rename": "f2", "to": "g2"}]}),
    ];
    let mut steps = json!({});
    for (version, step) in (2..=to).zip(all).filter(|(version, _)| *version > from) {
        if let Some(map) = steps.as_object_mut() {
            map.insert(version.to_string(), step);
        }
    }
    steps
}

pub(crate) fn migrations(from: u64, to: u64) -> Option<Migrations> {
    Migrations::read(to, &steps(from, to)).ok()
}

/// The name of a field, or of its path, in a version of the schema.
pub(crate) fn name_in(field: &'static str, version: u64) -> &'static str {
    let renamed = RENAMED.iter().find(|(since, first, _)| *first == field && *since <= version);
    renamed.map_or(field, |(_, _, name)| *name)
}

/// The first name of a field.
pub(crate) fn first_name(name: &str) -> &str {
    RENAMED.iter().find(|(_, _, other)| *other == name).map_or(name, |(_, first, _)| *first)
}

/// A path under the first name of its field.
pub(crate) fn first_path(path: &str) -> String {
    path.strip_prefix('/').map_or_else(|| path.to_owned(), |name| format!("/{}", first_name(name)))
}

/// What the server holds in a field.
pub(crate) fn stored_in<'a>(doc: &'a Value, field: &str) -> Option<&'a Value> {
    let renamed = RENAMED.iter().find(|(_, first, _)| *first == field);
    renamed.and_then(|(_, _, other)| doc.get(other)).or_else(|| doc.get(field))
}

/// A row as an app of this version reads it, under the first names.
pub(crate) fn read_as(version: u64, mut row: Value) -> Value {
    for (_, first, other) in RENAMED.iter().filter(|(since, ..)| *since <= version) {
        if let Some(fields) = row.as_object_mut()
            && let Some(value) = fields.remove(*other)
        {
            fields.insert((*first).to_owned(), value);
        }
    }
    row
}

/// What an app of this version asks for, of an operation under the first names.
pub(crate) fn written_as(version: u64, op: &mut Value) {
    for (_, first, other) in RENAMED.iter().filter(|(since, ..)| *since <= version) {
        let (from, to) = (format!("/{first}"), format!("/{other}"));
        let Some(op) = op.as_object_mut() else { return };
        if let Some(set) = op.get_mut("set").and_then(Value::as_object_mut)
            && let Some(value) = set.remove(&from)
        {
            set.insert(to.clone(), value);
        }
        if let Some(Value::Array(unset)) = op.get_mut("unset") {
            unset.iter_mut().filter(|path| path.as_str() == Some(&from)).for_each(|path| *path = to.clone().into());
        }
    }
}

impl World {
    /// The files of the app's next release are there: tabs that are opened from now on may be of it.
    pub(crate) fn release_app(&mut self) {
        if self.setup.releases && self.app_version < NEWEST {
            self.app_version += 1;
            self.labels.see("app released");
        }
    }

    /// The server is renewed. It brings over what it holds.
    pub(crate) fn release_server(&mut self) {
        if self.setup.releases && self.server.version() < NEWEST {
            self.server.renew();
            self.labels.see("server released");
            self.cut_all();
            self.after_commit();
        }
    }

    /// Whoever waits for the server's release gets it.
    pub(crate) fn release_all(&mut self) {
        while self.server.version() < self.app_version {
            self.release_server();
        }
    }

    /// The release that a new tab is of: the newest, unless the browser still has an older one.
    pub(crate) fn version_of_tab(&mut self, device: usize) -> u64 {
        let known = self.devices[device].version;
        if known < self.app_version && self.devices[device].random.chance(700) {
            self.devices[device].version = self.app_version;
        }
        self.devices[device].version
    }

    /// What an app of a version declares besides.
    pub(crate) fn declared(&self, version: u64) -> String {
        if !self.setup.releases {
            return String::new();
        }
        format!("\"version\":{version},\"migrations\":{},", json::write_text(&steps(1, version)))
    }

    /// Whether a tab may show an older value of a field, under a name that its app has not.
    pub(crate) fn may_show_older(&self, tab: usize, field: &'static str) -> bool {
        self.tabs[tab].version > 1 && name_in(field, NEWEST) != field
    }

    /// Whether a note has a field under the name that it has for a tab's app.
    pub(crate) fn has_name(&self, tab: usize, id: &str, field: &'static str) -> bool {
        let row = self.text(tab, "notes", id).map(|row| parse(&row));
        row.is_some_and(|row| row.get(name_in(field, self.tabs[tab].version)).is_some())
    }

    /// What a device's own users wrote in a field that its older release does not show any more. It is overwritten as
    /// what he wrote himself: that is told to nobody.
    pub(crate) fn own_unshown(&self, tab: usize, id: &str, field: &'static str) -> Vec<u32> {
        let Tab { version, device, .. } = self.tabs[tab];
        if name_in(field, version) == name_in(field, self.server.version()) {
            return Vec::new();
        }
        let is_own = |token: &Token| {
            self.tabs[token.tab].device == device && token.id == id && token.path.strip_prefix('/') == Some(field)
        };
        let all = self.oracle.tokens.iter().enumerate().filter(|(_, token)| is_own(token));
        all.map(|(number, _)| number as u32).collect()
    }

    /// Whether an app of a newer release would make a note again as it was before that: what is stored on a device is
    /// not brought over there yet (`docs/decisions/0037`).
    pub(crate) fn makes_old_again(&self, tab: usize, write: u64) -> bool {
        let is_deletion = |effect: &Effect| match effect {
            Effect::Token(number) | Effect::Back(number) => self.oracle.tokens[*number as usize].path.is_empty(),
            Effect::Move(_) | Effect::Word(_) => false,
        };
        self.tabs[tab].version > 1 && self.oracle.effects(tab, write).iter().any(is_deletion)
    }

    /// Invariant 13: what a tab sends for the first time is of its release.
    pub(crate) fn check_versions(&mut self, tab: usize, push: &str) {
        let version = self.tabs[tab].version;
        if !self.setup.releases || self.labels.count("cleared") > 0 {
            return;
        }
        let push = parse(push);
        let push = push.get("body").unwrap_or(&push);
        let sent = self.devices[self.tabs[tab].device].sent;
        for item in push.get("mutations").and_then(Value::as_array).into_iter().flatten() {
            let Some((n, m)) = item.get("n").and_then(|n| MutationId::read(n).ok()).zip(item.get("m")) else {
                continue;
            };
            let schema = m.get("schema").and_then(Value::as_u64).unwrap_or(1);
            if m.get("origin").is_some() {
                self.labels.see("edit brought over on its device");
            }
            if schema < self.server.version() {
                self.labels.see("edit brought over by the server");
            }
            if n > sent && m.get("former").is_none() && schema < version {
                return self.fail(13, format!("tab {tab} of version {version} sends for the first time {item}"));
            }
        }
    }

    /// Invariant 13: nothing stands under a name that is no more.
    pub(crate) fn check_names(&mut self) {
        let version = self.server.version();
        let gone = |doc: &Value| {
            let old = RENAMED.iter().find(|(since, first, _)| *since <= version && doc.get(first).is_some());
            old.map(|(_, first, _)| *first).or((version > 1 && doc.get("old").is_some()).then_some("old"))
        };
        let found = self.server.store.entities.iter().find_map(|((c, id), row)| {
            let is_live_note = c.as_str() == "notes" && !row.stored.deleted;
            gone(&row.stored.doc).filter(|_| is_live_note).map(|name| format!("{id} has {name}: {}", row.stored.doc))
        });
        if let Some(what) = found {
            self.fail(13, format!("the server has version {version}, and {what}"));
        }
    }
}

impl Server {
    /// The version of the schema that it has.
    pub(crate) fn version(&self) -> u64 {
        self.policy.migrations.as_ref().map_or(1, Migrations::version)
    }

    /// The next version, and all that is stored with it.
    fn renew(&mut self) {
        let before = self.version();
        self.policy.migrations = migrations(1, before + 1);
        self.renew_from(before);
    }

    /// What is stored has this version, and gets the server's.
    pub(crate) fn renew_from(&mut self, version: u64) {
        if let Some(way) = migrations(version, self.version()).filter(|_| version < self.version()) {
            self.migrate(&way, version);
        }
    }
}
