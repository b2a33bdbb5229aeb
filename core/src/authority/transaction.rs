//! What is said of a transaction as a whole: all of it, or nothing (rule 11).

use crate::authority::decide::Decision;
use crate::authority::item::{self, Content, Item};
use crate::error::{Code, CoreError};
use crate::ids::Seq;
use crate::limits::{TRANSACTION_BYTES_MAX, TRANSACTION_MUTATIONS_MAX};
use crate::model::verdict::Verdict;

/// What waits are values of fields; that an entity is made or deleted cannot.
pub(super) fn cannot_wait() -> CoreError {
    let message = "a field of this transaction met a concurrent write that you have to decide, and a transaction that \
                   makes or deletes an entity cannot wait for it: read the field, then write anew";
    CoreError::new(Code::TransactionFailed, message)
}

/// A member that was decided together with others that wait has their verdict, and their `seq` (rule 11).
pub(super) fn wait_at(decision: &mut Decision, seq: Option<Seq>) {
    let Decision::Done(verdict) = decision else { return };
    let (rev, parked, overwritten, displaced, remap) = match std::mem::replace(verdict, Verdict::Void) {
        Verdict::Conflict { rev, parked, overwritten, displaced, remap } => {
            (rev, parked, overwritten, displaced, remap)
        }
        Verdict::Merged { rev, overwritten, displaced, remap } => (rev, Vec::new(), overwritten, displaced, remap),
        Verdict::Applied { rev } => (rev, Vec::new(), Vec::new(), Vec::new(), None),
        other => {
            *verdict = other;
            return;
        }
    };
    *verdict = Verdict::Conflict { rev: seq.unwrap_or(rev), parked, overwritten, displaced, remap };
}

/// What stops a transaction before anything of it is tried, and at which member.
pub(super) fn refused_as_a_whole(members: &[Item], partly_decided: bool) -> Option<(usize, CoreError)> {
    let bad = |message: &'static str| Some((0, CoreError::new(Code::BadMutation, message)));
    if members.first().is_none_or(|first| first.tx != Some(first.n)) {
        return bad("the first member of this transaction is missing");
    }
    if partly_decided {
        return bad("a member of this transaction was decided without it");
    }
    if members.len() > TRANSACTION_MUTATIONS_MAX {
        let message = format!("a transaction has at most {TRANSACTION_MUTATIONS_MAX} mutations");
        return Some((0, CoreError::new(Code::TooLarge, message)));
    }
    let mut total = 0;
    for (at, member) in members.iter().enumerate() {
        match &member.content {
            Content::Edit { bytes, .. } => total += bytes,
            Content::Bad { error, .. } => return Some((at, error.clone())),
            Content::Clash => return Some((at, item::clash())),
            Content::Void(_) => {
                return Some((at, CoreError::new(Code::BadMutation, "a member of this transaction is void")));
            }
        }
    }
    let message = || format!("a transaction has at most {TRANSACTION_BYTES_MAX} bytes");
    (total > TRANSACTION_BYTES_MAX).then(|| (0, CoreError::new(Code::TooLarge, message())))
}

/// What all members come to when the last one that was tried stopped the transaction.
pub(super) fn stopped(members: &[Item], mut decisions: Vec<Decision>) -> Vec<Decision> {
    let at = decisions.len().saturating_sub(1);
    match decisions.pop() {
        Some(Decision::Refused(error)) => fail_all(members, at, &error),
        Some(Decision::Held(reason)) => members.iter().map(|_| Decision::Held(reason)).collect(),
        Some(Decision::Done(_)) | None => fail_all(members, at, &taken_back()),
    }
}

/// The member at fault keeps its reason; the others point to it.
pub(super) fn fail_all(members: &[Item], at: usize, error: &CoreError) -> Vec<Decision> {
    let culprit = members.get(at).map(|member| member.n).unwrap_or_default();
    let others = || {
        let message = format!("mutation {culprit} of the same transaction was rejected: {}", error.code.as_str());
        CoreError::new(Code::TransactionFailed, message)
    };
    let one = |(i, _)| Decision::Refused(if i == at { error.clone() } else { others() });
    members.iter().enumerate().map(one).collect()
}

pub(super) fn taken_back() -> CoreError {
    CoreError::new(Code::Internal, "the transaction was taken back: send it again")
}
