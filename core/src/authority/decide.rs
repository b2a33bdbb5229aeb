//! One mutation, or one transaction, at a time.

use std::collections::BTreeSet;

use crate::authority::conflicts::Ledger;
use crate::authority::item::{self, Content, Item};
use crate::authority::transaction::{cannot_wait, fail_all, refused_as_a_whole, stopped, wait_at};
use crate::authority::{Policy, Rows, Stored, claims};
use crate::clock::{Exchange, Stamp};
use crate::error::{Code, CoreError, Failure};
use crate::ids::{CollectionName, EntityId, Group, MutationId, Owner, ReplicaId, Seq};
use crate::json::{self, Value};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::merge::{self, Outcome, Refusal, TextSteps};
use crate::model::former::Former;
use crate::model::mutation::{Kind, Mutation};
use crate::model::path::Path;
use crate::planted::Bug;
use crate::protocol::message::{HeldReason, Verdict, VerdictItem};

/// What one attempt came to.
pub(super) enum Decision {
    Done(Verdict),
    Held(HeldReason),
    Refused(CoreError),
}

/// What the mutations of one unit share.
#[derive(Default)]
struct Unit {
    /// Its `seq`, from its first effect on.
    seq: Option<Seq>,
    /// Conflicts that it wrote.
    conflicts: u32,
    /// A member has to wait for its author, so all do (rule 11).
    parks: bool,
}

/// Decides the units of one push in their order.
pub(super) struct Decider<'a, P> {
    policy: &'a P,
    user: &'a Owner,
    replica: &'a ReplicaId,
    exchange: Exchange,
    horizon: Seq,
    readable: Vec<Group>,
    /// What the texts of this push may still cost.
    texts: TextSteps,
    /// Entities with a held mutation or a rejected insert in this push: what follows waits with it (rule 10).
    waiting: BTreeSet<(CollectionName, EntityId)>,
}

impl<'a, P: Policy> Decider<'a, P> {
    pub(super) fn new(
        policy: &'a P,
        user: &'a Owner,
        replica: &'a ReplicaId,
        exchange: Exchange,
        horizon: Seq,
    ) -> Self {
        let readable = policy.reader_groups(user);
        Self {
            policy,
            user,
            replica,
            exchange,
            horizon,
            readable,
            texts: TextSteps::default(),
            waiting: BTreeSet::new(),
        }
    }

    /// The verdicts of a single mutation or of all members of a transaction.
    pub(super) fn unit<R: Rows>(&mut self, rows: &mut R, unit: &[Item]) -> Result<Vec<VerdictItem>, R::Error> {
        let mut known = Vec::with_capacity(unit.len());
        for item in unit {
            known.push(known_verdict(rows, self.replica.as_str(), item)?);
        }
        if known.iter().all(Option::is_some) {
            return Ok(known.into_iter().flatten().collect());
        }
        let decisions = match unit {
            [item] if item.tx.is_none() => vec![self.single(rows, item)?],
            members => self.transaction(rows, members, known.iter().any(Option::is_some))?,
        };
        let mut out = Vec::with_capacity(unit.len());
        for ((item, known), decision) in unit.iter().zip(known).zip(decisions) {
            out.push(match known {
                Some(known) => known,
                None => self.conclude(rows, item, decision)?,
            });
        }
        Ok(out)
    }

    fn single<R: Rows>(&mut self, rows: &mut R, item: &Item) -> Result<Decision, R::Error> {
        match &item.content {
            Content::Void(_) => Ok(Decision::Done(Verdict::Void)),
            Content::Clash => Ok(Decision::Refused(item::clash())),
            Content::Bad { error, .. } => Ok(Decision::Refused(error.clone())),
            Content::Edit { edit, .. } => self.edit(rows, item.n, edit, &mut Unit::default()),
        }
    }

    /// One verdict for all (rule 11) and one `seq` (rule 22).
    fn transaction<R: Rows>(
        &mut self,
        rows: &mut R,
        members: &[Item],
        partly_decided: bool,
    ) -> Result<Vec<Decision>, R::Error> {
        if members.iter().all(|member| matches!(member.content, Content::Void(_))) {
            return Ok(members.iter().map(|_| Decision::Done(Verdict::Void)).collect());
        }
        if let Some((at, error)) = refused_as_a_whole(members, partly_decided) {
            return Ok(fail_all(members, at, &error));
        }
        let (done, decisions) = self.attempt(rows, members, false)?;
        if done {
            return Ok(decisions);
        }
        if let Some(Decision::Done(Verdict::Conflict { parked, .. })) = decisions.last() {
            let (at, parked) = (decisions.len() - 1, parked.clone());
            return self.wait_as_one(rows, members, at, &parked);
        }
        Ok(stopped(members, decisions))
    }

