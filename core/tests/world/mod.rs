//! A world for the engine: profiles with disks, tabs, one server over `MemoryStore`, all in one thread and without
//! a clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a module of test files"
)]
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod browser;
pub mod disk;
mod net;
mod ops;
pub mod parked;
pub mod partial;
pub mod server;
mod strict;

use std::collections::VecDeque;

use tidewire_core::engine::Engine;
use tidewire_core::error::Code;
use tidewire_core::io::{Event, Input, Now, Output, StoreError};
use tidewire_core::json;
use tidewire_core::json::{Map, Value};

use browser::Browser;
use disk::Disk;
#[allow(unused_imports, reason = "each test file uses a part of it")]
pub use ops::{delete, inc, insert, set};
use server::Server;

/// What happens to the next request of a kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// It never arrives.
    Lost,
    /// The same, and the live channel breaks with it.
    LineCut { channel_first: bool },
    /// Nothing ever comes back, not even an error.
    Silent,
    /// It is carried out; the answer is lost.
    AnswerLost,
    /// The answer is cut after so many bytes.
    Cut(usize),
    /// Answered with a status and maybe `Retry-After`.
    Status(u16, Option<u64>),
    /// Answered 200 with a page of a captive portal.
    Portal,
    /// Answered 200 with this text, as JSON or not.
    Says(String, bool),
    /// Answered now; the answer arrives with [`World::deliver_late`].
    Late,
    /// Carried out twice; the second answer comes back.
    Twice,
}

pub struct Tab {
    pub engine: Engine,
    pub profile: usize,
    pub user: String,
    pub outputs: VecDeque<Output>,
    pub events: Vec<Value>,
    pub opened: bool,
    /// Why it could not be opened.
    pub refused: Option<Code>,
    pub dead: bool,
    /// It asked for the lock before.
    pub asked_lock: bool,
    /// Frozen by the browser: it runs nothing and keeps the lock; what comes meanwhile waits here.
    pub frozen: Option<Vec<Input>>,
    pub tokens: VecDeque<Option<String>>,
    pub asked: Vec<&'static str>,
    pub socket: Option<(u64, Option<Value>)>,
    pub wake: Option<u64>,
    pub pushes: Vec<Value>,
    /// Their very bytes.
    pub bodies: Vec<String>,
    /// Those that came on the live channel.
    pub said: Vec<Value>,
    /// How long a request takes to the server, and its answer back. Time passes for all; nothing else happens.
    pub latency: (u64, u64),
    /// The next store operations fail so.
    pub store_faults: VecDeque<StoreError>,
}

impl Tab {
    fn runs(&self) -> bool {
        !self.dead && self.frozen.is_none()
    }
}

pub struct World {
    pub server: Server,
    pub disks: Vec<Disk>,
    pub tabs: Vec<Tab>,
    pub now: Now,
    /// Faults for the next pushes and pulls, in order.
    pub push_faults: VecDeque<Fault>,
    pub pull_faults: VecDeque<Fault>,
    /// ... and for the next pushes on the live channel. Where the answer is lost, so is the channel.
    pub said_faults: VecDeque<Fault>,
    /// Answers that have not arrived yet.
    late: Vec<(usize, u64, u16, String)>,
    /// Without it every request fails and no socket opens.
    pub network: bool,
    pub sockets: bool,
    /// Frames go and never arrive, while the socket stays open.
    pub loses_frames: bool,
    /// Who signs in to new tabs.
    pub user: String,
    /// Faults for the next tab.
    first_faults: Vec<StoreError>,
    /// The next tab has part of the code only.
    in_part: bool,
    pub browser: Browser,
    entropy: u8,
}

pub fn world() -> World {
    World {
        server: Server::default(),
        disks: Vec::new(),
        tabs: Vec::new(),
        now: Now { wall_ms: 1_700_000_000_000, mono_ms: 1_000 },
        push_faults: VecDeque::new(),
        pull_faults: VecDeque::new(),
        said_faults: VecDeque::new(),
        late: Vec::new(),
        network: true,
        sockets: true,
        loses_frames: false,
        user: "ada".into(),
        first_faults: Vec::new(),
        in_part: false,
        browser: Browser::default(),
        entropy: 0,
    }
}

