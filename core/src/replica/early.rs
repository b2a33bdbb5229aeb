//! Rows that the app waits for while the store is still being read: answered from the segments that may hold something
//! of them and from the log, before everything else is read.
//!
//! The invariant: an answer is what the whole store would give. A state is made as a cold open makes it, of every
//! segment that may hold a row about the entity, and all of the log is folded onto it. What it holds of other entities
//! is incomplete, and nobody looks at that. Where the whole store may say more (something is damaged, a record in the
//! log reaches beyond its own entity) there is no answer, and who asked waits for the store to be open.

use crate::ids::{CollectionName, EntityId};
use crate::json;
use crate::log::codec::raw_len;
use crate::log::record::Record;
use crate::replica::boot::Boot;
use crate::replica::early_page::Page;
use crate::replica::{Phase, Replica};
use crate::store::directory::{about_entity, about_gone, may_hold};
use crate::store::fold::fold;
use crate::store::load::Loading;
use crate::store::segment::Block;
use crate::store::state::State;

/// So many segments are read for one round of answers at the most: with more of them to read, reading all is not far.
const SEGMENTS_MAX: usize = 16;

/// A longer log is not folded twice.
const LOG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// An entity.
type Key = (CollectionName, EntityId);

/// A round of answers.
#[derive(Debug, Default)]
pub(crate) struct Round {
    asked: Vec<Key>,
    /// A page, instead of rows.
    page: Option<Page>,
    /// The segments that were read for it.
    blocks: Vec<(u64, Block)>,
}

impl Round {
    /// The segments of a page are not read yet.
    pub(super) fn of(page: Page) -> Self {
        Self { page: Some(page), ..Self::default() }
    }

    /// A segment that was asked for is here.
    pub(crate) fn take(&mut self, key: u64, block: Block) {
        self.blocks.push((key, block));
    }

    /// Whether its segments wait for the answer before they are taken in for the whole store.
    pub(crate) fn is_page(&self) -> bool {
        self.page.is_some()
    }
}

impl Replica {
    /// The app waits for a row of a store that is being opened. An event `row` answers, if that is sooner.
    pub fn want(&mut self, collection: CollectionName, id: EntityId) {
        // What only this device has of an entity stands in another one.
        let is_whole = self.local(&collection).is_none();
        if self.phase == Phase::Opening && !self.maintenance.opened && is_whole {
            self.wanted_early.push((collection, id));
        }
    }

    /// The segments that the answers need next; none: there is nothing to answer now.
    pub(crate) fn wanted_segments(&mut self, boot: &mut Boot) -> Option<Vec<u64>> {
        if boot.damaged {
            boot.round = None;
            return None;
        }
        if boot.round.is_none() && !self.wanted_early.is_empty() && pays(boot) {
            let asked = std::mem::take(&mut self.wanted_early);
            boot.round = Some(Round { asked, ..Round::default() });
        }
        if boot.round.is_none() && boot.pages < self.wanted_pages.len() && self.whole {
            boot.round = self.begin_page(boot);
        }
        let mut round = boot.round.take()?;
        if let Some(page) = round.page.take() {
            let keys = page.keys();
            if round.blocks.len() < keys.len() {
                return Some(read_next(boot, Round { page: Some(page), ..round }, keys));
            }
            self.answer_page(boot, &page, &round.blocks);
            return None;
        }
        let mut about: Vec<u32> = round.asked.iter().map(|(c, id)| about_entity(c.as_str(), id.as_str())).collect();
        let mut keys = missing(boot, &round, &about);
        if keys.is_empty() {
            let state = state_of(boot, &round)?;
            // An edit that some segment holds may be gone by a later one, which only knows its number.
            about = gone_numbers(&state, &round.asked);
            keys = missing(boot, &round, &about);
            if keys.is_empty() {
                self.answer(boot, state, &round.asked);
                return None;
            }
        }
        if round.blocks.len() + keys.len() > SEGMENTS_MAX {
            return None;
        }
        Some(read_next(boot, round, keys))
    }

    fn answer(&mut self, boot: &Boot, mut state: State, asked: &[Key]) {
        if fold_log(&mut state, boot).is_none() {
            return;
        }
        let whole = std::mem::replace(&mut self.state, state);
        for (collection, id) in asked {
            let row = self.row(collection, id);
            // Of one that is not there the id may be another's.
            let alias = about_entity(collection.aliases().as_str(), id.as_str());
            if row.is_none() && boot.records.iter().any(|(_, record)| may_hold(record, alias)) {
                continue;
            }
            self.event(json!({"type": "row", "collection": collection, "id": id, "row": row}));
        }
        self.state = whole;
    }
}

/// The wave that reads them takes them in for the whole store as well.
fn read_next(boot: &mut Boot, round: Round, keys: Vec<u64>) -> Vec<u64> {
    boot.wanted.retain(|key| !keys.contains(key));
    boot.round = Some(round);
    keys
}

/// Where nothing is left to read, or much to fold, the open store is not far.
pub(super) fn pays(boot: &Boot) -> bool {
    !boot.wanted.is_empty() && boot.log.iter().map(|(_, r)| raw_len(r)).sum::<usize>() <= LOG_BYTES_MAX
}

/// The segments that may hold a row about any of these, and are not read yet.
fn missing(boot: &Boot, round: &Round, about: &[u32]) -> Vec<u64> {
    let may = |record: &[u8]| about.iter().any(|hash| may_hold(record, *hash));
    let records =
        boot.records.iter().filter(|(key, record)| !round.blocks.iter().any(|(read, _)| read == key) && may(record));
    records.map(|(key, _)| *key).collect()
}

/// What the segments say.
fn state_of(boot: &Boot, round: &Round) -> Option<State> {
    let mut loading = Loading::default();
    for (_, block) in &round.blocks {
        loading.take(block, &[], usize::MAX).ok()?;
    }
    let (state, errors) = loading.finish(boot.summary.clone());
    errors.is_empty().then_some(state)
}

/// What the rows have that say that edits of these entities are gone.
fn gone_numbers(state: &State, asked: &[Key]) -> Vec<u32> {
    let mut about = Vec::new();
    for (collection, id) in asked {
        let pending = state.entity(collection.as_str(), id.as_str()).into_iter().flat_map(|entity| &entity.pending);
        about.extend(pending.map(|n| about_gone(*n)));
        let failed = state.letters.iter().filter(|(_, l)| l.edit.collection == *collection && l.edit.id == *id);
        about.extend(failed.map(|(n, _)| about_gone(*n)));
    }
    about
}

/// Folds the log as the open does. Nothing, if a record of it cannot be read, or looks at more than its own entities.
pub(super) fn fold_log(state: &mut State, boot: &Boot) -> Option<()> {
    for (key, bytes) in &boot.log {
        if *key <= state.last {
            continue;
        }
        state.last = key - 1;
        let record = Record::decode(bytes).ok()?;
        let is_plain = match &record {
            Record::Commit(_) | Record::Sent(_) | Record::Replica(_) => true,
            Record::Acks(acks) => acks.verdicts.iter().all(|item| !item.verdict.is_remap()),
            Record::Lead | Record::Sealed(_) => true,
            Record::Changes(changes) => {
                let forgets = !changes.forget_groups.is_empty() || !changes.forget_collections.is_empty();
                let decides = changes.rows.iter().any(|row| row.c.is_conflicts());
                !changes.reset && changes.reread.is_empty() && !forgets && !decides
            }
            _ => false,
        };
        if !is_plain {
            return None;
        }
        fold(state, *key, record, raw_len(bytes)).ok()?;
    }
    Some(())
}
