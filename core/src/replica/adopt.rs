//! What was written before anybody signed in moves to the store of its user. The face carries it: it has both stores
//! open, and each step is durable before the next begins.
//!
//! ```text
//! nobody's  claim ─► claimed ─┐             ┌─► adopted
//! the user's                  └─► adopt ────┘
//! ```
//!
//! Whatever was interrupted is found by `claimed` again; `store::adopt` sees to it that nothing counts twice.

use crate::error::CoreError;
use crate::ids::{MutationId, ReplicaId};
use crate::json;
use crate::json::{Fields, Raw, Value};
use crate::limits::RECORD_BYTES;
use crate::log::record::{Adopt, Claim, Record};
use crate::model::mutation::Mutation;
use crate::replica::Replica;
use crate::store::adopt::{is_nobodys, mark_of};
use crate::store::state::Status;

/// One step.
#[derive(Debug)]
pub enum Adoption {
    /// What waits here is this user's from now on, or given up. A write.
    Claim {
        /// The user.
        to: Option<String>,
    },
    /// What is claimed for a user, and how many edits nobody has claimed.
    Claimed {
        /// The user.
        to: String,
    },
    /// What [`Adoption::Claimed`] said, in the user's store. A write, unless it is known.
    Adopt {
        /// The store that it comes from.
        source: ReplicaId,
        /// The edits.
        items: Vec<Item>,
    },
    /// It is durable there. A write.
    Adopted {
        /// The user.
        to: String,
        /// The last one that is.
        done: MutationId,
    },
}

/// An edit on its way.
#[derive(Debug)]
pub struct Item {
    n: MutationId,
    tx: Option<MutationId>,
    mutation: Mutation,
}

impl Adoption {
    /// Reads a command.
    ///
    /// # Errors
    /// `bad-message`, and those of what is in it.
    pub fn read(fields: &Fields<'_>) -> Result<Self, CoreError> {
        let to = || fields.text("to").map(str::to_owned);
        Ok(match fields.text("do")? {
            "claim" => Self::Claim { to: fields.opt("to", json::text)?.map(str::to_owned) },
            "claimed" => Self::Claimed { to: to()? },
            "adopt" => Self::Adopt {
                source: ReplicaId::read(fields.need("source")?)?,
                items: fields.list("items", Item::read)?,
            },
            _ => Self::Adopted { to: to()?, done: MutationId::read(fields.need("done")?)? },
        })
    }
}

impl Item {
    fn read(value: &Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        Ok(Self {
            n: MutationId::read(fields.need("n")?)?,
            tx: fields.opt("tx", MutationId::read)?,
            mutation: Mutation::read(fields.need("m")?)?,
        })
    }
}

impl Replica {
    /// Carries out a step; its answer names the write to wait for.
    pub(crate) fn adoption(&mut self, step: Adoption) -> Value {
        let record = match step {
            Adoption::Claimed { to } => return self.claimed(mark_of(&to)),
            Adoption::Adopt { source, items } => return self.adopt(&source, items),
            Adoption::Claim { .. } if self.unclaimed() == 0 => return json!({}),
            Adoption::Claim { to } => Claim { to, done: None },
            Adoption::Adopted { to, done } => Claim { to: Some(to), done: Some(done) },
        };
        json!({"write": self.writes.add_record(Record::Claim(record), Vec::new())})
    }

    fn unclaimed(&self) -> usize {
        let free = self.state.queue.values().filter(|entry| entry.status == Status::Queued).count();
        if is_nobodys(&self.state) { free } else { 0 }
    }

    fn claimed(&self, mark: u64) -> Value {
        let claimed = self.state.queue.iter().filter(|(_, entry)| entry.status == Status::Claimed(mark));
        let items = claimed.map(|(n, entry)| json!({"n": n, "tx": entry.tx, "m": entry.raw}));
        json!({"pending": self.unclaimed(), "source": self.state.replica, "items": items.collect::<Vec<_>>()})
    }

    /// As new mutations of this store, in records of bounded size; a transaction stays whole.
    fn adopt(&mut self, source: &ReplicaId, items: Vec<Item>) -> Value {
        let known = self.state.adopted.get(source).copied().unwrap_or_default();
        let empty = || Adopt { source: source.clone(), from: Vec::new(), mutations: Vec::new(), tx: Vec::new() };
        let (mut records, mut record, mut held) = (Vec::new(), empty(), Vec::new());
        let (mut bytes, mut tx) = (0, None);
        for item in items.into_iter().filter(|item| item.n > known) {
            let raw = Raw::trusted(json::to_text(&item.mutation));
            let same = item.tx.is_some() && item.tx == tx;
            if !same && bytes + raw.get().len() > RECORD_BYTES && bytes > 0 {
                records.push((std::mem::replace(&mut record, empty()), std::mem::take(&mut held)));
                bytes = 0;
            }
            tx = item.tx;
            bytes += raw.get().len();
            match record.tx.last_mut() {
                Some((_, len)) if same => *len += 1,
                _ if tx.is_some() => record.tx.push((u32::try_from(held.len()).unwrap_or(u32::MAX), 1)),
                _ => {}
            }
            record.from.push(item.n);
            record.mutations.push(raw);
            held.push(item.mutation);
        }
        records.push((record, held));
        let mut answer = json!({});
        for (record, mutations) in records.into_iter().filter(|(record, _)| !record.from.is_empty()) {
            for mutation in &mutations {
                self.state.hlc = self.state.hlc.max(mutation.at);
                self.touch(&mutation.collection, &mutation.id, false);
            }
            answer = json!({"write": self.writes.add_record(Record::Adopt(record), mutations)});
        }
        answer
    }
}
