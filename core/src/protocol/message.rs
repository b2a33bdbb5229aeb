//! The bodies of `push` and `pull` and the messages of the live channel. `docs/PROTOCOL.md` has them with examples.
//!
//! Unknown fields are ignored, so that a newer peer can add to a message; what changes a meaning raises [`VERSION`].

use crate::json::{Map, Raw};
use serde::{Deserialize, Serialize};

use crate::clock::Hlc;
use crate::error::Code;
use crate::ids::{CollectionName, EntityId, Group, MutationId, Owner, ReplicaId, Rev, Seq};
use crate::model::migration::FIRST;
use crate::model::schema::Settings;

pub use crate::model::change::Change;
pub use crate::model::cursor::{Cursor, Scope};
pub use crate::model::verdict::{HeldReason, Overwritten, Verdict, VerdictItem};

/// The version of the protocol that this release speaks.
pub const VERSION: u32 = 1;

/// `POST push`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Push {
    /// [`VERSION`].
    pub v: u32,
    /// The sender's store.
    pub replica: ReplicaId,
    /// Whom the store belongs to, once known: another user's token on it is `wrong-user` (rule 9).
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The server's history as the sender knows it: another one answers `history-changed` (rule 24).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    /// The sender's fence (rule 12).
    pub fence: u64,
    /// The version of the app's schema that the sender has; its mutations say under which each was written.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub schema: u64,
    /// Every verdict below this number is durable at the sender (rule 6).
    pub floor: MutationId,
    /// The sender's raw clock now, in milliseconds since 1970 (rule 20).
    pub now: u64,
    /// What the server's clock shows now, if the sender knows it from earlier exchanges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<u64>,
    /// In the order of their numbers.
    pub mutations: Vec<PushItem>,
}

fn first() -> u64 {
    FIRST
}

fn is_first(schema: &u64) -> bool {
    *schema == FIRST
}

/// One mutation in a push.
#[derive(Debug, Serialize, Deserialize)]
pub struct PushItem {
    /// Its number.
    pub n: MutationId,
    /// The number of its transaction's first member, if it is in one. Members stand side by side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx: Option<MutationId>,
    /// The mutation's bytes as the log has them; left out in a `void`, which says that this number will never carry
    /// content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub m: Option<Raw>,
    /// Of a `void`: when the edit was made that had this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Hlc>,
    /// Its `base` is a revision of another history of the server, and counts as 0 (rule 24).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub old: bool,
}

/// The answer to a push: one verdict per item, in the same order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PushAnswer {
    /// [`VERSION`].
    pub v: u32,
    /// The server's clock, in milliseconds since 1970.
    pub now: u64,
    /// Whom the token spoke for.
    pub user: Owner,
    /// Same digest, other digest or unknown for each `n`: then nothing was applied (rule 8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked: Option<Vec<ForkedItem>>,
    /// In the order of the items.
    #[serde(default)]
    pub verdicts: Vec<VerdictItem>,
    /// The server's history, where the push named none: the sender has no cursor yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
}

/// What the server knows of one number when a push is `forked`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForkedItem {
    /// The number.
    pub n: MutationId,
    /// Present: the same content was decided so. Absent: other content, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same: Option<Verdict>,
    /// Whether other content was decided under this number.
    #[serde(default)]
    pub differs: bool,
}

/// `POST pull`. The answer is a stream of lines: [`PullHeader`], then [`Change`]s with a [`Checkpoint`] from time
/// to time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pull {
    /// [`VERSION`].
    pub v: u32,
    /// The reader's store.
    pub replica: ReplicaId,
    /// Whom the store belongs to, once known.
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Where to go on; absent for the first sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// What to read.
    pub collections: Vec<CollectionName>,
    /// Asks for the digests of the collections (rule 25).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verify: bool,
    /// Collections to read from the start, to replace what the reader has of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reread: Vec<CollectionName>,
    /// As in a push: the sender knows every verdict below it. A push that leaves later may arrive before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<MutationId>,
    /// The sender's raw clock now.
    pub now: u64,
}

/// A mutation of the reader's own store that took effect just as it was written: what it did is in what the reader is
/// sent, perhaps before the answer to its push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Its number.
    pub n: MutationId,
    /// The digest of its content, in decimal: a copy of the store may have another one under this number.
    pub digest: String,
    /// The revision that it made.
    pub rev: Rev,
}

