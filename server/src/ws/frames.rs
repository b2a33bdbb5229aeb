//! What one socket has to be told: the changes since its position, read in one snapshot. Several commits become one
//! frame.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use tidewire_core::ids::{EntityId, Owner, ReplicaId};
use tidewire_core::limits::LIVE_FRAME_BYTES_MAX;
use tidewire_core::protocol::message::{Cursor, Scope, ServerMessage};

use crate::store::plan::Plan;
use crate::store::sqlite::Snapshot;
use crate::store::{Store, StoreError, Top};
use tidewire_core::json;

/// A mark that no commit has: the frames of a socket that asked for some ids only do not add up to a cursor.
const PARTIAL_MARK: &str = "partial";

/// Whom a socket speaks to, and how far it was told.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) user: Owner,
    pub(super) replica: ReplicaId,
    pub(super) scope: Scope,
    pub(super) ids: Option<BTreeSet<EntityId>>,
    /// Everything up to here was looked at.
    position: Cursor,
    /// The cursor that the client was told last: the next frame's `after`.
    told: Cursor,
}

impl Reader {
    /// A reader that begins now.
    pub(super) async fn start(
        store: &Store,
        user: Owner,
        replica: ReplicaId,
        scope: Scope,
        ids: Option<Vec<EntityId>>,
    ) -> Result<Self, StoreError> {
        let ids: Option<BTreeSet<EntityId>> = ids.map(|ids| ids.into_iter().collect());
        store
            .read_async(move |snapshot| {
                let position = cursor(snapshot, &scope, snapshot.top(&user.tenant)?);
                let told = told(&position, ids.is_some());
                Ok(Self { user, replica, scope, ids, position, told })
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
        let tenant = self.user.tenant.clone();
        let top = snapshot.top(&tenant)?;
        let known = |seq| snapshot.mark(&tenant, seq);
        let plan = Plan::new(Some(&self.position), self.scope.clone(), snapshot.history(), &top, known)?;
        let from = std::mem::replace(&mut self.position, cursor(snapshot, &self.scope, top));
        if from == self.position {
            return Ok((None, self));
        }
        let cursor = told(&self.position, self.ids.is_some());
        let message = match self.changes(snapshot, &plan)? {
            Some(changes) if changes.is_empty() && !snapshot.committed_by(&tenant, from.seq, &self.replica)? => {
                return Ok((None, self));
            }
            Some(changes) => ServerMessage::Frame { after: self.told.clone(), cursor: cursor.clone(), changes },
            None => ServerMessage::Pull,
        };
        self.told = cursor;
        let text = json::to_text(&message);
        let text = if text.len() > LIVE_FRAME_BYTES_MAX { pull_text() } else { text };
        Ok((Some(text), self))
    }

    /// The changes, or nothing if they are more than fits a frame.
    fn changes(
        &self,
        snapshot: &Snapshot<'_>,
        plan: &Plan,
    ) -> Result<Option<Vec<tidewire_core::protocol::message::Change>>, StoreError> {
        if plan.reset {
            return Ok(None);
        }
        let (mut changes, mut bytes) = (Vec::new(), 0);
        snapshot.scan(&self.user.tenant, plan, &mut |_, change| {
            if self.ids.as_ref().is_none_or(|ids| ids.contains(&change.id)) {
                bytes += change.doc.as_ref().map_or(0, |doc| doc.get().len());
                changes.push(change);
            }
            Ok(if bytes > LIVE_FRAME_BYTES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok((bytes <= LIVE_FRAME_BYTES_MAX).then_some(changes))
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
