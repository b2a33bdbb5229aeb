//! An operation as the app calls it, and what it comes to as a mutation: what it does, what stood there, and its
//! inverse.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::diff::diff;
use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, Rev};
use crate::model::document;
use crate::model::mutation::{Kind, Mutation};
use crate::model::path::Path;
use crate::view::Seen;

/// One operation of the app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Op {
    /// A new entity.
    Insert {
        /// The collection.
        c: CollectionName,
        /// Its id.
        id: EntityId,
        /// Its document, without the id.
        value: Value,
    },
    /// A change of fields.
    Patch {
        /// The collection.
        c: CollectionName,
        /// Its id.
        id: EntityId,
        /// The changes.
        #[serde(flatten)]
        fields: Fields,
    },
    /// A whole new document, of which only the difference is written.
    Replace {
        /// The collection.
        c: CollectionName,
        /// Its id.
        id: EntityId,
        /// The document, without the id.
        value: Value,
        /// Only if it stands at this revision.
        #[serde(rename = "ifRev", default, skip_serializing_if = "Option::is_none")]
        if_rev: Option<Rev>,
    },
    /// The end of an entity.
    Delete {
        /// The collection.
        c: CollectionName,
        /// Its id.
        id: EntityId,
        /// Only if it stands at this revision.
        #[serde(rename = "ifRev", default, skip_serializing_if = "Option::is_none")]
        if_rev: Option<Rev>,
    },
}

/// Changes of fields, by path.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Fields {
    /// New values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<Path, Value>,
    /// Fields to remove.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<Path>,
    /// Amounts to add.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub inc: BTreeMap<Path, f64>,
    /// Items to add to arrays.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub add: BTreeMap<Path, Vec<Value>>,
    /// Items to remove from arrays.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub remove: BTreeMap<Path, Vec<Value>>,
    /// Only if it stands at this revision.
    #[serde(rename = "ifRev", skip_serializing_if = "Option::is_none")]
    pub if_rev: Option<Rev>,
}

/// A call of the app: one or more operations.
#[derive(Debug, Deserialize)]
pub struct WriteRequest {
    /// One transaction with one verdict.
    #[serde(default)]
    pub atomic: bool,
    /// In order; a later one sees the earlier ones.
    pub ops: Vec<Op>,
}

impl Op {
    /// The entity that it is about.
    pub(crate) fn target(&self) -> (&CollectionName, &EntityId) {
        match self {
            Self::Insert { c, id, .. }
            | Self::Patch { c, id, .. }
            | Self::Replace { c, id, .. }
            | Self::Delete { c, id, .. } => (c, id),
        }
    }
}

/// Fills in what the operation does and what stood there; returns its inverse.
pub(crate) fn shape(
    mutation: &mut Mutation,
    seen: Option<&Seen>,
    op: Op,
    is_counter: &dyn Fn(&CollectionName, &Path) -> bool,
) -> Result<Op, CoreError> {
    let missing = || CoreError::new(Code::NotFound, "no entity has this id: insert it first");
    let (c, id) = (mutation.collection.clone(), mutation.id.clone());
    match op {
        Op::Insert { value, .. } => {
            if seen.is_some() {
                return Err(CoreError::new(Code::Exists, "an entity with this id exists: use update or upsert"));
            }
            let Value::Object(map) = value else {
                return Err(CoreError::new(Code::WrongType, "an entity is an object"));
            };
            mutation.kind = Kind::Insert;
            for (key, value) in map {
                mutation.set.insert(Path::of_key(&key)?, value);
            }
            Ok(Op::Delete { c, id, if_rev: None })
        }
        Op::Delete { if_rev, .. } => {
            let seen = seen.ok_or_else(missing)?;
            mutation.kind = Kind::Delete;
            mutation.if_rev = if_rev;
            for (key, value) in seen.doc.as_object().into_iter().flatten() {
                mutation.was.insert(Path::of_key(key)?, value.clone());
            }
            Ok(Op::Insert { c, id, value: seen.doc.clone() })
        }
        Op::Replace { value, if_rev, .. } => {
            let seen = seen.ok_or_else(missing)?;
            let changes = diff(&seen.doc, &value)?;
            let fields = Fields { set: changes.set, unset: changes.unset, if_rev, ..Fields::default() };
            shape_patch(mutation, seen, fields, is_counter)
        }
        Op::Patch { fields, .. } => shape_patch(mutation, seen.ok_or_else(missing)?, fields, is_counter),
    }
}

fn shape_patch(
    mutation: &mut Mutation,
    seen: &Seen,
    fields: Fields,
    is_counter: &dyn Fn(&CollectionName, &Path) -> bool,
) -> Result<Op, CoreError> {
    let now = |path: &Path| document::get(&seen.doc, path);
    mutation.if_rev = fields.if_rev;
    for (path, value) in fields.set {
        let before = now(&path);
        if before == Some(&value) {
            continue;
        }
        // A plain number on a counter is sent as the difference.
        let numbers = before.and_then(Value::as_f64).zip(value.as_f64());
        match numbers.filter(|_| is_counter(&mutation.collection, &path)) {
            Some((before, after)) => {
                mutation.inc.insert(path, after - before);
            }
            None => {
                mutation.set.insert(path, value);
            }
        }
    }
    mutation.unset = fields.unset.into_iter().filter(|path| now(path).is_some()).collect();
    for (path, amount) in fields.inc {
        if now(&path).is_some_and(|value| !value.is_number()) {
            return Err(CoreError::new(Code::WrongType, "`inc` needs a number here").at(path.as_str()));
        }
        mutation.inc.insert(path, amount);
    }
    mutation.add = fields.add;
    mutation.remove = fields.remove;
    for path in mutation.add.keys().chain(mutation.remove.keys()) {
        if now(path).is_some_and(|value| !value.is_array()) {
            return Err(CoreError::new(Code::WrongType, "`add` and `remove` need an array here").at(path.as_str()));
        }
    }
    let touched: Vec<Path> = mutation.paths().cloned().collect();
    let mut inverse = Fields::default();
    for path in touched {
        let before = now(&path).cloned();
        match (mutation.inc.get(&path), &before) {
            (Some(amount), Some(_)) => {
                inverse.inc.insert(path.clone(), -amount);
            }
            (_, Some(value)) => {
                inverse.set.insert(path.clone(), value.clone());
            }
            (_, None) => inverse.unset.push(path.clone()),
        }
        if let Some(before) = before {
            mutation.was.insert(path, before);
        }
    }
    Ok(Op::Patch { c: mutation.collection.clone(), id: mutation.id.clone(), fields: inverse })
}
