//! One entry of the log. Whatever a tab must know to stay correct is one of these.
//!
//! Records of the server's data and records about the queue carry the fence of the tab that wrote them; the fold
//! ignores them when a later leader has spoken (rule 3). A user's mutation and the server's data are never in one
//! record, so that a damaged record of the one kind cannot take the other with it.

use serde::{Deserialize, Serialize};

use crate::clock::Hlc;
use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, Group, MutationId, Owner, ReplicaId};
use crate::json::{self, Fields, JsonLimits, Raw, Value};
use crate::log::adopt::read_tx;
pub use crate::log::adopt::{Adopt, Claim};
use crate::log::codec;
use crate::log::kept::{Evict, Fetched, Replicate, Used};
use crate::model::change::Change;
use crate::model::cursor::Cursor;
use crate::model::schema::{Settings, read_settings};
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
    /// This store is a copy of another: it goes on under a name of its own (rule 8).
    Fork(Fork),
    /// What was written before anybody signed in is a user's from here on.
    Claim(Claim),
    /// Mutations of another store: claimed there, or what it had not got through when it was lost.
    Adopt(Adopt),
    /// Confirmed documents that this device gives up.
    Evict(Evict),
    /// An entity that was asked for by itself.
    Fetched(Box<Fetched>),
    /// Entities that the app has used.
    Used(Used),
    /// How much of the collections is kept from here on.
    Replicate(Replicate),
    /// The last record: a newer release goes on in another database (rule 5). `pkg/src/host/move.ts` writes it.
    Moved,
}

/// Local mutations, named `(key of this record, index)`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Commit {
    /// Their bytes, which travel as they are.
    pub mutations: Vec<Raw>,
    /// Atomic transactions: index of the first member and their number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tx: Vec<(u32, u32)>,
    /// The newest call of the app that is in it, if the app numbers its calls. One tab's calls have one asker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
}

/// A call of the app's: who asked, a random number, and its how-manieth call this is. Who does not know whether a call
/// was stored, because the tab's engine was lost before it could say so, asks for the newest that was: the calls of one
/// asker are stored in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Call(pub u64, pub u64);

impl Call {
    /// Reads it from JSON.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        match value.as_array().map(Vec::as_slice) {
            Some([asker, number]) => Ok(Self(json::number(asker)?, json::number(number)?)),
            _ => Err(CoreError::new(Code::BadMessage, "a call is a pair of whole numbers")),
        }
    }
}

/// Several unsent patches of one entity as one. The survivor keeps its own number.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Coalesce {
    /// The last of them.
    pub survivor: MutationId,
    /// The others; they go up as `void`.
    pub absorbed: Vec<MutationId>,
    /// The survivor's new content.
    pub m: Raw,
}

/// One number given up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Discard {
    /// The mutation or dead letter.
    pub n: MutationId,
    /// Its stamp: in a store that took the place of a lost one it has another number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Hlc>,
    /// Its collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub c: Option<CollectionName>,
    /// Its entity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EntityId>,
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
    /// The server's history that they are of; none: they were made here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
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
    /// Collections that this pull brings whole, to replace what was there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reread: Vec<CollectionName>,
    /// The server's settings, when they came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// The device's raw clock, where it counts when a row came; 0: nobody asks.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub at: u64,
    /// The lines as they came, but for those that are not kept.
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

/// A new replica id. Numbers are names within a replica, so all that is queued is renamed by it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fork {
    /// The writer's fence.
    pub fence: u64,
    /// Random, made here.
    pub id: ReplicaId,
}

