//! A whole entity: insert, patch and delete against what is stored.

use crate::json::{Map, Value};

use crate::clock::{Hlc, Stamp};
use crate::error::{Code, CoreError};
use crate::ids::Rev;
use crate::merge::park::Lot;
use crate::merge::weave::{Known, Weave};
use crate::merge::{Outcome, Parking, PathRevs, Refusal, Stored, TextSteps, leaf, park, paths, text};
use crate::model::document;
use crate::model::mutation::{Kind, Mutation};
use crate::model::path::Path;
use crate::model::schema::{CollectionSettings, DeleteConflict};
use crate::model::verdict::Overwritten;
use crate::planted::Bug;
use crate::small::SmallMap;

/// What a checked mutation comes to, on what is stored.
///
/// ```
/// use tidewire_core::json;
/// use tidewire_core::clock::{Hlc, Stamp};
/// use tidewire_core::ids::{MutationId, ReplicaId};
/// use tidewire_core::merge::{Parking, TextSteps, merge};
/// use tidewire_core::model::{mutation::Mutation, schema::CollectionSettings};
///
/// let edit = |kind: &str, body: &str| {
///     Mutation::parse(format!(r#"{{"c":"deals","id":"1","kind":"{kind}","at":[1,0],{body}}}"#).as_bytes())
/// };
/// let stamp = |ms, replica: &ReplicaId| Stamp(Hlc(ms, 0), replica.clone(), MutationId(ms, 0));
/// let settings = CollectionSettings::default();
/// let (parking, texts) = (Parking::default(), TextSteps::default());
/// let (anna, ben) = (ReplicaId::parse("anna")?, ReplicaId::parse("ben")?);
///
/// let insert = edit("insert", r#""base":0,"set":{"/city":"Bonn","/sum":1}"#)?;
/// let made = merge(None, &insert, &stamp(10, &anna), &settings, &parking, &texts).unwrap().store(None, 1, &anna);
///
/// // Both saw revision 1. Anna's change arrives first, but Ben wrote later.
/// let hers = edit("patch", r#""base":1,"set":{"/city":"Ulm"},"was":{"/city":"Bonn"}"#)?;
/// let his = edit("patch", r#""base":1,"set":{"/city":"Kiel","/sum":2},"was":{"/city":"Bonn","/sum":1}"#)?;
/// let first = merge(Some(&made), &hers, &stamp(20, &anna), &settings, &parking, &texts).unwrap();
/// let stored = first.store(Some(&made), 2, &anna);
/// let second = merge(Some(&stored), &his, &stamp(30, &ben), &settings, &parking, &texts).unwrap();
/// assert_eq!(second.doc, json!({"city": "Kiel", "sum": 2}));
/// assert_eq!(second.displaced[0].yours, Some(json!("Ulm")));
/// # Ok::<(), tidewire_core::error::CoreError>(())
/// ```
///
/// # Errors
/// [`Refusal`]: its entity is missing, or it can never take effect.
pub fn merge(
    stored: Option<&Stored>,
    mutation: &Mutation,
    stamp: &Stamp,
    settings: &CollectionSettings,
    parking: &Parking,
    steps: &TextSteps,
) -> Result<Outcome, Refusal> {
    match (mutation.kind, stored) {
        (Kind::Insert, None) => Ok(insert(mutation, stamp)?),
        (Kind::Insert, Some(stored)) if stored.deleted => insert_over_tombstone(stored, mutation, stamp),
        (Kind::Insert, Some(stored)) => insert_again(stored, mutation),
        (Kind::Patch, None) => Err(Refusal::Missing),
        (Kind::Patch, Some(stored)) => patch(stored, mutation, stamp, settings, parking, steps),
        (Kind::Delete, None) => Ok(delete_unknown(stamp)),
        (Kind::Delete, Some(stored)) if stored.deleted => Ok(delete_again(stored, mutation, stamp)),
        (Kind::Delete, Some(stored)) => Ok(delete(stored, mutation, stamp, settings)),
    }
}

