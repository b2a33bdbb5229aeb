//! The browser around `tidewire-core`: IndexedDB, fetch, WebSocket, tabs and timers.
//!
//! It decides nothing. The engine says what to do ([`tidewire_core::io::Output`]), this crate does it and says what
//! came of it ([`tidewire_core::io::Input`]). The invariant: no JavaScript of the app runs while the engine is
//! borrowed, so the app may call back into [`Client`] from every event.
//!
//! ```text
//!  client ── driver ──┬── storage ── idb | memory
//!  (exports)  (pump)  ├── net ────── http | socket
//!                     ├── tabs ───── lock | channel
//!                     └── env ────── time | online | visibility | random
//! ```

mod client;
mod convert;
mod driver;
mod env;
mod error;
mod idb;
mod net;
mod storage;
mod tabs;
mod trap;

pub use client::Client;
pub use trap::abandon;

use wasm_bindgen::prelude::wasm_bindgen;

/// Runs once per instance.
#[wasm_bindgen(start)]
pub fn start() {
    trap::install();
}
