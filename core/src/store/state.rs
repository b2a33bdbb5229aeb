//! What a tab knows: the fold of segments and log. It holds no timers and no connections; those are the replica's.

use serde::{Deserialize, Serialize};

use crate::clock::Hlc;
use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, Group, MutationId, Owner, ReplicaId, Rev};
use crate::json::{self, Fields, Raw, Value};
use crate::limits::CALLERS_MAX;
use crate::log::kept::Partial;
use crate::log::record::Call;
use crate::model::change::Change;
use crate::model::cursor::Cursor;
use crate::model::edit::Edit;
use crate::model::schema::Settings;
use crate::model::verdict::HeldReason;
use crate::planted::Bug;
use crate::small::{SmallMap, SmallSet};
use crate::store::journal::Kept;
use crate::store::segment::Packed;
use crate::store::texts::Texts;
use crate::table::Table;

pub use crate::model::verdict::Reason;

/// The fold.
#[derive(Debug, Default)]
pub struct State {
    /// The key of the last record folded.
    pub last: u64,
    /// Who this store is; `None` before its first record.
    pub replica: Option<ReplicaId>,
    /// Whom it belongs to.
    pub owner: Option<Owner>,
    /// The highest `Lead` key: the fence.
    pub fence: u64,
    /// Everything up to here may have left the device (rule 3).
    pub sent_through: MutationId,
    /// What the view shows.
    pub cursor: Option<Cursor>,
    /// Before there is one: the server's history that the first verdicts are of.
    pub verdicts_of: Option<String>,
    /// What a pull in progress has made durable beyond it.
    pub staged: Staged,
    /// The server's settings.
    pub settings: Settings,
    /// Collections whose first pull is complete.
    pub loaded: SmallSet<CollectionName>,
    /// Collections of which not everything is kept.
    pub partial: Partial,
    /// Since when, by the device's clock: rows from before that do not say when they came.
    pub partial_at: u64,
    /// The newest reading of the logical clock.
    pub hlc: Hlc,
    /// Up to where this store has adopted what was written elsewhere, by store.
    pub adopted: SmallMap<ReplicaId, MutationId>,
    /// Confirmed documents and the mutations that lie on them.
    pub entities: EntityTables,
    /// The newest stored call of each asker; who asked last stands last.
    pub calls: Vec<Call>,
    /// Mutations in the view, and those that must still be sent as `void`.
    pub queue: SmallMap<MutationId, Entry>,
    /// Everything in the queue below this is decided: who looks for the rest begins here.
    pub(super) decided_below: MutationId,
    /// Rejected mutations, kept with their reason until the user decides.
    pub letters: SmallMap<MutationId, Letter>,
    /// Acknowledged mutations, kept for a server that loses them.
    pub journal: SmallMap<MutationId, Kept>,
    /// Grows with every change of the queue and of the dead letters: what shows them follows it.
    pub queue_version: u64,
    /// The data is in another database now, or stands in a form that only a newer release reads.
    pub moved: bool,
    /// What the next seal has to write.
    pub dirty: Dirty,
    /// Records read since the last seal, and their bytes.
    pub unsealed: Unsealed,
    /// The memory that documents take.
    pub texts: Texts,
    /// The fields that have columns in segments.
    pub asked: Value,
}

/// All entities, by collection and id.
pub type EntityTables = SmallMap<CollectionName, Table<EntityId, Entity>>;

/// A pull in progress.
#[derive(Debug, Default)]
pub struct Staged {
    /// Durable up to here, not shown.
    pub cursor: Option<Cursor>,
    /// The pull replaces what was there.
    pub reset: bool,
    /// Groups to forget at the end.
    pub forget_groups: Vec<Group>,
    /// Collections to forget at the end.
    pub forget_collections: Vec<CollectionName>,
    /// Collections that come whole, to be replaced at the end.
    pub reread: Vec<CollectionName>,
    /// What to show at the end, with the log key that brought it.
    pub rows: Vec<(u64, Change)>,
    /// The first records of a step whose last one has not been folded yet.
    pub step: Vec<(u64, Change)>,
}

impl Staged {
    /// Whether there are rows that are folded and not shown.
    pub(crate) fn is_open(&self) -> bool {
        self.cursor.is_some() || !self.step.is_empty()
    }
}

