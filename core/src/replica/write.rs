//! The app's writes: visible at once as provisional, in the log with the next append, named by its key.
//!
//! All un-awaited writes of one tick share an append, and one append of the user's is in flight at a time (rule 4).
//! If one cannot be stored, the later ones of this tab fail with it: they may build on it.

use crate::ids::{CollectionName, EntityId, MutationId};
use crate::io::{Now, StoreError};
use crate::json;
use crate::limits::RECORD_BYTES;
use crate::log::record::{Call, Discard, Record};
use crate::model::edit::Edit;
use crate::planted::Bug;
use crate::replica::Replica;
use crate::replica::group::{edits_of, frame_of, record_of};
use crate::replica::op::Op;
use crate::replica::refused::{RefusedWrites, reason};
use crate::small::SmallMap;
use crate::store::commit::ReadCommit;
use crate::table::Table;
use crate::view::Seen;

/// Writes remembered for `undo`, and records for verdict events.
const REMEMBERED_MAX: usize = 10_000;

/// One call of the app, or a part of a large one.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) id: u64,
    pub(crate) edits: Vec<Edit>,
    /// What it does to local fields: in the record, and in no push.
    pub(crate) locals: Vec<Edit>,
    pub(crate) atomic: bool,
    pub(super) call: Option<Call>,
    /// A large call that is no transaction is split: the index of this part's first edit in it.
    offset: usize,
    /// The record that it is, where it is more than edits: then it shares no record.
    pub(super) record: Option<Record>,
}

/// A call that is being taken in: what it has come to so far is shown, and is not yet on its way to the log.
#[derive(Debug)]
pub(crate) struct Draft {
    id: u64,
    pub(crate) edits: Vec<Edit>,
    pub(crate) locals: Vec<Edit>,
    /// What takes each of them back.
    undo: Vec<Op>,
    /// What the author of the last one saw, where somebody may ask for it.
    pub(crate) seen: Option<Seen>,
}

/// An edit that is not in the log yet.
#[derive(Debug)]
struct Provisional {
    /// The call, and which of its edits.
    write: u64,
    index: usize,
    edit: Edit,
}

/// Edits of one call that stand side by side in a record.
#[derive(Debug)]
pub(super) struct Run {
    write: u64,
    offset: usize,
    first: usize,
    len: usize,
}

/// What is written and not yet folded, and what is remembered of what was.
#[derive(Debug, Default)]
pub struct Writes {
    next_id: u64,
    /// Waiting for an append.
    pub(crate) waiting: Vec<Write>,
    /// In the append that is in flight, by record.
    in_flight: Vec<Vec<Write>>,
    /// Complete, by log key; folded when that key is.
    pub(super) complete: SmallMap<u64, Vec<Write>>,
    /// Provisional edits by entity, in order.
    overlay: SmallMap<CollectionName, Table<EntityId, Vec<Provisional>>>,
    /// What stands in this tab's own records, by log key.
    pub(super) names: SmallMap<u64, Vec<Run>>,
    /// The inverse of a write, as operations.
    undo: SmallMap<u64, Vec<Op>>,
    /// Parts of a call that are not folded yet.
    parts: SmallMap<u64, usize>,
    /// What there was no room for.
    pub(crate) refused: RefusedWrites,
    /// Calls that were folded since the last look.
    durable: Vec<u64>,
}

impl Writes {
    /// Begins a call.
    pub(crate) fn draft(&mut self) -> Draft {
        self.next_id += 1;
        Draft { id: self.next_id, edits: Vec::new(), locals: Vec::new(), undo: Vec::new(), seen: None }
    }

    /// One edit more of a call: it is visible from now on.
    pub(crate) fn show(&mut self, draft: &mut Draft, edit: Edit, undo: Option<Op>) {
        let edits = if edit.collection.is_local() { &mut draft.locals } else { &mut draft.edits };
        let shown = Provisional { write: draft.id, index: edits.len(), edit: edit.clone() };
        let list = self.overlay.or_default(edit.collection.clone()).or_default(edit.id.clone());
        // Most entities have one: room for that, not for four.
        list.reserve_exact(1);
        list.push(shown);
        edits.push(edit);
        draft.undo.extend(undo);
    }

    /// The call is refused: nothing of it is shown any more.
    pub(crate) fn drop_draft(&mut self, draft: Draft) {
        self.forget(&Write { locals: draft.locals, ..Write::of(draft.id, draft.edits) });
    }