    /// Parks every write of all members, one of which has to wait for its author.
    fn wait_as_one<R: Rows>(
        &mut self,
        rows: &mut R,
        members: &[Item],
        at: usize,
        parked: &[Path],
    ) -> Result<Vec<Decision>, R::Error> {
        let only_patches = members
            .iter()
            .all(|member| matches!(&member.content, Content::Edit { edit, .. } if edit.kind == Kind::Patch));
        if !only_patches {
            let path = parked.first().map_or("", Path::as_str);
            return Ok(fail_all(members, at, &cannot_wait().at(path)));
        }
        let (done, decisions) = self.attempt(rows, members, true)?;
        if done {
            return Ok(decisions);
        }
        Ok(stopped(members, decisions))
    }

    /// Tries all members. If one fails, or has to wait where not all do, nothing of it stays and it is the last of the
    /// decisions.
    fn attempt<R: Rows>(
        &mut self,
        rows: &mut R,
        members: &[Item],
        parks: bool,
    ) -> Result<(bool, Vec<Decision>), R::Error> {
        let mut decisions = Vec::with_capacity(members.len());
        let done = rows.atomically(&mut |rows| {
            decisions.clear();
            let mut unit = Unit { parks, ..Unit::default() };
            for member in members {
                let Content::Edit { edit, .. } = &member.content else { return Ok(false) };
                let decision = self.edit(rows, member.n, edit, &mut unit)?;
                let goes_on = match &decision {
                    Decision::Done(Verdict::Conflict { .. }) => parks,
                    Decision::Done(_) => true,
                    Decision::Held(_) | Decision::Refused(_) => false,
                };
                decisions.push(decision);
                if !goes_on {
                    return Ok(Bug::TransactionInParts.is_planted());
                }
            }
            if parks {
                decisions.iter_mut().for_each(|decision| wait_at(decision, unit.seq));
            }
            Ok(true)
        })?;
        Ok((done, decisions))
    }

    /// Remembers what is final; a held mutation is not stored and makes its entity wait.
    fn conclude<R: Rows>(&mut self, rows: &mut R, item: &Item, decision: Decision) -> Result<VerdictItem, R::Error> {
        let verdict = match decision {
            Decision::Done(verdict) => verdict,
            Decision::Refused(error) => {
                // What follows was written for this entity, not for whatever has its id.
                self.wait_for(item, |edit| edit.kind == Kind::Insert);
                {
                    let Failure { code, message, path } = error.into_parts();
                    let path = path.and_then(|path| Path::parse(&path).ok());
                    Verdict::Rejected { code, message: message.into_owned(), path }
                }
            }
            Decision::Held(reason) => {
                self.wait_for(item, |_| true);
                return Ok(VerdictItem { n: item.n, duplicate: false, verdict: Verdict::Held { reason } });
            }
        };
        if !matches!(item.content, Content::Clash) {
            if !Bug::VerdictNotKept.is_planted() {
                rows.put_verdict(self.replica.as_str(), item.n, item.digest(), &verdict)?;
            }
            // Should it arrive under its former name, too.
            if let Some((former, digest)) = item.former.as_ref().filter(|_| !Bug::ClaimsNotKept.is_planted()) {
                rows.put_verdict(&claims(former.replica.as_str()), former.n, Some(*digest), &verdict)?;
            }
        }
        Ok(VerdictItem { n: item.n, duplicate: false, verdict })
    }

    fn wait_for(&mut self, item: &Item, which: impl Fn(&Mutation) -> bool) {
        if let Content::Edit { edit, .. } = &item.content
            && which(edit)
        {
            self.waiting.insert((edit.collection.clone(), edit.id.clone()));
        }
    }

    fn is_waiting(&self, edit: &Mutation) -> bool {
        self.waiting.contains(&(edit.collection.clone(), edit.id.clone()))
    }

