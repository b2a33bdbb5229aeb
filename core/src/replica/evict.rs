//! Giving up what this device keeps no longer: what nobody has used for a time, the least recently used of what is too
//! much, and what the options do not ask for any more. In idle time, a slice at a time.
//!
//! What is used is in no log, so the leader decides, by what it knows; other tabs tell it by `Used` records, rarely. It
//! gives up nothing that this device still has something to say about (`is_needed`), and nothing
//! that an edit in the queue refers to. Giving up is no delete: the server never hears of it.

use std::cell::RefCell;

use crate::ids::{CollectionName, EntityId};
use crate::io::{Durability, Now};
use crate::json::{Value, json};
use crate::limits::{EVICT_MS, EVICT_ROWS, GUEST_MS, USED_MS};
use crate::log::kept::{Evict, Used};
use crate::log::record::Record;
use crate::model::document;
use crate::model::edit::Edit;
use crate::replica::Replica;
use crate::replica::config::Replicate;
use crate::replica::keep::matching;
use crate::small::SmallMap;
use crate::store::state::Confirmed;
use crate::table::Table;

/// Reads that are remembered until somebody has the time to look at them.
const USES_MAX: usize = 10_000;

/// What is known of how rows are used, and a look at all of them under way.
#[derive(Debug, Default)]
pub struct Evictions {
    /// Rows that were read since the last look.
    fresh: RefCell<Vec<(CollectionName, EntityId)>>,
    /// When this tab last used a row, by the device's clock.
    uses: SmallMap<CollectionName, Table<EntityId, u64>>,
    /// Rows that another tab's edit kept from going when the server changed them: to be read as they are now.
    pub(crate) refetch: Vec<(CollectionName, EntityId)>,
    /// How many rows were given up since this tab opened.
    pub(crate) counts: SmallMap<CollectionName, u64>,
    /// The collection being looked at, and the last row that was.
    at: Option<(usize, Option<EntityId>)>,
    /// The state that was looked at last, when to look again, and when to tell of uses.
    looked: u64,
    due_ms: u64,
    tell_ms: u64,
}

impl Replica {
    /// The app has read a row.
    pub(crate) fn note_use(&self, collection: &CollectionName, id: &EntityId) {
        if self.config.replicate.get(collection.as_str()).is_none() {
            return;
        }
        let mut fresh = self.evictions.fresh.borrow_mut();
        if fresh.len() < USES_MAX && fresh.last().is_none_or(|(c, i)| (c, i) != (collection, id)) {
            fresh.push((collection.clone(), id.clone()));
        }
    }

    fn take_uses(&mut self, now: Now) {
        for (collection, id) in self.evictions.fresh.take() {
            *self.evictions.uses.or_default(collection).or_default(id) = now.wall_ms;
        }
    }

    /// What any tab does in idle time: it writes down uses that the log does not know of, so that they outlive the tab.
    /// Rarely, because such a row is stored anew.
    #[inline(never)]
    pub(crate) fn tell_uses(&mut self, now: Now) {
        self.take_uses(now);
        if self.evictions.uses.is_empty() || now.mono_ms < self.evictions.tell_ms {
            return;
        }
        self.evictions.tell_ms = now.mono_ms + USED_MS;
        let mut records = Vec::new();
        for (collection, table) in self.evictions.uses.iter() {
            let ttl_ms = self.config.replicate.get(collection.as_str()).and_then(|options| options.ttl_ms);
            let grain = ttl_ms.map_or(USED_MS, |ttl| USED_MS.min(ttl / 4));
            let (mut ids, mut at) = (Vec::new(), 0);
            table.each(&mut |id, used| {
                let entity = self.state.entity(collection.as_str(), id.as_str());
                let known = entity.and_then(|entity| entity.confirmed.as_ref()).map(|confirmed| confirmed.used);
                if known.is_some_and(|known| *used > known + grain) {
                    ids.push(id.clone());
                    at = at.max(*used);
                }
            });
            for ids in ids.chunks(EVICT_ROWS) {
                let (c, ids) = (collection.clone(), ids.to_vec());
                records.push(Record::Used(Used { at, c, ids }));
            }
        }
        if !records.is_empty() {
            self.append(records, Durability::Relaxed);
            self.wish(now.mono_ms + 1);
        }
    }

