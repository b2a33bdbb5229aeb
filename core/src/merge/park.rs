//! What waits for its author's decision while one of that author's mutations is carried out (rule 17).
//!
//! A value waits by its path, which covers what is below it. A later edit of the same author joins what it overlaps
//! (rule 14): in what waits, if that lies at the path or above it; and what waits below the path becomes one with the
//! edit, so that an author's waiting values never overlap. The document is never touched here.
//!
//! The server's only: what the client does not call is not in its download.

use crate::error::{Code, CoreError};
use crate::ids::ReplicaId;
use crate::json::{Map, Value};
use crate::merge::leaf::{LeafStep, Write};
use crate::merge::weave::{Desk, Joined, is_written, value_of};
use crate::model::document;
use crate::model::path::Path;

/// What a mutation's author left undecided in the entity.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parking {
    /// The values that wait; their paths do not overlap.
    pub open: Vec<Waiting>,
    /// Every write waits: another member of the transaction has to (rule 11).
    pub all: bool,
}

/// A value that waits already.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// Its field.
    pub path: Path,
    /// What its author had seen there.
    pub base: Option<Value>,
    /// The value; `None` where the field is removed.
    pub yours: Option<Value>,
}

/// A value that waits after the mutation.
#[derive(Debug, Clone, PartialEq)]
pub struct Parked {
    /// Its field.
    pub path: Path,
    /// What its author had seen there before the first of the edits that wait.
    pub base: Option<Value>,
    /// The value; `None` where the field is removed.
    pub yours: Option<Value>,
    /// What stands there in the document.
    pub kept: Option<Value>,
    /// Who wrote that.
    pub by: Option<ReplicaId>,
    /// Those of [`Parking::open`] that it takes the place of: it goes on from the first.
    pub joins: Vec<usize>,
}

impl Parked {
    /// Whether there is anything to decide.
    pub fn waits(&self) -> bool {
        self.yours != self.kept
    }
}

/// [`Parking`] at work.
pub(super) struct Lot {
    slots: Vec<Slot>,
    all: bool,
}

struct Slot {
    path: Path,
    base: Option<Value>,
    yours: Option<Value>,
    joins: Vec<usize>,
    written: bool,
}

impl Lot {
    pub(super) fn new(parking: &Parking) -> Self {
        let slot = |(at, waiting): (usize, &Waiting)| Slot {
            path: waiting.path.clone(),
            base: waiting.base.clone(),
            yours: waiting.yours.clone(),
            joins: vec![at],
            written: false,
        };
        Self { slots: parking.open.iter().enumerate().map(slot).collect(), all: parking.all }
    }

    /// What the mutation parked or joined, over the document that it left behind.
    pub(super) fn parked(self, doc: &Value, author: impl Fn(&Path) -> Option<ReplicaId>) -> Vec<Parked> {
        let written = self.slots.into_iter().filter(|slot| slot.written);
        let parked = |slot: Slot| Parked {
            kept: document::get(doc, &slot.path).cloned(),
            by: author(&slot.path),
            path: slot.path,
            base: slot.base,
            yours: slot.yours,
            joins: slot.joins,
        };
        written.map(parked).collect()
    }

    fn push(&mut self, path: &Path, base: Option<Value>, yours: Option<Value>, joins: Vec<usize>) {
        self.slots.push(Slot { path: path.clone(), base, yours, joins, written: true });
    }

    /// A step at or below a value that waits.
    fn write_into(&mut self, at: usize, step: &LeafStep<'_>) -> Result<Joined, CoreError> {
        let Some(slot) = self.slots.get_mut(at) else { return Ok(Joined::No) };
        let mut seen = holding(&slot.path, slot.yours.clone());
        if document::blocked(&seen, &step.path) {
            return match step.write {
                Write::Absent => Ok(Joined::Done),
                Write::Operator => Err(no_object(step)),
                Write::Leaf(_) | Write::Object(_) => Ok(Joined::Lost),
            };
        }
        let after = result(step, document::get(&seen, &step.path))?;
        put(&mut seen, &step.path, after);
        slot.yours = document::get(&seen, &slot.path).cloned();
        slot.written = true;
        Ok(Joined::Done)
    }

    /// A step above values that wait: they become one with it. Its author saw them in it.
    fn widen(&mut self, doc: &Value, step: &LeafStep<'_>) -> Result<Joined, CoreError> {
        let mut base = holding(&step.path, step.was.cloned());
        let mut seen = holding(&step.path, document::get(doc, &step.path).cloned());
        let mut joins = Vec::new();
        for slot in self.slots.extract_if(.., |slot| step.path.covers(&slot.path)) {
            put(&mut base, &slot.path, slot.base);
            put(&mut seen, &slot.path, slot.yours);
            joins.extend(slot.joins);
        }
        joins.sort_unstable();
        let yours = result(step, document::get(&seen, &step.path))?;
        self.push(&step.path, document::get(&base, &step.path).cloned(), yours, joins);
        Ok(Joined::Done)
    }

    /// A step of a transaction that waits as a whole.
    fn hold(&mut self, doc: &Value, step: &LeafStep<'_>) -> Result<Joined, CoreError> {
        let stored = document::get(doc, &step.path);
        if let Write::Operator = step.write {
            if document::blocked(doc, &step.path) {
                return Err(no_object(step));
            }
            let yours = result(step, stored)?;
            if yours.as_ref() != stored {
                self.push(&step.path, step.was.cloned(), yours, Vec::new());
            }
        } else if !is_written(&step.write, stored) {
            self.park(step);
        }
        Ok(Joined::Done)
    }
}

impl Desk for Lot {
    fn join(&mut self, doc: &Value, step: &LeafStep<'_>) -> Result<Joined, CoreError> {
        if let Some(at) = self.slots.iter().position(|slot| slot.path.covers(&step.path)) {
            return self.write_into(at, step);
        }
        let is_object = |value: Option<&Value>| value.is_some_and(|value| value.as_object().is_some());
        let by_field = matches!(step.write, Write::Absent | Write::Object(_));
        if by_field && is_object(step.was) && is_object(document::get(doc, &step.path)) {
            // Its fields went in steps of their own.
            return Ok(if self.all { Joined::Done } else { Joined::No });
        }
        if self.slots.iter().any(|slot| step.path.covers(&slot.path)) {
            return self.widen(doc, step);
        }
        if self.all { self.hold(doc, step) } else { Ok(Joined::No) }
    }

    fn park(&mut self, step: &LeafStep<'_>) {
        self.push(&step.path, step.was.cloned(), value_of(&step.write), Vec::new());
    }
}

/// What a step makes of the value that its author saw.
fn result(step: &LeafStep<'_>, seen: Option<&Value>) -> Result<Option<Value>, CoreError> {
    match &step.operator {
        Some(operator) => operator.result(&step.path, seen),
        None => Ok(value_of(&step.write)),
    }
}

/// A document with nothing but one field.
fn holding(path: &Path, value: Option<Value>) -> Value {
    let mut doc = Value::Object(Map::new());
    put(&mut doc, path, value);
    doc
}

fn put(doc: &mut Value, path: &Path, value: Option<Value>) {
    match value {
        Some(value) => {
            document::set(doc, path, value);
        }
        None => {
            document::remove(doc, path);
        }
    }
}

fn no_object(step: &LeafStep<'_>) -> CoreError {
    CoreError::new(Code::WrongType, "a value on the way to this path is no object").at(step.path.as_str())
}
