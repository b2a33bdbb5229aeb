//! Mutations that the server acknowledged, kept for some days: a server that was restored from a backup may not know
//! them, and then they go up again with their numbers (rule 24). What it does know it answers as a duplicate.

use crate::ids::{CollectionName, EntityId, Group, MutationId};
use crate::json::Raw;
use crate::limits::{JOURNAL_BYTES_MAX, JOURNAL_MS};
use crate::model::cursor::Cursor;
use crate::model::edit::Edit;
use crate::model::mutation::Mutation;
use crate::planted::Bug;
use crate::store::aliases;
use crate::store::state::{Entry, Staged, State, Status};

/// An acknowledged mutation.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The bytes that travelled.
    pub raw: Raw,
    /// The first member of its transaction.
    pub tx: Option<MutationId>,
    /// Its `base_rev` is of another history.
    pub old: bool,
    /// When it was acknowledged, by the device's clock.
    pub at: u64,
    /// Through which groups its entity was seen then, or when it was deleted.
    pub groups: Vec<Group>,
    /// The log key that put it here.
    pub position: u64,
}

/// Keeps what has just left the queue because it took effect.
pub(super) fn keep(state: &mut State, n: MutationId, entry: &Entry, at: u64) {
    if entry.status != Status::Void && !Bug::NoJournal.is_planted() {
        let entity = state.entity(entry.edit.collection.as_str(), entry.edit.id.as_str());
        let seen = entity.and_then(|entity| entity.confirmed.as_ref()).map(|confirmed| confirmed.groups.clone());
        let groups = seen.unwrap_or_else(|| entry.buried.clone());
        let kept = Kept { raw: entry.edit.raw.clone(), tx: entry.tx, old: entry.old, at, groups, position: state.last };
        state.journal.insert(n, kept);
    }
}

/// Drops what is too old, and the first of what is too much; of a transaction all or nothing.
pub(super) fn prune(state: &mut State, now_ms: u64) {
    let mut bytes: usize = state.journal.values().map(|kept| kept.raw.get().len()).sum();
    // Down to three quarters at once: it is one walk over all of it.
    let most = if bytes > JOURNAL_BYTES_MAX { JOURNAL_BYTES_MAX / 4 * 3 } else { JOURNAL_BYTES_MAX };
    let (journal, dirty) = (&mut state.journal, &mut state.dirty.mutations);
    let mut dropped = None;
    journal.retain(|n, kept| {
        let stays = kept.at + JOURNAL_MS >= now_ms && bytes <= most && (kept.tx.is_none() || kept.tx != dropped);
        if !stays {
            bytes -= kept.raw.get().len();
            dropped = kept.tx;
            dirty.push(*n);
        }
        stays
    });
}

/// Drops the edits of entities that were erased here: they tell what the reader may no longer see (rule 28). Of an
/// entity that was deleted before, they stay as long as the reader has one of the groups that it had.
pub(super) fn forget(state: &mut State, key: u64, staged: &Staged, erased: &[(CollectionName, EntityId)]) {
    let mut journal = std::mem::take(&mut state.journal);
    journal.retain(|n, kept| {
        let before = kept.groups.len();
        kept.groups.retain(|group| !staged.forget_groups.contains(group));
        let stays = Edit::read(kept.raw.clone()).map(|edit| state.stand_in(edit)).is_ok_and(|edit| {
            let is_known = state.entity(edit.collection.as_str(), edit.id.as_str()).is_some();
            let is_erased = erased.binary_search(&edit.target()).is_ok();
            is_known || !is_erased && !kept.groups.is_empty() && !staged.forget_collections.contains(&edit.collection)
        });
        if !stays || before != kept.groups.len() {
            kept.position = key;
            state.dirty.mutations.push(*n);
        }
        stays
    });
    state.journal = journal;
}

/// Whether verdicts are of the server's present history: an answer of before it was restored may come when the new one
/// is there. None: they were made here.
pub(super) fn is_of_this_history(state: &mut State, history: Option<String>) -> bool {
    match &state.cursor {
        Some(cursor) => Bug::VerdictsOfAnyHistory.is_planted() || history.is_none_or(|of| of == cursor.history),
        None => {
            state.verdicts_of = state.verdicts_of.take().or(history);
            true
        }
    }
}

/// Whether the server that the view moves to may not know what was acknowledged: it has another history, or does not
/// know a cursor though the policy is the same, so that a backup was restored.
pub(super) fn may_be_lost(state: &State, cursor: &Cursor, is_reset: bool) -> bool {
    match &state.cursor {
        Some(_) if Bug::JournalStays.is_planted() => false,
        Some(before) => is_reset && (before.history != cursor.history || before.scope.policy == cursor.scope.policy),
        None => state.verdicts_of.as_ref().is_some_and(|known| *known != cursor.history),
    }
}

/// The server has another history: all that is kept goes into the queue again, and what is there is not decided any
/// more. A revision of the old history says nothing in the new one: it counts as 0, and `was` decides.
#[inline(never)]
pub(super) fn requeue(state: &mut State, key: u64) -> Vec<(CollectionName, EntityId)> {
    state.decided_below = MutationId::default();
    aliases::forget(state, key);
    for (n, kept) in std::mem::take(&mut state.journal) {
        let Kept { raw, tx, .. } = kept;
        let Ok(edit) = Edit::read(raw) else { continue };
        let pending = &mut state.entity_mut(&edit.collection, &edit.id).pending;
        pending.push(n);
        pending.sort_unstable();
        state.queue.insert(
            n,
            Entry { edit, tx, status: Status::Queued, position: key, old: true, acked: 0, buried: Vec::new() },
        );
    }
    let mut touched = Vec::new();
    for (n, entry) in state.queue.iter_mut() {
        if let Status::Settled(_) = entry.status {
            entry.status = Status::Queued;
        }
        if !Bug::OldBaseKept.is_planted() {
            entry.old = true;
            entry.edit = entry.edit.rebased();
        }
        entry.position = key;
        state.dirty.mutations.push(*n);
        touched.push(entry.edit.target());
    }
    for (n, letter) in state.letters.iter_mut() {
        let edit = letter.edit.rebased();
        letter.edit = edit.whole().map_or(edit, |mutation| Edit::of(Mutation::clone(&mutation)));
        letter.position = key;
        state.dirty.mutations.push(*n);
    }
    state.queue_version += 1;
    touched
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    /// Of two rows of one number in segments the one with the higher position holds.
    #[test]
    fn what_the_journal_knows_of_groups_that_were_left_outlives_the_row_that_knew_more() {
        let raw = Raw::parse(r#"{"c":"deals","id":"1","kind":"delete","base":1,"at":[9,0]}"#).unwrap();
        let groups: Vec<Group> = ["team:a", "team:b"].map(|name| Group::parse(name).unwrap()).into();
        let n = MutationId(3, 0);
        let mut state = State::default();
        state.journal.insert(n, Kept { raw, tx: None, old: false, at: 0, groups: groups.clone(), position: 4 });
        let leave = |group: &Group| Staged { forget_groups: vec![group.clone()], ..Staged::default() };
        forget(&mut state, 9, &leave(&groups[0]), &[]);
        let kept = state.journal.get(&n).unwrap();
        assert_eq!((&kept.groups[..], kept.position), (&groups[1..], 9));
        forget(&mut state, 10, &leave(&groups[1]), &[]);
        assert!(state.journal.get(&n).is_none());
    }
}
