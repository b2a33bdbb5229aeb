//! What users do on their devices: they read what is shown, and write.

use tidewire_core::json;
use tidewire_core::json::{JsonLimits, Value};

use crate::oracle::{Effect, Move, State, Token, text_of, token_of};
use crate::releases::{read_as, written_as};
use crate::scenario::Action;
use crate::server::{ACCOUNTS, COUNTERS};
use crate::world::World;

/// The fields of a note that hold tokens.
pub(crate) const FIELDS: [&str; 4] = ["f0", "f1", "f2", "f3"];

/// What the server cannot bear.
pub(crate) const POISON: &str = "\"poison\"";

/// How many notes a user looks at to find one that is shown.
const LOOK_FURTHER: usize = 5;

pub(crate) fn parse(text: &str) -> Value {
    json::parse(text.as_bytes(), JsonLimits::MESSAGE).unwrap_or(Value::Null)
}

impl World {
    /// One row as a tab shows it.
    pub(crate) fn row(&self, tab: usize, collection: &str, id: &str) -> Option<Value> {
        let row = parse(&self.text(tab, collection, id)?);
        Some(if collection == "notes" { read_as(self.tabs[tab].version, row) } else { row })
    }

    /// ... as its text.
    pub(crate) fn text(&self, tab: usize, collection: &str, id: &str) -> Option<String> {
        self.tabs[tab].engine.row(collection, id).ok().flatten()
    }

    pub(crate) fn view(&self, tab: usize, what: &str) -> Value {
        let now = self.clocks(self.tabs[tab].device);
        self.tabs[tab].engine.view(now, what).map_or(Value::Null, |view| parse(&view))
    }

    /// A tab that somebody can use: of this device, or of the next one that has any.
    pub(crate) fn usable(&self, device: usize, tab: usize) -> Option<usize> {
        let count = self.devices.len();
        let tabs = (device..device + count).map(|device| self.ready_tabs(device % count)).find(|tabs| !tabs.is_empty());
        tabs.and_then(|tabs| tabs.get(tab % tabs.len()).copied())
    }

    /// A note that a tab shows: this one, or one of the next.
    fn note_at(&self, tab: usize, pick: usize) -> Option<(String, Value)> {
        let count = self.oracle.notes.len().max(1);
        let mut next = (pick..pick + LOOK_FURTHER).filter_map(|pick| self.oracle.notes.get(pick % count));
        next.find_map(|id| Some((id.clone(), self.row(tab, "notes", id)?)))
    }

