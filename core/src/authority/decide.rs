//! One mutation, or one transaction, at a time.

use std::collections::{BTreeMap, BTreeSet};

use crate::authority::identity::resolve;
use crate::authority::item::{self, Content, Item};
use crate::authority::transaction::{cannot_wait, fail_all, refused_as_a_whole, stopped, taken_back, wait_at};
use crate::authority::{Policy, Rows, claims, claims_of, groups, stamps_of};
use crate::clock::Exchange;
use crate::error::{CoreError, Failure};
use crate::ids::{CollectionName, EntityId, Group, MutationId, Owner, ReplicaId, Seq};
use crate::merge::TextSteps;
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
pub(super) struct Unit {
    /// Its `seq`, from its first effect on.
    pub(super) seq: Option<Seq>,
    /// Conflicts that it wrote.
    pub(super) conflicts: u32,
    /// A member has to wait for its author, so all do (rule 11).
    pub(super) parks: bool,
    /// What members of it make: they may refer to each other.
    pub(super) makes: BTreeSet<(CollectionName, EntityId)>,
}

/// Decides the units of one push in their order.
pub(super) struct Decider<'a, P> {
    pub(super) policy: &'a P,
    pub(super) user: &'a Owner,
    pub(super) replica: &'a ReplicaId,
    pub(super) exchange: Exchange,
    pub(super) horizon: Seq,
    pub(super) readable: Vec<Group>,
    /// What the texts of this push may still cost.
    pub(super) texts: TextSteps,
    /// Entities with a held mutation or a rejected insert in this push: what follows waits with it (rule 10), and
    /// whether only for want of the entity.
    pub(super) waiting: BTreeMap<(CollectionName, EntityId), bool>,
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
            waiting: BTreeMap::new(),
        }
    }

    /// The verdicts of a single mutation or of all members of a transaction.
    pub(super) fn unit<R: Rows>(&mut self, rows: &mut R, unit: &[Item]) -> Result<Vec<VerdictItem>, R::Error> {
        // What this push wrote before may have changed what its author may see.
        self.readable = self.policy.reader_groups(self.user);
        let mut known = Vec::with_capacity(unit.len());
        for item in unit {
            let mut one = known_verdict(rows, self.replica.as_str(), item)?;
            if let Some(known) = &mut one {
                self.show_as_of_today(rows, item, &mut known.verdict)?;
            }
            known.push(one);
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
            Content::Edit { edit, .. } if self.policy.relations().is_none() => {
                self.edit(rows, item.n, edit, &mut Unit::default())
            }
            Content::Edit { edit, .. } => {
                // What follows from it is in other entities: all of it, or nothing.
                let mut decision = None;
                rows.atomically(&mut |rows| {
                    let made = self.tied(rows, item.n, edit, &mut Unit::default())?;
                    Ok(matches!(decision.insert(made), Decision::Done(_)))
                })?;
                Ok(decision.unwrap_or_else(|| Decision::Refused(taken_back())))
            }
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
            let mut unit = Unit { parks, makes: made_by(members), ..Unit::default() };
            for member in members {
                let Content::Edit { edit, .. } = &member.content else { return Ok(false) };
                let decision = if self.policy.relations().is_none() {
                    self.edit(rows, member.n, edit, &mut unit)?
                } else {
                    self.tied(rows, member.n, edit, &mut unit)?
                };
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
                if matches!(&item.content, Content::Edit { edit, .. } if edit.kind == Kind::Insert) {
                    self.wait_for(item, false);
                }
                {
                    let Failure { code, message, path } = error.into_parts();
                    let path = path.and_then(|path| Path::parse(&path).ok());
                    Verdict::Rejected { code, message: message.into_owned(), path }
                }
            }
            Decision::Held(reason) => {
                self.wait_for(item, reason == HeldReason::Missing);
                return Ok(VerdictItem { n: item.n, duplicate: false, verdict: Verdict::Held { reason } });
            }
        };
        if !matches!(item.content, Content::Clash) {
            if !Bug::VerdictNotKept.is_planted() {
                rows.put_verdict(self.replica.as_str(), item.n, item.digest(), &verdict)?;
            }
            // Should it arrive under its former name, too.
            if let Some((former, digest)) = item.former.as_ref().filter(|_| !Bug::ClaimsNotKept.is_planted()) {
                put_claim(rows, former, *digest, &verdict)?;
            }
            put_stamps(rows, self.replica.as_str(), item, &verdict)?;
        }
        Ok(VerdictItem { n: item.n, duplicate: false, verdict })
    }

    fn wait_for(&mut self, item: &Item, is_missing: bool) {
        if let Content::Edit { edit, .. } = &item.content {
            let only = self.waiting.entry((edit.collection.clone(), edit.id.clone())).or_insert(is_missing);
            *only &= is_missing;
        }
    }

    /// An insert is what the others may wait for; and who deletes what is not there does not wait for his edits of it,
    /// or his next insert of it would meet them.
    pub(super) fn must_wait(&self, edit: &Mutation) -> bool {
        match self.waiting.get(&edit.target()) {
            Some(true) => edit.kind == Kind::Patch,
            Some(false) => edit.kind != Kind::Insert,
            None => false,
        }
    }

    /// A verdict of before, as its author may see it today: he may have lost sight of the entity since (rule 27).
    pub(super) fn show_as_of_today<R: Rows>(
        &self,
        rows: &mut R,
        item: &Item,
        verdict: &mut Verdict,
    ) -> Result<(), R::Error> {
        if !groups::tells_of_others(verdict) || Bug::OldAnswersShown.is_planted() {
            return Ok(());
        }
        let Content::Edit { edit, .. } = &item.content else {
            // What it was about is not said.
            groups::without_others(verdict);
            return Ok(());
        };
        let is_tied = !self.policy.relations().is_none();
        let id = if is_tied { resolve(rows, &edit.collection, &edit.id)? } else { edit.id.clone() };
        // Where a remap led is what was written, and its id may lead elsewhere by now.
        for id in [verdict.remap().map(|(_, to)| to), Some(id)].into_iter().flatten() {
            // Of what is gone past the horizon nobody knows any more who could see it: the verdict stays what it was.
            if let Some(stored) = rows.entity(&edit.collection, &id)? {
                if !groups::is_visible(&self.readable, &self.policy.groups(&edit.collection, &id, &stored.doc)) {
                    groups::without_others(verdict);
                }
                self.policy.mask(self.user, &edit.collection, &id, &stored.doc).verdict(verdict);
            }
        }
        Ok(())
    }
}

