//! Writes that stand in one record of the log.

use crate::log::record::{Call, Commit, Record};
use crate::model::edit::Edit;
use crate::replica::write::Write;

/// The record that they are.
pub(super) fn record_of(group: &[Write]) -> Vec<u8> {
    if let [Write { record: Some(record), .. }] = group {
        return record.encode();
    }
    let (tx, call) = frame_of(group);
    let mutations = edits_of(group).map(|edit| edit.raw.clone()).collect();
    Record::Commit(Commit { mutations, tx, call }).encode()
}

/// The edits of these writes as a commit has them: those of local fields stand behind the others.
pub(super) fn edits_of(group: &[Write]) -> impl Iterator<Item = &Edit> {
    group.iter().flat_map(|write| &write.edits).chain(group.iter().flat_map(|write| &write.locals))
}

/// What a commit of these writes says beside their mutations: its transactions and its newest call.
pub(super) fn frame_of(group: &[Write]) -> (Vec<(u32, u32)>, Option<Call>) {
    let number = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    let (mut tx, mut call, mut start) = (Vec::new(), None, 0);
    for write in group {
        call = write.call.or(call);
        let len = write.edits.len();
        if write.atomic && len > 1 {
            tx.push((number(start), number(len)));
        }
        start += len;
    }
    (tx, call)
}
