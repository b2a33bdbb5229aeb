//! Log records become segments: whatever changed since the last seal is written once, in its latest form, and the
//! log behind it goes.
//!
//! Pending mutations are rows of their own, so an offline day does not stay as thousands of small records.

use serde::{Deserialize, Serialize};

use crate::clock::Hlc;
use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, Group, MutationId, Owner, ReplicaId, Rev};
use crate::json::{self, Fields, JsonLimits, Once, Raw, Value};
use crate::limits::{SEAL_BYTES, SEAL_BYTES_FORCED, SEAL_RECORDS, SEAL_RECORDS_FORCED};
use crate::log::codec;
use crate::log::kept::{Partial, read_partial};
use crate::log::record::{Call, is_zero};
use crate::model::cursor::Cursor;
use crate::model::edit::Edit;
use crate::model::schema::{Settings, read_settings};
use crate::small::SmallMap;
use crate::store::directory::{about_entity, about_gone};
use crate::store::journal::Kept;
use crate::store::segment::{Packed, Row, Space, pack, put_number, row_bytes};
use crate::store::state::{Confirmed, Entry, Letter, Reason, State, Status, Unsealed};

const STATE: u8 = 3;

/// What `meta` holds beside the segments: everything in the state that is not a row.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Summary {
    /// The last log key that the segments hold.
    pub upto: u64,
    /// Who the store is.
    pub replica: Option<ReplicaId>,
    /// Whom it belongs to.
    pub owner: Option<Owner>,
    /// The fence.
    pub fence: u64,
    /// What may have left the device.
    pub sent_through: MutationId,
    /// What the view shows.
    pub cursor: Option<Cursor>,
    /// As in the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdicts_of: Option<String>,
    /// The server's settings.
    pub settings: Settings,
    /// Collections whose first pull is complete.
    pub loaded: Vec<CollectionName>,
    /// Collections of which not everything is kept.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub partial: Partial,
    /// Since when.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub partial_at: u64,
    /// The logical clock.
    pub hlc: Hlc,
    /// The newest stored call of each asker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
    /// What was adopted.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub adopted: SmallMap<ReplicaId, MutationId>,
    /// The fields that have columns in segments.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub asked: Value,
}

/// An entity's row: everything but the document, which follows as it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EntityHead {
    pub(crate) rev: Rev,
    pub(crate) at: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) used: u64,
    pub(crate) g: Vec<Group>,
}

/// A mutation's row.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum MutationRow {
    Queued {
        m: Raw,
        tx: Option<MutationId>,
        status: Status,
        old: bool,
        acked: u64,
        /// The entity that the one of its bytes became.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<EntityId>,
    },
    Kept {
        m: Raw,
        tx: Option<MutationId>,
        old: bool,
        acked: u64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        g: Vec<Group>,
    },
    Letter {
        m: Raw,
        reason: Reason,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<EntityId>,
    },
}

impl EntityHead {
    pub(crate) fn read(text: &str) -> Result<Self, CoreError> {
        let value = json::parse(text.as_bytes(), JsonLimits::MESSAGE)?;
        let fields = Fields::of(&value)?;
        let used = fields.number_or("used", 0)?;
        Ok(Self { rev: fields.number("rev")?, at: fields.number("at")?, used, g: fields.list("g", Group::read)? })
    }
}

/// What stands around nearly every mutation: it waits to be sent.
const QUEUED: (&str, &str) = ("{\"Queued\":{\"m\":", ",\"tx\":null,\"status\":\"queued\",\"old\":false,\"acked\":0}}");

/// The edit in a row that says no more than that it waits.
pub(super) fn waiting_edit(row: &str) -> Option<&str> {
    row.strip_prefix(QUEUED.0)?.strip_suffix(QUEUED.1)
}

impl MutationRow {
    /// The edit.
    pub(crate) fn into_edit(self) -> Result<Edit, CoreError> {
        let (m, to) = match self {
            Self::Queued { m, to, .. } | Self::Letter { m, to, .. } => (m, to),
            Self::Kept { m, .. } => (m, None),
        };
        Edit::read(m).map(|edit| edit.standing_for(to.as_ref()))
    }

