//! Pending mutations: which may go up next, when to try again, and which edits become one.

pub mod backoff;
pub mod batch;
pub mod coalesce;
