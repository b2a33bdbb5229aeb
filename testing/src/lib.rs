//! The server of the test kit (`tidewire/testing`): `core::authority` over a store in memory, behind one exported
//! class.
//!
//! It carries nothing: requests, sockets, tokens, faults and the clock are `pkg/src/testing`. It is a module of its own
//! (`pkg/dist/testing/`), which no app loads. The invariant: what a test sees is decided by the code that the real
//! server runs.
//!
//! ```text
//!  pkg/src/testing ──► Authority ──► MemoryServer ──► decide_push, Plan
//!       ▲ rules of the test └── policy
//! ```

mod authority;
mod policy;

pub use authority::Authority;
