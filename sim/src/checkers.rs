//! What has to hold, checked from outside: by what users wrote, what they are shown, and what the server holds.
//!
//! The numbers are those of the invariants in `docs/TESTING.md`.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use tidewire_core::authority::memory::MemoryRow;
use tidewire_core::json::{self, Value};

use crate::oracle::{Move, State, Token};
use crate::server::{ACCOUNTS, COLLECTIONS, COUNTERS};
use crate::users::{parse, token_in};
use crate::world::World;

/// More unknown moves than this cannot be told apart by their sums; such a run is not checked for them.
const UNKNOWN_MOVES_MAX: usize = 16;

type Rows = BTreeMap<String, Value>;

impl World {
    /// What the engine of a tab tells its app.
    pub(crate) fn hear(&mut self, tab: usize) {
        let mut changed = Vec::new();
        for event in std::mem::take(&mut self.tabs[tab].told) {
            let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
            let write = event.get("write").and_then(Value::as_u64).unwrap_or_default();
            match text("type") {
                "durable" => self.oracle.told(tab, write, State::Durable),
                "write-failed" => {
                    self.labels.see("write failed");
                    let misled = self.tabs[tab].misled;
                    self.oracle.told(tab, write, if misled { State::Unknown } else { State::Failed });
                }
                "changed" if text("collection") == "accounts" => {
                    self.check_accounts(tab);
                    self.check_counted(tab);
                }
                "changed" if text("collection") == "notes" => {
                    let ids = event.get("ids").and_then(Value::as_array).into_iter().flatten();
                    changed.extend(ids.filter_map(Value::as_str).map(str::to_owned));
                }
                "remap" => self.labels.see("id became another's"),
                "watchdog" if text("code") == "internal" => self.fail(30, format!("tab {tab}: {event}")),
                // What was meddled with once more while it was read again stays different until it is looked at again.
                "watchdog"
                    if text("code") == "diverged"
                        && self.labels.count("meddled") + self.labels.count("flipped") == 0 =>
                {
                    let differs = self.differs(tab).unwrap_or_default();
                    self.fail(29, format!("tab {tab}: {event}; {differs}"));
                }
                _ => {}
            }
        }
        if !changed.is_empty() {
            self.check_forward(tab, &changed);
        }
    }

    /// Invariant 6: no tab ever shows a part of a transaction.
    fn check_accounts(&mut self, tab: usize) {
        let sum = |account| sum_in(&self.text(tab, "accounts", &format!("a{account}"))?);
        let sums: Vec<f64> = (0..ACCOUNTS).filter_map(sum).collect();
        // Of a damaged store a part may be missing until it is read again.
        let is_whole = self.labels.count("flipped") == 0;
        if is_whole && sums.len() == ACCOUNTS && sums.iter().sum::<f64>() != 0.0 && self.has_loaded(tab) {
            self.fail(6, format!("tab {tab} shows accounts that do not add up: {sums:?}"));
        }
    }

    /// Invariant 2, as users see it: nobody is ever shown more than was counted. What goes up again, under another name
    /// or because the server may have lost it, is shown until it is answered.
    fn check_counted(&mut self, tab: usize) {
        if ["pruned", "restored", "wiped"].iter().any(|what| self.labels.count(what) > 0) {
            return;
        }
        let mut written = [0_i64; ACCOUNTS + COUNTERS];
        // What takes one back may be on its way yet.
        self.oracle.moves.iter().filter(|one| one.amount > 0).for_each(|one| one.put(&mut written));
        for (account, written) in written.iter().enumerate().skip(ACCOUNTS) {
            let shown = self.text(tab, "accounts", &format!("a{account}")).and_then(|row| sum_in(&row));
            if shown.is_some_and(|shown| shown > *written as f64) {
                return self.fail(2, format!("tab {tab} shows {shown:?} in a{account}, of {written} that was counted"));
            }
        }
    }

    /// A first sync shows rows as they come.
    fn has_loaded(&self, tab: usize) -> bool {
        let status = self.view(tab, "status");
        let loaded = status.get("loaded").and_then(Value::as_array);
        loaded.is_some_and(|all| all.iter().any(|name| name.as_str() == Some("accounts")))
    }

