//! The pump: takes what the engine asks for, does it, and hands back what came of it.
//!
//! The engine is borrowed only inside [`Driver::with`] and while one input is handled or one output taken; effects
//! and the app's callbacks run in between. Events are handed to the host last, from a stack on which no call of the
//! app is.

mod effects;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use futures_channel::oneshot;
use gloo_timers::callback::Timeout;
use serde_json::Value;
use tidewire_core::engine::Engine;
use tidewire_core::error::{Code, CoreError};
use tidewire_core::io::{Event, Input, Now, Token};
use wasm_bindgen::JsValue;
use web_sys::AbortController;

use crate::client::Host;
use crate::convert::{Config, StorageKind};
use crate::env::{Listeners, online, random, spawn, time, visibility};
use crate::error;
use crate::net::socket::Socket;
use crate::storage::Store;
use crate::tabs::channel::Channel;
use crate::tabs::lock::Lock;
use crate::trap;

/// One open database and everything that it holds of the browser.
pub(crate) struct Driver {
    this: Weak<Driver>,
    pub(crate) config: Config,
    host: Host,
    engine: RefCell<Engine>,
    store: Store,
    inbox: RefCell<VecDeque<Input>>,
    events: RefCell<Vec<Value>>,
    opened: RefCell<Option<oneshot::Sender<Result<(), CoreError>>>>,
    /// Those who wait until the store has nothing to do, and until it has little to do.
    idle: RefCell<Vec<oneshot::Sender<()>>>,
    room: RefCell<Vec<oneshot::Sender<()>>>,
    /// The app's last token, for requests that the app makes itself.
    token: RefCell<Option<String>>,
    /// Under way; a handful at most.
    requests: RefCell<Vec<(Token, AbortController)>>,
    socket: RefCell<Option<(Token, Socket)>>,
    wake: RefCell<Option<Timeout>>,
    lock: Lock,
    channel: RefCell<Option<Channel>>,
    listeners: RefCell<Listeners>,
    /// Ends all listeners at once.
    alive: AbortController,
    stores_under_way: Cell<u32>,
    scheduled: Cell<bool>,
    pumping: Cell<bool>,
    closed: Cell<bool>,
    watch: RefCell<Vec<trap::Held>>,
}

impl Driver {
    /// Opens the store, starts the engine and waits until it has read its log.
    pub(crate) async fn open(settings: &str, host: Host) -> Result<Rc<Self>, CoreError> {
        let config = Config::parse(settings)?;
        let entropy = random::entropy().map_err(|thrown| failed(&thrown))?;
        let engine = Engine::new(settings, entropy)?;
        let store = Store::open(&config.name, config.storage).await.map_err(|error| {
            CoreError::new(error.code(), "the browser's storage cannot be opened: reload, or free some space")
        })?;
        let kind = store.kind();
        let fell_back = kind != config.storage;
        let alive = AbortController::new().map_err(|thrown| failed(&thrown))?;
        let driver = Rc::new_cyclic(|this| Self {
            this: this.clone(),
            lock: Lock::new(&config.name, kind == StorageKind::Memory),
            config,
            host,
            engine: RefCell::new(engine),
            store,
            inbox: RefCell::default(),
            events: RefCell::default(),
            opened: RefCell::default(),
            idle: RefCell::default(),
            room: RefCell::default(),
            token: RefCell::default(),
            requests: RefCell::default(),
            socket: RefCell::default(),
            wake: RefCell::default(),
            channel: RefCell::default(),
            listeners: RefCell::default(),
            alive,
            stores_under_way: Cell::new(0),
            scheduled: Cell::new(false),
            pumping: Cell::new(false),
            closed: Cell::new(false),
            watch: RefCell::default(),
        });
        driver.listen(kind);
        let (send, opened) = oneshot::channel();
        *driver.opened.borrow_mut() = Some(send);
        driver.with(Engine::open)?;
        let result = opened.await.unwrap_or_else(|_| Err(error::closed()));
        if let Err(error) = result {
            driver.shut();
            return Err(error);
        }
        if fell_back {
            let event =
                serde_json::json!({ "type": "storage", "storage": kind.as_str(), "code": Code::Storage.as_str() });
            driver.events.borrow_mut().push(event);
            driver.schedule();
        }
        Ok(driver)
    }

    fn listen(&self, kind: StorageKind) {
        let mut listeners = self.listeners.borrow_mut();
        let signal = self.alive.signal();
        online::listen(&mut listeners, &signal, self.input_of(Input::Online));
        visibility::listen(&mut listeners, &signal, self.input_of(Input::Visible));
        if kind == StorageKind::Indexeddb {
            // A store in memory is this tab's alone: what others say of theirs means nothing here.
            let received = self.input_of(Input::Message);
            *self.channel.borrow_mut() = Channel::join(&self.config.name, &mut listeners, &signal, received);
        }
        let held = [self.host.event_function().map(trap::watch), trap::hold_method(&self.alive, "abort")];
        self.watch.borrow_mut().extend(held.into_iter().flatten());
        let mut inbox = self.inbox.borrow_mut();
        inbox.push_back(Input::Online(online::is_online()));
        inbox.push_back(Input::Visible(visibility::is_visible()));
    }

