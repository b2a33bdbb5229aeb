//! People, whom users come to know each for himself: who is the same one is told by a code. What two devices make of
//! one person becomes one, under any id that it had (rule 29, invariant 9).

use std::collections::BTreeMap;

use tidewire_core::json;
use tidewire_core::json::Value;

use crate::oracle::{Effect, State};
use crate::scenario::Action;
use crate::world::World;

/// How many there are.
pub(crate) const CODES: usize = 4;

/// Something that somebody said of a person. It is added to what others said, and nobody takes it away.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) tab: usize,
    /// The id under which it was said.
    pub(crate) id: String,
    pub(crate) code: usize,
    pub(crate) state: State,
    pub(crate) at_us: u64,
}

/// The people that the server has: their ids by code.
type Known = BTreeMap<usize, Vec<(String, Value)>>;

impl World {
    /// What a user does with people.
    pub(crate) fn use_people(&mut self, action: &Action) {
        match *action {
            Action::Meet { device, tab, code } => {
                let Some(tab) = self.usable(device, tab) else { return };
                let id = format!("q{}", self.oracle.words.len());
                let word = self.word(tab, &id, code);
                // Who writes it in capitals means the same one.
                let spelled = if word.is_multiple_of(2) { format!("c{code}") } else { format!(" C{code}") };
                let value = json!({"code": spelled, "words": [format!("w{word}")]});
                self.write_of(tab, word, json!({"op": "insert", "c": "people", "id": id, "value": value}));
            }
            Action::Say { device, tab, pick } => {
                let Some(tab) = self.usable(device, tab) else { return };
                let ids = self.people();
                let Some((id, code)) = ids.get(pick % ids.len().max(1)).cloned() else { return };
                if self.row(tab, "people", &id).is_some() {
                    let word = self.word(tab, &id, code);
                    let add = json!({"/words": [format!("w{word}")]});
                    self.write_of(tab, word, json!({"op": "patch", "c": "people", "id": id, "add": add}));
                }
            }
            _ => {}
        }
    }

    fn word(&mut self, tab: usize, id: &str, code: usize) -> usize {
        let word = Word { tab, id: id.to_owned(), code, state: State::Provisional, at_us: self.now_us };
        self.oracle.words.push(word);
        self.oracle.words.len() - 1
    }

    fn write_of(&mut self, tab: usize, word: usize, op: Value) {
        let (before, id) = (self.tabs[tab].writes.len(), self.oracle.words[word].id.clone());
        self.write(tab, false, vec![op], vec![Effect::Word(word)]);
        // Whoever takes back what he wrote takes back something else: a person stays.
        self.tabs[tab].writes.truncate(before);
        let row = self.row(tab, "people", &id);
        if self.oracle.words[word].state != State::Failed && !row.as_ref().is_some_and(|row| has(row, word)) {
            self.fail(4, format!("tab {tab} said w{word} of {id} and reads {row:?}"));
        }
    }

    /// Every id under which somebody made a person, with the code.
    pub(crate) fn people(&self) -> Vec<(String, usize)> {
        let mut ids: Vec<(String, usize)> = Vec::new();
        for Word { id, code, .. } in &self.oracle.words {
            if !ids.iter().any(|(known, _)| known == id) {
                ids.push((id.clone(), *code));
            }
        }
        ids
    }

    /// What must hold of people when all is at rest.
    pub(crate) fn check_people(&mut self) {
        let mut known = Known::new();
        for (id, code) in self.people() {
            if let Some(row) = self.server.entity("people", &id).filter(|row| !row.stored.deleted) {
                known.entry(code).or_default().push((id, row.stored.doc.clone()));
            }
        }
        if let Some((code, twice)) = known.iter().find(|(_, rows)| rows.len() > 1) {
            return self.fail(9, format!("{} people have code {code}: {twice:?}", twice.len()));
        }
        let only = |code: usize| known.get(&code).and_then(|rows| rows.first());
        let tabs: Vec<usize> = (0..self.devices.len()).flat_map(|device| self.ready_tabs(device)).collect();
        // Whose maker's store was wiped, and whom the server lost by its restore, is waited for.
        let held: Vec<String> = tabs.iter().flat_map(|tab| self.held_ids(*tab)).collect();
        for (number, word) in self.oracle.words.iter().enumerate() {
            let is_there = only(word.code).is_some_and(|(_, doc)| has(doc, number)) || held.contains(&word.id);
            if word.state == State::Durable && !is_there {
                let what = format!("w{number} was said of {}, and is not in {:?}", word.id, only(word.code));
                return self.fail(1, what);
            }
        }
        for tab in tabs {
            for (id, code) in self.people().into_iter().filter(|(id, _)| !held.contains(id)) {
                let row = self.row(tab, "people", &id);
                let shown = row.as_ref().and_then(|row| row.get("id")?.as_str());
                let is = only(code).map(|(id, _)| id.as_str());
                if shown != is && (shown.is_some() || self.was_told_of(tab, &id)) {
                    return self.fail(9, format!("tab {tab} shows {id} as {shown:?}, which is {is:?}"));
                }
            }
        }
    }
}

impl World {
    /// Whether the device of a tab made a person under this id, and has forgotten nothing.
    fn was_told_of(&self, tab: usize, id: &str) -> bool {
        let device = self.tabs[tab].device;
        let made = |word: &Word| self.tabs[word.tab].device == device && word.state == State::Durable && word.id == id;
        let mut words = self.oracle.words.iter();
        // The first word of an id made it.
        let is_ours = words.find(|word| word.id == id).is_some_and(made);
        is_ours && ["wiped", "restored"].iter().all(|what| self.labels.count(what) == 0)
    }
}

fn has(doc: &Value, word: usize) -> bool {
    let said = format!("w{word}");
    let words = doc.get("words").and_then(Value::as_array).into_iter().flatten();
    words.into_iter().any(|one| one.as_str() == Some(&said))
}
