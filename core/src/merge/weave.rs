//! Carries leaf steps out on a document that others may have changed, by the rules of concurrency.
//!
//! A write of a path is *concurrent* when the path's revision is above the mutation's base and the stored value is
//! neither what the author saw nor what it writes (rule 13). Between a value and the fields of an object that stood,
//! or would stand, in its place: **a field that no longer fits under its parent loses** (rule 14), whichever came
//! first.

use crate::clock::{Hlc, Stamp};
use crate::error::{Code, CoreError};
use crate::ids::{ReplicaId, Rev};
use crate::json::{self, Map, Value};
use crate::merge::arrays::Combined;
use crate::merge::leaf::{LeafStep, Write};
use crate::merge::{PathRev, PathRevs, arrays, paths};
use crate::model::document;
use crate::model::path::Path;
use crate::model::schema::{CollectionSettings, FieldStrategy, Strategy};
use crate::model::verdict::Overwritten;
use crate::planted::Bug;
use crate::small::SmallMap;

/// What is known about when the paths changed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known<'a> {
    /// Each path's revision and stamp, and this mutation's stamp: the server.
    Paths(&'a PathRevs, &'a Stamp),
    /// The entity's revision only: the client. The author's own edits are shown.
    Rev(Rev),
}

/// The state of carrying out one mutation.
pub(super) struct Weave<'a> {
    pub(super) doc: Value,
    pub(super) known: Known<'a>,
    pub(super) base_rev: Rev,
    pub(super) settings: &'a CollectionSettings,
    pub(super) touched: SmallMap<Path, Stamp>,
    pub(super) restamped: SmallMap<Path, Stamp>,
    pub(super) overwritten: Vec<Overwritten>,
    pub(super) displaced: Vec<Overwritten>,
    /// Objects of this mutation that lost: their fields lose with them.
    lost: Vec<Path>,
    /// Merges texts: the server's only. What the client does not call is not in its download.
    pub(super) texts: Option<&'a TextMerge<'a>>,
    /// Where values wait for their author: the server's only.
    pub(super) desk: Option<&'a mut dyn Desk>,
}

