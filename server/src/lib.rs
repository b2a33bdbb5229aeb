//! The Tidewire sync server: HTTP, WebSocket and SQL around `tidewire_core::authority`.
//!
//! [`app`] is an `axum::Router` to embed; [`serve::serve`] runs it with the timeouts that a public port needs.
//!
//! It decides nothing about data: a push goes to the core inside one database transaction. It keeps no state of its
//! own but who is connected.

pub mod auth;
pub mod cli;
pub mod config;
pub mod error;
mod http;
pub mod policy;
pub mod serve;
pub mod state;
pub mod store;
mod ws;

use axum::Router;

pub use state::{AppState, State, Timeouts};

/// Every route of the server.
pub fn app(state: AppState) -> Router {
    http::router(state)
}
