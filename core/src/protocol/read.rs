//! How a client reads what a server says. The server's side, and the tests, read through serde.

use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, Group, MutationId, Owner, Seq};
use crate::json::{self, Fields, JsonLimits, Value};
use crate::model::schema::read_settings;
use crate::protocol::message::{
    Applied, Change, Checkpoint, Cursor, ErrorBody, ForkedItem, PullHeader, PushAnswer, Verdict, VerdictItem,
};

impl PushAnswer {
    /// Reads an answer.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        Ok(Self {
            v: version(&fields)?,
            now: fields.number("now")?,
            user: Owner::read(fields.need("user")?)?,
            forked: fields.get("forked").map(|list| json::list(list, ForkedItem::read)).transpose()?,
            verdicts: fields.list("verdicts", VerdictItem::read)?,
            history: fields.opt_text("history")?,
        })
    }
}

impl ForkedItem {
    fn read(value: &Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        Ok(Self {
            n: MutationId::read(fields.need("n")?)?,
            same: fields.opt("same", Verdict::read)?,
            differs: fields.flag("differs")?,
        })
    }
}

impl PullHeader {
    /// Reads the first line of a pull: `{"pull":{…}}`.
    ///
    /// # Errors
    /// `bad-message`, `bad-name` or `bad-json`.
    pub fn read(line: &[u8]) -> Result<Self, CoreError> {
        let value = json::parse(line, JsonLimits::MESSAGE)?;
        let fields = Fields::of(Fields::of(&value)?.need("pull")?)?;
        Ok(Self {
            v: version(&fields)?,
            now: fields.number("now")?,
            user: Owner::read(fields.need("user")?)?,
            after: fields.opt("after", Cursor::read)?,
            reset: fields.flag("reset")?,
            forget_groups: fields.list("forget_groups", Group::read)?,
            forget_collections: fields.list("forget_collections", CollectionName::read)?,
            reread: fields.list("reread", CollectionName::read)?,
            applied: fields.list("applied", Applied::read)?,
            total: fields.number("total")?,
            settings: read_settings(&fields, "settings")?,
        })
    }
}

impl Applied {
    fn read(value: &Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        let digest = fields.text("digest")?.to_owned();
        Ok(Self { n: MutationId::read(fields.need("n")?)?, digest, rev: fields.number("rev")? })
    }
}

impl Checkpoint {
    /// Reads a checkpoint line.
    ///
    /// # Errors
    /// `bad-message`, `bad-name` or `bad-json`.
    pub fn read(line: &[u8]) -> Result<Self, CoreError> {
        let value = json::parse(line, JsonLimits::MESSAGE)?;
        let fields = Fields::of(&value)?;
        Ok(Self {
            cursor: Cursor::read(fields.need("cursor")?)?,
            after: fields.opt("after", Cursor::read)?,
            done: fields.flag("done")?,
            digests: fields.get("digests").and_then(Value::as_object).cloned().unwrap_or_default(),
        })
    }
}

impl ErrorBody {
    /// Reads the body of an answer that is no success, if it is one of ours.
    pub fn read(value: &Value) -> Option<Self> {
        let fields = Fields::of(value).ok()?;
        Some(Self {
            code: Code::parse(fields.text("code").ok()?),
            message: fields.text("message").ok()?.to_owned(),
            path: fields.opt("path", json::text).ok()?.map(str::to_owned),
        })
    }
}

/// What a client takes in from the live channel.
#[derive(Debug)]
pub enum Live {
    /// Frames follow.
    Ready(Ready),
    /// Changes from one cursor to another.
    Frame(Frame),
    /// There is more than fits a frame.
    Pull,
    /// To a push.
    Answer(Answer),
    /// To be answered.
    Ping,
    /// Up to where frames were sent.
    Pong(Seq),
    /// The reason of the close that follows.
    Error(ErrorBody),
    /// Something else: it was heard.
    Other,
}

/// The first message on the live channel that is no error.
#[derive(Debug)]
pub struct Ready {
    /// The server's clock.
    pub now: u64,
    /// Whom the token spoke for.
    pub user: Owner,
    /// Where the frames start.
    pub cursor: Cursor,
    /// Messages of up to so many bytes may be pushes.
    pub push_bytes: usize,
}

/// Changes from one cursor to another.
#[derive(Debug)]
pub struct Frame {
    /// The one that they continue.
    pub after: Cursor,
    /// Where they lead.
    pub cursor: Cursor,
    /// What changed.
    pub changes: Vec<Change>,
    /// What of it is this store's own.
    pub applied: Vec<Applied>,
}

/// What came of a push on the live channel.
#[derive(Debug)]
pub struct Answer {
    /// That of the push.
    pub id: u64,
    /// As of HTTP.
    pub status: u16,
    /// How long to wait, 0 if the server does not say.
    pub retry_after_ms: u64,
    /// As of HTTP.
    pub body: Value,
}

impl Live {
    /// Reads a message.
    ///
    /// # Errors
    /// `bad-message`, `bad-name` or `bad-json`.
    pub fn read(text: &str) -> Result<Self, CoreError> {
        let (value, changes) = json::parse_around(text.as_bytes(), "changes")?;
        let fields = Fields::of(&value)?;
        let cursor = |key: &str| Cursor::read(fields.need(key)?);
        Ok(match fields.text("t")? {
            "ready" => Self::Ready(Ready {
                now: fields.number("now")?,
                user: Owner::read(fields.need("user")?)?,
                cursor: cursor("cursor")?,
                push_bytes: fields.size_or("push_bytes", 0)?,
            }),
            "frame" => Self::Frame(Frame {
                after: cursor("after")?,
                cursor: cursor("cursor")?,
                changes: Change::read_all(changes.unwrap_or_default())?,
                applied: fields.list("applied", Applied::read)?,
            }),
            "pull" => Self::Pull,
            "answer" => Self::Answer(Answer {
                id: fields.number("id")?,
                status: u16::try_from(fields.number("status")?).unwrap_or_default(),
                retry_after_ms: fields.number_or("retry_after", 0)?.saturating_mul(1_000),
                body: fields.need("body")?.clone(),
            }),
            "ping" => Self::Ping,
            "pong" => Self::Pong(fields.number_or("seq", 0)?),
            "error" => ErrorBody::read(&value).map_or(Self::Other, Self::Error),
            _ => Self::Other,
        })
    }
}

fn version(fields: &Fields<'_>) -> Result<u32, CoreError> {
    Ok(u32::try_from(fields.number("v")?).unwrap_or(u32::MAX))
}
