//! Everything that Tidewire decides, on the device and on the server.

pub mod authority;
pub mod clock;
pub mod diff;
pub mod engine;
pub mod error;
pub mod health;
pub mod ids;
pub mod io;
pub mod json;
pub mod limits;
pub mod log;
pub mod merge;
pub mod model;
pub mod planted;
pub mod protocol;
pub mod query;
pub mod queue;
pub mod replica;
pub mod small;
pub mod store;
pub mod table;
pub mod view;
