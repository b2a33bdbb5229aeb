//! One record onto the state. Every tab folds the same records, so tabs agree by construction.
//!
//! Only `Changes` move a confirmed document (rule 1); a record of an older leader has no effect (rule 3).

use crate::json::json;

use crate::error::CoreError;
use crate::ids::{CONFLICTS, EntityId, MutationId, Rev};
use crate::log::record::{Acks, Changes, Coalesce, Record};
use crate::model::change::Change;
use crate::model::cursor::Cursor;
use crate::model::edit::Edit;
use crate::model::verdict::Verdict;
use crate::planted::Bug;
use crate::store::commit::{ReadCommit, fold_commit};
use crate::store::effects::Effects;
use crate::store::state::{Confirmed, EntityTables, Entry, Letter, Reason, Staged, State, Status};
use crate::store::{adopt, aliases, conflicts, discard, evict, forget, journal, local, seal};

/// Folds one record that stands at `key`.
///
/// # Errors
/// `bad-json` and the like if a mutation in it cannot be read; the state is unchanged but for `last`.
pub fn fold(state: &mut State, key: u64, record: Record, bytes: usize) -> Result<Effects, CoreError> {
    arrived(state, key, bytes);
    let mut effects = Effects::default();
    if record.fence().is_some_and(|fence| fence < state.fence) && !Bug::OldFenceFolded.is_planted() {
        return Ok(effects);
    }
    if matches!(record, Record::Commit(_) | Record::Coalesce(_) | Record::Discard(_) | Record::Acks(_)) {
        state.queue_version += 1;
    }
    match record {
        Record::Commit(commit) => fold_commit(state, key, ReadCommit::of(commit)?, None, &mut effects),
        // It may have been written for another store, and found this one in its place.
        Record::Sent(sent) => {
            let through = whole(state, sent.through.min(MutationId(key, 0)));
            state.sent_through = state.sent_through.max(through);
        }
        Record::Acks(acks) => fold_acks(state, key, acks, &mut effects),
        Record::Changes(changes) => fold_changes(state, key, *changes, &mut effects),
        Record::Replica(replica) => {
            // Only a fork gives a store that has an id another one.
            state.replica.get_or_insert(replica.id);
            state.owner = replica.owner;
        }
        Record::Lead => state.fence = key,
        Record::Moved => state.moved = true,
        Record::Sealed(_) => {
            // What was staged is not in the segments: the pull goes on from the cursor that is shown.
            state.staged = Staged::default();
            seal::sealed(state);
            effects.sealed = true;
        }
        other => fold_rare(state, key, other, &mut effects)?,
    }
    debug_assert!(state.is_decided_below(), "an undecided mutation would be overlooked");
    Ok(effects)
}

#[inline(never)]
fn fold_rare(state: &mut State, key: u64, record: Record, effects: &mut Effects) -> Result<(), CoreError> {
    match record {
        Record::Coalesce(coalesce) => fold_coalesce(state, key, coalesce, effects)?,
        Record::Discard(record) => discard::discard(state, key, &record, effects),
        Record::Fork(fork) => {
            adopt::rename(state, key, fork.id);
            effects.forked = true;
        }
        Record::Claim(record) => adopt::claim(state, key, &record, effects),
        Record::Adopt(record) => adopt::adopt(state, key, record, effects)?,
        Record::Evict(record) => evict::evict(state, key, record, effects),
        Record::Fetched(record) => evict::fetched(state, key, *record, effects),
        Record::Used(record) => evict::used(state, &record),
        Record::Replicate(record) => (state.partial, state.partial_at) = (record.collections, record.at),
        // The others did not come here.
        _ => {}
    }
    Ok(())
}

pub(super) fn arrived(state: &mut State, key: u64, bytes: usize) {
    state.last = key;
    state.unsealed.records += 1;
    state.unsealed.bytes += bytes;
}

