//! A device: one store, one lock, and tabs that share them. What a browser does for its tabs is here.

use std::collections::{BTreeMap, VecDeque};

use tidewire_core::engine::Engine;
use tidewire_core::error::Code;
use tidewire_core::ids::MutationId;
use tidewire_core::io::{Event as Told, Input, Output, StoreError, StoreOp, Token};
use tidewire_core::json::Value;

use crate::disk::Disk;
use crate::network::Socket;
use crate::random::Random;
use crate::scenario::DeviceSetup;
use crate::server::user_name;
use crate::world::{Event, World};

/// A tab whose store was deleted stores again what it knows, at once; what its store does before that takes a while.
const NOTICES_US: u64 = 2_000_000;

/// One device.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) user: usize,
    pub(crate) disk: Disk,
    /// The tab that holds the lock, and who waits for it.
    lock: Option<usize>,
    waiting: VecDeque<usize>,
    /// Where its tabs' `Lead`s stand in the log.
    pub(crate) leads: BTreeMap<u64, usize>,
    pub(crate) random: Random,
    pub(crate) offset_ms: i64,
    pub(crate) drift_ppm: i64,
    pub(crate) online: bool,
    pub(crate) hole_up: bool,
    pub(crate) hole_down: bool,
    /// Numbers what lasts some time.
    pub(crate) spells: u64,
    /// The release of the app that its browser has.
    pub(crate) version: u64,
    /// Up to here its edits may have been sent, as its log says.
    pub(crate) sent: MutationId,
    /// When its store was deleted, and how many tabs there had been: only they know what was in it.
    pub(crate) wiped: Option<(u64, usize)>,
}

/// One tab, until it is closed.
pub(crate) struct Tab {
    pub(crate) device: usize,
    /// Of the app's schema.
    pub(crate) version: u64,
    pub(crate) engine: Engine,
    pub(crate) alive: bool,
    /// It runs nothing; what comes meanwhile waits here.
    pub(crate) frozen: Option<Vec<Input>>,
    pub(crate) opened: bool,
    /// Why it could not be opened.
    pub(crate) refused: Option<Code>,
    closing: bool,
    wakes: u64,
    asked_lock: bool,
    pub(crate) socket: Option<Socket>,
    /// The deletions of the database when this tab opened it.
    pub(crate) deletions: u64,
    /// How far it has read the log.
    pub(crate) read: u64,
    /// The tokens that it showed last, by note and field.
    pub(crate) shown: BTreeMap<(String, &'static str), u32>,
    /// When the last store operation, the last message of each other tab, and the last word on the socket arrives.
    store_us: u64,
    heard_us: BTreeMap<usize, u64>,
    pub(crate) down_us: u64,
    pub(crate) up_us: u64,
    /// Events of the engine that nobody has looked at.
    pub(crate) told: Vec<Value>,
    /// Its writes that can be undone.
    pub(crate) writes: Vec<u64>,
    /// It was told that a write failed which did not.
    pub(crate) misled: bool,
    /// It is a service worker: nobody uses it.
    pub(crate) is_worker: bool,
    /// The power was gone: nothing that it asked for is done any more.
    pub(crate) unplugged: bool,
}

impl Device {
    pub(crate) fn new(setup: &DeviceSetup, seed: u64, index: usize) -> Self {
        Self {
            user: setup.user,
            disk: Disk::default(),
            lock: None,
            waiting: VecDeque::new(),
            leads: BTreeMap::new(),
            random: Random::new(seed, 100 + index as u64),
            offset_ms: setup.offset_ms,
            drift_ppm: setup.drift_ppm,
            online: true,
            hole_up: false,
            hole_down: false,
            spells: 0,
            version: 1,
            sent: MutationId::default(),
            wiped: None,
        }
    }
}

impl Tab {
    pub(crate) fn runs(&self) -> bool {
        self.alive && self.frozen.is_none()
    }

    /// It can be read and written.
    pub(crate) fn is_ready(&self) -> bool {
        self.runs() && self.opened && !self.closing && self.refused.is_none() && !self.is_worker
    }
}

impl World {
    pub(crate) fn open_tab(&mut self, device: usize) {
        let entropy = self.devices[device].random.bytes();
        let version = self.version_of_tab(device);
        let engine = match Engine::new(&self.options(version), entropy) {
            Ok(engine) => engine,
            Err(error) => return self.fail(0, format!("a tab cannot be made: {error}")),
        };
        self.tabs.push(Tab {
            device,
            version,
            engine,
            alive: true,
            frozen: None,
            opened: false,
            refused: None,
            closing: false,
            wakes: 0,
            asked_lock: false,
            socket: None,
            deletions: 0,
            read: 0,
            shown: BTreeMap::new(),
            store_us: 0,
            heard_us: BTreeMap::new(),
            down_us: 0,
            up_us: 0,
            told: Vec::new(),
            writes: Vec::new(),
            misled: false,
            is_worker: false,
            unplugged: false,
        });
        let tab = self.tabs.len() - 1;
        let now = self.clocks(device);
        self.tabs[tab].engine.open(now);
        self.drain(tab);
        if !self.devices[device].online {
            self.hand(tab, Input::Online(false));
        }
    }

