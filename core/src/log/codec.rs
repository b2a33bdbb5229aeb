//! How a record, a segment or a state becomes bytes: a format version, a kind, a checksum, the body.
//!
//! ```text
//! byte 0      format version
//! byte 1      kind
//! bytes 2..10 xxh64 of the body, little endian, with the seed (version - 1) << 8 | kind
//! bytes 10..  body
//! ```
//!
//! So it is in every format to come: a later one is known by a checksum that fits.
//!
//! A large record whose kind has [`PACKED`] set has a packed body: raw length u32 | LZ4 block. Of usual
//! documents half of the bytes is written, and read by the next cold open.

use std::borrow::Cow;

use xxhash_rust::xxh64::xxh64;

use crate::error::{Code, CoreError};

/// The storage format that this release writes.
pub const FORMAT: u8 = 1;

/// Version, kind and checksum.
pub const HEADER_BYTES: usize = 10;

/// Set in the kind of a record whose body is packed.
pub const PACKED: u8 = 0x80;

/// From here on a record is worth packing.
const PACK_BYTES_MIN: usize = 8 * 1024;

/// No record's body is longer, so that a damaged length cannot ask for all memory.
const RAW_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Room beside a body that is known to be so long.
const SPARE_BYTES: usize = 64;

/// Wraps a body.
pub fn encode(kind: u8, body: &[u8]) -> Vec<u8> {
    encode_as(FORMAT, kind, body)
}

/// ... as a release with another format does, for tests.
pub fn encode_as(version: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes.reserve_exact(body.len());
    bytes.extend_from_slice(body);
    seal(version, kind, bytes)
}

/// What a text is written behind that becomes a body without being copied.
pub fn begin(bytes: usize) -> String {
    let mut out = String::with_capacity(HEADER_BYTES + bytes + SPARE_BYTES);
    out.push_str("\0\0\0\0\0\0\0\0\0\0");
    out
}

/// Wraps the body that was written behind [`begin`].
pub fn finish(kind: u8, out: String) -> Vec<u8> {
    seal(FORMAT, kind, out.into_bytes())
}

fn seal(version: u8, kind: u8, mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some((head, body)) = bytes.split_first_chunk_mut::<HEADER_BYTES>() {
        let [a, b, c, d, e, f, g, h] = checksum(version, kind, body).to_le_bytes();
        *head = [version, kind, a, b, c, d, e, f, g, h];
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
    let corrupt = || CoreError::new(Code::Corrupt, "a stored record is damaged: it is set aside");
    let (&[version, kind], rest) = bytes.split_first_chunk::<2>().ok_or_else(corrupt)?;
    let (sum, body) = rest.split_first_chunk::<8>().ok_or_else(corrupt)?;
    if version == 0 || u64::from_le_bytes(*sum) != checksum(version, kind, body) {
        return Err(corrupt());
    }
    if version > FORMAT {
        return Err(CoreError::new(Code::FormatNewer, "a newer release wrote this store: reload the page"));
    }
    Ok((kind, body))
}

/// Unwraps bytes that were checked before.
pub fn checked(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (&[_, kind, ..], body) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    Some((kind, body))
}

/// Packs a large record, if that makes it smaller. It is in the module's second part.
#[inline(never)]
pub fn squeeze(bytes: Vec<u8>) -> Vec<u8> {
    let Some((&[_, kind, ..], raw)) = bytes.split_first_chunk::<HEADER_BYTES>() else { return bytes };
    let Ok(len) = u32::try_from(raw.len()) else { return bytes };
    if raw.len() < PACK_BYTES_MIN || raw.len() > RAW_BYTES_MAX {
        return bytes;
    }
    let block = lz4_flex::block::compress(raw);
    if block.len() > raw.len() / 4 * 3 {
        return bytes;
    }
    let mut packed = vec![0; HEADER_BYTES];
    packed.reserve_exact(4 + block.len());
    packed.extend_from_slice(&len.to_le_bytes());
    packed.extend_from_slice(&block);
    seal(FORMAT, kind | PACKED, packed)
}

/// A record's kind and body as they were before [`squeeze`].
///
/// # Errors
/// `corrupt`.
///
/// ```
/// use tidewire_core::log::codec::{decode, encode, open, squeeze};
/// let text = b"one and the other ".repeat(1_000);
/// let packed = squeeze(encode(1, &text));
/// assert!(packed.len() < text.len() / 4);
/// let (kind, body) = decode(&packed)?;
/// assert_eq!(open(kind, body)?, (1, text.into()));
/// # Ok::<(), tidewire_core::error::CoreError>(())
/// ```
pub fn open(kind: u8, body: &[u8]) -> Result<(u8, Cow<'_, [u8]>), CoreError> {
    if kind & PACKED == 0 {
        return Ok((kind, Cow::Borrowed(body)));
    }
    let corrupt = || CoreError::new(Code::Corrupt, "a stored record is damaged: it is set aside");
    let (len, block) = body.split_first_chunk::<4>().ok_or_else(corrupt)?;
    let len = u32::from_le_bytes(*len) as usize;
    if len > RAW_BYTES_MAX {
        return Err(corrupt());
    }
    let raw = lz4_flex::block::decompress(block, len).map_err(|_| corrupt())?;
    Ok((kind & !PACKED, Cow::Owned(raw)))
}

/// Bytes of a record before it was packed: what folding it costs.
pub fn raw_len(bytes: &[u8]) -> usize {
    match bytes.split_first_chunk::<{ HEADER_BYTES + 4 }>() {
        Some((&[_, kind, .., a, b, c, d], _)) if kind & PACKED != 0 => u32::from_le_bytes([a, b, c, d]) as usize,
        _ => bytes.len(),
    }
}

fn checksum(version: u8, kind: u8, body: &[u8]) -> u64 {
    xxh64(body, u64::from(version.wrapping_sub(1)) << 8 | u64::from(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gains_nothing_stays_as_it_is() {
        let small = encode(1, b"one and the other");
        let mut state = 7_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(20_000)
        .collect();
        for bytes in [small, encode(6, &noise), Vec::new()] {
            assert_eq!(squeeze(bytes.clone()), bytes);
        }
    }

    #[test]
    fn a_packed_body_that_is_damaged_is_an_error_and_no_allocation() {
        let packed = squeeze(encode(6, &b"one and the other ".repeat(1_000)));
        let (kind, body) = decode(&packed).unwrap();
        assert_eq!(kind, 6 | PACKED);
        let with_len = |len: u32| [&len.to_le_bytes()[..], &body[4..]].concat();
        for damaged in [with_len(17_999), with_len(u32::MAX), body[..body.len() / 2].to_vec(), vec![1, 2]] {
            assert_eq!(open(kind, &damaged).unwrap_err().code, Code::Corrupt);
        }
        assert_eq!(open(kind, body).unwrap().1.len(), 18_000);
        assert_eq!((raw_len(&packed), raw_len(&encode(6, b"abc"))), (18_000, HEADER_BYTES + 3));
    }
}
