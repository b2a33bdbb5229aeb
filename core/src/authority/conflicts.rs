//! The conflicts of one entity while one mutation of it is decided: what waits, what is settled, and who lost what
//! (rules 17 to 19).
//!
//! The invariants: the waiting values of one author in one entity never overlap; and whatever a decision takes out of
//! a document, or keeps out of it, is in a conflict of its author.

use crate::authority::displaced::displaced;
use crate::authority::{Rows, user_group};
use crate::error::CoreError;
use crate::ids::{CollectionName, EntityId, Owner, ReplicaId, Seq};
use crate::json::{self, Map, Value};
use crate::limits::{CONFLICT_BYTES_MAX, CONFLICTS_MAX, CONFLICTS_OPEN_MAX, DOCUMENT_BYTES_MAX};
use crate::merge::{self, Outcome, Parked, Parking, PathRevs, Stored, Waiting};
use crate::model::conflict::{self, Conflict, State};
use crate::model::document;
use crate::model::mutation::{Kind, Mutation};
use crate::model::path::Path;
use crate::model::verdict::Overwritten;
use crate::planted::Bug;

/// An entity's conflicts, the oldest first.
pub(super) struct Ledger<'a> {
    user: &'a Owner,
    replica: &'a ReplicaId,
    edit: &'a Mutation,
    now_ms: u64,
    /// The transaction waits as a whole, and so does what it would decide.
    all: bool,
    entries: Vec<Entry>,
}

struct Entry {
    /// `None`: it is new.
    id: Option<EntityId>,
    conflict: Conflict,
    changed: bool,
    /// The edit names it, and it is the author's own.
    resolved: bool,
    reopened: bool,
    /// Not kept any longer.
    dropped: bool,
}

impl<'a> Ledger<'a> {
    pub(super) fn read<R: Rows>(
        rows: &mut R,
        user: &'a Owner,
        replica: &'a ReplicaId,
        edit: &'a Mutation,
        now_ms: u64,
        all: bool,
    ) -> Result<Self, R::Error> {
        let prefix = conflict::prefix(edit.collection.as_str(), edit.id.as_str());
        let mut entries = Vec::new();
        for (id, stored) in rows.beginning_with(&CollectionName::of_conflicts(), &prefix)? {
            // Another entity may have the same prefix.
            if let Ok(conflict) = Conflict::read(&stored.doc)
                && conflict.c == edit.collection
                && conflict.e == edit.id
            {
                let own = conflict.subject == user.subject;
                entries.push(Entry {
                    changed: false,
                    resolved: own && edit.resolves.contains(&id),
                    reopened: own && edit.reopens.contains(&id),
                    dropped: false,
                    id: Some(id),
                    conflict,
                });
            }
        }
        Ok(Self { user, replica, edit, now_ms, all, entries })
    }

    /// What the edit meets.
    pub(super) fn parking(&self) -> Parking {
        let waiting = |at: usize| {
            let Conflict { path, base, yours, .. } = &self.entries.get(at)?.conflict;
            Some(Waiting { path: path.clone(), base: base.clone(), yours: yours.clone() })
        };
        let is_closed = |entry: &Entry| entry.is_of(self.user) && entry.conflict.state == State::Closed;
        let is_closed = |entry: &Entry| is_closed(entry) && !entry.conflict.lost && !entry.resolved && !entry.reopened;
        let closed = self.entries.iter().enumerate().filter(|(_, entry)| is_closed(entry)).map(|(at, _)| at);
        Parking {
            open: self.met().into_iter().filter_map(waiting).collect(),
            closed: closed.filter_map(waiting).collect(),
            all: self.all,
        }
    }

    /// The author's open conflicts that the edit does not decide, by their places.
    fn met(&self) -> Vec<usize> {
        let met = |entry: &Entry| entry.is_open_of(self.user) && (self.all || !entry.resolved && !entry.reopened);
        self.entries.iter().enumerate().filter(|(_, entry)| met(entry)).map(|(at, _)| at).collect()
    }

