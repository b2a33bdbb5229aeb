//! What a tab shows goes forward, and of two values that did not know of each other the later one stands.
//!
//! What users took back, decided or deleted is theirs to turn round: such notes are passed over.

use std::collections::BTreeSet;

use tidewire_core::json::Value;
use tidewire_core::model::schema::Strategy;

use crate::oracle::{State, Token, token_of};
use crate::releases::{first_path, name_in, stored_in};
use crate::users::{FIELDS, token_in};
use crate::world::World;

/// So much the order of two moments may be mistaken for: a device's clock is compared with the server's once for each
/// push, which takes its time.
const MISTAKEN_US: u64 = 1_000_000;
/// ... and goes wrong by a twentieth until then.
const DRIFTED_US: u64 = 6_000_000;

impl World {
    /// Invariant 4: no tab shows again what it has shown somebody write over.
    pub(crate) fn check_forward(&mut self, tab: usize, ids: &[String]) {
        let mut back = Vec::new();
        for id in ids {
            let Some(text) = self.text(tab, "notes", id) else { continue };
            for field in FIELDS {
                if self.may_show_older(tab, field) {
                    continue;
                }
                let Some(now) = token_of_field(&text, name_in(field, self.tabs[tab].version)) else { continue };
                let before = self.tabs[tab].shown.insert((id.clone(), field), now);
                back.extend(before.filter(|before| self.oracle.is_written_over_by(now, *before)).map(|old| (now, old)));
            }
        }
        let is_turned =
            ["restored", "pruned", "cloned", "wiped", "cleared"].iter().any(|what| self.labels.count(what) > 0);
        let is_asked = |(now, before): &(u32, u32)| {
            let [now, before] = [now, before].map(|number| &self.oracle.tokens[*number as usize]);
            let stands = matches!(before.state, State::Durable | State::Provisional);
            stands && !now.taken_back && !before.taken_back && !self.oracle.turned.contains(&before.id)
        };
        back.retain(is_asked);
        if back.is_empty() || is_turned {
            return;
        }
        // Where one of its writes was refused the server does not know what the next one was written over.
        let refused = self.waiting_tokens(tab);
        let place = |number: &u32| {
            let Token { id, path, .. } = &self.oracle.tokens[*number as usize];
            (id, path)
        };
        let is_refused = |before: &u32| refused.iter().any(|token| place(token) == place(before));
        if let Some((now, before)) = back.iter().find(|(_, before)| !is_refused(before)) {
            let Token { id, path, .. } = &self.oracle.tokens[*before as usize];
            let what = format!("tab {tab} showed t{before} in {id}{path}, and then t{now}, which that wrote over");
            self.fail(4, what);
        }
    }

    /// The tokens that a device keeps in its queue: they wait, or were refused.
    pub(crate) fn waiting_tokens(&self, tab: usize) -> BTreeSet<u32> {
        tokens_in(&self.view(tab, "queue"))
    }

    /// Those of all devices.
    pub(crate) fn all_waiting_tokens(&self) -> BTreeSet<u32> {
        let alive = (0..self.tabs.len()).filter(|tab| self.tabs[*tab].alive);
        alive.flat_map(|tab| self.waiting_tokens(tab)).collect()
    }

