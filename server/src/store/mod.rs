//! Where the server keeps its data. The decisions are made by `tidewire_core::authority`; a store only remembers.
//!
//! Invariant: data, verdicts and counters of a push become durable in one database transaction, before the answer
//! leaves.

pub mod sqlite;

use thiserror::Error;

pub use sqlite::Store;

/// How a store fails. Never shown to a client: it may name files and tables.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite said no.
    #[error("database: {0}")]
    Database(#[from] rusqlite::Error),
    /// Something stored cannot be read.
    #[error("stored data cannot be read: {0}")]
    Unreadable(String),
    /// The database was made by a newer release.
    #[error("this database has schema version {found}, this release reads up to {known}: start the newer release")]
    Newer {
        /// What the file says.
        found: i64,
        /// What this release knows.
        known: i64,
    },
    /// More pushes wait than the queue holds.
    #[error("too many pushes wait for the disk")]
    Overloaded,
    /// Deciding this push panicked; nothing of it was stored.
    #[error("the decision on a push panicked: {0}")]
    Panicked(String),
    /// The reader of a stream went away or is too slow.
    #[error("the reader of this stream is gone")]
    ReaderGone,
    /// The server is stopping.
    #[error("the store is closed")]
    Closed,
    /// The data directory cannot be used.
    #[error("{0}")]
    Directory(String),
}
