//! What the host does for the engine: one import for each output. `pkg/src/wasm/bindings.ts` makes them calls of the
//! `ModuleHost` (`pkg/src/host/module.ts`) that the number stands for.
//!
//! None of them throws, waits, or runs a function of the app, but for `event`. Bytes cross as copies: a `Uint8Array`
//! that looks into wasm memory would be stored by IndexedDB together with the whole memory, 300 ms and 48 MiB for a
//! record of 180 bytes. Only numbers, texts and bytes cross: with a JavaScript value or class in a signature the module
//! would carry a table of them and the bindings the way there and back.

use tidewire_core::error::CoreError;
use tidewire_core::io::{Durability, Fetch, NewSegment, Now, StoreOp, Token};
use wasm_bindgen::prelude::wasm_bindgen;

/// The browser's side of one client, by its number in the bindings.
#[derive(Clone, Copy)]
pub(crate) struct Host(pub(crate) u32);

#[wasm_bindgen]
extern "C" {
    fn event(host: u32, json: &str);
    fn opened(host: u32);
    fn soon(host: u32);
    fn failed(retryable: bool, code: &str, message: &str, path: Option<&str>);

    fn part(host: u32, bytes: &[u8]);
    fn key(host: u32, key: f64);
    fn load(host: u32, token: f64);
    #[wasm_bindgen(js_name = readLog)]
    fn read_log(host: u32, token: f64, after: f64);
    #[wasm_bindgen(js_name = readSegments)]
    fn read_segments(host: u32, token: f64);
    fn append(host: u32, token: f64, strict: bool);
    fn seal(host: u32, token: f64, expect: f64, upto: f64, fence: f64);
    fn clean(host: u32, token: f64, fence: f64);

    fn fetch(host: u32, token: f64, path: &str, body: Option<&str>, bearer: Option<&str>);
    fn abort(host: u32, token: f64);
    #[wasm_bindgen(js_name = socketOpen)]
    fn socket_open(host: u32, token: f64);
    #[wasm_bindgen(js_name = socketSend)]
    fn socket_send(host: u32, token: f64, text: &str);
    #[wasm_bindgen(js_name = socketClose)]
    fn socket_close(host: u32, token: f64);
    #[wasm_bindgen(js_name = askToken)]
    fn ask_token(host: u32, why: &str);
    fn broadcast(host: u32, bytes: &[u8]);
    fn lock(host: u32, what: &str);
    fn wake(host: u32, at_mono_ms: f64);

    fn wall() -> f64;
    fn mono() -> f64;
    fn log(text: &str);
}

impl Host {
    /// A batch of events, as a JSON array.
    pub(crate) fn event(self, json: &str) {
        event(self.0, json);
    }

    /// The engine has opened, or was refused just now.
    pub(crate) fn opened(self) {
        opened(self.0);
    }

    /// Asks for [`crate::Client::turn`] in a microtask.
    pub(crate) fn soon(self) {
        soon(self.0);
    }

    pub(crate) fn fetch(self, token: Token, request: &Fetch) {
        fetch(self.0, token as f64, &request.path, request.body.as_deref(), request.bearer.as_deref());
    }

    pub(crate) fn abort(self, token: Token) {
        abort(self.0, token as f64);
    }

    pub(crate) fn socket_open(self, token: Token) {
        socket_open(self.0, token as f64);
    }

    pub(crate) fn socket_send(self, token: Token, text: &str) {
        socket_send(self.0, token as f64, text);
    }

    pub(crate) fn socket_close(self, token: Token) {
        socket_close(self.0, token as f64);
    }

    pub(crate) fn ask_token(self, why: &str) {
        ask_token(self.0, why);
    }

    pub(crate) fn broadcast(self, bytes: &[u8]) {
        broadcast(self.0, bytes);
    }

    /// Asks for the leader's lock (`ask`), takes it from whoever holds it (`steal`), or gives it back (`leave`).
    pub(crate) fn lock(self, what: &str) {
        lock(self.0, what);
    }

    pub(crate) fn wake(self, at_mono_ms: u64) {
        wake(self.0, at_mono_ms as f64);
    }

    /// Hands over a store operation; whether there is such an operation.
    pub(crate) fn store(self, token: Token, op: StoreOp) -> bool {
        let (host, token) = (self.0, token as f64);
        match op {
            StoreOp::Load => load(host, token),
            StoreOp::ReadLog { after } => read_log(host, token, after as f64),
            StoreOp::ReadSegments { keys } => {
                self.keys(&keys);
                read_segments(host, token);
            }
            StoreOp::Append { records, durability } => {
                for record in records.iter() {
                    part(host, record);
                }
                append(host, token, durability == Durability::Strict);
            }
            op => return self.upkeep(token, op),
        }
        true
    }

    /// What only a leader asks for, as [`store`](Self::store): it stands in the second part of the module.
    #[inline(never)]
    fn upkeep(self, token: f64, op: StoreOp) -> bool {
        let host = self.0;
        match op {
            StoreOp::Seal { expect, record, segments, state, upto, fence } => {
                part(host, &record);
                part(host, &state);
                self.segments(segments);
                seal(host, token, expect as f64, upto as f64, fence as f64);
            }
            StoreOp::Clean { fence, victims, segments } => {
                self.keys(&victims);
                self.segments(segments);
                clean(host, token, fence as f64);
            }
            _ => return false,
        }
        true
    }

    /// The segments that the operation which follows is about.
    fn keys(self, keys: &[u64]) {
        for at in keys {
            key(self.0, *at as f64);
        }
    }

    fn segments(self, segments: Vec<NewSegment>) {
        for segment in segments {
            part(self.0, &segment.bytes);
            part(self.0, &segment.directory);
        }
    }
}

/// A refusal: the call in hand throws it, or the engine has not opened.
pub(crate) fn refuse(error: &CoreError) {
    failed(error.retryable(), error.code.as_str(), &error.message, error.path.as_deref());
}

/// Both clocks. `as` saturates: a clock before 1970 is 0.
pub(crate) fn now() -> Now {
    Now { wall_ms: wall() as u64, mono_ms: mono() as u64 }
}

/// Says in the browser's console why a development build panics.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|info| log(&info.to_string())));
}