/// Nothing is there that it could meet: every field of the document is as its author wrote it.
fn insert(mutation: &Mutation, stamp: &Stamp) -> Result<Outcome, CoreError> {
    let touched = leaf::inserted(mutation)?.into_iter().map(|path| (path, stamp.clone())).collect();
    let mut doc = Map::new();
    for (path, value) in mutation.set.iter() {
        doc.extend(path.segments().next().map(|key| (key.into_owned(), value.clone())));
    }
    Ok(Outcome {
        doc: Value::Object(doc),
        deleted: false,
        changed: true,
        touched,
        restamped: SmallMap::new(),
        overwritten: Vec::new(),
        displaced: Vec::new(),
        parked: Vec::new(),
        at: stamp.0,
    })
}

/// An author who had seen the deletion, or deleted it himself, makes the entity anew; another does so only if he wrote
/// later (rule 30).
fn insert_over_tombstone(stored: &Stored, mutation: &Mutation, stamp: &Stamp) -> Result<Outcome, Refusal> {
    let seen = mutation.base_rev >= stored.rev || stored.by == stamp.1;
    if !seen && stamp.0.0 <= stored.at && !Bug::OldInsertRevives.is_planted() {
        return Err(deleted());
    }
    let doc = document::apply(None, mutation)?.unwrap_or_default();
    let newest = stored.paths.values().map(|entry| entry.written().0).max().unwrap_or_default();
    let time = stamp.0.max(Hlc(stored.at, 0).next()).max(newest.next());
    let stamp = Stamp(time, stamp.1.clone(), stamp.2);
    let before = document::leaves(None, &stored.doc)?.into_iter().map(|(path, _)| path);
    let after = leaf::inserted(mutation)?;
    // Who takes his deletion back brings back fields that others removed before it, which he had not seen.
    let is_back = |path: &Path| document::get(&stored.doc, path).is_none() && document::get(&doc, path).is_some();
    let unseen = stored.paths.iter().filter(|(path, entry)| entry.0 > mutation.base_rev && is_back(path));
    let loss = |(path, _): (&Path, _)| {
        let kept = document::get(&doc, path).cloned();
        Overwritten { path: path.clone(), yours: None, kept, by: Some(stamp.1.clone()) }
    };
    let displaced = unseen.map(loss).collect();
    let touched = before.chain(after).map(|path| (path, stamp.clone())).collect();
    Ok(Outcome { doc, changed: true, deleted: false, touched, displaced, at: time, ..unchanged(stored) })
}

fn insert_again(stored: &Stored, mutation: &Mutation) -> Result<Outcome, Refusal> {
    if document::apply(None, mutation)?.as_ref() == Some(&stored.doc) {
        return Ok(unchanged(stored));
    }
    Err(CoreError::new(Code::Exists, "an entity with this id exists: update it, or insert under a new id").into())
}

fn patch(
    stored: &Stored,
    mutation: &Mutation,
    stamp: &Stamp,
    settings: &CollectionSettings,
    parking: &Parking,
    steps: &TextSteps,
) -> Result<Outcome, Refusal> {
    // A decision that writes nothing needs no entity.
    if stored.deleted && mutation.paths().next().is_none() {
        return Ok(unchanged(stored));
    }
    // A tombstone that was written for an unknown id holds nothing that could come back: there would be one field only.
    if stored.deleted && (settings.on_delete_conflict == DeleteConflict::DeleteWins || stored.paths.is_empty()) {
        return Err(deleted());
    }
    let mut outcome =
        weave(stored.doc.clone(), Known::Paths(&stored.paths, stamp), mutation, settings, parking, steps)?;
    let written = outcome.touched.values().chain(outcome.restamped.values()).map(|stamp| stamp.0).max();
    outcome.at = written.unwrap_or_default().max(Hlc(stored.at, 0));
    outcome.changed |= stored.deleted;
    Ok(outcome)
}