    /// The tabs of a device that can be used.
    pub(crate) fn ready_tabs(&self, device: usize) -> Vec<usize> {
        (0..self.tabs.len()).filter(|tab| self.tabs[*tab].device == device && self.tabs[*tab].is_ready()).collect()
    }

    /// All that a device ever had.
    pub(crate) fn tabs_of(&self, device: usize) -> Vec<usize> {
        (0..self.tabs.len()).filter(|tab| self.tabs[*tab].device == device).collect()
    }

    /// The tabs of a device that are there.
    pub(crate) fn live_tabs(&self, device: usize) -> Vec<usize> {
        (0..self.tabs.len()).filter(|tab| self.tabs[*tab].device == device && self.tabs[*tab].alive).collect()
    }

    /// Those of them that are not about to be gone.
    pub(crate) fn staying_tabs(&self, device: usize) -> Vec<usize> {
        self.live_tabs(device).into_iter().filter(|tab| !self.tabs[*tab].closing).collect()
    }

    /// Hands something to a tab, or keeps it until the tab runs again.
    pub(crate) fn tell(&mut self, tab: usize, input: Input) {
        if !self.tabs[tab].alive {
            return;
        }
        if let Some(waiting) = &mut self.tabs[tab].frozen {
            waiting.push(input);
            return;
        }
        self.hand(tab, input);
    }

    pub(crate) fn hand(&mut self, tab: usize, input: Input) {
        let now = self.clocks(self.tabs[tab].device);
        self.note_read(tab, &input);
        self.tabs[tab].engine.handle(now, input);
        self.drain(tab);
    }

    pub(crate) fn wake(&mut self, tab: usize, number: u64) {
        if self.tabs[tab].alive && self.tabs[tab].wakes == number {
            self.tell(tab, Input::Wake);
        }
    }

    /// Carries out everything that a tab asks for.
    pub(crate) fn drain(&mut self, tab: usize) {
        while let Some(output) = self.tabs[tab].engine.poll() {
            match output {
                Output::Store { token, op } => self.ask_disk(tab, token, op),
                Output::Fetch { token, request } => self.fetch(tab, token, request),
                // What is not waited for any more is ignored by the engine, and comes all the same.
                Output::Abort { .. } => {}
                Output::SocketOpen { token } => self.open_socket(tab, token),
                Output::SocketSend { token, text } => self.say(tab, token, text),
                Output::SocketClose { token } => self.close_socket(tab, token),
                Output::AskToken { .. } => {
                    let user = user_name(self.devices[self.tabs[tab].device].user);
                    let input = Input::Token { result: Ok(Some(user)) };
                    self.queue.plan(self.now_us + 1, Event::Tab(tab, input));
                }
                Output::Broadcast(bytes) => self.broadcast(tab, &bytes),
                Output::RequestLock | Output::StealLock | Output::ReleaseLock => self.lock(tab, &output),
                Output::Wake { at_mono_ms } => {
                    self.tabs[tab].wakes += 1;
                    let at_us = (at_mono_ms.saturating_sub(1) * 1_000).max(self.now_us);
                    self.queue.plan(at_us, Event::Wake(tab, self.tabs[tab].wakes));
                }
                Output::Event(Told::Opened) => self.tabs[tab].opened = true,
                Output::Event(Told::OpenFailed(error)) => self.tabs[tab].refused = Some(error.code),
                Output::Event(Told::Json(event)) => self.tabs[tab].told.push(event),
                _ => {}
            }
        }
        self.hear(tab);
        if self.tabs[tab].closing && self.tabs[tab].engine.is_flushed() {
            self.kill(tab);
        }
    }

    fn ask_disk(&mut self, tab: usize, token: Token, op: StoreOp) {
        let device = self.tabs[tab].device;
        let delay = 50 + self.devices[device].random.below(self.setup.delays.disk_us);
        let at_us = (self.now_us + delay).max(self.tabs[tab].store_us + 1);
        self.tabs[tab].store_us = at_us;
        self.queue.plan(at_us, Event::Disk(tab, token, op));
    }

