//! The engine as a shell drives it: JSON text in, JSON text out, [`Output`]s in between.
//!
//! # The run loop
//!
//! 1. Make an [`Engine`] with the options, 16 random bytes and the time; call [`Engine::open`].
//! 2. After **every** call of a `&mut self` method, drain [`Engine::poll`] and carry out each [`Output`].
//! 3. Each answer goes in with [`Engine::handle`]; at the time of the newest [`Output::Wake`] hand in [`Input::Wake`].
//! 4. Deliver [`Output::Event`]s only after the drain, when the engine is no longer borrowed.
//!
//! ```
//! use tidewire_core::engine::Engine;
//! use tidewire_core::io::{Event, Input, Now, Output, StoreOp, StoreReply};
//!
//! let now = Now { wall_ms: 1_000, mono_ms: 0 };
//! let mut engine = Engine::new(r#"{"name": "demo", "collections": {"todos": {}}}"#, [1; 16])?;
//! engine.open(now);
//! let mut log = Vec::new();
//! while let Some(output) = engine.poll() {
//!     let Output::Store { token, op } = output else { continue };
//!     let reply = match op {
//!         StoreOp::Load => StoreReply::Loaded { state: None, fence: 0, directories: vec![], log: vec![] },
//!         StoreOp::ReadSegments { .. } => StoreReply::Segments(vec![]),
//!         StoreOp::Append { records, .. } => {
//!             log.extend(records.iter().cloned());
//!             StoreReply::Appended { first_key: log.len() as u64 }
//!         }
//!         _ => unreachable!(),
//!     };
//!     engine.handle(now, Input::Stored { token, result: Ok(reply) });
//! }
//! engine.write(now, r#"{"ops": [{"op": "insert", "c": "todos", "id": "a", "value": {"title": "Milk"}}]}"#, "")?;
//! assert!(engine.row("todos", "a")?.unwrap().contains("Milk"));
//! # Ok::<(), tidewire_core::error::CoreError>(())
//! ```

use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId};
use crate::io::{Input, Now, Output};
use crate::json;
use crate::json::{JsonLimits, Map, Value};
use crate::limits::DEPTH_MAX;
use crate::replica::command::Command;
use crate::replica::config::Config;
use crate::replica::op::WriteRequest;
use crate::replica::tabs::MOVED;
use crate::replica::{Phase, Replica};

/// Text of one call: a bulk insert may be large, and its nesting is that of a document and its wrapper.
const CALL: JsonLimits = JsonLimits { bytes: 256 * 1024 * 1024, depth: DEPTH_MAX + 8 };
/// `db.sync.metrics` of a tab that made no request: what counts them comes with the second part.
const NO_METRICS: &str = concat!(
    r#"{"bytesDown":0,"bytesUp":0,"collections":{},"failures":0,"pullMs":{"p50":null,"p99":null},"#,
    r#""pushMs":{"p50":null,"p99":null},"recoveries":0,"requests":0}"#
);

/// One tab's engine.
#[derive(Debug)]
pub struct Engine {
    replica: Replica,
    /// When something was written since the last poll: the writes of one turn share a record.
    written: Option<Now>,
}

impl Engine {
    /// An engine for one database.
    ///
    /// # Errors
    /// `bad-config`.
    pub fn new(config: &str, entropy: [u8; 16]) -> Result<Self, CoreError> {
        Ok(Self { replica: Replica::new(Config::parse(config)?, entropy), written: None })
    }

    /// Part of the code is not there yet. Until [`Input::Whole`] this tab reads and writes, and follows: it asks for no
    /// lock, makes no request, and leaves the upkeep of the store to others.
    pub fn in_part(&mut self) {
        self.replica.whole = false;
    }

