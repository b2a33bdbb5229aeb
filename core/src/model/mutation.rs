//! One client's edit of one entity: what it sets, what stood there before, and when it was made.
//!
//! A mutation never changes once it was sent (rule 3), so it travels and is digested as the very bytes that its log
//! record holds. Its number is not in it: that is the key of the record, which is known only after the append.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh64::xxh64;

use crate::clock::Hlc;
use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, MutationId, Rev};
use crate::json::{self, Fields, JsonLimits, Value};
use crate::limits::{CONFLICTS_OPEN_MAX, DEPTH_MAX, TRANSACTION_BYTES_MAX};
use crate::model::document::{self, Step};
use crate::model::migration::FIRST;
use crate::model::origin;
use crate::model::path::Path;
use crate::small::SmallMap;

/// What a mutation does to its entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Makes the entity: the document is in `set`, one entry for each top-level field.
    Insert,
    /// Changes fields of an entity that exists.
    Patch,
    /// Removes the entity.
    Delete,
}

/// The content of one edit.
///
/// A path that it touches and that is missing from `was` was absent in the author's view: absence is a value (rule 13).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mutation {
    /// The collection.
    #[serde(rename = "c")]
    pub collection: CollectionName,
    /// The entity.
    pub id: EntityId,
    /// Insert, patch or delete.
    pub kind: Kind,
    /// The version of the app's schema that it was written under.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub schema: u64,
    /// The confirmed revision in the author's view, by rule 13; 0 for an entity that the author had not seen.
    #[serde(rename = "base")]
    pub base_rev: Rev,
    /// Of a delete: everything up to here was in the author's view. What hangs on the entity and is newer is concurrent
    /// (rule 31). Left out: `base`.
    /// Read by the server alone, which sets it (`authority::item`): it is not in a device's download.
    #[serde(skip)]
    pub seen: Option<Rev>,
    /// Its paths may have had other names when it was written: `was` alone says what its author saw. The server's own
    /// as well (`authority::item`, `authority::upcast`).
    #[serde(skip)]
    pub brought: bool,
    /// Refuse the edit with `stale-rev` unless the entity stands at this revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_rev: Option<Rev>,
    /// New values by path. For an insert: one entry for each top-level field.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub set: SmallMap<Path, Value>,
    /// Paths to remove.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<Path>,
    /// Amounts to add to numbers.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub inc: SmallMap<Path, f64>,
    /// Items to add to an array, each unless an equal one is there.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub add: SmallMap<Path, Vec<Value>>,
    /// Items to remove from an array.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub remove: SmallMap<Path, Vec<Value>>,
    /// The author's values before the edit, for each touched path that existed. Of a delete: every top-level field,
    /// so that a chain of one's own edits is not taken for a concurrent one (rule 13).
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub was: SmallMap<Path, Value>,
    /// Conflicts of this entity that the author settles with this edit: what they hold waits no more. Paths of theirs
    /// that the edit does not write keep what stands there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolves: Vec<EntityId>,
    /// Conflicts of this entity that wait again: the undo of `resolves`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reopens: Vec<EntityId>,
    /// It holds what earlier edits wrote as well, which are void (rule 3). Its stamp is its own, as before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub joined: bool,
    /// When it was made, by the author's raw clock; never changed afterwards (rule 20).
    pub at: Hlc,
    /// Whether the author knew the offset to the server's clock when this was made (rule 20).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub synced_clock: bool,
    /// The mutation that this one tries again (rule 7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<MutationId>,
}

/// What an edit does, by path: in a mutation, and as the app calls it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct PathLists {
    pub(crate) set: SmallMap<Path, Value>,
    pub(crate) unset: Vec<Path>,
    pub(crate) inc: SmallMap<Path, f64>,
    pub(crate) add: SmallMap<Path, Vec<Value>>,
    pub(crate) remove: SmallMap<Path, Vec<Value>>,
}