/// What the members of a transaction make.
fn made_by(members: &[Item]) -> BTreeSet<(CollectionName, EntityId)> {
    let made = |member: &Item| match &member.content {
        Content::Edit { edit, .. } if edit.kind == Kind::Insert => Some(edit.target()),
        _ => None,
    };
    members.iter().filter_map(made).collect()
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
    if let Some(verdict) = known_by_stamp(rows, replica, item)? {
        return Ok(Some(verdict));
    }
    let mut known = vec![(claim(rows, replica, item.n, digest)?, digest)];
    if let Some((Former { replica, n }, digest)) = item.former.as_ref().filter(|_| !Bug::FormerNotKnown.is_planted()) {
        known.push((rows.verdict(replica.as_str(), *n)?, *digest));
        known.push((claim(rows, replica.as_str(), *n, *digest)?, *digest));
    }
    let is_it = |known: Option<u64>, digest: u64, verdict: &Verdict| {
        known == Some(digest) || *verdict == Verdict::Void && item.is_what(known, verdict)
    };
    let mut found = known.into_iter().filter_map(|(known, digest)| known.map(|(of, verdict)| (of, digest, verdict)));
    Ok(found.find(|(of, digest, verdict)| is_it(*of, *digest, verdict)).map(|(_, _, verdict)| verdict))
}

/// What was decided of a replica's number under a later name: of this content, if of more than one.
fn claim<R: Rows>(
    rows: &mut R,
    replica: &str,
    n: MutationId,
    digest: u64,
) -> Result<Option<(Option<u64>, Verdict)>, R::Error> {
    let first = rows.verdict(&claims(replica), n)?;
    if first.as_ref().is_none_or(|(known, _)| *known == Some(digest)) {
        return Ok(first);
    }
    Ok(rows.verdict(&claims_of(replica, digest), n)?.or(first))
}

/// Copies of one store may each have written something under the same number: none takes the place of another.
fn put_claim<R: Rows>(rows: &mut R, former: &Former, digest: u64, verdict: &Verdict) -> Result<(), R::Error> {
    let Former { replica, n } = former;
    let first = rows.verdict(&claims(replica.as_str()), *n)?;
    let is_free = first.is_none_or(|(known, _)| known == Some(digest));
    let of = if is_free { claims(replica.as_str()) } else { claims_of(replica.as_str(), digest) };
    rows.put_verdict(&of, *n, Some(digest), verdict)
}

/// The names under which an edit may be known: its own, and the one that it had.
fn names<'a>(replica: &'a str, item: &'a Item) -> impl Iterator<Item = (&'a str, MutationId)> {
    let former = item.former.iter().map(|(Former { replica, n }, _)| (replica.as_str(), *n));
    former.chain([(replica, item.n)])
}

/// A tab that had not heard that an edit was joined with earlier ones writes it again alone, should its store be lost,
/// and these as well: they count once, whichever comes first (`model::former`).
fn put_stamps<R: Rows>(rows: &mut R, replica: &str, item: &Item, verdict: &Verdict) -> Result<(), R::Error> {
    let Some((stamp, joined)) = item.stamp() else { return Ok(()) };
    for (replica, n) in names(replica, item) {
        rows.put_verdict(&stamps_of(replica, stamp, joined), n, Some(stamp), verdict)?;
    }
    Ok(())
}

/// What was decided of an edit joined with earlier ones, of which this is the last alone, or the other way around.
fn known_by_stamp<R: Rows>(rows: &mut R, replica: &str, item: &Item) -> Result<Option<Verdict>, R::Error> {
    let Some((stamp, joined)) = item.stamp() else { return Ok(None) };
    for (replica, n) in names(replica, item) {
        if let Some((_, verdict)) = rows.verdict(&stamps_of(replica, stamp, !joined), n)? {
            return Ok(Some(verdict));
        }
    }
    Ok(None)
}
