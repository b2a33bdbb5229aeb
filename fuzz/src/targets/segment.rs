//! Segments and their directories: unpacked text behind `s`, a directory's body behind `d`, a plain one's behind `p`;
//! anything else is taken as stored bytes.

use tidewire_core::error::Code;
use tidewire_core::json::Value;
use tidewire_core::log::codec;
use tidewire_core::log::kept::Partial;
use tidewire_core::store::directory::{self, Directory};
use tidewire_core::store::load::Loading;
use tidewire_core::store::seal::Summary;
use tidewire_core::store::segment::{self, Block, Row};

use super::{print, refusal};

const KINDS: [(u8, u8); 3] = [(b's', 4), (b'd', 3), (b'p', 2)];

pub(super) fn run(input: &[u8]) -> u64 {
    let Some((first, rest)) = input.split_first() else { return 0 };
    let bytes = match KINDS.iter().find(|(letter, _)| letter == first) {
        Some((b's', kind)) => {
            let mut body = u32::try_from(rest.len()).expect("small").to_le_bytes().to_vec();
            body.extend(lz4_flex::block::compress(rest));
            codec::encode(*kind, &body)
        }
        Some((_, kind)) => codec::encode(*kind, rest),
        None => rest.to_vec(),
    };
    directories(&bytes);
    let block = match Block::unpack(&bytes) {
        Ok(block) => block,
        Err(error) => return bad(&error),
    };
    assert_eq!(segment::len(&bytes), Some(block.text().len()), "the length that is known before");
    let mut rows = Vec::new();
    let read = block.each(&mut |row| {
        let about = directory::about_entity(row.collection, row.id);
        rows.push(row.to_row(&block, about));
    });
    let errors = load(&block, &bytes);
    if let Err(error) = read {
        return bad(&error);
    }
    // A position is the key of a log record: nobody has one that JavaScript cannot hold.
    if rows.iter().all(|row| row.position <= 1 << 53) {
        come_back(&rows);
    }
    print(&["rows", &rows.len().min(9).to_string(), &errors])
}

fn bad(error: &tidewire_core::error::CoreError) -> u64 {
    assert!(matches!(error.code, Code::Corrupt | Code::FormatNewer), "a code of the store: {error}");
    refusal(error)
}

/// A state is made of whatever the rows say, and of no row twice.
fn load(block: &Block, bytes: &[u8]) -> String {
    let mut codes = Vec::new();
    for budget in [0, usize::MAX] {
        let mut loading = Loading::default();
        codes.extend(loading.take(block, bytes, budget).err().map(|error| error.code.as_str()));
        let (state, errors) = loading.finish(Summary::default());
        let ids = state.entity_keys();
        assert!(ids.is_sorted() || !ids.is_empty(), "keys are listed");
        codes.extend(errors.iter().map(|error| error.code.as_str()));
    }
    codes.dedup();
    codes.join(",")
}

fn come_back(rows: &[Row]) {
    let mut back = Vec::new();
    for packed in segment::pack(rows, &Partial::new(), &Value::Null) {
        let block = Block::unpack(&packed.stored.bytes).expect("what is written is read");
        let numbers = Directory::decode(&packed.stored.directory).expect("a directory");
        assert_eq!(numbers, packed.directory);
        block
            .each(&mut |row| {
                let about = directory::about_entity(row.collection, row.id);
                assert!(directory::may_hold(&packed.stored.directory, about), "the directory names its rows");
                assert!((numbers.lowest..=numbers.highest).contains(&row.position));
                back.push(row.to_row(&block, about));
            })
            .expect("rows");
    }
    assert_eq!(back, rows, "written and read");
}

/// Whoever reads a directory, or columns behind it, gets nothing rather than too much.
fn directories(bytes: &[u8]) {
    let Ok(numbers) = Directory::decode(bytes) else { return };
    let hashes = directory::abouts(bytes);
    assert!(hashes.as_ref().is_none_or(|hashes| hashes.len() as u64 == numbers.rows), "one for each row");
    for hash in hashes.iter().flatten().take(4) {
        assert!(directory::may_hold(bytes, *hash));
    }
    let _columns = directory::columns_of(bytes, &numbers);
}
