//! The log: append, read, and the one read that opens a database.

use js_sys::{Array, Uint8Array};
use tidewire_core::io::{Durability, StoreReply};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{IdbDatabase, IdbObjectStore};

use super::connection::{DIRECTORIES, Failure, LOG, META, META_FENCE, META_STATE, META_UPTO, Result};
use super::request::{Reply, Transaction, above, key};
use crate::convert::own_bytes;

/// Puts the records and commits at once; nothing is read. The key is known when the transaction is complete.
pub(super) async fn append(db: &IdbDatabase, records: &[Vec<u8>], durability: Durability) -> Result<u64> {
    let transaction = Transaction::writing(db, &[LOG], durability)?;
    let first = put_all(&transaction.store(LOG)?, records)?;
    transaction.commit().await?;
    // The request is done: this only takes its result.
    first.ok_or(Failure::Unknown)?.key().await
}

fn put_all(log: &IdbObjectStore, records: &[Vec<u8>]) -> Result<Option<Reply>> {
    let mut first = None;
    for record in records {
        let request = log.put(&stored(record))?;
        first.get_or_insert_with(|| Reply::of(request));
    }
    Ok(first)
}

/// The records above a key, in order.
pub(super) async fn read(db: &IdbDatabase, after: u64) -> Result<Vec<(u64, Vec<u8>)>> {
    let transaction = Transaction::reading(db, &[LOG])?;
    Records::above(&transaction.store(LOG)?, after)?.read().await
}

/// Everything that opening needs, as it was at one moment.
pub(super) async fn load(db: &IdbDatabase) -> Result<StoreReply> {
    let transaction = Transaction::reading(db, &[META, DIRECTORIES, LOG])?;
    let (meta, log) = (transaction.store(META)?, transaction.store(LOG)?);
    let directories = Records::above(&transaction.store(DIRECTORIES)?, 0)?;
    let state = Reply::of(meta.get(&key(META_STATE))?);
    let fence = Reply::of(meta.get(&key(META_FENCE))?);
    let upto = Reply::of(meta.get(&key(META_UPTO))?).number().await?.unwrap_or(0.0);
    let log = Records::above(&log, upto as u64)?;
    let state = state.value().await?;
    Ok(StoreReply::Loaded {
        state: (!state.is_undefined()).then(|| loaded_bytes(state)),
        fence: fence.number().await?.unwrap_or(0.0) as u64,
        directories: directories.read().await?,
        log: log.read().await?,
    })
}

/// Requests for the records above a key; all of one transaction are sent before the first is awaited.
struct Records {
    keys: Reply,
    values: Reply,
}

impl Records {
    /// A deleted record costs time as long as a read passes over it, so each read starts at a known key.
    fn above(store: &IdbObjectStore, after: u64) -> Result<Self> {
        let range = above(after, None)?;
        let keys = Reply::of(store.get_all_keys_with_key(&range)?);
        Ok(Self { keys, values: Reply::of(store.get_all_with_key(&range)?) })
    }

    async fn read(self) -> Result<Vec<(u64, Vec<u8>)>> {
        let keys: Array = self.keys.value().await?.unchecked_into();
        let values: Array = self.values.value().await?.unchecked_into();
        let record = |(key, value): (JsValue, JsValue)| Some((key.as_f64()? as u64, loaded_bytes(value)));
        keys.iter().zip(values.iter()).map(record).collect::<Option<_>>().ok_or(Failure::Unknown)
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