    pub(crate) fn carry_out(&mut self, tab: usize, token: Token, op: StoreOp) {
        let device = self.tabs[tab].device;
        // What a tab asked for before it died may still be done.
        if self.tabs[tab].unplugged || !self.tabs[tab].alive && self.devices[device].random.chance(500) {
            return;
        }
        self.labels.see(match &op {
            StoreOp::Append { .. } => "append",
            StoreOp::Seal { .. } => "seal",
            StoreOp::Clean { .. } => "clean",
            _ => "read",
        });
        let rates = self.setup.rates;
        let is_append = matches!(op, StoreOp::Append { .. });
        if is_append && self.happens(device, rates.store_failed, "store failed") {
            let error = if self.devices[device].random.chance(500) { StoreError::Quota } else { StoreError::Failed };
            return self.tell(tab, Input::Stored { token, result: Err(error) });
        }
        let deletions = self.devices[device].disk.deletions;
        if matches!(op, StoreOp::Load) {
            self.tabs[tab].deletions = deletions;
            // It may be another store than the one it has read so far.
            self.tabs[tab].read = 0;
        }
        if self.tabs[tab].deletions != deletions {
            return self.tell(tab, Input::Stored { token, result: Err(StoreError::Wiped) });
        }
        self.note_records(tab, &op);
        let mut result = self.devices[device].disk.carry_out(op);
        if is_append && self.happens(device, rates.store_unreported, "store unreported") {
            // The shell looks for the record and tries again; this is when that fails, too.
            self.tabs[tab].misled = true;
            result = Err(StoreError::Failed);
        }
        self.tell(tab, Input::Stored { token, result });
    }

    fn broadcast(&mut self, tab: usize, bytes: &[u8]) {
        let device = self.tabs[tab].device;
        let lost = self.setup.rates.message_lost;
        for other in self.live_tabs(device) {
            if other == tab || self.happens(device, lost, "message between tabs lost") {
                continue;
            }
            let delay = 5 + self.devices[device].random.below(self.setup.delays.tabs_us);
            let before = self.tabs[other].heard_us.get(&tab).copied().unwrap_or_default();
            let at_us = (self.now_us + delay).max(before + 1);
            self.tabs[other].heard_us.insert(tab, at_us);
            self.queue.plan(at_us, Event::Tab(other, Input::Message(bytes.to_vec())));
        }
    }

    fn lock(&mut self, tab: usize, output: &Output) {
        let device = self.tabs[tab].device;
        self.tabs[tab].asked_lock = true;
        match output {
            Output::RequestLock if self.devices[device].lock.is_none() => self.give_lock(tab),
            Output::RequestLock => self.devices[device].waiting.push_back(tab),
            Output::StealLock => {
                self.devices[device].waiting.retain(|waiting| *waiting != tab);
                if let Some(robbed) = self.devices[device].lock {
                    self.labels.see("lock stolen");
                    self.queue.plan(self.now_us + 1, Event::Tab(robbed, Input::LockLost));
                }
                self.give_lock(tab);
            }
            Output::ReleaseLock if self.devices[device].lock == Some(tab) => self.release(device),
            _ => {}
        }
    }

    fn give_lock(&mut self, tab: usize) {
        let device = self.tabs[tab].device;
        self.devices[device].lock = Some(tab);
        self.queue.plan(self.now_us + 1, Event::Tab(tab, Input::LockHeld));
    }

    fn release(&mut self, device: usize) {
        self.devices[device].lock = None;
        if let Some(next) = self.devices[device].waiting.pop_front() {
            self.labels.see("lead handed over");
            self.give_lock(next);
        }
    }

    /// The tab is gone between two instructions; the lock goes to whoever waits.
    pub(crate) fn kill(&mut self, tab: usize) {
        let device = self.tabs[tab].device;
        self.tabs[tab].alive = false;
        self.tabs[tab].socket = None;
        self.oracle.tab_died(tab);
        let left = self.live_tabs(device);
        // Who is frozen has noticed nothing yet, and knows of nothing newer.
        let is_frozen = |tab: usize| self.tabs[tab].frozen.is_some();
        let takes_it_along = |(at, tabs)| {
            (is_frozen(tab) || self.now_us < at + NOTICES_US) && left.iter().all(|tab| *tab >= tabs || is_frozen(*tab))
        };
        if self.devices[device].wiped.is_some_and(takes_it_along) {
            self.labels.see("wiped and left");
            self.oracle.forget(&self.tabs_of(device));
        }
        self.devices[device].waiting.retain(|waiting| *waiting != tab);
        if self.devices[device].lock == Some(tab) {
            self.release(device);
        }
    }

    /// The page is left: the engine writes what it has, and stops.
    pub(crate) fn close(&mut self, tab: usize) {
        let now = self.clocks(self.tabs[tab].device);
        self.tabs[tab].closing = true;
        self.tabs[tab].engine.close(now);
        self.drain(tab);
    }

    pub(crate) fn thaw(&mut self, tab: usize) {
        let Some(waiting) = self.tabs[tab].frozen.take() else { return };
        for input in waiting {
            if self.tabs[tab].alive {
                self.hand(tab, input);
            }
        }
        if self.tabs[tab].alive {
            self.hand(tab, Input::Visible(true));
        }
    }
}