impl Applied {
    /// What is told of a decision, with the digest that was kept with it; of one that says more, only its push's
    /// answer tells.
    pub fn of(n: MutationId, digest: Option<u64>, verdict: &Verdict) -> Option<Self> {
        Some(Self { n, digest: digest?.to_string(), rev: verdict.plain_rev()? })
    }
}

/// The first line of a pull's answer: `{"pull":{…}}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PullHeader {
    /// [`VERSION`].
    pub v: u32,
    /// The server's clock.
    pub now: u64,
    /// Whom the token spoke for.
    pub user: Owner,
    /// The cursor that this stream starts from: the request's, or none after a reset or at a first sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Cursor>,
    /// The request's cursor cannot be continued: everything is sent again and replaces what the client has at
    /// `done` (rule 22).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reset: bool,
    /// Groups and collections that the reader may no longer see (rule 26).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forget_groups: Vec<Group>,
    /// Collections that the reader no longer reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forget_collections: Vec<CollectionName>,
    /// Collections that come whole: at `done` they replace what the client has of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reread: Vec<CollectionName>,
    /// What was applied of the request's `floor` and above, newest first, at most
    /// [`APPLIED_MAX`](crate::limits::APPLIED_MAX).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applied: Vec<Applied>,
    /// How many changes will come, about.
    pub total: u64,
    /// The server's settings (design §5).
    pub settings: Settings,
}

/// A checkpoint line: `{"cursor":{…},"after":…,"done":false}`. It never stands inside a transaction (rule 22).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Everything up to here was sent.
    pub cursor: Cursor,
    /// The checkpoint before this one (rule 21).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Cursor>,
    /// Nothing is above this cursor in the snapshot that was read.
    pub done: bool,
    /// With `done`, if asked for: what the reader's collections come to at this cursor (rule 25).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub digests: Map,
}

/// What a client says on the live channel.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "lowercase")]
pub enum ClientMessage {
    /// Must be the first.
    Auth {
        /// [`VERSION`].
        v: u32,
        /// The bearer token.
        token: String,
        /// The sender's store.
        replica: ReplicaId,
        /// Whom the store belongs to, once known.
        #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
        /// What to send: nothing else is.
        collections: Vec<CollectionName>,
        /// Only these entities, if given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ids: Option<Vec<EntityId>>,
        /// Collections of which changed fields will do.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        deltas: Vec<CollectionName>,
    },
    /// A fresh token for the same user.
    Token {
        /// The bearer token.
        token: String,
    },
    /// A [`Push`] in `body`, which is read apart: its mutations count as the very text that they are.
    Push {
        /// The answer repeats it.
        id: u64,
    },
    /// Asks for a pong.
    Ping,
    /// Answers a ping.
    Pong,
}

/// What the server says on the live channel. A client reads it with [`Live::read`](super::read::Live::read), which
/// leaves the documents as they are.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "t", rename_all = "lowercase")]
pub enum ServerMessage {
    /// Authenticated; frames follow that chain from this cursor.
    Ready {
        /// The server's clock.
        now: u64,
        /// Whom the token spoke for.
        user: Owner,
        /// Where the frames start: a client that stands elsewhere pulls.
        cursor: Cursor,
        /// Messages of up to so many bytes may be pushes; left out: none.
        #[serde(skip_serializing_if = "Option::is_none")]
        push_bytes: Option<usize>,
    },
    /// Changes of one or more transactions, none of them cut.
    Frame {
        /// The cursor that this frame continues (rule 21).
        after: Cursor,
        /// Where it leads.
        cursor: Cursor,
        /// What of it the reader's own store did.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        applied: Vec<Applied>,
        /// What changed.
        changes: Vec<Change>,
    },
    /// There is more than fits a frame: pull.
    Pull,
    /// What `POST push` would answer.
    Answer {
        /// That of the push.
        id: u64,
        /// As of HTTP.
        status: u16,
        /// Seconds to wait before it is sent again.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
        /// The answer or the refusal.
        body: AnswerBody,
    },
    /// Asks for a pong.
    Ping,
    /// Answers a ping.
    Pong {
        /// Up to where frames were sent: who stands below it has missed one.
        seq: Seq,
    },
    /// The reason of the close that follows.
    Error {
        /// Why.
        code: Code,
        /// What to do.
        message: String,
    },
}

/// What stands in an answer on the live channel.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum AnswerBody {
    /// With the status 200.
    Push(PushAnswer),
    /// With every other one.
    Error(ErrorBody),
}

/// The body of every answer that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Why.
    pub code: Code,
    /// What to do.
    pub message: String,
    /// Which field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}
