//! Not-yet-sent patches of one entity become one, where nobody can tell the difference.
//!
//! The last patch survives under its own number, with the first one's `was` and `base_rev` and the last one's
//! values (rule 3): so everything that its author had seen stands before it. Members of transactions never take
//! part, nor edits on either side of one; an insert stays by itself, because other entities may refer to it. Nor do
//! those that were written at other times, unless the later one writes all that the earlier one wrote: who wrote last
//! is told by the stamps (rule 20, docs/decisions/0038).

use crate::ids::{CollectionName, EntityId, MutationId};
use crate::json::{self, Value};
use crate::model::former;
use crate::model::mutation::{Kind, Mutation};
use crate::model::origin;
use crate::model::path::Path;
use crate::planted::Bug;
use crate::store::state::{Entry, State, Status};

/// A joined edit has one stamp, the last one's: by so many milliseconds a value in it may seem younger than it is.
const YOUNGER_MAX_MS: u64 = 1_000;

/// Patches that become one.
#[derive(Debug, PartialEq)]
pub struct Joined {
    /// The last of them.
    pub survivor: MutationId,
    /// The others.
    pub absorbed: Vec<MutationId>,
    /// The survivor's new content.
    pub mutation: Mutation,
}

/// What can be joined among the unsent mutations.
pub fn plan(state: &State) -> Vec<Joined> {
    let mut edits: Vec<(MutationId, &Entry)> = state.queue.iter().map(|(n, entry)| (*n, entry)).collect();
    edits.retain(|(_, entry)| entry.status != Status::Void);
    edits.sort_unstable_by(|a, b| target(a.1).cmp(&target(b.1)).then(a.0.cmp(&b.0)));
    let mut joined: Vec<Joined> = Vec::new();
    for group in edits.chunk_by(|a, b| target(a.1) == target(b.1)).filter(|group| group.len() > 1) {
        plan_one(state, group, &mut joined);
    }
    joined.retain(|group| !group.absorbed.is_empty());
    joined.sort_unstable_by_key(|group| group.survivor);
    joined
}

/// The same of one entity's.
fn plan_one(state: &State, edits: &[(MutationId, &Entry)], joined: &mut Vec<Joined>) {
    let mut before: Option<Joined> = None;
    // When the oldest value in it was written.
    let mut since = 0;
    for (n, entry) in edits {
        let earlier = before.take();
        if !is_free(state, *n, entry) {
            joined.extend(earlier);
            continue;
        }
        let mutation = entry.edit.mutation();
        let at = mutation.at.0;
        let all = earlier.as_ref().and_then(|group| {
            let is_near = at <= since + YOUNGER_MAX_MS || overwrites(&mutation, &group.mutation);
            is_near.then(|| join(&group.mutation, &mutation)).flatten()
        });
        before = Some(match (earlier, all) {
            (Some(mut group), Some(all)) => {
                group.absorbed.push(group.survivor);
                if overwrites(&mutation, &group.mutation) {
                    since = at;
                }
                Joined { survivor: *n, absorbed: group.absorbed, mutation: all }
            }
            (earlier, _) => {
                joined.extend(earlier);
                since = at;
                Joined { survivor: *n, absorbed: Vec::new(), mutation: Mutation::clone(&mutation) }
            }
        });
    }
    joined.extend(before);
}

/// Whether of the first one's values none is left: what was counted has no age.
fn overwrites(second: &Mutation, first: &Mutation) -> bool {
    first.set.keys().chain(&first.unset).all(|path| second.set.contains_key(path) || second.unset.contains(path))
}

fn target(entry: &Entry) -> (&CollectionName, &EntityId) {
    (&entry.edit.collection, &entry.edit.id)
}

fn is_free(state: &State, n: MutationId, entry: &Entry) -> bool {
    let free = !state.was_sent(n)
        && entry.status == Status::Queued
        && entry.tx.is_none()
        && entry.edit.kind == Kind::Patch
        && entry.edit.retry_of.is_none()
        && entry.edit.alias.is_none()
        // It may have arrived under its former name: joined, it would count twice.
        && (!former::is_named(entry.edit.raw.get()) || Bug::NamedJoined.is_planted())
        // What it was, and what its author saw, is known of it alone.
        && !origin::is_kept(entry.edit.raw.get());
    let Some(mutation) = free.then(|| entry.edit.whole().ok()).flatten() else { return false };
    mutation.if_rev.is_none()
        && mutation.add.is_empty()
        && mutation.remove.is_empty()
        && mutation.resolves.is_empty()
        && mutation.reopens.is_empty()
}

/// Two patches as one, if each path of the second is either new or exactly one of the first's, and shows there what
/// the first had left: server data between the two is what the second one's author saw, and a merge has to know it.
fn join(first: &Mutation, second: &Mutation) -> Option<Mutation> {
    if first.schema != second.schema {
        return None;
    }
    let earlier: Vec<_> = first.paths().collect();
    for path in second.paths() {
        if earlier.iter().any(|known| known.overlaps(path) && *known != path) {
            return None;
        }
    }
    // The removal of what the first brought would be one of nothing, of which the server keeps nothing: whoever saw the
    // value in another tab could write over the removal unseen. And the objects on the way to a field stay.
    let brings = |path: &Path| earlier.contains(&path) && !first.was.contains_key(path);
    if second.unset.iter().any(brings) {
        return None;
    }
    if second.set.keys().chain(&second.unset).any(|path| earlier.contains(&path) && !follows(first, second, path)) {
        return None;
    }
    let mut all = first.clone();
    all.at = second.at;
    all.synced_clock = second.synced_clock;
    all.joined = true;
    all.base_rev =
        if Bug::JoinedWithoutBase.is_planted() { second.base_rev } else { first.base_rev.min(second.base_rev) };
    for path in second.paths() {
        if let (false, Some(was)) = (earlier.contains(&path), second.was.get(path)) {
            all.was.insert(path.clone(), was.clone());
        }
    }
    for (path, value) in second.set.iter() {
        all.inc.remove(path);
        all.unset.retain(|unset| unset != path);
        all.set.insert(path.clone(), value.clone());
    }
    for path in &second.unset {
        all.set.remove(path);
        all.inc.remove(path);
        if !all.unset.contains(path) {
            all.unset.push(path.clone());
        }
    }
    for (path, amount) in second.inc.iter() {
        if all.unset.contains(path) {
            return None;
        }
        match all.set.get_mut(path) {
            Some(value) => *value = sum(value, *amount)?,
            None => *all.inc.or_default(path.clone()) += amount,
        }
    }
    Some(all)
}

/// Whether the second's author saw at this path what the first made of it.
fn follows(first: &Mutation, second: &Mutation, path: &Path) -> bool {
    if Bug::UnseenJoined.is_planted() {
        return true;
    }
    let was = second.was.get(path);
    match first.inc.get(path) {
        Some(amount) => {
            first.was.get(path).map_or_else(|| Some(json::number_of(*amount)), |n| sum(n, *amount)).as_ref() == was
        }
        None => first.set.get(path) == was,
    }
}

/// The sum as JSON, if it is a number that JSON can hold.
fn sum(value: &Value, amount: f64) -> Option<Value> {
    let sum = value.as_f64()? + amount;
    sum.is_finite().then(|| json::number_of(sum))
}
