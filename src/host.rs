//! What the host does for the engine: one method for each output. `pkg/src/host/module.ts` has its TypeScript.
//!
//! None of them throws, waits, or runs a function of the app, but for `event`. Bytes cross as copies: a `Uint8Array`
//! that looks into wasm memory would be stored by IndexedDB together with the whole memory, 300 ms and 48 MiB for a
//! record of 180 bytes.

use tidewire_core::error::CoreError;
use tidewire_core::io::{Durability, Fetch, NewSegment, Now, StoreOp, Token};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    /// The browser's side of one client.
    #[wasm_bindgen(typescript_type = "ModuleHost")]
    pub type Host;

    /// A batch of events, as a JSON array.
    #[wasm_bindgen(method)]
    pub(crate) fn event(this: &Host, json: &str);
    /// The engine has opened, or could not.
    #[wasm_bindgen(method)]
    pub(crate) fn opened(this: &Host, failure: Option<JsValue>);
    /// Asks for [`crate::Client::turn`] in a microtask.
    #[wasm_bindgen(method)]
    pub(crate) fn soon(this: &Host);
    #[wasm_bindgen(method)]
    fn error(this: &Host, code: &str, retryable: bool, message: &str, path: Option<String>) -> JsValue;

    /// Bytes of the store operation that follows.
    #[wasm_bindgen(method)]
    fn part(this: &Host, bytes: Vec<u8>);
    /// A segment that the operation which follows is about.
    #[wasm_bindgen(method)]
    fn key(this: &Host, key: f64);
    #[wasm_bindgen(method)]
    fn load(this: &Host, token: f64);
    #[wasm_bindgen(method, js_name = readLog)]
    fn read_log(this: &Host, token: f64, after: f64);
    #[wasm_bindgen(method, js_name = readSegments)]
    fn read_segments(this: &Host, token: f64);
    #[wasm_bindgen(method)]
    fn append(this: &Host, token: f64, strict: bool);
    #[wasm_bindgen(method)]
    fn seal(this: &Host, token: f64, expect: f64, upto: f64, fence: f64);
    #[wasm_bindgen(method)]
    fn clean(this: &Host, token: f64, fence: f64);

    #[wasm_bindgen(method, js_name = fetch)]
    fn begin_fetch(this: &Host, token: f64, path: &str, body: Option<String>, bearer: Option<String>);
    #[wasm_bindgen(method)]
    pub(crate) fn abort(this: &Host, token: f64);
    #[wasm_bindgen(method, js_name = socketOpen)]
    pub(crate) fn socket_open(this: &Host, token: f64);
    #[wasm_bindgen(method, js_name = socketSend)]
    pub(crate) fn socket_send(this: &Host, token: f64, text: &str);
    #[wasm_bindgen(method, js_name = socketClose)]
    pub(crate) fn socket_close(this: &Host, token: f64);
    #[wasm_bindgen(method, js_name = askToken)]
    pub(crate) fn ask_token(this: &Host, why: &str);
    #[wasm_bindgen(method)]
    pub(crate) fn broadcast(this: &Host, bytes: Vec<u8>);
    /// Asks for the leader's lock (`ask`), takes it from whoever holds it (`steal`), or gives it back (`leave`).
    #[wasm_bindgen(method)]
    pub(crate) fn lock(this: &Host, what: &str);
    #[wasm_bindgen(method)]
    pub(crate) fn wake(this: &Host, at_mono_ms: f64);

    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

impl Host {
    /// A refusal as JavaScript throws it.
    pub(crate) fn thrown(&self, error: &CoreError) -> JsValue {
        self.error(error.code.as_str(), error.retryable(), &error.message, error.path.clone())
    }

    pub(crate) fn fetch(&self, token: Token, request: Fetch) {
        self.begin_fetch(token as f64, &request.path, request.body, request.bearer);
    }

    /// Hands over a store operation; whether there is such an operation.
    pub(crate) fn store(&self, token: Token, op: StoreOp) -> bool {
        let token = token as f64;
        match op {
            StoreOp::Load => self.load(token),
            StoreOp::ReadLog { after } => self.read_log(token, after as f64),
            StoreOp::ReadSegments { keys } => {
                self.keys(&keys);
                self.read_segments(token);
            }
            StoreOp::Append { records, durability } => {
                for record in records {
                    self.part(record);
                }
                self.append(token, durability == Durability::Strict);
            }
            StoreOp::Seal { expect, record, segments, state, upto, fence } => {
                self.part(record);
                self.part(state);
                self.segments(segments);
                self.seal(token, expect as f64, upto as f64, fence as f64);
            }
            StoreOp::Clean { fence, victims, segments } => {
                self.keys(&victims);
                self.segments(segments);
                self.clean(token, fence as f64);
            }
            _ => return false,
        }
        true
    }

    fn keys(&self, keys: &[u64]) {
        for key in keys {
            self.key(*key as f64);
        }
    }

    fn segments(&self, segments: Vec<NewSegment>) {
        for segment in segments {
            self.part(segment.bytes);
            self.part(segment.directory);
        }
    }
}

/// Both clocks. `as` saturates: a clock before 1970 is 0.
pub(crate) fn now() -> Now {
    Now { wall_ms: js_sys::Date::now() as u64, mono_ms: performance_now() as u64 }
}
