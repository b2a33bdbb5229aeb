//! One entry of the log. Whatever a tab must know to stay correct is one of these.
//!
//! Records of the server's data and records about the queue carry the fence of the tab that wrote them; the fold
//! ignores them when a later leader has spoken (rule 3). A user's mutation and the server's data are never in one
//! record, so that a damaged record of the one kind cannot take the other with it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, Group, MutationId, Owner, ReplicaId};
use crate::log::codec;
use crate::model::change::Change;
use crate::model::cursor::Cursor;
use crate::model::schema::Settings;
use crate::model::verdict::VerdictItem;

/// What happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Record {
    /// Local mutations of one tick.
    Commit(Commit),
    /// Edits that became one, unless one of them was sent before.
    Coalesce(Coalesce),
    /// The user gave up a mutation or a dead letter.
    Discard(Discard),
    /// Everything up to a number may have left the device.
    Sent(Sent),
    /// What the server decided.
    Acks(Acks),
    /// The server's data and the cursor that it brings us to.
    Changes(Box<Changes>),
    /// Who this store is.
    Replica(Replica),
    /// A tab took the lead: the record's own key is its fence.
    Lead,
    /// Everything up to a key is in segments.
    Sealed(Sealed),
}

/// Local mutations, named `(key of this record, index)`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Commit {
    /// Their bytes, which travel as they are.
    pub mutations: Vec<Box<RawValue>>,
    /// Atomic transactions: index of the first member and their number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tx: Vec<(u32, u32)>,
}

/// Several unsent patches of one entity as one. The survivor keeps its own number.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Coalesce {
    /// The last of them.
    pub survivor: MutationId,
    /// The others; they go up as `void`.
    pub absorbed: Vec<MutationId>,
    /// The survivor's new content.
    pub m: Box<RawValue>,
}

/// One number given up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Discard {
    /// The mutation or dead letter.
    pub n: MutationId,
}

/// A push is about to leave.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sent {
    /// The sender's fence.
    pub fence: u64,
    /// The highest number in it.
    pub through: MutationId,
}

/// Verdicts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Acks {
    /// The writer's fence.
    pub fence: u64,
    /// The device's raw clock, in milliseconds since 1970.
    pub at: u64,
    /// What was decided.
    pub verdicts: Vec<VerdictItem>,
}

/// Server data. Several records of one transaction of the store form one step: all but the last have no cursor.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Changes {
    /// The writer's fence.
    pub fence: u64,
    /// Where this leads; `None`: more of the same step follows in the next record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// Not shown before the pull is done (rule 22).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub staged: bool,
    /// The pull is done: everything staged is shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub done: bool,
    /// This pull replaces what was there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reset: bool,
    /// Groups that the user may no longer see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forget_groups: Vec<Group>,
    /// Collections that are no longer read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forget_collections: Vec<CollectionName>,
    /// The server's settings, when they came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// The lines as they came.
    pub rows: Vec<Change>,
}

/// The store's identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Replica {
    /// Random, made here.
    pub id: ReplicaId,
    /// Whom it belongs to, once a server said so (rule 9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// The log was turned into segments.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sealed {
    /// The last key that they hold.
    pub upto: u64,
}

impl Record {
    /// The record as stored bytes.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, body) = match self {
            Self::Commit(body) => (1, serde_json::to_vec(body)),
            Self::Coalesce(body) => (2, serde_json::to_vec(body)),
            Self::Discard(body) => (3, serde_json::to_vec(body)),
            Self::Sent(body) => (4, serde_json::to_vec(body)),
            Self::Acks(body) => (5, serde_json::to_vec(body)),
            Self::Changes(body) => (6, serde_json::to_vec(body)),
            Self::Replica(body) => (7, serde_json::to_vec(body)),
            Self::Lead => (8, Ok(Vec::new())),
            Self::Sealed(body) => (9, serde_json::to_vec(body)),
        };
        // Maps with string keys and numbers only: serialising these cannot fail.
        codec::encode(kind, &body.unwrap_or_default())
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// `corrupt`, or `format-newer` for a kind or version of a later release.
    pub fn decode(bytes: &[u8]) -> Result<Self, CoreError> {
        fn body<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CoreError> {
            serde_json::from_slice(bytes)
                .map_err(|error| CoreError::new(Code::Corrupt, format!("a log record cannot be read: {error}")))
        }
        let (kind, bytes) = codec::decode(bytes)?;
        Ok(match kind {
            1 => Self::Commit(body(bytes)?),
            2 => Self::Coalesce(body(bytes)?),
            3 => Self::Discard(body(bytes)?),
            4 => Self::Sent(body(bytes)?),
            5 => Self::Acks(body(bytes)?),
            6 => Self::Changes(Box::new(body(bytes)?)),
            7 => Self::Replica(body(bytes)?),
            8 => Self::Lead,
            9 => Self::Sealed(body(bytes)?),
            _ => return Err(CoreError::new(Code::FormatNewer, "a newer release wrote this store: reload the page")),
        })
    }

    /// The fence of the tab that wrote it, for records that only a leader writes.
    pub fn fence(&self) -> Option<u64> {
        match self {
            Self::Sent(Sent { fence, .. }) | Self::Acks(Acks { fence, .. }) => Some(*fence),
            Self::Changes(changes) => Some(changes.fence),
            _ => None,
        }
    }
}
