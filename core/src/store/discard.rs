//! What the user gives up: a letter, or an edit that waits, with all of its transaction.

use crate::ids::MutationId;
use crate::log::record::Discard;
use crate::model::edit::Edit;
use crate::store::effects::Effects;
use crate::store::fold::void;
use crate::store::local;
use crate::store::state::{Entry, State, Status};

pub(super) fn discard(state: &mut State, key: u64, record: &Discard, effects: &mut Effects) {
    let Some(n) = discarded(state, record) else { return };
    if let Some(letter) = state.letters.remove(&n) {
        state.dirty.mutations.push(n);
        local::drop_unmade(state, &letter.edit);
        effects.touched.push(letter.edit.target());
        return;
    }
    let Some(entry) = state.queue.get(&n).filter(|entry| !matches!(entry.status, Status::Claimed(_))) else { return };
    let members: Vec<MutationId> = match entry.tx {
        Some(tx) => state.queue.iter().filter(|(_, e)| e.tx == Some(tx)).map(|(n, _)| *n).collect(),
        None => vec![n],
    };
    // After `Sent` the mutation is kept until the server answers: it may have been applied (rule 3).
    if members.iter().any(|n| state.was_sent(*n)) && !members.iter().all(|n| is_held(state, *n)) {
        return;
    }
    for n in members {
        let edit = state.queue.get(&n).map(|entry| entry.edit.clone());
        void(state, key, n);
        if let Some(edit) = edit {
            effects.touched.push(edit.target());
            local::drop_unmade(state, &edit);
        }
    }
}

/// As [`State::letter`], also of what waits. A second try has the stamp of the first, and is not what was given up.
fn discarded(state: &State, Discard { n, at, c, id }: &Discard) -> Option<MutationId> {
    let Some(at) = *at else { return Some(*n) };
    let is_about = |edit: &Edit| c.iter().all(|c| *c == edit.collection) && id.iter().all(|id| *id == edit.id);
    let is_it = |edit: &Edit| edit.at == at && is_about(edit);
    if state.queue.get(n).is_some_and(|entry| is_it(&entry.edit)) {
        return Some(*n);
    }
    let is_waiting = |entry: &Entry| is_it(&entry.edit) && entry.edit.retry_of != Some(*n);
    let waiting = || state.queue.iter().find(|(_, entry)| is_waiting(entry)).map(|(n, _)| *n);
    state.letter(*n, &is_it).or_else(waiting)
}

fn is_held(state: &State, n: MutationId) -> bool {
    state.queue.get(&n).is_some_and(|entry| matches!(entry.status, Status::Held { .. }))
}
