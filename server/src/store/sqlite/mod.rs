//! The embedded store: one SQLite file in WAL mode, one writer thread, many readers.
//!
//! Readers see one snapshot each and never wait for the writer. The writer takes what has come in meanwhile into one
//! database transaction, so that many pushes share one sync of the disk.

mod columns;
mod commit;
mod conflicts;
mod entity;
mod grants;
mod lock;
mod lookups;
mod prune;
mod read;
mod regroup;
mod restore;
mod revocations;
mod rows;
mod schema;
mod verdicts;
mod versions;
mod writer;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tidewire_core::protocol::message::{Push, PushAnswer};
use tokio::sync::watch;

pub use entity::{Known, SyncStatus};
pub use read::Snapshot;
pub use restore::restore;
pub use rows::SqliteRows;
pub use schema::SCHEMA_VERSION;
pub use versions::{Version, Versions};

use super::StoreError;
use crate::auth::Revoked;
use crate::policy::{Principal, ServerPolicy};
use lock::DirectoryLock;
use versions::Replaced;
use writer::{Job, Writer};

/// The database in its directory.
const FILE: &str = "tidewire.sqlite";

/// Reader connections that are kept open when idle.
const IDLE_READERS_MAX: usize = 16;

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    history: String,
    writer: Writer,
    readers: Mutex<Vec<Connection>>,
    wakers: Wakers,
}

/// By tenant: what those who listen are told.
#[derive(Clone, Default)]
struct Wakers(Arc<Mutex<Channels>>);

#[derive(Default)]
struct Channels {
    by_tenant: HashMap<String, Channel>,
    /// Bytes of all their versions.
    bytes: usize,
}

/// The newest committed `seq`, and what entities were before.
struct Channel {
    newest: watch::Sender<u64>,
    versions: Arc<Mutex<Versions>>,
}

impl Store {
    /// Opens the database in a directory, which is created if need be. Deletions are remembered as long as `horizon`.
    ///
    /// # Errors
    /// The directory or the file cannot be used, another server uses it, or a newer release made it.
    pub fn open(directory: &Path, policy: Arc<ServerPolicy>, horizon: Duration) -> Result<Self, StoreError> {
        std::fs::create_dir_all(directory).map_err(|e| {
            let directory = directory.display();
            StoreError::Directory(format!("cannot create the data directory {directory} (--data, server.data): {e}"))
        })?;
        let lock = DirectoryLock::take(directory)?;
        let path = directory.join(FILE);
        let (mut connection, history) = connect(&path)?;
        regroup::run(&mut connection, &policy)?;
        lookups::run(&mut connection, &policy)?;
        let wakers = Wakers::default();
        let writer = Writer::start(connection, lock, policy, wakers.clone(), horizon);
        Ok(Self { inner: Arc::new(Inner { path, history, writer, readers: Mutex::default(), wakers }) })
    }

    /// The id of this database's history; a new database has another.
    pub fn history(&self) -> &str {
        &self.inner.history
    }

    /// Decides a push and answers when its effects are on the disk.
    ///
    /// # Errors
    /// Nothing of the push was stored, or the answer is lost: sending it again is safe.
    pub async fn push(&self, author: Principal, push: Push, now_ms: u64) -> Result<PushAnswer, StoreError> {
        self.inner.writer.call(|reply| Job::Push { author, push: Box::new(push), now_ms, reply }).await?
    }

    /// Removes what is past the horizon. The writer does this by itself in idle time.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&self, now_ms: u64) -> Result<(), StoreError> {
        self.inner.writer.call(|reply| Job::Prune { now_ms, reply }).await?
    }

    /// A value that is made once per database, such as the secret of the demo tokens.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn secret(&self, name: &'static str) -> Result<String, StoreError> {
        self.inner.writer.call(|reply| Job::Secret { name, reply }).await?
    }

    /// Remembers tokens that count no more.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn revoke(&self, revoked: Revoked, at_ms: u64) -> Result<(), StoreError> {
        self.inner.writer.call(|reply| Job::Revoke { revoked, at_ms, reply }).await?
    }

    /// Tokens that count no more, and since when.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn revocations(&self) -> Result<Vec<(Revoked, u64)>, StoreError> {
        self.read_async(|snapshot| revocations::all(snapshot.connection)).await
    }

    /// Whether pushes can be taken.
    pub fn is_writing(&self) -> bool {
        self.inner.writer.is_running()
    }

    /// Pushes that wait for the writer.
    pub fn waiting(&self) -> usize {
        self.inner.writer.waiting()
    }

    /// Tells of each commit of a tenant, of which several may be told as one, and keeps what entities were before.
    pub fn subscribe(&self, tenant: &str) -> (watch::Receiver<u64>, Arc<Mutex<Versions>>) {
        self.inner.wakers.subscribe(tenant)
    }

    /// Runs `work` over one snapshot of the database. Blocks: call it on a thread that may.
    ///
    /// # Errors
    /// Those of the database and of `work`.
    pub fn read<T>(&self, work: impl FnOnce(&Snapshot<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut connection = self.reader()?;
        let result = {
            let tx = connection.transaction()?;
            work(&Snapshot::new(&tx, &self.inner.history))
        };
        let mut readers = self.inner.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < IDLE_READERS_MAX {
            readers.push(connection);
        }
        result
    }

    /// As [`Store::read`], from async code.
    ///
    /// # Errors
    /// Those of the database and of `work`.
    pub async fn read_async<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Snapshot<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let store = self.clone();
        tokio::task::spawn_blocking(move || store.read(work)).await.unwrap_or(Err(StoreError::Closed))
    }

    /// Finishes what was accepted, closes the writer and frees the directory. Later pushes are refused.
    pub async fn close(&self) {
        let _ = self.inner.writer.call(|reply| Job::Stop { reply }).await;
    }

    fn reader(&self) -> Result<Connection, StoreError> {
        let idle = self.inner.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.inner.path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.pragma_update(None, "trusted_schema", "off")?;
        schema::planned_once(&connection)?;
        Ok(connection)
    }
}