    /// Notes what the outcome comes to. Nothing is stored yet.
    ///
    /// # Errors
    /// The store's; inside, `too-large`: more would wait than is kept.
    pub(super) fn settle<R: Rows>(
        &mut self,
        rows: &mut R,
        stored: Option<&Stored>,
        outcome: &Outcome,
    ) -> Result<Result<(), CoreError>, R::Error> {
        let met = self.met();
        let before = self.waiting();
        if !self.all {
            self.resolve();
        }
        if outcome.deleted && outcome.changed {
            for entry in self.entries.iter_mut().filter(|entry| entry.conflict.state == State::Open) {
                entry.move_to(State::Closed, self.now_ms);
            }
        }
        for parked in &outcome.parked {
            self.park(parked, &met);
        }
        self.reopen();
        let seen = seen_by(self.edit);
        let stands = |path: &Path| if outcome.deleted { None } else { document::get(&outcome.doc, path) };
        for loss in outcome.overwritten.iter().filter(|_| !Bug::OverwrittenNotTold.is_planted()) {
            // A deletion is lost to the removal of a field, too.
            if loss.yours.as_ref() != stands(&loss.path) || self.edit.kind == Kind::Delete {
                let base = document::get(&seen, &loss.path).cloned();
                self.lose(loss.clone(), base, self.user.subject.clone(), self.replica.clone());
            }
        }
        if let Some(stored) = stored {
            for (subject, replica, loss) in displaced(rows, (stored, outcome), (self.edit, &seen), self.replica)? {
                if loss.yours.as_ref() != stands(&loss.path) {
                    let base = document::get(&seen, &loss.path).cloned();
                    self.lose(loss, base, subject, replica);
                }
            }
            let bereft = self.bereft(rows, stored, outcome)?.filter(|_| !Bug::RevivedNotTold.is_planted());
            if let Some((subject, replica)) = bereft {
                for path in self.edit.paths() {
                    let (path, by) = (path.clone(), Some(self.replica.clone()));
                    let (base, kept) = (document::get(&seen, &path).cloned(), stands(&path).cloned());
                    let loss = Overwritten { path, yours: None, kept, by };
                    self.lose(loss, base, subject.clone(), replica.clone());
                }
            }
        }
        if self.waiting() > before.max(CONFLICTS_OPEN_MAX) || self.waits_too_large(outcome) {
            return Ok(Err(merge::too_many_wait()));
        }
        self.drop_oldest();
        Ok(Ok(()))
    }

    /// Whose deletion is lost to an edit that brings the entity back and whose author had not seen it. Who updates may
    /// have deleted in another tab of the same device; who inserts has seen what his device deleted, but not that
    /// somebody had done so before.
    fn bereft<R: Rows>(
        &self,
        rows: &mut R,
        stored: &Stored,
        outcome: &Outcome,
    ) -> Result<Option<(String, ReplicaId)>, R::Error> {
        let is_back = stored.deleted && !outcome.deleted && outcome.changed && self.edit.base_rev < stored.rev;
        if !is_back {
            return Ok(None);
        }
        if self.edit.kind == Kind::Insert && stored.by == *self.replica {
            let Some(first) = &stored.also else { return Ok(None) };
            return Ok(rows.user_of(first)?.map(|subject| (subject, first.clone())));
        }
        Ok(Some((rows.author(stored.rev)?.unwrap_or_default(), stored.by.clone())))
    }

    /// The author's conflicts that the edit decides, but which wait as its transaction does.
    pub(super) fn undecided(&self) -> Vec<Path> {
        let undecided = |entry: &&Entry| self.all && entry.resolved && entry.is_open_of(self.user);
        self.entries.iter().filter(undecided).map(Entry::path).collect()
    }

    /// Whether nothing is to be stored.
    pub(super) fn is_unchanged(&self) -> bool {
        self.entries.iter().all(|entry| !entry.changed)
    }

