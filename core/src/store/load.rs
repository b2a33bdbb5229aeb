//! A cold open: the summary and the segments' rows become a state; the log is then folded onto it.
//!
//! What is read stays where it was unpacked: documents and mutations are parts of their segment's text.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, Group, MutationId};
use crate::json::{Packed, Raw};
use crate::model::edit::Edit;
use crate::planted::Bug;
use crate::store::clean::number;
use crate::store::journal::Kept;
use crate::store::seal::{EntityHead, MutationRow, Summary};
use crate::store::segment::{Block, Found, Space, number_of};
use crate::store::state::{Confirmed, Entry, Letter, State};

/// A state that is being read from segments, in any order.
#[derive(Debug, Default)]
pub struct Loading {
    state: State,
    /// Number and position of a mutation, and its row; none: it is gone.
    mutations: Vec<(MutationId, u64, Option<Raw>)>,
    errors: Vec<CoreError>,
    /// The head of an entity that was read last, and the groups in it: most have the same.
    groups: (String, Vec<Group>),
}

impl Loading {
    /// Takes in one segment, of which documents may stay packed.
    ///
    /// # Errors
    /// `corrupt`.
    pub fn take(&mut self, block: &Block, stored: &[u8], budget: usize) -> Result<(), CoreError> {
        let packed = self.state.texts.admit(block, stored, budget);
        block.each(&mut |row| self.row(block, packed.as_ref(), &row))
    }

    /// Takes in some rows of a segment, by their places, in order.
    ///
    /// # Errors
    /// `corrupt`.
    pub fn take_rows(&mut self, block: &Block, rows: &[usize]) -> Result<(), CoreError> {
        let mut rows = rows.iter().copied().peekable();
        let mut place = 0;
        block.each(&mut |row| {
            if rows.next_if_eq(&place).is_some() {
                self.row(block, None, &row);
            }
            place += 1;
        })
    }

    fn row(&mut self, block: &Block, packed: Option<&Arc<Packed>>, row: &Found<'_>) {
        let read = match row.space {
            Space::Entity => self.entity(block, packed, row),
            Space::Mutation => self.mutation(block, row),
        };
        self.errors.extend(read.err());
    }

    /// The state at the last seal. Rows that cannot be read are returned beside it: they are set aside, not hidden.
    pub fn finish(mut self, summary: Summary) -> (State, Vec<CoreError>) {
        // Of one number the row with the highest position holds: it stands last.
        let in_order = |(n, position, _): &(MutationId, u64, Option<Raw>)| (*n, *position);
        if !self.mutations.is_sorted_by_key(in_order) {
            self.mutations.sort_unstable_by_key(in_order);
        }
        let mut rows = std::mem::take(&mut self.mutations).into_iter().peekable();
        let mut collection = None;
        while let Some((n, position, row)) = rows.next() {
            if rows.peek().is_some_and(|next| next.0 == n) {
                continue;
            }
            if let Some(row) = row
                && let Err(error) = self.place(n, position, &row, &mut collection)
            {
                self.errors.push(error);
            }
        }
        let mut state = State {
            last: summary.upto,
            replica: summary.replica,
            owner: summary.owner,
            fence: summary.fence,
            sent_through: summary.sent_through,
            cursor: summary.cursor,
            verdicts_of: summary.verdicts_of,
            settings: summary.settings,
            loaded: summary.loaded.into_iter().map(|collection| (collection, ())).collect(),
            hlc: summary.hlc,
            partial: summary.partial,
            partial_at: summary.partial_at,
            calls: summary.calls,
            adopted: summary.adopted,
            asked: summary.asked,
            ..self.state
        };
        for (_, table) in state.entities.iter_mut() {
            table.retain(&mut |_, entity| entity.is_known());
        }
        (state, self.errors)
    }

