//! Laws: what holds for all inputs, tried with random ones.

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
#[path = "../naive/mod.rs"]
mod naive;
#[path = "../world/mod.rs"]
mod world;

mod algebra;
mod cascade;
mod conflicts;
mod conflicts_fold;
mod early;
mod groups;
mod identity;
mod insert;
mod local;
mod merge;
mod migration;
mod query;
mod queue;
mod replicate;