/// The last member of the transaction that a number belongs to. A tab notes that what it writes is sent under the
/// number that this will probably have: another tab's transaction may have that.
fn whole(state: &State, n: MutationId) -> MutationId {
    let Some(tx) = state.queue.get(&n).and_then(|entry| entry.tx) else { return n };
    let members = state.queue.from(&tx).take_while(|(_, entry)| entry.tx == Some(tx));
    members.last().map_or(n, |(last, _)| *last)
}

/// With nothing absorbed: an edit of an older version of the schema became one of this.
fn fold_coalesce(state: &mut State, key: u64, coalesce: Coalesce, effects: &mut Effects) -> Result<(), CoreError> {
    let is_free = |n: &MutationId| {
        (!state.was_sent(*n) || Bug::CoalesceAfterSent.is_planted())
            && state.queue.get(n).is_some_and(|e| e.status == Status::Queued)
    };
    if !coalesce.absorbed.iter().chain([&coalesce.survivor]).all(is_free) {
        return Ok(());
    }
    let edit = state.stand_in(Edit::read(coalesce.m)?);
    if coalesce.absorbed.is_empty() {
        effects.touched.push(edit.target());
    }
    for n in coalesce.absorbed {
        void(state, key, n);
    }
    if let Some(entry) = state.queue.get_mut(&coalesce.survivor) {
        entry.edit = edit;
        entry.position = key;
        state.dirty.mutations.push(coalesce.survivor);
    }
    Ok(())
}

/// The mutation no longer shows, and its number goes up as `void`.
pub(super) fn void(state: &mut State, key: u64, n: MutationId) {
    let Some(entry) = state.queue.get_mut(&n) else { return };
    entry.status = Status::Void;
    entry.position = key;
    let edit = entry.edit.clone();
    state.decided_below = state.decided_below.min(n);
    state.dirty.mutations.push(n);
    state.hide(n, &edit);
}

#[inline(never)]
fn fold_acks(state: &mut State, key: u64, acks: Acks, effects: &mut Effects) {
    if !journal::is_of_this_history(state, acks.history) {
        return;
    }
    for item in acks.verdicts {
        if item.verdict.is_remap() {
            aliases::learn(state, key, &item, effects);
        }
        let Some(entry) = state.queue.get_mut(&item.n) else { continue };
        effects.touched.push(entry.edit.target());
        state.dirty.mutations.push(item.n);
        match &item.verdict {
            Verdict::Applied { rev } => settle(state, key, item.n, *rev, acks.at),
            Verdict::Merged { rev, overwritten, .. } | Verdict::Conflict { rev, overwritten, .. } => {
                let waits = matches!(item.verdict, Verdict::Conflict { .. });
                if waits || !overwritten.is_empty() {
                    met(&entry.edit, &item.verdict, effects);
                }
                settle(state, key, item.n, *rev, acks.at);
            }
            Verdict::Rejected { code, path, message } => {
                let reason = Reason { code: *code, path: path.clone(), message: message.clone(), at: acks.at };
                reject(state, key, item.n, reason);
                effects.rejected.push(item.n);
            }
            Verdict::Held { reason } => {
                let since = match entry.status {
                    Status::Held { since, .. } => since,
                    _ => acks.at,
                };
                entry.status = Status::Held { reason: *reason, since };
                entry.position = key;
                state.decided_below = state.decided_below.min(item.n);
                if Bug::HeldTakenForDone.is_planted() {
                    state.unqueue(item.n);
                }
            }
            Verdict::Void => {
                state.unqueue(item.n);
            }
        }
        effects.verdicts.push(item);
    }
    state.decided_below = state.floor();
    journal::prune(state, acks.at);
}

/// Values of the edit met concurrent ones.
#[inline(never)]
fn met(edit: &Edit, verdict: &Verdict, effects: &mut Effects) {
    if let Verdict::Merged { overwritten, .. } | Verdict::Conflict { overwritten, .. } = verdict {
        effects.meet(&edit.collection, &edit.id, "overwritten", json!(overwritten));
    }
    if let Verdict::Conflict { parked, .. } = verdict {
        effects.meet(&edit.collection, &edit.id, "open", json!(parked));
    }
}

