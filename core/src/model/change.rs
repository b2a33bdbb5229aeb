//! One entity's latest state, as it travels and as the log keeps it.

use serde::{Deserialize, Serialize};

use crate::error::CoreError;
use crate::ids::{CollectionName, EntityId, Group, ReplicaId, Rev};
use crate::json::{self, Fields, Raw, Value};
use crate::model::path::Path;
use crate::small::SmallMap;

/// One entity's latest state, as a line of a pull or in a live frame. `id` stands first in the line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Change {
    /// The entity.
    pub id: EntityId,
    /// Its collection.
    pub c: CollectionName,
    /// Its revision.
    pub rev: Rev,
    /// When its newest field was written, by the server's clock, in milliseconds since 1970.
    #[serde(default)]
    pub at: u64,
    /// The replica that made this revision: one's own echo raises no event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ReplicaId>,
    /// The reader's groups that hold it (rule 26). Empty: the reader may no longer see it, and erases it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub g: Vec<Group>,
    /// The document without its id. Absent: deleted, or no longer visible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc: Option<Raw>,
    /// On the live channel alone, and in place of the document: what is different from a revision that the reader has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<Box<Delta>>,
    /// In a device's log alone: the entity is there, and is not kept on this device.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub evicted: bool,
}

/// The changed fields of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    /// The revision that they change. A reader who has another one pulls.
    pub was: Rev,
    /// New values.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub set: SmallMap<Path, Value>,
    /// Fields that are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<Path>,
}

impl Delta {
    fn read(value: &Value) -> Result<Box<Self>, CoreError> {
        let fields = Fields::of(value)?;
        let mut set = SmallMap::new();
        for (path, value) in fields.entries("set")? {
            set.insert(Path::parse(path)?, value.clone());
        }
        Ok(Box::new(Self { was: fields.number("was")?, set, unset: fields.list("unset", Path::read)? }))
    }
}

impl Change {
    /// Reads an array of lines.
    ///
    /// # Errors
    /// As [`Change::read`].
    pub fn read_all(text: &str) -> Result<Vec<Self>, CoreError> {
        let mut rows = Vec::new();
        for line in json::items(text)? {
            rows.push(Self::read(line.as_bytes())?);
        }
        Ok(rows)
    }

    /// Reads a line.
    ///
    /// # Errors
    /// `bad-message`, `bad-name` or `bad-json`.
    pub fn read(line: &[u8]) -> Result<Self, CoreError> {
        let (head, doc) = json::parse_around(line, "doc")?;
        let fields = Fields::of(&head)?;
        Ok(Self {
            id: EntityId::read(fields.need("id")?)?,
            c: CollectionName::read(fields.need("c")?)?,
            rev: fields.number("rev")?,
            at: fields.number_or("at", 0)?,
            by: fields.opt("by", ReplicaId::read)?,
            g: fields.list("g", Group::read)?,
            doc: doc.filter(|doc| *doc != "null").map(Raw::trusted),
            delta: fields.opt("delta", Delta::read)?,
            evicted: fields.flag("evicted")?,
        })
    }
}
