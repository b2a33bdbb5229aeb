//! The network between tabs and the server: requests and sockets, with delays and everything that goes wrong with them.

use tidewire_core::authority::memory::server::Subscription;
use tidewire_core::io::{Fetch, Input, Token};
use tidewire_core::json::{self, JsonLimits, Value};

use crate::device::Device;
use crate::scenario::Rates;
use crate::server::Server;
use crate::users::POISON;
use crate::world::{Event, World};

/// Statuses of failure, as gateways and servers give them.
const STATUSES: [u16; 8] = [408, 425, 429, 500, 502, 503, 504, 404];
const PORTAL: &str = "<html>Welcome to the hotel</html>";
/// A late answer is so much later at the most; requests are given up after ten seconds.
const LATE_US: u64 = 20_000_000;

/// The live channel of a tab.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) token: Token,
    pub(crate) subscription: Option<Subscription>,
    /// The server is going to look what it has not been told.
    is_looked_after: bool,
}

/// What an answer is made of.
struct Head {
    status: u16,
    retry_after_ms: Option<u64>,
    json: bool,
}

impl World {
    fn way_us(&mut self, device: usize) -> u64 {
        500 + self.devices[device].random.below(self.setup.delays.network_us)
    }

    pub(crate) fn fetch(&mut self, tab: usize, token: Token, request: Fetch) {
        let device = self.tabs[tab].device;
        if request.path == "push" {
            self.check_fence(tab, request.body.as_deref().unwrap_or_default());
            self.check_versions(tab, request.body.as_deref().unwrap_or_default());
        }
        let Rates { request_lost, request_twice, silent, .. } = self.setup.rates;
        if !self.devices[device].online {
            return self.fail_request(tab, token, 100);
        }
        let at_us = self.now_us + self.way_us(device);
        if self.devices[device].hole_up || self.happens(device, silent, "request swallowed") {
            return;
        }
        if self.happens(device, request_lost, "request lost") {
            return self.fail_request(tab, token, 1_000);
        }
        if self.happens(device, request_twice, "request twice") {
            let again = at_us + self.way_us(device) * 20;
            self.queue.plan(again, Event::Request(tab, Token::MAX, request.clone()));
        }
        self.queue.plan(at_us, Event::Request(tab, token, request));
    }

    /// As long as there are faults the server cannot bear some contents.
    fn is_poisoned(&mut self, body: &str) -> bool {
        let is = !self.healed && body.contains(POISON);
        if is {
            self.labels.see("poison met");
        }
        is
    }

    fn fail_request(&mut self, tab: usize, token: Token, after_us: u64) {
        let input = Input::NetFailed { token, message: "no connection".into() };
        self.queue.plan(self.now_us + after_us, Event::Tab(tab, input));
    }