impl Wakers {
    fn subscribe(&self, tenant: &str) -> (watch::Receiver<u64>, Arc<Mutex<Versions>>) {
        let mut channels = self.channels();
        channels.forget_silent(Some(tenant));
        let begin = || Channel { newest: watch::channel(0).0, versions: Arc::default() };
        let channel = channels.by_tenant.entry(tenant.to_owned()).or_insert_with(begin);
        (channel.newest.subscribe(), Arc::clone(&channel.versions))
    }

    fn is_heard(&self, tenant: &str) -> bool {
        self.channels().by_tenant.get(tenant).is_some_and(|channel| channel.newest.receiver_count() > 0)
    }

    fn wake(&self, tenant: &str, seq: u64, replaced: Vec<Replaced>) {
        let mut channels = self.channels();
        if channels.bytes > versions::ALL_BYTES_MAX {
            channels.forget_silent(None);
        }
        let most = if channels.bytes > versions::ALL_BYTES_MAX { versions::BYTES_MIN } else { versions::BYTES_MAX };
        let Channels { by_tenant, bytes } = &mut *channels;
        if let Some(channel) = by_tenant.get(tenant) {
            let mut versions = channel.versions.lock().unwrap_or_else(PoisonError::into_inner);
            *bytes -= versions.bytes();
            replaced.into_iter().for_each(|one| versions.add(one, most));
            *bytes += versions.bytes();
            drop(versions);
            channel.newest.send_replace(seq);
        }
    }

    fn channels(&self) -> MutexGuard<'_, Channels> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channels {
    /// Drops the tenants whom nobody listens to any more, so that the map does not grow for ever.
    fn forget_silent(&mut self, but: Option<&str>) {
        self.by_tenant.retain(|name, channel| Some(name.as_str()) == but || channel.newest.receiver_count() > 0);
        let bytes = |channel: &Channel| channel.versions.lock().unwrap_or_else(PoisonError::into_inner).bytes();
        self.bytes = self.by_tenant.values().map(bytes).sum();
    }
}

/// Opens a database file for writing; creates it or upgrades it if need be. Returns its history id as well.
///
/// # Errors
/// The file cannot be used, or a newer release made it.
pub fn connect(path: &Path) -> Result<(Connection, String), StoreError> {
    let mut connection = Connection::open(path)?;
    schema::configure(&connection)?;
    let history = schema::open(&mut connection)?;
    Ok((connection, history))
}

/// Runs `work` inside a savepoint. Its writes are taken back if it fails or if it says so by `(…, false)`.
fn savepoint<T>(
    connection: &Connection,
    work: impl FnOnce() -> Result<(T, bool), StoreError>,
) -> Result<T, StoreError> {
    connection.prepare_cached("SAVEPOINT nested")?.execute([])?;
    let result = work();
    if !matches!(result, Ok((_, true))) {
        connection.prepare_cached("ROLLBACK TO nested")?.execute([])?;
    }
    connection.prepare_cached("RELEASE nested")?.execute([])?;
    result.map(|(value, _)| value)
}

/// Random text of 16 hexadecimal digits per word.
fn random_text(words: usize) -> String {
    // By hand: each commit has such a mark.
    let digit = |word: u64, at: u32| char::from_digit((word >> (60 - 4 * at)) as u32 & 15, 16).unwrap_or('0');
    let mut text = String::with_capacity(16 * words);
    for _ in 0..words {
        let word = rand::random::<u64>();
        text.extend((0..16).map(|at| digit(word, at)));
    }
    text
}
