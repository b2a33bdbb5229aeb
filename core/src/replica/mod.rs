//! The client's state machine: what one tab does with the log, the server and the other tabs.
//!
//! Every input ends in [`Replica::advance`], which looks at the state and starts whatever is due. Nothing is
//! started twice, because each part remembers what it waits for:
//!
//! ```text
//! write ─► provisional ─► lane (append) ─► fold ─► queue ─► push ─► lane (Acks) ─► fold
//!                                                          pull, live ─► lane (Changes) ─► fold
//! ```
//!
//! Every change of the state is prepare → persist → apply: memory changes after the disk said yes.

pub mod adopt;
mod applied;
pub mod backend;
pub mod boot;
pub mod command;
pub mod config;
pub mod conflicts;
mod delta;
pub mod draft;
mod drain;
pub mod early;
pub mod early_page;
pub mod evict;
pub mod fetch;
pub mod fork;
mod group;
mod keep;
pub mod lane;
pub mod live;
mod local;
pub mod maintain;
pub mod metrics;
pub mod migrate;
pub mod op;
pub mod page_plan;
pub mod pull;
pub mod push;
pub mod query;
mod references;
mod refused;
mod rewrite;
mod room;
pub mod rows;
pub mod session;
pub mod status;
mod step;
pub mod tabs;
pub mod verdicts;
pub mod verify;
pub mod watch;
pub mod write;

use crate::json::{Value, json};

use crate::ids::{CollectionName, EntityId, MutationId};
use crate::io::{Event, Now, Output, Token};
use crate::model::schema::{CollectionSettings, Settings};
use crate::model::verdict::VerdictItem;
use crate::queue::backoff::Random;
use crate::replica::config::Config;
use crate::replica::drain::Drain;
use crate::replica::evict::Evictions;
use crate::replica::fetch::Fetching;
use crate::replica::lane::Lane;
use crate::replica::live::Live;
use crate::replica::maintain::Maintenance;
use crate::replica::metrics::Metrics;
use crate::replica::migrate::Migrating;
use crate::replica::pull::Pulling;
use crate::replica::push::Pushing;
use crate::replica::query::Watches;
use crate::replica::room::Room;
use crate::replica::session::Session;
use crate::replica::tabs::Tabs;
use crate::replica::verify::Verifying;
use crate::replica::watch::Watchdog;
use crate::replica::write::Writes;
use crate::store::effects::Effects;
use crate::store::state::State;
use crate::store::texts;

/// One tab's replica.
#[derive(Debug)]
pub struct Replica {
    pub(crate) config: Config,
    pub(crate) declared: Settings,
    /// The settings of a collection that has none.
    plain: CollectionSettings,
    pub(crate) state: State,
    pub(crate) phase: Phase,
    pub(crate) lane: Lane,
    pub(crate) writes: Writes,
    pub(crate) session: Session,
    pub(crate) tabs: Tabs,
    pub(crate) pushing: Pushing,
    pub(crate) migrating: Migrating,
    pub(crate) pulling: Pulling,
    pub(crate) verifying: Verifying,
    pub(crate) watchdog: Watchdog,
    pub(crate) fetching: Fetching,
    pub(crate) evictions: Evictions,
    pub(crate) room: Room,
    pub(crate) live: Live,
    pub(crate) maintenance: Maintenance,
    pub(crate) metrics: Metrics,
    pub(crate) random: Random,
    pub(crate) watches: Watches,
    /// Whether all of the code is there. Without it this tab neither leads nor keeps the store in order.
    pub(crate) whole: bool,
    /// Whether this is no tab, and only sends what is queued.
    pub(crate) drain: Drain,
    /// What the shell takes out now, and what came after that began.
    ready: std::vec::IntoIter<Output>,
    out: Vec<Output>,
    tokens: Token,
    /// Rows that the app waits for while the store is being read.
    wanted_early: Vec<(CollectionName, EntityId)>,
    /// First pages, too.
    wanted_pages: Vec<String>,
    changed: Vec<(CollectionName, bool, EntityId)>,
    wake_at_ms: Option<u64>,
    wishes: Vec<u64>,
}

