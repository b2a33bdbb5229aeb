//! The app's writes: visible at once as provisional, in the log with the next append, named by its key.
//!
//! All un-awaited writes of one tick share an append, and one append of the user's is in flight at a time (rule 4).
//! If one cannot be stored, the later ones of this tab fail with it: they may build on it.

use std::rc::Rc;

use crate::ids::{CollectionName, EntityId, MutationId};
use crate::io::StoreError;
use crate::json;
use crate::json::Raw;
use crate::limits::RECORD_BYTES;
use crate::log::record::{Call, Commit, Record};
use crate::model::mutation::Mutation;
use crate::replica::Replica;
use crate::replica::op::Op;
use crate::replica::refused::RefusedWrites;
use crate::replica::tabs::MOVED;
use crate::small::SmallMap;
use crate::store::commit::ReadCommit;
use crate::store::state::{Entry, Status};
use crate::table::Table;

/// Writes remembered for `undo` and for verdict events.
const REMEMBERED_MAX: usize = 10_000;

/// One call of the app.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) id: u64,
    pub(crate) mutations: Vec<Rc<Mutation>>,
    pub(crate) raw: Vec<Raw>,
    pub(crate) atomic: bool,
    call: Option<Call>,
    /// A large call that is no transaction is split: the index of this part's first mutation in it.
    offset: usize,
    /// Its numbers, once its append is complete.
    numbers: Vec<MutationId>,
    /// The record that it is, where it is more than edits: then it shares no record.
    record: Option<Record>,
}

impl Write {
    fn new(id: u64, atomic: bool, offset: usize) -> Self {
        Self {
            id,
            mutations: Vec::new(),
            raw: Vec::new(),
            atomic,
            call: None,
            offset,
            numbers: Vec::new(),
            record: None,
        }
    }
}

/// A mutation that is not in the log yet.
#[derive(Debug)]
struct Provisional {
    /// The call, and which of its mutations.
    write: u64,
    index: usize,
    mutation: Rc<Mutation>,
}

/// What is written and not yet folded, and what is remembered of what was.
#[derive(Debug, Default)]
pub struct Writes {
    next_id: u64,
    /// Waiting for an append.
    waiting: Vec<Write>,
    /// In the append that is in flight, by record.
    in_flight: Vec<Vec<Write>>,
    /// Complete, by log key; folded when that key is.
    complete: SmallMap<u64, Vec<Write>>,
    /// Provisional mutations by entity, in order.
    overlay: SmallMap<CollectionName, Table<EntityId, Vec<Provisional>>>,
    /// The write and the index behind a number, for this tab's own.
    names: SmallMap<MutationId, (u64, usize)>,
    /// The inverse of a write, as operations.
    undo: SmallMap<u64, Vec<Op>>,
    /// Parts of a call that are not folded yet, and the numbers of those that are.
    parts: SmallMap<u64, (usize, Vec<MutationId>)>,
    /// What there was no room for.
    pub(crate) refused: RefusedWrites,
    /// Calls that were folded since the last look.
    durable: Vec<(u64, Vec<MutationId>)>,
}

impl Writes {
    /// Takes in a write; it is visible from now on.
    pub(crate) fn add(
        &mut self,
        mutations: Vec<Rc<Mutation>>,
        raw: Vec<Raw>,
        atomic: bool,
        call: Option<Call>,
        undo: Vec<Op>,
    ) -> u64 {
        let id = self.show(&mutations);
        if !undo.is_empty() {
            self.undo.insert(id, undo);
        }
        while self.undo.len() > REMEMBERED_MAX {
            self.undo.pop_first();
        }
        self.enqueue(id, mutations, raw, atomic, call);
        id
    }

    /// Takes in a record that holds these mutations and more.
    pub(crate) fn add_record(&mut self, record: Record, mutations: Vec<Rc<Mutation>>) -> u64 {
        let id = self.show(&mutations);
        self.waiting.push(Write { mutations, record: Some(record), ..Write::new(id, false, 0) });
        self.parts.insert(id, (1, Vec::new()));
        id
    }

    /// Shows mutations as those of a new write.
    fn show(&mut self, mutations: &[Rc<Mutation>]) -> u64 {
        self.next_id += 1;
        let id = self.next_id;
        for (index, mutation) in mutations.iter().enumerate() {
            let table = self.overlay.or_default(mutation.collection.clone());
            let provisional = Provisional { write: id, index, mutation: mutation.clone() };
            table.or_default(mutation.id.clone()).push(provisional);
        }
        id
    }

