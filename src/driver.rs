//! The pump: takes what the engine asks for, has the host do it, and hands back what came of it.
//!
//! The engine is borrowed only inside [`Driver::with`] and while one input is handled or one output taken; the host
//! runs in between. Events are handed over last, from a stack on which no call of the app is.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use tidewire_core::engine::Engine;
use tidewire_core::io::{Event, Input, Now, Output, StoreError, StoreOp, Token};
use tidewire_core::json::Value;

use crate::host::{Host, now, refuse};
use crate::room::Room;

/// The live channel was closed on purpose (RFC 6455, 7.4.1).
const CODE_NORMAL: u16 = 1000;

/// One engine and its host.
pub(crate) struct Driver {
    pub(crate) host: Host,
    /// Borrowed already only after a trap, and then to borrow it again is a trap too.
    engine: RefCell<Engine>,
    inbox: RefCell<VecDeque<Input>>,
    events: RefCell<Vec<Value>>,
    pumping: Cell<bool>,
    room: Room,
}

impl Driver {
    pub(crate) fn new(engine: Engine, host: Host) -> Self {
        Self {
            host,
            engine: RefCell::new(engine),
            inbox: RefCell::default(),
            events: RefCell::default(),
            pumping: Cell::new(false),
            room: Room::default(),
        }
    }

    /// Runs a call of the app in the engine; what it asks for is done in a microtask, so that all writes of a turn
    /// share a record.
    pub(crate) fn with<T>(&self, call: impl FnOnce(&mut Engine, Now) -> T) -> T {
        let result = call(&mut self.engine.borrow_mut(), now());
        self.room.keep_ahead();
        self.host.soon();
        result
    }

    /// Hands an input to the engine, at once or when the pump further up this stack comes to it.
    pub(crate) fn feed(&self, input: Input) {
        self.inbox.borrow_mut().push_back(input);
        self.pump();
    }

    pub(crate) fn pump(&self) {
        if self.pumping.replace(true) {
            return;
        }
        loop {
            let output = self.engine.borrow_mut().poll();
            if let Some(output) = output {
                self.perform(output);
                continue;
            }
            let Some(input) = self.inbox.borrow_mut().pop_front() else { break };
            self.engine.borrow_mut().handle(now(), input);
        }
        self.pumping.set(false);
        self.room.keep_ahead();
        self.deliver();
    }

    /// Hands the events over. The app may call back into the client from here; what that raises comes in a later
    /// delivery.
    fn deliver(&self) {
        let events = self.events.take();
        if !events.is_empty() {
            self.host.event(&Value::Array(events).to_string());
        }
    }

    fn perform(&self, output: Output) {
        let host = self.host;
        match output {
            Output::Store { token, op } => self.store(token, op),
            Output::Broadcast(bytes) => host.broadcast(&bytes),
            Output::RequestLock => host.lock("ask"),
            Output::StealLock => host.lock("steal"),
            Output::ReleaseLock => host.lock("leave"),
            Output::Wake { at_mono_ms } => host.wake(at_mono_ms),
            Output::Event(Event::Json(event)) => self.events.borrow_mut().push(event),
            Output::Event(Event::Opened) => host.opened(),
            Output::Event(Event::OpenFailed(error)) => {
                refuse(&error);
                host.opened();
            }
            other => self.perform_network(other),
        }
    }

    /// What only a leader asks for: a function of its own, which stands in the second part of the module.
    #[inline(never)]
    fn perform_network(&self, output: Output) {
        let host = self.host;
        match output {
            Output::Fetch { token, request } => host.fetch(token, &request),
            Output::Abort { token } => host.abort(token),
            Output::SocketOpen { token } => host.socket_open(token),
            Output::SocketSend { token, text } => host.socket_send(token, &text),
            Output::SocketClose { token } => {
                host.socket_close(token);
                self.later(Input::SocketClosed { token, code: CODE_NORMAL });
            }
            Output::AskToken { why } => host.ask_token(why.as_str()),
            _ => {}
        }
    }

    fn store(&self, token: Token, op: StoreOp) {
        if !self.host.store(token, op) {
            self.later(Input::Stored { token, result: Err(StoreError::Failed) });
        }
    }

    /// An input for after the output in hand.
    fn later(&self, input: Input) {
        self.inbox.borrow_mut().push_back(input);
    }
}