fn settle(state: &mut State, key: u64, n: MutationId, rev: u64, at: u64) {
    let data = (&state.entities, !state.loaded.is_empty());
    let both = state.cursor.as_ref().zip(state.queue.get(&n));
    let shown = both.is_some_and(|(cursor, entry)| is_in_view(cursor, data, &entry.edit, rev));
    let void = state.queue.get(&n).is_some_and(|entry| entry.status == Status::Void);
    if shown || void || Bug::AckMovesConfirmed.is_planted() {
        if let Some(entry) = state.unqueue(n) {
            journal::keep(state, n, &entry, at);
        }
    } else if let Some(entry) = state.queue.get_mut(&n) {
        entry.status = Status::Settled(rev);
        entry.acked = at;
        entry.position = key;
    }
}

fn reject(state: &mut State, key: u64, n: MutationId, reason: Reason) {
    let kept = state.unqueue(n).filter(|_| !Bug::RejectedForgotten.is_planted());
    if let Some(Entry { edit, .. }) = kept {
        state.letters.insert(n, Letter { edit, reason, position: key });
    }
}

#[inline(never)]
fn fold_changes(state: &mut State, key: u64, mut changes: Changes, effects: &mut Effects) {
    effects.remote = true;
    state.staged.step.extend(changes.rows.drain(..).map(|row| (key, row)));
    let Some(cursor) = changes.cursor.take() else { return };
    let step = std::mem::take(&mut state.staged.step);
    if let Some(settings) = changes.settings.take() {
        state.settings = settings;
        effects.settings = true;
        // They decide what an edit that waits shows.
        effects.touched.extend(state.queue.values().map(|entry| entry.edit.target()));
    }
    if changes.reset {
        // It sends everything again: what an interrupted pull had staged may be gone since.
        if !Bug::ResetKeepsStaged.is_planted() {
            state.staged.rows.clear();
        }
        state.staged.reset = true;
    }
    if !changes.forget_groups.is_empty() || !changes.forget_collections.is_empty() {
        forget::staged(&mut state.staged, &mut changes);
    }
    state.staged.reread.append(&mut changes.reread);
    if !changes.staged {
        // Shown at once: what an interrupted pull had staged is read again from the cursor that is shown.
        state.staged.rows.clear();
    }
    state.staged.rows.extend(step);
    if changes.staged && !changes.done && !Bug::StagedShownEarly.is_planted() {
        state.staged.cursor = Some(cursor);
        return;
    }
    let staged = std::mem::take(&mut state.staged);
    let gone = effects.touched.len();
    if changes.done && (staged.reset || !staged.reread.is_empty()) && !Bug::ResetKeepsRows.is_planted() {
        forget::all_but(state, key, &staged, effects);
    }
    let gone = effects.touched.get(gone..).unwrap_or_default().to_vec();
    effects.reset = changes.done && staged.reset;
    if journal::may_be_lost(state, &cursor, effects.reset) {
        effects.requeued = true;
        effects.touched.append(&mut journal::requeue(state, key));
    }
    for (collection, id) in gone {
        if state.entity(collection.as_str(), id.as_str()).is_none() {
            local::drop(state, &collection, &id);
        }
    }
    if !staged.forget_groups.is_empty() || !staged.forget_collections.is_empty() {
        forget::left(state, key, &staged, effects);
    }
    for (position, row) in staged.rows {
        confirm(state, position, changes.at, row, effects);
    }
    show(state, cursor, changes.done, effects);
}

/// Whether the view that stands at a cursor has what took effect at a revision. A first pull shows rows before it is
/// whole, and one that changed again comes later. Of collections that are not in its scope no pull tells: they are
/// asked for one by one.
fn is_in_view(cursor: &Cursor, (entities, whole): (&EntityTables, bool), edit: &Edit, rev: Rev) -> bool {
    let entity = || entities.get(edit.collection.as_str()).and_then(|table| table.get(edit.id.as_str()));
    let has_come = || entity().and_then(|entity| entity.confirmed.as_ref()).is_some_and(|row| row.rev >= rev);
    rev <= cursor.seq && cursor.scope.collections.contains(&edit.collection) && (whole || has_come())
}