    /// Of one entity the row with the highest position holds. One that is gone stays here until all are read.
    fn entity(&mut self, block: &Block, packed: Option<&Arc<Packed>>, row: &Found<'_>) -> Result<(), CoreError> {
        let known = self.state.entities.get(row.collection).and_then(|table| table.get(row.id));
        if known.is_some_and(|entity| entity.position > row.position) {
            return Ok(());
        }
        let confirmed = row.body.clone().map(|at| self.confirmed(block, packed, at)).transpose();
        let entity = self.state.entity_mut(&CollectionName::stored(row.collection)?, &EntityId::parse(row.id)?);
        entity.position = row.position;
        entity.confirmed = None;
        entity.confirmed = confirmed?;
        Ok(())
    }

    fn confirmed(
        &mut self,
        block: &Block,
        packed: Option<&Arc<Packed>>,
        body: Range<usize>,
    ) -> Result<Confirmed, CoreError> {
        let text = block.text();
        let start = body.start + 4;
        let doc = document(text, body).ok_or_else(corrupt)?;
        let head = text.get(start..doc.start).ok_or_else(corrupt)?;
        let (rev, at, used, groups) = match self.like_the_last(head) {
            Some(head) => head,
            None => {
                let head_read = EntityHead::read(head).map_err(|_| corrupt())?;
                let groups = head.split_once(GROUPS).map(|(_, groups)| groups.to_owned()).unwrap_or_default();
                self.groups = (groups, head_read.g.clone());
                (head_read.rev, head_read.at, head_read.used, head_read.g)
            }
        };
        let doc = packed.map_or_else(|| Raw::part(text, doc.clone()), |packed| Raw::packed(packed, doc.clone()));
        Ok(Confirmed { rev, at, used, groups, doc })
    }

    /// A head with the groups of the one before.
    fn like_the_last(&self, head: &str) -> Option<(u64, u64, u64, Vec<Group>)> {
        let (numbers, groups) = head.strip_prefix("{\"rev\":")?.split_once(GROUPS)?;
        let (rev, at) = numbers.split_once(",\"at\":")?;
        let (rev, at) = (rev.parse().ok()?, at.parse().ok()?);
        // A row that says when it was used says so before its groups, and is no pair of numbers.
        (groups == self.groups.0).then(|| (rev, at, 0, self.groups.1.clone()))
    }

    fn mutation(&mut self, block: &Block, row: &Found<'_>) -> Result<(), CoreError> {
        let n = number(row.id).ok_or_else(corrupt)?;
        let raw = row.body.clone().map(|at| Raw::part(block.text(), at));
        self.mutations.push((n, row.position, raw));
        Ok(())
    }

    /// Puts a mutation where it belongs. They come in the order of their numbers.
    fn place(
        &mut self,
        n: MutationId,
        position: u64,
        row: &Raw,
        collection: &mut Option<CollectionName>,
    ) -> Result<(), CoreError> {
        let state = &mut self.state;
        match MutationRow::read(row).map_err(|_| corrupt())? {
            MutationRow::Queued { m, tx, status, old, acked, to } => {
                if Bug::QueueNotLoaded.is_planted() {
                    return Ok(());
                }
                let edit = Edit::read_beside(m, collection)?.standing_for(to.as_ref());
                let edit = if old { edit.rebased() } else { edit };
                if status.is_shown() {
                    state.pend(&edit, n);
                }
                state.queue.insert(n, Entry { edit, tx, status, position, old, acked, buried: Vec::new() });
            }
            MutationRow::Kept { m, tx, old, acked, g } => {
                state.journal.insert(n, Kept { raw: m, tx, old, at: acked, groups: g, position });
            }
            MutationRow::Letter { m, reason, to } => {
                let edit = Edit::read(m)?.standing_for(to.as_ref());
                state.letters.insert(n, Letter { edit, reason, position });
            }
        }
        Ok(())
    }
}

/// Where the document stands in the body of an entity.
pub(super) fn document(text: &str, body: Range<usize>) -> Option<Range<usize>> {
    let start = body.start.checked_add(4)?;
    let head = usize::try_from(number_of(text.as_bytes().get(body.start..start)?)).ok()?;
    let doc = start.checked_add(head).filter(|doc| *doc <= body.end)?;
    Some(doc..body.end)
}

/// What stands before the groups of an entity.
const GROUPS: &str = ",\"g\":";

fn corrupt() -> CoreError {
    CoreError::new(Code::Corrupt, "a stored row cannot be read; it is set aside")
}