    /// The call goes to the log with the next append.
    pub(crate) fn add(&mut self, draft: Draft, atomic: bool, call: Option<Call>) -> u64 {
        let Draft { id, edits, locals, mut undo, seen: _ } = draft;
        if !undo.is_empty() {
            undo.reverse();
            self.undo.insert(id, undo);
        }
        while self.undo.len() > REMEMBERED_MAX {
            self.undo.pop_first();
        }
        self.enqueue(Write { atomic, call, locals, ..Write::of(id, edits) });
        id
    }

    /// As [`add`](Self::add), in a record that holds these edits and more.
    pub(crate) fn add_record(&mut self, record: Record, draft: Draft) -> u64 {
        self.parts.insert(draft.id, 1);
        self.add_saved(record, draft)
    }

    /// What was saved from a store that was lost, or was given up: nobody awaits it, and it is nowhere else.
    pub(crate) fn add_saved(&mut self, record: Record, draft: Draft) -> u64 {
        let id = draft.id;
        self.waiting.push(Write { record: Some(record), locals: draft.locals, ..Write::of(id, draft.edits) });
        id
    }

    /// Splits what is no transaction, so that no record grows large.
    fn enqueue(&mut self, write: Write) {
        let Write { id, edits, locals, atomic, call, .. } = write;
        let (mut bytes, mut parts) = (0, 1);
        let new = |offset| Write { atomic, call, offset, ..Write::of(id, Vec::new()) };
        let mut part = new(0);
        let shared = edits.len();
        for (at, edit) in edits.into_iter().chain(locals).enumerate() {
            let size = edit.raw.get().len();
            let offset = if at < shared { at } else { at - shared };
            // A part has edits or local edits: both are counted from its offset.
            if !atomic && bytes > 0 && (bytes + size > RECORD_BYTES || at == shared && parts > 1) {
                parts += 1;
                self.waiting.push(std::mem::replace(&mut part, new(offset)));
                bytes = 0;
            }
            bytes += size;
            if at < shared { part.edits.push(edit) } else { part.locals.push(edit) }
        }
        self.waiting.push(part);
        self.parts.insert(id, parts);
    }

    /// The provisional edits on an entity, in order.
    pub(crate) fn on<'a>(
        &'a self,
        collection: &CollectionName,
        id: &EntityId,
    ) -> impl Iterator<Item = &'a Edit> + use<'a> {
        let list = self.overlay.get(collection.as_str()).and_then(|table| table.get(id.as_str()));
        list.into_iter().flatten().map(|provisional| &provisional.edit)
    }

    /// Shows the entities of a collection that exist only provisionally, or differ so.
    pub(crate) fn each<'a>(&'a self, collection: &CollectionName, then: &mut dyn FnMut(&'a EntityId)) {
        if let Some(table) = self.overlay.get(collection.as_str()) {
            table.each(&mut |id, _| then(id));
        }
    }

    /// The entities with provisional edits.
    pub(crate) fn shown(&self) -> Vec<(CollectionName, EntityId)> {
        self.unfolded().flat_map(Write::all).map(Edit::target).collect()
    }

    /// Whether anything is not in the log yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.overlay.values().all(Table::is_empty)
    }

    /// Writes that are not in the log yet.
    pub(crate) fn unfolded(&self) -> impl Iterator<Item = &Write> {
        self.complete.values().chain(&self.in_flight).flatten().chain(&self.waiting)
    }

    /// How many edits are not in the log yet.
    pub(crate) fn count(&self) -> usize {
        self.unfolded().map(|write| write.edits.len()).sum()
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

    /// Whether somebody waits for one of them.
    pub(crate) fn is_awaited(&self) -> bool {
        self.is_waiting() && !self.waiting.iter().all(|write| self.is_saved(write))
    }

    fn is_saved(&self, write: &Write) -> bool {
        write.record.is_some() && !self.parts.contains_key(&write.id)
    }

    /// The write and index behind a number, if this tab wrote it.
    pub(crate) fn of(&self, n: MutationId) -> Option<(u64, usize)> {
        let index = n.1 as usize;
        let run = self.names.get(&n.0)?.iter().find(|run| (run.first..run.first + run.len).contains(&index))?;
        Some((run.write, run.offset + index - run.first))
    }

    /// The inverse of a write.
    pub(crate) fn take_undo(&mut self, id: u64) -> Option<Vec<Op>> {
        self.undo.remove(&id)
    }

    /// Of how many edits the one record is that is being stored; none if there are several, or it is no commit.
    pub(crate) fn edits_in_flight(&self) -> Option<usize> {
        let [group] = &self.in_flight[..] else { return None };
        group.iter().all(|write| write.record.is_none()).then(|| group.iter().map(|write| write.edits.len()).sum())
    }

    /// Whether edits of this tab's own stand in that record, which the view shows already.
    pub(crate) fn are_in(&self, key: u64) -> bool {
        self.complete.get(&key).is_some_and(|group| group.iter().any(|write| write.all().next().is_some()))
    }

    /// What the user gave up that is in the log and not folded.
    pub(crate) fn given_up(&self) -> Vec<Discard> {
        let records = self.complete.values().flatten().filter_map(|write| write.record.as_ref());
        records
            .filter_map(|record| if let Record::Discard(discard) = record { Some(discard.clone()) } else { None })
            .collect()
    }

    /// What this tab knows of a record of its own edits that is about to be folded.
    pub(crate) fn commit_at(&self, key: u64) -> Option<ReadCommit> {
        let group = self.complete.get(&key)?;
        if group.iter().any(|write| write.record.is_some()) {
            return None;
        }
        let (tx, call) = frame_of(group);
        Some(ReadCommit { edits: edits_of(group).cloned().collect(), tx, call })
    }

    fn forget(&mut self, write: &Write) {
        for (index, edit) in (write.offset..).zip(&write.edits).chain((write.offset..).zip(&write.locals)) {
            let Some(table) = self.overlay.get_mut(edit.collection.as_str()) else { continue };
            let Some(list) = table.get_mut(edit.id.as_str()) else { continue };
            list.retain(|known| (known.write, known.index) != (write.id, index));
            if list.is_empty() {
                table.remove(edit.id.as_str());
            }
        }
    }
}