    /// A request is at the server, or at something that answers in its place.
    pub(crate) fn request(&mut self, tab: usize, token: Token, request: &Fetch) {
        let device = self.tabs[tab].device;
        let Rates { answer_lost, status, portal, cut, late, .. } = self.setup.rates;
        let is_push = request.path == "push";
        if self.server_down.is_some() || self.happens(device, status, "status of failure") {
            let status = STATUSES[self.devices[device].random.index(STATUSES.len())];
            let retry_after_ms = Some(self.devices[device].random.below(5_000)).filter(|ms| ms % 2 == 0);
            let head = Head { status, retry_after_ms, json: true };
            return self.deliver(tab, token, &head, r#"{"code":"server-error","message":""}"#, None);
        }
        if self.happens(device, portal, "portal") {
            let head = Head { status: 200, retry_after_ms: None, json: false };
            return self.deliver(tab, token, &head, PORTAL, None);
        }
        let body = request.body.as_deref().unwrap_or_default();
        if self.is_poisoned(body) {
            let head = Head { status: 500, retry_after_ms: None, json: true };
            return self.deliver(tab, token, &head, r#"{"code":"server-error","message":""}"#, None);
        }
        let now_ms = self.server_ms();
        let bearer = request.bearer.as_deref();
        let (status, answer) = self.server.answer(&request.path, bearer, body, now_ms, &mut self.labels);
        self.remark(|| format!("tab {tab} is answered {status} {answer}"));
        self.after_commit();
        self.check_canaries(device, &answer);
        if is_push {
            self.check_verdicts(device, body, &answer);
        }
        if token == Token::MAX || self.devices[device].hole_down {
            return;
        }
        if self.happens(device, answer_lost, if is_push { "answer to a push lost" } else { "answer lost" }) {
            return self.fail_request(tab, token, 1_000);
        }
        let cut = self.happens(device, cut, "answer cut");
        let cut_at = cut.then(|| self.devices[device].random.index(answer.len().max(1)));
        if self.happens(device, late, "answer late") {
            let by_us = self.devices[device].random.below(LATE_US);
            // It is on its way; nothing else is held up by it.
            self.now_us += by_us;
            self.deliver(tab, token, &Head { status, retry_after_ms: None, json: true }, &answer, cut_at);
            self.now_us -= by_us;
            return;
        }
        self.deliver(tab, token, &Head { status, retry_after_ms: None, json: true }, &answer, cut_at);
    }

    fn deliver(&mut self, tab: usize, token: Token, head: &Head, text: &str, cut_at: Option<usize>) {
        let device = self.tabs[tab].device;
        let mut at_us = self.now_us + self.way_us(device);
        let Head { status, retry_after_ms, json } = *head;
        let mut plan = |input| {
            self.queue.plan(at_us, Event::Tab(tab, input));
            at_us += 40;
        };
        plan(Input::Response { token, status, retry_after_ms, json });
        let bytes = text.as_bytes();
        let bytes = bytes.get(..cut_at.unwrap_or(bytes.len())).unwrap_or(bytes);
        for piece in bytes.chunks(4_096) {
            plan(Input::Chunk { token, bytes: piece.to_vec() });
        }
        plan(match cut_at {
            Some(_) => Input::NetFailed { token, message: "cut".into() },
            None => Input::Finished { token },
        });
    }

    pub(crate) fn open_socket(&mut self, tab: usize, token: Token) {
        let device = self.tabs[tab].device;
        let at_us = self.now_us + self.way_us(device);
        self.tabs[tab].socket = None;
        let Device { online, hole_up, .. } = self.devices[device];
        if !online || !self.setup.channel || self.server_down.is_some() {
            return self.queue.plan(at_us, Event::Tab(tab, Input::SocketClosed { token, code: 1006 }));
        }
        self.tabs[tab].socket = Some(Socket { token, subscription: None, is_looked_after: false });
        if !hole_up {
            self.queue.plan(at_us, Event::Socket(tab, token));
        }
    }

    pub(crate) fn close_socket(&mut self, tab: usize, token: Token) {
        if self.tabs[tab].socket.as_ref().is_some_and(|socket| socket.token == token) {
            self.tabs[tab].socket = None;
        }
        self.queue.plan(self.now_us + 10, Event::Tab(tab, Input::SocketClosed { token, code: 1000 }));
    }

    /// The channel of a tab breaks, if it has one.
    pub(crate) fn cut_socket(&mut self, tab: usize, code: u16) {
        if let Some(Socket { token, .. }) = self.tabs[tab].socket.take() {
            self.labels.see("channel cut");
            self.tell(tab, Input::SocketClosed { token, code });
        }
    }

    fn has_socket(&self, tab: usize, token: Token) -> bool {
        self.tabs[tab].alive && self.tabs[tab].socket.as_ref().is_some_and(|socket| socket.token == token)
    }

    pub(crate) fn socket_opens(&mut self, tab: usize, token: Token) {
        if self.has_socket(tab, token) {
            self.tell(tab, Input::SocketOpen { token });
        }
    }

    /// A tab says something on its channel.
    pub(crate) fn say(&mut self, tab: usize, token: Token, text: String) {
        let device = self.tabs[tab].device;
        if !self.has_socket(tab, token) || self.devices[device].hole_up {
            return;
        }
        if text.starts_with(r#"{"t":"push""#) {
            self.check_fence(tab, &text);
            self.check_versions(tab, &text);
        }
        let at_us = (self.now_us + self.way_us(device)).max(self.tabs[tab].up_us + 1);
        self.tabs[tab].up_us = at_us;
        self.queue.plan(at_us, Event::Said(tab, token, text));
    }

    /// The server hears it.
    pub(crate) fn socket_says(&mut self, tab: usize, token: Token, text: &str) {
        if !self.has_socket(tab, token) {
            return;
        }
        if self.server_down.is_some() {
            return self.cut_socket(tab, 1012);
        }
        // A push is read as the very text that it is.
        let (head, body) = text.split_once("\"body\":").unwrap_or((text, ""));
        let id = head.strip_prefix(r#"{"t":"push","id":"#).and_then(|rest| rest.trim_end_matches(',').parse().ok());
        match id {
            Some(id) => self.push_said(tab, token, id, body.strip_suffix('}').unwrap_or_default()),
            None => self.greet(tab, token, text),
        }
    }

    fn greet(&mut self, tab: usize, token: Token, text: &str) {
        let message = json::parse(text.as_bytes(), JsonLimits::MESSAGE).unwrap_or(Value::Null);
        match message.get("t").and_then(Value::as_str) {
            Some("auth") => {
                let Some((ready, subscription)) = self.server.subscribe(text, self.server_ms()) else {
                    return self.cut_socket(tab, 1008);
                };
                if let Some(socket) = &mut self.tabs[tab].socket {
                    socket.subscription = Some(subscription);
                }
                self.send_down(tab, token, ready);
                self.plan_look(tab);
            }
            Some("ping") => {
                let subscription = self.tabs[tab].socket.as_ref().and_then(|socket| socket.subscription.as_ref());
                let Some(seq) = subscription.map(|subscription| subscription.told.seq) else { return };
                self.send_down(tab, token, format!(r#"{{"t":"pong","seq":{seq}}}"#));
            }
            _ => {}
        }
    }

    fn push_said(&mut self, tab: usize, token: Token, id: u64, body: &str) {
        let device = self.tabs[tab].device;
        let Some(socket) = &self.tabs[tab].socket else { return };
        let Some(subscription) = socket.subscription.clone() else { return };
        let Rates { request_lost, answer_lost, status, .. } = self.setup.rates;
        if self.happens(device, request_lost, "push on the channel lost") {
            return self.cut_socket(tab, 1006);
        }
        if self.happens(device, status, "status on the channel") {
            let status = STATUSES[self.devices[device].random.index(STATUSES.len())];
            return self.send_down(tab, token, Server::refuse_said(id, status));
        }
        if self.is_poisoned(body) {
            return self.send_down(tab, token, Server::refuse_said(id, 500));
        }
        let now_ms = self.server_ms();
        let answer = self.server.push_said(&subscription, id, body, now_ms, &mut self.labels);
        self.remark(|| format!("tab {tab} is answered on its channel {answer}"));
        self.after_commit();
        self.check_canaries(device, &answer);
        self.check_verdicts(device, body, &answer);
        if self.happens(device, answer_lost, "answer on the channel lost") {
            return self.cut_socket(tab, 1006);
        }
        self.send_down(tab, token, answer);
    }

    fn send_down(&mut self, tab: usize, token: Token, text: String) {
        let device = self.tabs[tab].device;
        if self.devices[device].hole_down {
            return;
        }
        let at_us = (self.now_us + self.way_us(device)).max(self.tabs[tab].down_us + 1);
        self.tabs[tab].down_us = at_us;
        self.queue.plan(at_us, Event::Tab(tab, Input::SocketMessage { token, text }));
    }

    /// Whoever listens is going to be told.
    pub(crate) fn after_commit(&mut self) {
        if self.setup.teams {
            self.papers.note_readers(&self.server, &self.users());
        }
        for tab in 0..self.tabs.len() {
            if self.tabs[tab].alive {
                self.plan_look(tab);
            }
        }
        if let Some((invariant, what)) = self.server.wrong.take() {
            self.fail(invariant, what);
        }
    }

    fn plan_look(&mut self, tab: usize) {
        let Some(socket) = &mut self.tabs[tab].socket else { return };
        if socket.subscription.is_some() && !socket.is_looked_after {
            socket.is_looked_after = true;
            let token = socket.token;
            let at_us = self.now_us + self.random.below(2_000);
            self.queue.plan(at_us, Event::Look(tab, token));
        }
    }

    pub(crate) fn look(&mut self, tab: usize, token: Token) {
        let device = self.tabs[tab].device;
        if !self.has_socket(tab, token) {
            return;
        }
        let Some(Socket { subscription: Some(subscription), is_looked_after, .. }) = &mut self.tabs[tab].socket else {
            return;
        };
        *is_looked_after = false;
        let Some(frame) = self.server.frame(subscription) else { return };
        self.check_canaries(device, &frame);
        if self.happens(device, self.setup.rates.frame_lost, "frame lost") {
            // A frame that is not there without its channel breaking is what a proxy does that swallows one.
            if self.devices[device].random.chance(500) {
                self.cut_socket(tab, 1006);
            }
            return;
        }
        self.send_down(tab, token, frame);
    }
}
