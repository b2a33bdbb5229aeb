//! One connection at a time, opened again when it died, and what the errors of IndexedDB mean.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use futures_channel::oneshot;
use indexed_db_futures::database::Database;
use indexed_db_futures::error::{Error, OpenDbError};
use indexed_db_futures::internals::SystemRepr;
use indexed_db_futures::prelude::*;
use indexed_db_futures::transaction::{Transaction, TransactionDurability, TransactionMode, TransactionOptions};
use tidewire_core::io::{Durability, StoreError};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{AbortController, IdbVersionChangeEvent};

use crate::env::Listeners;
use crate::trap;

pub(super) const LOG: &str = "log";
pub(super) const SEGMENTS: &str = "segs";
pub(super) const DIRECTORIES: &str = "dirs";
pub(super) const META: &str = "meta";

pub(super) const META_STATE: f64 = 1.0;
pub(super) const META_UPTO: f64 = 2.0;
pub(super) const META_FENCE: f64 = 3.0;

/// The version inside IndexedDB, for ever: a new storage format is a new database.
const VERSION: u8 = 1;
/// The format of the records, part of the database's name.
const FORMAT: u32 = 1;

/// Why a piece of work did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// No room. Nothing was written.
    Quota,
    /// The connection is gone (WebKit kills them). Nothing was written.
    Dead,
    /// Aborted for a reason that does not say whether it was committed.
    Unknown,
    /// The database was deleted while this tab had it open; what is there now is new and empty.
    Wiped,
    /// A later release raised the version.
    Newer,
    /// This page may not use IndexedDB.
    Unavailable,
}

pub(super) type Result<T> = std::result::Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match dom_name(&error).as_deref() {
            Some("QuotaExceededError") => Self::Quota,
            _ => Self::Unknown,
        }
    }
}

impl From<OpenDbError> for Failure {
    fn from(error: OpenDbError) -> Self {
        let error = match error {
            OpenDbError::UnsupportedEnvironment | OpenDbError::NullFactory | OpenDbError::VersionZero => {
                return Self::Unavailable;
            }
            OpenDbError::Base(error) => error,
        };
        match dom_name(&error).as_deref() {
            // A page without an origin, storage switched off; InvalidStateError: Firefox's private windows of old.
            Some("SecurityError" | "InvalidStateError") => Self::Unavailable,
            Some("VersionError") => Self::Newer,
            _ => error.into(),
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Quota => Self::Quota,
            Failure::Wiped => Self::Wiped,
            Failure::Newer => Self::FormatNewer,
            Failure::Dead | Failure::Unknown | Failure::Unavailable => Self::Failed,
        }
    }
}

/// The connection to one database.
pub(super) struct Connection {
    name: String,
    this: Weak<Connection>,
    live: RefCell<Option<Live>>,
    /// Those who wait while one of them opens; `None` when nobody does.
    opening: RefCell<Option<Vec<oneshot::Sender<()>>>>,
    /// How often it was opened; events of an earlier connection change nothing.
    generation: Cell<u32>,
    closed: Cell<bool>,
}

struct Live {
    db: Rc<Database>,
    events: AbortController,
    _listeners: Listeners,
    _held: Option<trap::Held>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.events.abort();
        self.db.as_sys().close();
    }
}

impl Connection {
    pub(super) fn new(name: &str) -> Rc<Self> {
        Rc::new_cyclic(|this| Self {
            name: format!("tidewire:{name}:{FORMAT}"),
            this: this.clone(),
            live: RefCell::default(),
            opening: RefCell::default(),
            generation: Cell::new(0),
            closed: Cell::new(false),
        })
    }

    /// The open database; opens it if it is not.
    pub(super) async fn get(&self) -> Result<Rc<Database>> {
        loop {
            if self.closed.get() {
                return Err(Failure::Dead);
            }
            if let Some(live) = &*self.live.borrow() {
                return Ok(live.db.clone());
            }
            let Some(turn) = self.wait_for_other() else { break };
            // An error means that the other gave up: then it is this one's turn.
            let _ = turn.await;
        }
        *self.opening.borrow_mut() = Some(Vec::new());
        let opened = open(&self.name).await;
        for waiting in self.opening.take().unwrap_or_default() {
            let _ = waiting.send(());
        }
        let (db, created) = opened?;
        let db = Rc::new(db);
        let again = self.generation.get() > 0;
        self.adopt(db.clone())?;
        if created && again {
            return Err(Failure::Wiped);
        }
        Ok(db)
    }

