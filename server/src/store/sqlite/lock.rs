//! One server per data directory: two would decide pushes of one tenant beside each other, and neither would tell its
//! readers of the other's commits.
//!
//! The lock is the operating system's: it ends with the process, however that ends. The file itself stays.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::store::StoreError;

const FILE: &str = "tidewire.lock";

/// The right to use a data directory, until it is dropped.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// # Errors
    /// Another server has it, or the directory cannot be written.
    pub(super) fn take(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        let failed = |error: std::io::Error| {
            StoreError::Directory(format!("cannot lock {} (--data, server.data): {error}", path.display()))
        };
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Directory(format!(
                "another server uses the data directory {}: stop it, or give this one another directory (--data, \
                 server.data)",
                directory.display()
            ))),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}
