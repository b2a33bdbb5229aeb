//! From the log to the state, and from the log to segments. Pure: bytes come in, bytes go out.
//!
//! ```text
//! segments ──load──►
//!                    State ──seal──► segments (and the log behind them is deleted)
//! log ──────fold──►
//! ```
//!
//! The invariant: folding the same segments and the same log gives the same state in every tab.

pub mod adopt;
pub mod aliases;
pub mod asked;
pub mod clean;
pub mod columns;
pub mod commit;
pub mod conflicts;
pub mod directory;
pub mod discard;
pub mod effects;
pub mod evict;
pub mod fold;
pub mod forget;
pub mod journal;
pub mod load;
pub mod local;
pub mod project;
pub mod seal;
pub mod segment;
pub mod state;
pub mod texts;