    /// What a user does.
    pub(crate) fn use_it(&mut self, action: &Action) {
        self.oracle.now_us = self.now_us;
        match *action {
            Action::Insert { device, tab, private } => self.insert(device, tab, private),
            Action::Set { device, tab, pick, fields } => {
                let Some(tab) = self.usable(device, tab) else { return };
                let bits = FIELDS.into_iter().enumerate().filter(|(bit, _)| fields >> bit & 1 == 1);
                self.set(tab, &[pick], &bits.map(|(_, field)| field).collect::<Vec<_>>());
            }
            Action::Pair { device, tab, picks: (one, other), field } => {
                let Some(tab) = self.usable(device, tab) else { return };
                self.set(tab, &[one, other], &[FIELDS[usize::from(field) % FIELDS.len()]]);
            }
            Action::Unset { device, tab, pick, field } => self.unset(device, tab, pick, field),
            Action::Tag { device, tab, pick } => self.tag(device, tab, pick),
            Action::Delete { device, tab, pick } => self.delete(device, tab, pick),
            Action::Transfer { device, tab, from, to, amount } => self.transfer(device, tab, (from, to), amount),
            Action::Count { device, tab, which, amount, times } => {
                (0..times).for_each(|_| self.count(device, tab, which, amount));
            }
            Action::Undo { device, tab } => self.undo(device, tab),
            Action::Decide { device, tab, mine } => self.decide(device, tab, mine),
            Action::Same { device, tab, which } => self.insert_same(device, tab, which),
            Action::Retry { device, tab } | Action::Discard { device, tab } => {
                let Some(tab) = self.usable(device, tab) else { return };
                self.settle_letter(tab, matches!(action, Action::Retry { .. }));
            }
            Action::Now { device, tab } => {
                let Some(tab) = self.usable(device, tab) else { return };
                let now = self.clocks(self.tabs[tab].device);
                let _ = self.tabs[tab].engine.command(now, r#"{"do":"now"}"#);
                self.drain(tab);
            }
            _ => self.use_papers(action),
        }
    }

    /// Calls the engine. What it refuses was not written.
    pub(crate) fn write(&mut self, tab: usize, atomic: bool, mut ops: Vec<Value>, effects: Vec<Effect>) {
        let now = self.clocks(self.tabs[tab].device);
        ops.iter_mut().for_each(|op| written_as(self.tabs[tab].version, op));
        let request = json::write_text(&json!({"atomic": atomic, "ops": ops}));
        self.remark(|| format!("tab {tab} writes {request}"));
        match self.tabs[tab].engine.write(now, &request, "") {
            Ok(done) => self.written(tab, &done, effects),
            Err(_) => {
                self.labels.see("write refused");
                for effect in effects {
                    self.oracle.refuse(effect);
                }
            }
        }
    }

    fn written(&mut self, tab: usize, done: &str, effects: Vec<Effect>) {
        let write = parse(done).get("write").and_then(Value::as_u64).unwrap_or_default();
        self.labels.see("write");
        self.oracle.call(tab, write, effects.clone());
        self.tabs[tab].writes.push(write);
        self.read_your_writes(tab, &effects);
        self.drain(tab);
    }

    fn read_your_writes(&mut self, tab: usize, effects: &[Effect]) {
        for effect in effects {
            let Effect::Token(number) = effect else { continue };
            let token = &self.oracle.tokens[*number as usize];
            let row = self.row(tab, token.collection, &token.id);
            let shown = row.as_ref().and_then(|row| row.get(token.path.trim_start_matches('/')));
            let is_there = match (shown, token.path.as_str()) {
                (_, "") => row.is_none(),
                (Some(Value::Array(all)), _) => all.iter().any(|one| is_token(one, *number)),
                (shown, path) => shown.is_some_and(|shown| is_token(shown, *number)) || path.starts_with('-'),
            };
            if !is_there {
                let what = format!(
                    "tab {tab} wrote t{number} to {}{} and reads {}",
                    token.id,
                    token.path,
                    row.unwrap_or(Value::Null)
                );
                return self.fail(4, what);
            }
        }
    }

    fn insert(&mut self, device: usize, tab: usize, private: bool) {
        let Some(tab) = self.usable(device, tab) else { return };
        let user = self.devices[self.tabs[tab].device].user;
        let id = format!("n{}", self.oracle.notes.len());
        self.oracle.notes.push(id.clone());
        let mut doc = json!({"tags": []});
        let mut effects = Vec::new();
        for field in &FIELDS[..2] {
            let token = self.oracle.token(tab, "notes", &id, &format!("/{field}"), &[]);
            self.oracle.tokens[token as usize].is_insert = true;
            effects.push(Effect::Token(token));
            put(&mut doc, field, text_of(token, private.then_some(user)).into());
        }
        if private {
            put(&mut doc, "private", format!("u{user}").into());
        }
        if self.setup.releases && self.tabs[tab].version == 1 {
            put(&mut doc, "old", 1.into());
        }
        if self.setup.pad > 0 {
            put(&mut doc, "pad", "x".repeat(self.setup.pad).into());
        }
        self.write(tab, false, vec![json!({"op": "insert", "c": "notes", "id": id, "value": doc})], effects);
    }

    /// A note under an id that others use as well, as for settings of which there is one. Who sees it makes no other.
    fn insert_same(&mut self, device: usize, tab: usize, which: usize) {
        let Some(tab) = self.usable(device, tab) else { return };
        let id = format!("same{which}");
        if self.row(tab, "notes", &id).is_some() {
            return;
        }
        if !self.oracle.notes.contains(&id) {
            self.oracle.notes.push(id.clone());
        }
        self.oracle.turned.insert(id.clone());
        self.oracle.made.push((id.clone(), self.now_us));
        let token = self.oracle.token(tab, "notes", &id, "/f0", &[]);
        let made = &mut self.oracle.tokens[token as usize];
        (made.over_nothing, made.is_insert) = (true, true);
        let doc = json!({"f0": text_of(token, None), "tags": []});
        let ops = vec![json!({"op": "insert", "c": "notes", "id": id, "value": doc})];
        self.write(tab, false, ops, vec![Effect::Token(token)]);
    }

    /// Something in a note that the server cannot bear.
    pub(crate) fn poison(&mut self, device: usize, tab: usize, pick: usize) {
        let Some(tab) = self.usable(device, tab) else { return };
        let Some((id, _)) = self.note_at(tab, pick) else { return };
        let ops = vec![json!({"op": "patch", "c": "notes", "id": id, "set": {"/bad": "poison"}})];
        self.write(tab, false, ops, Vec::new());
    }

    /// Fields of one note, or of several in one transaction.
    fn set(&mut self, tab: usize, picks: &[usize], fields: &[&'static str]) {
        let (mut ops, mut effects) = (Vec::new(), Vec::new());
        let mut seen: Vec<String> = Vec::new();
        for pick in picks {
            let Some((id, row)) = self.note_at(tab, *pick) else { continue };
            if seen.contains(&id) {
                continue;
            }
            let canary = row.get("private").is_some().then(|| self.devices[self.tabs[tab].device].user);
            let mut set = json!({});
            for field in fields {
                let path = format!("/{field}");
                let saw = match row.get(field) {
                    Some(value) => token_in(value).into_iter().collect(),
                    None => [self.oracle.removals(&id, &path), self.own_unshown(tab, &id, field)].concat(),
                };
                let token = self.oracle.token(tab, "notes", &id, &path, &saw);
                self.oracle.tokens[token as usize].over_nothing = !self.has_name(tab, &id, field);
                put(&mut set, &path, text_of(token, canary).into());
                effects.push(Effect::Token(token));
            }
            ops.push(json!({"op": "patch", "c": "notes", "id": id, "set": set}));
            seen.push(id);
        }
        if ops.len() > 1 {
            let token = |effect: &Effect| if let Effect::Token(token) = effect { Some(*token) } else { None };
            self.oracle.pairs.push(effects.iter().filter_map(token).collect());
        }
        if !ops.is_empty() {
            self.write(tab, picks.len() > 1, ops, effects);
        }
    }

    fn unset(&mut self, device: usize, tab: usize, pick: usize, field: u8) {
        let Some(tab) = self.usable(device, tab) else { return };
        let Some((id, row)) = self.note_at(tab, pick) else { return };
        let field = FIELDS[usize::from(field) % FIELDS.len()];
        let Some(saw) = row.get(field).and_then(token_in).filter(|_| self.has_name(tab, &id, field)) else { return };
        let path = format!("/{field}");
        // What is not there any more has no text; the token stands for its author's wish.
        let token = self.oracle.token(tab, "notes", &id, &format!("-{path}"), &[saw]);
        let ops = vec![json!({"op": "patch", "c": "notes", "id": id, "unset": [path]})];
        self.write(tab, false, ops, vec![Effect::Token(token)]);
    }

    fn tag(&mut self, device: usize, tab: usize, pick: usize) {
        let Some(tab) = self.usable(device, tab) else { return };
        let Some((id, row)) = self.note_at(tab, pick) else { return };
        let canary = row.get("private").is_some().then(|| self.devices[self.tabs[tab].device].user);
        let token = self.oracle.token(tab, "notes", &id, "/tags", &[]);
        // Sometimes with one that is there: its undo leaves that.
        let there =
            row.get("tags").and_then(Value::as_array).and_then(|tags| tags.first()).filter(|_| pick.is_multiple_of(3));
        let tags: Vec<Value> = there.cloned().into_iter().chain([text_of(token, canary).into()]).collect();
        let add = json!({"/tags": tags});
        let ops = vec![json!({"op": "patch", "c": "notes", "id": id, "add": add})];
        self.write(tab, false, ops, vec![Effect::Token(token)]);
    }

    fn delete(&mut self, device: usize, tab: usize, pick: usize) {
        let Some(tab) = self.usable(device, tab) else { return };
        let Some((id, row)) = self.note_at(tab, pick) else { return };
        self.oracle.turned.insert(id.clone());
        let mut saw = tokens_of(&row);
        saw.extend(self.behind_conflicts(tab, &id));
        let token = self.oracle.token(tab, "notes", &id, "", &saw);
        let ops = vec![json!({"op": "delete", "c": "notes", "id": id})];
        self.write(tab, false, ops, vec![Effect::Token(token)]);
    }

    /// What stands where a conflict of a note waits for this user: he is shown both.
    fn behind_conflicts(&self, tab: usize, id: &str) -> Vec<u32> {
        let conflicts = self.view(tab, "conflicts");
        let is_of = |one: &&Value| one.get("e").and_then(Value::as_str) == Some(id);
        let of_note = conflicts.as_array().into_iter().flatten().filter(is_of);
        of_note.filter_map(|one| one.get("kept").and_then(token_in)).collect()
    }

    fn transfer(&mut self, device: usize, tab: usize, (from, to): (usize, usize), amount: u64) {
        let Some(tab) = self.usable(device, tab) else { return };
        let is_there = |account: usize| self.row(tab, "accounts", &format!("a{account}")).is_some();
        if from == to || !is_there(from) || !is_there(to) {
            return;
        }
        let amount = amount.cast_signed();
        let effects = self.moved(tab, Some(from), to, amount);
        self.write(tab, true, vec![add_to(from, -amount), add_to(to, amount)], effects);
    }

    fn count(&mut self, device: usize, tab: usize, which: usize, amount: u64) {
        let Some(tab) = self.usable(device, tab) else { return };
        let counter = ACCOUNTS + which % COUNTERS;
        if self.text(tab, "accounts", &format!("a{counter}")).is_some() {
            let effects = self.moved(tab, None, counter, amount.cast_signed());
            self.write(tab, false, vec![add_to(counter, amount.cast_signed())], effects);
        }
    }

    fn moved(&mut self, tab: usize, from: Option<usize>, to: usize, amount: i64) -> Vec<Effect> {
        self.oracle.moves.push(Move { tab, from, to, amount, state: State::Provisional, at_us: self.oracle.now_us });
        vec![Effect::Move(self.oracle.moves.len() - 1)]
    }

    fn undo(&mut self, device: usize, tab: usize) {
        let Some(tab) = self.usable(device, tab) else { return };
        let Some(write) = self.tabs[tab].writes.pop() else { return };
        if self.makes_old_again(tab, write) {
            return;
        }
        let now = self.clocks(self.tabs[tab].device);
        let undone = self.oracle.effects(tab, write);
        let seen: Vec<u32> = undone.iter().flat_map(|effect| self.shown_at(tab, *effect)).collect();
        let Ok(done) = self.tabs[tab].engine.undo(now, write) else { return };
        self.labels.see("undo");
        self.remark(|| format!("tab {tab} undoes its write {write}: {done}"));
        for effect in &undone {
            if let Effect::Token(number) | Effect::Back(number) = effect
                && let Token { path, id, .. } = &self.oracle.tokens[*number as usize]
            {
                self.oracle.turned.insert(id.clone());
                if path.is_empty() {
                    self.oracle.made_again.insert(id.clone());
                }
            }
        }
        // What is shown there goes with it, whoever wrote it.
        for token in seen {
            self.oracle.tokens[token as usize].taken_back = true;
        }
        let mut effects = Vec::new();
        for effect in undone {
            match effect {
                Effect::Token(token) => {
                    self.oracle.tokens[token as usize].taken_back = true;
                    effects.push(Effect::Back(token));
                }
                Effect::Move(at) => {
                    let Move { from, to, amount, .. } = self.oracle.moves[at];
                    effects.extend(match from {
                        Some(from) => self.moved(tab, Some(to), from, amount),
                        None => self.moved(tab, None, to, -amount),
                    });
                }
                Effect::Back(token) => effects.push(Effect::Back(token)),
                Effect::Word(_) => {}
            }
        }
        self.written(tab, &done, effects);
    }

    /// The tokens that are shown where a write wrote: of an insert and of a deletion, the whole note.
    fn shown_at(&self, tab: usize, effect: Effect) -> Vec<u32> {
        let (Effect::Token(number) | Effect::Back(number)) = effect else { return Vec::new() };
        let Token { collection, id, path, is_insert, .. } = &self.oracle.tokens[number as usize];
        let Some(row) = self.row(tab, collection, id) else { return Vec::new() };
        if *is_insert || path.is_empty() {
            return tokens_of(&row);
        }
        let path = path.trim_start_matches('-');
        let shown: Vec<u32> = at(&row, path).into_iter().collect();
        if shown.is_empty() { self.oracle.removals(id, path) } else { shown }
    }
}

fn add_to(account: usize, by: i64) -> Value {
    json!({"op": "patch", "c": "accounts", "id": format!("a{account}"), "inc": {"/sum": by}})
}

/// The token of a value that is one.
pub(crate) fn token_in(value: &Value) -> Option<u32> {
    value.as_str().and_then(token_of)
}

/// The tokens of a note.
fn tokens_of(row: &Value) -> Vec<u32> {
    let fields = FIELDS.iter().filter_map(|field| row.get(field)).filter_map(token_in);
    let tags = row.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(token_in);
    fields.chain(tags).collect()
}

fn at(row: &Value, path: &str) -> Option<u32> {
    row.get(path.trim_start_matches('/')).and_then(token_in)
}

fn is_token(value: &Value, token: u32) -> bool {
    token_in(value) == Some(token)
}

pub(crate) fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}