/// Keys that changed since the last seal; one may stand here more than once.
#[derive(Debug, Default)]
pub struct Dirty {
    /// Entities.
    pub entities: Vec<(CollectionName, EntityId)>,
    /// Queue entries and dead letters.
    pub mutations: Vec<MutationId>,
    /// How many of each are packed for the next seal.
    pub done: (usize, usize),
    /// Their segments.
    pub packed: Vec<Packed>,
}

impl Dirty {
    /// Whether a seal is being prepared.
    pub fn is_packing(&self) -> bool {
        self.done != (0, 0)
    }
}

/// How much of the log is not in segments.
#[derive(Debug, Default, Clone, Copy)]
pub struct Unsealed {
    /// Records.
    pub records: usize,
    /// Bytes.
    pub bytes: usize,
}

/// One entity on this device.
#[derive(Debug, Default)]
pub struct Entity {
    /// The server's state of it; `None`: it has none, or we may not see it.
    pub confirmed: Option<Confirmed>,
    /// The log key that last moved `confirmed`.
    pub position: u64,
    /// The mutations on it that the view shows, in order.
    pub pending: Vec<MutationId>,
}

/// A document as the server has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirmed {
    /// Its revision.
    pub rev: Rev,
    /// When its newest field was written, in milliseconds since 1970.
    pub at: u64,
    /// When it came or was last used, by the device's clock, as far as the log says; 0: nobody asks.
    pub used: u64,
    /// The groups of ours that hold it.
    pub groups: Vec<Group>,
    /// JSON without the id.
    pub doc: Raw,
}

/// A mutation in the queue.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What it does.
    pub edit: Edit,
    /// The first member of its transaction.
    pub tx: Option<MutationId>,
    /// Where it stands.
    pub status: Status,
    /// The log key that last moved it.
    pub position: u64,
    /// Its `base_rev` is of another history of the server, and counts as 0.
    pub old: bool,
    /// When it was acknowledged, by the device's clock; 0 before.
    pub acked: u64,
    /// The groups of its entity when that was deleted. Not stored.
    pub buried: Vec<Group>,
}

/// Where a queued mutation stands, as far as the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Waits to be sent, or to be answered.
    Queued,
    /// Took effect at this revision; shown until the cursor reaches it (rule 1).
    Settled(Rev),
    /// The server holds it.
    Held {
        /// For want of what.
        reason: HeldReason,
        /// Since when, by the device's clock.
        since: u64,
    },
    /// Goes up as `void`: absorbed or given up.
    Void,
    /// Waits to be adopted by the store of a user (see `adopt::mark_of`). Neither shown nor sent.
    Claimed(u64),
}

/// A rejected mutation.
#[derive(Debug, Clone)]
pub struct Letter {
    /// What it would have done.
    pub edit: Edit,
    /// Why not.
    pub reason: Reason,
    /// The log key that last moved it.
    pub position: u64,
}

impl Status {
    /// Whether the view shows a mutation that stands so.
    pub fn is_shown(self) -> bool {
        !matches!(self, Self::Void | Self::Claimed(_))
    }

    /// Whether it waits for something else, and is tried again now and then.
    pub fn is_held(self) -> bool {
        matches!(self, Self::Held { .. })
    }

    /// Whether the server has yet to decide.
    fn is_open(self) -> bool {
        !matches!(self, Self::Settled(_) | Self::Claimed(_))
    }

    /// Reads it from JSON, in the form of serde's enums.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        let unknown = || CoreError::new(Code::BadMessage, "this is of a later release");
        match value.as_str() {
            Some("queued") => return Ok(Self::Queued),
            Some("void") => return Ok(Self::Void),
            Some(_) => return Err(unknown()),
            None => {}
        }
        let fields = Fields::of(value)?;
        if let Some(rev) = fields.get("settled") {
            return Ok(Self::Settled(json::number(rev)?));
        }
        if let Some(mark) = fields.get("claimed") {
            return Ok(Self::Claimed(json::number(mark)?));
        }
        let held = Fields::of(fields.get("held").ok_or_else(unknown)?)?;
        Ok(Self::Held { reason: HeldReason::read(held.need("reason")?)?, since: held.number("since")? })
    }
}

impl Entity {
    /// Whether anything is left of it.
    pub(crate) fn is_known(&self) -> bool {
        self.confirmed.is_some() || !self.pending.is_empty()
    }
}