fn weave(
    doc: Value,
    known: Known<'_>,
    mutation: &Mutation,
    settings: &CollectionSettings,
    parking: &Parking,
    steps: &TextSteps,
) -> Result<Outcome, CoreError> {
    let mut lot = Lot::new(parking);
    let texts = |was: Option<&Value>, mine: &Value, theirs: &Value, mine_wins: bool| {
        text::merge(was, mine, theirs, mine_wins, steps)
    };
    let mut weave = Weave::new(doc, known, mutation.base_rev, settings);
    weave.texts = Some(&texts);
    weave.desk = Some(&mut lot);
    for step in leaf::split(mutation)? {
        weave.take(&step)?;
    }
    let mut outcome = Outcome {
        doc: weave.doc,
        deleted: false,
        changed: !weave.touched.is_empty(),
        touched: weave.touched,
        restamped: weave.restamped,
        overwritten: weave.overwritten,
        displaced: weave.displaced,
        parked: Vec::new(),
        at: Hlc::default(),
    };
    if lot.is_full {
        return Err(park::too_many_wait());
    }
    outcome.parked = lot.parked(&outcome.doc, |path| match known {
        Known::Paths(paths, _) => paths::author(paths, path),
        Known::Rev(_) => None,
    });
    Ok(outcome)
}

/// A delete of an unknown id writes a tombstone, so that what arrives later cannot bring the entity back (rule 24).
fn delete_unknown(stamp: &Stamp) -> Outcome {
    Outcome {
        doc: Value::Object(Map::new()),
        deleted: true,
        changed: !Bug::NoTombstone.is_planted(),
        touched: SmallMap::new(),
        restamped: SmallMap::new(),
        overwritten: Vec::new(),
        displaced: Vec::new(),
        parked: Vec::new(),
        at: stamp.0,
    }
}

/// A deletion of what is deleted already is one of its own to whoever had not seen the other: it outlasts the undo of
/// that one, or its author is told that it does not.
fn delete_again(stored: &Stored, mutation: &Mutation, stamp: &Stamp) -> Outcome {
    let is_known = mutation.base_rev >= stored.rev || stored.by == stamp.1;
    Outcome { changed: !is_known, at: stamp.0.max(Hlc(stored.at, 0)), ..unchanged(stored) }
}

fn delete(stored: &Stored, mutation: &Mutation, stamp: &Stamp, settings: &CollectionSettings) -> Outcome {
    let unseen = unseen_by_delete(&stored.doc, Some(&stored.paths), stored.rev, mutation);
    let losses = |kept: bool| {
        let loss = |path: &Path| {
            let value = document::get(&stored.doc, path).cloned();
            let by = if kept { paths::author(&stored.paths, path) } else { Some(stamp.1.clone()) };
            let (yours, kept) = if kept { (None, value) } else { (value, None) };
            Overwritten { path: path.clone(), yours, kept, by }
        };
        unseen.iter().map(loss).collect::<Vec<_>>()
    };
    if !unseen.is_empty() && settings.on_delete_conflict == DeleteConflict::UpdateWins {
        return Outcome { overwritten: losses(true), ..unchanged(stored) };
    }
    let at = stamp.0.max(Hlc(stored.at, 0).next());
    let displaced = if Bug::DeletedUnseen.is_planted() { Vec::new() } else { losses(false) };
    Outcome { deleted: true, changed: true, displaced, at, ..unchanged(stored) }
}

