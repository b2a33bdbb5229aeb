//! What was written before anybody signed in moves to the store of its user. The face carries it: it has both stores
//! open, and each step is durable before the next begins.
//!
//! ```text
//! nobody's  claim ─► claimed ─┐             ┌─► claim{done}
//! the user's                  └─► adopt ────┘
//! ```
//!
//! Whatever was interrupted is found by `claimed` again; `store::adopt` sees to it that nothing counts twice. What a
//! store that was lost had not got through goes into the new one the same way.

use crate::error::CoreError;
use crate::ids::{MutationId, ReplicaId};
use crate::json;
use crate::json::{Fields, Raw, Value};
use crate::limits::RECORD_BYTES;
use crate::log::record::{Adopt, Claim, Record};
use crate::model::edit::Edit;
use crate::model::former::Former;
use crate::replica::Replica;
use crate::store::adopt::{is_nobodys, mark_of};
use crate::store::state::{Entry, Reason, Status};

/// One step.
#[derive(Debug)]
pub enum Adoption {
    /// What waits here is a user's from now on, or given up; or what was claimed is in their store. A write.
    Claim(Claim),
    /// What is claimed for a user, and how many edits nobody has claimed.
    Claimed(String),
    /// What [`Adoption::Claimed`] said, in the user's store. A write, unless it is known.
    Adopt(Vec<Adopt>),
}

impl Adoption {
    /// Reads a command.
    ///
    /// # Errors
    /// `bad-message`, and those of what is in it.
    pub fn read(fields: &Fields<'_>) -> Result<Self, CoreError> {
        Ok(match fields.text("do")? {
            "claim" => Self::Claim(Claim::read(fields)?),
            "claimed" => Self::Claimed(fields.text("to")?.to_owned()),
            _ => Self::Adopt(fields.list("records", |record| {
                let fields = Fields::of(record)?;
                Adopt::read(&fields, fields.list("mutations", |m| Ok(Raw::trusted(json::write_text(m))))?)
            })?),
        })
    }
}

impl Replica {
    /// Carries out a step; its answer names the write to wait for.
    ///
    /// # Errors
    /// Those of an edit that cannot be read.
    pub(crate) fn adoption(&mut self, step: Adoption) -> Result<Value, CoreError> {
        match step {
            Adoption::Claimed(to) => Ok(self.claimed(mark_of(&to))),
            Adoption::Adopt(records) => self.adopt(records),
            Adoption::Claim(Claim { done: None, .. }) if self.unclaimed() == 0 => Ok(json!({})),
            Adoption::Claim(record) => Ok({
                let draft = self.writes.draft();
                json!({"write": self.writes.add_record(Record::Claim(record), draft)})
            }),
        }
    }

    fn unclaimed(&self) -> usize {
        let free = self.state.queue.values().filter(|entry| entry.status == Status::Queued).count();
        if is_nobodys(&self.state) { free } else { 0 }
    }

    fn claimed(&self, mark: u64) -> Value {
        let adopted = self.adoptable(&|entry| entry.status == Status::Claimed(mark), None);
        let done = adopted.last().and_then(|(record, _)| record.from.last().copied());
        let mut records: Vec<Adopt> = adopted.into_iter().map(|(record, _)| record).collect();
        for record in &mut records {
            self.add_local(record);
        }
        json!({"pending": self.unclaimed(), "done": done, "records": records})
    }