    /// Takes in what the shell has to say.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.replica.handle(now, input);
    }

    /// The next thing for the shell to do. What was written is appended from here on: a shell that polls once per turn
    /// of its event loop gives all writes of the turn one record.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(now) = self.written.take() {
            self.replica.advance(now);
        }
        self.replica.poll()
    }

    /// Begins to open; ends with `Opened` or `OpenFailed`.
    pub fn open(&mut self, now: Now) {
        self.replica.open(now);
    }

    /// Writes; visible when this returns. `lines`: what a bulk insert inserts, each the id and the document.
    ///
    /// # Errors
    /// What is wrong with an operation; then nothing was written.
    pub fn write(&mut self, now: Now, request: &str, lines: &str) -> Result<String, CoreError> {
        self.must_be_open()?;
        let done = self.replica.write(now, parse(request, WriteRequest::read)?, lines)?;
        self.written = Some(now);
        Ok(json::write_text(&done))
    }

    /// The inverse of a write, as a new write.
    ///
    /// # Errors
    /// `not-in-queue` if it is not known any more.
    #[inline(never)]
    pub fn undo(&mut self, now: Now, write: u64) -> Result<String, CoreError> {
        self.must_be_open()?;
        self.replica.undo(now, write).map(|done| json::write_text(&done))
    }

    /// Pause, resume, now, retry, discard, edit.
    ///
    /// # Errors
    /// `not-in-queue`, or `bad-message` for an unknown command.
    #[inline(never)]
    pub fn command(&mut self, now: Now, request: &str) -> Result<String, CoreError> {
        self.must_be_open()?;
        self.replica.command(now, parse(request, Command::read)?).map(|done| json::write_text(&done))
    }

    /// One row as JSON.
    ///
    /// # Errors
    /// `bad-name`.
    pub fn row(&self, collection: &str, id: &str) -> Result<Option<String>, CoreError> {
        Ok(self.replica.row(&CollectionName::parse(collection)?, &EntityId::parse(id)?))
    }

    /// The app waits for a row while the store is being opened: an event `row` brings it, if it can be known before
    /// everything is read. Without a collection it waits for the first rows of a query, and `id` is the query: an
    /// event `page` brings them.
    ///
    /// # Errors
    /// `bad-name`.
    pub fn want(&mut self, collection: &str, id: &str) -> Result<(), CoreError> {
        if collection.is_empty() {
            self.replica.want_page(id);
            return Ok(());
        }
        self.replica.want(CollectionName::parse(collection)?, EntityId::parse(id)?);
        Ok(())
    }

    /// Rows as a JSON array, `null` where there is none.
    ///
    /// # Errors
    /// `bad-name`.
    #[inline(never)]
    pub fn rows(&mut self, collection: &str, ids: &str) -> Result<String, CoreError> {
        let collection = CollectionName::parse(collection)?;
        let ids = parse(ids, |ids| json::list(ids, EntityId::read))?;
        let rows = self.replica.rows(&collection, &ids);
        let rows: Vec<String> = rows.into_iter().map(|row| row.unwrap_or_else(|| "null".to_owned())).collect();
        Ok(format!("[{}]", rows.join(",")))
    }

    /// Packs documents again that were unpacked to be read, if that is much. The shell calls it after each call.
    pub fn pack_again(&mut self) {
        self.replica.pack_again();
    }

    /// Answers a query. `{"watch": true}` keeps it, `{"delta": handle}` tells how its answer changed since, and
    /// `{"drop": handle}` lets it go.
    ///
    /// # Errors
    /// `bad-query`.
    #[inline(never)]
    pub fn query(&mut self, request: &str) -> Result<String, CoreError> {
        self.replica.query(&parse(request, |request| Ok(request.clone()))?).map(|answer| json::write_text(&answer))
    }

    /// `status`, `queue`, `health`, `metrics`, `conflicts`; `calls`: the newest stored call of each asker.
    ///
    /// # Errors
    /// `bad-message` for another name.
    #[inline(never)]
    pub fn view(&self, now: Now, what: &str) -> Result<String, CoreError> {
        let view = match what {
            "status" => self.replica.status(now),
            "queue" => self.replica.queue_view(),
            "health" => self.replica.health_view(now),
            // Nothing was counted yet.
            "metrics" if !self.replica.whole => return Ok(NO_METRICS.to_owned()),
            "metrics" => self.replica.metrics_view(),
            "calls" => json::to_value(&self.replica.state.calls),
            // The shell says when more is known.
            "conflicts" if !self.replica.whole => json!([]),
            "conflicts" => self.replica.conflicts_view(),
            _ => return Err(CoreError::new(Code::BadMessage, format!("there is no view `{what}`"))),
        };
        Ok(json::write_text(&view))
    }

    /// Everything on this device that is the user's, as JSON.
    ///
    /// # Errors
    /// None at present.
    #[inline(never)]
    pub fn export(&mut self) -> Result<String, CoreError> {
        let mut collections = Map::new();
        let names: Vec<CollectionName> = self.replica.declared.keys().cloned().collect();
        for name in &names {
            let ids: Vec<EntityId> = self.replica.ids(name).into_iter().cloned().collect();
            let rows = self.replica.rows(name, &ids).into_iter().flatten();
            let rows = rows.filter_map(|row| json::parse(row.as_bytes(), CALL).ok()).collect();
            collections.insert(name.to_string(), Value::Array(rows));
        }
        Ok(json::write_text(&json!({"tidewire": 1, "collections": collections, "queue": self.replica.queue_view()})))
    }

    /// The `Authorization` token that requests carry now, if there is one.
    pub fn bearer(&self) -> Option<String> {
        self.replica.session.bearer()
    }

    /// Writes what is left, gives back the lock, and stops.
    pub fn close(&mut self, now: Now) {
        self.replica.close(now);
    }

    /// Whether a closing engine has written everything.
    pub fn is_flushed(&self) -> bool {
        self.replica.is_flushed()
    }

    /// Deletes everything on this device; ends with the event `erased`.
    pub fn erase(&mut self, now: Now) {
        self.replica.erase(now);
    }

    fn must_be_open(&self) -> Result<(), CoreError> {
        match self.replica.phase {
            Phase::New => Err(CoreError::new(Code::Closed, "the database is not open yet: wait for open()")),
            Phase::Opening if !self.replica.maintenance.opened => {
                Err(CoreError::new(Code::Closed, "the database is not open yet: wait for open()"))
            }
            Phase::Open | Phase::Opening => Ok(()),
            Phase::Closed if self.replica.state.moved => Err(CoreError::new(Code::FormatNewer, MOVED)),
            Phase::Closing | Phase::Closed => {
                Err(CoreError::new(Code::Closed, "the database is closed: call openDb again"))
            }
        }
    }
}

fn parse<T>(text: &str, read: fn(&Value) -> Result<T, CoreError>) -> Result<T, CoreError> {
    read(&json::parse(text.as_bytes(), CALL)?).map_err(|error| match error.code {
        // These are the app's.
        Code::BadName | Code::BadPath => error,
        _ => error.within(Code::BadMessage, "this call cannot be read"),
    })
}