    /// What the leader does in idle time. Says whether it left a record for the log.
    #[inline(never)]
    pub(crate) fn evict_some(&mut self, now: Now) -> bool {
        let Some((index, after)) = self.evictions.at.take() else {
            if now.mono_ms < self.evictions.due_ms {
                self.wish(self.evictions.due_ms);
                return false;
            }
            let ages = |options: &Replicate| options.is_none || options.filter.is_some() || options.ttl_ms.is_some();
            if self.evictions.looked == self.state.last && !self.config.replicate.values().any(ages) {
                return false;
            }
            self.take_uses(now);
            self.evictions.looked = self.state.last;
            self.evictions.due_ms = now.mono_ms + EVICT_MS;
            self.evictions.at = Some((0, None));
            return self.evict_some(now);
        };
        let Some((name, _)) = self.config.replicate.iter().nth(index) else {
            // Time passes for rows, too.
            self.wish(self.evictions.due_ms);
            return false;
        };
        let name = name.clone();
        let (ids, last) = self.victims(now, &name, after.as_ref());
        let ids = if last.is_none() { [ids, self.surplus(&name)].concat() } else { ids };
        self.evictions.at = Some(match last {
            Some(last) => (index, Some(last)),
            None => (index + 1, None),
        });
        self.wish(now.mono_ms + 1);
        self.evict(&name, ids)
    }

    /// While much comes at once the bounds are held now and then, and not only when all is here.
    pub(crate) fn hold_bounds(&mut self) {
        if self.lane.has_server_records() {
            return;
        }
        for name in self.config.replicate.keys().cloned().collect::<Vec<_>>() {
            let ids = self.surplus(&name);
            if ids.len() > EVICT_ROWS {
                self.evict(&name, ids);
            }
        }
    }

    /// When rows came counts where some are given up.
    pub(crate) fn arrival(&self, now: Now) -> u64 {
        if self.config.replicate.is_empty() { 0 } else { now.wall_ms }
    }