/// Takes the values that wait for their author's decision (rule 17).
pub(super) trait Desk {
    /// Carries a step out on what waits already, if it touches any of that.
    /// `waits`: what meets another value there waits.
    fn join(&mut self, doc: &Value, step: &LeafStep<'_>, waits: bool) -> Result<Joined, CoreError>;
    /// A value begins to wait.
    fn park(&mut self, step: &LeafStep<'_>);
}

/// What became of a step at a [`Desk`].
pub(super) enum Joined {
    /// Nothing: it goes on to the document.
    No,
    /// It is carried out.
    Done,
    /// It does not fit into what waits.
    Lost,
}

/// Base, the mutation's value, the stored one, and whether the mutation's wins.
pub(super) type TextMerge<'a> = dyn Fn(Option<&Value>, &Value, &Value, bool) -> Option<Combined> + 'a;

impl<'a> Weave<'a> {
    pub(super) fn new(doc: Value, known: Known<'a>, base_rev: Rev, settings: &'a CollectionSettings) -> Self {
        Self {
            doc,
            known,
            base_rev,
            settings,
            touched: SmallMap::new(),
            restamped: SmallMap::new(),
            overwritten: Vec::new(),
            displaced: Vec::new(),
            lost: Vec::new(),
            texts: None,
            desk: None,
        }
    }

    /// Carries out one step.
    ///
    /// # Errors
    /// `wrong-type` of an operator.
    pub(super) fn take(&mut self, step: &LeafStep<'_>) -> Result<(), CoreError> {
        if self.lost.iter().any(|lost| lost.covers(&step.path)) {
            return Ok(());
        }
        let waits = self.strategy(&step.path) == FieldStrategy::Manual;
        if let Some(desk) = &mut self.desk {
            match desk.join(&self.doc, step, waits)? {
                Joined::No => {}
                Joined::Done => return Ok(()),
                Joined::Lost => {
                    self.give_back(step);
                    return Ok(());
                }
            }
        }
        if let Write::Operator = step.write {
            return self.operate(step);
        }
        if document::blocked(&self.doc, &step.path) {
            if step.write != Write::Absent {
                self.lose(step);
            }
            return Ok(());
        }
        let stored = document::get(&self.doc, &step.path);
        if is_written(&step.write, stored) && !self.is_counted(step) {
            if let Known::Paths(paths, mine) = self.known
                && !(step.write == Write::Absent && self.remove_again(paths, mine, &step.path))
            {
                self.restamp(paths, mine, &step.path);
            }
            return Ok(());
        }
        if let (Write::Absent, Some(Value::Object(map)), Some(Value::Object(_))) = (&step.write, stored, step.was) {
            // What is left in it was written by others and stays.
            if map.is_empty() {
                self.put(&step.path, None, false);
            }
            return Ok(());
        }
        self.decide(step)
    }

    fn decide(&mut self, step: &LeafStep<'_>) -> Result<(), CoreError> {
        let stored = document::get(&self.doc, &step.path);
        let unseen = self.rev(&step.path) > self.base_rev;
        if unseen && let Some(sum) = self.count(step) {
            self.put(&step.path, Some(sum), false);
            return Ok(());
        }
        let concurrent = unseen && stored != step.was && !Bug::ConcurrencyUnseen.is_planted();
        if concurrent && self.combine(step) {
            return Ok(());
        }
        if concurrent && !self.wins(&step.path) {
            self.lose(step);
            return Ok(());
        }
        if concurrent {
            let yours = document::get(&self.doc, &step.path).cloned();
            let kept = value_of(&step.write);
            self.displace(&step.path, yours, kept);
        } else if let Known::Paths(paths, _) = self.known
            && self.was_removed_twice(paths, step)
        {
            self.displace(&step.path, None, value_of(&step.write));
        }
        let value = match &step.write {
            Write::Object(_) => Some(Value::Object(Map::new())),
            other => value_of(other),
        };
        self.put(&step.path, value, concurrent);
        Ok(())
    }

    /// Makes one value of two concurrent ones, where the strategy knows how. Where both changed the same part, one of
    /// them lost it and is told so.
    fn combine(&mut self, step: &LeafStep<'_>) -> bool {
        let Write::Leaf(mine) = &step.write else { return false };
        let Some(theirs) = document::get(&self.doc, &step.path).cloned() else { return false };
        let mine_wins = self.wins(&step.path);
        let combined = match self.strategy(&step.path) {
            FieldStrategy::Union => arrays::union(step.was, mine, &theirs),
            FieldStrategy::Merge => arrays::by_id(step.was, mine, &theirs, mine_wins),
            FieldStrategy::Text => self.texts.and_then(|merge| merge(step.was, mine, &theirs, mine_wins)),
            _ => None,
        };
        let Some(combined) = combined else { return false };
        self.put(&step.path, Some(combined.value.clone()), false);
        if combined.clash && mine_wins {
            self.displace(&step.path, Some(theirs), Some(combined.value));
        } else if combined.clash {
            self.lose(step);
        }
        true
    }

    /// `inc`, `add` and `remove` act on whatever stands there: they commute (rule 16).
    fn operate(&mut self, step: &LeafStep<'_>) -> Result<(), CoreError> {
        let Some(operator) = step.operator else { return Ok(()) };
        if document::blocked(&self.doc, &step.path) {
            return Err(
                CoreError::new(Code::WrongType, "a value on the way to this path is no object").at(step.path.as_str())
            );
        }
        let stored = document::get(&self.doc, &step.path);
        let after = operator.result(&step.path, stored)?;
        if after.as_ref() != stored {
            self.put(&step.path, after, false);
        }
        Ok(())
    }

    /// Whether a concurrent write of this path takes effect.
    fn wins(&self, path: &Path) -> bool {
        match self.strategy(path) {
            FieldStrategy::ClientWins => true,
            FieldStrategy::ServerWins => false,
            // It waits; its author is shown it meanwhile.
            FieldStrategy::Manual => matches!(self.known, Known::Rev(_)) || Bug::ManualApplies.is_planted(),
            // Objects were split into their leaves; what cannot be merged falls to the later stamp.
            _ => match self.known {
                Known::Rev(_) => true,
                Known::Paths(_, mine) => self
                    .unseen_rival(path)
                    .is_none_or(|theirs| (mine > theirs.written()) != Bug::EarlierWins.is_planted()),
            },
        }
    }

    /// The newest entry at the path or above it that the author had not seen. Those below do not count: a value and
    /// the fields of an object in its place are settled by what fits.
    fn unseen_rival(&self, path: &Path) -> Option<&PathRev> {
        let Known::Paths(paths, _) = self.known else { return None };
        paths::at_or_above(paths, path)
            .filter(|entry| entry.0 > self.base_rev)
            .max_by(|a, b| a.written().cmp(b.written()))
    }

    fn strategy(&self, path: &Path) -> FieldStrategy {
        let own = self.settings.fields.iter().filter(|(field, _)| field.covers(path));
        match (own.max_by_key(|(field, _)| field.depth()), self.settings.conflict) {
            (Some((_, strategy)), _) => *strategy,
            (None, Strategy::LastWriteWins) => FieldStrategy::LastWriteWins,
            (None, Strategy::Merge) => FieldStrategy::Merge,
            (None, Strategy::ClientWins) => FieldStrategy::ClientWins,
            (None, Strategy::ServerWins) => FieldStrategy::ServerWins,
            (None, Strategy::Manual) => FieldStrategy::Manual,
        }
    }

    fn is_counted(&self, step: &LeafStep<'_>) -> bool {
        self.rev(&step.path) > self.base_rev && self.count(step).is_some()
    }

    /// A set of a declared counter is its difference to what the author saw (rule 16), also where somebody else came
    /// to the same number: two people who both count from 3 to 4 have counted to 5.
    fn count(&self, step: &LeafStep<'_>) -> Option<Value> {
        let Write::Leaf(new) = &step.write else { return None };
        if self.strategy(&step.path) != FieldStrategy::Counter {
            return None;
        }
        let number = |value: Option<&Value>| value.map_or(Some(0.0), Value::as_f64);
        let stored = number(document::get(&self.doc, &step.path))?;
        Some(json::number_of(stored + (new.as_f64()? - number(step.was)?))).filter(|sum| !sum.is_null())
    }

    fn rev(&self, path: &Path) -> Rev {
        match self.known {
            Known::Paths(paths, _) => paths::rev(paths, path),
            Known::Rev(rev) => rev,
        }
    }

    fn put(&mut self, path: &Path, value: Option<Value>, concurrent: bool) {
        if let Some(value) = value {
            if document::get(&self.doc, path) == Some(&value) || !document::set(&mut self.doc, path, value) {
                return;
            }
        } else if document::remove(&mut self.doc, path).is_none() {
            return;
        }
        if let Known::Paths(paths, mine) = self.known {
            let floor = self.after_stored(paths, path, concurrent);
            let time = floor.map_or(mine.0, |floor| floor.max(mine.0));
            self.touched.insert(path.clone(), Stamp(time, mine.1.clone(), mine.2));
        }
    }

    /// What follows a value that its author had seen is later than it (rule 20). Between concurrent writes only the
    /// stamps speak.
    fn after_stored(&self, paths: &PathRevs, path: &Path, concurrent: bool) -> Option<Hlc> {
        let forced = self.strategy(path) == FieldStrategy::ClientWins;
        if forced || paths::rev(paths, path) <= self.base_rev {
            return paths::newest(paths, path).map(Hlc::next);
        }
        let own = paths.get(path).filter(|_| !concurrent);
        own.map(|entry| entry.1.0.next())
    }

    /// The same value was written again: it is as new as its newest writing, or the outcome would depend on the order.
    fn restamp(&mut self, paths: &PathRevs, mine: &Stamp, path: &Path) {
        if paths.get(path).is_some_and(|entry| entry.is_news(mine)) && !self.touched.contains_key(path) {
            self.restamped.insert(path.clone(), mine.clone());
        }
    }

    /// A removal of what is removed already is one of its own to whoever had not seen the other, and has a revision of
    /// its own: who then writes there has seen it, or has not. Returns whether it is that.
    fn remove_again(&mut self, paths: &PathRevs, mine: &Stamp, path: &Path) -> bool {
        let unseen = paths.get(path).filter(|entry| entry.0 > self.base_rev && entry.1.1 != mine.1);
        let Some(entry) = unseen.filter(|_| !self.touched.contains_key(path)) else { return false };
        self.touched.insert(path.clone(), mine.clone());
        self.restamped.insert(path.clone(), entry.written().clone());
        true
    }

    /// Whether the author of this value had seen one removal there, his own or another, and somebody else removed the
    /// same besides.
    fn was_removed_twice(&self, paths: &PathRevs, step: &LeafStep<'_>) -> bool {
        let is_gone = step.was.is_none() && document::get(&self.doc, &step.path).is_none();
        is_gone && paths.get(&step.path).is_some_and(|entry| entry.0 > self.base_rev && entry.2.is_some())
    }

    /// A value does not take effect: it waits, where the strategy has it wait, or is lost.
    fn lose(&mut self, step: &LeafStep<'_>) {
        let unseen = self.rev(&step.path) > self.base_rev;
        if unseen
            && self.strategy(&step.path) == FieldStrategy::Manual
            && let Some(desk) = &mut self.desk
        {
            desk.park(step);
            return;
        }
        self.give_back(step);
    }

    fn give_back(&mut self, step: &LeafStep<'_>) {
        if let Write::Object(_) = step.write {
            self.lost.push(step.path.clone());
        }
        let by = self.author(&step.path);
        self.overwritten.push(Overwritten {
            path: step.path.clone(),
            yours: value_of(&step.write),
            kept: document::get(&self.doc, &step.path).cloned(),
            by,
        });
    }

    /// A stored value lost to this mutation.
    fn displace(&mut self, path: &Path, yours: Option<Value>, kept: Option<Value>) {
        let by = match self.known {
            Known::Paths(_, mine) => Some(mine.1.clone()),
            Known::Rev(_) => None,
        };
        if !Bug::NothingDisplaced.is_planted() {
            self.displaced.push(Overwritten { path: path.clone(), yours, kept, by });
        }
    }

    fn author(&self, path: &Path) -> Option<ReplicaId> {
        match self.known {
            Known::Paths(paths, _) => paths::author(paths, path),
            Known::Rev(_) => None,
        }
    }
}

pub(super) fn value_of(write: &Write) -> Option<Value> {
    match write {
        Write::Leaf(value) | Write::Object(value) => Some(value.clone()),
        Write::Absent | Write::Operator => None,
    }
}

/// Whether the step's work is done already: the stored value is what it writes.
pub(super) fn is_written(write: &Write, stored: Option<&Value>) -> bool {
    match write {
        Write::Leaf(value) => stored == Some(value),
        Write::Object(_) => stored.is_some_and(|stored| stored.as_object().is_some()),
        Write::Absent => stored.is_none(),
        Write::Operator => false,
    }
}
