//! The network: requests with streamed answers, and the live channel. No token ever stands in an address.

pub(crate) mod entity;
pub(crate) mod http;
pub(crate) mod socket;
