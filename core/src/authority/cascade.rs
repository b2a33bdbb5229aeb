//! What a deletion takes along, and what becomes of an edit whose reference leads nowhere (rule 31).
//!
//! The invariants: after each transaction every reference of a live entity names a live one, or is `null`; and all that
//! follows from a deletion has its `seq`. A cascade acts with the system's rights under the right to delete the parent:
//! nobody is told of entities that he may not see.

use std::collections::{BTreeMap, BTreeSet};

use crate::authority::conflicts::Ledger;
use crate::authority::decide::{Decider, Decision, Unit};
use crate::authority::relations::OnDelete;
use crate::authority::{Policy, Rows, Stored, groups};
use crate::clock::{Hlc, Stamp};
use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, Rev, Seq};
use crate::json::Value;
use crate::limits::CASCADE_ENTITIES_MAX;
use crate::merge::{self, Outcome, Parking, TextSteps};
use crate::model::document;
use crate::model::mutation::{Kind, Mutation};
use crate::model::path::Path;
use crate::model::schema::{CollectionSettings, DeleteConflict, Strategy};
use crate::model::verdict::{HeldReason, Overwritten};
use crate::planted::Bug;

type Key = (CollectionName, EntityId);

/// What follows from a deletion.
#[derive(Default)]
pub(super) struct Fall {
    /// Deleted as well.
    deleted: Vec<(Key, Stored)>,
    /// These references of theirs become `null`.
    nulled: BTreeMap<Key, (Stored, Vec<Path>)>,
    /// An update that the deletion's author had not seen keeps one of them, and with it all.
    pub(super) is_stopped: bool,
}

