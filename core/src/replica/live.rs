//! The live channel: frames that continue the cursor are applied, everything else is a hint to pull (rule 21).
//! Correctness never depends on it.

use crate::json;

use crate::error::Code;
use crate::ids::Seq;
use crate::io::{Now, Output, Token};
use crate::limits::{LIVE_PUSH_BYTES_MAX, SOCKET_HEARTBEAT_MS};
use crate::log::record::Changes;
use crate::model::cursor::Cursor;
use crate::planted::Bug;
use crate::protocol::message::{ClientMessage, ErrorBody, VERSION};
use crate::protocol::read::{Frame, Live as Said, Ready};
use crate::queue::backoff::Backoff;
use crate::replica::Replica;
use crate::replica::step::changes_records;

/// The connection broke, or never came about (RFC 6455, 7.1.5).
const CODE_ABNORMAL: u16 = 1006;
/// Frames that wait for the log; behind more of them a pull is as good.
const HELD_MAX: usize = 100;

/// The socket side.
#[derive(Debug, Default)]
pub struct Live {
    socket: Option<Socket>,
    backoff: Backoff,
    /// Where the records lead that are on their way into the log.
    pub(crate) tip: Option<Cursor>,
    /// Where the server stood when it last spoke during a pull: if the pull does not reach it, another one has to.
    pub(crate) goal: Option<Cursor>,
    /// Frames that change what is on its way into the log.
    held: Vec<Frame>,
}

#[derive(Debug)]
struct Socket {
    token: Token,
    ready: bool,
    /// The server takes pushes here, in messages of up to so many bytes.
    push_bytes: usize,
    opened_ms: u64,
    /// The first message was sent.
    asked_ms: u64,
    /// Something came.
    heard_ms: u64,
    pinged_ms: u64,
}

impl Live {
    pub(crate) fn is_ready(&self) -> bool {
        self.socket.as_ref().is_some_and(|socket| socket.ready)
    }

    /// The user wants it tried now.
    pub(crate) fn hurry(&mut self) {
        self.backoff.not_before_ms = 0;
    }
}

impl Replica {
    pub(crate) fn advance_live(&mut self, now: Now) {
        if self.session.ready().is_none() {
            return self.close_live();
        }
        self.take_held(now);
        let Some(socket) = &self.live.socket else {
            if self.live.backoff.is_ready(now.mono_ms) {
                let token = self.token();
                self.output(Output::SocketOpen { token });
                let at_ms = now.mono_ms;
                let socket = Socket {
                    token,
                    ready: false,
                    push_bytes: 0,
                    opened_ms: at_ms,
                    asked_ms: at_ms,
                    heard_ms: at_ms,
                    pinged_ms: at_ms,
                };
                self.live.socket = Some(socket);
                self.wish(now.mono_ms + self.config.timeout_ms);
            } else {
                self.wish(self.live.backoff.not_before_ms);
            }
            return;
        };
        let limit = if socket.ready { 2 * SOCKET_HEARTBEAT_MS } else { self.config.timeout_ms };
        let dies_ms = socket.heard_ms + limit;
        let ping_ms = socket.pinged_ms.max(socket.heard_ms) + SOCKET_HEARTBEAT_MS;
        if now.mono_ms >= dies_ms {
            // Half open: nothing came for two heartbeats.
            self.close_live();
            self.live_failed(now);
            self.wish(self.live.backoff.not_before_ms);
        } else if socket.ready && now.mono_ms >= ping_ms {
            self.say(&ClientMessage::Ping);
            if let Some(socket) = &mut self.live.socket {
                socket.pinged_ms = now.mono_ms;
            }
            self.wish(dies_ms);
        } else {
            self.wish(dies_ms.min(ping_ms));
        }
    }

    fn say(&mut self, message: &ClientMessage) {
        let Some(token) = self.live.socket.as_ref().map(|socket| socket.token) else { return };
        let text = json::to_text(message);
        self.output(Output::SocketSend { token, text });
    }

    /// A small push goes to a server that takes it here. Returns whether it does: else it takes a request.
    pub(crate) fn say_push(&mut self, id: Token, body: &str) -> bool {
        let Some(socket) = self.live.socket.as_ref().filter(|socket| socket.ready) else { return false };
        let text = ["{\"t\":\"push\",\"id\":", &id.to_string(), ",\"body\":", body, "}"].concat();
        if text.len() > socket.push_bytes.min(LIVE_PUSH_BYTES_MAX) {
            return false;
        }
        let token = socket.token;
        self.output(Output::SocketSend { token, text });
        true
    }

    /// What this channel was given for the server was not answered: it gets no more.
    pub(crate) fn mute_channel(&mut self) {
        if let Some(socket) = &mut self.live.socket {
            socket.push_bytes = 0;
        }
    }

    /// A fresh token goes to the server without a new connection.
    pub(crate) fn send_token(&mut self) {
        if let (true, Some(token)) = (self.live.is_ready(), self.session.bearer()) {
            self.say(&ClientMessage::Token { token });
        }
    }

    pub(crate) fn close_live(&mut self) {
        self.live.held.clear();
        if let Some(socket) = self.live.socket.take() {
            self.output(Output::SocketClose { token: socket.token });
            self.push_unheard();
        }
    }

    fn live_failed(&mut self, now: Now) {
        self.live.socket = None;
        self.live.held.clear();
        self.push_unheard();
        self.live.backoff.fail(now.mono_ms, self.config.bounds(), 0, &mut self.random);
    }

    fn is_ours(&self, token: Token) -> bool {
        self.live.socket.as_ref().is_some_and(|socket| socket.token == token)
    }

