//! Room for a write of the user's in a store that is full: rows that this device only keeps for its convenience go
//! first.
//!
//! ```text
//! append: quota ─► Load: where the segments are ─► read a slice of them, again until it is enough or all
//!    ▲                                                                   │ none: the write is refused
//!    └── once more, with `Evict` in the same transaction ◄── delete ◄────┘
//! ```
//!
//! A full store may have no room for a record that says what goes, nor for what would be left of a segment. So whole
//! segments are deleted first, and the log is told with the write that got their room. Until then memory holds more
//! than the disk; after a reload the rows are given up all the same. Only where no segment can go whole some are
//! written again without these rows.
//!
//! The invariant: no row goes that [`is_in_use`](Replica::is_in_use) protects, none of which an older version stays
//! in another segment, and a write is tried again once.

use crate::ids::{CollectionName, EntityId};
use crate::io::{Now, StoreError, StoreOp, StoreReply};
use crate::json::json;
use crate::limits::{CLEAN_SEGMENTS_SLICE, EVICT_ROWS, ROOM_BYTES, ROOM_MS};
use crate::log::kept::Evict;
use crate::log::record::Record;
use crate::replica::Replica;
use crate::replica::lane::Job;
use crate::replica::maintain::{Look, segments};
use crate::small::SmallMap;
use crate::store::clean;
use crate::store::directory::{Directory, abouts};
use crate::store::segment::{Row, Space, pack};

type Targets = Vec<(CollectionName, EntityId)>;

/// What is known of room.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// What waits was refused once, and this has been looked for.
    tried: bool,
    /// It came to nothing: not again before this.
    not_before_ms: u64,
    /// Rows whose segments are gone, as the log has not been told, and its last key when they went.
    gone: Targets,
    upto: u64,
    /// The log has been told.
    told: bool,
    search: Option<Box<Search>>,
}

/// A search under way.
#[derive(Debug, Default)]
struct Search {
    wanted_bytes: u64,
    found_bytes: u64,
    fence: u64,
    /// What edits refer to, by collection.
    referred: SmallMap<CollectionName, Vec<String>>,
    /// Segments that nobody has looked into yet.
    keys: Vec<u64>,
    /// What rows are about, and the segments that they may be in; and the segments that do not say.
    abouts: Vec<(u32, u64)>,
    silent: Vec<u64>,
    /// Segments of which nothing has to stay, and the rows in them.
    victims: Vec<u64>,
    going: Targets,
    /// Some of which less than half has to, and what.
    mixed: Vec<u64>,
    mixed_going: Targets,
    staying: Vec<Row>,
    /// What is written for them.
    directories: Vec<Directory>,
}

impl Replica {
    /// An append of the user's found no room. Says whether some is looked for now.
    pub(crate) fn seek_room(&mut self, now: Now, bytes: &[Vec<u8>]) -> bool {
        let is_cache = !self.config.replicate.is_empty() && self.config.url.is_some();
        let is_safe = is_cache && !self.maintenance.is_sole;
        if self.room.tried || now.mono_ms < self.room.not_before_ms || !is_safe {
            return false;
        }
        self.room.tried = true;
        let wanted: usize = bytes.iter().map(Vec::len).sum();
        let search = Search { wanted_bytes: 2 * wanted as u64 + ROOM_BYTES, ..Search::default() };
        self.room.search = Some(Box::new(search));
        // Another tab may have sealed, swept or written since this one looked.
        self.start_job(StoreOp::Load, Job::RoomLook);
        true
    }

    pub(crate) fn room_done(&mut self, now: Now, job: &Job, reply: StoreReply) {
        match (job, reply) {
            (Job::RoomLook, StoreReply::Loaded { fence, directories, log, .. }) => {
                self.room_looked(now, fence, directories, log);
            }
            // Another tab made room or swept: the write is tried once more.
            (Job::RoomWrite, StoreReply::Refused) => self.room.search = None,
            (Job::RoomRead, StoreReply::Segments(found)) => self.room_read(now, found),
            (Job::RoomWrite, StoreReply::Written { keys }) => {
                let Search { victims, going, directories, .. } = *self.room.search.take().unwrap_or_default();
                self.cleaned(&victims, &keys, directories);
                self.room.upto = self.state.last;
                for (name, _) in &going {
                    *self.evictions.counts.or_default(name.clone()) += 1;
                }
                if std::mem::take(&mut self.room.told) {
                    self.room.gone.clear();
                }
                self.room.gone.extend(going);
                self.event(json!({"type": "health"}));
            }
            _ => self.no_room(now),
        }
    }

    fn room_looked(&mut self, now: Now, fence: u64, directories: Vec<(u64, Vec<u8>)>, log: Vec<(u64, Vec<u8>)>) {
        match self.look_at_store(now, fence, &directories, log) {
            Look::Whole => {}
            Look::Anew => {
                // The write is tried again after that.
                self.room.tried = false;
                return;
            }
            // What looks dead may live there.
            Look::Other => return self.no_room(now),
        }
        let mut search = self.room.search.take().unwrap_or_default();
        for (key, bytes) in directories {
            match abouts(&bytes) {
                Some(abouts) => search.abouts.extend(abouts.into_iter().map(|about| (about, key))),
                None => search.silent.push(key),
            }
        }
        search.abouts.sort_unstable();
        // Another tab may have asked for all of a collection, and this one not know it yet.
        let partial = &self.state.partial;
        for name in self.config.replicate.keys().filter(|name| partial.contains_key(name.as_str())) {
            search.referred.insert(name.clone(), self.referred_to(name));
        }
        search.fence = fence;
        search.keys = self.maintenance.directories.keys().copied().collect();
        self.search_on(now, search);
    }