    /// The mutation shares the text of the row.
    pub(crate) fn read(row: &Raw) -> Result<Self, CoreError> {
        let text = row.get();
        if let Some(m) = waiting_edit(text) {
            return Ok(Self::Queued {
                m: row.within(m),
                tx: None,
                status: Status::Queued,
                old: false,
                acked: 0,
                to: None,
            });
        }
        for key in ["Queued", "Kept"] {
            let (_, Some(body)) = json::parse_around(text.as_bytes(), key)? else { continue };
            let (head, m) = json::parse_around(body.as_bytes(), "m")?;
            let fields = Fields::of(&head)?;
            let m = row.within(m.unwrap_or_default());
            let (tx, old) = (fields.opt("tx", MutationId::read)?, fields.flag("old")?);
            let (acked, status) = (fields.number("acked")?, fields.opt("status", Status::read)?);
            return Ok(match status {
                Some(status) => Self::Queued { m, tx, status, old, acked, to: fields.opt("to", EntityId::read)? },
                None => Self::Kept { m, tx, old, acked, g: fields.list("g", Group::read)? },
            });
        }
        let (_, body) = json::parse_around(text.as_bytes(), "Letter")?;
        let (head, m) = json::parse_around(body.unwrap_or_default().as_bytes(), "m")?;
        let fields = Fields::of(&head)?;
        let (reason, to) = (Reason::read(fields.need("reason")?)?, fields.opt("to", EntityId::read)?);
        Ok(Self::Letter { m: row.within(m.unwrap_or_default()), reason, to })
    }
}

impl Unsealed {
    /// Whether the lock holder should seal in idle time.
    pub fn is_due(&self) -> bool {
        self.records >= SEAL_RECORDS || self.bytes >= SEAL_BYTES
    }

    /// Whether any appender must seal now.
    pub fn is_overdue(&self) -> bool {
        self.records >= SEAL_RECORDS_FORCED || self.bytes >= SEAL_BYTES_FORCED
    }
}

impl Summary {
    /// The summary of a state.
    pub fn of(state: &State) -> Self {
        Self {
            upto: state.last,
            replica: state.replica.clone(),
            owner: state.owner.clone(),
            fence: state.fence,
            sent_through: state.sent_through,
            cursor: state.cursor.clone(),
            verdicts_of: state.verdicts_of.clone(),
            settings: state.settings.clone(),
            loaded: state.loaded.keys().cloned().collect(),
            partial: state.partial.clone(),
            partial_at: state.partial_at,
            hlc: state.hlc,
            calls: state.calls.clone(),
            adopted: state.adopted.clone(),
            asked: state.asked.clone(),
        }
    }

    /// As stored bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(STATE, json::to_text(self).as_bytes())
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// `corrupt` or `format-newer`.
    pub fn decode(bytes: &[u8]) -> Result<Self, CoreError> {
        let (_, body) = codec::decode(bytes)?;
        Self::read(body).map_err(|error| error.within(Code::Corrupt, "the stored summary cannot be read"))
    }

    fn read(body: &[u8]) -> Result<Self, CoreError> {
        let value = json::parse(body, JsonLimits::MESSAGE)?;
        let fields = Fields::of(&value)?;
        let mut adopted = SmallMap::new();
        for (source, upto) in fields.entries("adopted")? {
            adopted.insert(ReplicaId::parse(source)?, MutationId::read(upto)?);
        }
        Ok(Self {
            upto: fields.number("upto")?,
            replica: fields.opt("replica", ReplicaId::read)?,
            owner: fields.opt("owner", Owner::read)?,
            fence: fields.number("fence")?,
            sent_through: MutationId::read(fields.need("sent_through")?)?,
            cursor: fields.opt("cursor", Cursor::read)?,
            verdicts_of: fields.opt_text("verdicts_of")?,
            settings: read_settings(&fields, "settings")?,
            loaded: fields.list("loaded", CollectionName::read)?,
            partial: read_partial(&fields, "partial")?,
            partial_at: fields.number_or("partial_at", 0)?,
            hlc: Hlc::read(fields.need("hlc")?)?,
            calls: fields.list("calls", Call::read)?,
            adopted,
            asked: fields.get("asked").cloned().unwrap_or_default(),
        })
    }
}

/// Packs so many bytes of what changed since the last seal; says whether all of it is packed. What changes before the
/// rest is packed comes once more, behind it: of one key the row with the highest position holds. So this never runs
/// while a pull is staged, whose rows have the positions at which they came: a gone row of now would be above them.
pub fn pack_some(state: &mut State, bytes_max: usize) -> bool {
    if !state.dirty.is_packing() {
        each_once(&mut state.dirty.entities);
        state.dirty.mutations.sort_unstable();
        state.dirty.mutations.dedup();
    }
    let (mut rows, mut bytes, mut once) = (Vec::new(), 0, Once::default());
    let (mut entities, mut mutations) = state.dirty.done;
    while bytes < bytes_max {
        let row = if let Some((collection, id)) = state.dirty.entities.get(entities) {
            entities += 1;
            entity_row(state, collection, id, &mut once)
        } else if let Some(n) = state.dirty.mutations.get(mutations) {
            mutations += 1;
            mutation_row(state, *n)
        } else {
            break;
        };
        bytes += row_bytes(&row);
        rows.push(row);
    }
    // Those of collections of which a part is kept share no segment with others.
    rows.sort_by_key(|row| (row.space, state.partial.contains_key(row.collection.as_str())));
    state.dirty.done = (entities, mutations);
    state.dirty.packed.extend(pack(&rows, &state.partial, &state.asked));
    (entities, mutations) == (state.dirty.entities.len(), state.dirty.mutations.len())
}

