//! A cold open: the summary and the segments' rows become a state; the log is then folded onto it.

use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, MutationId};
use crate::model::edit::Edit;
use crate::store::journal::Kept;
use crate::store::seal::{EntityHead, MutationRow, Summary};
use crate::store::segment::{Row, Space};
use crate::store::state::{Confirmed, Entry, Letter, State};

/// A state that is being read from segments, in any order.
#[derive(Debug, Default)]
pub struct Loading {
    rows_read: Vec<Row>,
    /// Rows read, dead ones included.
    pub rows: u64,
}

impl Loading {
    /// Takes in one segment's rows.
    pub fn take(&mut self, rows: Vec<Row>) {
        self.rows += rows.len() as u64;
        self.rows_read.extend(rows);
    }

    /// The state at the last seal. Rows that cannot be read are returned beside it: they are set aside, not hidden.
    pub fn finish(mut self, summary: Summary) -> (State, Vec<CoreError>) {
        let mut state = State {
            last: summary.upto,
            replica: summary.replica,
            owner: summary.owner,
            fence: summary.fence,
            sent_through: summary.sent_through,
            cursor: summary.cursor,
            settings: summary.settings,
            loaded: summary.loaded.into_iter().map(|collection| (collection, ())).collect(),
            hlc: summary.hlc,
            partial: summary.partial,
            partial_at: summary.partial_at,
            calls: summary.calls,
            adopted: summary.adopted,
            ..State::default()
        };
        let mut errors = Vec::new();
        // Of one key the row with the highest position holds: it stands last.
        self.rows_read.sort_unstable_by(|a, b| key(a).cmp(&key(b)).then(a.position.cmp(&b.position)));
        let mut rows = self.rows_read.iter().peekable();
        while let Some(row) = rows.next() {
            if rows.peek().is_some_and(|next| key(next) == key(row)) {
                continue;
            }
            let Some(body) = &row.body else { continue };
            let read = match row.space {
                Space::Entity => load_entity(&mut state, row, body),
                Space::Mutation => load_mutation(&mut state, row, body),
            };
            errors.extend(read.err());
        }
        for (n, entry) in state.queue.iter() {
            if entry.status.is_shown() {
                let map = state.entities.or_default(entry.edit.collection.clone());
                map.or_default(entry.edit.id.clone()).pending.push(*n);
            }
        }
        (state, errors)
    }
}

fn key(row: &Row) -> (Space, &str, &str) {
    (row.space, &row.collection, &row.id)
}

fn load_entity(state: &mut State, row: &Row, body: &[u8]) -> Result<(), CoreError> {
    let (len, rest) = body.split_first_chunk::<4>().ok_or_else(corrupt)?;
    let (head, doc) = rest.split_at_checked(u32::from_le_bytes(*len) as usize).ok_or_else(corrupt)?;
    let head = EntityHead::read(head).map_err(|_| corrupt())?;
    let entity = state.entity_mut(&CollectionName::parse(&row.collection)?, &EntityId::parse(&row.id)?);
    entity.position = row.position;
    entity.confirmed = Some(Confirmed { rev: head.rev, at: head.at, used: head.used, groups: head.g, doc: doc.into() });
    Ok(())
}

fn load_mutation(state: &mut State, row: &Row, body: &[u8]) -> Result<(), CoreError> {
    let (key, index) = row.id.split_once('.').ok_or_else(corrupt)?;
    let n = MutationId(key.parse().map_err(|_| corrupt())?, index.parse().map_err(|_| corrupt())?);
    match MutationRow::read(body).map_err(|_| corrupt())? {
        MutationRow::Queued { m, tx, status, old, acked } => {
            let edit = Edit::read(m)?;
            let edit = if old { edit.rebased() } else { edit };
            state.queue.insert(n, Entry { edit, tx, status, position: row.position, old, acked });
        }
        MutationRow::Kept { m, tx, old, acked } => {
            state.journal.insert(n, Kept { raw: m, tx, old, at: acked, position: row.position });
        }
        MutationRow::Letter { m, reason } => {
            state.letters.insert(n, Letter { edit: Edit::read(m)?, reason, position: row.position });
        }
    }
    Ok(())
}

fn corrupt() -> CoreError {
    CoreError::new(Code::Corrupt, "a stored row cannot be read; it is set aside")
}