    /// Splits what is no transaction, so that no record grows large.
    fn enqueue(&mut self, id: u64, mutations: Vec<Rc<Mutation>>, raw: Vec<Raw>, atomic: bool, call: Option<Call>) {
        let (mut offset, mut bytes, mut parts) = (0, 0, 0);
        let new = |offset| Write { call, ..Write::new(id, atomic, offset) };
        let mut part = new(offset);
        for (mutation, raw) in mutations.into_iter().zip(raw) {
            let size = raw.get().len();
            if !atomic && bytes > 0 && bytes + size > RECORD_BYTES {
                parts += 1;
                self.waiting.push(std::mem::replace(&mut part, new(offset)));
                bytes = 0;
            }
            bytes += size;
            offset += 1;
            part.mutations.push(mutation);
            part.raw.push(raw);
        }
        self.waiting.push(part);
        self.parts.insert(id, (parts + 1, Vec::new()));
    }

    /// The provisional mutations on an entity, in order.
    pub(crate) fn on<'a>(
        &'a self,
        collection: &CollectionName,
        id: &EntityId,
    ) -> impl Iterator<Item = &'a Mutation> + use<'a> {
        let list = self.overlay.get(collection.as_str()).and_then(|table| table.get(id.as_str()));
        list.into_iter().flatten().map(|provisional| &*provisional.mutation)
    }

    /// Shows the entities of a collection that exist only provisionally, or differ so.
    pub(crate) fn each<'a>(&'a self, collection: &CollectionName, then: &mut dyn FnMut(&'a EntityId)) {
        if let Some(table) = self.overlay.get(collection.as_str()) {
            table.each(&mut |id, _| then(id));
        }
    }

    /// Whether anything is not in the log yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.overlay.values().all(Table::is_empty)
    }

    /// Mutations that are not in the log yet.
    pub(crate) fn provisional(&self) -> Vec<(u64, &Mutation)> {
        let mut all = Vec::new();
        let mut groups: Vec<&Vec<Write>> = self.complete.values().collect();
        groups.extend(&self.in_flight);
        groups.push(&self.waiting);
        for group in groups {
            for write in group {
                all.extend(write.mutations.iter().map(|mutation| (write.id, &**mutation)));
            }
        }
        all
    }

    /// Everything that is not in the log, in order; nothing is left here.
    fn take_unwritten(&mut self) -> Vec<Write> {
        let mut all = Vec::new();
        for mut group in std::mem::take(&mut self.in_flight) {
            all.append(&mut group);
        }
        all.append(&mut self.waiting);
        all
    }

    /// Whether an append of the user's would be the next thing.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() && self.in_flight.is_empty()
    }

    /// The write and index behind a number, if this tab wrote it.
    pub(crate) fn of(&self, n: MutationId) -> Option<(u64, usize)> {
        self.names.get(&n).copied()
    }

    /// The inverse of a write.
    pub(crate) fn take_undo(&mut self, id: u64) -> Option<Vec<Op>> {
        self.undo.remove(&id)
    }

    /// Whether this tab's own writes stand in that record.
    pub(crate) fn are_in(&self, key: u64) -> bool {
        self.complete.contains_key(&key)
    }

    /// What this tab knows of a record of its own edits that is about to be folded.
    pub(crate) fn take_commit(&mut self, key: u64) -> Option<ReadCommit> {
        let group = self.complete.get_mut(&key)?;
        if group.iter().any(|write| write.record.is_some()) {
            return None;
        }
        let (tx, call) = frame_of(group);
        let mut mutations = Vec::new();
        for write in group {
            mutations.extend(write.mutations.iter().cloned().zip(std::mem::take(&mut write.raw)));
        }
        Some(ReadCommit { mutations, tx, call })
    }

    fn forget(&mut self, write: &Write) {
        for (index, mutation) in (write.offset..).zip(&write.mutations) {
            let Some(table) = self.overlay.get_mut(mutation.collection.as_str()) else { continue };
            let Some(list) = table.get_mut(mutation.id.as_str()) else { continue };
            list.retain(|known| (known.write, known.index) != (write.id, index));
            if list.is_empty() {
                table.remove(mutation.id.as_str());
            }
        }
    }
}

impl Replica {
    /// Everything that waits, as records of bounded size; a write that is a transaction stays whole.
    pub(crate) fn take_writes(&mut self) -> Option<Vec<Vec<u8>>> {
        if self.writes.waiting.is_empty() || !self.writes.in_flight.is_empty() {
            return None;
        }
        let mut records = Vec::new();
        let mut group: Vec<Write> = Vec::new();
        let mut bytes = 0;
        for write in std::mem::take(&mut self.writes.waiting) {
            let size: usize = write.raw.iter().map(|raw| raw.get().len()).sum();
            let alone = write.record.is_some() || group.last().is_some_and(|last| last.record.is_some());
            if !group.is_empty() && (alone || bytes + size > RECORD_BYTES) {
                records.push(record_of(&group));
                self.writes.in_flight.push(std::mem::take(&mut group));
                bytes = 0;
            }
            bytes += size;
            group.push(write);
        }
        records.push(record_of(&group));
        self.writes.in_flight.push(group);
        Some(records)
    }