/// The view moves to a cursor: settled mutations below it are now in the confirmed documents.
fn show(state: &mut State, cursor: Cursor, done: bool, effects: &mut Effects) {
    let (entities, whole) = (&state.entities, done || !state.loaded.is_empty());
    let is_shown = |entry: &Entry, rev: Rev| is_in_view(&cursor, (entities, whole), &entry.edit, rev);
    let is_in = |entry: &Entry| matches!(entry.status, Status::Settled(rev) if is_shown(entry, rev));
    for (n, entry) in state.queue.take(&mut |_, entry| is_in(entry)) {
        state.unqueued(n, &entry);
        journal::keep(state, n, &entry, entry.acked);
        effects.echoed.push(entry.edit.target());
    }
    if done {
        effects.pulled = true;
        for collection in &cursor.scope.collections {
            if !state.loaded.insert(collection.clone(), ()) && !collection.is_conflicts() {
                effects.loaded.push(collection.clone());
            }
        }
    }
    state.loaded.retain(|collection, ()| cursor.scope.collections.contains(collection));
    state.cursor = Some(cursor);
}

/// `came`: when, by the device's clock.
pub(super) fn confirm(state: &mut State, position: u64, came: u64, row: Change, effects: &mut Effects) {
    if row.evicted {
        return evict::left(state, position, row, effects);
    }
    let Change { id, c, rev, at, g, doc, by, .. } = row;
    let is_echo = by.is_some() && by == state.replica;
    if is_echo && Bug::EchoDropped.is_planted() {
        return;
    }
    let entity = state.entities.or_default(c.clone()).or_default(id.clone());
    // An entity seen twice is harmless, an older one is dropped.
    let is_older = entity.confirmed.as_ref().is_some_and(|confirmed| rev < confirmed.rev);
    if is_older && !Bug::OlderRowWins.is_planted() {
        return;
    }
    entity.position = position;
    let is_hidden = doc.is_none() && g.is_empty();
    let is_gone = doc.is_none();
    // What is settled by this goes into the journal when nothing is known of the entity any more.
    for n in entity.pending.iter().filter(|_| is_gone) {
        if let Some(entry) = state.queue.get_mut(n) {
            entry.buried.clone_from(&g);
        }
    }
    // What others change is not used by that.
    let used = entity.confirmed.as_ref().map_or(0, |before| before.used);
    let used = if used == 0 { came } else { used };
    let fresh = doc.map(|doc| Confirmed { rev, at, used, groups: g, doc });
    let before = std::mem::replace(&mut entity.confirmed, fresh);
    let moved = if is_echo { &mut effects.echoed } else { &mut effects.touched };
    if c.is_conflicts() {
        confirm_conflict(state, &id, before, is_echo, effects);
    } else {
        moved.push((c.clone(), id.clone()));
        if is_hidden {
            conflicts::blind(state, position, &c, &id);
        }
    }
    state.drop_if_empty(&c, &id);
    if is_gone && !local::is_made_again(state, &c, &id, rev) {
        local::drop(state, &c, &id);
    }
    state.dirty.entities.push((c, id));
}

#[inline(never)]
fn confirm_conflict(state: &State, id: &EntityId, before: Option<Confirmed>, is_echo: bool, effects: &mut Effects) {
    let before = before.and_then(|row| conflicts::read(row.doc.get()));
    let entity = state.entities.get(CONFLICTS).and_then(|table| table.get(id.as_str()));
    let after = entity.and_then(|entity| entity.confirmed.as_ref()).and_then(|row| conflicts::read(row.doc.get()));
    // What the app sees of it is the entity that it is about.
    let moved = if is_echo { &mut effects.echoed } else { &mut effects.touched };
    moved.extend(after.as_ref().or(before.as_ref()).and_then(conflicts::target));
    let is_news = !is_echo && !effects.reset && state.loaded.contains_key(CONFLICTS);
    if let Some(conflict) = after.filter(|_| is_news) {
        effects.meet_conflict(before.as_ref(), conflict);
    }
}
