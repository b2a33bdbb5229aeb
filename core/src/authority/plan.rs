//! What a pull has to send: from the reader's cursor, the scope of today and the state of the tenant's log (rules 22
//! to 24).
//!
//! Pure: the store answers the three questions that it asks about marks.

use std::collections::BTreeSet;

use crate::ids::{CollectionName, Group, Owner, Seq};
use crate::model::schema::Settings;
use crate::planted::Bug;
use crate::protocol::message::{Cursor, PullHeader, Scope, VERSION};

/// What a tenant's log looks like in one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Top {
    /// The newest `seq`; 0 for a tenant without data.
    pub seq: Seq,
    /// Its mark; empty at 0.
    pub mark: String,
    /// Tombstones, leave markers and marks up to this `seq` are gone.
    pub horizon: Seq,
}

/// What to read for one reader, and from where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The cursor that the stream continues; `None` for a first sync or after a reset.
    pub after: Option<Cursor>,
    /// The reader's cursor was given and cannot be continued.
    pub reset: bool,
    /// What the reader may see and asked for.
    pub scope: Scope,
    /// Groups of the old scope that are gone.
    pub forget_groups: Vec<Group>,
    /// Collections of the old scope that are gone.
    pub forget_collections: Vec<CollectionName>,
    /// Collections that are sent whole though the reader has them (rule 25).
    pub reread: Vec<CollectionName>,
    gained_groups: BTreeSet<Group>,
    gained_collections: BTreeSet<CollectionName>,
}

impl Plan {
    /// Plans a pull. `known_mark` is asked for the mark of a `seq`.
    ///
    /// # Errors
    /// Those of `known_mark`.
    pub fn new<E>(
        cursor: Option<&Cursor>,
        scope: Scope,
        history: &str,
        top: &Top,
        known_mark: impl FnMut(Seq) -> Result<Option<String>, E>,
    ) -> Result<Self, E> {
        let Some(cursor) = cursor else { return Ok(Self::from_zero(scope, false)) };
        if cursor.history != history || cursor.scope.policy != scope.policy || !is_known(cursor, top, known_mark)? {
            return Ok(Self::from_zero(scope, true));
        }
        let old = &cursor.scope;
        let lost = old.groups.iter().filter(|g| !scope.groups.contains(g) && !Bug::LostNotForgotten.is_planted());
        Ok(Self {
            forget_groups: lost.cloned().collect(),
            forget_collections: old.collections.iter().filter(|c| !scope.collections.contains(c)).cloned().collect(),
            reread: Vec::new(),
            gained_groups: scope.groups.iter().filter(|g| !old.groups.contains(g)).cloned().collect(),
            gained_collections: scope.collections.iter().filter(|c| !old.collections.contains(c)).cloned().collect(),
            after: Some(cursor.clone()),
            reset: false,
            scope,
        })
    }

    fn from_zero(scope: Scope, reset: bool) -> Self {
        Self {
            after: None,
            reset,
            scope,
            forget_groups: Vec::new(),
            forget_collections: Vec::new(),
            reread: Vec::new(),
            gained_groups: BTreeSet::new(),
            gained_collections: BTreeSet::new(),
        }
    }

    /// The same plan, but that these collections come whole. Where everything does, they do anyway.
    #[must_use]
    pub fn rereading(mut self, collections: Vec<CollectionName>) -> Self {
        if self.after.is_some() {
            self.reread = collections.into_iter().filter(|name| self.scope.collections.contains(name)).collect();
            self.gained_collections.extend(self.reread.iter().cloned());
        }
        self
    }

    /// The first line of the answer. `total` counts the changes that will come; `settings` are those of the scope.
    #[must_use]
    pub fn header(&self, user: &Owner, now_ms: u64, total: u64, settings: Settings) -> PullHeader {
        PullHeader {
            v: VERSION,
            now: now_ms,
            user: user.clone(),
            after: self.after.clone(),
            reset: self.reset,
            forget_groups: self.forget_groups.clone(),
            forget_collections: self.forget_collections.clone(),
            reread: self.reread.clone(),
            applied: Vec::new(),
            total,
            settings,
        }
    }

    /// Where the reader stands: 0 at the start.
    pub fn start(&self) -> Seq {
        self.after.as_ref().map_or(0, |cursor| cursor.seq)
    }

    /// The reader has everything of this group and collection up to this `seq`.
    pub fn lower(&self, group: &Group, collection: &str) -> Seq {
        let gained = self.gained_groups.contains(group) || self.gained_collections.contains(collection);
        if gained && !Bug::GainedNotBackfilled.is_planted() { 0 } else { self.start() }
    }

    /// The lowest of the lower bounds of a group.
    pub fn lowest(&self, group: &Group) -> Seq {
        let gained = self.gained_groups.contains(group) || !self.gained_collections.is_empty();
        if gained { 0 } else { self.start() }
    }

    /// Whether the reader cannot hold an entity that it is told of at this `seq`, so that no deletion need be sent.
    pub fn is_fresh(&self, seq: Seq) -> bool {
        self.after.as_ref().is_none_or(|cursor| seq <= cursor.seq)
    }

    /// The mark of a checkpoint whose own mark is past the horizon: it stays good as long as the point is known that
    /// the stream as a whole relies on, which is its snapshot when it began from 0 and the reader's cursor in a
    /// backfill.
    pub fn anchored_mark(&self, top: &Top) -> String {
        match &self.after {
            None => format!("{}:{}", top.seq, top.mark),
            Some(cursor) if cursor.mark.contains(':') => cursor.mark.clone(),
            Some(cursor) => format!("{}:{}", cursor.seq, cursor.mark),
        }
    }
}

/// Whether the log still knows the point that a cursor names.
fn is_known<E>(
    cursor: &Cursor,
    top: &Top,
    mut known_mark: impl FnMut(Seq) -> Result<Option<String>, E>,
) -> Result<bool, E> {
    let (seq, mark) = match cursor.mark.split_once(':') {
        Some((seq, mark)) => (seq.parse().unwrap_or(u64::MAX), mark),
        None => (cursor.seq, cursor.mark.as_str()),
    };
    if seq > top.seq || cursor.seq > seq {
        return Ok(false);
    }
    if seq == 0 {
        return Ok(top.horizon == 0 && mark.is_empty());
    }
    Ok(Bug::CursorsTrusted.is_planted() || seq > top.horizon && known_mark(seq)?.as_deref() == Some(mark))
}
