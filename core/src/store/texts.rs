//! The memory that documents take. Up to a budget they lie unpacked, as parts of the texts of their segments; beyond
//! it the segments stay packed, and one is unpacked when a document in it is read.
//!
//! Invariant: of what is unpacked beyond the budget to be read, the older half is packed again when it is more than
//! [`OPEN_TEXT_BYTES_MAX`]: between two inputs, and within a call that reads many rows.

use std::sync::Arc;

use crate::ids::{CollectionName, EntityId};
use crate::json::{Meter, Once, Packed, Raw};
use crate::limits::{OPEN_TEXT_BYTES_MAX, OPEN_TEXT_BYTES_MIN};
use crate::store::load::document;
use crate::store::segment::{self, Block, Packed as Segment, Space};
use crate::store::state::{Entity, State};
use crate::table::Table;

/// What is known of the texts.
#[derive(Debug, Default)]
pub struct Texts {
    meter: Meter,
    packed: Vec<Arc<Packed>>,
    /// Bytes that lie unpacked, at most.
    whole: usize,
    /// Stored segments whose documents are still to be kept as they are stored.
    waiting: Vec<Vec<u8>>,
}

/// Segments that are looked through in one go.
const SLICE: usize = 16;

impl Texts {
    /// Bytes of documents that are unpacked, and bytes of packed segments, at most.
    pub fn bytes(&self) -> (usize, usize) {
        let packed = self.packed.iter().map(|packed| packed.packed_len()).sum();
        (self.whole + self.meter.read(), packed)
    }

    /// Whether anything is packed.
    pub fn has_packed(&self) -> bool {
        !self.packed.is_empty()
    }

    /// Whether [`go_on`] has something to do.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A segment has come. Its text if it has to stay packed.
    pub(super) fn admit(&mut self, block: &Block, stored: &[u8], budget: usize) -> Option<Arc<Packed>> {
        let len = block.text().len();
        if self.whole + len > budget
            && block.holds_entities()
            && let Some(packed) = segment::packed(stored, &self.meter)
        {
            self.packed.push(packed.clone());
            return Some(packed);
        }
        self.whole += len;
        None
    }

    /// Those that no document is part of any more.
    fn forget_unused(&mut self) {
        self.packed.retain(|packed| Arc::strong_count(packed) > 1);
    }

    /// Segments are about to be stored: those that [`stored`] may need.
    pub fn to_keep(&mut self, segments: &[Segment], budget: usize) -> Vec<Vec<u8>> {
        let stored = || segments.iter().map(|segment| &segment.stored.bytes);
        self.whole += stored().filter_map(|stored| segment::len(stored)).sum::<usize>();
        if self.whole > budget { stored().cloned().collect() } else { Vec::new() }
    }
}

/// Segments were stored, these among them. Over the budget the documents in them are kept as they are stored, a few
/// segments at a time.
pub fn stored(state: &mut State, segments: Vec<Vec<u8>>, budget: usize) {
    if segments.is_empty() {
        return;
    }
    // What was stored several times was counted so often.
    let mut whole = 0;
    each_entity(state, &mut |entity| whole += entity.confirmed.as_ref().map_or(0, |row| unpacked(&row.doc)));
    state.texts.whole = whole;
    if whole > budget {
        state.texts.waiting.extend(segments);
    }
}

/// Goes on with that.
pub fn go_on(state: &mut State) {
    let left = state.texts.waiting.len().saturating_sub(SLICE);
    for stored in state.texts.waiting.split_off(left) {
        keep_packed(state, &stored);
    }
    if left == 0 {
        state.texts.forget_unused();
    }
}

fn unpacked(doc: &Raw) -> usize {
    if doc.block().is_some() { 0 } else { doc.get().len() }
}

