//! Which mutations go into the next push: in the order of their numbers (rule 12), whole transactions (rule 11),
//! and nothing behind a mutation of the same entity that has to wait.

use crate::ids::{CollectionName, EntityId, MutationId};
use crate::model::mutation::Kind;
use crate::model::verdict::HeldReason;
use crate::planted::Bug;
use crate::small::SmallSet;
use crate::store::state::{Entry, State, Status};

/// How much may go into one push.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Mutations.
    pub count: usize,
    /// Bytes of mutations.
    pub bytes: usize,
}

/// The numbers of the next push, in order. `skips` those that are on their way already. `waits` says of a mutation
/// that is not due (held or suspect) that it waits.
pub fn next(
    state: &State,
    limits: Limits,
    skips: &dyn Fn(MutationId) -> bool,
    waits: &dyn Fn(MutationId, &Entry) -> bool,
) -> Vec<MutationId> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    let mut blocked: SmallSet<(&CollectionName, &EntityId)> = SmallSet::new();
    // Here what waits does so only for want of the entity.
    let mut missing = SmallSet::new();
    for letter in state.letters.values().filter(|letter| letter.edit.kind == Kind::Insert) {
        blocked.insert((&letter.edit.collection, &letter.edit.id), ());
    }
    let mut seen = SmallSet::new();
    for (n, entry) in state.undecided() {
        if skips(*n) || entry.tx.is_some_and(|tx| seen.insert(tx, ())) {
            continue;
        }
        let unit = unit(state, *n, entry);
        let is_void = unit.iter().all(|(_, entry)| entry.status == Status::Void);
        let must_wait = |(n, entry): &(MutationId, &Entry)| {
            // An insert waits for nobody: it may be the rejected one's second try. Who deletes what is not there does
            // not wait for his edits of it, or his next insert of it would meet them.
            let key = (&entry.edit.collection, &entry.edit.id);
            waits(*n, entry)
                || entry.edit.kind != Kind::Insert && blocked.contains_key(&key)
                || entry.edit.kind == Kind::Patch && missing.contains_key(&key)
        };
        if !is_void && unit.iter().any(must_wait) {
            for (_, entry) in unit.iter().filter(|_| !Bug::HeldOvertaken.is_planted()) {
                let is_missing = matches!(entry.status, Status::Held { reason: HeldReason::Missing, .. });
                let waiting = if is_missing { &mut missing } else { &mut blocked };
                waiting.insert((&entry.edit.collection, &entry.edit.id), ());
            }
            continue;
        }
        let size: usize = unit.iter().map(|(_, entry)| item_bytes(entry)).sum();
        if !batch.is_empty() && (batch.len() + unit.len() > limits.count || bytes + size > limits.bytes) {
            break;
        }
        bytes += size;
        batch.extend(unit.iter().map(|(n, _)| *n));
    }
    batch
}

/// Keeps what is before the first unit of which not every member may go: they go together, or not yet.
pub fn keep(state: &State, batch: &mut Vec<MutationId>, may_go: &dyn Fn(MutationId) -> bool) {
    let Some(stays) = batch.iter().find(|n| !may_go(**n)) else { return };
    let tx = |n: &MutationId| state.queue.get(n).and_then(|entry| entry.tx);
    let stays = (*stays, tx(stays));
    let is_of_it = |n: &MutationId| *n == stays.0 || stays.1.is_some() && tx(n) == stays.1;
    batch.truncate(batch.iter().take_while(|n| !is_of_it(n)).count());
}

/// Those that are queued and may not go before something else does, in the order of their numbers. `waits` as in
/// [`next`].
pub fn behind(state: &State, waits: &dyn Fn(MutationId, &Entry) -> bool) -> Vec<MutationId> {
    let mut free = next(state, Limits { count: usize::MAX, bytes: usize::MAX }, &|_| false, waits);
    free.sort_unstable();
    let queued = state.undecided().filter(|(_, entry)| entry.status == Status::Queued);
    queued.map(|(n, _)| *n).filter(|n| free.binary_search(n).is_err()).collect()
}

/// Whether the insert of this entity was refused: what else is about it waits until that is settled.
pub fn is_refused(state: &State, (collection, id): (&CollectionName, &EntityId)) -> bool {
    let mut inserts = state.letters.values().filter(|letter| letter.edit.kind == Kind::Insert);
    inserts.any(|letter| (&letter.edit.collection, &letter.edit.id) == (collection, id))
}

/// A mutation with the other members of its transaction.
pub fn unit<'a>(state: &'a State, n: MutationId, entry: &'a Entry) -> Vec<(MutationId, &'a Entry)> {
    match entry.tx {
        None => vec![(n, entry)],
        Some(_) if Bug::TransactionCut.is_planted() => vec![(n, entry)],
        Some(tx) => state
            .queue
            .from(&tx)
            .take_while(|(n, _)| n.0 == tx.0)
            .filter(|(_, entry)| entry.tx == Some(tx))
            .map(|(n, entry)| (*n, entry))
            .collect(),
    }
}

/// About what an item adds to a push.
pub fn item_bytes(entry: &Entry) -> usize {
    if entry.status == Status::Void { 24 } else { entry.edit.raw.get().len() + 48 }
}
