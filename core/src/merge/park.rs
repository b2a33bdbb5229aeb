//! What waits for its author's decision while one of that author's mutations is carried out (rule 17).
//!
//! A value waits by its path, which covers what is below it. A later edit of the same author joins what it overlaps
//! (rule 14): in what waits, if that lies at the path or above it; and it takes the place of what waits below the
//! path, so that an author's waiting values never overlap. The document is never touched here.
//!
//! The server's only: what the client does not call is not in its download.

use crate::error::{Code, CoreError};
use crate::ids::ReplicaId;
use crate::json::{Map, Value};
use crate::limits::CONFLICTS_OPEN_MAX;
use crate::merge::leaf::{LeafStep, Write};
use crate::merge::weave::{Desk, Joined, is_written, value_of};
use crate::model::document;
use crate::model::path::Path;
use crate::model::verdict::Overwritten;

/// What a mutation's author left undecided in the entity.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parking {
    /// The values that wait; their paths do not overlap.
    pub open: Vec<Waiting>,
    /// Those that were decided. Another device may not know that yet, and go on from them.
    pub closed: Vec<Waiting>,
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

impl Waiting {
    /// Whether the author of a step saw this value where he wrote.
    fn is_seen_by(&self, step: &LeafStep<'_>) -> bool {
        let (shown, seen) = (holding(&self.path, self.yours.clone()), holding(&step.path, step.was.cloned()));
        let at = if self.path.covers(&step.path) { &step.path } else { &self.path };
        self.path.overlaps(&step.path) && document::get(&shown, at) == document::get(&seen, at)
    }
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
    /// The one of [`Parking::open`] that it goes on from.
    pub joins: Option<usize>,
    /// Those of [`Parking::open`] below it that it takes the place of, and whether its author saw their values.
    pub absorbs: Vec<(usize, bool)>,
    /// The author's own values that it takes the place of unseen: they came from another device.
    pub replaced: Vec<Overwritten>,
}

impl Parked {
    /// Whether there is anything to decide.
    pub fn waits(&self) -> bool {
        self.yours != self.kept
    }
}

/// More than a person can decide.
pub fn too_many_wait() -> CoreError {
    let message = format!("{CONFLICTS_OPEN_MAX} values of this entity wait for your decision: decide some first");
    CoreError::new(Code::TooLarge, message)
}

/// [`Parking`] at work.
pub(super) struct Lot<'a> {
    slots: Vec<Slot>,
    closed: &'a [Waiting],
    all: bool,
    /// More would wait than are kept.
    pub(super) is_full: bool,
}

struct Slot {
    path: Path,
    base: Option<Value>,
    yours: Option<Value>,
    joins: Option<usize>,
    absorbs: Vec<(usize, bool)>,
    replaced: Vec<Overwritten>,
    written: bool,
}

impl Slot {
    fn new(path: &Path, base: Option<Value>, yours: Option<Value>) -> Self {
        let (absorbs, replaced) = (Vec::new(), Vec::new());
        Self { path: path.clone(), base, yours, joins: None, absorbs, replaced, written: true }
    }
}

impl<'a> Lot<'a> {
    pub(super) fn new(parking: &'a Parking) -> Self {
        let slot = |(at, waiting): (usize, &Waiting)| Slot {
            joins: Some(at),
            written: false,
            ..Slot::new(&waiting.path, waiting.base.clone(), waiting.yours.clone())
        };
        Self {
            slots: parking.open.iter().enumerate().map(slot).collect(),
            closed: &parking.closed,
            all: parking.all,
            is_full: false,
        }
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
            absorbs: slot.absorbs,
            replaced: slot.replaced,
        };
        written.map(parked).collect()
    }

    fn push(&mut self, slot: Slot) {
        // A later step would be compared with each of them.
        self.is_full |= self.slots.len() > CONFLICTS_OPEN_MAX;
        if !self.is_full {
            self.slots.push(slot);
        }
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
        let before = document::get(&seen, &step.path).cloned();
        let after = result(step, before.as_ref())?;
        if step.write != Write::Operator && before.as_ref() != step.was && before != after {
            let (path, kept) = (step.path.clone(), after.clone());
            slot.replaced.push(Overwritten { path, yours: before, kept, by: None });
        }
        put(&mut seen, &step.path, after);
        slot.yours = document::get(&seen, &slot.path).cloned();
        slot.written = true;
        Ok(Joined::Done)
    }

    /// A step above values that wait: it takes their place. Its author saw them in it, unless they came from another
    /// device or have no place in the document.
    fn widen(&mut self, doc: &Value, step: &LeafStep<'_>) -> Result<Joined, CoreError> {
        let was = holding(&step.path, step.was.cloned());
        let mut base = was.clone();
        let mut seen = holding(&step.path, document::get(doc, &step.path).cloned());
        let mut wide = Slot::new(&step.path, None, None);
        for slot in self.slots.extract_if(.., |slot| step.path.covers(&slot.path)) {
            let is_seen = document::get(&was, &slot.path) == slot.yours.as_ref();
            wide.absorbs.extend(slot.joins.map(|join| (join, is_seen)));
            wide.absorbs.extend(slot.absorbs);
            wide.replaced.extend(slot.replaced);
            put(&mut base, &slot.path, slot.base);
            put(&mut seen, &slot.path, slot.yours);
        }
        wide.base = document::get(&base, &step.path).cloned();
        wide.yours = result(step, document::get(&seen, &step.path))?;
        self.push(wide);
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
                self.push(Slot::new(&step.path, step.was.cloned(), yours));
            }
        } else if !is_written(&step.write, stored) {
            self.park(step);
        }
        Ok(Joined::Done)
    }
}

impl Desk for Lot<'_> {
    fn join(&mut self, doc: &Value, step: &LeafStep<'_>, waits: bool) -> Result<Joined, CoreError> {
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
        if self.all {
            return self.hold(doc, step);
        }
        let stored = document::get(doc, &step.path);
        let goes_on = step.write != Write::Operator && stored != step.was && !is_written(&step.write, stored);
        // A value that was decided may have had others in its place before: under `manual` he saw one of those.
        let is_met = |closed: &Waiting| if waits { closed.path.overlaps(&step.path) } else { closed.is_seen_by(step) };
        if goes_on && self.closed.iter().any(is_met) {
            self.park(step);
            return Ok(Joined::Done);
        }
        Ok(Joined::No)
    }

    fn park(&mut self, step: &LeafStep<'_>) {
        self.push(Slot::new(&step.path, step.was.cloned(), value_of(&step.write)));
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
