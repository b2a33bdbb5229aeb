//! The log: append, read, and the one read that opens a database.

use indexed_db_futures::KeyRange;
use indexed_db_futures::database::Database;
use indexed_db_futures::future::{BasicRequest, GetAllPrimitiveRequest};
use indexed_db_futures::object_store::ObjectStore;
use indexed_db_futures::prelude::*;
use js_sys::Uint8Array;
use tidewire_core::io::{Durability, StoreReply};
use wasm_bindgen::{JsCast, JsValue};

use super::connection::{self, DIRECTORIES, Failure, LOG, META, META_FENCE, META_STATE, META_UPTO, Result};
use crate::convert::own_bytes;

/// Puts the records and commits at once; nothing is read. The key is known when the transaction is complete.
pub(super) async fn append(db: &Database, records: &[Vec<u8>], durability: Durability) -> Result<u64> {
    let transaction = connection::writing(db, &[LOG], durability)?;
    let first = put_all(&transaction.object_store(LOG)?, records)?;
    connection::commit(transaction).await?;
    // The request is done: this only takes its result.
    Ok(first.ok_or(Failure::Unknown)?.await? as u64)
}

fn put_all(log: &ObjectStore<'_>, records: &[Vec<u8>]) -> Result<Option<BasicRequest<f64>>> {
    let mut first = None;
    for record in records {
        let request = log.put(stored(record)).with_key_type::<f64>().primitive()?;
        first.get_or_insert(request);
    }
    Ok(first)
}

/// The records above a key, in order.
pub(super) async fn read(db: &Database, after: u64) -> Result<Vec<(u64, Vec<u8>)>> {
    let transaction = connection::reading(db, &[LOG])?;
    let store = transaction.object_store(LOG)?;
    Records::above(&store, after as f64)?.read().await
}

/// Everything that opening needs, as it was at one moment.
pub(super) async fn load(db: &Database) -> Result<StoreReply> {
    let transaction = connection::reading(db, &[META, DIRECTORIES, LOG])?;
    let (meta, log) = (transaction.object_store(META)?, transaction.object_store(LOG)?);
    let directories = Records::above(&transaction.object_store(DIRECTORIES)?, 0.0)?;
    let state = meta.get::<JsValue, _, _>(META_STATE).primitive()?;
    let fence = meta.get::<f64, _, _>(META_FENCE).primitive()?;
    let upto = meta.get::<f64, _, _>(META_UPTO).primitive()?.await?.unwrap_or(0.0);
    let log = Records::above(&log, upto)?;
    Ok(StoreReply::Loaded {
        state: state.await?.map(loaded_bytes),
        fence: fence.await?.unwrap_or(0.0) as u64,
        directories: directories.read().await?,
        log: log.read().await?,
    })
}

/// Requests for the records above a key; all of one transaction are sent before the first is awaited.
struct Records {
    keys: GetAllPrimitiveRequest<f64>,
    values: GetAllPrimitiveRequest<JsValue>,
}

impl Records {
    /// A deleted record costs time as long as a read passes over it, so each read starts at a known key.
    fn above(store: &ObjectStore<'_>, after: f64) -> Result<Self> {
        let keys = store.get_all_keys::<f64>().with_query::<f64, _>(KeyRange::LowerBound(after, true)).primitive()?;
        let values = store.get_all::<JsValue>().with_query::<f64, _>(KeyRange::LowerBound(after, true)).primitive()?;
        Ok(Self { keys, values })
    }

    async fn read(self) -> Result<Vec<(u64, Vec<u8>)>> {
        let (keys, values) = (self.keys.await?, self.values.await?);
        keys.zip(values).map(|(key, value)| Ok((key? as u64, loaded_bytes(value?)))).collect()
    }
}

/// Bytes as they are stored.
pub(super) fn stored(bytes: &[u8]) -> JsValue {
    own_bytes(bytes).into()
}

/// Stored bytes. What is not bytes was not written by this: its checksum fails like that of a damaged record.
pub(super) fn loaded_bytes(value: JsValue) -> Vec<u8> {
    value.dyn_into::<Uint8Array>().map(|bytes| bytes.to_vec()).unwrap_or_default()
}
