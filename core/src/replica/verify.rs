//! Noticing that this device holds other data than the server, and healing it (rule 25).
//!
//! ```text
//! verifying pull ─► digests at `done` ─► equal
//!                                    └─► not ─► reread, staged, verified at its own `done` ─► equal: healed
//!                                                                                        └─► not: reported
//! ```
//!
//! Digests are compared when the fold stands at exactly the cursor that they were made at. A collection is read again
//! once per mismatch; if that does not help, it is said, and nothing more is done about it until it is equal again.
//! The queue has no part in any of this.

use crate::error::Code;
use crate::ids::CollectionName;
use crate::io::Now;
use crate::json::{Map, Once, Value, json};
use crate::limits::VERIFY_FIRST_MS;
use crate::model::cursor::Cursor;
use crate::model::digest::Digest;
use crate::planted::Bug;
use crate::replica::Replica;
use crate::replica::watch::STAYS;
use crate::store::state::State;
use crate::store::texts::visit;

/// What is known of the agreement with the server. Only the leader's counts.
#[derive(Debug, Default)]
pub struct Verifying {
    /// When to compare next, by the monotonic clock; `None` before the first complete pull.
    due_ms: Option<u64>,
    /// What the server has, and at which cursor.
    told: Option<(Cursor, Map)>,
    /// Collections that differ and are to be read again.
    healing: Vec<CollectionName>,
    /// Collections that differed after that, too.
    diverged: Vec<CollectionName>,
}

impl Verifying {
    /// Something stored was damaged: compare with the next pull.
    pub(crate) fn hurry(&mut self) {
        self.due_ms = Some(0);
    }

    /// A pull is complete.
    pub(crate) fn pulled(&mut self, now: Now, every_ms: u64, verified: bool) {
        if verified {
            self.due_ms = Some(now.mono_ms + every_ms);
        } else if self.due_ms.is_none() {
            self.due_ms = Some(now.mono_ms + every_ms.min(VERIFY_FIRST_MS));
        }
    }

    /// Whether the pull that begins now has to verify; if not, when.
    pub(crate) fn is_due(&self, now: Now) -> Result<(), Option<u64>> {
        if !self.healing.is_empty() || self.due_ms.is_some_and(|due| due <= now.mono_ms) {
            return Ok(());
        }
        Err(self.due_ms)
    }

    /// The server said what it has at a cursor to which records on their way lead. A backend that says nothing is not
    /// asked for more.
    pub(crate) fn told(&mut self, cursor: Cursor, digests: Map) {
        if digests.is_empty() {
            self.healing.clear();
        }
        self.told = Some((cursor, digests));
    }

    /// Those that are being read again.
    pub(crate) fn healing(&self) -> &[CollectionName] {
        &self.healing
    }

    pub(crate) fn diverged(&self) -> &[CollectionName] {
        &self.diverged
    }
}

impl Replica {
    /// Collections that the next pull has to bring whole. What is staged of one already stays.
    pub(crate) fn to_reread(&self) -> Vec<CollectionName> {
        let mut names = self.to_widen();
        names.extend(self.verifying.healing.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
        names.retain(|name| !self.state.staged.reread.contains(name));
        names
    }

    /// Compares, if the fold has come to where the digests were made.
    pub(crate) fn verify(&mut self, now: Now) {
        if !self.verifying.told.as_ref().is_some_and(|(cursor, _)| self.state.cursor.as_ref() == Some(cursor)) {
            return;
        }
        let Some((_, digests)) = self.verifying.told.take() else { return };
        let healing = std::mem::take(&mut self.verifying.healing);
        let names: Vec<CollectionName> = self.declared.keys().cloned().collect();
        for name in &names {
            let Some(theirs) = digests.get(name.as_str()).and_then(Value::as_str) else { continue };
            // Of a part there is nothing to compare with: what was given up is no damage.
            if self.state.partial.contains_key(name.as_str()) || self.config.replicate.contains_key(name.as_str()) {
                continue;
            }
            let is_equal = Bug::DivergenceIgnored.is_planted() || agrees(&self.state, name, theirs);
            let was_diverged = self.verifying.diverged.contains(name);
            if is_equal {
                self.verifying.diverged.retain(|diverged| diverged != name);
            } else if healing.contains(name) {
                self.verifying.diverged.push(name.clone());
                self.report(name);
            } else if !was_diverged {
                self.verifying.healing.push(name.clone());
                self.pulling.wanted = true;
                self.repaired(now, Code::Diverged, None, Some(name));
            }
        }
        self.event(json!({"type": "health"}));
    }

    fn report(&mut self, name: &CollectionName) {
        self.event(json!({"type": "watchdog", "code": Code::Diverged, "collection": name, "message": STAYS}));
    }
}

/// Whether what is confirmed here comes to a digest. Documents are the server's own bytes; only if those do not agree
/// is their canonical form made, for something on the way may have written them anew.
fn agrees(state: &State, name: &CollectionName, theirs: &str) -> bool {
    digest(state, name, Digest::add) == theirs || digest(state, name, Digest::add_canonical) == theirs
}

fn digest(state: &State, name: &CollectionName, add: fn(&mut Digest, &str, u64, &[u8])) -> String {
    let mut digest = Digest::default();
    if let Some(table) = state.entities.get(name) {
        let mut once = Once::default();
        visit(table, &mut |id, entity| {
            if let Some(confirmed) = &entity.confirmed {
                add(&mut digest, id.as_str(), confirmed.rev, once.get(&confirmed.doc).as_bytes());
            }
        });
    }
    digest.text()
}