impl PathLists {
    pub(crate) fn read(fields: &Fields<'_>) -> Result<Self, CoreError> {
        let mut lists = Self { unset: fields.list("unset", Path::read)?, ..Self::default() };
        for (path, value) in fields.entries("set")? {
            lists.set.insert(Path::parse(path)?, value.clone());
        }
        for (path, value) in fields.entries("inc")? {
            let amount = value.as_f64().ok_or_else(|| CoreError::new(Code::BadMessage, "`inc` needs numbers"))?;
            lists.inc.insert(Path::parse(path)?, amount);
        }
        for (key, map) in [("add", &mut lists.add), ("remove", &mut lists.remove)] {
            for (path, value) in fields.entries(key)? {
                map.insert(Path::parse(path)?, json::list(value, |item| Ok(item.clone()))?);
            }
        }
        Ok(lists)
    }
}

impl Kind {
    pub(super) fn read(value: &Value) -> Result<Self, CoreError> {
        Self::of(json::text(value)?)
    }

    pub(super) fn of(name: &str) -> Result<Self, CoreError> {
        Ok(match name {
            "insert" => Self::Insert,
            "patch" => Self::Patch,
            "delete" => Self::Delete,
            _ => return Err(CoreError::new(Code::BadMessage, "this is of a later release")),
        })
    }
}

fn first() -> u64 {
    FIRST
}

fn is_first(schema: &u64) -> bool {
    *schema == FIRST
}

/// The mutation's wrapper around a document: itself, `set`, and one array around items to add.
const ENVELOPE_DEPTH: usize = 3;

impl Mutation {
    /// A patch that changes nothing yet.
    pub fn empty(collection: CollectionName, id: EntityId, at: Hlc) -> Self {
        Self {
            kind: Kind::Patch,
            schema: FIRST,
            base_rev: 0,
            seen: None,
            brought: false,
            if_rev: None,
            set: SmallMap::new(),
            unset: Vec::new(),
            inc: SmallMap::new(),
            add: SmallMap::new(),
            remove: SmallMap::new(),
            was: SmallMap::new(),
            resolves: Vec::new(),
            reopens: Vec::new(),
            joined: false,
            at,
            synced_clock: false,
            retry_of: None,
            collection,
            id,
        }
    }

    /// Reads a mutation as a log record or a push carries it, and checks it.
    ///
    /// # Errors
    /// Those of [`json::parse`] and [`Mutation::check`]; `bad-mutation` where a field is missing or of another type.
    pub fn parse(raw: &[u8]) -> Result<Self, CoreError> {
        let limits = JsonLimits { bytes: TRANSACTION_BYTES_MAX, depth: DEPTH_MAX + ENVELOPE_DEPTH };
        let mut value = json::parse(raw, limits)?;
        // Most of an edit is what it sets: that is moved, not copied.
        let set = value.as_object_mut().and_then(|fields| fields.remove("set"));
        let mutation = Self::read(&value, set.unwrap_or_default()).map_err(|mut error| {
            if error.code == Code::BadMessage {
                error.code = Code::BadMutation;
            }
            error
        })?;
        mutation.check()?;
        Ok(mutation)
    }

    /// `set` was taken out of it.
    fn read(value: &Value, set: Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        let mut lists = PathLists::read(&fields)?;
        if let Value::Object(entries) = set {
            for (path, value) in entries {
                lists.set.insert(Path::parse(&path)?, value);
            }
        } else if !set.is_null() {
            Fields::of(&set)?;
        }
        let mut was = SmallMap::new();
        for (path, value) in fields.entries("was")? {
            was.insert(Path::parse(path)?, value.clone());
        }
        Ok(Self {
            collection: CollectionName::read(fields.need("c")?)?,
            id: EntityId::read(fields.need("id")?)?,
            kind: Kind::read(fields.need("kind")?)?,
            schema: fields.number_or("schema", FIRST)?,
            base_rev: fields.number("base")?,
            seen: None,
            brought: false,
            if_rev: fields.opt("if_rev", json::number)?,
            set: lists.set,
            unset: lists.unset,
            inc: lists.inc,
            add: lists.add,
            remove: lists.remove,
            was,
            resolves: fields.list("resolves", EntityId::read)?,
            reopens: fields.list("reopens", EntityId::read)?,
            joined: fields.flag("joined")?,
            at: Hlc::read(fields.need("at")?)?,
            synced_clock: fields.flag("synced_clock")?,
            retry_of: fields.opt("retry_of", MutationId::read)?,
        })
    }