    /// Stores what was noted. `index` numbers the conflicts of one `seq`.
    pub(super) fn store<R: Rows>(self, rows: &mut R, seq: Seq, index: &mut u32) -> Result<(), R::Error> {
        let collection = CollectionName::of_conflicts();
        let row = |deleted, doc| Stored {
            rev: seq,
            at: self.now_ms,
            by: self.replica.clone(),
            deleted,
            also: None,
            doc,
            paths: PathRevs::new(),
        };
        for entry in self.entries {
            let groups: Vec<_> = user_group(&entry.conflict.subject).into_iter().collect();
            match entry.id {
                Some(id) if entry.dropped => {
                    rows.put(&collection, &id, &row(true, Value::Object(Map::new())), &groups)?;
                }
                Some(id) if entry.changed => {
                    rows.put(&collection, &id, &row(false, json::to_value(&entry.conflict)), &groups)?;
                }
                Some(_) => {}
                None => {
                    let prefix = conflict::prefix(self.edit.collection.as_str(), self.edit.id.as_str());
                    let Ok(id) = EntityId::parse(&format!("{prefix}{seq:016x}-{index:08x}")) else { continue };
                    *index += 1;
                    rows.put(&collection, &id, &row(false, json::to_value(&entry.conflict)), &groups)?;
                }
            }
        }
        Ok(())
    }

    /// What waits for one author is no more than a document may hold.
    fn waits_too_large(&self, outcome: &Outcome) -> bool {
        let open = self.entries.iter().filter(|entry| entry.is_open_of(self.user));
        let yours = open.filter_map(|entry| entry.conflict.yours.as_ref());
        !outcome.parked.is_empty() && yours.map(|value| json::write(value).len()).sum::<usize>() > DOCUMENT_BYTES_MAX
    }

    fn waiting(&self) -> usize {
        self.entries.iter().filter(|entry| entry.is_open_of(self.user)).count()
    }

