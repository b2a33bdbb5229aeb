//! One connection at a time, opened again when it died, and what the errors of IndexedDB mean.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use futures_channel::oneshot;
use js_sys::Reflect;
use tidewire_core::io::StoreError;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    AbortController, DomException, Event, IdbDatabase, IdbFactory, IdbObjectStoreParameters, IdbOpenDbRequest,
    IdbVersionChangeEvent,
};

use super::request::Reply;
use crate::env::Listeners;
use crate::trap;

pub(super) const LOG: &str = "log";
pub(super) const SEGMENTS: &str = "segs";
pub(super) const DIRECTORIES: &str = "dirs";
pub(super) const META: &str = "meta";

pub(super) const META_STATE: u64 = 1;
pub(super) const META_UPTO: u64 = 2;
pub(super) const META_FENCE: u64 = 3;

/// The version inside IndexedDB, for ever: a new storage format is a new database.
const VERSION: u32 = 1;
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

impl From<JsValue> for Failure {
    /// What IndexedDB threw, or why a request failed.
    fn from(thrown: JsValue) -> Self {
        match thrown.dyn_ref::<DomException>().map(DomException::name).as_deref() {
            Some("QuotaExceededError") => Self::Quota,
            _ => Self::Unknown,
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
    db: IdbDatabase,
    events: AbortController,
    _listeners: Listeners,
    _held: Option<trap::Held>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.events.abort();
        self.db.close();
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
    pub(super) async fn get(&self) -> Result<IdbDatabase> {
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

    fn adopt(&self, db: IdbDatabase) -> Result<()> {
        let generation = self.generation.get() + 1;
        self.generation.set(generation);
        let events = AbortController::new().map_err(|_| Failure::Unavailable)?;
        let mut listeners = Listeners::default();
        // `close`: the browser closed it (its data was cleared, its process died). `versionchange`: another tab
        // erases it, or a later release upgrades it; as long as this connection is open, that one waits. In both
        // cases the next piece of work opens it anew and finds out what is there.
        for name in ["close", "versionchange"] {
            let this = self.this.clone();
            listeners.add(&db, name, &events.signal(), move |event| {
                if let Some(change) = event.dyn_ref::<IdbVersionChangeEvent>() {
                    close_target(change);
                }
                if let Some(this) = this.upgrade().filter(|this| this.generation.get() == generation) {
                    this.forget();
                }
            });
        }
        let held = trap::hold_method(&db, "close");
        if self.closed.get() {
            db.close();
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
        let request = factory().ok_or(Failure::Unavailable)?.delete_database(&self.name)?;
        Reply::of(request.into()).value().await.map(drop)
    }
}

/// Closes the connection that an event was sent to, also one that was already let go.
fn close_target(event: &IdbVersionChangeEvent) {
    if let Some(db) = event.target().and_then(|target| target.dyn_into::<web_sys::IdbDatabase>().ok()) {
        db.close();
    }
}

/// Opens the database and says whether it was made just now.
async fn open(name: &str) -> Result<(IdbDatabase, bool)> {
    let request = factory().ok_or(Failure::Unavailable)?.open_with_u32(name, VERSION).map_err(not_opened)?;
    let created = Rc::new(Cell::new(false));
    let is_created = created.clone();
    let upgrade = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
        is_created.set(true);
        if let Some(request) = event.target().and_then(|target| target.dyn_into::<IdbOpenDbRequest>().ok())
            && create_stores(&request).is_err()
            && let Some(transaction) = request.transaction()
        {
            // Then the request fails too, and the next one finds no half-made database.
            let _ = transaction.abort();
        }
    });
    request.set_onupgradeneeded(Some(upgrade.as_ref().unchecked_ref()));
    let opened = Reply::of(request.clone().into()).value().await;
    request.set_onupgradeneeded(None);
    match opened {
        Ok(db) => Ok((db.unchecked_into(), created.get())),
        Err(_) => Err(request.error().ok().flatten().map_or(Failure::Unknown, |error| not_opened(error.into()))),
    }
}

fn create_stores(request: &IdbOpenDbRequest) -> std::result::Result<(), JsValue> {
    let db: IdbDatabase = request.result()?.unchecked_into();
    let numbered = IdbObjectStoreParameters::new();
    numbered.set_auto_increment(true);
    db.create_object_store_with_optional_parameters(LOG, &numbered)?;
    db.create_object_store_with_optional_parameters(SEGMENTS, &numbered)?;
    db.create_object_store(DIRECTORIES)?;
    db.create_object_store(META)?;
    Ok(())
}

/// Reading the property throws where the page may not use it.
fn factory() -> Option<IdbFactory> {
    let factory = Reflect::get(&js_sys::global(), &"indexedDB".into()).ok()?;
    factory.is_object().then(|| factory.unchecked_into())
}

fn not_opened(thrown: JsValue) -> Failure {
    match thrown.dyn_ref::<DomException>().map(DomException::name).as_deref() {
        // A page without an origin, storage switched off; InvalidStateError: Firefox's private windows of old.
        Some("SecurityError" | "InvalidStateError") => Failure::Unavailable,
        Some("VersionError") => Failure::Newer,
        _ => thrown.into(),
    }
}