    /// The digest by which both ends know the content of a number again (rules 6 and 8): of the very bytes, xxh64, or
    /// of what they were made of.
    pub fn digest(raw: &[u8]) -> u64 {
        origin::read(raw).unwrap_or_else(|| xxh64(raw, 0))
    }

    /// The entity that it is about.
    pub fn target(&self) -> (CollectionName, EntityId) {
        (self.collection.clone(), self.id.clone())
    }

    /// The paths that it touches.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        document::steps(self).map(|(path, _)| path)
    }

    /// Whether it is one edit that can be carried out.
    ///
    /// # Errors
    /// `bad-mutation`, `bad-path`, `too-deep`, `too-large` or `forbidden-key`, with the path.
    pub fn check(&self) -> Result<(), CoreError> {
        let bad = |message: &'static str| Err(CoreError::new(Code::BadMutation, message));
        let operators = self.inc.len() + self.add.len() + self.remove.len();
        match self.kind {
            Kind::Insert if !self.unset.is_empty() || operators > 0 => {
                return bad("an insert has `set` only");
            }
            Kind::Insert if self.set.keys().any(|path| path.depth() != 1) => {
                return bad("an insert sets top-level fields only");
            }
            Kind::Delete if !self.set.is_empty() || !self.unset.is_empty() || operators > 0 => {
                return bad("a delete touches no path");
            }
            _ => {}
        }
        if let Some((path, _)) = self.inc.iter().find(|(_, by)| !by.is_finite()) {
            // Without the value: writing a float as text costs kilobytes (see `health`).
            return Err(CoreError::new(Code::BadMutation, "an amount is a finite number").at(path.as_str()));
        }
        if self.resolves.len() + self.reopens.len() > CONFLICTS_OPEN_MAX {
            return bad("too many conflicts in one edit");
        }
        self.check_overlap()?;
        self.check_values()
    }

    /// Refuses two paths of which one lies in the other (rule 14), and the id, which is no field.
    fn check_overlap(&self) -> Result<(), CoreError> {
        let mut paths: Vec<&Path> = self.paths().collect();
        // An insert's paths are the keys of one map, and none leads into another.
        if self.kind != Kind::Insert {
            // As if `/` came before every other character: then what a path covers stands right behind it.
            let rank = |byte| if byte == b'/' { 0 } else { u16::from(byte) + 1 };
            paths.sort_unstable_by(|a, b| a.as_str().bytes().map(rank).cmp(b.as_str().bytes().map(rank)));
        }
        for (path, next) in paths.iter().zip(paths.iter().skip(1)) {
            if path.covers(next) {
                return Err(CoreError::new(Code::BadPath, "one edit touches this path twice").at(next.as_str()));
            }
        }
        match paths.iter().find(|path| path.as_str() == "/id" || path.as_str().starts_with("/id/")) {
            Some(path) => Err(CoreError::new(Code::BadPath, "the id cannot be edited").at(path.as_str())),
            None => Ok(()),
        }
    }

    fn check_values(&self) -> Result<(), CoreError> {
        for (path, step) in document::steps(self) {
            let depth_left = || DEPTH_MAX.saturating_sub(path.depth());
            let at = |error: CoreError| error.at(path.as_str());
            match step {
                Step::Set(value) => {
                    json::check(value, depth_left()).map_err(at)?;
                    // Each leaf needs a path of its own, within the length of one.
                    if value.as_object().is_some() {
                        document::leaves(Some(path), value)?;
                    }
                }
                Step::Add(items) | Step::Remove(items) => {
                    for item in items {
                        json::check(item, depth_left().saturating_sub(1)).map_err(at)?;
                    }
                }
                Step::Unset | Step::Inc(_) => {}
            }
        }
        self.was.iter().try_for_each(|(path, value)| json::check(value, DEPTH_MAX.saturating_sub(path.depth())))
    }
}
