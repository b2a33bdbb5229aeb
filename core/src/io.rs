//! The whole boundary between the engine and a shell, on one screen.
//!
//! A shell carries out each [`Output`] and answers with an [`Input`]. Tokens tie answers to requests; an answer to
//! a token that the engine no longer waits for is ignored.

#![allow(missing_docs, reason = "the fields of the enums below are named in the line above each")]

use std::rc::Rc;

use crate::error::{Code, CoreError};
use crate::json::Value;

/// The two clocks, read by the shell at each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970, by a clock that may jump.
    pub wall_ms: u64,
    /// Milliseconds by a clock that only goes forward.
    pub mono_ms: u64,
}

/// Ties an answer to its request.
pub type Token = u64;

/// What the shell does for the engine.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Work on the store; answered by [`Input::Stored`].
    Store { token: Token, op: StoreOp },
    /// An HTTP request; answered by [`Input::Response`], then [`Input::Chunk`]s, then [`Input::Finished`], or by
    /// [`Input::NetFailed`].
    Fetch { token: Token, request: Fetch },
    /// Stop a request; nothing more of it is handed in.
    Abort { token: Token },
    /// Open the live channel (closing an older one); answered by [`Input::SocketOpen`] or [`Input::SocketClosed`].
    SocketOpen { token: Token },
    /// Send a text message on it.
    SocketSend { token: Token, text: String },
    /// Close it; answered by [`Input::SocketClosed`].
    SocketClose { token: Token },
    /// Ask the app for a token; answered by [`Input::Token`].
    AskToken { why: TokenWhy },
    /// Hand bytes to the other tabs.
    Broadcast(Vec<u8>),
    /// Ask for the leader's lock; answered by [`Input::LockHeld`], maybe much later.
    RequestLock,
    /// Take it from a leader that says nothing any more; answered by [`Input::LockHeld`], and there by
    /// [`Input::LockLost`].
    StealLock,
    /// Give it back.
    ReleaseLock,
    /// Call `handle(now, Input::Wake)` at this monotonic time; replaces the wake-up asked for before.
    Wake { at_mono_ms: u64 },
    /// Tell the face. Delivered after the engine is no longer borrowed.
    Event(Event),
}

/// Work on the store, each in one transaction of its own.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum StoreOp {
    /// One read transaction over `meta`, `dirs` and `log`: everything but the segments. The log is read from
    /// `state_upto` + 1.
    Load,
    /// Segments by key, in parallel gets.
    ReadSegments { keys: Vec<u64> },
    /// Log records above a key.
    ReadLog { after: u64 },
    /// Puts the records into `log`, commits at once, reads nothing.
    Append { records: Rc<Vec<Vec<u8>>>, durability: Durability },
    /// Puts `record` into `log` and aborts unless its key is `expect`; then adds the segments, rewrites the state
    /// and deletes the log up to `upto`. Scope: log, segs, dirs, meta.
    Seal { expect: u64, record: Vec<u8>, segments: Vec<NewSegment>, state: Vec<u8>, upto: u64, fence: u64 },
    /// Aborts if `meta`'s fence is not `fence` or a victim is gone; else deletes the victims and adds the segments.
    /// Scope: segs, dirs, meta, never log.
    Clean { fence: u64, victims: Vec<u64>, segments: Vec<NewSegment> },
    /// Deletes everything: `db.erase()`.
    Erase,
}

/// A segment to add, with its directory record; both get the same autoincrement key.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSegment {
    /// The segment's bytes, at most 60 KiB unless one document is larger.
    pub bytes: Vec<u8>,
    /// Its directory record.
    pub directory: Vec<u8>,
}

/// How safe a commit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// On the disk when it is complete.
    Strict,
    /// With the operating system when it is complete.
    Relaxed,
}

/// What the store answered.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum StoreReply {
    /// To [`StoreOp::Load`].
    Loaded {
        /// The state of the last seal, if there was one.
        state: Option<Vec<u8>>,
        /// The fence in `meta`, 0 if none.
        fence: u64,
        /// Directory records by segment key.
        directories: Vec<(u64, Vec<u8>)>,
        /// Log records by key.
        log: Vec<(u64, Vec<u8>)>,
    },
    /// To [`StoreOp::ReadSegments`]; `None` where it was cleaned away.
    Segments(Vec<(u64, Option<Vec<u8>>)>),
    /// To [`StoreOp::ReadLog`].
    Log(Vec<(u64, Vec<u8>)>),
    /// To [`StoreOp::Append`]: the key of the first record; the others follow without a gap.
    Appended { first_key: u64 },
    /// To [`StoreOp::Seal`] and [`StoreOp::Clean`]: the keys of the new segments.
    Written { keys: Vec<u64> },
    /// To [`StoreOp::Seal`] and [`StoreOp::Clean`]: a condition did not hold; nothing was written.
    Refused,
    /// To [`StoreOp::Erase`].
    Erased,
}

/// One HTTP request to `{url}/api/sync/{path}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetch {
    /// `push`, `pull` or `entities/…`.
    pub path: String,
    /// `None`: GET.
    pub body: Option<String>,
    /// The bearer token.
    pub bearer: Option<String>,
}

/// Why a token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenWhy {
    /// The first time.
    Start,
    /// It will expire soon.
    Expiring,
    /// The server refused it.
    Rejected,
}

impl TokenWhy {
    /// As the app's `auth` function gets it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Expiring => "expiring",
            Self::Rejected => "rejected",
        }
    }
}

/// What the shell tells the engine.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Input {
    /// A store operation ended.
    Stored { token: Token, result: Result<StoreReply, StoreError> },
    /// The head of an answer.
    Response { token: Token, status: u16, retry_after_ms: Option<u64>, json: bool },
    /// Some bytes of its body.
    Chunk { token: Token, bytes: Vec<u8> },
    /// The body ended as it should.
    Finished { token: Token },
    /// The request failed: no connection, a cut body.
    NetFailed { token: Token, message: String },
    /// The live channel is open.
    SocketOpen { token: Token },
    /// A text message on it.
    SocketMessage { token: Token, text: String },
    /// It closed, or never opened.
    SocketClosed { token: Token, code: u16 },
    /// The app's token, `None` when signed out, or its `auth` function failed.
    Token { result: Result<Option<String>, String> },
    /// Bytes from another tab.
    Message(Vec<u8>),
    /// This tab holds the lock.
    LockHeld,
    /// Somebody took it.
    LockLost,
    /// The browser says whether there is a network.
    Online(bool),
    /// The page was shown or hidden; shown: catch up with the log.
    Visible(bool),
    /// The time asked for by [`Output::Wake`] has come.
    Wake,
    /// All of the code is there ([`crate::engine::Engine::in_part`]).
    Whole,
}

/// Why a store operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// The transaction was aborted for want of space.
    Quota,
    /// The database was deleted or emptied while open.
    Wiped,
    /// Stored by a newer release.
    FormatNewer,
    /// Anything else, after the shell reopened once and tried again.
    Failed,
}

impl StoreError {
    /// The code that the face shows.
    pub fn code(self) -> Code {
        match self {
            Self::Quota => Code::Quota,
            Self::Wiped => Code::StorageWiped,
            Self::FormatNewer => Code::FormatNewer,
            Self::Failed => Code::Storage,
        }
    }
}

/// What the face is told; `to_json` is its form on the wire to TypeScript (see `replica::events`).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Opened: reads and writes are answered from now on.
    Opened,
    /// It could not be opened.
    OpenFailed(CoreError),
    /// Anything else, as a JSON object with a `type`.
    Json(Value),
}
