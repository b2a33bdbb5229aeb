//! One field of all rows: numbers beside numbers, and texts that occur often as the number of their name.

use std::cmp::Ordering;

use crate::json::Value;
use crate::query::cell::Cell;
use crate::small::search;

/// More different texts than this in one field are no names: they stand as they are.
const NAMES_MAX: usize = 1_024;

/// How a row's value stands in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    #[default]
    Null,
    Bool,
    Number,
    /// A text that occurs often, by its number.
    Name,
    /// Anything else, as a value.
    Other,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Column {
    kinds: Vec<Kind>,
    numbers: Vec<f64>,
    others: Vec<Value>,
    names: Vec<Box<str>>,
    /// The numbers of the names, in the order of the names.
    sorted: Vec<usize>,
}

impl Column {
    /// The value of a slot.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a name's number is what was put")]
    pub(super) fn get(&self, slot: usize) -> Cell<'_> {
        let number = self.numbers.get(slot).copied().unwrap_or_default();
        match self.kinds.get(slot).copied().unwrap_or_default() {
            Kind::Null => Cell::Null,
            Kind::Bool => Cell::Bool(number != 0.0),
            Kind::Number => Cell::Number(number),
            Kind::Name => Cell::Text(self.names.get(number as usize).map(AsRef::as_ref).unwrap_or_default()),
            Kind::Other => self.others.get(slot).map_or(Cell::Null, Cell::from),
        }
    }

    /// Puts a value into a slot.
    pub(super) fn put(&mut self, slot: usize, cell: Cell<'_>) {
        if let Cell::Text(text) = cell {
            self.add_name(text);
        }
        let (kind, number) = self.form(cell);
        set(&mut self.kinds, slot, kind);
        set(&mut self.numbers, slot, number);
        if kind == Kind::Other || slot < self.others.len() {
            let value = if kind == Kind::Other { cell.to_value() } else { Value::Null };
            set(&mut self.others, slot, value);
        }
    }

    /// How a value stands here, `others` apart. There is one zero.
    #[expect(clippy::cast_precision_loss, reason = "there are few names")]
    fn form(&self, cell: Cell<'_>) -> (Kind, f64) {
        match cell {
            Cell::Null => (Kind::Null, 0.0),
            Cell::Bool(yes) => (Kind::Bool, f64::from(u8::from(yes))),
            Cell::Number(number) => (Kind::Number, number + 0.0),
            Cell::Text(text) => match self.find(text).ok().and_then(|at| self.sorted.get(at)) {
                Some(name) => (Kind::Name, *name as f64),
                None => (Kind::Other, 0.0),
            },
            Cell::Items(_) | Cell::Fields(_) => (Kind::Other, 0.0),
        }
    }

    fn find(&self, text: &str) -> Result<usize, usize> {
        search(self.sorted.len(), &mut |at| {
            let name = self.sorted.get(at).and_then(|name| self.names.get(*name));
            name.map_or(Ordering::Greater, |name| (**name).cmp(text))
        })
    }

    /// Makes a text a name, if there is room.
    fn add_name(&mut self, text: &str) {
        if let Err(at) = self.find(text)
            && self.names.len() < NAMES_MAX
        {
            self.sorted.insert(at, self.names.len());
            self.names.push(text.into());
        }
    }

    /// The numbers of the names, in their order.
    pub(super) fn names(&self) -> &[usize] {
        &self.sorted
    }

    /// Keeps the slots that hold this value.
    pub(super) fn retain_equal(&self, wanted: Cell<'_>, slots: &mut Vec<usize>) {
        let (kind, number) = self.form(wanted);
        retain(slots, |slot| {
            let found = self.kinds.get(slot).copied().unwrap_or_default();
            // What stands as a value has no number to go by.
            (found == kind) & (self.numbers.get(slot) == Some(&number))
                && (found != Kind::Other || self.get(slot).compare(wanted).is_eq())
        });
    }

    /// Keeps the slots that hold a number on one side of this one, or, with `equal`, this one; with `others`, also
    /// those that hold no number.
    pub(super) fn retain_numbers(&self, number: f64, below: bool, equal: bool, others: bool, slots: &mut Vec<usize>) {
        retain(slots, |slot| {
            if self.kinds.get(slot) != Some(&Kind::Number) {
                return others;
            }
            let found = self.numbers.get(slot).copied().unwrap_or_default();
            ((found < number) & below) | ((found > number) & !below) | ((found == number) & equal)
        });
    }

    /// The number of a slot's name, if it holds one. A text that is a name is one in every slot.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a name's number is what was put")]
    pub(super) fn name_at(&self, slot: usize) -> Option<usize> {
        (self.kinds.get(slot) == Some(&Kind::Name))
            .then(|| self.numbers.get(slot).copied().unwrap_or_default() as usize)
    }
}

fn set<T: Clone + Default>(list: &mut Vec<T>, slot: usize, value: T) {
    if slot >= list.len() {
        list.resize(slot + 1, T::default());
    }
    if let Some(place) = list.get_mut(slot) {
        *place = value;
    }
}

/// Keeps the slots of which `is` says so. Without a branch, because nobody can foresee which match.
#[expect(clippy::indexing_slicing, reason = "both places are below the length")]
pub(super) fn retain(slots: &mut Vec<usize>, is: impl Fn(usize) -> bool) {
    let mut kept = 0;
    for at in 0..slots.len() {
        let slot = slots[at];
        slots[kept] = slot;
        kept += usize::from(is(slot));
    }
    slots.truncate(kept);
}
