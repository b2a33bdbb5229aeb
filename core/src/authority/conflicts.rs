//! The conflicts of one entity while one mutation of it is decided: what waits, what is settled, and who lost what
//! (rules 17 to 19).
//!
//! The invariants: the waiting values of one author in one entity never overlap; and whatever a decision takes out of
//! a document, or keeps out of it, is in a conflict of its author.

use crate::authority::{Rows, user_group};
use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, Owner, ReplicaId, Seq};
use crate::json::{self, Map, Value};
use crate::limits::{CONFLICT_BYTES_MAX, CONFLICTS_MAX, CONFLICTS_OPEN_MAX};
use crate::merge::{self, Outcome, Parked, Parking, PathRevs, Stored, Waiting};
use crate::model::conflict::{self, Conflict, State};
use crate::model::document;
use crate::model::mutation::Mutation;
use crate::model::path::Path;
use crate::model::verdict::Overwritten;

/// An entity's conflicts, the oldest first.
pub(super) struct Ledger<'a> {
    user: &'a Owner,
    replica: &'a ReplicaId,
    edit: &'a Mutation,
    now_ms: u64,
    /// The transaction waits as a whole, and so does what it would settle.
    all: bool,
    entries: Vec<Entry>,
    dropped: Vec<EntityId>,
}

