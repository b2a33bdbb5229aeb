//! The other tabs of this store: who leads, and what they say.

pub(crate) mod channel;
pub(crate) mod lock;