/// Two devices that know `d1`.
pub fn pair() -> (World, usize, usize) {
    let mut world = world();
    let (a, b) = (world.device(), world.device());
    world.write(a, insert("d1", json!({"f": 0, "g": 0})));
    world.run(1_000);
    (world, a, b)
}

impl World {
    /// A new profile with one open tab.
    pub fn device(&mut self) -> usize {
        let profile = self.profile();
        self.tab(profile)
    }

    /// A new profile.
    pub fn profile(&mut self) -> usize {
        self.disks.push(Disk::default());
        self.browser.locks.push((None, VecDeque::new()));
        self.disks.len() - 1
    }

    /// A new profile whose first appends fail so.
    pub fn device_with(&mut self, faults: Vec<StoreError>) -> usize {
        self.first_faults = faults;
        self.device()
    }

    /// A copy of a profile, as it is on the disk, with one open tab.
    pub fn copy_of(&mut self, tab: usize) -> usize {
        let disk = self.disks[self.tabs[tab].profile].clone();
        self.disks.push(disk);
        self.browser.locks.push((None, VecDeque::new()));
        self.tab(self.disks.len() - 1)
    }

    /// Another tab of a profile.
    pub fn tab(&mut self, profile: usize) -> usize {
        self.tab_with(profile, json!({}))
    }

    /// A new profile with a tab that has part of the code, until [`Self::complete`].
    pub fn device_in_part(&mut self) -> usize {
        self.in_part = true;
        self.device()
    }

    /// Another tab of a profile, and this one has part of the code.
    pub fn tab_in_part(&mut self, profile: usize) -> usize {
        self.in_part = true;
        self.tab(profile)
    }

    pub fn complete(&mut self, tab: usize) {
        self.tabs[tab].engine.handle(self.now, Input::Whole);
        self.settle();
    }

    pub fn tab_with(&mut self, profile: usize, options: Value) -> usize {
        self.entropy += 1;
        let mut config = json!({"name": "test", "url": "http://localhost", "collections": {"deals": {}, "people": {}}});
        for (key, value) in options.as_object().into_iter().flat_map(Map::iter) {
            config[key] = value.clone();
        }
        let mut engine = Engine::new(&config.to_string(), [self.entropy; 16]).unwrap();
        if std::mem::take(&mut self.in_part) {
            engine.in_part();
        }
        self.tabs.push(Tab {
            engine,
            profile,
            user: self.user.clone(),
            outputs: VecDeque::new(),
            events: Vec::new(),
            opened: false,
            refused: None,
            dead: false,
            asked_lock: false,
            frozen: None,
            tokens: VecDeque::new(),
            asked: Vec::new(),
            socket: None,
            wake: None,
            pushes: Vec::new(),
            bodies: Vec::new(),
            said: Vec::new(),
            latency: (0, 0),
            store_faults: std::mem::take(&mut self.first_faults).into(),
        });
        let tab = self.tabs.len() - 1;
        self.tabs[tab].engine.open(self.now);
        self.settle();
        tab
    }

    pub fn write(&mut self, tab: usize, op: Value) -> u64 {
        self.write_all(tab, false, json!([op]))
    }

    pub fn write_all(&mut self, tab: usize, atomic: bool, ops: Value) -> u64 {
        let request = json!({"atomic": atomic, "ops": ops}).to_string();
        let answer = self.tabs[tab].engine.write(self.now, &request, "").unwrap();
        serde_json::from_str::<Value>(&answer).unwrap()["write"].as_u64().unwrap()
    }

    pub fn command(&mut self, tab: usize, command: Value) -> Value {
        serde_json::from_str(&self.tabs[tab].engine.command(self.now, &command.to_string()).unwrap()).unwrap()
    }

    pub fn row(&self, tab: usize, id: &str) -> Option<Value> {
        self.tabs[tab].engine.row("deals", id).unwrap().map(|row| serde_json::from_str(&row).unwrap())
    }