impl<P: Policy> Decider<'_, P> {
    /// Whether what an edit makes of the entity refers to what is there. Where it does not: why it waits or is refused.
    /// A reference to what was deleted may become `null` here.
    pub(super) fn check_references<R: Rows>(
        &self,
        rows: &mut R,
        edit: &Mutation,
        (stored, stamp): (Option<&Stored>, &Stamp),
        outcome: &mut Outcome,
        unit: &Unit,
    ) -> Result<Option<Decision>, R::Error> {
        if outcome.deleted {
            return Ok(None);
        }
        let before = stored.filter(|stored| !stored.deleted).map(|stored| &stored.doc);
        for reference in self.policy.relations().from(&edit.collection) {
            let path = &reference.path;
            let Some(value) = document::get(&outcome.doc, path).filter(|value| !value.is_null()) else { continue };
            if before.is_some_and(|before| document::get(before, path) == Some(value)) {
                continue;
            }
            let Some(id) = value.as_str().and_then(|id| EntityId::parse(id).ok()) else {
                let error = CoreError::new(Code::Invalid, "a reference is the id of an entity, or null");
                return Ok(Some(Decision::Refused(error.at(path.as_str()))));
            };
            let key = (reference.to.clone(), id);
            if key == edit.target() || unit.makes.contains(&key) {
                continue;
            }
            let parent = rows
                .entity(&key.0, &key.1)?
                .filter(|parent| groups::is_visible(&self.readable, &self.policy.groups(&key.0, &key.1, &parent.doc)));
            let Some(parent) = parent.filter(|_| !self.waiting.contains_key(&key)) else {
                if Bug::ParentNotAwaited.is_planted() {
                    continue;
                }
                let reason = if self.waiting.contains_key(&key) { HeldReason::After } else { HeldReason::Missing };
                return Ok(Some(Decision::Held(reason)));
            };
            if !parent.deleted || Bug::GoneParentTaken.is_planted() {
                continue;
            }
            if reference.on_delete != OnDelete::SetNull {
                let message = "what this field refers to was deleted: choose another";
                let error = CoreError::new(Code::ParentGone, message);
                return Ok(Some(Decision::Refused(error.at(path.as_str()))));
            }
            let (path, yours) = (path.clone(), Some(Value::from(key.1.as_str())));
            document::set(&mut outcome.doc, &path, Value::Null);
            outcome.touched.insert(path.clone(), stamp.clone());
            outcome.overwritten.push(Overwritten { path, yours, kept: Some(Value::Null), by: Some(parent.by) });
        }
        Ok(None)
    }

    /// What follows from a deletion, whose author had seen everything up to `seen`; or why it may not be.
    pub(super) fn fall<R: Rows>(
        &self,
        rows: &mut R,
        from: &Key,
        seen: Rev,
    ) -> Result<Result<Fall, CoreError>, R::Error> {
        let relations = self.policy.relations();
        let (mut fall, mut held) = (Fall::default(), Vec::new());
        let mut gone = BTreeSet::from([from.clone()]);
        let mut next = vec![from.clone()];
        while let Some((collection, id)) = next.pop() {
            for reference in relations.to(&collection) {
                for (child, stored) in rows.referring(&reference.from, &reference.path, &id)? {
                    let key = (reference.from.clone(), child);
                    match reference.on_delete {
                        OnDelete::Restrict => held.push(key),
                        OnDelete::SetNull => {
                            let entry = fall.nulled.entry(key).or_insert_with(|| (stored, Vec::new()));
                            entry.1.push(reference.path.clone());
                        }
                        OnDelete::Cascade if gone.insert(key.clone()) => {
                            fall.is_stopped |= self.keeps(&key, &stored, seen);
                            if !Bug::CascadeOneDeep.is_planted() {
                                next.push(key.clone());
                            }
                            fall.deleted.push((key, stored));
                        }
                        OnDelete::Cascade => {}
                    }
                }
            }
            if fall.deleted.len() + fall.nulled.len() > CASCADE_ENTITIES_MAX {
                let message = format!("more than {CASCADE_ENTITIES_MAX} entities hang on this one: delete some first");
                return Ok(Err(CoreError::new(Code::TooLarge, message)));
            }
        }
        fall.nulled.retain(|key, _| !gone.contains(key));
        if held.iter().any(|key| !gone.contains(key)) && !Bug::RestrictIgnored.is_planted() {
            // Not which: its author may not see them.
            let message = "other entities refer to this one: delete them first, or let them refer to another";
            return Ok(Err(CoreError::new(Code::Restricted, message)));
        }
        Ok(Ok(fall))
    }

    /// Whether an entity was changed since, and an update wins over a deletion there.
    fn keeps(&self, (collection, _): &Key, stored: &Stored, seen: Rev) -> bool {
        let update_wins = |settings: &CollectionSettings| settings.on_delete_conflict == DeleteConflict::UpdateWins;
        self.policy.collection(collection).is_some_and(update_wins)
            && stored.paths.values().any(|entry| entry.0 > seen && entry.1.1 != *self.replica)
    }

    /// Carries out what follows from a deletion, in its transaction.
    pub(super) fn let_fall<R: Rows>(
        &self,
        rows: &mut R,
        fall: Fall,
        seen: Rev,
        (stamp, rev): (&Stamp, Seq),
        unit: &mut Unit,
    ) -> Result<(), R::Error> {
        for (key, stored) in fall.deleted {
            let edit = self.of_system(key, Kind::Delete, seen, &stored, stamp);
            self.act(rows, &edit, stored, (stamp, rev), unit)?;
        }
        for (key, (stored, paths)) in fall.nulled.into_iter().filter(|_| !Bug::DanglingLeft.is_planted()) {
            let mut edit = self.of_system(key, Kind::Patch, seen, &stored, stamp);
            edit.set = paths.into_iter().map(|path| (path, Value::Null)).collect();
            self.act(rows, &edit, stored, (stamp, rev), unit)?;
        }
        Ok(())
    }

    /// An edit of the system's, made by who had seen everything up to `seen` and all that he wrote himself. What others
    /// wrote since is concurrent: they are told.
    fn of_system(&self, (collection, id): Key, kind: Kind, seen: Rev, stored: &Stored, stamp: &Stamp) -> Mutation {
        let mut edit = Mutation::empty(collection, id, stamp.0);
        (edit.kind, edit.base_rev) = (kind, seen);
        let own = stored.paths.iter().filter(|(_, entry)| entry.1.1 == *self.replica && entry.2.is_none());
        for (path, _) in own {
            if let Some(value) = document::get(&stored.doc, path) {
                edit.was.insert(path.clone(), value.clone());
            }
        }
        edit
    }

    /// The effect of an edit of the system's: it wins, whatever the collection's settings and whatever waits there.
    pub(super) fn act<R: Rows>(
        &self,
        rows: &mut R,
        edit: &Mutation,
        stored: Stored,
        (stamp, rev): (&Stamp, Seq),
        unit: &mut Unit,
    ) -> Result<(), R::Error> {
        let settings = CollectionSettings { conflict: Strategy::ClientWins, ..CollectionSettings::default() };
        let (parking, texts) = (Parking::default(), TextSteps::default());
        let Ok(mut outcome) = merge::merge(Some(&stored), edit, stamp, &settings, &parking, &texts) else {
            return Ok(());
        };
        if Bug::CascadeUntold.is_planted() {
            outcome.displaced.clear();
        }
        let rev = if Bug::CascadeApart.is_planted() { rows.next_seq()? } else { rev };
        let mut ledger = Ledger::read(rows, self.user, self.replica, edit, self.exchange.server_now, false)?;
        // Nothing waits after it that did not wait before.
        let _never = ledger.settle(rows, Some(&stored), &outcome)?;
        ledger.store(rows, rev, &mut unit.conflicts)?;
        if outcome.is_worth_storing() {
            let groups = self.policy.groups(&edit.collection, &edit.id, &outcome.doc);
            let mut after = outcome.take_stored(Some(stored), rev, self.replica);
            after.forget_removed(self.horizon);
            rows.put(&edit.collection, &edit.id, &after, &groups)?;
        }
        Ok(())
    }
}

/// A deletion that an unseen update of something that hangs on the entity keeps from taking effect: it loses as it
/// would to an update of the entity itself. Of the other entity nothing is told.
pub(super) fn stopped_deletion(stored: &Stored) -> Outcome {
    let leaves = document::leaves(None, &stored.doc).unwrap_or_default();
    let lost = |(path, value): (Path, &Value)| {
        let by = stored.paths.get(&path).map(|entry| entry.1.1.clone());
        Overwritten { path, yours: None, kept: Some(value.clone()), by }
    };
    Outcome {
        doc: stored.doc.clone(),
        deleted: false,
        changed: false,
        touched: Default::default(),
        restamped: Default::default(),
        overwritten: leaves.into_iter().map(lost).collect(),
        displaced: Vec::new(),
        parked: Vec::new(),
        at: Hlc(stored.at, 0),
    }
}
