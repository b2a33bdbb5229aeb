//! What stands between the tabs of a profile: the lock, or none; messages, the disk and the network, at once or when
//! the weather lets them through; tabs that freeze and die.

use std::collections::VecDeque;

use tidewire_core::io::{Input, Output, StoreOp, Token};

use super::{Tab, World};

/// How a browser treats its tabs.
#[derive(Default)]
pub struct Browser {
    /// An insecure context: there are no locks, and the shell says "held" as `pkg/src/host/lock.ts` does.
    pub lockless: bool,
    /// Without it everything arrives at once.
    pub weather: Option<Weather>,
    /// The tab that holds each profile's lock, and who waits.
    pub(super) locks: Vec<(Option<usize>, VecDeque<usize>)>,
    /// What is under way, and when it arrives.
    post: Vec<Parcel>,
    posted: u64,
}

/// Random delays and losses.
pub struct Weather {
    pub random: Random,
    /// The longest delay of anything.
    pub delay_ms: u64,
    /// Messages between tabs that never arrive, out of a hundred.
    pub lost: u64,
    /// A tab that is frozen gets no messages at all, as in the back-forward cache.
    pub deaf: bool,
}

impl Weather {
    /// Nothing is delayed or lost.
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), delay_ms: 0, lost: 0, deaf: false }
    }
}

/// Numbers that a seed decides (xorshift).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end.max(1)
    }
}

/// What arrives in the order in which it was sent.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Stream {
    Store,
    Answer(Token),
    Socket(Token),
    MessagesOf(usize),
}

struct Parcel {
    at_ms: u64,
    number: u64,
    tab: usize,
    stream: Stream,
    what: Content,
}

enum Content {
    Input(Input),
    Op(Token, StoreOp),
}

impl World {
    /// The tab is gone, between two instructions; the lock goes to whoever waits.
    pub fn kill(&mut self, tab: usize) {
        self.tabs[tab].dead = true;
        let Browser { post, weather, .. } = &mut self.browser;
        // The disk may still get what it was asked for.
        let mut is_kept = || weather.as_mut().is_none_or(|weather| weather.random.below(2) == 0);
        post.retain(|parcel| parcel.tab != tab || matches!(parcel.what, Content::Op(..)) && is_kept());
        let profile = self.tabs[tab].profile;
        self.browser.locks[profile].1.retain(|waiting| *waiting != tab);
        if self.browser.locks[profile].0 == Some(tab) {
            self.release(profile);
        }
    }

    /// The browser freezes a tab: its socket is cut, its lock stays.
    pub fn freeze(&mut self, tab: usize) {
        let closed = self.tabs[tab].socket.take();
        let closed = closed.map(|(token, _)| Input::SocketClosed { token, code: 1006 });
        self.tabs[tab].frozen = Some(closed.into_iter().collect());
    }

    /// It goes on as if nothing had been.
    pub fn thaw(&mut self, tab: usize) {
        for input in self.tabs[tab].frozen.take().unwrap_or_default() {
            self.tabs[tab].engine.handle(self.now, input);
        }
        if self.is_deaf() {
            self.tabs[tab].engine.handle(self.now, Input::Visible(true));
        }
    }

    /// Kills a profile's tabs and opens a fresh one.
    pub fn reload(&mut self, tab: usize) -> usize {
        let profile = self.tabs[tab].profile;
        for index in 0..self.tabs.len() {
            if self.tabs[index].profile == profile {
                self.kill(index);
            }
        }
        self.tab(profile)
    }

    fn release(&mut self, profile: usize) {
        self.browser.locks[profile].0 = self.browser.locks[profile].1.pop_front();
        if let Some(next) = self.browser.locks[profile].0 {
            self.tell(next, Input::LockHeld);
        }
    }

    /// What the shell does about the lock.
    pub(super) fn lock(&mut self, tab: usize, output: &Output) {
        let profile = self.tabs[tab].profile;
        let asked = std::mem::replace(&mut self.tabs[tab].asked_lock, true);
        if self.browser.lockless {
            if *output == Output::StealLock || (*output == Output::RequestLock && !asked) {
                self.tell(tab, Input::LockHeld);
            }
            return;
        }
        match output {
            Output::RequestLock if self.browser.locks[profile].0.is_none() => {
                self.browser.locks[profile].0 = Some(tab);
                self.tell(tab, Input::LockHeld);
            }
            Output::RequestLock => self.browser.locks[profile].1.push_back(tab),
            Output::StealLock => {
                self.browser.locks[profile].1.retain(|waiting| *waiting != tab);
                if let Some(robbed) = self.browser.locks[profile].0.replace(tab) {
                    self.tell(robbed, Input::LockLost);
                }
                self.tell(tab, Input::LockHeld);
            }
            Output::ReleaseLock if self.browser.locks[profile].0 == Some(tab) => self.release(profile),
            _ => {}
        }
    }

