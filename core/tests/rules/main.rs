//! The protocol's rules (docs/PROTOCOL.md): each test breaks when its rule does. One program, because each program of
//! tests has to be linked with the whole core.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test may panic"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../world/mod.rs"]
mod world;

mod applied;
mod authority;
mod backend;
mod cascade;
mod conflicts;
mod conflicts_client;
mod damage;
mod delta;
mod digest;
mod drain;
mod evict;
mod fetch;
mod fork;
mod gap;
mod hints;
mod identity;
mod journey;
mod liveness;
mod local;
mod log;
mod losses;
mod losses_client;
mod merge;
mod migration;
mod moved;
mod once;
mod push_live;
mod quota;
mod releases;
mod remap;
mod replaced;
mod replicate;
mod reset;
mod room;
mod store;
mod strategies;
mod sweep;
mod sync;
mod tabs;
mod texts;
mod time;
mod transactions;
mod undo;
mod users;
mod watchdog;
mod worker;
