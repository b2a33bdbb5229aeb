//! What goes over the wire.

pub mod message;
