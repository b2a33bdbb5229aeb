//! A number made of all rows that match, or one of each group of them.
//!
//! Counts and sums follow changes exactly: a `Sum` forgets what is taken away. A minimum or maximum that goes is
//! searched again among all rows.

use std::cmp::Ordering;

use crate::json::{self, Value};
use crate::query::ast::{Fold, What};
use crate::query::cell::Cell;
use crate::query::column::Column;
use crate::query::row::Looking;
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

/// What a row is to its group.
#[derive(Debug, PartialEq)]
pub struct Member {
    group: Value,
    value: Value,
}

impl Groups {
    /// Looks at every row.
    pub fn build(looking: &Looking<'_>, fold: Fold) -> Self {
        let mut groups = Self { fold, list: Vec::new() };
        if fold.by.is_none() {
            groups.list.push(Box::default());
        }
        let by = fold.by.and_then(|by| looking.column(by));
        let of = fold.of.and_then(|of| looking.column(of));
        // Groups that are found by a number instead of a search.
        let mut named: Vec<Option<Box<Group>>> = Vec::new();
        looking.each(&mut |slots| {
            for slot in slots {
                let name = by.and_then(|by| by.name_at(slot));
                let group = match name {
                    Some(name) => {
                        if name >= named.len() {
                            named.resize_with(name + 1, || None);
                        }
                        let new = || Box::new(Group { key: looking.value(slot, fold.by), ..Group::default() });
                        named.get_mut(name).map(|group| group.get_or_insert_with(new))
                    }
                    None => {
                        let at = by.map_or(0, |by| groups.at(by.get(slot), None));
                        groups.list.get_mut(at)
                    }
                };
                if let Some(group) = group {
                    group.add(fold.what, of.map_or(Cell::Null, |of| of.get(slot)));
                }
            }
        });
        // In their order, so that each belongs at the end.
        for name in by.map(Column::names).unwrap_or_default() {
            let Some(group) = named.get_mut(*name).and_then(Option::take) else { continue };
            let at = groups.at(Cell::from(&group.key), None);
            if let Some(place) = groups.list.get_mut(at) {
                *place = group;
            }
        }
        groups
    }

    /// `[group, number]` of each.
    pub fn answer(&self) -> Vec<Value> {
        self.list.iter().map(|group| group.answer(self.fold.what)).collect()
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What a row that matches is to its group.
    pub fn member(&self, looking: &Looking<'_>, slot: usize) -> Member {
        Member { group: looking.value(slot, self.fold.by), value: looking.value(slot, self.fold.of) }
    }

    /// A row has changed.
    pub fn change(&mut self, old: Option<&Member>, new: Option<&Member>, steps: &mut Vec<Value>) {
        if old == new {
            return;
        }
        let what = self.fold.what;
        if let Some(old) = old
            && let Some(group) = self.of(old, steps)
        {
            group.remove(what, Cell::from(&old.value));
        }
        if let Some(new) = new
            && let Some(group) = self.of(new, steps)
        {
            group.add(what, Cell::from(&new.value));
        }
    }

    fn of(&mut self, member: &Member, steps: &mut Vec<Value>) -> Option<&mut Box<Group>> {
        let at = if self.fold.by.is_none() { 0 } else { self.at(Cell::from(&member.group), Some(steps)) };
        self.list.get_mut(at)
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

    /// Takes away groups without rows and tells of those that changed. Says whether all sums are numbers: else all has
    /// to be built again.
    pub fn finish(&mut self, looking: &Looking<'_>, steps: &mut Vec<Value>) -> bool {
        let what = self.fold.what;
        if self.list.iter().any(|group| group.stale) {
            self.search_edges(looking);
        }
        let mut at = 0;
        while let Some(group) = self.list.get_mut(at) {
            if group.changed && group.rows == 0 && self.fold.by.is_some() {
                self.list.remove(at);
                steps.push(step(at, 1, None));
                continue;
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

    /// Looks at every row for the minimum or maximum of groups that lost theirs.
    fn search_edges(&mut self, looking: &Looking<'_>) {
        for group in self.list.iter_mut().filter(|group| group.stale) {
            group.edge = Value::Null;
        }
        looking.each(&mut |slots| {
            for slot in slots {
                let member = self.member(looking, slot);
                let what = self.fold.what;
                if let Some(group) = self.of(&member, &mut Vec::new()).filter(|group| group.stale) {
                    group.widen(what, Cell::from(&member.value));
                }
            }
        });
        for group in &mut self.list {
            group.stale = false;
        }
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
