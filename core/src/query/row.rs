//! Rows against a query: which match, how they compare.

use std::cmp::Ordering;

use crate::ids::EntityId;
use crate::json::Value;
use crate::query::ast::{Direction, Op, Query};
use crate::query::cell::{Cell, code_units};
use crate::query::column::Column;
use crate::query::grid::Grid;
use crate::small::search;

/// Rows being looked at for one query.
#[derive(Debug)]
pub struct Looking<'a> {
    /// For which.
    pub query: &'a Query,
    grid: &'a Grid,
    /// Where the columns of the query stand in the grid.
    places: Vec<usize>,
}

impl<'a> Looking<'a> {
    /// Looks at rows for a query whose columns are in the grid.
    pub fn new(query: &'a Query, grid: &'a Grid) -> Self {
        Self { query, grid, places: query.columns.fields.iter().map(|field| grid.place_of(field)).collect() }
    }

    /// The rows that match, some hundred at a time.
    pub fn each(&self, then: &mut dyn FnMut(Vec<usize>)) {
        for block in 0..self.grid.blocks() {
            then(self.grid.select(block, self.query.filter.as_ref(), &self.places));
        }
    }

    /// Where a row stands, if it is there and matches.
    pub fn find(&self, id: &EntityId) -> Option<usize> {
        let slot = self.grid.slot(id)?;
        let filter = self.query.filter.as_ref();
        filter.is_none_or(|filter| self.grid.matches(slot, filter, &self.places)).then_some(slot)
    }

    /// A column of the query.
    pub(super) fn column(&self, column: usize) -> Option<&'a Column> {
        self.grid.column(*self.places.get(column)?)
    }

    /// The value of a row in a column of the query.
    pub fn cell(&self, slot: usize, column: usize) -> Cell<'a> {
        self.column(column).map_or(Cell::Null, |column| column.get(slot))
    }

    /// The same, to keep.
    pub fn value(&self, slot: usize, column: Option<usize>) -> Value {
        column.map_or(Value::Null, |column| self.cell(slot, column).to_value())
    }

    /// The sort keys of a row.
    pub fn keys(&self, slot: usize) -> Vec<Value> {
        self.query.order.iter().map(|(column, _)| self.value(slot, Some(*column))).collect()
    }

    /// The id of a row.
    pub fn id(&self, slot: usize) -> &'a str {
        self.grid.id(slot).map(EntityId::as_str).unwrap_or_default()
    }

    /// The order of two rows.
    pub fn compare(&self, a: usize, b: usize) -> Ordering {
        for (column, direction) in &self.query.order {
            let order = self.cell(a, *column).compare(self.cell(b, *column));
            if order.is_ne() {
                return directed(order, *direction);
            }
        }
        code_units(self.id(a), self.id(b))
    }

    /// Whether a row comes after the page before.
    pub fn is_after(&self, slot: usize) -> bool {
        let Some((keys, id)) = &self.query.after else { return true };
        for ((column, direction), key) in self.query.order.iter().zip(keys) {
            let order = self.cell(slot, *column).compare(Cell::from(key));
            if order.is_ne() {
                return directed(order, *direction).is_gt();
            }
        }
        code_units(self.id(slot), id).is_gt()
    }

    /// Leaves out rows that come after `last` by the number of their first sort key: a loop over one column.
    pub fn leave_out_clearly_behind(&self, last: usize, slots: &mut Vec<usize>) {
        if let Some((column, direction)) = self.query.order.first()
            && let Cell::Number(number) = self.cell(last, *column)
            && let Some(column) = self.column(*column)
        {
            column.retain_numbers(number, *direction == Direction::Asc, true, true, slots);
        }
    }
}

/// Sorts rows. In one place, because a sort is a lot of code.
pub fn sort(slots: &mut [usize], order: &dyn Fn(usize, usize) -> Ordering) {
    slots.sort_unstable_by(|a, b| order(*a, *b));
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
