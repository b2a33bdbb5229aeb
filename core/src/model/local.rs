//! Fields that never leave the device.
//!
//! What they hold stands apart from the entity: as an entity of the same id in a collection of its own, `$local.` and
//! the name. That collection is in no cursor, no digest and no push, because nothing but the fold of a commit writes
//! it. Edits of it travel nowhere: they are folded when they are read.

use crate::error::{Code, CoreError};
use crate::ids::CollectionName;
use crate::json::{Map, Value};
use crate::model::document;
use crate::model::mutation::{Kind, Mutation};
use crate::model::path::Path;

/// The local fields of a collection.
#[derive(Debug, Clone)]
pub struct Local {
    /// Where they stand.
    pub collection: CollectionName,
    /// Which; none lies in another.
    pub paths: Vec<Path>,
}

impl Local {
    /// The local fields of a collection.
    ///
    /// # Errors
    /// `bad-config` for the id.
    pub fn new(collection: &CollectionName, paths: Vec<Path>) -> Result<Self, CoreError> {
        if paths.iter().any(|path| path.top() == "/id") {
            return Err(CoreError::new(Code::BadConfig, "the id cannot be local"));
        }
        let mut outermost: Vec<Path> = Vec::new();
        for path in &paths {
            let is_inner = paths.iter().any(|other| other != path && other.covers(path));
            if !is_inner && !outermost.contains(path) {
                outermost.push(path.clone());
            }
        }
        Ok(Self { collection: collection.local(), paths: outermost })
    }

    /// Whether a path is a local field, or lies in one.
    pub fn has(&self, path: &Path) -> bool {
        self.paths.iter().any(|local| local.covers(path))
    }

    /// Takes the local fields out of a document.
    pub fn take(&self, doc: &mut Value) -> Value {
        let mut own = Value::Object(Map::new());
        for path in &self.paths {
            if let Some(value) = document::remove(doc, path) {
                document::set(&mut own, path, value);
            }
        }
        own
    }

    /// Puts what this device has over a document. What does not fit there is left out.
    pub fn lay(&self, own: &Value, doc: &mut Value) {
        for path in &self.paths {
            if let Some(value) = document::get(own, path) {
                document::set(doc, path, value.clone());
            }
        }
    }
}

/// What an edit makes of the local fields of an entity; `None`: it has none.
#[inline(never)]
pub fn apply(own: Option<Value>, mutation: &Mutation) -> Option<Value> {
    let before = match mutation.kind {
        // Whatever an entity of this id has left behind, a new one begins with its own.
        Kind::Insert => None,
        _ => Some(own.unwrap_or_else(|| Value::Object(Map::new()))),
    };
    document::replay(before, mutation).filter(|doc| doc.as_object().is_some_and(|fields| !fields.is_empty()))
}
