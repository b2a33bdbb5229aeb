//! A backup takes the place of the database, under a new history.
//!
//! A file that is only copied back keeps its history and soon reaches the old `seq` again; then only the marks of
//! commits tell clients that what they read is gone (rule 24).

use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::lock::DirectoryLock;
use super::{FILE, connect, revocations, schema};
use crate::store::StoreError;

/// Where the backup is made ready, and what the replaced database is called.
const READY: &str = "restoring.sqlite";
const REPLACED: &str = "replaced.sqlite";

/// Puts a copy of `backup` in the place of the directory's database, which is kept as `replaced.sqlite`. Returns the
/// id of the new history.
///
/// # Errors
/// A server uses the directory, or the backup is no database of this or an older release; nothing is replaced then.
pub fn restore(directory: &Path, backup: &Path) -> Result<String, StoreError> {
    let failed = |what: &Path| {
        let what = what.display().to_string();
        move |error: std::io::Error| StoreError::Directory(format!("cannot restore {what}: {error}"))
    };
    fs::metadata(backup).map_err(failed(backup))?;
    fs::create_dir_all(directory).map_err(failed(directory))?;
    let _lock = DirectoryLock::take(directory)?;
    let ready = directory.join(READY);
    if ready.exists() {
        fs::remove_file(&ready).map_err(failed(&ready))?;
    }
    let history = make_ready(backup, &ready)?;
    keep_revocations(&directory.join(FILE), &ready)?;
    // The write-ahead log belongs to its database: both get the other name.
    for suffix in ["", "-wal", "-shm"] {
        let (from, to) = (directory.join(format!("{FILE}{suffix}")), directory.join(format!("{REPLACED}{suffix}")));
        if to.exists() {
            fs::remove_file(&to).map_err(failed(&to))?;
        }
        if from.exists() {
            fs::rename(&from, &to).map_err(failed(&from))?;
        }
    }
    fs::rename(&ready, directory.join(FILE)).map_err(failed(&ready))?;
    fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed(directory))?;
    Ok(history)
}

/// Whose tokens count no more is no part of what is restored: what was ended after the backup stays so.
fn keep_revocations(replaced: &Path, ready: &Path) -> Result<(), StoreError> {
    if !replaced.exists() {
        return Ok(());
    }
    let read = || revocations::all(&Connection::open_with_flags(replaced, OpenFlags::SQLITE_OPEN_READ_WRITE)?);
    let ended = match read() {
        Ok(ended) => ended,
        // It is replaced because it cannot be read, or is of a release that ended no sessions, or is not there.
        Err(error) => {
            tracing::warn!(%error, "which sessions were ended after the backup cannot be read: end them again");
            return Ok(());
        }
    };
    let (copy, _) = connect(ready)?;
    for (revoked, at_ms) in &ended {
        revocations::add(&copy, revoked, *at_ms)?;
    }
    copy.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// A whole copy, with what its write-ahead log holds, of this release's form.
fn make_ready(backup: &Path, ready: &Path) -> Result<String, StoreError> {
    let source = Connection::open_with_flags(backup, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let tables: i64 =
        source
            .query_row("SELECT count(*) FROM sqlite_schema WHERE name IN ('meta', 'tenants')", [], |row| row.get(0))?;
    if tables != 2 {
        let backup = backup.display();
        return Err(StoreError::Directory(format!("{backup} is no database of this server: name a backup of one")));
    }
    source.execute("VACUUM INTO ?1", [ready.display().to_string()])?;
    let (copy, _) = connect(ready)?;
    let history = schema::begin_history(&copy)?;
    // Closing folds the write-ahead log into the file.
    copy.close().map_err(|(_, error)| error)?;
    Ok(history)
}
