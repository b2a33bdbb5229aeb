//! Entities that are the same thing by their natural keys, and ids that became another's (rule 29).
//!
//! An insert whose key an entity has already becomes a merge into that one, and its id an alias. Aliases are rows that
//! nobody is sent, in a collection beside the entities' (`docs/decisions/0036`): so they are as durable as these, and
//! go back with them.
//!
//! The invariants: of a collection no two live entities have the same key; an alias leads to the id of an entity or its
//! tombstone, in one step; and no entity lives under an id that is an alias.

use crate::authority::decide::{Decider, Decision, Unit};
use crate::authority::relations::NaturalKey;
use crate::authority::{Policy, Rows, Stored};
use crate::clock::{Exchange, Hlc, Stamp};
use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, MutationId, Seq};
use crate::json;
use crate::json::{Map, Value};
use crate::merge::PathRevs;
use crate::model::alias::merge_into;
use crate::model::document;
use crate::model::mutation::{Kind, Mutation};
use crate::model::path::Path;
use crate::model::verdict::{HeldReason, Verdict};
use crate::planted::Bug;

/// A text as natural keys compare it: without white space around it, in lower case. Not composed: that takes tables of
/// Unicode, which this crate does not carry, so `é` as one character and as two are two keys.
///
/// ```
/// use tidewire_core::authority::identity::normal;
/// assert_eq!(normal("  Ada@Example.COM "), normal("ada@example.com"));
/// ```
pub fn normal(text: &str) -> String {
    text.trim().to_lowercase()
}