/// The paths that others changed and that a delete's author had not seen. `paths` is `None` where only the entity's
/// revision is known.
pub(super) fn unseen_by_delete(doc: &Value, paths: Option<&PathRevs>, rev: Rev, mutation: &Mutation) -> Vec<Path> {
    if rev <= mutation.base_rev {
        return Vec::new();
    }
    let mut seen = Value::Object(Map::new());
    for (path, value) in mutation.was.iter() {
        document::set(&mut seen, path, value.clone());
    }
    let differs = |path: &Path| match (document::get(doc, path), document::get(&seen, path)) {
        (Some(Value::Object(_)), Some(Value::Object(_))) => false,
        (now, then) => now != then,
    };
    match paths {
        Some(paths) => {
            let newer = paths.iter().filter(|(_, entry)| entry.0 > mutation.base_rev).map(|(path, _)| path);
            newer.filter(|path| differs(path)).cloned().collect()
        }
        None => {
            let all = document::leaves(None, doc).unwrap_or_default().into_iter().map(|(path, _)| path);
            all.chain(mutation.was.keys().cloned()).filter(differs).collect()
        }
    }
}

fn unchanged(stored: &Stored) -> Outcome {
    Outcome {
        doc: stored.doc.clone(),
        deleted: stored.deleted,
        changed: false,
        touched: SmallMap::new(),
        restamped: SmallMap::new(),
        overwritten: Vec::new(),
        displaced: Vec::new(),
        parked: Vec::new(),
        at: Hlc(stored.at, 0),
    }
}

fn deleted() -> Refusal {
    CoreError::new(Code::Deleted, "this entity was deleted: insert it again to keep this edit").into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::ids::{MutationId, ReplicaId};
    use crate::model::schema::{FieldStrategy as Field, Strategy};

    #[test]
    fn an_insert_comes_to_what_its_steps_come_to() {
        let replica = ReplicaId::parse("anna").unwrap();
        let stamp = Stamp(Hlc(20, 1), replica.clone(), MutationId(3, 4));
        let steps = TextSteps::default();
        let of_a = [
            None,
            Some(Field::LastWriteWins),
            Some(Field::Merge),
            Some(Field::ClientWins),
            Some(Field::ServerWins),
            Some(Field::Manual),
            Some(Field::Counter),
            Some(Field::Union),
            Some(Field::Text),
        ];
        let all = [Strategy::LastWriteWins, Strategy::Merge, Strategy::ServerWins, Strategy::Manual];
        let sets = [
            r#"{}"#,
            r#"{"/a":1,"/b":null,"/c":[{"d":1}],"/e":{}}"#,
            r#"{"/a":{"b":{"c":{"d":"x"},"e":{}},"f/g":[1],"~":{"":0}},"/h":"i"}"#,
            r#"{"/a":["x","x",{"id":"1"},{"id":"1","b":2},{"id":"2"}]}"#,
            r#"{"/a":"a  text\n of  words ","/b":["x","x"]}"#,
            r#"{"/a":-0.0}"#,
        ];
        let strategies = || all.iter().flat_map(|conflict| of_a.iter().map(move |a| (*conflict, *a)));
        for (set, (conflict, a)) in sets.iter().flat_map(|set| strategies().map(move |both| (set, both))) {
            let fields = a.into_iter().map(|strategy| (Path::parse("/a").unwrap(), strategy)).collect();
            let settings = CollectionSettings { conflict, fields, ..CollectionSettings::default() };
            let text = format!(r#"{{"c":"notes","id":"1","kind":"insert","base":0,"at":[20,1],"set":{set}}}"#);
            let mutation = Mutation::parse(text.as_bytes()).unwrap();
            let outcome = merge(None, &mutation, &stamp, &settings, &Parking::default(), &steps).unwrap();
            let (nothing, empty) = (PathRevs::new(), Value::Object(Map::new()));
            let known = Known::Paths(&nothing, &stamp);
            let mut woven = weave(empty, known, &mutation, &settings, &Parking::default(), &steps).unwrap();
            (woven.changed, woven.at) = (true, stamp.0);
            assert_eq!(outcome, woven, "{set}, {conflict:?}, {a:?}");
        }
    }
}