    pub(super) fn broadcast(&mut self, tab: usize, bytes: &[u8]) {
        for other in 0..self.tabs.len() {
            let Some(weather) = &mut self.browser.weather else {
                self.deliver(tab, other, bytes);
                continue;
            };
            if weather.random.below(100) >= weather.lost {
                self.deliver(tab, other, bytes);
            }
        }
    }

    fn deliver(&mut self, from: usize, to: usize, bytes: &[u8]) {
        if to != from && self.tabs[to].profile == self.tabs[from].profile {
            self.bring(to, Stream::MessagesOf(from), Input::Message(bytes.to_vec()));
        }
    }

    /// Hands an input to a tab, now or later.
    pub(super) fn bring(&mut self, tab: usize, stream: Stream, input: Input) {
        self.post(tab, stream, Content::Input(input));
    }

    /// Asks the disk, now or later.
    pub(super) fn ask_disk(&mut self, tab: usize, token: Token, op: StoreOp) {
        self.post(tab, Stream::Store, Content::Op(token, op));
    }

    fn post(&mut self, tab: usize, stream: Stream, what: Content) {
        let Browser { weather, post, posted, .. } = &mut self.browser;
        let Some(weather) = weather else { return self.unpack(tab, what) };
        let before = post.iter().filter(|parcel| (parcel.tab, parcel.stream) == (tab, stream));
        let not_before = before.map(|parcel| parcel.at_ms).max().unwrap_or_default();
        let at_ms = not_before.max(self.now.mono_ms + weather.random.below(weather.delay_ms + 1));
        *posted += 1;
        post.push(Parcel { at_ms, number: *posted, tab, stream, what });
    }

    /// When the next thing arrives.
    pub(super) fn next_post(&self) -> Option<u64> {
        self.browser.post.iter().map(|parcel| parcel.at_ms).min()
    }

    /// Runs until this tab asks its store for something like that, which is left undone.
    pub fn until(&mut self, tab: usize, is_it: impl Fn(&StoreOp) -> bool) -> (Token, StoreOp) {
        for _ in 0..1_000 {
            while let Some(output) = self.tabs[tab].engine.poll() {
                self.tabs[tab].outputs.push_back(output);
            }
            if let Some(Output::Store { op, .. }) = self.tabs[tab].outputs.front()
                && is_it(op)
                && let Some(Output::Store { token, op }) = self.tabs[tab].outputs.pop_front()
            {
                return (token, op);
            }
            self.step();
        }
        panic!("it asks for nothing of that kind");
    }

    /// Delivers one thing that is due. Returns whether there was one.
    pub(super) fn deliver_post(&mut self) -> bool {
        let due = self.browser.post.iter().enumerate().filter(|(_, parcel)| parcel.at_ms <= self.now.mono_ms);
        let Some((index, _)) = due.min_by_key(|(_, parcel)| (parcel.at_ms, parcel.number)) else { return false };
        let Parcel { tab, what, .. } = self.browser.post.remove(index);
        self.unpack(tab, what);
        true
    }

    fn unpack(&mut self, tab: usize, what: Content) {
        match what {
            Content::Input(input) => self.tell(tab, input),
            Content::Op(token, op) => {
                let is_append = matches!(op, StoreOp::Append { .. });
                let fault = if is_append { self.tabs[tab].store_faults.pop_front() } else { None };
                let profile = self.tabs[tab].profile;
                let result = fault.map_or_else(|| self.disks[profile].carry_out(op), Err);
                self.bring(tab, Stream::Store, Input::Stored { token, result });
            }
        }
    }

    fn tell(&mut self, tab: usize, input: Input) {
        let is_deaf = self.is_deaf();
        let now = self.now;
        let Tab { frozen, dead, engine, .. } = &mut self.tabs[tab];
        match frozen {
            _ if *dead => {}
            Some(_) if is_deaf && matches!(input, Input::Message(_)) => {}
            Some(waiting) => waiting.push(input),
            None => engine.handle(now, input),
        }
    }

    fn is_deaf(&self) -> bool {
        self.browser.weather.as_ref().is_some_and(|weather| weather.deaf)
    }
}