    /// Reads the next segments, the oldest first, or makes an end.
    fn search_on(&mut self, now: Now, mut search: Box<Search>) {
        if search.found_bytes < search.wanted_bytes && !search.keys.is_empty() {
            let rest = search.keys.split_off(search.keys.len().min(CLEAN_SEGMENTS_SLICE));
            let keys = std::mem::replace(&mut search.keys, rest);
            self.room.search = Some(search);
            return self.start_job(StoreOp::ReadSegments { keys }, Job::RoomRead);
        }
        let mut packed = Vec::new();
        if search.victims.is_empty() {
            search.victims = std::mem::take(&mut search.mixed);
            search.going = std::mem::take(&mut search.mixed_going);
            packed = pack(&search.staying, &self.state.partial, &self.state.asked);
        }
        if search.victims.is_empty() {
            return self.no_room(now);
        }
        search.directories = packed.iter().map(|packed| packed.directory).collect();
        let victims = search.victims.clone();
        let op = StoreOp::Clean { fence: search.fence, victims, segments: segments(packed) };
        self.room.search = Some(search);
        self.start_job(op, Job::RoomWrite);
    }

    fn room_read(&mut self, now: Now, found: Vec<(u64, Option<Vec<u8>>)>) {
        let mut search = self.room.search.take().unwrap_or_default();
        for (key, bytes) in found {
            if search.found_bytes >= search.wanted_bytes {
                break;
            }
            let Some(Ok(rows)) = bytes.as_deref().map(clean::unpack) else { continue };
            // What is not the server's has no other place.
            if rows.iter().any(|row| row.space == Space::Mutation) {
                continue;
            }
            search.victims.push(key);
            let living = clean::survivors(&self.state, &self.maintenance.directories, &search.victims, rows);
            let (mut going, mut staying) = (Vec::new(), Vec::new());
            for row in living {
                match self.may_go(&search, &row) {
                    Some(target) => going.push(target),
                    None => staying.push(row),
                }
            }
            if staying.is_empty() {
                search.going.extend(going);
                search.found_bytes += self.maintenance.directories.get(&key).map_or(0, |directory| directory.bytes);
                continue;
            }
            search.victims.pop();
            if going.len() > staying.len() && search.mixed.len() < CLEAN_SEGMENTS_SLICE {
                search.mixed.push(key);
                search.mixed_going.extend(going);
                search.staying.extend(staying);
            }
        }
        self.search_on(now, search);
    }

    /// An entity that is only kept for convenience.
    fn may_go(&self, search: &Search, row: &Row) -> Option<(CollectionName, EntityId)> {
        let referred = search.referred.get(row.collection.as_str())?;
        row.body.as_ref().filter(|_| !self.has_older(search, row))?;
        let (name, id) = (CollectionName::parse(&row.collection).ok()?, EntityId::parse(&row.id).ok()?);
        (!self.is_in_use(&name, &id, referred)).then_some((name, id))
    }

    /// Whether a segment that stays may hold an older version: it would be the newest.
    fn has_older(&self, search: &Search, row: &Row) -> bool {
        let from = search.abouts.partition_point(|(about, _)| *about < row.about);
        let behind = search.abouts.get(from..).unwrap_or_default().iter();
        let of = behind.take_while(|(about, _)| *about == row.about).map(|(_, key)| key);
        of.chain(&search.silent).any(|key| {
            let is_older = |directory: &Directory| directory.lowest < row.position;
            !search.victims.contains(key) && self.maintenance.directories.get(key).is_none_or(is_older)
        })
    }

    /// Whether the log has to be told of rows that went.
    pub(crate) fn owes_room(&self) -> bool {
        !self.room.told && !self.room.gone.is_empty()
    }

    /// What it has to be told, with whatever it is given next.
    #[inline(never)]
    pub(crate) fn room_records(&self) -> Vec<Vec<u8>> {
        let (fence, upto) = (self.state.fence, self.room.upto);
        let mut records = Vec::new();
        for group in self.room.gone.chunk_by(|a, b| a.0 == b.0) {
            for part in group.chunks(EVICT_ROWS) {
                let ids = part.iter().map(|(_, id)| id.clone()).collect();
                let c = part.first().map(|(name, _)| name.clone());
                records.extend(c.map(|c| Record::Evict(Evict { fence, c, ids, upto }).encode()));
            }
        }
        records
    }

    /// An append had room.
    pub(crate) fn room_was_there(&mut self) {
        self.room.tried = false;
        self.room.told = true;
    }

    /// The write is refused after all.
    pub(crate) fn room_refused(&mut self, now: Now) {
        if std::mem::take(&mut self.room.tried) {
            self.room.not_before_ms = now.mono_ms + ROOM_MS;
        }
    }

    /// There is none to be had.
    pub(crate) fn no_room(&mut self, now: Now) {
        self.room_refused(now);
        self.event(json!({"type": "quota"}));
        self.fail_writes(now, StoreError::Quota);
    }
}
