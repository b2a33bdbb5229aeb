//! What goes over the wire.

pub mod message;
pub mod read;
