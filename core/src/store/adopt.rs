//! What was written before anybody signed in: claimed in the store of nobody, adopted in the store of its user. What a
//! store that was lost had not got through, and what was refused or claimed in it, is adopted by the one in its place.
//!
//! ```text
//! nobody's log    Claim{to} ─────────────────────────────► Claim{to, done}
//! the user's log              Adopt{source, from, …}
//! ```
//!
//! The fold decides both halves, so that any number of tabs may do this at once and stop at any point: an edit is the
//! first one's who claims it, and a store passes over what it has adopted before. Nothing is claimed that may have left
//! under a token: it is that token's user's. A store in the place of a lost one is the same user's, and adopts what may
//! have left, too: nobody knows any more whether it arrived, and under its new number it goes up again, with the name
//! that it had (`model::former`), so that it counts once.

use xxhash_rust::xxh64::xxh64;

use crate::error::CoreError;
use crate::ids::{MutationId, ReplicaId};
use crate::json::Raw;
use crate::log::record::{Adopt, Claim, Commit};
use crate::model::edit::Edit;
use crate::model::former::{self, Former};
use crate::planted::Bug;
use crate::store::commit::{Adopted, ReadCommit, fold_commit};
use crate::store::effects::Effects;
use crate::store::local;
use crate::store::state::{Entry, State, Status};

/// Stands for a user in `Status::Claimed`. 53 bits: a number that JSON keeps.
pub fn mark_of(user: &str) -> u64 {
    xxh64(user.as_bytes(), 0) >> 11
}

/// Whether nobody's token was ever used in this store.
pub fn is_nobodys(state: &State) -> bool {
    state.owner.is_none() && state.sent_through == MutationId::default()
}

pub(super) fn claim(state: &mut State, key: u64, claim: &Claim, effects: &mut Effects) {
    let claimed = claim.to.as_deref().map(|user| Status::Claimed(mark_of(user)));
    let takes = |n: &MutationId, entry: &Entry| match claim.done {
        Some(done) => Some(entry.status) == claimed && *n <= done,
        None => entry.status == Status::Queued,
    };
    if claim.done.is_none() && !is_nobodys(state) {
        return;
    }
    state.queue_version += 1;
    let taken: Vec<MutationId> = state.queue.iter().filter(|(n, entry)| takes(n, entry)).map(|(n, _)| *n).collect();
    for n in taken {
        let Some(mut entry) = state.unqueue(n) else { continue };
        effects.touched.push(entry.edit.target());
        match (claimed, claim.done) {
            (Some(status), None) => {
                entry.status = status;
                entry.position = key;
                state.queue.insert(n, entry);
            }
            _ => local::drop_unmade(state, &entry.edit),
        }
    }
}

pub(super) fn adopt(state: &mut State, key: u64, adopt: Adopt, effects: &mut Effects) -> Result<(), CoreError> {
    let Adopt { source, from, mutations, tx, old, reasons, claimed, history } = adopt;
    let all_old = state.history().is_some_and(|known| history.as_ref().is_some_and(|of| of != known));
    // The first pull shows whether it is this store's, too.
    if state.cursor.is_none() {
        state.verdicts_of = state.verdicts_of.take().or(history);
    }
    let known = state.adopted.get(&source).copied().unwrap_or_default();
    // A store that was lost between two steps offers under another name what was adopted from it: the bytes, with their
    // stamp, are the same.
    let is_old = |index: usize| from.get(index).is_none_or(|n| *n <= known);
    let is_letter = |index: usize| index < reasons.len();
    let is_there = |(index, raw): (usize, &Raw)| {
        is_old(index) || has(state, raw.get()) || is_letter(index) && is_tried_again(state, raw)
    };
    let there: Vec<bool> =
        mutations.iter().enumerate().map(|one| is_there(one) && !Bug::AdoptedTwice.is_planted()).collect();
    let is_known = |index: usize| there.get(index) != Some(&false);
    let commit = ReadCommit::of(Commit { mutations, tx, call: None })?;
    let adopted = Adopted { is_known: &is_known, all_old, old, reasons, claimed };
    fold_commit(state, key, commit, Some(&adopted), effects);
    state.queue_version += 1;
    if let Some(last) = from.last() {
        state.adopted.insert(source, known.max(*last));
    }
    Ok(())
}

/// Whether a retry of this dead letter was on its way into the store that was lost, and found this one.
fn is_tried_again(state: &State, raw: &Raw) -> bool {
    let Ok(letter) = Edit::read(raw.clone()) else { return false };
    let is_it = |edit: &Edit| edit.at == letter.at && edit.target() == letter.target();
    state.queue.values().any(|entry| is_it(&entry.edit))
        || state.letters.values().any(|other| is_it(&other.edit))
        || state.journal.values().any(|kept| Edit::read(kept.raw.clone()).is_ok_and(|edit| is_it(&edit)))
}

/// Whether an edit with these bytes waits here, was refused, or has been answered lately.
fn has(state: &State, bytes: &str) -> bool {
    let bytes = former::without(bytes);
    let is_it = |raw: &Raw| former::without(raw.get()) == bytes;
    state.queue.values().any(|entry| is_it(&entry.edit.raw))
        || state.letters.values().any(|letter| is_it(&letter.edit.raw))
        || state.journal.values().any(|kept| is_it(&kept.raw))
}

/// This store is a copy, and goes on under a name of its own. What may have gone up under the name that it had says so.
pub(super) fn rename(state: &mut State, key: u64, id: ReplicaId) {
    let Some(replica) = state.replica.replace(id) else { return };
    let named = |n: MutationId, raw: &Raw| match Bug::CopyNotNamed.is_planted() {
        true => raw.clone(),
        false => Former { replica: replica.clone(), n }.name(raw),
    };
    // A copy that was made just now may send what was not sent here.
    for (n, entry) in state.queue.iter_mut().filter(|(_, entry)| entry.status != Status::Void) {
        let Ok(edit) = Edit::read(named(*n, &entry.edit.raw)) else { continue };
        let edit = if entry.old { edit.rebased() } else { edit };
        entry.edit = edit.of_another(&entry.edit.id);
        entry.position = key;
        state.dirty.mutations.push(*n);
    }
    for (n, kept) in state.journal.iter_mut() {
        kept.raw = named(*n, &kept.raw);
        kept.position = key;
        state.dirty.mutations.push(*n);
    }
}