    fn resolve(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| entry.resolved && entry.conflict.state != State::Closed) {
            entry.conflict.lost = entry.conflict.state == State::Lost;
            entry.move_to(State::Closed, self.now_ms);
        }
    }

    /// What was closed waits again, or is lost again, unless something newer waits in its place. Of a transaction that
    /// waits, too: nothing but the document is kept from changing.
    fn reopen(&mut self) {
        let mut open: Vec<Path> = Vec::new();
        open.extend(self.entries.iter().filter(|entry| entry.is_open_of(self.user)).map(Entry::path));
        for entry in self.entries.iter_mut().filter(|entry| entry.reopened && entry.conflict.state == State::Closed) {
            let is_taken = open.iter().any(|path| path.overlaps(&entry.conflict.path));
            if entry.conflict.lost && !(is_taken && self.all) {
                entry.conflict.lost = false;
                entry.move_to(State::Lost, self.now_ms);
            } else if !entry.conflict.lost && !is_taken {
                entry.move_to(State::Open, self.now_ms);
                open.push(entry.path());
            }
        }
    }

    fn park(&mut self, parked: &Parked, met: &[usize]) {
        let place = |join: usize| met.get(join).copied();
        let joined = parked.joins.and_then(place).filter(|_| !Bug::ParkedTwice.is_planted());
        for loss in &parked.replaced {
            let loss = Overwritten { by: Some(self.replica.clone()), ..loss.clone() };
            let replica = joined.and_then(|at| self.entries.get(at)).map(|entry| &entry.conflict.replica);
            let replica = replica.unwrap_or(self.replica).clone();
            self.lose(loss, None, self.user.subject.clone(), replica);
        }
        // What comes back after its author decided has one round more (rule 18). It is a conflict of its own: he may
        // have decided without having seen what another device of his left in the first.
        let decided = |entry: &&Entry| entry.resolved && entry.conflict.path.overlaps(&parked.path);
        let again = self.entries.iter().filter(decided).map(|entry| entry.conflict.rounds + 1).max();
        let mut rounds = again.unwrap_or(0);
        for (join, seen) in &parked.absorbs {
            if let Some(entry) = place(*join).and_then(|at| self.entries.get_mut(at)) {
                rounds = rounds.max(entry.conflict.rounds);
                entry.move_to(if *seen { State::Closed } else { State::Lost }, self.now_ms);
            }
        }
        if !parked.waits() {
            if let Some(entry) = joined.and_then(|at| self.entries.get_mut(at)) {
                entry.move_to(State::Closed, self.now_ms);
            }
            return;
        }
        let Parked { path, base, yours, kept, by, .. } = parked.clone();
        let loss = Overwritten { path, yours, kept, by };
        let mut conflict = self.conflict(State::Open, loss, base, self.user.subject.clone(), self.replica.clone());
        conflict.rounds = rounds;
        match joined.and_then(|at| self.entries.get_mut(at)) {
            Some(entry) => {
                conflict.rounds = rounds.max(entry.conflict.rounds);
                conflict.dropped = entry.conflict.dropped;
                entry.conflict = conflict;
                entry.changed = true;
            }
            None => self.entries.push(Entry::new(conflict)),
        }
    }

    fn lose(&mut self, loss: Overwritten, base: Option<Value>, subject: String, replica: ReplicaId) {
        let conflict = self.conflict(State::Lost, loss, base, subject, replica);
        self.entries.push(Entry::new(conflict));
    }

    fn conflict(
        &self,
        state: State,
        loss: Overwritten,
        base: Option<Value>,
        subject: String,
        replica: ReplicaId,
    ) -> Conflict {
        let Overwritten { path, yours, kept, by } = loss;
        let (c, e) = (self.edit.collection.clone(), self.edit.id.clone());
        let at = self.now_ms;
        Conflict { c, e, path, state, base, yours, kept, by, subject, replica, at, rounds: 0, dropped: 0, lost: false }
    }

    /// Keeps within the bounds of one entity: the oldest that nobody has to decide go, and the newest says how many.
    fn drop_oldest(&mut self) {
        if self.is_unchanged() {
            return;
        }
        let size = |entry: &Entry| json::to_text(&entry.conflict).len();
        let (mut count, mut bytes) = (self.entries.len(), self.entries.iter().map(size).sum::<usize>());
        let mut total = self.entries.iter().map(|entry| entry.conflict.dropped).max().unwrap_or(0);
        let Some((newest, older)) = self.entries.split_last_mut() else { return };
        for entry in older.iter_mut().filter(|entry| entry.conflict.state != State::Open) {
            if count <= CONFLICTS_MAX && bytes <= CONFLICT_BYTES_MAX {
                break;
            }
            (count, bytes, total) = (count - 1, bytes - size(entry), total + 1);
            entry.dropped = true;
        }
        if newest.conflict.dropped != total {
            newest.conflict.dropped = total;
            newest.changed = true;
        }
        // What was stored stays in the list, to be stored as gone.
        self.entries.retain(|entry| entry.id.is_some() || !entry.dropped);
    }
}

impl Entry {
    fn new(conflict: Conflict) -> Self {
        Self { id: None, conflict, changed: true, resolved: false, reopened: false, dropped: false }
    }

    fn is_of(&self, user: &Owner) -> bool {
        self.conflict.subject == user.subject
    }

    fn is_open_of(&self, user: &Owner) -> bool {
        self.conflict.state == State::Open && self.is_of(user)
    }

    fn path(&self) -> Path {
        self.conflict.path.clone()
    }

    fn move_to(&mut self, state: State, now_ms: u64) {
        self.conflict.state = state;
        self.conflict.at = now_ms;
        self.changed = true;
    }
}

/// What the author of an edit saw, as far as the edit says.
fn seen_by(edit: &Mutation) -> Value {
    let mut seen = Value::Object(Map::new());
    for (path, value) in edit.was.iter() {
        document::set(&mut seen, path, value.clone());
    }
    seen
}