    pub(crate) fn socket_open(&mut self, now: Now, token: Token) {
        let (true, Some(bearer), Some(replica)) =
            (self.is_ours(token), self.session.bearer(), self.state.replica.clone())
        else {
            return;
        };
        if let Some(socket) = &mut self.live.socket {
            socket.heard_ms = now.mono_ms;
            socket.asked_ms = now.mono_ms;
        }
        let collections = self.wanted();
        let (owner, deltas) = (self.state.owner.clone(), self.patched(&collections));
        self.say(&ClientMessage::Auth { v: VERSION, token: bearer, replica, owner, collections, ids: None, deltas });
    }

    pub(crate) fn socket_closed(&mut self, now: Now, token: Token, code: u16) {
        if !self.is_ours(token) {
            return;
        }
        let was_ready = self.live.is_ready();
        let lasted = self.live.socket.as_ref().is_some_and(|socket| now.mono_ms > socket.opened_ms + 60_000);
        if lasted {
            self.live.backoff.reset();
        }
        self.live_failed(now);
        // Where no channel ever stood, that none comes about says nothing of the line.
        if code == CODE_ABNORMAL && self.pushing.line.stood {
            self.pushing.line_broke(now);
        }
        if code == 4401 {
            self.token_refused(now);
        }
        if was_ready {
            // What was on its way is read by a pull.
            self.pulling.wanted = true;
        }
    }

    pub(crate) fn socket_message(&mut self, now: Now, token: Token, text: &str) {
        if !self.is_ours(token) {
            return;
        }
        if let Some(socket) = &mut self.live.socket {
            socket.heard_ms = now.mono_ms;
        }
        self.metrics.bytes_down += text.len() as u64;
        match Said::read(text) {
            Ok(Said::Ready(ready)) => self.live_ready(now, ready),
            Ok(Said::Frame(frame)) => self.take_frame(now, frame),
            Ok(Said::Answer(answer)) => self.push_told(now, &answer),
            // What cannot be read may have been a frame.
            Ok(Said::Pull) | Err(_) => self.pulling.wanted = true,
            Ok(Said::Ping) => self.say(&ClientMessage::Pong),
            Ok(Said::Error(body)) => self.live_refused(now, &body),
            Ok(Said::Pong(seq)) => self.frames_went_to(seq),
            // What a later release says is ignored.
            Ok(Said::Other) => {}
        }
    }

    fn live_refused(&mut self, now: Now, body: &ErrorBody) {
        let status = if body.code == Code::Unauthorized { 401 } else { 403 };
        if !self.refused(now, status, Some(body)) {
            self.event(json!({"type": "watchdog", "code": body.code, "message": body.message}));
        }
    }

    fn live_ready(&mut self, now: Now, ready: Ready) {
        let asked_ms = self.live.socket.as_ref().map_or(now.mono_ms, |socket| socket.asked_ms);
        if !self.met(asked_ms, now, ready.now, &ready.user) {
            return;
        }
        let cursor = ready.cursor;
        self.live.backoff.reset();
        self.pushing.line.stood = true;
        self.reached(now);
        if let Some(socket) = &mut self.live.socket {
            socket.ready = true;
            socket.push_bytes = ready.push_bytes;
        }
        if self.pulling.is_busy() {
            self.live.goal = Some(cursor);
        } else {
            let at = self.live.tip.as_ref().or(self.state.cursor.as_ref());
            self.pulling.wanted |= at != Some(&cursor);
        }
    }

    /// A frame is applied only if it continues the cursor that is shown, counting the frames that are on their way
    /// into the log. What it changes has to be there: else it waits for the log.
    fn take_frame(&mut self, now: Now, mut frame: Frame) {
        if self.pulling.is_busy() && !Bug::FramesDuringPull.is_planted() {
            self.live.held.clear();
            self.live.goal = Some(frame.cursor);
            return;
        }
        let is_early = frame.changes.iter().any(|change| change.delta.is_some()) && self.lane.is_behind();
        if (is_early || !self.live.held.is_empty()) && self.live.held.len() < HELD_MAX {
            self.live.held.push(frame);
            return;
        }
        let at = self.live.tip.as_ref().or(self.state.cursor.as_ref());
        if at != Some(&frame.after) && !Bug::FramesNotChained.is_planted() {
            // A frame that we have had already says nothing new.
            self.pulling.wanted |= !at.is_some_and(|at| at.reaches(&frame.cursor));
            return;
        }
        if !self.complete(&mut frame.changes) {
            self.pulling.wanted = true;
            return;
        }
        let Frame { cursor, changes, applied, .. } = frame;
        self.live.tip = Some(cursor.clone());
        self.metrics.received(&changes);
        self.fetching.hear(&changes, false);
        let (fence, at) = (self.tabs.fence(), self.arrival(now));
        let step = Changes { fence, at, cursor: Some(cursor.clone()), ..Changes::default() };
        // A row that is on its way into the log may have to go again.
        let changes = self.sift(changes, self.lane.has_server_records());
        self.append_after(now, &applied, &cursor.history, changes_records(step, changes));
    }

    /// So far the server has sent frames, and they come in order: one that is not here was lost on the way.
    fn frames_went_to(&mut self, seq: Seq) {
        let at = self.live.tip.as_ref().or(self.state.cursor.as_ref());
        let is_behind = at.is_some_and(|at| at.seq < seq) && self.live.held.is_empty();
        self.pulling.wanted |= is_behind && !self.pulling.is_busy() && !Bug::LostFramesNotMissed.is_planted();
    }

    /// Takes the frames whose time has come, in their order.
    fn take_held(&mut self, now: Now) {
        if self.live.held.is_empty() || self.lane.is_behind() {
            return;
        }
        for frame in std::mem::take(&mut self.live.held) {
            self.take_frame(now, frame);
        }
    }
}
