//! What users decide: conflicts that wait for them, and edits that the server refused, which they try again or give up.

use tidewire_core::json;
use tidewire_core::json::Value;

use crate::causal::tokens_in;
use crate::oracle::{Effect, State, Token};
use crate::releases::first_path;
use crate::users::{put, token_in};
use crate::wishes::is_wish_of;
use crate::world::World;

impl World {
    /// The oldest refused edit of a tab, again or not at all.
    pub(crate) fn settle_letter(&mut self, tab: usize, again: bool) {
        let queue = self.view(tab, "queue");
        let letters: Vec<&Value> = queue.get("failed").and_then(Value::as_array).into_iter().flatten().collect();
        let Some(letter) = letters.iter().find(|one| collection(one) == Some("notes")).and_then(|one| one.get("n"))
        else {
            return;
        };
        // Members of a transaction stand in one record, and go together.
        let is_of_it = |one: &&&Value| one.get("n").is_some_and(|n| record(n) == record(letter));
        let of_it = || letters.iter().filter(is_of_it);
        let wishes = of_it().flat_map(|one| self.wishes_in(tab, one)).filter(|_| !again);
        let tokens: Vec<u32> = of_it().flat_map(|one| tokens_in(one)).chain(wishes).collect();
        let command = json::write_text(&json!({"do": if again { "retry" } else { "discard" }, "n": letter}));
        let now = self.clocks(self.tabs[tab].device);
        if self.tabs[tab].engine.command(now, &command).is_err() {
            return;
        }
        self.remark(|| format!("tab {tab} does {command}"));
        self.drain(tab);
        self.labels.see(if again { "tried again" } else { "given up" });
        for token in tokens {
            let Some(token) = self.oracle.tokens.get_mut(token as usize) else { continue };
            self.oracle.turned.insert(token.id.clone());
            token.taken_back |= !again;
            if again && token.state == State::Failed {
                // There was no room for it; now there may be.
                token.state = State::Unknown;
            }
            if again && token.is_insert {
                self.oracle.made.push((token.id.clone(), self.now_us));
            }
        }
    }

    /// The deletion, or the removals of fields, in a refused edit of this tab's device.
    fn wishes_in(&self, tab: usize, letter: &Value) -> Vec<u32> {
        let device = self.tabs[tab].device;
        let is_it = |token: &Token| self.tabs[token.tab].device == device && is_wish_of(letter, token);
        let all = self.oracle.tokens.iter().enumerate().filter(|(_, token)| is_it(token));
        all.map(|(number, _)| number as u32).collect()
    }

    /// The first conflict that waits: mine, or what stands.
    pub(crate) fn decide(&mut self, device: usize, tab: usize, mine: bool) {
        let Some(tab) = self.usable(device, tab) else { return };
        let conflicts = self.view(tab, "conflicts");
        let open = |one: &&Value| one.get("state").and_then(Value::as_str) == Some("open");
        let Some(one) = conflicts.as_array().into_iter().flatten().find(open) else { return };
        let text = |key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (id, entity, path, collection) = (text("id"), text("e"), first_path(&text("path")), text("c"));
        let Some(row) = self.row(tab, &collection, &entity) else { return };
        let (yours, kept) = (one.get("yours"), one.get("kept"));
        let yours_token = yours.and_then(token_in);
        let mut op = json!({"op": "patch", "c": collection, "id": entity, "resolves": [id]});
        let mut effects: Vec<Effect> = yours_token.map(Effect::Back).into_iter().collect();
        match (mine, yours) {
            (true, Some(value)) => {
                let mut set = json!({});
                put(&mut set, &path, value.clone());
                put(&mut op, "set", set);
                // He sees what stands, or that somebody removed it.
                let mut seen = match kept {
                    Some(kept) => token_in(kept).into_iter().collect(),
                    None => self.oracle.removals(&entity, &path),
                };
                // ... and what he has written there himself meanwhile.
                seen.extend(
                    row.get(path.trim_start_matches('/')).and_then(token_in).filter(|own| Some(*own) != yours_token),
                );
                for (seen, yours) in seen.into_iter().zip(token_in(value).into_iter().cycle()) {
                    self.oracle.tokens[seen as usize].replaced_by.push(yours);
                }
            }
            (true, None) => {
                if let Some(seen) = kept.and_then(token_in) {
                    let removal = self.oracle.token(tab, "notes", &entity, &format!("-{path}"), &[seen]);
                    effects.push(Effect::Token(removal));
                }
                put(&mut op, "unset", json!([path]));
            }
            (false, yours) => {
                if let Some(given_up) = yours.and_then(token_in) {
                    self.oracle.tokens[given_up as usize].taken_back = true;
                }
            }
        }
        self.labels.see("conflict decided");
        self.oracle.turned.insert(entity);
        self.write(tab, false, vec![op], effects);
    }
}

fn collection(letter: &Value) -> Option<&str> {
    letter.get("collection")?.as_str()
}

/// The log key of a number.
fn record(n: &Value) -> Option<u64> {
    n.as_array()?.first()?.as_u64()
}