    /// Invariant 11: nothing of another user's is ever delivered.
    pub(crate) fn check_canaries(&mut self, device: usize, text: &str) {
        let own = self.devices[device].user;
        let mut rest = text;
        while let Some((_, behind)) = rest.split_once("canary-u") {
            let user: String = behind.chars().take_while(char::is_ascii_digit).collect();
            if user.parse() != Ok(own) {
                return self.fail(11, format!("device {device} of u{own} is sent what is u{user}'s: {text}"));
            }
            rest = behind;
        }
        self.check_teams(device, text);
    }

    /// Whether nobody has anything left to send, as the tabs say.
    pub(crate) fn is_calm(&self) -> bool {
        let is_done = |tab: usize| {
            let status = self.view(tab, "status");
            let is_synced = status.get("state").and_then(Value::as_str) == Some("synced");
            is_synced && (pending_in(&status) == 0 || self.only_held(tab))
        };
        self.alive().all(|tab| self.tabs[tab].opened) && self.alive().all(is_done)
    }

    /// Whether everybody is shown what the server has.
    pub(crate) fn agrees(&self) -> bool {
        self.alive().all(|tab| self.differs(tab).is_none())
    }

    fn alive(&self) -> impl Iterator<Item = usize> {
        (0..self.tabs.len()).filter(|tab| self.tabs[*tab].alive)
    }

    pub(crate) fn holds_anything(&self) -> bool {
        self.alive().any(|tab| pending_in(&self.view(tab, "status")) > 0)
    }

    pub(crate) fn held_ids(&self, tab: usize) -> Vec<String> {
        let queue = self.view(tab, "queue");
        let pending = queue.get("pending").and_then(Value::as_array).into_iter().flatten();
        pending.filter_map(|entry| Some(entry.get("id")?.as_str()?.to_owned())).collect()
    }

    /// What waits for an entity that is gone waits for days; what follows a refused insert, for the user.
    fn only_held(&self, tab: usize) -> bool {
        let queue = self.view(tab, "queue");
        let status = |entry: &Value| entry.get("status").and_then(Value::as_str) == Some("held");
        queue.get("pending").and_then(Value::as_array).is_some_and(|pending| pending.iter().all(status))
    }

    /// Invariant 3, its second half: what did not come to rest in time, and why.
    pub(crate) fn not_calm(&mut self) {
        for tab in self.alive().collect::<Vec<_>>() {
            let status = self.view(tab, "status");
            let refused = self.tabs[tab].refused;
            let differs = self.differs(tab);
            let is_synced = status.get("state").and_then(Value::as_str) == Some("synced");
            if !is_synced || pending_in(&status) > 0 || differs.is_some() {
                let why = differs.unwrap_or_else(|| format!("tab {tab}: {status}, refused {refused:?}"));
                let queue = self.view(tab, "queue");
                return self.fail(3, format!("not at rest: {why}; {status}; queue {queue}"));
            }
        }
        self.fail(3, "not at rest, and nobody says why".into());
    }

    fn ids(&self, collection: &str) -> Vec<String> {
        match collection {
            "notes" => self.oracle.notes.clone(),
            "papers" | "lines" => self.papers.ids(collection).to_vec(),
            // Those that are no other's: what an id stands for is looked at when all is at rest.
            "people" => {
                let made = self.people().into_iter().map(|(id, _)| id);
                made.filter(|id| self.server.entity(collection, id).is_some()).collect()
            }
            _ => (0..ACCOUNTS + COUNTERS).map(|account| format!("a{account}")).collect(),
        }
    }

