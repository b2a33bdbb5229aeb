//! The whole world of one run: devices with stores and tabs, one server, the network between them, and time, which
//! passes from event to event.
//!
//! Everything runs in one thread and nothing reads a clock: the same scenario gives the same events in the same order,
//! which [`World::hash`] shows.

use tidewire_core::io::{Fetch, Input, Now, StoreOp, Token};
use xxhash_rust::xxh64::xxh64;

use crate::device::{Device, Tab};
use crate::labels::Labels;
use crate::oracle::Oracle;
use crate::papers::Papers;
use crate::queue::Queue;
use crate::random::Random;
use crate::scenario::{Scenario, Setup};
use crate::server::{COLLECTIONS, Server};

/// When the world begins, by the server's clock, in milliseconds since 1970.
pub(crate) const BEGIN_MS: u64 = 1_700_000_000_000;

/// How often a device compares what it has with what the server has.
const VERIFY_MS: u64 = 300_000;

/// So many events at one moment are an engine that asks to be woken again and again.
const AT_ONCE_MAX: u64 = 20_000;

/// What happens at a moment.
#[derive(Debug)]
pub(crate) enum Event {
    /// An action of the scenario, by its index.
    Act(usize),
    /// A tab is handed something.
    Tab(usize, Input),
    /// A store carries something out for a tab.
    Disk(usize, Token, StoreOp),
    /// A request of a tab is at the server.
    Request(usize, Token, Fetch),
    /// A tab's socket is at the server.
    Socket(usize, Token),
    /// ... and what it says.
    Said(usize, Token, String),
    /// The server looks what a socket has not been told.
    Look(usize, Token),
    /// A tab's wake-up, if no newer one was asked for.
    Wake(usize, u64),
    /// Something that lasted some time is over.
    Over(Lasting),
}

/// What lasts some time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lasting {
    Freeze(usize),
    Offline(usize, u64),
    Hole(usize, u64),
    Server(u64),
    Browser(usize),
    Worker(usize),
}

/// What was not kept, and where it showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The number of the invariant in `docs/TESTING.md`.
    pub invariant: u32,
    /// What was seen.
    pub what: String,
}

/// One world.
pub(crate) struct World {
    pub(crate) setup: Setup,
    /// Since the beginning.
    pub(crate) now_us: u64,
    pub(crate) queue: Queue<Event>,
    pub(crate) devices: Vec<Device>,
    pub(crate) tabs: Vec<Tab>,
    pub(crate) server: Server,
    /// The newest release of the app.
    pub(crate) app_version: u64,
    /// Until then it answers nothing.
    pub(crate) server_down: Option<u64>,
    pub(crate) oracle: Oracle,
    pub(crate) papers: Papers,
    pub(crate) labels: Labels,
    /// Of everything that belongs to no device.
    pub(crate) random: Random,
    /// Faults are over: what is left has to come to rest.
    pub(crate) healed: bool,
    pub(crate) broken: Option<Broken>,
    pub(crate) hash: u64,
    pub(crate) events: u64,
    /// Of them at this moment.
    at_once: u64,
    /// Injected by rates.
    pub(crate) injections: u64,
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) scenario: Scenario,
}

impl World {
    /// The world of a scenario, before its first event.
    pub(crate) fn new(scenario: &Scenario, trace: bool) -> Self {
        let setup = scenario.setup.clone();
        let mut world = Self {
            now_us: 0,
            queue: Queue::default(),
            devices: Vec::new(),
            tabs: Vec::new(),
            server: Server::new(&setup, BEGIN_MS),
            app_version: 1,
            server_down: None,
            oracle: Oracle::new(),
            papers: Papers::default(),
            labels: Labels::default(),
            random: Random::new(scenario.seed, 3),
            healed: false,
            broken: None,
            hash: scenario.seed,
            events: 0,
            at_once: 0,
            injections: 0,
            trace: trace.then(Vec::new),
            scenario: scenario.clone(),
            setup,
        };
        for index in 0..world.setup.devices.len() {
            let device = Device::new(&world.setup.devices[index], scenario.seed, index);
            world.devices.push(device);
            for _ in 0..world.setup.devices[index].tabs {
                world.open_tab(index);
            }
        }
        for (index, timed) in scenario.actions.iter().enumerate() {
            world.queue.plan(timed.at_ms * 1_000, Event::Act(index));
        }
        world
    }