    /// The append is complete: its records have keys, so its mutations have names.
    pub(crate) fn writes_have_keys(&mut self, first_key: u64) {
        for (key, mut group) in (first_key..).zip(std::mem::take(&mut self.writes.in_flight)) {
            let mut index = 0;
            for write in &mut group {
                for position in 0..write.mutations.len() {
                    let n = MutationId(key, index);
                    write.numbers.push(n);
                    self.writes.names.insert(n, (write.id, write.offset + position));
                    index += 1;
                }
            }
            self.writes.complete.insert(key, group);
        }
        while self.writes.names.len() > REMEMBERED_MAX {
            self.writes.names.pop_first();
        }
    }

    /// A record was folded: what it held of ours is no longer provisional.
    pub(crate) fn writes_folded(&mut self, key: u64) {
        for write in self.writes.complete.remove(&key).into_iter().flatten() {
            self.writes.forget(&write);
            let Some((left, numbers)) = self.writes.parts.get_mut(&write.id) else { continue };
            *left -= 1;
            numbers.extend(write.numbers);
            if *left == 0 {
                let (_, numbers) = self.writes.parts.remove(&write.id).unwrap_or_default();
                self.writes.durable.push((write.id, numbers));
            }
        }
    }

    /// Resolves the writes that are complete and folded (rule 2).
    pub(crate) fn durable_writes(&mut self) {
        for (write, n) in std::mem::take(&mut self.writes.durable) {
            self.event(json!({"type": "durable", "write": write, "n": n}));
        }
    }

    /// The store went away under the append: its writes wait for the next one (rule 2).
    pub(crate) fn keep_writes(&mut self) {
        self.writes.waiting = self.writes.take_unwritten();
    }

    /// The append failed: its writes and everything written after them are taken back.
    pub(crate) fn fail_writes(&mut self, error: StoreError) {
        let mut touched = Vec::new();
        let mut failed = self.writes.take_unwritten();
        if error == StoreError::FormatNewer {
            // What landed behind `Moved`: the next open of the new database finds it.
            failed.extend(std::mem::take(&mut self.writes.complete).into_iter().flat_map(|(_, group)| group));
        }
        for write in failed {
            self.writes.forget(&write);
            touched.extend(write.mutations.iter().map(|mutation| mutation.target()));
            let message = match error {
                StoreError::Quota => "the storage is full: free some space, then retry it from `db.sync.queue.failed`",
                StoreError::FormatNewer => MOVED,
                _ => "the browser's storage refused the write: it was taken back, write again",
            };
            if self.writes.parts.remove(&write.id).is_some() {
                let error =
                    json!({"code": error.code(), "message": message, "retryable": error != StoreError::FormatNewer});
                self.event(json!({"type": "write-failed", "write": write.id, "error": error}));
            }
            // Of other failures it is not known whether the write is in the log after all.
            if error == StoreError::Quota && write.record.is_none() {
                self.writes.refused.keep(write.id, write.atomic, write.mutations);
            }
        }
        self.queue_moved();
        for (collection, id) in touched {
            self.touch(&collection, &id, false);
        }
    }

    /// The store is new: what the old one had not got through is written again.
    pub(crate) fn rewrite_unsent(&mut self) {
        let queue = std::mem::take(&mut self.state.queue);
        let pending = queue
            .into_iter()
            .map(|(_, entry)| entry)
            .filter(|entry| matches!(entry.status, Status::Queued | Status::Held { .. }));
        let mut units: Vec<(Option<MutationId>, Vec<Entry>)> = Vec::new();
        for entry in pending {
            match units.last_mut() {
                Some((Some(tx), members)) if entry.tx == Some(*tx) => members.push(entry),
                _ => units.push((entry.tx, vec![entry])),
            }
        }
        let later = std::mem::take(&mut self.writes.waiting);
        for (tx, members) in units {
            let (mutations, raw) = members.into_iter().map(|entry| (entry.mutation, entry.raw)).unzip();
            self.writes.add(mutations, raw, tx.is_some(), None, Vec::new());
        }
        self.writes.waiting.extend(later);
    }
}

fn record_of(group: &[Write]) -> Vec<u8> {
    if let [Write { record: Some(record), .. }] = group {
        return record.encode();
    }
    let (tx, call) = frame_of(group);
    let mutations = group.iter().flat_map(|write| &write.raw).cloned().collect();
    Record::Commit(Commit { mutations, tx, call }).encode()
}

/// What a commit of these writes says beside their mutations: its transactions and its newest call.
fn frame_of(group: &[Write]) -> (Vec<(u32, u32)>, Option<Call>) {
    let number = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    let (mut tx, mut call, mut start) = (Vec::new(), None, 0);
    for write in group {
        call = write.call.or(call);
        let len = write.mutations.len();
        if write.atomic && len > 1 {
            tx.push((number(start), number(len)));
        }
        start += len;
    }
    (tx, call)
}
