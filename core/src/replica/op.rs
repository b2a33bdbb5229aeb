//! An operation as the app calls it, and what it comes to as a mutation: what it does, what stood there, and its
//! inverse.

use crate::diff::diff;
use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, Rev};
use crate::json::{self, Fields, Map, Raw, Value};
use crate::log::record::Call;
use crate::model::document;
use crate::model::mutation::{Kind, Mutation, PathLists};
use crate::model::path::Path;
use crate::planted::Bug;
use crate::small::SmallMap;
use crate::view::Seen;

/// One operation of the app.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// A new entity.
    Insert {
        /// The collection.
        c: CollectionName,
        /// Its id.
        id: EntityId,
        /// Its document, without the id.
        value: Raw,
    },
    /// New entities, each a line that stands beside the call: the id and the document, one behind the other.
    Inserts {
        /// Their collection.
        c: CollectionName,
        /// How many lines.
        count: usize,
    },
    /// A change of fields.
    Patch {
        /// The collection.
        c: CollectionName,
        /// Its id.
        id: EntityId,
        /// The changes.
        fields: Box<Edits>,
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
        if_rev: Option<Rev>,
    },
    /// The end of an entity.
    Delete {
        /// The collection.
        c: CollectionName,
        /// Its id.
        id: EntityId,
        /// Only if it stands at this revision.
        if_rev: Option<Rev>,
    },
}

/// Changes of fields, by path.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Edits {
    /// New values.
    pub set: SmallMap<Path, Value>,
    /// Fields to remove.
    pub unset: Vec<Path>,
    /// Amounts to add.
    pub inc: SmallMap<Path, f64>,
    /// Items to add to arrays.
    pub add: SmallMap<Path, Vec<Value>>,
    /// Items to remove from arrays.
    pub remove: SmallMap<Path, Vec<Value>>,
    /// Only if it stands at this revision.
    pub if_rev: Option<Rev>,
    /// Conflicts that are decided with it.
    pub resolves: Vec<EntityId>,
    /// Conflicts that wait again.
    pub reopens: Vec<EntityId>,
}

/// A call of the app: one or more operations.
#[derive(Debug)]
pub struct WriteRequest {
    /// One transaction with one verdict.
    pub atomic: bool,
    /// In order; a later one sees the earlier ones.
    pub ops: Vec<Op>,
    /// Which call it is, if the app numbers them.
    pub call: Option<Call>,
}

impl Op {
    /// The entity that it is about, if it is about one.
    pub(crate) fn target(&self) -> Option<(&CollectionName, &EntityId)> {
        match self {
            Self::Inserts { .. } => None,
            Self::Insert { c, id, .. }
            | Self::Patch { c, id, .. }
            | Self::Replace { c, id, .. }
            | Self::Delete { c, id, .. } => Some((c, id)),
        }
    }

    /// The same, to give it another id.
    pub(crate) fn target_mut(&mut self) -> Option<(&CollectionName, &mut EntityId)> {
        match self {
            Self::Inserts { .. } => None,
            Self::Insert { c, id, .. }
            | Self::Patch { c, id, .. }
            | Self::Replace { c, id, .. }
            | Self::Delete { c, id, .. } => Some((c, id)),
        }
    }

    /// How many edits it makes, at most.
    pub(crate) fn count(&self) -> usize {
        if let Self::Inserts { count, .. } = self { *count } else { 1 }
    }
}

/// What an operation does to an entity that is there.
#[derive(Debug)]
pub(crate) enum Alter {
    /// As [`Op::Patch`].
    Patch(Box<Edits>),
    /// As [`Op::Replace`].
    Replace(Value, Option<Rev>),
    /// As [`Op::Delete`].
    Delete(Option<Rev>),
}

impl Alter {
    /// The conflicts that it decides.
    pub(crate) fn resolves(&self) -> &[EntityId] {
        if let Self::Patch(fields) = self { &fields.resolves } else { &[] }
    }
}

impl WriteRequest {
    /// Reads a call.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        let ops = json::list(fields.need("ops")?, Op::read)?;
        Ok(Self { atomic: fields.flag("atomic")?, ops, call: fields.opt("call", Call::read)? })
    }
}

impl Op {
    fn read(value: &Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        let c = CollectionName::read(fields.need("c")?)?;
        if let Some(count) = fields.get("count") {
            return Ok(Self::Inserts { c, count: json::number(count)? as usize });
        }
        let id = EntityId::read(fields.need("id")?)?;
        Ok(match fields.text("op")? {
            "insert" => Self::Insert { c, id, value: Raw::trusted(json::write_text(fields.need("value")?)) },
            "patch" => Self::Patch { c, id, fields: Box::new(Edits::read(&fields)?) },
            "replace" => Self::Replace {
                c,
                id,
                value: fields.need("value")?.clone(),
                if_rev: fields.opt("ifRev", json::number)?,
            },
            "delete" => Self::Delete { c, id, if_rev: fields.opt("ifRev", json::number)? },
            other => return Err(CoreError::new(Code::BadMessage, format!("there is no operation `{other}`"))),
        })
    }
}

