//! A step of the server's data, be it a checkpoint of a pull or a frame, as records of the log.

use crate::limits::RECORD_BYTES;
use crate::log::record::{Changes, Record};
use crate::model::change::Change;

/// A step as records: the rows in pieces of bounded size, the last with what the step means.
pub(crate) fn changes_records(mut last: Changes, rows: Vec<Change>) -> Vec<Record> {
    let mut records = Vec::new();
    let mut piece = Vec::new();
    let mut bytes = 0;
    for row in rows {
        let size = 96 + row.doc.as_ref().map_or(0, |doc| doc.get().len());
        if bytes > 0 && bytes + size > RECORD_BYTES {
            let rows = std::mem::take(&mut piece);
            records.push(Record::Changes(Box::new(Changes { fence: last.fence, rows, ..Changes::default() })));
            bytes = 0;
        }
        bytes += size;
        piece.push(row);
    }
    last.rows = piece;
    records.push(Record::Changes(Box::new(last)));
    records
}
