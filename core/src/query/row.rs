//! One row against a query: whether it matches, where it stands in the order.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::ids::EntityId;
use crate::json::{Span, Value};
use crate::query::ast::{Columns, Direction, Field, Filter, Op, Query};
use crate::query::cell::{Cell, code_units, compare};
use crate::small::search;

/// What a query sees of one entity.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its id.
    pub id: &'a EntityId,
    /// Its document, as JSON.
    pub doc: &'a [u8],
    /// Its confirmed revision.
    pub rev: u64,
    /// When it last changed.
    pub at: u64,
    /// Its sync status; empty where nobody asks for it.
    pub status: &'static str,
}

/// Where rows come from. `status`: whether somebody asks for it.
pub trait Rows {
    /// Shows every row, in any order.
    fn each(&self, status: bool, then: &mut dyn FnMut(&Row<'_>));
    /// Shows one row, if it is there.
    fn one(&self, id: &EntityId, status: bool, then: &mut dyn FnMut(&Row<'_>));
}

/// A row that is kept: its id and the values that the query needs again.
#[derive(Debug)]
pub struct Entry {
    /// Its id.
    pub id: EntityId,
    /// Sort keys, or group and value.
    pub keys: Vec<Value>,
}

/// A row being looked at. Nothing of it is copied, and of the document only the columns are read.
#[derive(Debug)]
pub struct Looking<'a> {
    columns: &'a Columns,
    spans: Vec<Span>,
}

impl<'a> Looking<'a> {
    /// Looks at rows for a query.
    pub fn new(query: &'a Query) -> Self {
        Self { columns: &query.columns, spans: vec![(0, 0); query.columns.fields.len()] }
    }

    /// Finds the columns of the next row. Its other functions are then about this row.
    pub fn at(&mut self, row: &Row<'_>) {
        self.spans.fill((0, 0));
        self.columns.wanted.find(row.doc, &mut self.spans);
    }

    /// Hands over the value of a column.
    pub fn cell(&self, row: &Row<'_>, column: usize, then: &mut dyn FnMut(Cell<'_>)) {
        #[expect(clippy::cast_precision_loss, reason = "what JavaScript would hold")]
        match self.columns.fields.get(column) {
            Some(Field::Path(_)) => {
                let (start, end) = self.spans.get(column).copied().unwrap_or_default();
                Cell::read(row.doc.get(start..end).unwrap_or_default(), then);
            }
            Some(Field::Id) => then(Cell::Text(row.id.as_str())),
            Some(Field::Rev) => then(Cell::Number(row.rev as f64)),
            Some(Field::UpdatedAt) => then(Cell::Number(row.at as f64)),
            Some(Field::Status) => then(Cell::Text(row.status)),
            None => then(Cell::Null),
        }
    }

    /// The value of a column, to keep.
    pub fn value(&self, row: &Row<'_>, column: Option<usize>) -> Value {
        let mut value = Value::Null;
        if let Some(column) = column {
            self.cell(row, column, &mut |cell| value = cell.to_value());
        }
        value
    }

    /// Whether the row matches.
    pub fn matches(&self, row: &Row<'_>, filter: Option<&Filter>) -> bool {
        match filter {
            None => true,
            Some(Filter::And(parts)) => parts.iter().all(|part| self.matches(row, Some(part))),
            Some(Filter::Or(parts)) => parts.iter().any(|part| self.matches(row, Some(part))),
            Some(Filter::Not(part)) => !self.matches(row, Some(part)),
            Some(Filter::Is { column, op, value }) => {
                let mut yes = false;
                self.cell(row, *column, &mut |cell| yes = holds(cell, *op, value));
                yes
            }
        }
    }

    /// The order of the row against sort keys and an id.
    pub fn order(&self, query: &Query, row: &Row<'_>, keys: &[Value], id: &str) -> Ordering {
        for ((column, direction), key) in query.order.iter().zip(keys) {
            let mut order = Ordering::Equal;
            self.cell(row, *column, &mut |cell| order = cell.compare(Cell::from(key)));
            if order.is_ne() {
                return directed(order, *direction);
            }
        }
        code_units(row.id.as_str(), id)
    }

    /// The row with its sort keys, to keep.
    pub fn entry(&self, query: &Query, row: &Row<'_>) -> Rc<Entry> {
        let mut keys = Vec::with_capacity(query.order.len());
        for (column, _) in &query.order {
            keys.push(self.value(row, Some(*column)));
        }
        Rc::new(Entry { id: row.id.clone(), keys })
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

fn holds(found: Cell<'_>, op: Op, value: &Value) -> bool {
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
