//! A fingerprint of the files that a step reads, so that the step is skipped when none of them changed.
//!
//! Contents, not times: a fresh clone, a branch switch and a touch give the same answer as the files do.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xxhash_rust::xxh64::Xxh64;

/// Names of directories that never hold sources.
const NOT_SOURCES: [&str; 6] = [".git", ".tidewire", "artifacts", "dist", "node_modules", "target"];

/// What a directory of outputs was built from, in a file of its own beside them.
pub struct Stamp {
    file: PathBuf,
    inputs: String,
}

impl Stamp {
    /// The present inputs of `dist`, which lies below `root`.
    pub fn of(root: &Path, dist: &Path, inputs: &[&str], salt: &str) -> Result<Self> {
        Ok(Self { file: dist.join(".wasm-inputs"), inputs: fingerprint(root, inputs, salt)? })
    }

    /// Whether all outputs are there, and are those of the present inputs.
    pub fn is_fresh(&self, outputs: &[&str]) -> bool {
        let same = fs::read_to_string(&self.file).is_ok_and(|old| old == self.inputs);
        same && outputs.iter().all(|output| self.file.with_file_name(output).exists())
    }

    /// The outputs are those of the present inputs now.
    pub fn write(&self) -> Result<()> {
        fs::write(&self.file, &self.inputs).with_context(|| format!("cannot write {}", self.file.display()))
    }
}

/// Hashes the given files and directories below `root`, together with `salt` (flags, versions).
pub fn fingerprint(root: &Path, paths: &[&str], salt: &str) -> Result<String> {
    let mut hash = Xxh64::new(0);
    hash.update(salt.as_bytes());
    for path in paths {
        for file in files_below(&root.join(path))? {
            let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            hash.update(file.strip_prefix(root).unwrap_or(&file).to_string_lossy().as_bytes());
            hash.update(&bytes.len().to_le_bytes());
            hash.update(&bytes);
        }
    }
    Ok(format!("{:016x}", hash.digest()))
}

/// All source files of a directory (or the file itself, or nothing), in a stable order.
pub fn files_below(path: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if path.is_dir() {
        let entries = fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))?;
        for entry in entries {
            let entry = entry?.path();
            let name = entry.file_name().unwrap_or_default().to_string_lossy();
            if !NOT_SOURCES.contains(&&*name) {
                found.extend(files_below(&entry)?);
            }
        }
        found.sort();
    } else if path.is_file() {
        found.push(path.to_path_buf());
    }
    Ok(found)
}
