//! Bytes that nobody meant, for everything in `tidewire-core` that reads bytes from elsewhere: a target for each
//! reader, with properties that have to hold for every input.
//!
//! What it is not: a coverage-guided fuzzer. It runs on the stable compiler that the project pins, from a kept corpus
//! (`docs/decisions/0030`). The simulator plays whole deployments; here one reader gets one input.
//!
//! Invariant: a target decides by its input alone, so that a file in `corpus/` is a test.
//!
//! ```
//! use tidewire_fuzz::{campaign, corpus, targets};
//! let json = targets::find("json").expect("there is one");
//! assert!(campaign::execute(json, br#"{"a":[1,2.50]}"#).is_ok());
//! assert!(!corpus::read("json").expect("a corpus").is_empty());
//! ```

pub mod campaign;
pub mod corpus;
pub mod mutate;
pub mod random;
pub mod seeds;
pub mod targets;
mod tenant;