/// The value of a natural key, as text; `None` where a field is missing, empty, an array or an object.
///
/// ```
/// use tidewire_core::authority::{groups::field_path, identity::key_of, relations::NaturalKey};
/// use tidewire_core::json;
///
/// let fields = vec![field_path("name").unwrap(), field_path("phone").unwrap()];
/// let key = NaturalKey { fields, exact: false };
/// let ada = key_of(&key, &json!({"name": "Ada ", "phone": 7}));
/// assert_eq!(ada, key_of(&key, &json!({"name": "ada", "phone": 7, "city": "Bonn"})));
/// assert_eq!(key_of(&key, &json!({"name": "ada", "phone": " "})), None);
/// ```
pub fn key_of(key: &NaturalKey, doc: &Value) -> Option<String> {
    let part = |path: &Path| match document::get(doc, path)? {
        Value::String(text) => {
            let text = if key.exact { text.as_str().to_owned() } else { normal(text) };
            (!text.is_empty()).then(|| Value::from(text))
        }
        value @ (Value::Number(_) | Value::Bool(_)) => Some(value.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let parts: Option<Vec<Value>> = key.fields.iter().map(part).collect();
    parts.filter(|parts| !parts.is_empty()).map(|parts| json::write_text(&Value::Array(parts)))
}

/// Says of a mutation that took effect that its entity has another id.
fn renamed(verdict: Verdict, from: &EntityId, to: &EntityId) -> Verdict {
    let remap = Some(json!({"from": from, "to": to}));
    match verdict {
        Verdict::Applied { rev } => Verdict::Merged { rev, overwritten: Vec::new(), displaced: Vec::new(), remap },
        Verdict::Merged { rev, overwritten, displaced, .. } => Verdict::Merged { rev, overwritten, displaced, remap },
        Verdict::Conflict { rev, parked, overwritten, displaced, .. } => {
            Verdict::Conflict { rev, parked, overwritten, displaced, remap }
        }
        other => other,
    }
}

/// Nothing of the entity that has it is said: its author may not see it (rule 29).
fn key_taken(key: &NaturalKey) -> CoreError {
    let path = key.fields.first().map(Path::as_str).unwrap_or_default();
    CoreError::new(Code::KeyTaken, "another entity has this natural key: use another value").at(path)
}

/// The id that an id stands for.
pub(super) fn resolve<R: Rows>(rows: &mut R, collection: &CollectionName, id: &EntityId) -> Result<EntityId, R::Error> {
    let alias = rows.entity(&collection.aliases(), id)?;
    let to = alias.and_then(|alias| EntityId::read(alias.doc.get("to")?).ok());
    Ok(to.filter(|_| !Bug::AliasForgotten.is_planted()).unwrap_or_else(|| id.clone()))
}

/// The first of a collection's keys of a document that an entity other than `id` has.
fn other_with_key<'k, R: Rows>(
    rows: &mut R,
    (collection, id): (&CollectionName, &EntityId),
    keys: &'k [NaturalKey],
    doc: &Value,
    unless: Option<&Value>,
) -> Result<Option<(&'k NaturalKey, EntityId)>, R::Error> {
    for key in keys {
        let Some(value) = key_of(key, doc) else { continue };
        if unless.and_then(|before| key_of(key, before)).as_ref() == Some(&value) {
            continue;
        }
        if let Some((other, _)) = rows.known_by(collection, key, &value)?.into_iter().find(|(of, _)| of != id) {
            return Ok(Some((key, other)));
        }
    }
    Ok(None)
}

impl<P: Policy> Decider<'_, P> {
    /// One mutation of a policy that declares how entities hang together.
    pub(super) fn tied<R: Rows>(
        &self,
        rows: &mut R,
        n: MutationId,
        named: &Mutation,
        unit: &mut Unit,
    ) -> Result<Decision, R::Error> {
        let mut edit = named.clone();
        self.resolve_all(rows, &mut edit)?;
        if edit.kind != Kind::Insert {
            if edit.id != named.id && self.waiting.contains_key(&named.target()) {
                return Ok(Decision::Held(HeldReason::After));
            }
            return self.edit(rows, n, &edit, unit);
        }
        let keys = self.policy.relations().keys_of(&edit.collection);
        let stored = rows.entity(&edit.collection, &edit.id)?;
        let doc = document::apply(None, &edit).ok().flatten().unwrap_or_default();
        let target = (&edit.collection, &edit.id);
        let other = match &stored {
            // Whoever may not touch what had this id may not give it away.
            Some(stored)
                if self.policy.check_access(self.user, &edit.collection, &edit.id, &stored.doc).is_err()
                    && !Bug::IdsGivenAway.is_planted() =>
            {
                None
            }
            // It names an entity that is there: by its own id, or by one that became this one's.
            Some(stored) if !stored.deleted && edit.id == named.id => None,
            Some(stored) if !stored.deleted => {
                let same =
                    keys.iter().find(|key| key_of(key, &doc).is_some_and(|is| key_of(key, &stored.doc) == Some(is)));
                same.map(|key| (key, edit.id.clone()))
            }
            _ => other_with_key(rows, target, keys, &doc, None)?,
        };
        let Some((key, to)) = other else {
            let decision = self.edit(rows, n, &edit, unit)?;
            return Ok(with_remap(decision, &named.id, &edit.id));
        };
        match self.edit(rows, n, &merge_into(to.clone(), &edit), unit)? {
            Decision::Refused(error) if error.code == Code::Forbidden => {
                if Bug::RemapUnseen.is_planted() {
                    return Ok(with_remap(Decision::Done(Verdict::Applied { rev: edit.base_rev }), &named.id, &to));
                }
                Ok(Decision::Refused(key_taken(key)))
            }
            Decision::Done(verdict) => {
                if edit.id != to
                    && let Some(error) = self.rename(rows, &edit, &to, n, unit)?
                {
                    return Ok(Decision::Refused(error));
                }
                Ok(with_remap(Decision::Done(verdict), &named.id, &to))
            }
            decision => Ok(decision),
        }
    }

    /// The ids of an edit as they are today: its own, and those that it refers to and saw.
    fn resolve_all<R: Rows>(&self, rows: &mut R, edit: &mut Mutation) -> Result<(), R::Error> {
        let relations = self.policy.relations();
        if !relations.keys_of(&edit.collection).is_empty() {
            edit.id = resolve(rows, &edit.collection, &edit.id)?;
        }
        let references = relations.from(&edit.collection).filter(|_| !Bug::ReferencesUnresolved.is_planted());
        for reference in references.filter(|reference| !relations.keys_of(&reference.to).is_empty()) {
            for (path, value) in edit.set.iter_mut().chain(edit.was.iter_mut()) {
                if let Some(at) = value_at(path, value, &reference.path)
                    && let Some(id) = at.as_str().and_then(|id| EntityId::parse(id).ok())
                {
                    *at = resolve(rows, &reference.to, &id)?.as_str().into();
                }
            }
        }
        Ok(())
    }

    /// Makes an id an alias, with those that led to it, and lets what refers to it refer to the other. Why not: two
    /// entities would come to have the same key by that.
    fn rename<R: Rows>(
        &self,
        rows: &mut R,
        edit: &Mutation,
        to: &EntityId,
        n: MutationId,
        unit: &mut Unit,
    ) -> Result<Option<CoreError>, R::Error> {
        let seq = match unit.seq {
            Some(seq) => seq,
            None => *unit.seq.insert(rows.next_seq()?),
        };
        let aliases = edit.collection.aliases();
        let before = match Path::parse("/to") {
            Ok(path) if !Bug::ChainsLeft.is_planted() => rows.referring(&aliases, &path, &edit.id)?,
            _ => Vec::new(),
        };
        for from in before.into_iter().map(|(from, _)| from).chain([edit.id.clone()]) {
            rows.put(&aliases, &from, &self.alias(to, seq), &[])?;
        }
        let relations = self.policy.relations();
        let Exchange { server_now, .. } = self.exchange;
        let stamp = Stamp(Hlc(server_now, 0), self.replica.clone(), n);
        for reference in relations.to(&edit.collection) {
            for (child, stored) in rows.referring(&reference.from, &reference.path, &edit.id)? {
                let mut follow = Mutation::empty(reference.from.clone(), child.clone(), stamp.0);
                follow.base_rev = seq;
                follow.set.insert(reference.path.clone(), to.as_str().into());
                self.act(rows, &follow, stored, (&stamp, seq), unit)?;
                let keys = relations.keys_of(&reference.from);
                if let Some(stored) = rows.entity(&reference.from, &child)?
                    && let Some((key, ..)) = other_with_key(rows, (&reference.from, &child), keys, &stored.doc, None)?
                {
                    return Ok(Some(key_taken(key)));
                }
            }
        }
        Ok(None)
    }

    fn alias(&self, to: &EntityId, rev: Seq) -> Stored {
        let (at, by) = (self.exchange.server_now, self.replica.clone());
        let doc: Map = [("to".to_owned(), Value::from(to.as_str()))].into_iter().collect();
        Stored { rev, at, by, deleted: false, also: None, doc: Value::Object(doc), paths: PathRevs::new() }
    }

    /// Why an outcome would give an entity a key that another has.
    pub(super) fn check_keys<R: Rows>(
        &self,
        rows: &mut R,
        edit: &Mutation,
        stored: Option<&Stored>,
        doc: &Value,
    ) -> Result<Option<CoreError>, R::Error> {
        let keys = self.policy.relations().keys_of(&edit.collection);
        let before = stored.filter(|stored| !stored.deleted).map(|stored| &stored.doc);
        let other = other_with_key(rows, (&edit.collection, &edit.id), keys, doc, before)?;
        Ok(other.filter(|_| !Bug::KeysCollide.is_planted()).map(|(key, ..)| key_taken(key)))
    }
}

fn with_remap(decision: Decision, from: &EntityId, to: &EntityId) -> Decision {
    match decision {
        Decision::Done(verdict) if from != to => Decision::Done(renamed(verdict, from, to)),
        other => other,
    }
}

/// The place of `wanted` in a value that stands at `path`.
fn value_at<'v>(path: &Path, value: &'v mut Value, wanted: &Path) -> Option<&'v mut Value> {
    if !path.covers(wanted) {
        return None;
    }
    let mut at = value;
    for key in wanted.segments().skip(path.depth()) {
        at = at.as_object_mut()?.get_mut(key.as_ref())?;
    }
    Some(at)
}