/// Where the store stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not opened.
    New,
    /// Reading segments and log.
    Opening,
    /// Reads and writes are answered.
    Open,
    /// Writes what is left, then stops.
    Closing,
    /// Nothing more happens.
    Closed,
}

impl Replica {
    /// A replica that knows nothing yet.
    pub fn new(config: Config, entropy: [u8; 16]) -> Self {
        Self {
            declared: config.settings(),
            plain: CollectionSettings::default(),
            config,
            state: State::default(),
            phase: Phase::New,
            lane: Lane::default(),
            writes: Writes::default(),
            session: Session::default(),
            tabs: Tabs::default(),
            pushing: Pushing::default(),
            migrating: Migrating::default(),
            pulling: Pulling::default(),
            verifying: Verifying::default(),
            watchdog: Watchdog::default(),
            fetching: Fetching::default(),
            evictions: Evictions::default(),
            room: Room::default(),
            live: Live::default(),
            maintenance: Maintenance::default(),
            metrics: Metrics::default(),
            random: Random::new(entropy),
            watches: Watches::default(),
            whole: true,
            drain: Drain::No,
            ready: Vec::new().into_iter(),
            out: Vec::new(),
            tokens: 0,
            wanted_early: Vec::new(),
            wanted_pages: Vec::new(),
            changed: Vec::new(),
            wake_at_ms: None,
            wishes: Vec::new(),
        }
    }

    /// The next thing for the shell to do.
    pub fn poll(&mut self) -> Option<Output> {
        if self.ready.as_slice().is_empty() {
            self.ready = std::mem::take(&mut self.out).into_iter();
        }
        self.ready.next()
    }

    /// Starts whatever is due. Called after every input and every call of the app.
    pub fn advance(&mut self, now: Now) {
        self.wishes.clear();
        if matches!(self.phase, Phase::Open | Phase::Closing) {
            self.advance_lane(now);
        }
        if self.phase == Phase::Open && self.tabs.leads() && self.config.url.is_some() {
            self.advance_network(now);
            // The network parts may have left records for the log.
            self.advance_lane(now);
        }
        self.pulling.landing &= self.lane.has_server_records();
        if self.phase == Phase::Open && self.config.url.is_some() && self.whole {
            self.watch_leader(now);
        }
        self.flush_changed();
        self.pack_again();
        self.pack_stored(now);
        self.publish_status(now);
        self.schedule();
    }

    /// What was unpacked to be read, once the code for that is there.
    pub(crate) fn pack_again(&mut self) {
        if !self.whole {
            return;
        }
        texts::close(&mut self.state, self.config.memory_bytes);
    }

    /// Keeps packed what a seal has stored, slice by slice.
    fn pack_stored(&mut self, now: Now) {
        if self.state.texts.is_waiting() {
            texts::go_on(&mut self.state);
            self.wish(now.mono_ms + 1);
        }
    }

    #[inline(never)]
    fn advance_network(&mut self, now: Now) {
        self.advance_session(now);
        if self.drain == Drain::No {
            self.advance_live(now);
            self.settle_partial(now);
            self.advance_pull(now);
            self.advance_fetch(now);
        }
        self.migrate_queue(now);
        self.advance_push(now);
        self.watch_queue(now);
        self.tell_drained(now);
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.out.push(output);
    }

    pub(crate) fn event(&mut self, event: Value) {
        self.out.push(Output::Event(Event::Json(event)));
    }

    pub(crate) fn token(&mut self) -> Token {
        self.tokens += 1;
        self.tokens
    }

    /// Asks to be woken at a monotonic time; the earliest wish of this round counts.
    pub(crate) fn wish(&mut self, at_ms: u64) {
        self.wishes.push(at_ms);
    }

    /// What the server is asked for: what the app declares and wants here, and the user's conflicts in it.
    pub(crate) fn wanted(&self) -> Vec<CollectionName> {
        let mut names = vec![CollectionName::of_conflicts()];
        names.extend(self.declared.keys().filter(|name| !self.config.is_none(name)).cloned());
        names
    }

