//! The kept corpus: one directory for each target, one file for each input, named after what it holds.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The directory of a target's inputs.
pub fn directory(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// Names and inputs, in the order of the names.
///
/// # Errors
/// Those of the file system; a target without inputs is one.
pub fn read(target: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(directory(target))? {
        let entry = entry?;
        inputs.push((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?));
    }
    inputs.sort();
    Ok(inputs)
}
