//! The log in IndexedDB: five kinds of transaction, a connection that may die at any time, and one second try.
//!
//! Stores, all with integer keys: `log` and `segs` (autoincrement), `dirs` (the key of its segment), `meta` (1 the
//! state, 2 the last log key that it holds, 3 the fence). A new format is a database of a new name, never a raised
//! version: a frozen tab would block the upgrade for ever.
//!
//! The invariant: an append that is reported as failed is not in the log. Whether a transaction that died with its
//! connection was committed cannot be known from the error, so the log is read again before the append is repeated.

mod connection;
mod log;
mod request;
mod segments;

use std::cell::Cell;
use std::rc::Rc;

use tidewire_core::io::{Durability, StoreError, StoreOp, StoreReply};

use connection::{Connection, Failure};

/// A database in IndexedDB.
pub(crate) struct IndexedDb {
    connection: Rc<Connection>,
    /// The highest log key that this tab has seen: where to look for an append whose fate is unknown.
    last_log: Cell<u64>,
}

impl IndexedDb {
    /// Opens the database, new if need be; `None` where the page may not use IndexedDB.
    pub(crate) async fn open(name: &str) -> Result<Option<Self>, StoreError> {
        let connection = Connection::new(name);
        match connection.get().await {
            Ok(_) => {}
            Err(Failure::Unavailable) => return Ok(None),
            Err(_) => {
                // The browser's storage process may just have been restarted: once more, and then it is an error.
                connection.get().await.map_err(StoreError::from)?;
            }
        }
        Ok(Some(Self { connection, last_log: Cell::new(0) }))
    }

    pub(crate) async fn run(&self, op: StoreOp) -> Result<StoreReply, StoreError> {
        let result = match &op {
            StoreOp::Append { records, durability } => self.append(records, *durability).await,
            StoreOp::Erase => self.connection.erase().await.map(|()| StoreReply::Erased),
            op => self.twice(op).await,
        };
        match &result {
            Ok(StoreReply::Loaded { log, .. } | StoreReply::Log(log)) => {
                self.saw(log.last().map_or(0, |(key, _)| *key))
            }
            Ok(StoreReply::Erased) | Err(Failure::Wiped) => self.last_log.set(0),
            _ => {}
        }
        Ok(result?)
    }

    pub(crate) fn close(&self) {
        self.connection.close();
    }

    fn saw(&self, key: u64) {
        self.last_log.set(self.last_log.get().max(key));
    }

    /// For work that may be repeated: it only reads, or it is refused when it has been done already.
    async fn twice(&self, op: &StoreOp) -> Result<StoreReply, Failure> {
        match self.once(op).await {
            Err(Failure::Dead | Failure::Unknown) => {
                self.connection.forget();
                self.once(op).await
            }
            result => result,
        }
    }

    async fn once(&self, op: &StoreOp) -> Result<StoreReply, Failure> {
        let db = self.connection.get().await?;
        match op {
            StoreOp::Load => log::load(&db).await,
            StoreOp::ReadLog { after } => log::read(&db, *after).await.map(StoreReply::Log),
            StoreOp::ReadSegments { keys } => segments::read(&db, keys).await,
            StoreOp::Seal { expect, record, segments, state, upto, fence } => {
                let seal = segments::Seal { expect: *expect, record, segments, state, upto: *upto, fence: *fence };
                segments::seal(&db, seal).await
            }
            StoreOp::Clean { fence, victims, segments } => segments::clean(&db, *fence, victims, segments).await,
            _ => Err(Failure::Unknown),
        }
    }

    async fn append(&self, records: &[Vec<u8>], durability: Durability) -> Result<StoreReply, Failure> {
        let first = self.append_once(records, durability).await;
        let first_key = match first {
            Ok(key) => key,
            Err(failure @ (Failure::Dead | Failure::Unknown)) => {
                self.connection.forget();
                let done = match failure {
                    Failure::Unknown => self.find(records).await?,
                    _ => None,
                };
                match done {
                    Some(key) => key,
                    None => self.append_once(records, durability).await?,
                }
            }
            Err(failure) => return Err(failure),
        };
        self.saw(first_key + (records.len() as u64).saturating_sub(1));
        Ok(StoreReply::Appended { first_key })
    }

    async fn append_once(&self, records: &[Vec<u8>], durability: Durability) -> Result<u64, Failure> {
        let db = self.connection.get().await?;
        log::append(&db, records, durability).await
    }

    /// The key of the first of these records, if they stand in the log above what this tab has seen. Two tabs do not
    /// write the same bytes: a mutation carries ids and stamps, a record of the leader its fence.
    async fn find(&self, records: &[Vec<u8>]) -> Result<Option<u64>, Failure> {
        let db = self.connection.get().await?;
        let log = log::read(&db, self.last_log.get()).await?;
        let found = log.windows(records.len().max(1)).find(|window| window.iter().map(|(_, bytes)| bytes).eq(records));
        Ok(found.and_then(|window| window.first()).map(|(key, _)| *key))
    }
}
