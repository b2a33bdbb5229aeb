//! Records of the log. The first byte of an input says how the rest is wrapped: as it stands, or as the body of a
//! record of that kind with a checksum that fits, since no mutation would hit that.

use tidewire_core::error::Code;
use tidewire_core::json;
use tidewire_core::log::codec;
use tidewire_core::log::record::Record;

use super::{print, refusal};

/// The first byte of an input that is taken as it stands.
pub(super) const AS_IT_STANDS: u8 = b'=';

pub(super) fn run(input: &[u8]) -> u64 {
    let Some((first, rest)) = input.split_first() else { return 0 };
    let bytes = if *first == AS_IT_STANDS { rest.to_vec() } else { codec::encode(kind_of(*first), rest) };
    one_bit(&bytes);
    match Record::decode(&bytes) {
        Ok(record) => {
            same(&record, &bytes);
            print(&["read", &record_kind(&record), &(bytes.len() / 64).to_string()])
        }
        Err(error) => {
            assert!(matches!(error.code, Code::Corrupt | Code::FormatNewer), "a code of the log: {error}");
            refusal(&error)
        }
    }
}

/// Letters, so that seeds can be read: `A` is kind 1; packed bodies have small letters.
fn kind_of(first: u8) -> u8 {
    match first {
        b'A'..=b'Z' => first - b'A' + 1,
        b'a'..=b'z' => (first - b'a' + 1) | codec::PACKED,
        other => other,
    }
}

/// What was read is written in one form, and that form is read as the same.
fn same(record: &Record, bytes: &[u8]) {
    let written = record.encode();
    let again = Record::decode(&written).expect("what is written is read");
    assert_eq!(json::to_text(&again), json::to_text(record), "written and read");
    assert_eq!(again.encode(), written, "one form");
    assert_eq!(again.fence(), record.fence());
    let packed = codec::squeeze(written.clone());
    let head = if packed == written { 0 } else { codec::HEADER_BYTES };
    assert_eq!(codec::raw_len(&packed) + head, written.len(), "its length is known before it is unpacked");
    assert!(packed.len() <= written.len(), "packed is smaller");
    let unpacked = Record::decode(&packed).expect("what is packed is read");
    assert_eq!(unpacked.encode(), written, "packed and read");
    let (kind, body) = codec::decode(bytes).expect("read before");
    assert_eq!(codec::encode(kind, body), bytes, "the wrapping is one form");
}

/// A changed bit is noticed, but for the version, of which a higher one is another release's.
fn one_bit(bytes: &[u8]) {
    if codec::decode(bytes).is_err() {
        return;
    }
    let at = 1 + bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>() % (bytes.len() - 1);
    let mut damaged = bytes.to_vec();
    damaged[at] ^= 1 << (at % 8);
    assert_eq!(codec::decode(&damaged).expect_err("noticed").code, Code::Corrupt);
}

fn record_kind(record: &Record) -> String {
    let text = json::to_text(record);
    text.chars().take_while(|letter| *letter != ':').collect()
}