    fn edit<R: Rows>(
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
        // An insert is what the others may wait for, in a transaction with more edits of the entity, too.
        let made_here = unit.seq.is_some() && stored.as_ref().map(|stored| stored.rev) == unit.seq;
        if edit.kind != Kind::Insert && !made_here && self.is_waiting(edit) {
            return Ok(Decision::Held(HeldReason::After));
        }
        if let Some(stored) = &stored
            && let Err(error) = self.policy.check_access(self.user, &edit.collection, &edit.id, &stored.doc)
        {
            return Ok(Decision::Refused(error));
        }
        let base = stored.as_ref().and_then(|stored| merge::stamp_at(&stored.paths, edit.base_rev));
        let time = self.exchange.server_time(edit.at, edit.synced_clock, base);
        let stamp = Stamp(time, self.replica.clone(), n);
        let mut ledger = Ledger::read(rows, self.user, self.replica, edit, self.exchange.server_now, unit.parks)?;
        let mut outcome = match merge::merge(stored.as_ref(), edit, &stamp, settings, &ledger.parking(), &self.texts) {
            Ok(outcome) => outcome,
            Err(Refusal::Missing) => return Ok(Decision::Held(HeldReason::Missing)),
            Err(Refusal::Never(error)) => return Ok(Decision::Refused(error)),
        };
        if let Some(error) = self.objection(edit, stored.as_ref(), &outcome) {
            return Ok(Decision::Refused(error));
        }
        if unit.parks && outcome.changed {
            return Ok(Decision::Refused(cannot_wait()));
        }
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
        let groups = self.policy.groups(&edit.collection, &edit.id, &outcome.doc);
        if !outcome.restamped.is_empty() {
            // Whom to tell when the value loses.
            rows.raise_floor(MutationId::default())?;
        }
        if outcome.is_worth_storing() {
            let mut after = outcome.take_stored(stored, rev, self.replica);
            after.forget_removed(self.horizon);
            rows.put(&edit.collection, &edit.id, &after, &groups)?;
        }
        Ok(Decision::Done(self.verdict(outcome, rev, &groups, undecided)))
    }

    /// Why a write that would have an effect may not have it.
    fn objection(&self, edit: &Mutation, stored: Option<&Stored>, outcome: &Outcome) -> Option<CoreError> {
        let before = stored.map(|stored| &stored.doc);
        let after: Option<&Value> = (edit.kind != Kind::Delete).then_some(&outcome.doc);
        if let Err(error) = self.policy.check_write(self.user, &edit.collection, &edit.id, before, after) {
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
    fn verdict(&self, outcome: Outcome, rev: Seq, groups: &[Group], undecided: Vec<Path>) -> Verdict {
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
        let Outcome { mut overwritten, mut displaced, .. } = outcome;
        if !groups.iter().any(|group| self.readable.contains(group)) && !Bug::LosersTold.is_planted() {
            displaced.clear();
            for lost in &mut overwritten {
                lost.kept = None;
                lost.by = None;
            }
        }
        if parked.is_empty() {
            return Verdict::Merged { rev, overwritten, displaced };
        }
        Verdict::Conflict { rev, parked, overwritten, displaced }
    }
}

/// The verdict of a number that was decided before (rule 6). Content under a number that was voided is void (rule 8).
fn known_verdict<R: Rows>(rows: &mut R, replica: &str, item: &Item) -> Result<Option<VerdictItem>, R::Error> {
    if let Content::Clash = item.content {
        return Ok(None);
    }
    if Bug::NoDedupe.is_planted() {
        return Ok(None);
    }
    if let Some((digest, verdict)) = rows.verdict(replica, item.n)? {
        let verdict = if Bug::NewVerdictForOld.is_planted() { Verdict::Applied { rev: rows.seq()? } } else { verdict };
        return Ok(Some(VerdictItem { n: item.n, duplicate: digest == item.digest(), verdict }));
    }
    let Some(verdict) = known_otherwise(rows, replica, item)? else { return Ok(None) };
    rows.put_verdict(replica, item.n, item.digest(), &verdict)?;
    Ok(Some(VerdictItem { n: item.n, duplicate: true, verdict }))
}

/// What was decided of the same content under its former name or, where it comes under that, under a later one.
fn known_otherwise<R: Rows>(rows: &mut R, replica: &str, item: &Item) -> Result<Option<Verdict>, R::Error> {
    let Some(digest) = item.digest() else { return Ok(None) };
    let mut names = vec![(claims(replica), item.n, digest)];
    if let Some((Former { replica, n }, digest)) = item.former.as_ref().filter(|_| !Bug::FormerNotKnown.is_planted()) {
        names.push((replica.to_string(), *n, *digest));
        names.push((claims(replica.as_str()), *n, *digest));
    }
    for (replica, n, digest) in names {
        if let Some((known, verdict)) = rows.verdict(&replica, n)?
            && (known == Some(digest) || verdict == Verdict::Void && item.is_what(known, &verdict))
        {
            return Ok(Some(verdict));
        }
    }
    Ok(None)
}

fn refuse(code: Code, message: &'static str) -> Decision {
    Decision::Refused(CoreError::new(code, message))
}