    fn wait_for_other(&self) -> Option<oneshot::Receiver<()>> {
        let mut opening = self.opening.borrow_mut();
        let (send, receive) = oneshot::channel();
        opening.as_mut()?.push(send);
        Some(receive)
    }

    fn adopt(&self, db: Rc<Database>) -> Result<()> {
        let generation = self.generation.get() + 1;
        self.generation.set(generation);
        let events = AbortController::new().map_err(|_| Failure::Unavailable)?;
        let mut listeners = Listeners::default();
        // `close`: the browser closed it (its data was cleared, its process died). `versionchange`: another tab
        // erases it, or a later release upgrades it; as long as this connection is open, that one waits. In both
        // cases the next piece of work opens it anew and finds out what is there.
        for name in ["close", "versionchange"] {
            let this = self.this.clone();
            listeners.add(db.as_sys(), name, &events.signal(), move |event| {
                if let Some(change) = event.dyn_ref::<IdbVersionChangeEvent>() {
                    close_target(change);
                }
                if let Some(this) = this.upgrade().filter(|this| this.generation.get() == generation) {
                    this.forget();
                }
            });
        }
        let held = trap::hold_method(db.as_sys(), "close");
        if self.closed.get() {
            db.as_sys().close();
            return Err(Failure::Dead);
        }
        *self.live.borrow_mut() = Some(Live { db, events, _listeners: listeners, _held: held });
        Ok(())
    }

    /// Lets a connection go that does not work any more.
    pub(super) fn forget(&self) {
        drop(self.live.take());
    }

    /// Closes it for good.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.forget();
    }

    /// Deletes the database. Other tabs close it when they are asked to; a frozen one delays this.
    pub(super) async fn erase(&self) -> Result<()> {
        self.forget();
        self.generation.set(0);
        Ok(Database::delete_by_name(&self.name)?.await?)
    }
}

/// Closes the connection that an event was sent to, also one that was already let go.
fn close_target(event: &IdbVersionChangeEvent) {
    if let Some(db) = event.target().and_then(|target| target.dyn_into::<web_sys::IdbDatabase>().ok()) {
        db.close();
    }
}

/// Opens the database and says whether it was made just now.
async fn open(name: &str) -> Result<(Database, bool)> {
    let created = Rc::new(Cell::new(false));
    let is_created = created.clone();
    let request = Database::open(name)
        .with_version(VERSION)
        .with_on_upgrade_needed(move |_, db| {
            is_created.set(true);
            db.create_object_store(LOG).with_auto_increment(true).build()?;
            db.create_object_store(SEGMENTS).with_auto_increment(true).build()?;
            db.create_object_store(DIRECTORIES).build()?;
            db.create_object_store(META).build()?;
            Ok(())
        })
        .build()?;
    let db = request.await?;
    Ok((db, created.get()))
}

fn dom_name(error: &Error) -> Option<String> {
    let Error::DomException(error) = error else { return None };
    let sys: &web_sys::DomException = AsRef::<JsValue>::as_ref(error).unchecked_ref();
    Some(sys.name())
}

/// Begins to read.
pub(super) fn reading<'a>(db: &'a Database, stores: &[&str]) -> Result<Transaction<'a>> {
    // It throws only on a connection that is closed, and then nothing has been asked of it.
    db.transaction(stores).build().map_err(|_| Failure::Dead)
}

/// Begins to write.
pub(super) fn writing<'a>(db: &'a Database, stores: &[&str], durability: Durability) -> Result<Transaction<'a>> {
    let durability = match durability {
        Durability::Strict => TransactionDurability::Strict,
        Durability::Relaxed => TransactionDurability::Relaxed,
    };
    let options = TransactionOptions::new().with_durability(durability);
    let builder = db.transaction(stores).with_mode(TransactionMode::Readwrite).with_options(options);
    builder.build().map_err(|_| Failure::Dead)
}

/// Commits at once, without a round trip for the requests before it, and waits until it is complete.
pub(super) async fn commit(transaction: Transaction<'_>) -> Result<()> {
    // The library says only "aborted"; the reason, such as a full quota, stands in the transaction.
    let sys = transaction.as_sys().clone();
    transaction.commit().await.map_err(|error| match sys.error() {
        Some(reason) => Error::from(reason).into(),
        None => error.into(),
    })
}

/// Gives a transaction up, all of it.
pub(super) async fn abort(transaction: Transaction<'_>) -> Result<()> {
    Ok(transaction.abort().await?)
}
