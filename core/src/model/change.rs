//! One entity's latest state, as it travels and as the log keeps it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::ids::{CollectionName, EntityId, Group, ReplicaId, Rev};

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
    pub doc: Option<Box<RawValue>>,
}
