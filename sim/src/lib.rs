//! Whole deployments of Tidewire in one thread: devices with stores and tabs, the real engine in each tab, the real
//! authority behind a network, and everything that goes wrong between them, drawn from one seed.
//!
//! A run has two phases. While the scenario is played its faults are injected, and what must never be shown is
//! checked as it happens. Then all faults are healed, and everything has to come to rest: every device shows what
//! the server has for its user, nothing waits, and of everything that an app was told is stored it can be said
//! where it is.
//!
//! The engine is the one that browsers run, without a line of its own for the simulator; what is simulated is what
//! browsers, networks and disks do. What is not here: HTTP, compression, SQL, TypeScript. Those have tests of their
//! own.
//!
//! ```
//! use tidewire_sim::{run::run, scenario::Scenario};
//! let outcome = run(&Scenario::of(1), false);
//! assert_eq!(outcome.broken, None);
//! assert_eq!(outcome.hash, run(&Scenario::of(1), false).hash);
//! ```

mod causal;
mod checkers;
mod deal;
mod decisions;
mod device;
mod disk;
mod faults;
mod labels;
mod network;
mod oracle;
mod order;
mod papers;
mod people;
mod policy;
mod queue;
mod random;
mod releases;
pub mod report;
pub mod run;
pub mod scenario;
mod server;
pub mod shrink;
mod users;
mod wishes;
mod world;

pub use labels::Labels;
pub use world::Broken;