    /// Invariant 3: where what a tab shows is not what the server has for its user.
    pub(crate) fn differs(&self, tab: usize) -> Option<String> {
        let user = self.devices[self.tabs[tab].device].user;
        let there = self.server.seen_by(user);
        let held = if pending_in(&self.view(tab, "status")) > 0 { self.held_ids(tab) } else { Vec::new() };
        let conflicts = OnceCell::new();
        for collection in COLLECTIONS {
            // What is held shows what its author wrote.
            for id in self.ids(collection).into_iter().filter(|id| !held.contains(id)) {
                let row: Option<&&MemoryRow> = there.get(&(collection, id.as_str()));
                let shown = self.text(tab, collection, &id).map(|row| parse(&row));
                // Fields that wait for the user's decision show his value.
                let waiting = || waiting_paths(conflicts.get_or_init(|| self.view(tab, "conflicts")), &id);
                if let Some(what) = row_differs(shown.as_ref(), row.map(|row| &row.stored.doc), &waiting) {
                    return Some(format!("tab {tab} of device {} in {collection}: {id} {what}", self.tabs[tab].device));
                }
            }
        }
        None
    }

    /// What is checked when everything has come to rest.
    pub(crate) fn check_end(&mut self) {
        self.check_sums();
        self.check_values();
        self.check_last();
        self.check_manual();
        self.check_whole();
        self.check_lines();
        self.check_people();
        self.check_failed();
        self.check_names();
    }

    /// Invariant 18: what a write could not store is nowhere.
    fn check_failed(&mut self) {
        let mut there = BTreeSet::new();
        for ((collection, _), row) in &self.server.store.entities {
            let mut doc = row.stored.doc.clone();
            // What the author of a conflict saw may never have been stored.
            if let Some(fields) = doc.as_object_mut().filter(|_| collection.is_conflicts()) {
                fields.remove("base");
            }
            collect(&doc, &mut there);
        }
        let is_failed =
            |number: &&u32| self.oracle.tokens.get(**number as usize).map(|token| token.state) == Some(State::Failed);
        if let Some(number) = there.iter().find(is_failed).copied() {
            let Token { tab, collection, id, path, .. } = &self.oracle.tokens[number as usize];
            let what =
                format!("t{number} of tab {tab} in {collection} {id}{path} was reported as failed, and is there");
            self.fail(18, what);
        }
    }

    /// Invariants 1 and 2: every move that the app was told is stored counts once, and no other.
    fn check_sums(&mut self) {
        let sum = |account: usize| {
            let row = self.server.entity("accounts", &format!("a{account}"));
            row.and_then(|row| row.stored.doc.get("sum")?.as_f64()).unwrap_or(f64::NAN)
        };
        let mut expected = [0_i64; ACCOUNTS + COUNTERS];
        let mut unknown: Vec<&Move> = Vec::new();
        for one in &self.oracle.moves {
            match one.state {
                State::Durable => one.put(&mut expected),
                State::Failed => {}
                State::Provisional | State::Unknown => unknown.push(one),
            }
        }
        if unknown.len() > UNKNOWN_MOVES_MAX {
            return self.labels.see("too many unknown moves to tell");
        }
        let found: Vec<f64> = (0..ACCOUNTS + COUNTERS).map(sum).collect();
        let is_subset = (0..1_u32 << unknown.len()).any(|chosen| {
            let mut sums = expected;
            for (bit, one) in unknown.iter().enumerate() {
                if chosen >> bit & 1 == 1 {
                    one.put(&mut sums);
                }
            }
            sums.iter().map(|sum| *sum as f64).eq(found.iter().copied())
        });
        if !is_subset {
            let unknown = unknown.len();
            self.fail(
                2,
                format!("accounts are {found:?}, by what was written {expected:?} and some of {unknown} more"),
            );
        }
    }

    /// Invariants 1 and 7: every value that the app was told is stored is there, or somebody who saw it wrote over it,
    /// or it is told as a conflict, a dead letter, or as held.
    fn check_values(&mut self) {
        let known = self.known_tokens();
        let mut accounted = BTreeMap::new();
        for number in 0..self.oracle.tokens.len() as u32 {
            let token = &self.oracle.tokens[number as usize];
            let is_asked = token.state == State::Durable;
            if is_asked && !self.is_accounted(number, &known, &mut accounted) {
                let Token { tab, collection, id, path, replaced_by, .. } = token;
                let row = self.server.entity(collection, id).map(|row| &row.stored);
                let row = row.map(|stored| format!("deleted {}, {}", stored.deleted, stored.doc));
                let what = format!(
                    "t{number}, written by tab {tab} to {collection} {id}{path}, is nowhere; written over by \
                     {replaced_by:?}; the server has {row:?}"
                );
                return self.fail(7, what);
            }
        }
    }