    /// A callback that hands what it gets to the engine.
    fn input_of<T>(&self, input: impl Fn(T) -> Input + Clone + 'static) -> impl Fn(T) + Clone + 'static {
        let this = self.this.clone();
        move |value| {
            if let Some(driver) = this.upgrade() {
                driver.feed(input(value));
            }
        }
    }

    /// Runs a call of the app in the engine; what it asks for is done in a microtask, so that all writes of a turn
    /// share a record.
    pub(crate) fn with<T>(&self, call: impl FnOnce(&mut Engine, Now) -> T) -> Result<T, CoreError> {
        if self.closed.get() {
            return Err(error::closed());
        }
        let Ok(mut engine) = self.engine.try_borrow_mut() else {
            // Only a trap leaves it borrowed.
            trap::lost("an earlier call of this module did not return");
            return Err(error::lost());
        };
        let result = call(&mut engine, time::now());
        drop(engine);
        self.schedule();
        Ok(result)
    }

    /// Hands an input to the engine. Called from the browser, never from a call of the app.
    pub(crate) fn feed(&self, input: Input) {
        if self.closed.get() {
            return;
        }
        self.inbox.borrow_mut().push_back(input);
        self.pump();
    }

    fn schedule(&self) {
        if self.scheduled.replace(true) {
            return;
        }
        let Some(driver) = self.this.upgrade() else { return };
        spawn(async move {
            driver.scheduled.set(false);
            driver.pump();
        });
    }

    fn pump(&self) {
        if self.pumping.replace(true) {
            // Further up this stack the pump runs, and will come to it.
            return;
        }
        loop {
            let Ok(mut engine) = self.engine.try_borrow_mut() else {
                return trap::lost("an earlier call of this module did not return");
            };
            if let Some(output) = engine.poll() {
                drop(engine);
                self.perform(output);
                continue;
            }
            let Some(input) = self.inbox.borrow_mut().pop_front() else { break };
            engine.handle(time::now(), input);
        }
        self.pumping.set(false);
        self.deliver();
        self.notice_idle();
    }

    /// Hands the events over. The app may call back into the client from here; what that raises comes in a later
    /// delivery.
    fn deliver(&self) {
        let events = self.events.take();
        if events.is_empty() {
            return;
        }
        let json = Value::Array(events).to_string();
        if let Err(thrown) = self.host.event(&json) {
            web_sys::console::error_2(&"tidewire: an event handler threw".into(), &thrown);
        }
    }

    fn tell(&self, event: Event) {
        let outcome = match event {
            Event::Json(value) => return self.events.borrow_mut().push(value),
            Event::Opened => Ok(()),
            Event::OpenFailed(error) => Err(error),
            _ => return,
        };
        if let Some(opened) = self.opened.take() {
            // Nobody listens when the app gave up waiting.
            let _ = opened.send(outcome);
        }
    }

    /// Where the log is kept: the engine does not know.
    pub(crate) fn storage(&self) -> StorageKind {
        self.store.kind()
    }

    fn notice_idle(&self) {
        if self.stores_under_way.get() == 0 && self.inbox.borrow().is_empty() && !self.scheduled.get() {
            for waiting in self.idle.take() {
                let _ = waiting.send(());
            }
        }
    }

    /// Lets the engine write down what it has, waits for the store, and lets everything go.
    pub(crate) async fn close(&self) {
        if self.closed.get() {
            return;
        }
        let (send, idle) = oneshot::channel();
        if self.with(Engine::close).is_ok() {
            self.idle.borrow_mut().push(send);
            // The sender lives as long as this.
            let _ = idle.await;
        }
        self.shut();
    }

    /// Closes, and deletes the store.
    pub(crate) async fn erase(&self) -> Result<(), CoreError> {
        self.close().await;
        let erased = self.store.erase().await;
        erased
            .map(|_| ())
            .map_err(|error| CoreError::new(error.code(), "the database could not be deleted: close other tabs"))
    }

    /// Lets everything of the browser go.
    fn shut(&self) {
        self.closed.set(true);
        self.alive.abort();
        self.lock.release();
        for (_, request) in self.requests.take() {
            request.abort();
        }
        drop(self.socket.take());
        drop(self.wake.take());
        if let Some(channel) = self.channel.take() {
            channel.leave();
        }
        self.store.close();
        drop(self.listeners.take());
        self.watch.borrow_mut().clear();
    }
}

impl Drop for Driver {
    /// For a client that was thrown away without a `close()`.
    fn drop(&mut self) {
        self.shut();
    }
}

fn failed(thrown: &JsValue) -> CoreError {
    CoreError::new(Code::Internal, error::text_of(thrown))
}
