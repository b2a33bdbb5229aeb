//! How a record, a segment or a state becomes bytes: a format version, a kind, a checksum, the body.
//!
//! ```text
//! byte 0      format version
//! byte 1      kind
//! bytes 2..10 xxh64 of kind and body, little endian
//! bytes 10..  body
//! ```

use xxhash_rust::xxh64::xxh64;

use crate::error::{Code, CoreError};

/// The storage format that this release writes.
pub const FORMAT: u8 = 1;

const HEADER_BYTES: usize = 10;

/// Wraps a body.
pub fn encode(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.push(FORMAT);
    bytes.push(kind);
    bytes.extend_from_slice(&checksum(kind, body).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Checks and unwraps bytes into kind and body.
///
/// # Errors
/// `format-newer` if a later release wrote it, `corrupt` if the checksum does not match.
///
/// ```
/// use tidewire_core::log::codec::{decode, encode};
/// let mut bytes = encode(3, b"body");
/// assert_eq!(decode(&bytes)?, (3, b"body".as_slice()));
/// bytes[12] ^= 1;
/// assert_eq!(decode(&bytes).unwrap_err().code.as_str(), "corrupt");
/// # Ok::<(), tidewire_core::error::CoreError>(())
/// ```
pub fn decode(bytes: &[u8]) -> Result<(u8, &[u8]), CoreError> {
    let corrupt = || CoreError::new(Code::Corrupt, "a stored record does not match its checksum; it is set aside");
    let (&[version, kind], rest) = bytes.split_first_chunk::<2>().ok_or_else(corrupt)?;
    if version > FORMAT {
        return Err(CoreError::new(Code::FormatNewer, "a newer release wrote this store: reload the page"));
    }
    if version == 0 {
        return Err(corrupt());
    }
    let (sum, body) = rest.split_first_chunk::<8>().ok_or_else(corrupt)?;
    if u64::from_le_bytes(*sum) != checksum(kind, body) {
        return Err(corrupt());
    }
    Ok((kind, body))
}

fn checksum(kind: u8, body: &[u8]) -> u64 {
    xxh64(body, u64::from(kind))
}
