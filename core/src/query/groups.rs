//! A number made of all rows that match, or one of each group of them.
//!
//! Counts and sums follow changes exactly: a [`Sum`] forgets what is taken away. A minimum or maximum that goes is
//! searched again among the rows that are kept.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::ids::EntityId;
use crate::json::{self, Value};
use crate::query::ast::{Fold, Query, What};
use crate::query::cell::{Cell, compare};
use crate::query::grid::Grid;
use crate::query::row::{Entry, Looking, place, sort};
use crate::query::splice::step;
use crate::query::sum::Sum;
use crate::small::search;

/// See the module's text.
#[derive(Debug)]
pub struct Groups {
    fold: Fold,
    /// By the value that names them. Where nothing is grouped there is one, also of no rows.
    #[expect(clippy::vec_box, reason = "what a new group moves are pointers")]
    list: Vec<Box<Group>>,
    /// The rows by id, each with its group and its value; empty if changes will not be followed.
    rows: Vec<Rc<Entry>>,
}

#[derive(Debug, Default)]
struct Group {
    key: Value,
    rows: usize,
    numbers: usize,
    sum: Sum,
    /// The minimum or the maximum.
    edge: Value,
    /// The edge went.
    stale: bool,
    changed: bool,
}

impl Groups {
    /// Looks at every row. `keep`: changes will be followed.
    pub fn build(query: &Query, fold: Fold, grid: &Grid, keep: bool) -> Self {
        let mut groups = Self { fold, list: Vec::new(), rows: Vec::new() };
        if fold.by.is_none() {
            groups.list.push(Box::default());
        }
        let looking = Looking::new(query, grid);
        // Groups that are found by a number instead of a search.
        let mut named: Vec<Option<Box<Group>>> = Vec::new();
        for slot in looking.select() {
            if keep {
                groups.rows.extend(looking.member(slot, fold));
            }
            let name = fold.by.and_then(|by| looking.name(slot, by));
            let group = match name {
                Some(name) => {
                    if name >= named.len() {
                        named.resize_with(name + 1, || None);
                    }
                    let new = || Box::new(Group { key: looking.value(slot, fold.by), ..Group::default() });
                    named.get_mut(name).map(|group| group.get_or_insert_with(new))
                }
                None => {
                    let at = fold.by.map_or(0, |by| groups.at(looking.cell(slot, by), None));
                    groups.list.get_mut(at)
                }
            };
            let Some(group) = group else { continue };
            match fold.of {
                None => group.rows += 1,
                Some(of) => group.add(fold.what, looking.cell(slot, of)),
            }
        }
        for group in named.into_iter().flatten() {
            let at = groups.at(Cell::from(&group.key), None);
            if let Some(place) = groups.list.get_mut(at) {
                *place = group;
            }
        }
        sort(&mut groups.rows, &|a, b| a.id.cmp(&b.id));
        groups
    }

    /// `[group, number]` of each.
    pub fn answer(&self) -> Vec<Value> {
        self.list.iter().map(|group| group.answer(self.fold.what)).collect()
    }

    /// How many rows are kept.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row is kept.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Follows changes of these rows: the steps from the old answer to the new one. `None`: it has to be built again,
    /// because a sum went over every number.
    pub fn follow(&mut self, query: &Query, grid: &Grid, changed: &[EntityId]) -> Option<Vec<Value>> {
        let (mut steps, looking, fold) = (Vec::new(), Looking::new(query, grid), self.fold);
        for id in changed {
            let new = looking.find(id).and_then(|slot| looking.member(slot, fold));
            let place = place(&self.rows, id);
            let old = place.ok().and_then(|at| self.rows.get(at)).cloned();
            if old.as_ref().map(|old| &old.keys) == new.as_ref().map(|new| &new.keys) {
                continue;
            }
            if let Some(old) = &old {
                let at = self.of(old, &mut steps);
                if let Some(group) = self.list.get_mut(at) {
                    group.remove(fold.what, Cell::from(value(old)));
                }
            }
            if let Some(new) = &new {
                let at = self.of(new, &mut steps);
                if let Some(group) = self.list.get_mut(at) {
                    group.add(fold.what, Cell::from(value(new)));
                }
            }
            if let Ok(at) = place {
                self.rows.remove(at);
            }
            if let Some(new) = new {
                let (Ok(at) | Err(at)) = place;
                self.rows.insert(at, new);
            }
        }
        self.finish(&mut steps).then_some(steps)
    }

