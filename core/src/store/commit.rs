//! A user's mutations onto the state: into the queue, and onto their entities' view.

use crate::error::CoreError;
use crate::ids::MutationId;
use crate::log::record::{Call, Commit};
use crate::model::edit::Edit;
use crate::planted::Bug;
use crate::store::effects::Effects;
use crate::store::fold::arrived;
use crate::store::local;
use crate::store::state::{Entry, Letter, Reason, State, Status};

/// A [`Commit`] with its mutations read.
#[derive(Debug)]
pub struct ReadCommit {
    /// Its mutations.
    pub edits: Vec<Edit>,
    /// As in [`Commit`].
    pub tx: Vec<(u32, u32)>,
    /// As in [`Commit`].
    pub call: Option<Call>,
}

impl ReadCommit {
    pub(super) fn of(commit: Commit) -> Result<Self, CoreError> {
        let (mut edits, mut before) = (Vec::with_capacity(commit.mutations.len()), None);
        for raw in commit.mutations {
            edits.push(Edit::read_beside(raw, &mut before)?);
        }
        Ok(Self { edits, tx: commit.tx, call: commit.call })
    }
}

/// Folds a commit of this tab's own, of which it still knows what stands in it: as [`fold`](crate::store::fold::fold),
/// without reading it again.
pub fn fold_own(state: &mut State, key: u64, commit: ReadCommit, bytes: usize) -> Effects {
    debug_assert!(commit.edits.iter().all(Edit::is_as_read), "other tabs read what this one wrote");
    arrived(state, key, bytes);
    state.queue_version += 1;
    let mut effects = Effects::default();
    fold_commit(state, key, commit, None, &mut effects);
    effects
}

/// What stands beside the edits of another store.
pub(super) struct Adopted<'a> {
    /// Says of an index that this store has its mutation already.
    pub(super) is_known: &'a dyn Fn(usize) -> bool,
    /// The bases of all of them are of another history.
    pub(super) all_old: bool,
    /// As in [`Adopt`](crate::log::adopt::Adopt).
    pub(super) old: Vec<u64>,
    /// As in `Adopt`.
    pub(super) reasons: Vec<Reason>,
    /// As in `Adopt`.
    pub(super) claimed: Option<u64>,
}

/// `adopted`: they come from another store, where numbers say something else.
pub(super) fn fold_commit(
    state: &mut State,
    key: u64,
    commit: ReadCommit,
    adopted: Option<&Adopted<'_>>,
    effects: &mut Effects,
) {
    if let Some(call) = commit.call {
        state.remember(call);
    }
    let tx_of = |index: u32| {
        commit
            .tx
            .iter()
            .find(|(start, len)| index >= *start && index - start < *len)
            .map(|(start, _)| MutationId(key, *start))
    };
    for (index, edit) in (0_u32..).zip(commit.edits) {
        // Its author may not have known yet that the id is another's.
        let edit = state.stand_in(edit);
        if let Some(adopted) = adopted {
            adopt_one(state, adopted, (edit, MutationId(key, index), tx_of(index)), effects);
            continue;
        }
        if edit.collection.is_local() {
            local::put(state, key, &edit);
            effects.touched.push((edit.collection.shown(), edit.id.clone()));
            continue;
        }
        let n = MutationId(key, index);
        let is_it = |letter: &Edit| letter.at == edit.at && letter.target() == edit.target();
        if let Some(old) = edit.retry_of.and_then(|old| state.letter(old, &is_it)) {
            state.letters.remove(&old);
            state.dirty.mutations.push(old);
        }
        state.hlc = state.hlc.max(edit.at);
        effects.touched.push(edit.target());
        state.pend(&edit, n);
        let tx = tx_of(index).filter(|_| !Bug::TransactionsForgotten.is_planted());
        state.queue.insert(
            n,
            Entry { edit, tx, status: Status::Queued, position: key, old: false, acked: 0, buried: Vec::new() },
        );
        state.dirty.mutations.push(n);
    }
}

/// One edit, its number here, and its transaction.
#[inline(never)]
fn adopt_one(
    state: &mut State,
    adopted: &Adopted<'_>,
    (edit, n, tx): (Edit, MutationId, Option<MutationId>),
    effects: &mut Effects,
) {
    let MutationId(key, index) = n;
    if (adopted.is_known)(index as usize) {
        return;
    }
    effects.touched.push((edit.collection.shown(), edit.id.clone()));
    if edit.collection.is_local() {
        return local::put(state, key, &edit);
    }
    // What it retries is a number of the store that it comes from.
    state.hlc = state.hlc.max(edit.at);
    state.dirty.mutations.push(n);
    if let Some(reason) = adopted.reasons.get(index as usize) {
        state.letters.insert(n, Letter { edit, reason: reason.clone(), position: key });
        return;
    }
    let status = adopted.claimed.map_or(Status::Queued, Status::Claimed);
    if status.is_shown() {
        state.pend(&edit, n);
    }
    let old = adopted.all_old || adopted.old.contains(&u64::from(index));
    let edit = if old { edit.rebased() } else { edit };
    state.queue.insert(n, Entry { edit, tx, status, position: key, old, acked: 0, buried: Vec::new() });
}