    /// Gives up rows.
    pub(crate) fn evict(&mut self, name: &CollectionName, mut ids: Vec<EntityId>) -> bool {
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return false;
        }
        *self.evictions.counts.or_default(name.clone()) += ids.len() as u64;
        if let Some(uses) = self.evictions.uses.get_mut(name.as_str()) {
            for id in &ids {
                uses.remove(id.as_str());
            }
        }
        let fence = self.tabs.fence();
        let records = ids.chunks(EVICT_ROWS).map(|ids| Evict { fence, c: name.clone(), ids: ids.to_vec(), upto: 0 });
        let records = records.map(Record::Evict).collect();
        self.append(records, Durability::Relaxed);
        self.event(json!({"type": "health"}));
        true
    }

    /// Of some rows those whose time is over, and the last of them; none: these were the last.
    fn victims(&self, now: Now, name: &CollectionName, after: Option<&EntityId>) -> (Vec<EntityId>, Option<EntityId>) {
        let (Some(options), Some(table)) =
            (self.config.replicate.get(name.as_str()), self.state.entities.get(name.as_str()))
        else {
            return (Vec::new(), None);
        };
        let seen = RefCell::new(0);
        let more = |id: &EntityId| {
            let is_new = after.is_none_or(|after| after < id);
            *seen.borrow_mut() += usize::from(is_new);
            *seen.borrow() <= EVICT_ROWS
        };
        let rows = table.run_from(after.map_or("", EntityId::as_str), &more);
        let rows: Vec<(&EntityId, &Confirmed)> = rows
            .into_iter()
            .filter(|(id, _)| after.is_none_or(|after| after < *id))
            .filter_map(|(id, entity)| Some((id, entity.confirmed.as_ref()?)))
            .collect();
        let last = if *seen.borrow() > EVICT_ROWS { rows.last().map(|(id, _)| (*id).clone()) } else { None };
        let guests: Vec<bool> = match options.query(name) {
            Some(query) => {
                let docs: Vec<_> =
                    rows.iter().map(|(id, row)| (*id, row.rev, row.at, row.doc.get().as_bytes())).collect();
                matching(&query, &docs).into_iter().map(|matches| !matches).collect()
            }
            None => rows.iter().map(|_| options.is_none).collect(),
        };
        let referred = self.referred_to(name);
        let is_connected = self.session.online && self.session.lost_ms.is_none();
        let mut ids = Vec::new();
        for ((id, row), is_guest) in rows.into_iter().zip(guests) {
            let used = self.used(name, id, row);
            let is_over = match options.ttl_ms {
                Some(ttl) => used.max(self.state.partial_at) + ttl < now.wall_ms,
                // Who is cut off could not have it again.
                None => is_guest && is_connected && used + GUEST_MS < now.wall_ms,
            };
            if is_over && !self.is_in_use(name, id, &referred) {
                ids.push(id.clone());
            }
        }
        (ids, last)
    }

    /// The least recently used of what is too much.
    fn surplus(&self, name: &CollectionName) -> Vec<EntityId> {
        let max = self.config.replicate.get(name.as_str()).and_then(|options| options.max_entities);
        let (Some(max), Some(table)) = (max, self.state.entities.get(name.as_str())) else { return Vec::new() };
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let mut rows: Vec<(u64, u64, &EntityId)> = Vec::new();
        table.each(&mut |id, entity| {
            if let Some(row) = &entity.confirmed {
                rows.push((self.used(name, id, row), entity.position, id));
            }
        });
        let too_many = rows.len().saturating_sub(max);
        if too_many == 0 {
            return Vec::new();
        }
        rows.sort_unstable();
        let referred = self.referred_to(name);
        let may_go = rows.into_iter().map(|(.., id)| id).filter(|id| !self.is_in_use(name, id, &referred));
        may_go.take(too_many).cloned().collect()
    }

    fn used(&self, name: &CollectionName, id: &EntityId, row: &Confirmed) -> u64 {
        let here = self.evictions.uses.get(name.as_str()).and_then(|table| table.get(id.as_str()));
        row.used.max(here.copied().unwrap_or_default())
    }

    /// `referred`: what [`referred_to`](Self::referred_to) says of the collection.
    pub(crate) fn is_in_use(&self, name: &CollectionName, id: &EntityId, referred: &[String]) -> bool {
        self.is_needed(name, id, 0) || referred.binary_search_by(|known| known.as_str().cmp(id.as_str())).is_ok()
    }

    /// The ids of a collection's entities that edits which wait refer to, in order.
    pub(crate) fn referred_to(&self, name: &CollectionName) -> Vec<String> {
        let mut ids = Vec::new();
        let mut look = |edit: &Edit| {
            let refs = self.config.refs.get(edit.collection.as_str()).into_iter().flatten();
            for (path, _) in refs.filter(|(_, to)| to == name) {
                for (set, value) in edit.mutation().set.iter() {
                    let mut whole = json!({});
                    document::set(&mut whole, set, value.clone());
                    ids.extend(document::get(&whole, path).and_then(Value::as_str).map(str::to_owned));
                }
            }
        };
        if !self.config.refs.is_empty() {
            self.state.queue.values().for_each(|entry| look(&entry.edit));
            self.state.letters.values().for_each(|letter| look(&letter.edit));
            self.writes.unfolded().flat_map(|write| &write.edits).for_each(look);
        }
        ids.sort_unstable();
        ids
    }

    /// What health says of a collection of which only a part is kept.
    #[inline(never)]
    pub(crate) fn with_cache(&self, name: &CollectionName, view: Value) -> Value {
        let (hits, misses) = self.fetching.counts.get(name.as_str()).copied().unwrap_or_default();
        let evicted = self.evictions.counts.get(name.as_str()).copied().unwrap_or_default();
        let rate = (hits + misses > 0).then(|| hits as f64 / (hits + misses) as f64);
        let Value::Object(mut view) = view else { return view };
        view.insert("hits".into(), hits.into());
        view.insert("misses".into(), misses.into());
        view.insert("hitRate".into(), json!(rate));
        view.insert("evicted".into(), evicted.into());
        Value::Object(view)
    }
}
