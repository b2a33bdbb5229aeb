//! The engine in the browser: `tidewire-core` behind one exported class, and the pump that drives it.
//!
//! It decides nothing and knows nothing of the browser but its clocks. The engine says what to do
//! ([`tidewire_core::io::Output`]); the host, which is TypeScript (`pkg/src/host`), does it and says what came of it
//! ([`tidewire_core::io::Input`]). The invariant: no JavaScript of the app runs while the engine is borrowed, so the
//! app may call back into [`Client`] from every event.
//!
//! ```text
//!  client ──── driver ──── host ──── pkg/src/host: IndexedDB, fetch, WebSocket, tabs, timers
//!  (exports)   (pump)      (imports)
//! ```
//!
//! A panic is a trap: whatever was borrowed stays borrowed, and this instance is lost. The host, which holds all locks,
//! sockets and databases, sees the trap, lets them go and runs on with a fresh instance from the log.

mod client;
mod driver;
mod host;
mod room;

pub use client::Client;

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();
