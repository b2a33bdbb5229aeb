//! One row against a query: whether it matches, where it stands in the order.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::ids::EntityId;
use crate::json::Value;
use crate::query::ast::{Direction, Fold, Op, Query};
use crate::query::cell::{Cell, code_units, compare};
use crate::query::grid::Grid;
use crate::small::search;

/// A row that is kept: its id and the values that the query needs again.
#[derive(Debug)]
pub struct Entry {
    /// Its id.
    pub id: EntityId,
    /// Sort keys, or group and value.
    pub keys: Vec<Value>,
}

/// Rows being looked at for one query.
#[derive(Debug)]
pub struct Looking<'a> {
    query: &'a Query,
    grid: &'a Grid,
    /// Where the columns of the query stand in the grid.
    places: Vec<usize>,
}

impl<'a> Looking<'a> {
    /// Looks at rows for a query whose columns are in the grid.
    pub fn new(query: &'a Query, grid: &'a Grid) -> Self {
        Self { query, grid, places: query.columns.fields.iter().map(|field| grid.column(field)).collect() }
    }

    /// The rows that match.
    pub fn select(&self) -> Vec<usize> {
        self.grid.select(self.query.filter.as_ref(), &self.places)
    }

    /// Where a row stands, if it is there and matches.
    pub fn find(&self, id: &EntityId) -> Option<usize> {
        let slot = self.grid.slot(id)?;
        let filter = self.query.filter.as_ref();
        filter.is_none_or(|filter| self.grid.matches(slot, filter, &self.places)).then_some(slot)
    }

    /// The value of a column of the query.
    pub fn cell(&self, slot: usize, column: usize) -> Cell<'a> {
        self.grid.cell(slot, self.places.get(column).copied().unwrap_or(usize::MAX))
    }

    /// The number of the text that stands there, if it is one of those that occur often.
    pub fn name(&self, slot: usize, column: usize) -> Option<usize> {
        self.grid.name(slot, *self.places.get(column)?)
    }

    /// The value of a column, to keep.
    pub fn value(&self, slot: usize, column: Option<usize>) -> Value {
        column.map_or(Value::Null, |column| self.cell(slot, column).to_value())
    }

    /// The order of the row against sort keys and an id.
    pub fn order(&self, slot: usize, keys: &[Value], id: &str) -> Ordering {
        for ((column, direction), key) in self.query.order.iter().zip(keys) {
            let order = self.cell(slot, *column).compare(Cell::from(key));
            if order.is_ne() {
                return directed(order, *direction);
            }
        }
        code_units(self.id(slot), id)
    }

    /// Leaves out rows that come after `last` by the number of their first sort key: a loop over one column.
    pub fn leave_out_clearly_behind(&self, last: &Entry, slots: &mut Vec<usize>) {
        if let (Some((column, direction)), Some(Value::Number(number))) = (self.query.order.first(), last.keys.first())
            && let Some(column) = self.places.get(*column)
        {
            self.grid.leave_out_numbers(*column, *number, *direction == Direction::Asc, slots);
        }
    }

    fn id(&self, slot: usize) -> &str {
        self.grid.id(slot).map(EntityId::as_str).unwrap_or_default()
    }

    /// The row with its sort keys, to keep.
    pub fn entry(&self, slot: usize) -> Option<Rc<Entry>> {
        let keys = self.query.order.iter().map(|(column, _)| self.value(slot, Some(*column))).collect();
        Some(Rc::new(Entry { id: self.grid.id(slot)?.clone(), keys }))
    }

    /// The row with its group and its value, to keep.
    pub fn member(&self, slot: usize, fold: Fold) -> Option<Rc<Entry>> {
        let keys = vec![self.value(slot, fold.by), self.value(slot, fold.of)];
        Some(Rc::new(Entry { id: self.grid.id(slot)?.clone(), keys }))
    }
}

/// The order of two kept rows.
pub fn order(query: &Query, a: &Entry, keys: &[Value], id: &str) -> Ordering {
    for ((x, y), (_, direction)) in a.keys.iter().zip(keys).zip(&query.order) {
        let order = compare(x, y);
        if order.is_ne() {
            return directed(order, *direction);
        }
    }
    code_units(a.id.as_str(), id)
}

/// Sorts kept rows. In one place, because a sort is a lot of code.
pub fn sort(entries: &mut [Rc<Entry>], order: &dyn Fn(&Entry, &Entry) -> Ordering) {
    entries.sort_unstable_by(|a, b| order(a, b));
}

/// Where an id stands in a list that is sorted by id, or where it belongs.
pub fn place(entries: &[Rc<Entry>], id: &EntityId) -> Result<usize, usize> {
    search(entries.len(), &mut |index| entries.get(index).map(|entry| &entry.id).cmp(&Some(id)))
}

fn directed(order: Ordering, direction: Direction) -> Ordering {
    if direction == Direction::Desc { order.reverse() } else { order }
}

pub(super) fn holds(found: Cell<'_>, op: Op, value: &Value) -> bool {
    let wanted = Cell::from(value);
    let order =
        |is: fn(Ordering) -> bool| found.is_like(wanted) && !matches!(found, Cell::Null) && is(found.compare(wanted));
    let equals = |item: &Value| Cell::from(item).compare(wanted).is_eq();
    match op {
        Op::Eq => found.compare(wanted).is_eq(),
        Op::Ne => found.compare(wanted).is_ne(),
        Op::Gt => order(Ordering::is_gt),
        Op::Gte => order(Ordering::is_ge),
        Op::Lt => order(Ordering::is_lt),
        Op::Lte => order(Ordering::is_le),
        Op::In => match wanted {
            Cell::Items(list) => {
                let at =
                    |index: usize| list.get(index).map_or(Ordering::Greater, |item| Cell::from(item).compare(found));
                search(list.len(), &mut |index| at(index)).is_ok()
            }
            _ => false,
        },
        Op::Contains => match (found, wanted) {
            (Cell::Items(items), _) => items.iter().any(equals),
            (Cell::Text(text), Cell::Text(part)) => text.contains(part),
            _ => false,
        },
        Op::StartsWith => match (found, wanted) {
            (Cell::Text(text), Cell::Text(start)) => text.starts_with(start),
            _ => false,
        },
    }
}