    pub fn view(&self, tab: usize, what: &str) -> Value {
        serde_json::from_str(&self.tabs[tab].engine.view(self.now, what).unwrap()).unwrap()
    }

    /// Events of a type, oldest first.
    pub fn events(&self, tab: usize, kind: &str) -> Vec<Value> {
        self.tabs[tab].events.iter().filter(|event| event["type"] == kind).cloned().collect()
    }

    pub fn set_network(&mut self, network: bool) {
        self.network = network;
        for tab in 0..self.tabs.len() {
            if let (false, Some((token, _))) = (network, self.tabs[tab].socket.clone()) {
                self.tabs[tab].socket = None;
                self.tabs[tab].engine.handle(self.now, Input::SocketClosed { token, code: 1006 });
            }
            if !self.tabs[tab].dead {
                self.tabs[tab].engine.handle(self.now, Input::Online(network));
            }
        }
        self.settle();
    }

    /// Runs until nothing is left to do at this time.
    pub fn settle(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// Runs, and lets time pass to each wake-up, for so long.
    pub fn run(&mut self, ms: u64) {
        let end = self.now.mono_ms + ms;
        self.settle();
        loop {
            let wakes = self.tabs.iter().filter(|tab| tab.runs()).filter_map(|tab| tab.wake);
            let next = wakes.chain(self.next_post()).min();
            let Some(at) = next.filter(|at| *at <= end) else { break };
            self.pass(at.saturating_sub(self.now.mono_ms));
            for tab in 0..self.tabs.len() {
                if self.tabs[tab].runs() && self.tabs[tab].wake.is_some_and(|wake| wake <= self.now.mono_ms) {
                    self.tabs[tab].wake = None;
                    self.tabs[tab].engine.handle(self.now, Input::Wake);
                }
            }
            self.settle();
        }
        self.pass(end.saturating_sub(self.now.mono_ms));
    }

    fn pass(&mut self, ms: u64) {
        self.now.wall_ms += ms;
        self.now.mono_ms += ms;
    }

    /// Carries out one output of one tab. Returns whether there was one.
    pub fn step(&mut self) -> bool {
        if self.deliver_post() {
            return true;
        }
        for tab in 0..self.tabs.len() {
            if !self.tabs[tab].runs() {
                continue;
            }
            while let Some(output) = self.tabs[tab].engine.poll() {
                self.tabs[tab].outputs.push_back(output);
            }
            if let Some(output) = self.tabs[tab].outputs.pop_front() {
                self.carry_out(tab, output);
                return true;
            }
        }
        self.deliver_frames()
    }

    fn carry_out(&mut self, tab: usize, output: Output) {
        match output {
            Output::Store { token, op } => self.ask_disk(tab, token, op),
            Output::Fetch { token, request } => self.fetch(tab, token, request),
            Output::SocketOpen { token } => self.open_socket(tab, token),
            Output::SocketSend { token, text } => self.socket_says(tab, token, &text),
            Output::SocketClose { .. } => self.tabs[tab].socket = None,
            Output::AskToken { why } => {
                self.tabs[tab].asked.push(why.as_str());
                let user = self.tabs[tab].user.clone();
                let token = self.tabs[tab].tokens.pop_front().unwrap_or(Some(user));
                self.tabs[tab].engine.handle(self.now, Input::Token { result: Ok(token) });
            }
            Output::Broadcast(bytes) => self.broadcast(tab, &bytes),
            Output::RequestLock | Output::StealLock | Output::ReleaseLock => self.lock(tab, &output),
            Output::Wake { at_mono_ms } => self.tabs[tab].wake = Some(at_mono_ms),
            Output::Event(Event::Opened) => self.tabs[tab].opened = true,
            Output::Event(Event::Json(event)) => self.tabs[tab].events.push(event),
            Output::Event(Event::OpenFailed(error)) => self.tabs[tab].refused = Some(error.code),
            Output::Event(event) => panic!("{event:?}"),
            _ => {}
        }
    }
}
