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

/// Version, kind and checksum.
pub const HEADER_BYTES: usize = 10;

/// Room beside a body that is known to be so long.
const SPARE_BYTES: usize = 64;

/// Wraps a body.
pub fn encode(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes.reserve_exact(body.len());
    bytes.extend_from_slice(body);
    seal(kind, bytes)
}

/// What a text is written behind that becomes a body without being copied.
pub fn begin(bytes: usize) -> String {
    let mut out = String::with_capacity(HEADER_BYTES + bytes + SPARE_BYTES);
    out.push_str("\0\0\0\0\0\0\0\0\0\0");
    out
}

/// Wraps the body that was written behind [`begin`].
pub fn finish(kind: u8, out: String) -> Vec<u8> {
    seal(kind, out.into_bytes())
}

fn seal(kind: u8, mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some((head, body)) = bytes.split_first_chunk_mut::<HEADER_BYTES>() {
        let [a, b, c, d, e, f, g, h] = checksum(kind, body).to_le_bytes();
        *head = [FORMAT, kind, a, b, c, d, e, f, g, h];
    }
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