impl State {
    /// One entity, if this device knows anything of it.
    pub fn entity(&self, collection: &str, id: &str) -> Option<&Entity> {
        self.entities.get(collection)?.get(id)
    }

    /// One entity, made if it is not there.
    pub fn entity_mut(&mut self, collection: &CollectionName, id: &EntityId) -> &mut Entity {
        self.entities.or_default(collection.clone()).or_default(id.clone())
    }

    /// Shows a mutation on its entity.
    pub(super) fn pend(&mut self, edit: &Edit, n: MutationId) {
        let pending = &mut self.entity_mut(&edit.collection, &edit.id).pending;
        // Most entities have one: room for that, not for four.
        if pending.is_empty() {
            pending.reserve_exact(1);
        }
        pending.push(n);
    }

    /// All entities.
    pub fn entity_keys(&self) -> Vec<(CollectionName, EntityId)> {
        let mut keys = Vec::new();
        for (collection, table) in self.entities.iter() {
            keys.extend(table.keys().into_iter().map(|id| (collection.clone(), id.clone())));
        }
        keys
    }

    /// Whether a mutation may have left the device.
    pub fn was_sent(&self, n: MutationId) -> bool {
        n <= self.sent_through
    }

    /// Mutations that the server has not decided yet.
    pub fn undecided(&self) -> impl Iterator<Item = (&MutationId, &Entry)> {
        self.queue.from(&self.decided_below).filter(|(_, entry)| entry.status.is_open())
    }

    /// Whether nothing is undecided below where a look for it begins.
    pub(super) fn is_decided_below(&self) -> bool {
        let below = self.queue.iter().take_while(|(n, _)| **n < self.decided_below);
        below.into_iter().all(|(_, entry)| !entry.status.is_open())
    }

    /// The server's history, as far as it is known.
    pub fn history(&self) -> Option<&String> {
        self.cursor.as_ref().map(|cursor| &cursor.history).or(self.verdicts_of.as_ref())
    }

    /// The number below which every verdict is in this fold (rule 6).
    pub fn floor(&self) -> MutationId {
        let lowest = self.undecided().next().filter(|_| !Bug::FloorTooHigh.is_planted());
        lowest.map_or(MutationId(self.last + 1, 0), |(n, _)| *n)
    }

    /// A call of the app was stored.
    pub(crate) fn remember(&mut self, call: Call) {
        self.calls.retain(|known| known.0 != call.0);
        if self.calls.len() == CALLERS_MAX {
            self.calls.remove(0);
        }
        self.calls.push(call);
    }

    /// The dead letter of this number, if it is the one that is meant, or of another. A number of a store that was lost
    /// says something else here, or nothing; stamp and entity are the same.
    pub(crate) fn letter(&self, n: MutationId, is_it: &dyn Fn(&Edit) -> bool) -> Option<MutationId> {
        if self.letters.get(&n).is_some_and(|letter| is_it(&letter.edit)) {
            return Some(n);
        }
        self.letters.iter().find(|(_, letter)| is_it(&letter.edit)).map(|(n, _)| *n)
    }

    /// Takes a mutation out of the queue, and out of its entity's view.
    pub(crate) fn unqueue(&mut self, n: MutationId) -> Option<Entry> {
        let entry = self.queue.remove(&n)?;
        self.unqueued(n, &entry);
        Some(entry)
    }

    /// It has left the queue.
    pub(super) fn unqueued(&mut self, n: MutationId, entry: &Entry) {
        self.queue_version += 1;
        self.hide(n, &entry.edit);
        self.dirty.mutations.push(n);
    }

    /// Takes a mutation out of its entity's view.
    pub(crate) fn hide(&mut self, n: MutationId, edit: &Edit) {
        let entity = self.entity_mut(&edit.collection, &edit.id);
        entity.pending.retain(|pending| *pending != n);
        self.drop_if_empty(&edit.collection, &edit.id);
    }

    /// Forgets an entity of which nothing is known any more. Its removal stays marked for the next seal.
    pub(crate) fn drop_if_empty(&mut self, collection: &CollectionName, id: &EntityId) {
        let Some(map) = self.entities.get_mut(collection) else { return };
        if map.get(id.as_str()).is_some_and(|entity| !entity.is_known()) {
            map.remove(id.as_str());
        }
    }
}