    /// The next event. Returns whether there was one before this moment.
    pub(crate) fn step(&mut self, until_us: u64) -> bool {
        if self.queue.next_at().is_none_or(|at| at > until_us) {
            self.now_us = until_us;
            return false;
        }
        let Some((at_us, event)) = self.queue.next() else { return false };
        self.at_once = if at_us > self.now_us { 0 } else { self.at_once + 1 };
        if self.at_once > AT_ONCE_MAX {
            self.fail(3, format!("{AT_ONCE_MAX} events at one moment, and no end: {event:?}"));
        }
        self.now_us = self.now_us.max(at_us);
        self.events += 1;
        self.note(&event);
        match event {
            Event::Act(index) => self.act(index),
            Event::Tab(tab, input) => self.tell(tab, input),
            Event::Disk(tab, token, op) => self.carry_out(tab, token, op),
            Event::Request(tab, token, fetch) => self.request(tab, token, &fetch),
            Event::Socket(tab, token) => self.socket_opens(tab, token),
            Event::Said(tab, token, text) => self.socket_says(tab, token, &text),
            Event::Look(tab, token) => self.look(tab, token),
            Event::Wake(tab, number) => self.wake(tab, number),
            Event::Over(what) => self.end(what),
        }
        true
    }

    /// Runs until a moment, or until something is broken.
    pub(crate) fn run_until(&mut self, until_us: u64) {
        while self.broken.is_none() && self.step(until_us) {}
    }

    /// Something was not kept. The first one counts.
    pub(crate) fn fail(&mut self, invariant: u32, what: String) {
        self.broken.get_or_insert(Broken { invariant, what });
    }

    /// The server's clock.
    pub(crate) fn server_ms(&self) -> u64 {
        BEGIN_MS + self.now_us / 1_000
    }

    /// The clocks of a device.
    pub(crate) fn clocks(&self, device: usize) -> Now {
        let Device { offset_ms, drift_ppm, .. } = &self.devices[device];
        let passed = (self.now_us / 1_000).cast_signed();
        let wall = BEGIN_MS.cast_signed() + passed + passed * drift_ppm / 1_000_000 + offset_ms;
        Now { wall_ms: wall.max(1).cast_unsigned(), mono_ms: 1 + self.now_us / 1_000 }
    }

    /// A rate of the setup, while there are faults at all. What comes true is counted.
    pub(crate) fn happens(&mut self, device: usize, per_mille: u32, what: &'static str) -> bool {
        let happens = !self.healed && self.devices[device].random.chance(per_mille);
        if happens {
            self.injections += 1;
            self.labels.see(what);
        }
        happens
    }

    /// The declared options of a tab of a release.
    pub(crate) fn options(&self, version: u64) -> String {
        let collections: Vec<String> = COLLECTIONS.iter().map(|name| format!("\"{name}\":{{}}")).collect();
        format!(
            r#"{{"name":"sim","url":"http://sim",{}"verifyMs":{VERIFY_MS},"collections":{{{}}}}}"#,
            self.declared(version),
            collections.join(",")
        )
    }

    /// A line of the trace.
    pub(crate) fn remark(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>12} us  {}", self.now_us, what()));
        }
    }

    fn note(&mut self, event: &Event) {
        let (kind, who, size) = match event {
            Event::Act(index) => (0, *index, 0),
            Event::Tab(tab, input) => (1, *tab, weigh(input)),
            Event::Disk(tab, token, _) => (2, *tab, *token),
            Event::Request(tab, token, fetch) => (3, *tab, token ^ hash_of(fetch.body.as_deref().unwrap_or_default())),
            Event::Socket(tab, token) => (4, *tab, *token),
            Event::Said(tab, _, text) => (5, *tab, hash_of(text)),
            Event::Look(tab, token) => (6, *tab, *token),
            Event::Wake(tab, number) => (7, *tab, *number),
            Event::Over(_) => (8, 0, 0),
        };
        let parts = [self.now_us, kind, who as u64, size];
        self.hash = parts.iter().fold(self.hash, |hash, part| xxh64(&part.to_le_bytes(), hash));
        if let Some(trace) = &mut self.trace {
            let text = format!("{event:?}");
            let text: String = text.chars().take(4_000).collect();
            trace.push(format!("{:>12} us  {text}", self.now_us));
        }
    }
}

/// Of what a tab is handed: what came from elsewhere as text.
fn weigh(input: &Input) -> u64 {
    match input {
        Input::Chunk { token, bytes } => xxh64(bytes, *token),
        Input::Message(bytes) => xxh64(bytes, 0),
        Input::SocketMessage { token, text } => token ^ hash_of(text),
        Input::Response { token, status, .. } => token ^ u64::from(*status),
        Input::Stored { token, result } => token ^ u64::from(result.is_ok()),
        _ => 0,
    }
}

fn hash_of(text: &str) -> u64 {
    xxh64(text.as_bytes(), 0)
}