impl Edits {
    /// Whether it is about fields only.
    pub(crate) fn settles_nothing(&self) -> bool {
        self.resolves.is_empty() && self.reopens.is_empty()
    }

    /// Reads the changes of a patch.
    ///
    /// # Errors
    /// `bad-message`, `bad-path` or `forbidden-key`.
    pub fn read(fields: &Fields<'_>) -> Result<Self, CoreError> {
        let PathLists { set, unset, inc, add, remove } = PathLists::read(fields)?;
        let if_rev = fields.opt("ifRev", json::number)?;
        let resolves = fields.list("resolves", EntityId::read)?;
        Ok(Self { set, unset, inc, add, remove, if_rev, resolves, reopens: Vec::new() })
    }
}

/// Fills in what a change does to what is there, and what stood there; returns its inverse.
pub(crate) fn shape(
    mutation: &mut Mutation,
    seen: &Seen,
    alter: Alter,
    is_counter: &dyn Fn(&CollectionName, &Path) -> bool,
) -> Result<Op, CoreError> {
    let (c, id) = (mutation.collection.clone(), mutation.id.clone());
    match alter {
        Alter::Delete(if_rev) => {
            mutation.kind = Kind::Delete;
            mutation.if_rev = if_rev;
            for (key, value) in seen.doc.as_object().into_iter().flat_map(Map::iter) {
                mutation.was.insert(Path::of_key(key)?, value.clone());
            }
            Ok(Op::Insert { c, id, value: Raw::trusted(json::write_text(&seen.doc)) })
        }
        Alter::Replace(value, if_rev) => {
            let changes = diff(&seen.doc, &value)?;
            let fields = Edits { set: changes.set, unset: changes.unset, if_rev, ..Edits::default() };
            shape_patch(mutation, fields, &|path| document::get(&seen.doc, path).cloned(), is_counter)
        }
        Alter::Patch(fields) => {
            shape_patch(mutation, *fields, &|path| document::get(&seen.doc, path).cloned(), is_counter)
        }
    }
}

/// As [`shape`]. `now`: what stands at a path.
pub(crate) fn shape_patch(
    mutation: &mut Mutation,
    fields: Edits,
    now: &dyn Fn(&Path) -> Option<Value>,
    is_counter: &dyn Fn(&CollectionName, &Path) -> bool,
) -> Result<Op, CoreError> {
    mutation.if_rev = fields.if_rev;
    for (path, value) in fields.set {
        let before = now(&path);
        if before.as_ref() == Some(&value) {
            continue;
        }
        // A plain number on a counter is sent as the difference.
        let numbers = before.as_ref().and_then(Value::as_f64).zip(value.as_f64());
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
        if now(&path).is_some_and(|value| value.as_f64().is_none()) {
            return Err(CoreError::new(Code::WrongType, "`inc` needs a number here").at(path.as_str()));
        }
        mutation.inc.insert(path, amount);
    }
    mutation.add = fields.add;
    mutation.remove = fields.remove;
    for path in mutation.add.keys().chain(mutation.remove.keys()) {
        if now(path).is_some_and(|value| value.as_array().is_none()) {
            return Err(CoreError::new(Code::WrongType, "`add` and `remove` need an array here").at(path.as_str()));
        }
    }
    let touched: Vec<Path> = mutation.paths().cloned().collect();
    let mut inverse = Edits { resolves: fields.reopens.clone(), reopens: fields.resolves.clone(), ..Edits::default() };
    mutation.resolves = fields.resolves;
    mutation.reopens = fields.reopens;
    for path in touched {
        let before = now(&path);
        let put = mutation.add.get(&path);
        let (is_put, items) = (put.is_some(), put.or(mutation.remove.get(&path)));
        match (mutation.inc.get(&path), &before) {
            (Some(amount), Some(_)) => {
                inverse.inc.insert(path.clone(), -amount);
            }
            (None, Some(Value::Array(before))) if items.is_some() => {
                let into = if is_put { &mut inverse.remove } else { &mut inverse.add };
                into.insert(path.clone(), those(before, !is_put, items));
            }
            (_, Some(value)) => {
                inverse.set.insert(path.clone(), value.clone());
            }
            (_, None) => inverse.unset.push(path.clone()),
        }
        if let Some(before) = before.filter(|_| !Bug::WasNotSaid.is_planted()) {
            mutation.was.insert(path, before);
        }
    }
    Ok(Op::Patch { c: mutation.collection.clone(), id: mutation.id.clone(), fields: Box::new(inverse) })
}

/// Those items that were there before, or were not: an undo takes out or puts back no others.
fn those(before: &[Value], were: bool, items: Option<&Vec<Value>>) -> Vec<Value> {
    let mut those = items.cloned().unwrap_or_default();
    those.retain(|item| Bug::UndoneWhole.is_planted() || before.contains(item) == were);
    those
}
