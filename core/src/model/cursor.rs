//! How far a client has read, and of what.

use serde::{Deserialize, Serialize};

use crate::error::CoreError;
use crate::ids::{CollectionName, Group, Seq};
use crate::json::{Fields, Value};

/// How far a client has read, and of what (rules 23, 24). The client treats it as opaque but for equality and `seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The server's history; a restored server begins another.
    pub history: String,
    /// Everything up to here was read.
    pub seq: Seq,
    /// Random per commit: recognises a history that was cut and went on.
    pub mark: String,
    /// What the reader could see.
    pub scope: Scope,
}

impl Cursor {
    /// Reads it from JSON.
    ///
    /// # Errors
    /// `bad-message` or `bad-name`.
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        let scope = Fields::of(fields.need("scope")?)?;
        Ok(Self {
            history: fields.text("history")?.to_owned(),
            seq: fields.number("seq")?,
            mark: fields.text("mark")?.to_owned(),
            scope: Scope {
                groups: scope.list("groups", Group::read)?,
                collections: scope.list("collections", CollectionName::read)?,
                policy: scope.text("policy")?.to_owned(),
            },
        })
    }

    /// Whether everything up to `other` was read.
    pub fn reaches(&self, other: &Cursor) -> bool {
        self.history == other.history && self.scope == other.scope && self.seq >= other.seq
    }
}

/// What a cursor covers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scope {
    /// Sorted.
    pub groups: Vec<Group>,
    /// Sorted.
    pub collections: Vec<CollectionName>,
    /// Changes when the server's policy does.
    pub policy: String,
}