    /// Queued edits as records of bounded size for another store; a transaction stays whole. Beside each record what it
    /// shows. `replaced`: for the one in its place, where claims stand and dead letters are kept. Up to that
    /// key its log was read. What stands behind has the id beside it for its source: others may adopt what is between.
    pub(crate) fn adoptable(
        &self,
        takes: &dyn Fn(&Entry) -> bool,
        replaced: Option<(u64, &ReplicaId)>,
    ) -> Vec<(Adopt, Vec<Edit>)> {
        let (read, apart) = replaced.unzip();
        let replaced = read.is_some();
        let queue = self.state.queue.iter().filter(|(_, entry)| takes(entry));
        let mut all: Vec<(MutationId, &Edit, Option<&Entry>, Option<&Reason>)> =
            queue.map(|(n, entry)| (*n, &entry.edit, Some(entry), None)).collect();
        let letters = self.state.letters.iter().filter(|_| replaced);
        all.extend(letters.map(|(n, letter)| (*n, &letter.edit, None, Some(&letter.reason))));
        all.sort_unstable_by_key(|(n, ..)| *n);
        let mut records: Vec<(Adopt, Vec<Edit>)> = Vec::new();
        let (mut bytes, mut tx, mut kind) = (0, None, (false, None, false));
        for (n, edit, entry, reason) in all {
            let Some(source) = self.state.replica.clone() else { break };
            let claimed = match entry.map(|entry| entry.status) {
                Some(Status::Claimed(mark)) if replaced => Some(mark),
                _ => None,
            };
            let is_behind = read.is_some_and(|read| n.0 > read);
            let next = (reason.is_some(), claimed, is_behind);
            let member = entry.and_then(|entry| entry.tx);
            let same = member.is_some() && member == tx;
            bytes += edit.raw.get().len();
            if records.is_empty() || kind != next || !same && bytes > RECORD_BYTES {
                bytes = edit.raw.get().len();
                let history = self.state.history().filter(|_| replaced).cloned();
                let named = apart.filter(|_| is_behind).unwrap_or(&source).clone();
                records.push((Adopt { history, ..Adopt::of(named, claimed) }, Vec::new()));
            }
            (tx, kind) = (member, next);
            let Some((record, shown)) = records.last_mut() else { break };
            let index = record.from.len() as u32;
            match record.tx.last_mut() {
                Some((_, len)) if same => *len += 1,
                _ if member.is_some() => record.tx.push((index, 1)),
                _ => {}
            }
            record.old.extend(entry.filter(|entry| entry.old).map(|_| u64::from(index)));
            record.reasons.extend(reason.cloned());
            record.from.push(n);
            // What was sent from a store that is lost may have arrived.
            let is_plain = reason.is_none() && claimed.is_none();
            let former = (is_plain && replaced).then(|| Former { replica: source.clone(), n });
            record.mutations.push(former.map_or_else(|| edit.raw.clone(), |former| former.name(&edit.raw)));
            shown.extend(Some(edit).filter(|_| is_plain).cloned());
        }
        records
    }

    /// What only this device has of these entities goes with them.
    fn add_local(&self, record: &mut Adopt) {
        let edits = record.mutations.iter().filter_map(|raw| Edit::read(raw.clone()).ok());
        let mut targets: Vec<_> = edits.map(|edit| edit.target()).collect();
        targets.sort_unstable();
        targets.dedup();
        let Some(last) = record.from.last().copied() else { return };
        for (collection, id) in targets {
            if let Some(edit) = self.local_row(&collection.local(), &id) {
                record.from.push(last);
                record.mutations.push(edit.raw.clone());
            }
        }
    }

    fn adopt(&mut self, records: Vec<Adopt>) -> Result<Value, CoreError> {
        let mut answer = json!({});
        for record in records {
            let known = self.state.adopted.get(&record.source).copied().unwrap_or_default();
            if record.from.last().is_none_or(|last| *last <= known) {
                continue;
            }
            let mut draft = self.writes.draft();
            for raw in &record.mutations {
                let edit = Edit::read(raw.clone())?;
                self.state.hlc = self.state.hlc.max(edit.at);
                self.touch(&edit.collection, &edit.id, false);
                self.writes.show(&mut draft, edit, None);
            }
            answer = json!({"write": self.writes.add_record(Record::Adopt(record), draft)});
        }
        Ok(answer)
    }
}