struct Entry {
    /// `None`: it is new.
    id: Option<EntityId>,
    conflict: Conflict,
    changed: bool,
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
                entries.push(Entry { id: Some(id), conflict, changed: false });
            }
        }
        Ok(Self { user, replica, edit, now_ms, all, entries, dropped: Vec::new() })
    }

    /// What the edit meets.
    pub(super) fn parking(&self) -> Parking {
        let waiting = |at: usize| {
            let Conflict { path, base, yours, .. } = &self.entries.get(at)?.conflict;
            Some(Waiting { path: path.clone(), base: base.clone(), yours: yours.clone() })
        };
        Parking { open: self.met().into_iter().filter_map(waiting).collect(), all: self.all }
    }

    /// The author's open conflicts that the edit does not decide, by their places.
    fn met(&self) -> Vec<usize> {
        let decided =
            |entry: &Entry| !self.all && (entry.is_in(&self.edit.resolves) || entry.is_in(&self.edit.reopens));
        let met = |entry: &Entry| entry.is_open_of(self.user) && !decided(entry);
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
        if !self.all {
            self.reopen();
        }
        let seen = seen_by(self.edit);
        let stands = |path: &Path| if outcome.deleted { None } else { document::get(&outcome.doc, path) };
        for loss in &outcome.overwritten {
            if loss.yours.as_ref() != stands(&loss.path) {
                let base = document::get(&seen, &loss.path).cloned();
                self.lose(loss.clone(), base, self.user.subject.clone(), self.replica.clone());
            }
        }
        if let Some(stored) = stored {
            for (subject, replica, loss) in displaced(rows, stored, outcome, self.edit.base_rev)? {
                if loss.yours.as_ref() != stands(&loss.path) {
                    let base = document::get(&seen, &loss.path).cloned();
                    self.lose(loss, base, subject, replica);
                }
            }
        }
        let after = self.waiting();
        if after > before && after > CONFLICTS_OPEN_MAX {
            let message = format!("{CONFLICTS_OPEN_MAX} values of this entity wait for your decision: decide some");
            return Ok(Err(CoreError::new(Code::TooLarge, message)));
        }
        self.drop_oldest();
        Ok(Ok(()))
    }

    /// Whether nothing is to be stored.
    pub(super) fn is_unchanged(&self) -> bool {
        self.dropped.is_empty() && self.entries.iter().all(|entry| !entry.changed)
    }

    /// Stores what was noted. `index` numbers the conflicts of one `seq`.
    pub(super) fn store<R: Rows>(self, rows: &mut R, seq: Seq, index: &mut u32) -> Result<(), R::Error> {
        let collection = CollectionName::of_conflicts();
        let row = |deleted, doc| Stored {
            rev: seq,
            at: self.now_ms,
            by: self.replica.clone(),
            deleted,
            doc,
            paths: PathRevs::new(),
        };
        for entry in self.entries {
            let groups: Vec<_> = user_group(&entry.conflict.subject).into_iter().collect();
            match entry.id {
                Some(id) if self.dropped.contains(&id) => {
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

    fn waiting(&self) -> usize {
        self.entries.iter().filter(|entry| entry.is_open_of(self.user)).count()
    }

    fn resolve(&mut self) {
        for entry in &mut self.entries {
            if entry.is_of(self.user) && entry.is_in(&self.edit.resolves) && entry.conflict.state != State::Closed {
                entry.conflict.lost = entry.conflict.state == State::Lost;
                entry.move_to(State::Closed, self.now_ms);
            }
        }
    }

    /// What was closed waits again, or is lost again, unless something newer waits in its place.
    fn reopen(&mut self) {
        for at in 0..self.entries.len() {
            let open: Vec<Path> =
                self.entries.iter().filter(|entry| entry.is_open_of(self.user)).map(Entry::path).collect();
            let Some(entry) = self.entries.get_mut(at) else { return };
            let named = entry.is_of(self.user) && entry.is_in(&self.edit.reopens);
            if !named || entry.conflict.state != State::Closed {
                continue;
            }
            if entry.conflict.lost {
                entry.conflict.lost = false;
                entry.move_to(State::Lost, self.now_ms);
            } else if !open.iter().any(|path| path.overlaps(&entry.conflict.path)) {
                entry.move_to(State::Open, self.now_ms);
            }
        }
    }

    fn park(&mut self, parked: &Parked, met: &[usize]) {
        let joined: Vec<usize> = parked.joins.iter().filter_map(|join| met.get(*join).copied()).collect();
        for at in &joined {
            if let Some(entry) = self.entries.get_mut(*at) {
                entry.move_to(State::Closed, self.now_ms);
            }
        }
        if !parked.waits() {
            return;
        }
        // What comes back after its author decided has one round more (rule 18).
        let decided = |entry: &&Entry| entry.is_of(self.user) && entry.is_in(&self.edit.resolves);
        let again = self.entries.iter().filter(decided).filter(|entry| entry.conflict.path.overlaps(&parked.path));
        let rounds = again.map(|entry| entry.conflict.rounds + 1).max();
        let same = |entry: &Entry| decided(&entry) && entry.conflict.path == parked.path;
        let at = joined.first().copied().or_else(|| self.entries.iter().position(same));
        let loss = Overwritten {
            path: parked.path.clone(),
            yours: parked.yours.clone(),
            kept: parked.kept.clone(),
            by: parked.by.clone(),
        };
        let mut conflict =
            self.conflict(State::Open, loss, parked.base.clone(), self.user.subject.clone(), self.replica.clone());
        match at.and_then(|at| self.entries.get_mut(at)) {
            Some(entry) => {
                conflict.rounds = rounds.unwrap_or(entry.conflict.rounds);
                conflict.dropped = entry.conflict.dropped;
                entry.conflict = conflict;
                entry.changed = true;
            }
            None => {
                conflict.rounds = rounds.unwrap_or(0);
                self.entries.push(Entry { id: None, conflict, changed: true });
            }
        }
    }

    fn lose(&mut self, loss: Overwritten, base: Option<Value>, subject: String, replica: ReplicaId) {
        let conflict = self.conflict(State::Lost, loss, base, subject, replica);
        self.entries.push(Entry { id: None, conflict, changed: true });
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
        let mut at = 0;
        while (count > CONFLICTS_MAX || bytes > CONFLICT_BYTES_MAX) && at + 1 < self.entries.len() {
            let Some(entry) = self.entries.get(at).filter(|entry| entry.conflict.state != State::Open) else {
                at += 1;
                continue;
            };
            (count, bytes, total) = (count - 1, bytes - size(entry), total + 1);
            match entry.id.clone() {
                // It stays in the list, to be stored as gone.
                Some(id) => {
                    self.dropped.push(id);
                    at += 1;
                }
                None => {
                    self.entries.remove(at);
                }
            }
        }
        if let Some(newest) = self.entries.last_mut()
            && newest.conflict.dropped != total
        {
            newest.conflict.dropped = total;
            newest.changed = true;
        }
    }
}

impl Entry {
    fn is_of(&self, user: &Owner) -> bool {
        self.conflict.subject == user.subject
    }

    fn is_open_of(&self, user: &Owner) -> bool {
        self.conflict.state == State::Open && self.is_of(user)
    }

    fn is_in(&self, ids: &[EntityId]) -> bool {
        self.id.as_ref().is_some_and(|id| ids.contains(id))
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

/// The stored values that lost, each with its author: the fields of an object may have several.
fn displaced<R: Rows>(
    rows: &mut R,
    stored: &Stored,
    outcome: &Outcome,
    base_rev: Seq,
) -> Result<Vec<(String, ReplicaId, Overwritten)>, R::Error> {
    let mut out: Vec<(String, ReplicaId, Overwritten)> = Vec::new();
    for loss in &outcome.displaced {
        for (path, entry) in merge::writers(&stored.paths, &loss.path, base_rev) {
            let subject = rows.author(entry.0)?.unwrap_or_default();
            let told = out.iter().any(|(other, _, earlier)| *other == subject && earlier.path.covers(&path));
            if told {
                continue;
            }
            let yours = document::get(&stored.doc, &path).cloned();
            let kept = if outcome.deleted { None } else { document::get(&outcome.doc, &path).cloned() };
            out.push((subject, entry.1.1.clone(), Overwritten { path, yours, kept, by: loss.by.clone() }));
        }
    }
    Ok(out)
}
