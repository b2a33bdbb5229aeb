//! Whose stored values an edit took the place of without having seen them, and what each of them is told (rule 19).
//!
//! Not here: that they are stored; see [`conflicts`](crate::authority::conflicts).

use std::collections::{BTreeMap, BTreeSet};

use crate::authority::Rows;
use crate::clock::Stamp;
use crate::ids::{ReplicaId, Seq};
use crate::json::Value;
use crate::merge::{self, Outcome, Stored};
use crate::model::document;
use crate::model::mutation::Mutation;
use crate::model::verdict::Overwritten;

/// The stored values that lost, each with its author: the fields of an object may have several, and so may one value
/// that two came to.
pub(super) fn displaced<R: Rows>(
    rows: &mut R,
    (stored, outcome): (&Stored, &Outcome),
    (edit, seen): (&Mutation, &Value),
    me: &ReplicaId,
) -> Result<Vec<(String, ReplicaId, Overwritten)>, R::Error> {
    let mut out: Vec<(String, ReplicaId, Overwritten)> = Vec::new();
    let mut authors: BTreeMap<Seq, String> = BTreeMap::new();
    let mut others: BTreeMap<ReplicaId, Option<String>> = BTreeMap::new();
    // Who is told of an object is told of its fields.
    let mut told: BTreeSet<(String, String)> = BTreeSet::new();
    for loss in &outcome.displaced {
        for (path, entry) in merge::writers(&stored.paths, &loss.path, edit.base_rev) {
            let subject = match authors.get(&entry.0) {
                Some(subject) => subject.clone(),
                None => authors.entry(entry.0).or_insert(rows.author(entry.0)?.unwrap_or_default()).clone(),
            };
            let mut whose = vec![(subject, &entry.1.1)];
            if let Some(Stamp(_, replica, _)) = &entry.2 {
                let user = match others.get(replica) {
                    Some(user) => user.clone(),
                    None => others.entry(replica.clone()).or_insert(rows.user_of(replica)?).clone(),
                };
                whose.extend(user.map(|user| (user, replica)));
            }
            if document::get(seen, &path).is_none() && document::get(&stored.doc, &path).is_none() {
                // He saw it removed, and writes over that; whose removal he had not seen is told.
                whose.retain(|(_, replica)| *replica != me);
                whose.truncate(1);
            }
            for (subject, replica) in whose {
                let is_told = |at: &str| told.contains(&(subject.clone(), at.to_owned()));
                if is_told(path.as_str()) || path.ancestors().any(is_told) {
                    continue;
                }
                told.insert((subject.clone(), path.to_string()));
                let (path, by) = (path.clone(), loss.by.clone());
                let yours = document::get(&stored.doc, &path).cloned();
                let kept = if outcome.deleted { None } else { document::get(&outcome.doc, &path).cloned() };
                out.push((subject, replica.clone(), Overwritten { path, yours, kept, by }));
            }
        }
    }
    Ok(out)
}