    fn of(&mut self, entry: &Entry, steps: &mut Vec<Value>) -> usize {
        if self.fold.by.is_none() { 0 } else { self.at(Cell::from(group(entry)), Some(steps)) }
    }

    /// Where a group stands, made if there is none.
    fn at(&mut self, key: Cell<'_>, steps: Option<&mut Vec<Value>>) -> usize {
        let found = search(self.list.len(), &mut |at| {
            self.list.get(at).map_or(Ordering::Greater, |group| Cell::from(&group.key).compare(key))
        });
        found.unwrap_or_else(|at| {
            self.list.insert(at, Box::new(Group { key: key.to_value(), ..Group::default() }));
            if let Some(steps) = steps {
                steps.push(step(at, 0, Some(Value::Null)));
            }
            at
        })
    }

    /// Takes away groups without rows and tells of those that changed. Says whether all sums are numbers.
    fn finish(&mut self, steps: &mut Vec<Value>) -> bool {
        let what = self.fold.what;
        let mut at = 0;
        while let Some(group) = self.list.get_mut(at) {
            if group.changed && group.rows == 0 && self.fold.by.is_some() {
                self.list.remove(at);
                steps.push(step(at, 1, None));
                continue;
            }
            if group.stale {
                group.edge = Value::Null;
                for entry in &self.rows {
                    if self.fold.by.is_none() || compare(self::group(entry), &group.key).is_eq() {
                        group.widen(what, Cell::from(value(entry)));
                    }
                }
                group.stale = false;
            }
            if group.changed {
                if !group.sum.value().is_finite() {
                    return false;
                }
                steps.push(step(at, 1, Some(group.answer(what))));
            }
            group.changed = false;
            at += 1;
        }
        true
    }
}

impl Group {
    fn add(&mut self, what: What, value: Cell<'_>) {
        self.changed = true;
        self.rows += 1;
        if let (What::Sum | What::Avg, Cell::Number(number)) = (what, value) {
            self.numbers += 1;
            self.sum.add(number);
        }
        self.widen(what, value);
    }

    fn remove(&mut self, what: What, value: Cell<'_>) {
        self.changed = true;
        self.rows -= 1;
        if let (What::Sum | What::Avg, Cell::Number(number)) = (what, value) {
            self.numbers -= 1;
            self.sum.add(-number);
        }
        let edges = matches!(what, What::Min | What::Max) && !matches!(value, Cell::Null);
        self.stale |= edges && value.compare(Cell::from(&self.edge)).is_eq();
    }

    fn widen(&mut self, what: What, value: Cell<'_>) {
        let wider = match what {
            What::Min => Ordering::Less,
            What::Max => Ordering::Greater,
            What::Count | What::Sum | What::Avg => return,
        };
        let is_null = matches!(value, Cell::Null);
        if !is_null && (self.edge.is_null() || value.compare(Cell::from(&self.edge)) == wider) {
            self.edge = value.to_value();
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody has so many rows")]
    fn answer(&self, what: What) -> Value {
        let number = match what {
            What::Count => Value::from(self.rows),
            What::Sum => json::number_of(self.sum.value()),
            What::Avg if self.numbers == 0 => Value::Null,
            What::Avg => json::number_of(self.sum.value() / self.numbers as f64),
            What::Min | What::Max => self.edge.clone(),
        };
        Value::Array(vec![self.key.clone(), number])
    }
}

fn group(entry: &Entry) -> &Value {
    entry.keys.first().unwrap_or(&Value::Null)
}

fn value(entry: &Entry) -> &Value {
    entry.keys.get(1).unwrap_or(&Value::Null)
}