    fn is_accounted(&self, number: u32, known: &BTreeSet<u32>, done: &mut BTreeMap<u32, bool>) -> bool {
        if let Some(known) = done.get(&number) {
            return *known;
        }
        done.insert(number, false);
        let Some(token) = self.oracle.tokens.get(number as usize) else { return false };
        let is = token.taken_back
            || self.may_remove_nothing(token)
            || known.contains(&number)
            || self.is_wish_granted(token)
            || token.replaced_by.iter().any(|next| self.is_accounted(*next, known, done))
            || self.written_over_nothing(token).into_iter().any(|next| self.is_accounted(next, known, done));
        done.insert(number, is);
        is
    }

    /// Every token whose text stands somewhere where a user finds it.
    fn known_tokens(&self) -> BTreeSet<u32> {
        let mut known = BTreeSet::new();
        for row in self.server.store.entities.values() {
            collect(&row.stored.doc, &mut known);
        }
        for tab in (0..self.tabs.len()).filter(|tab| self.tabs[*tab].alive) {
            collect(&self.view(tab, "queue"), &mut known);
        }
        known
    }

    /// The effects of calls that nobody was told about yet are as unknown as those of a tab that died.
    pub(crate) fn forget_untold(&mut self) {
        for tab in 0..self.tabs.len() {
            self.oracle.tab_died(tab);
        }
    }
}

/// What waits for the server, as a tab says.
fn pending_in(status: &Value) -> u64 {
    status.get("pending").and_then(Value::as_u64).unwrap_or(1)
}

fn row_differs(shown: Option<&Value>, stored: Option<&Value>, waiting: &dyn Fn() -> Vec<String>) -> Option<String> {
    let bare = |doc: &Value, waiting: &[String]| {
        let fields = doc.as_object().into_iter().flat_map(json::Map::iter);
        let own = |key: &str| key == "id" || key.starts_with('$') || waiting.iter().any(|path| path == key);
        fields.filter(|(key, _)| !own(key)).map(|(key, value)| (key.clone(), value.clone())).collect::<Rows>()
    };
    let both = |waiting: &[String]| (shown.map(|row| bare(row, waiting)), stored.map(|doc| bare(doc, waiting)));
    let (mut shown_fields, mut stored_fields) = both(&[]);
    if shown_fields != stored_fields {
        (shown_fields, stored_fields) = both(&waiting());
    }
    let (shown, stored) = (shown_fields, stored_fields);
    let text = |rows: Option<Rows>| rows.map_or("nothing".to_owned(), text_of);
    (shown != stored).then(|| format!("is shown as {}, and the server has {}", text(shown), text(stored)))
}

fn waiting_paths(conflicts: &Value, id: &str) -> Vec<String> {
    let of = |one: &&Value| one.get("e").and_then(Value::as_str) == Some(id);
    let path = |one: &Value| one.get("path")?.as_str()?.trim_start_matches('/').split('/').next().map(str::to_owned);
    conflicts.as_array().into_iter().flatten().filter(of).filter_map(path).collect()
}

/// The sum of an account, from its text: it is asked after every change.
fn sum_in(row: &str) -> Option<f64> {
    let (_, behind) = row.split_once("\"sum\":")?;
    let end = behind.find([',', '}'])?;
    Some(behind[..end].parse().unwrap_or(f64::NAN))
}

fn text_of(rows: Rows) -> String {
    let mut map = json::Map::new();
    for (key, value) in rows {
        map.insert(key, value);
    }
    Value::Object(map).to_string()
}

/// Tokens anywhere in a value, `kept` of a conflict included: it is the value that stands.
pub(crate) fn collect(value: &Value, into: &mut BTreeSet<u32>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| collect(one, into)),
        Value::Object(fields) => fields.iter().for_each(|(_, one)| collect(one, into)),
        _ => into.extend(token_in(value)),
    }
}
