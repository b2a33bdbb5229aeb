//! What one mutation comes to: its effect on its entity, on the conflicts there, and its verdict.

use crate::authority::cascade::{Fall, stopped_deletion};
use crate::authority::conflicts::Ledger;
use crate::authority::decide::{Decider, Decision, Unit};
use crate::authority::transaction::cannot_wait;
use crate::authority::upcast::saw;
use crate::authority::{Policy, Rows, Stored, groups};
use crate::clock::Stamp;
use crate::error::{Code, CoreError};
use crate::ids::{Group, MutationId, Rev, Seq};
use crate::json::{self, Value};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::merge::{self, Outcome, Refusal};
use crate::model::mutation::{Kind, Mutation};
use crate::model::path::Path;
use crate::planted::Bug;
use crate::protocol::message::{HeldReason, Verdict};

impl<P: Policy> Decider<'_, P> {
    /// What one mutation comes to.
    pub(super) fn edit<R: Rows>(
        &self,
        rows: &mut R,
        n: MutationId,
        edit: &Mutation,
        unit: &mut Unit,
    ) -> Result<Decision, R::Error> {
        let settings = self.policy.collection(&edit.collection).filter(|_| !edit.collection.is_conflicts());
        let Some(settings) = settings else {
            return Ok(refuse(
                Code::UnknownCollection,
                "the server has no such collection: add it to its configuration",
            ));
        };
        let stored = rows.entity(&edit.collection, &edit.id)?;
        // In a transaction with more edits of the entity, too.
        let made_here = unit.seq.is_some() && stored.as_ref().map(|stored| stored.rev) == unit.seq;
        if !made_here && self.must_wait(edit) {
            return Ok(Decision::Held(HeldReason::After));
        }
        if let Some(stored) = &stored
            && let Err(error) = self.policy.check_access(self.user, &edit.collection, &edit.id, &stored.doc)
        {
            return Ok(Decision::Refused(error));
        }
        let mask = stored.as_ref().map(|stored| self.policy.mask(self.user, &edit.collection, &edit.id, &stored.doc));
        let mask = mask.unwrap_or_default();
        if let Err(error) = mask.check(edit.paths()) {
            return Ok(Decision::Refused(error));
        }
        let blind = (edit.kind == Kind::Delete && !mask.is_empty()).then(|| mask.unguessed(edit));
        let edit = blind.as_ref().unwrap_or(edit);
        let unseen = stored.as_ref().filter(|stored| !saw(edit, &stored.doc) && !Bug::BroughtSeen.is_planted());
        let unseen = unseen.map(|_| Mutation { base_rev: 0, ..edit.clone() });
        let edit = unseen.as_ref().unwrap_or(edit);
        let base = stored.as_ref().and_then(|stored| merge::stamp_at(&stored.paths, edit.base_rev));
        let time = self.exchange.server_time(edit.at, edit.synced_clock, base);
        let stamp = Stamp(time, self.replica.clone(), n);
        let ledger = Ledger::read(rows, self.user, self.replica, edit, self.exchange.server_now, unit.parks)?;
        let mut outcome = match merge::merge(stored.as_ref(), edit, &stamp, settings, &ledger.parking(), &self.texts) {
            Ok(outcome) => outcome,
            Err(Refusal::Missing) => return Ok(Decision::Held(HeldReason::Missing)),
            Err(Refusal::Never(error)) => return Ok(Decision::Refused(error)),
        };
        let fall = match self.check(rows, edit, (stored.as_ref(), &stamp), &mut outcome, unit)? {
            Ok(fall) => fall,
            Err(decision) => return Ok(decision),
        };
        outcome.overwritten.retain(|lost| !mask.hides(&lost.path));
        self.write(rows, edit, (stored, outcome), (&stamp, ledger, fall), unit)
    }

    /// Why an outcome may not be; else what follows from it, which may change it.
    fn check<R: Rows>(
        &self,
        rows: &mut R,
        edit: &Mutation,
        (stored, stamp): (Option<&Stored>, &Stamp),
        outcome: &mut Outcome,
        unit: &Unit,
    ) -> Result<Result<Fall, Decision>, R::Error> {
        if let Some(decision) = self.check_references(rows, edit, (stored, stamp), outcome, unit)? {
            return Ok(Err(decision));
        }
        if let Some(error) = self.objection(edit, stored, outcome) {
            return Ok(Err(Decision::Refused(error)));
        }
        if !outcome.deleted
            && let Some(error) = self.check_keys(rows, edit, stored, &outcome.doc)?
        {
            return Ok(Err(Decision::Refused(error)));
        }
        if unit.parks && outcome.changed {
            return Ok(Err(Decision::Refused(cannot_wait())));
        }
        let Some(stored) = stored.filter(|_| outcome.deleted && outcome.changed) else {
            return Ok(Ok(Fall::default()));
        };
        let fall = match self.fall(rows, &edit.target(), seen_by(edit))? {
            Ok(fall) => fall,
            Err(error) => return Ok(Err(Decision::Refused(error))),
        };
        if fall.is_stopped {
            *outcome = stopped_deletion(stored);
            return Ok(Ok(Fall::default()));
        }
        Ok(Ok(fall))
    }

    /// Stores an outcome and what follows from it.
    fn write<R: Rows>(
        &self,
        rows: &mut R,
        edit: &Mutation,
        (stored, mut outcome): (Option<Stored>, Outcome),
        (stamp, mut ledger, fall): (&Stamp, Ledger<'_>, Fall),
        unit: &mut Unit,
    ) -> Result<Decision, R::Error> {
        if let Err(error) = ledger.settle(rows, stored.as_ref(), &outcome)? {
            return Ok(Decision::Refused(error));
        }
        let rev = match &stored {
            Some(stored) if !outcome.changed && ledger.is_unchanged() => stored.rev,
            _ => match unit.seq {
                Some(seq) if !Bug::SeqForEach.is_planted() => seq,
                _ => *unit.seq.insert(rows.next_seq()?),
            },
        };
        let undecided = ledger.undecided();
        ledger.store(rows, rev, &mut unit.conflicts)?;
        let mut groups = self.policy.groups(&edit.collection, &edit.id, &outcome.doc);
        if outcome.deleted && Bug::TombstoneWithoutGroups.is_planted() {
            groups.clear();
        }
        if !outcome.restamped.is_empty() {
            // Whom to tell when the value loses.
            rows.raise_floor(MutationId::default())?;
        }
        let verdict = self.verdict(edit, &mut outcome, rev, &groups, undecided);
        if outcome.is_worth_storing() {
            let mut after = outcome.take_stored(stored, rev, self.replica);
            after.forget_removed(self.horizon);
            rows.put(&edit.collection, &edit.id, &after, &groups)?;
        }
        self.let_fall(rows, fall, seen_by(edit), (stamp, rev), unit)?;
        Ok(Decision::Done(verdict))
    }

    /// Why a write that would have an effect may not have it.
    fn objection(&self, edit: &Mutation, stored: Option<&Stored>, outcome: &Outcome) -> Option<CoreError> {
        let before = stored.map(|stored| &stored.doc);
        let after: Option<&Value> = (edit.kind != Kind::Delete).then_some(&outcome.doc);
        if let Err(error) = self.policy.check_write(self.user, &edit.collection, &edit.id, before, after) {
            return Some(error);
        }
        if stored.is_some_and(|stored| stored.deleted)
            && let Some(doc) = after.filter(|_| !outcome.deleted)
            && let Err(error) = self.policy.check_revival(self.user, &edit.collection, &edit.id, doc)
        {
            return Some(error);
        }
        if edit.if_rev.is_some_and(|rev| rev != stored.map_or(0, |stored| stored.rev)) {
            return Some(CoreError::new(
                Code::StaleRev,
                "the entity changed since that revision: read it and decide anew",
            ));
        }
        if outcome.changed && json::length_over(&outcome.doc, DOCUMENT_BYTES_MAX).is_some() {
            let message = format!("the document would be over {DOCUMENT_BYTES_MAX} bytes");
            return Some(CoreError::new(Code::TooLarge, message));
        }
        None
    }

    /// What the author may see of the values that met his (rule 27).
    fn verdict(
        &self,
        edit: &Mutation,
        outcome: &mut Outcome,
        rev: Seq,
        groups: &[Group],
        undecided: Vec<Path>,
    ) -> Verdict {
        let mut parked: Vec<Path> =
            outcome.parked.iter().filter(|parked| parked.waits()).map(|parked| parked.path.clone()).collect();
        for path in undecided {
            if !parked.contains(&path) {
                parked.push(path);
            }
        }
        if parked.is_empty() && !outcome.is_merged() {
            return Verdict::Applied { rev };
        }
        let overwritten = std::mem::take(&mut outcome.overwritten);
        let displaced = std::mem::take(&mut outcome.displaced);
        let mut verdict = if parked.is_empty() {
            Verdict::Merged { rev, overwritten, displaced, remap: None }
        } else {
            Verdict::Conflict { rev, parked, overwritten, displaced, remap: None }
        };
        if !groups::is_visible(&self.readable, groups) {
            groups::without_others(&mut verdict);
        }
        self.policy.mask(self.user, &edit.collection, &edit.id, &outcome.doc).verdict(&mut verdict);
        verdict
    }
}

/// Up to where its author had seen everything.
fn seen_by(edit: &Mutation) -> Rev {
    edit.seen.unwrap_or(edit.base_rev)
}

fn refuse(code: Code, message: &'static str) -> Decision {
    Decision::Refused(CoreError::new(code, message))
}