#[inline(never)]
fn keep_packed(state: &mut State, stored: &[u8]) {
    let (Some(packed), Ok(block)) = (segment::packed(stored, &state.texts.meter), Block::unpack(stored)) else {
        return;
    };
    let mut saved = 0;
    let mut once = Once::default();
    let _ = block.each(&mut |row| {
        let (Space::Entity, Some(body)) = (row.space, row.body) else { return };
        let entity = state.entities.get_mut(row.collection).and_then(|table| table.get_mut(row.id));
        let Some(entity) = entity.filter(|entity| entity.position == row.position) else { return };
        if let (Some(confirmed), Some(doc)) = (&mut entity.confirmed, document(block.text(), body))
            && block.text().get(doc.clone()) == Some(once.get(&confirmed.doc))
        {
            saved += unpacked(&confirmed.doc);
            confirmed.doc = Raw::packed(&packed, doc);
        }
    });
    state.texts.whole = state.texts.whole.saturating_sub(saved);
    state.texts.packed.push(packed);
}

/// Packs what was unpacked to be read, if that is much.
pub fn close(state: &mut State, budget: usize) {
    let most = budget.clamp(OPEN_TEXT_BYTES_MIN, OPEN_TEXT_BYTES_MAX);
    if state.texts.meter.read() > most {
        close_oldest(state, most / 2);
    }
}

#[inline(never)]
fn close_oldest(state: &mut State, most: usize) {
    let mut open: Vec<&mut Arc<Packed>> = state.texts.packed.iter_mut().filter(|packed| packed.is_open()).collect();
    open.sort_unstable_by_key(|packed| packed.turn());
    let mut bytes = state.texts.meter.read();
    let mut anew: Vec<(usize, Arc<Packed>)> = Vec::new();
    for packed in open {
        if bytes <= most {
            break;
        }
        bytes = bytes.saturating_sub(packed.text_len());
        let fresh = packed.anew();
        anew.push((Arc::as_ptr(packed) as usize, fresh.clone()));
        *packed = fresh;
    }
    anew.sort_unstable_by_key(|(place, _)| *place);
    each_entity(state, &mut |entity| {
        let Some(confirmed) = &mut entity.confirmed else { return };
        let Some(place) = confirmed.doc.block().map(|block| Arc::as_ptr(block) as usize) else { return };
        if let Ok(at) = anew.binary_search_by_key(&place, |(place, _)| *place)
            && let Some((_, fresh)) = anew.get(at)
        {
            confirmed.doc.move_to(fresh);
        }
    });
    drop(anew);
    state.texts.forget_unused();
}

fn each_entity(state: &mut State, then: &mut dyn FnMut(&mut Entity)) {
    for (_, table) in state.entities.iter_mut() {
        table.retain(&mut |_, entity| {
            then(entity);
            true
        });
    }
}

/// Visits all entities so that each packed text is met once: the unpacked ones in the order of their ids, then the
/// others text by text.
pub fn visit<'a>(table: &'a Table<EntityId, Entity>, then: &mut dyn FnMut(&'a EntityId, &'a Entity)) {
    let mut packed = Vec::new();
    table.each(&mut |id, entity| match entity.confirmed.as_ref().and_then(|row| Some((row.doc.block()?, &row.doc))) {
        Some((block, doc)) => packed.push((Arc::as_ptr(block) as usize, doc.place(), id, entity)),
        None => then(id, entity),
    });
    packed.sort_unstable_by_key(|(block, place, ..)| (*block, *place));
    packed.into_iter().for_each(|(_, _, id, entity)| then(id, entity));
}

/// The places of ids, those of which the documents lie in one packed text one after the other.
#[inline(never)]
pub fn in_order(state: &State, collection: &CollectionName, ids: &[EntityId]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..ids.len()).collect();
    places.sort_by_cached_key(|at| ids.get(*at).map(|id| place(state, collection.as_str(), id.as_str())));
    places
}

/// Where the document of an entity lies: those of one packed text stand together in this order.
fn place(state: &State, collection: &str, id: &str) -> (usize, u32) {
    let confirmed = state.entity(collection, id).and_then(|entity| entity.confirmed.as_ref());
    let packed = confirmed.and_then(|row| Some((row.doc.block()?, row.doc.place())));
    packed.map_or((0, 0), |(block, place)| (Arc::as_ptr(block) as usize, place))
}
