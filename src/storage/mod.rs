//! Where the log is kept: IndexedDB, or memory where there is none.

pub(crate) mod memory;

use tidewire_core::io::{StoreError, StoreOp, StoreReply};

use crate::convert::StorageKind;
use crate::idb::IndexedDb;
use crate::storage::memory::Memory;

/// The store of one database.
pub(crate) enum Store {
    Indexeddb(IndexedDb),
    Memory(Memory),
}

impl Store {
    /// Opens what the settings ask for; memory where the browser has no IndexedDB for this page (private windows of
    /// old, pages without an origin). A database that is there but fails is an error: memory would look as if the
    /// data were gone.
    pub(crate) async fn open(name: &str, wanted: StorageKind) -> Result<Self, StoreError> {
        if wanted == StorageKind::Memory {
            return Ok(Self::Memory(Memory::default()));
        }
        Ok(match IndexedDb::open(name).await? {
            Some(store) => Self::Indexeddb(store),
            None => Self::Memory(Memory::default()),
        })
    }

    pub(crate) fn kind(&self) -> StorageKind {
        match self {
            Self::Indexeddb(_) => StorageKind::Indexeddb,
            Self::Memory(_) => StorageKind::Memory,
        }
    }

    /// Does one piece of work, in one transaction.
    pub(crate) async fn run(&self, op: StoreOp) -> Result<StoreReply, StoreError> {
        match self {
            Self::Indexeddb(store) => store.run(op).await,
            Self::Memory(store) => store.run(op),
        }
    }

    /// Deletes everything. The store may be closed.
    pub(crate) async fn erase(&self) -> Result<StoreReply, StoreError> {
        self.run(StoreOp::Erase).await
    }

    /// Lets the database go; what is under way still ends.
    pub(crate) fn close(&self) {
        if let Self::Indexeddb(store) = self {
            store.close();
        }
    }
}
