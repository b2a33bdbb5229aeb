//! The one exported class: calls of the app, which return or throw what the engine said, and what the host tells.

use std::cell::RefCell;

use tidewire_core::engine::Engine;
use tidewire_core::io::{Input, StoreError, StoreReply};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::driver::Driver;
use crate::host::{Host, log_panics, refuse};
use crate::room;

/// An engine, seen from JavaScript. All structured data crosses as JSON text.
#[wasm_bindgen]
pub struct Client {
    driver: Driver,
    /// What the host has handed over of the answer that follows: keys, and bytes where there are some.
    parts: RefCell<Vec<(u64, Option<Vec<u8>>)>>,
}

/// Calls of the app. The numbers stand in `pkg/src/host/module.ts`.
#[wasm_bindgen]
impl Client {
    /// Takes the settings, the engine's only entropy, sixteen random bytes, and the number of the host.
    pub fn make(config: &str, entropy: &[u8], host: u32) -> Option<Self> {
        if cfg!(debug_assertions) {
            // A release panics without text.
            log_panics();
        }
        let mut seed = [0; 16];
        seed.iter_mut().zip(entropy).for_each(|(to, from)| *to = *from);
        let mut engine = Engine::new(config, seed).map_err(|error| refuse(&error)).ok()?;
        engine.in_part();
        Some(Self { driver: Driver::new(engine, Host(host)), parts: RefCell::default() })
    }

    /// Folds the log; the host hears of the end of it. Afterwards everything else works.
    pub fn open(&self) {
        self.driver.with(Engine::open);
    }

    /// Lets the engine write down what it has.
    pub fn close(&self) {
        self.driver.with(Engine::close);
    }

    /// A call that is answered at once, or refused. One door for all of them takes less room than a door for each.
    pub fn call(&self, what: u32, text: &str, more: &str) -> Option<String> {
        room::for_work_on(more.len());
        let answer = self.driver.with(|engine, now| {
            let answer = match what {
                // Accepts a write: visible at once, durable later (event `durable`).
                0 => engine.write(now, text, more).map(Some),
                // Takes back what a write changed, as a new write.
                1 => engine.undo(now, text.parse().unwrap_or_default()).map(Some),
                // A row, or nothing.
                2 => engine.row(text, more),
                // Rows by a JSON array of ids, in its order, with null for what is not there.
                3 => engine.rows(text, more).map(Some),
                // The ids that answer a query.
                4 => engine.query(text).map(Some),
                // `status`, `queue`, `health`, `metrics` or `conflicts`.
                5 => engine.view(now, text).map(Some),
                // Pause, resume, now, and what can be done with a failed mutation.
                6 => engine.command(now, text).map(Some),
                // Everything, as JSON.
                7 => engine.export().map(Some),
                // Asks for a row before the store is open; an event may bring it.
                _ => engine.want(text, more).map(|()| None),
            };
            engine.pack_again();
            answer
        });
        answer.unwrap_or_else(|error| {
            refuse(&error);
            None
        })
    }
}

/// What the host tells, never from a call of the app. The numbers stand in `pkg/src/host/module.ts`.
#[wasm_bindgen]
impl Client {
    /// Does what the calls of this turn asked for.
    pub fn turn(&self) {
        self.driver.pump();
    }

    /// A part of the answer that follows.
    pub fn part(&self, key: f64, bytes: Option<Vec<u8>>) {
        self.parts.borrow_mut().push((key as u64, bytes));
    }

    /// A store operation ended. Two of the answers have numbers: the fence and how many parts are directories, or the
    /// first key.
    pub fn stored(&self, token: f64, answer: u32, number: f64, directories: u32) {
        let mut parts = self.parts.take();
        room::for_work_on(parts.iter().map(|(_, bytes)| bytes.as_ref().map_or(0, Vec::len)).sum());
        let result = match answer {
            0 => {
                let state = parts.remove(0).1;
                let log = whole(parts.split_off(directories as usize));
                Ok(StoreReply::Loaded { state, fence: number as u64, directories: whole(parts), log })
            }
            1 => Ok(StoreReply::Segments(parts)),
            2 => Ok(StoreReply::Log(whole(parts))),
            3 => Ok(StoreReply::Appended { first_key: number as u64 }),
            4 => Ok(StoreReply::Written { keys: parts.into_iter().map(|(key, _)| key).collect() }),
            5 => Ok(StoreReply::Refused),
            6 => Err(StoreError::Quota),
            7 => Err(StoreError::Wiped),
            8 => Err(StoreError::FormatNewer),
            _ => Err(StoreError::Failed),
        };
        self.driver.feed(Input::Stored { token: token as u64, result });
    }

    /// The head of an answer.
    pub fn response(&self, token: f64, status: u16, retry_after_ms: Option<f64>, json: bool) {
        let retry_after_ms = retry_after_ms.map(|ms| ms as u64);
        self.driver.feed(Input::Response { token: token as u64, status, retry_after_ms, json });
    }

    /// Anything else.
    pub fn tell(&self, what: u32, token: f64, number: u32, text: Option<String>) {
        let token = token as u64;
        let bytes = || self.parts.take().pop().and_then(|(_, bytes)| bytes).unwrap_or_default();
        self.driver.feed(match what {
            0 => Input::Chunk { token, bytes: bytes() },
            1 => Input::Finished { token },
            2 => Input::NetFailed { token, message: text.unwrap_or_default() },
            3 => Input::SocketOpen { token },
            4 => Input::SocketMessage { token, text: text.unwrap_or_default() },
            5 => Input::SocketClosed { token, code: number as u16 },
            6 => Input::Token { result: Ok(text) },
            7 => Input::Token { result: Err(text.unwrap_or_default()) },
            8 => Input::Message(bytes()),
            9 => Input::LockHeld,
            10 => Input::LockLost,
            11 => Input::Online(number != 0),
            12 => Input::Visible(number != 0),
            13 => Input::Wake,
            _ => Input::Whole,
        });
    }
}

fn whole(parts: Vec<(u64, Option<Vec<u8>>)>) -> Vec<(u64, Vec<u8>)> {
    parts.into_iter().map(|(key, bytes)| (key, bytes.unwrap_or_default())).collect()
}