    /// Invariant 14: under last-write-wins the latest of those that nobody wrote over stands, by the time that really
    /// was.
    pub(crate) fn check_last(&mut self) {
        let is_other = ["restored", "clock jumped", "cloned", "wiped"].iter().any(|what| self.labels.count(what) > 0);
        if self.setup.strategy != Strategy::LastWriteWins || is_other {
            return;
        }
        let is_exact = self.setup.devices.iter().all(|device| device.drift_ppm == 0);
        let mistaken_us = if is_exact { MISTAKEN_US } else { DRIFTED_US };
        // A request that comes a second time, so much later, seems to have been sent then (`network.rs`).
        let again_us = if self.setup.rates.request_twice > 0 { 20 * (500 + self.setup.delays.network_us) } else { 0 };
        let mistaken_us = mistaken_us + again_us;
        let waiting = self.all_waiting_tokens();
        let late = self.oracle.tokens.iter().enumerate().find_map(|(number, token)| {
            let is_asked = token.state == State::Durable && token.replaced_by.is_empty() && !token.taken_back;
            if !is_asked || waiting.contains(&(number as u32)) || self.oracle.turned.contains(&token.id) {
                return None;
            }
            let field = FIELDS.into_iter().find(|field| token.path.strip_prefix('/') == Some(field))?;
            let row = self.server.entity("notes", &token.id).filter(|row| !row.stored.deleted)?;
            let stands = stored_in(&row.stored.doc, field).and_then(token_in)?;
            let standing = &self.oracle.tokens[stands as usize];
            // Who saw nothing there, and finds nothing there, does not count as concurrent (rule 13).
            (!standing.over_nothing && token.at_us > standing.at_us + mistaken_us).then(|| {
                let by_ms = (token.at_us - standing.at_us) / 1_000;
                format!("t{number} was written to {}/{field} {by_ms} ms after t{stands}, which stands", token.id)
            })
        });
        if let Some(what) = late {
            self.fail(14, what);
        }
    }

    /// Rules 17 and 18: under `manual` nobody loses but by a decision, and what waits for one author in one place is
    /// one conflict.
    pub(crate) fn check_manual(&mut self) {
        if self.setup.strategy != Strategy::Manual {
            return;
        }
        let mut open = BTreeSet::new();
        let mut wrong = None;
        for conflict in self.server.conflicts() {
            let text = |key: &str| conflict.get(key).and_then(Value::as_str).unwrap_or_default();
            let (entity, path, subject) = (text("e"), first_path(text("path")), text("subject"));
            if !FIELDS.iter().any(|field| path.strip_prefix('/') == Some(field)) {
                continue;
            }
            if text("state") == "open" && !open.insert((entity, path.clone(), subject)) {
                wrong = Some(format!("two conflicts of {subject} wait in {entity}{path}"));
            }
            let lost = conflict.get("yours").and_then(token_in).filter(|_| text("state") == "lost");
            if let (Some(lost), Some(kept)) = (lost, conflict.get("kept").and_then(token_in))
                && !self.oracle.turned.contains(entity)
                && !self.is_of_one_user(lost, kept)
            {
                wrong = Some(format!("t{lost} in {entity}{path} lost to t{kept}, and nobody had decided so"));
            }
        }
        if let Some(what) = wrong {
            self.fail(7, what);
        }
    }

    fn is_of_one_user(&self, one: u32, other: u32) -> bool {
        let user = |number: u32| {
            let tab = self.oracle.tokens.get(number as usize)?.tab;
            Some(self.devices[self.tabs.get(tab)?.device].user)
        };
        user(one) == user(other)
    }

    /// Invariant 6: of a transaction that was refused, or waits, nothing took effect.
    pub(crate) fn check_whole(&mut self) {
        let waiting = self.all_waiting_tokens();
        let mut there = BTreeSet::new();
        for ((collection, _), row) in &self.server.store.entities {
            if collection.as_str() == "notes" && !row.stored.deleted {
                crate::checkers::collect(&row.stored.doc, &mut there);
            }
        }
        let is_turned = |token: &u32| self.oracle.turned.contains(&self.oracle.tokens[*token as usize].id);
        let parts = self.oracle.pairs.iter().filter(|pair| !pair.iter().any(is_turned)).find(|pair| {
            let waits = pair.iter().any(|token| waiting.contains(token) && !there.contains(token));
            waits && pair.iter().any(|token| there.contains(token) && !waiting.contains(token))
        });
        if let Some(parts) = parts.filter(|_| self.labels.count("cloned") == 0) {
            self.fail(6, format!("of the transaction that wrote {parts:?} a part waits, and a part took effect"));
        }
    }
}

/// The tokens anywhere in a value.
pub(crate) fn tokens_in(value: &Value) -> BTreeSet<u32> {
    let mut tokens = BTreeSet::new();
    crate::checkers::collect(value, &mut tokens);
    tokens
}

/// The token of a field, from the text of a row: it is asked after every change.
fn token_of_field(row: &str, field: &str) -> Option<u32> {
    let (_, behind) = row.split_once(&format!("\"{field}\":\""))?;
    token_of(behind.split('"').next()?)
}
