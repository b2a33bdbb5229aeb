//! Segments: read in parallel, sealed from the log, cleaned of what is dead.

use indexed_db_futures::KeyRange;
use indexed_db_futures::database::Database;
use indexed_db_futures::object_store::ObjectStore;
use indexed_db_futures::prelude::*;
use indexed_db_futures::transaction::Transaction;
use tidewire_core::io::{Durability, NewSegment, StoreReply};
use tidewire_core::limits;
use wasm_bindgen::JsValue;

use super::connection::{self, DIRECTORIES, LOG, META, META_FENCE, META_STATE, META_UPTO, Result, SEGMENTS};
use super::log::{loaded_bytes, stored};

/// Buffers of at most 4 MB wait for the garbage collector at a time.
const WAVE: usize = 4 * 1024 * 1024 / limits::SEGMENT_BYTES_MAX;

/// A seal's content; see `StoreOp::Seal`.
pub(super) struct Seal<'a> {
    pub(super) expect: u64,
    pub(super) record: &'a [u8],
    pub(super) segments: &'a [NewSegment],
    pub(super) state: &'a [u8],
    pub(super) upto: u64,
    pub(super) fence: u64,
}

/// Reads segments by parallel gets, all as they were at one moment. (`getAll` is three times slower at this size.)
pub(super) async fn read(db: &Database, keys: &[u64]) -> Result<StoreReply> {
    let transaction = connection::reading(db, &[SEGMENTS])?;
    let store = transaction.object_store(SEGMENTS)?;
    let mut found = Vec::with_capacity(keys.len());
    for wave in keys.chunks(WAVE) {
        read_wave(&store, wave, &mut found).await?;
    }
    Ok(StoreReply::Segments(found))
}

async fn read_wave(store: &ObjectStore<'_>, keys: &[u64], found: &mut Vec<(u64, Option<Vec<u8>>)>) -> Result<()> {
    let mut requests = Vec::with_capacity(keys.len());
    for key in keys {
        requests.push((*key, store.get::<JsValue, _, _>(*key as f64).primitive()?));
    }
    for (key, request) in requests {
        found.push((key, request.await?.map(loaded_bytes)));
    }
    Ok(())
}

/// Turns log records into segments. The first request's key says whether anything was appended since the engine
/// looked. `relaxed`: a seal that is lost is done again, and what it deletes was durable in the log.
pub(super) async fn seal(db: &Database, seal: Seal<'_>) -> Result<StoreReply> {
    let transaction = connection::writing(db, &[LOG, SEGMENTS, DIRECTORIES, META], Durability::Relaxed)?;
    let prepared = prepare_seal(&transaction, &seal).await?;
    finish(transaction, prepared).await
}

async fn prepare_seal(transaction: &Transaction<'_>, seal: &Seal<'_>) -> Result<Option<Vec<u64>>> {
    let (log, meta) = (transaction.object_store(LOG)?, transaction.object_store(META)?);
    let key = log.put(stored(seal.record)).with_key_type::<f64>().primitive()?;
    let sealed_before = meta.get::<f64, _, _>(META_UPTO).primitive()?;
    if key.await? as u64 != seal.expect {
        return Ok(None);
    }
    let sealed_before = sealed_before.await?.unwrap_or(0.0);
    let keys = add(transaction, seal.segments).await?;
    meta.put(stored(seal.state)).with_key(META_STATE).without_key_type().primitive()?;
    meta.put(seal.upto as f64).with_key(META_UPTO).without_key_type().primitive()?;
    meta.put(seal.fence as f64).with_key(META_FENCE).without_key_type().primitive()?;
    let upto = seal.upto as f64;
    if upto > sealed_before {
        log.delete::<f64, _>(KeyRange::Bound(sealed_before, true, upto, false)).primitive()?;
    }
    Ok(Some(keys))
}

/// Replaces segments by fewer. Without `log` in its scope, so that no append waits for it.
pub(super) async fn clean(db: &Database, fence: u64, victims: &[u64], segments: &[NewSegment]) -> Result<StoreReply> {
    let transaction = connection::writing(db, &[SEGMENTS, DIRECTORIES, META], Durability::Relaxed)?;
    let prepared = prepare_clean(&transaction, fence, victims, segments).await?;
    finish(transaction, prepared).await
}

async fn prepare_clean(
    transaction: &Transaction<'_>,
    fence: u64,
    victims: &[u64],
    segments: &[NewSegment],
) -> Result<Option<Vec<u64>>> {
    let (store, meta) = (transaction.object_store(SEGMENTS)?, transaction.object_store(META)?);
    let directories = transaction.object_store(DIRECTORIES)?;
    let fence_now = meta.get::<f64, _, _>(META_FENCE).primitive()?;
    let mut present = Vec::with_capacity(victims.len());
    for victim in victims {
        present.push(store.get_key::<f64, _>(*victim as f64).primitive()?);
    }
    if fence_now.await?.unwrap_or(0.0) as u64 != fence {
        return Ok(None);
    }
    for key in present {
        if key.await?.is_none() {
            return Ok(None);
        }
    }
    for victim in victims {
        store.delete::<f64, _>(*victim as f64).primitive()?;
        directories.delete::<f64, _>(*victim as f64).primitive()?;
    }
    add(transaction, segments).await.map(Some)
}

/// Adds segments; each directory record gets the key of its segment.
async fn add(transaction: &Transaction<'_>, segments: &[NewSegment]) -> Result<Vec<u64>> {
    let (store, directories) = (transaction.object_store(SEGMENTS)?, transaction.object_store(DIRECTORIES)?);
    let mut requests = Vec::with_capacity(segments.len());
    for segment in segments {
        requests.push((store.put(stored(&segment.bytes)).with_key_type::<f64>().primitive()?, &segment.directory));
    }
    let mut keys = Vec::with_capacity(segments.len());
    for (request, directory) in requests {
        let key = request.await?;
        directories.put(stored(directory)).with_key(key).without_key_type().primitive()?;
        keys.push(key as u64);
    }
    Ok(keys)
}

/// Commits what was prepared, or gives it up where a condition did not hold.
async fn finish(transaction: Transaction<'_>, prepared: Option<Vec<u64>>) -> Result<StoreReply> {
    match prepared {
        Some(keys) => connection::commit(transaction).await.map(|()| StoreReply::Written { keys }),
        None => connection::abort(transaction).await.map(|()| StoreReply::Refused),
    }
}
