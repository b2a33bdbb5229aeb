//! The rows of one collection as queries see them: a typed column for each field that a query has asked for.
//!
//! A document is read once for each field, not once for each query: an answer walks over numbers that lie side by side.
//! It is told of every row that may have changed; see [`Grid::put`].
//!
//! Invariant: a slot with an id holds, in every column, what that row has there.

use crate::ids::EntityId;
use crate::json::{Span, Value, Wanted};
use crate::model::document;
use crate::model::edit::Edit;
use crate::model::insert::path_in_insert;
use crate::model::path::Path;
use crate::query::ast::{Columns, Field, Filter, Op};
use crate::query::cell::Cell;
use crate::query::column::{Column, retain};
use crate::query::row::holds;
use crate::table::Table;

/// More columns than this are given up for those of the query in hand.
const COLUMNS_MAX: usize = 32;
/// So many rows are compared in one column before the next column is looked at.
const BLOCK: usize = 512;

/// What a query sees of one entity.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its id.
    pub id: &'a EntityId,
    /// Its document.
    pub doc: Doc<'a>,
    /// Its confirmed revision.
    pub rev: u64,
    /// When it last changed.
    pub at: u64,
    /// Its sync status; empty where nobody asks for it.
    pub status: &'static str,
}

/// A document, in the form in which it is there.
#[derive(Debug, Clone, Copy)]
pub enum Doc<'a> {
    /// As JSON.
    Text(&'a [u8]),
    /// As a value.
    Value(&'a Value),
    /// What an insert sets.
    Insert(&'a Edit),
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Grid {
    places: Table<EntityId, usize>,
    ids: Vec<Option<EntityId>>,
    free: Vec<usize>,
    fields: Vec<Field>,
    columns: Vec<Column>,
    wanted: Wanted,
    /// The same in the bytes of an insert.
    wanted_of_inserts: Wanted,
    status: bool,
    /// Whether rows were put in since the columns are what they are.
    filled: bool,
    /// The first column that is not filled; those before it stay as they are while rows are put in again.
    fresh: usize,
}

impl Grid {
    /// So many rows without ids, of which the cells are put one by one.
    pub fn of(columns: &Columns, rows: usize) -> Self {
        let mut grid = Self { fields: columns.fields.clone(), ids: vec![None; rows], ..Self::default() };
        grid.empty(0);
        grid.filled = true;
        grid
    }

    /// A cell of such a row.
    pub fn put_cell(&mut self, slot: usize, column: usize, cell: Cell<'_>) {
        if let Some(column) = self.columns.get_mut(column) {
            column.put(slot, cell);
        }
    }

    /// Takes in the columns of a query. Says whether every row has to be put in again; each keeps its slot.
    pub fn want(&mut self, columns: &Columns) -> bool {
        if !self.has(columns) {
            let missing = |field: &&Field| !self.fields.contains(field);
            let new: Vec<Field> = columns.fields.iter().filter(missing).cloned().collect();
            let mut known = if self.filled { self.fields.len() } else { 0 };
            if self.fields.len() + new.len() > COLUMNS_MAX {
                self.fields = columns.fields.clone();
                known = 0;
            } else {
                self.fields.extend(new);
            }
            self.empty(known);
        }
        !self.filled
    }

    /// The fields of documents that have columns.
    pub fn paths(&self) -> Vec<&Path> {
        let paths = self.fields.iter().map(|field| if let Field::Path(path) = field { Some(path) } else { None });
        paths.flatten().collect()
    }

    /// Whether the columns of a query are here.
    pub fn has(&self, columns: &Columns) -> bool {
        columns.fields.iter().all(|field| self.fields.contains(field))
    }

    /// Forgets the rows: all have to be put in again.
    pub fn clear(&mut self) {
        *self = Self { fields: std::mem::take(&mut self.fields), ..Self::default() };
        self.empty(0);
    }

    /// The columns from this one on have to be filled.
    fn empty(&mut self, fresh: usize) {
        self.filled = false;
        self.fresh = fresh;
        self.columns.truncate(fresh);
        self.columns.resize_with(self.fields.len(), Column::default);
        self.status = self.fields.contains(&Field::Status);
        self.look_for();
    }

    /// What `put` takes out of a document.
    fn look_for(&mut self) {
        self.wanted = Wanted::default();
        for (column, field) in self.fields.iter().enumerate().skip(self.fresh) {
            if let Field::Path(path) = field {
                self.wanted.add(path.segments(), column);
                self.wanted_of_inserts.add(path_in_insert(path), column);
            }
        }
    }

    /// Whether every row is in.
    pub fn is_filled(&self) -> bool {
        self.filled
    }

    /// All rows are in.
    pub fn fill(&mut self) {
        self.filled = true;
        self.fresh = 0;
        self.look_for();
    }

    /// Whether somebody asks for the sync status.
    pub fn shows_status(&self) -> bool {
        self.status
    }

    /// A row is as it is now.
    pub fn put(&mut self, row: &Row<'_>) {
        let slot = match self.places.get(row.id.as_str()) {
            Some(slot) => *slot,
            None => self.place(row.id),
        };
        let mut spans: Vec<Span> = vec![(0, 0); self.fields.len()];
        match row.doc {
            Doc::Text(text) => self.wanted.find(text, &mut spans),
            Doc::Insert(edit) => self.wanted_of_inserts.find(edit.raw.get().as_bytes(), &mut spans),
            Doc::Value(_) => {}
        }
        let text = match row.doc {
            Doc::Text(text) => text,
            Doc::Insert(edit) => edit.raw.get().as_bytes(),
            Doc::Value(_) => &[],
        };
        for (index, (field, column)) in self.fields.iter().zip(&mut self.columns).enumerate().skip(self.fresh) {
            let mut put = |cell: Cell<'_>| column.put(slot, cell);
            #[expect(clippy::cast_precision_loss, reason = "what JavaScript would hold")]
            match (field, row.doc) {
                (Field::Path(_), Doc::Text(_) | Doc::Insert(_)) => {
                    let (start, end) = spans.get(index).copied().unwrap_or_default();
                    Cell::read(text.get(start..end).unwrap_or_default(), &mut put);
                }
                (Field::Path(path), Doc::Value(doc)) => put(document::get(doc, path).map_or(Cell::Null, Cell::from)),
                (Field::Id, _) => put(Cell::Text(row.id.as_str())),
                (Field::Rev, _) => put(Cell::Number(row.rev as f64)),
                (Field::UpdatedAt, _) => put(Cell::Number(row.at as f64)),
                (Field::Status, _) => put(Cell::Text(row.status)),
            }
        }
    }

    fn place(&mut self, id: &EntityId) -> usize {
        let slot = self.free.pop().unwrap_or(self.ids.len());
        if slot == self.ids.len() {
            self.ids.push(None);
        }
        if let Some(place) = self.ids.get_mut(slot) {
            *place = Some(id.clone());
        }
        *self.places.or_default(id.clone()) = slot;
        slot
    }

    /// A row is no more.
    pub fn remove(&mut self, id: &EntityId) {
        let Some(slot) = self.places.remove(id.as_str()) else { return };
        if let Some(place) = self.ids.get_mut(slot) {
            *place = None;
        }
        self.free.push(slot);
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ids.len() - self.free.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where a row stands.
    pub fn slot(&self, id: &EntityId) -> Option<usize> {
        self.places.get(id.as_str()).copied()
    }

    /// Whose slot it is.
    pub fn id(&self, slot: usize) -> Option<&EntityId> {
        self.ids.get(slot)?.as_ref()
    }

    /// Where the column of a field stands.
    pub(super) fn place_of(&self, field: &Field) -> usize {
        self.fields.iter().position(|known| known == field).unwrap_or(usize::MAX)
    }

    /// A column.
    pub(super) fn column(&self, place: usize) -> Option<&Column> {
        self.columns.get(place)
    }

    /// How many blocks of rows there are.
    pub(super) fn blocks(&self) -> usize {
        self.ids.len().div_ceil(BLOCK)
    }

    /// The rows of a block that match; `places` says where the columns of the query stand here.
    pub(super) fn select(&self, block: usize, filter: Option<&Filter>, places: &[usize]) -> Vec<usize> {
        let first = block * BLOCK;
        let mut slots: Vec<usize> = (first..self.ids.len().min(first + BLOCK)).collect();
        if !self.free.is_empty() {
            retain(&mut slots, |slot| self.id(slot).is_some());
        }
        if let Some(filter) = filter {
            self.narrow(filter, places, &mut slots);
        }
        slots
    }

    /// One condition after the other, each on what is left: loops over one column each.
    fn narrow(&self, filter: &Filter, places: &[usize], slots: &mut Vec<usize>) {
        match filter {
            Filter::And(parts) => parts.iter().for_each(|part| self.narrow(part, places, slots)),
            Filter::Is { column, op, value } => {
                let Some(column) = places.get(*column).and_then(|place| self.columns.get(*place)) else { return };
                match (op, value) {
                    (Op::Eq, value) => column.retain_equal(Cell::from(value), slots),
                    (Op::Gt | Op::Gte | Op::Lt | Op::Lte, Value::Number(number)) => {
                        let below = matches!(op, Op::Lt | Op::Lte);
                        column.retain_numbers(*number, below, matches!(op, Op::Gte | Op::Lte), false, slots);
                    }
                    _ => retain(slots, |slot| holds(column.get(slot), *op, value)),
                }
            }
            Filter::Or(_) | Filter::Not(_) => retain(slots, |slot| self.matches(slot, filter, places)),
        }
    }

    /// Whether a row matches.
    pub fn matches(&self, slot: usize, filter: &Filter, places: &[usize]) -> bool {
        match filter {
            Filter::And(parts) => parts.iter().all(|part| self.matches(slot, part, places)),
            Filter::Or(parts) => parts.iter().any(|part| self.matches(slot, part, places)),
            Filter::Not(part) => !self.matches(slot, part, places),
            Filter::Is { column, op, value } => {
                let column = places.get(*column).copied().unwrap_or(usize::MAX);
                holds(self.columns.get(column).map_or(Cell::Null, |column| column.get(slot)), *op, value)
            }
        }
    }
}