    /// The settings that decide about a collection: the server's, or the client's own while those are unknown.
    pub(crate) fn settings(&self, collection: &str) -> &CollectionSettings {
        let known = self.state.settings.get(collection).or_else(|| self.declared.get(collection));
        known.unwrap_or(&self.plain)
    }

    pub(crate) fn touch(&mut self, collection: &CollectionName, id: &EntityId, remote: bool) {
        // Nobody has seen anything yet.
        if !self.maintenance.opened {
            return;
        }
        let collection = &collection.shown();
        self.watches.touch(collection, id);
        self.changed.push((collection.clone(), remote, id.clone()));
    }

    /// Tells the face what a record did.
    pub(crate) fn announce(&mut self, effects: Effects) {
        for (collection, id) in &effects.touched {
            self.touch(collection, id, effects.remote);
        }
        // Of many it may be told twice.
        let few = effects.touched.len() <= ECHOES_COMPARED;
        for (collection, id) in effects.echoed.iter().filter(|key| !few || !effects.touched.contains(key)) {
            self.touch(collection, id, false);
        }
        if effects.settings {
            for (collection, id) in self.writes.shown() {
                self.touch(&collection, &id, false);
            }
        }
        if effects.reset {
            self.event(json!({"type": "reset"}));
        }
        if effects.requeued {
            self.forget_fork();
        }
        if effects.forked {
            self.renamed();
        }
        // What the log held when this tab opened was told, or has been there to see.
        for met in effects.met.into_iter().filter(|_| self.maintenance.opened) {
            self.out.push(Output::Event(Event::Json(met)));
        }
        if effects.remapped {
            self.refer_anew();
        }
        for item in &effects.verdicts {
            if self.writes.of(item.n).is_some() {
                self.announce_verdict(item);
            }
        }
        for n in &effects.rejected {
            self.announce_rejected(*n);
        }
        self.flush_changed();
        for (collection, id) in &effects.fetched {
            self.fetch_landed(collection, id);
        }
        if self.tabs.leads() {
            self.evictions.refetch.extend(effects.stale);
        }
        for collection in &effects.loaded {
            self.event(json!({"type": "loaded", "collection": collection}));
        }
    }

    #[inline(never)]
    fn announce_verdict(&mut self, VerdictItem { n, verdict, .. }: &VerdictItem) {
        if let Some((write, index)) = self.writes.of(*n) {
            self.event(json!({"type": "verdict", "write": write, "index": index, "n": n, "verdict": verdict}));
        }
    }

    fn announce_rejected(&mut self, n: MutationId) {
        let Some(letter) = self.state.letters.get(&n) else { return };
        let (collection, id) = (&letter.edit.collection, &letter.edit.id);
        let event = json!({"type": "rejected", "n": n, "collection": collection, "id": id, "error": letter.reason});
        self.event(event);
    }

    fn flush_changed(&mut self) {
        self.watches.foreseen = None;
        let mut changed = std::mem::take(&mut self.changed);
        // What the app sees of a conflict is the entity that it is about.
        changed.retain(|(collection, ..)| !collection.is_reserved());
        changed.sort_unstable();
        changed.dedup();
        for group in changed.chunk_by(|a, b| (&a.0, a.1) == (&b.0, b.1)) {
            let Some((collection, remote, _)) = group.first() else { continue };
            let ids: Vec<&EntityId> = group.iter().map(|(_, _, id)| id).collect();
            let origin = if *remote { "remote" } else { "local" };
            self.event(json!({"type": "changed", "collection": collection, "ids": ids, "origin": origin}));
        }
    }

    pub(crate) fn schedule(&mut self) {
        let Some(at) = self.wishes.iter().min().copied() else { return };
        if self.wake_at_ms != Some(at) {
            self.wake_at_ms = Some(at);
            self.output(Output::Wake { at_mono_ms: at });
        }
    }

    /// The wake-up has come: the next round asks again.
    pub(crate) fn woken(&mut self) {
        self.wake_at_ms = None;
    }
}

/// With so many rows that changed an echo is compared, so that none is told twice.
const ECHOES_COMPARED: usize = 1_000;