/// Each once, in the order in which they came. (In the order of their ids fifty thousand take longer than a tab may be
/// busy.)
fn each_once(entities: &mut Vec<(CollectionName, EntityId)>) {
    let mut places: Vec<(u32, usize)> = Vec::with_capacity(entities.len());
    for (index, (collection, id)) in entities.iter().enumerate() {
        places.push((about_entity(collection.as_str(), id.as_str()), index));
    }
    places.sort_unstable();
    let mut again = vec![false; entities.len()];
    for same in places.chunk_by(|a, b| a.0 == b.0) {
        // Nearly always one entity; two may have the same hash.
        let mut known: Vec<usize> = Vec::new();
        for (_, index) in same {
            match known.iter().any(|first| entities.get(*first) == entities.get(*index)) {
                true => again.get_mut(*index).into_iter().for_each(|again| *again = true),
                false => known.push(*index),
            }
        }
    }
    let mut again = again.into_iter();
    entities.retain(|_| again.next() != Some(true));
}

/// What was packed. The state keeps its marks until [`sealed`] says that it is stored.
pub fn take_packed(state: &mut State) -> Vec<Packed> {
    state.dirty.done = (0, 0);
    std::mem::take(&mut state.dirty.packed)
}

/// The rows are stored.
pub fn sealed(state: &mut State) {
    state.dirty = Default::default();
    state.unsealed = Default::default();
}

/// What is stored is not to be trusted: the next seal, which is due at once, writes everything.
pub fn seal_all(state: &mut State) {
    let entities = state.entity_keys();
    state.dirty.entities.extend(entities);
    state.dirty.mutations.extend(state.queue.iter().map(|(n, _)| *n));
    state.dirty.mutations.extend(state.letters.iter().map(|(n, _)| *n));
    state.dirty.mutations.extend(state.journal.iter().map(|(n, _)| *n));
    state.unsealed.records = state.unsealed.records.max(SEAL_RECORDS_FORCED);
}

fn entity_row(state: &State, collection: &CollectionName, id: &EntityId, once: &mut Once) -> Row {
    let entity = state.entity(collection.as_str(), id.as_str());
    Row {
        space: Space::Entity,
        position: entity.filter(|e| e.confirmed.is_some()).map_or(state.last, |e| e.position),
        collection: collection.to_string(),
        id: id.to_string(),
        about: about_entity(collection.as_str(), id.as_str()),
        body: entity.and_then(|e| e.confirmed.as_ref()).map(|confirmed| entity_body(confirmed, once)),
    }
}

fn entity_body(confirmed: &Confirmed, once: &mut Once) -> String {
    let head = EntityHead { rev: confirmed.rev, at: confirmed.at, used: confirmed.used, g: confirmed.groups.clone() };
    let (head, doc) = (json::to_text(&head), once.get(&confirmed.doc));
    let mut body = String::with_capacity(4 + head.len() + doc.len());
    put_number(&mut body, head.len() as u64, 4);
    body.push_str(&head);
    body.push_str(doc);
    body
}

fn stands_for(edit: &Edit) -> Option<EntityId> {
    edit.alias.as_ref().map(|_| edit.id.clone())
}

fn mutation_row(state: &State, n: MutationId) -> Row {
    let about = |edit: &Edit| about_entity(edit.collection.as_str(), edit.id.as_str());
    let (position, row, about) = if let Some(Entry { edit, tx, status, position, old, acked, .. }) = state.queue.get(&n)
    {
        let (m, to) = (edit.raw.clone(), stands_for(edit));
        (
            *position,
            Some(MutationRow::Queued { m, tx: *tx, status: *status, old: *old, acked: *acked, to }),
            about(edit),
        )
    } else if let Some(Letter { edit, reason, position }) = state.letters.get(&n) {
        let (m, to) = (edit.raw.clone(), stands_for(edit));
        (*position, Some(MutationRow::Letter { m, reason: reason.clone(), to }), about(edit))
    } else if let Some(Kept { raw, tx, old, at, groups, position }) = state.journal.get(&n) {
        let row = MutationRow::Kept { m: raw.clone(), tx: *tx, old: *old, acked: *at, g: groups.clone() };
        (*position, Some(row), Edit::read(raw.clone()).map_or(0, |edit| about(&edit)))
    } else {
        (state.last, None, about_gone(n))
    };
    Row {
        space: Space::Mutation,
        position,
        collection: String::new(),
        id: n.to_string(),
        about,
        body: row.map(|row| json::to_text(&row)),
    }
}
