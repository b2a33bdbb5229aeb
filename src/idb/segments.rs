//! Segments: read in parallel, sealed from the log, cleaned of what is dead.

use tidewire_core::io::{Durability, NewSegment, StoreReply};
use tidewire_core::limits;
use web_sys::{IdbDatabase, IdbObjectStore};

use super::connection::{DIRECTORIES, LOG, META, META_FENCE, META_STATE, META_UPTO, Result, SEGMENTS};
use super::log::{loaded_bytes, stored};
use super::request::{Reply, Transaction, above, key};

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
pub(super) async fn read(db: &IdbDatabase, keys: &[u64]) -> Result<StoreReply> {
    let transaction = Transaction::reading(db, &[SEGMENTS])?;
    let store = transaction.store(SEGMENTS)?;
    let mut found = Vec::with_capacity(keys.len());
    for wave in keys.chunks(WAVE) {
        read_wave(&store, wave, &mut found).await?;
    }
    Ok(StoreReply::Segments(found))
}

async fn read_wave(store: &IdbObjectStore, keys: &[u64], found: &mut Vec<(u64, Option<Vec<u8>>)>) -> Result<()> {
    let mut requests = Vec::with_capacity(keys.len());
    for at in keys {
        requests.push((*at, Reply::of(store.get(&key(*at))?)));
    }
    for (at, request) in requests {
        let value = request.value().await?;
        found.push((at, (!value.is_undefined()).then(|| loaded_bytes(value))));
    }
    Ok(())
}

/// Turns log records into segments. The first request's key says whether anything was appended since the engine
/// looked. `relaxed`: a seal that is lost is done again, and what it deletes was durable in the log.
pub(super) async fn seal(db: &IdbDatabase, seal: Seal<'_>) -> Result<StoreReply> {
    let transaction = Transaction::writing(db, &[LOG, SEGMENTS, DIRECTORIES, META], Durability::Relaxed)?;
    let prepared = prepare_seal(&transaction, &seal).await?;
    finish(transaction, prepared).await
}

async fn prepare_seal(transaction: &Transaction, seal: &Seal<'_>) -> Result<Option<Vec<u64>>> {
    let (log, meta) = (transaction.store(LOG)?, transaction.store(META)?);
    let appended = Reply::of(log.put(&stored(seal.record))?);
    let sealed_before = Reply::of(meta.get(&key(META_UPTO))?);
    if appended.key().await? != seal.expect {
        return Ok(None);
    }
    let sealed_before = sealed_before.number().await?.unwrap_or(0.0) as u64;
    let keys = add(transaction, seal.segments).await?;
    meta.put_with_key(&stored(seal.state), &key(META_STATE))?;
    meta.put_with_key(&key(seal.upto), &key(META_UPTO))?;
    meta.put_with_key(&key(seal.fence), &key(META_FENCE))?;
    if seal.upto > sealed_before {
        log.delete(&above(sealed_before, Some(seal.upto))?.into())?;
    }
    Ok(Some(keys))
}

/// Replaces segments by fewer. Without `log` in its scope, so that no append waits for it.
pub(super) async fn clean(
    db: &IdbDatabase,
    fence: u64,
    victims: &[u64],
    segments: &[NewSegment],
) -> Result<StoreReply> {
    let transaction = Transaction::writing(db, &[SEGMENTS, DIRECTORIES, META], Durability::Relaxed)?;
    let prepared = prepare_clean(&transaction, fence, victims, segments).await?;
    finish(transaction, prepared).await
}

async fn prepare_clean(
    transaction: &Transaction,
    fence: u64,
    victims: &[u64],
    segments: &[NewSegment],
) -> Result<Option<Vec<u64>>> {
    let (store, meta) = (transaction.store(SEGMENTS)?, transaction.store(META)?);
    let directories = transaction.store(DIRECTORIES)?;
    let fence_now = Reply::of(meta.get(&key(META_FENCE))?);
    let mut present = Vec::with_capacity(victims.len());
    for victim in victims {
        present.push(Reply::of(store.get_key(&key(*victim))?));
    }
    if fence_now.number().await?.unwrap_or(0.0) as u64 != fence {
        return Ok(None);
    }
    for found in present {
        if found.number().await?.is_none() {
            return Ok(None);
        }
    }
    for victim in victims {
        store.delete(&key(*victim))?;
        directories.delete(&key(*victim))?;
    }
    add(transaction, segments).await.map(Some)
}

/// Adds segments; each directory record gets the key of its segment.
async fn add(transaction: &Transaction, segments: &[NewSegment]) -> Result<Vec<u64>> {
    let (store, directories) = (transaction.store(SEGMENTS)?, transaction.store(DIRECTORIES)?);
    let mut requests = Vec::with_capacity(segments.len());
    for segment in segments {
        requests.push((Reply::of(store.put(&stored(&segment.bytes))?), &segment.directory));
    }
    let mut keys = Vec::with_capacity(segments.len());
    for (request, directory) in requests {
        let segment = request.key().await?;
        directories.put_with_key(&stored(directory), &key(segment))?;
        keys.push(segment);
    }
    Ok(keys)
}

/// Commits what was prepared, or gives it up where a condition did not hold.
async fn finish(transaction: Transaction, prepared: Option<Vec<u64>>) -> Result<StoreReply> {
    match prepared {
        Some(keys) => transaction.commit().await.map(|()| StoreReply::Written { keys }),
        None => transaction.abort().await.map(|()| StoreReply::Refused),
    }
}