impl Record {
    /// The record as stored bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = codec::begin(self.bytes_at_least());
        let kind = match self {
            Self::Commit(body) => write(1, body, &mut out),
            Self::Replica(body) => write(7, body, &mut out),
            Self::Lead => 8,
            Self::Moved => 13,
            other => other.write_rare(&mut out),
        };
        codec::finish(kind, out)
    }

    /// What only a tab that leads writes, and commands; gives its kind.
    #[inline(never)]
    fn write_rare(&self, out: &mut String) -> u8 {
        match self {
            Self::Coalesce(body) => write(2, body, out),
            Self::Discard(body) => write(3, body, out),
            Self::Sent(body) => write(4, body, out),
            Self::Acks(body) => write(5, body, out),
            Self::Changes(body) => write(6, body, out),
            Self::Sealed(body) => write(9, body, out),
            Self::Fork(body) => write(10, body, out),
            Self::Claim(body) => write(11, body, out),
            Self::Adopt(body) => write(12, body, out),
            Self::Evict(body) => write(14, body, out),
            Self::Fetched(body) => write(15, body, out),
            Self::Used(body) => write(16, body, out),
            Self::Replicate(body) => write(17, body, out),
            // The others are written by `encode`.
            Self::Commit(_) | Self::Replica(_) | Self::Lead | Self::Moved => 0,
        }
    }

    /// So that a large body does not grow step by step.
    fn bytes_at_least(&self) -> usize {
        match self {
            Self::Commit(commit) => commit.mutations.iter().map(|m| m.get().len() + 1).sum(),
            Self::Changes(changes) => {
                changes.rows.iter().map(|row| row.doc.as_ref().map_or(0, |doc| doc.get().len())).sum()
            }
            _ => 0,
        }
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// `corrupt`, or `format-newer` for a kind or version of a later release.
    pub fn decode(bytes: &[u8]) -> Result<Self, CoreError> {
        let (kind, body) = codec::decode(bytes)?;
        let (kind, body) = codec::open(kind, body)?;
        Self::read(kind, &body).map_err(|error| match error.code {
            Code::FormatNewer => error,
            _ => error.within(Code::Corrupt, "a log record cannot be read"),
        })
    }

    fn read(kind: u8, body: &[u8]) -> Result<Self, CoreError> {
        let mut mutations = Vec::new();
        let (value, raw) = match kind {
            1 => {
                let (value, items) = with_mutations(body)?;
                mutations = items;
                (value, None)
            }
            6 => json::parse_around(body, "rows")?,
            8 => return Ok(Self::Lead),
            13 => return Ok(Self::Moved),
            2 | 3 | 10.. => return Self::read_rare(kind, body),
            _ => (json::parse(body, JsonLimits::MESSAGE)?, None),
        };
        let fields = Fields::of(&value)?;
        Ok(match kind {
            1 => Self::Commit(Commit {
                mutations,
                tx: fields.list("tx", read_tx)?,
                call: fields.opt("call", Call::read)?,
            }),
            4 => {
                Self::Sent(Sent { fence: fields.number("fence")?, through: MutationId::read(fields.need("through")?)? })
            }
            5 => Self::Acks(Acks {
                fence: fields.number("fence")?,
                at: fields.number("at")?,
                verdicts: fields.list("verdicts", VerdictItem::read)?,
                history: fields.opt_text("history")?,
            }),
            6 => Self::Changes(Box::new(Changes::read(&fields, raw.unwrap_or_default())?)),
            7 => Self::Replica(Replica {
                id: ReplicaId::read(fields.need("id")?)?,
                owner: fields.opt("owner", Owner::read)?,
            }),
            9 => Self::Sealed(Sealed { upto: fields.number("upto")? }),
            _ => return Err(newer()),
        })
    }

    /// What is rare in a log: folding it needs more than the first part of the module, too.
    #[inline(never)]
    fn read_rare(kind: u8, body: &[u8]) -> Result<Self, CoreError> {
        let mut mutations = Vec::new();
        let (value, raw) = match kind {
            2 => json::parse_around(body, "m")?,
            12 => {
                let (value, items) = with_mutations(body)?;
                mutations = items;
                (value, None)
            }
            15 => json::parse_around(body, "row")?,
            18.. => return Err(newer()),
            _ => (json::parse(body, JsonLimits::MESSAGE)?, None),
        };
        let fields = Fields::of(&value)?;
        Ok(match kind {
            2 => Self::Coalesce(Coalesce {
                survivor: MutationId::read(fields.need("survivor")?)?,
                absorbed: fields.list("absorbed", MutationId::read)?,
                m: Raw::trusted(raw.ok_or_else(|| CoreError::new(Code::BadMessage, "no edit"))?),
            }),
            3 => Self::Discard(Discard {
                n: MutationId::read(fields.need("n")?)?,
                at: fields.opt("at", Hlc::read)?,
                c: fields.opt("c", CollectionName::read)?,
                id: fields.opt("id", EntityId::read)?,
            }),
            10 => Self::Fork(Fork { fence: fields.number("fence")?, id: ReplicaId::read(fields.need("id")?)? }),
            11 => Self::Claim(Claim::read(&fields)?),
            12 => Self::Adopt(Adopt::read(&fields, mutations)?),
            14 => Self::Evict(Evict::read(&fields)?),
            15 => Self::Fetched(Box::new(Fetched::read(&fields, raw.unwrap_or_default())?)),
            16 => Self::Used(Used::read(&fields)?),
            17 => Self::Replicate(Replicate::read(&fields)?),
            _ => return Err(newer()),
        })
    }

    /// The fence of the tab that wrote it, for records that only a leader writes.
    pub fn fence(&self) -> Option<u64> {
        match self {
            Self::Sent(Sent { fence, .. }) | Self::Acks(Acks { fence, .. }) | Self::Fork(Fork { fence, .. }) => {
                Some(*fence)
            }
            Self::Changes(changes) => Some(changes.fence),
            // Any tab says what went for room, when it is gone.
            Self::Evict(Evict { upto, .. }) if *upto > 0 => None,
            Self::Evict(Evict { fence, .. }) | Self::Replicate(Replicate { fence, .. }) => Some(*fence),
            Self::Fetched(fetched) => Some(fetched.fence),
            _ => None,
        }
    }
}

/// What stands around the mutations, and these: they share the text of the record.
fn with_mutations(body: &[u8]) -> Result<(Value, Vec<Raw>), CoreError> {
    let text = str::from_utf8(body).map_err(|_| CoreError::new(Code::BadJson, "this record is no text"))?;
    let text = Raw::trusted(text);
    let (value, items) = json::around_list(text.get(), "mutations")?;
    let mutations = items.into_iter().map(|item| text.within(item)).collect();
    Ok((value, mutations))
}

impl Changes {
    fn read(fields: &Fields<'_>, rows: &str) -> Result<Self, CoreError> {
        Ok(Self {
            fence: fields.number("fence")?,
            cursor: fields.opt("cursor", Cursor::read)?,
            staged: fields.flag("staged")?,
            done: fields.flag("done")?,
            reset: fields.flag("reset")?,
            forget_groups: fields.list("forget_groups", Group::read)?,
            forget_collections: fields.list("forget_collections", CollectionName::read)?,
            reread: fields.list("reread", CollectionName::read)?,
            settings: if fields.get("settings").is_some() { Some(read_settings(fields, "settings")?) } else { None },
            at: fields.number_or("at", 0)?,
            rows: Change::read_all(rows)?,
        })
    }
}

pub(crate) fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn write(kind: u8, body: &impl Serialize, out: &mut String) -> u8 {
    json::write_into(body, out);
    kind
}

fn newer() -> CoreError {
    CoreError::new(Code::FormatNewer, "a newer release wrote this store: reload the page")
}
