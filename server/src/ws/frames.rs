//! What one socket has to be told: the changes since its position, read in one snapshot. Several commits become one
//! frame.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use tidewire_core::authority::plan::{Plan, Top};
use tidewire_core::ids::{CollectionName, EntityId, ReplicaId};
use tidewire_core::limits::LIVE_FRAME_BYTES_MAX;
use tidewire_core::model::change::{Change, Delta};
use tidewire_core::protocol::message::{Cursor, Scope, ServerMessage};

use crate::policy::{Principal, ServerPolicy, Standing, Viewer};
use crate::store::sqlite::{Snapshot, Versions};
use crate::store::{Store, StoreError};
use tidewire_core::json;

/// A mark that no commit has: the frames of a socket that asked for some ids only do not add up to a cursor.
const PARTIAL_MARK: &str = "partial";

/// Whom a socket speaks to, and how far it was told.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) who: Who,
    scope: Scope,
    pub(super) ids: Option<BTreeSet<EntityId>>,
    /// Of these, what is different from the last time will do.
    pub(super) deltas: Vec<CollectionName>,
    /// What entities were before.
    pub(super) versions: Option<Arc<Mutex<Versions>>>,
    /// Everything up to here was looked at.
    position: Cursor,
    /// The cursor that the client was told last: the next frame's `after`.
    told: Cursor,
}

/// What decides what somebody is told.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub(super) principal: Principal,
    pub(super) replica: ReplicaId,
    pub(super) collections: Vec<CollectionName>,
    pub(super) policy: Arc<ServerPolicy>,
}

impl Who {
    /// What he is in in this snapshot: memberships are read with what they let see (rule 27).
    fn standing(&self, snapshot: &Snapshot<'_>) -> Result<Standing, StoreError> {
        snapshot.standing(&self.policy, &self.principal)
    }

    fn scope(&self, standing: &Standing) -> Scope {
        self.policy.scope(standing, &self.collections)
    }

    fn viewer<'a>(&'a self, standing: &'a Standing) -> Viewer<'a> {
        Viewer { policy: &self.policy, principal: &self.principal, standing }
    }

    fn tenant(&self) -> &str {
        &self.principal.owner.tenant
    }
}

impl Reader {
    /// A reader that begins now.
    pub(super) async fn start(store: &Store, who: Who, ids: Option<Vec<EntityId>>) -> Result<Self, StoreError> {
        let ids: Option<BTreeSet<EntityId>> = ids.map(|ids| ids.into_iter().collect());
        store
            .read_async(move |snapshot| {
                let scope = who.scope(&who.standing(snapshot)?);
                let position = cursor(snapshot, &scope, snapshot.top(who.tenant())?);
                let told = told(&position, ids.is_some());
                Ok(Self { who, scope, ids, deltas: Vec::new(), versions: None, position, told })
            })
            .await
    }

    /// The cursor that the next frame continues.
    pub(super) fn told(&self) -> &Cursor {
        &self.told
    }

    /// Looks at what was committed since. Returns the message about it, as text, if the client is to hear of it.
    pub(super) async fn look(&mut self, store: &Store) -> Result<Option<String>, StoreError> {
        let reader = self.clone();
        let (message, reader) = store.read_async(move |snapshot| reader.read(snapshot)).await?;
        *self = reader;
        Ok(message)
    }

    fn read(mut self, snapshot: &Snapshot<'_>) -> Result<(Option<String>, Self), StoreError> {
        let tenant = self.who.tenant().to_owned();
        let top = snapshot.top(&tenant)?;
        let standing = self.who.standing(snapshot)?;
        let scope = self.who.scope(&standing);
        if scope != self.scope {
            // What is lost and what is gained comes with a pull; until then nothing of either.
            self.position = cursor(snapshot, &scope, top);
            self.told = told(&self.position, self.ids.is_some());
            self.scope = scope;
            return Ok((Some(pull_text()), self));
        }
        let known = |seq| snapshot.mark(&tenant, seq);
        let plan = Plan::new(Some(&self.position), self.scope.clone(), snapshot.history(), &top, known)?;
        let from = std::mem::replace(&mut self.position, cursor(snapshot, &self.scope, top));
        if from == self.position {
            return Ok((None, self));
        }
        let cursor = told(&self.position, self.ids.is_some());
        let message = match self.changes(snapshot, &standing, &plan, from.seq)? {
            Some(changes) => {
                let is_own = snapshot.committed_by(&tenant, from.seq, &self.who.replica)?;
                if changes.is_empty() && !is_own {
                    return Ok((None, self));
                }
                let applied = match is_own {
                    true => snapshot.applied_since(&self.who.principal.owner, &self.who.replica, from.seq)?,
                    false => Vec::new(),
                };
                ServerMessage::Frame { after: self.told.clone(), cursor: cursor.clone(), applied, changes }
            }
            None => ServerMessage::Pull,
        };
        self.told = cursor;
        let text = json::to_text(&message);
        let text = if text.len() > LIVE_FRAME_BYTES_MAX { pull_text() } else { text };
        Ok((Some(text), self))
    }

    /// The changes since `seq`, or nothing if they are more than fits a frame.
    fn changes(
        &self,
        snapshot: &Snapshot<'_>,
        standing: &Standing,
        plan: &Plan,
        seq: u64,
    ) -> Result<Option<Vec<Change>>, StoreError> {
        if plan.reset {
            return Ok(None);
        }
        let (mut changes, mut bytes) = (Vec::new(), 0);
        snapshot.scan(self.who.viewer(standing), plan, &mut |_, mut change| {
            if self.ids.as_ref().is_none_or(|ids| ids.contains(&change.id)) {
                bytes += self.shorten(&mut change, seq);
                changes.push(change);
            }
            Ok(if bytes > LIVE_FRAME_BYTES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok((bytes <= LIVE_FRAME_BYTES_MAX).then_some(changes))
    }

    /// Puts what is different since `seq` in the place of the document, where the reader had it then and takes that.
    /// Returns the bytes of what is left.
    fn shorten(&self, change: &mut Change, seq: u64) -> usize {
        let whole = change.doc.as_ref().map_or(0, |doc| doc.get().len());
        let is_masked = self.who.policy.conceals(change.c.as_str());
        if whole == 0 || self.ids.is_some() || is_masked || !self.deltas.contains(&change.c) {
            return whole;
        }
        let Some(delta) = self.delta(change, seq) else { return whole };
        let bytes = json::to_text(&delta).len();
        change.doc = None;
        change.delta = Some(Box::new(delta));
        bytes
    }

    fn delta(&self, change: &Change, seq: u64) -> Option<Delta> {
        let versions = self.versions.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let version = versions.before(&change.c, &change.id, change.rev, seq)?;
        drop(versions);
        let doc = change.doc.as_ref()?.get();
        version.was_seen_by(&self.scope.groups).then(|| version.delta(change.rev, doc))?
    }
}

fn cursor(snapshot: &Snapshot<'_>, scope: &Scope, top: Top) -> Cursor {
    Cursor { history: snapshot.history().to_owned(), seq: top.seq, mark: top.mark, scope: scope.clone() }
}

fn told(position: &Cursor, partial: bool) -> Cursor {
    let mut cursor = position.clone();
    if partial {
        cursor.mark = PARTIAL_MARK.to_owned();
    }
    cursor
}

fn pull_text() -> String {
    json::to_text(&ServerMessage::Pull)
}