impl Write {
    fn of(id: u64, edits: Vec<Edit>) -> Self {
        Self { id, edits, locals: Vec::new(), atomic: false, call: None, offset: 0, record: None }
    }

    /// All of it.
    fn all(&self) -> impl Iterator<Item = &Edit> {
        self.edits.iter().chain(&self.locals)
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
            let size: usize = write.all().map(|edit| edit.raw.get().len()).sum();
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
        for (key, group) in (first_key..).zip(std::mem::take(&mut self.writes.in_flight)) {
            let mut runs: Vec<Run> = Vec::new();
            for Write { id, offset, edits, .. } in &group {
                let first = runs.last().map_or(0, |run| run.first + run.len);
                runs.push(Run { write: *id, offset: *offset, first, len: edits.len() });
            }
            self.writes.names.insert(key, runs);
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
            let Some(left) = self.writes.parts.get_mut(&write.id) else { continue };
            *left -= 1;
            if *left == 0 {
                self.writes.parts.remove(&write.id);
                self.writes.durable.push(write.id);
            }
        }
    }

    /// Resolves the writes that are complete and folded (rule 2).
    pub(crate) fn durable_writes(&mut self) {
        for write in std::mem::take(&mut self.writes.durable) {
            self.event(json!({"type": "durable", "write": write}));
        }
    }

    /// The store went away under the append: its writes wait for the next one (rule 2).
    pub(crate) fn keep_writes(&mut self) {
        self.writes.waiting = self.writes.take_unwritten();
    }

    /// The append failed: its writes and everything written after them are taken back. What was saved from a store that
    /// was lost goes on waiting: it is nowhere else.
    pub(crate) fn fail_writes(&mut self, now: Now, error: StoreError) {
        let mut touched = Vec::new();
        let unwritten = self.writes.take_unwritten();
        let is_saved = |write: &Write| error != StoreError::FormatNewer && self.writes.is_saved(write);
        let (saved, mut failed) = unwritten.into_iter().partition(is_saved);
        self.writes.waiting = saved;
        if error == StoreError::Quota && self.writes.is_waiting() {
            self.back_off(now);
        }
        if error == StoreError::FormatNewer {
            // What landed behind `Moved`: the next open of the new database finds it.
            failed.extend(std::mem::take(&mut self.writes.complete).into_iter().flat_map(|(_, group)| group));
        }
        for write in failed {
            self.writes.forget(&write);
            touched.extend(write.all().map(|edit| edit.target()));
            if self.writes.parts.remove(&write.id).is_some() {
                let retryable = error != StoreError::FormatNewer;
                let error = json!({"code": error.code(), "message": reason(error), "retryable": retryable});
                let kind = if Bug::FailedKept.is_planted() { "durable" } else { "write-failed" };
                self.event(json!({"type": kind, "write": write.id, "error": error}));
            }
            // Of other failures it is not known whether the write is in the log after all.
            if error == StoreError::Quota && write.record.is_none() {
                let Write { id, atomic, edits, locals, .. } = write;
                // The two halves of one edit are tried again together.
                let atomic = atomic || edits.len() == 1 && !locals.is_empty();
                self.writes.refused.keep(id, atomic, edits.into_iter().chain(locals).collect());
            }
        }
        self.queue_moved();
        for (collection, id) in touched {
            self.touch(&collection, &id, false);
        }
    }
}
