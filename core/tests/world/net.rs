//! The network between tabs and server: requests with faults and latency, sockets, frames.

use tidewire_core::io::{Fetch, Input};
use tidewire_core::json;
use tidewire_core::json::Value;

use super::browser::Stream;
use super::{Fault, World};

impl World {
    pub(super) fn fetch(&mut self, tab: usize, token: u64, request: Fetch) {
        let body: Value = serde_json::from_str(request.body.as_deref().unwrap_or("null")).unwrap();
        let is_push = request.path == "push";
        let faults = if is_push { &mut self.push_faults } else { &mut self.pull_faults };
        let fault = if self.network { faults.pop_front() } else { Some(Fault::Lost) };
        if is_push {
            self.tabs[tab].pushes.push(body.clone());
            self.tabs[tab].bodies.extend(request.body.clone());
        }
        let lost = || Input::NetFailed { token, message: "gone".into() };
        let (up, down) = self.tabs[tab].latency;
        let answer = |world: &mut Self| {
            let text = request.body.as_deref().unwrap_or_default();
            world.pass(up);
            world.server.now = world.now.wall_ms + world.server.ahead_ms;
            let answer = world.server.answer(&request.path, request.bearer.as_deref(), text);
            world.pass(down);
            answer
        };
        let (status, retry_after_ms, json, text) = match fault {
            Some(Fault::Silent) => return,
            Some(Fault::Lost) => return self.bring(tab, Stream::Answer(token), lost()),
            Some(Fault::LineCut { channel_first }) => {
                let socket = self.tabs[tab].socket.as_ref().map(|(socket, _)| *socket);
                if let (true, Some(socket)) = (channel_first, socket) {
                    self.cut_socket(tab, socket);
                }
                self.bring(tab, Stream::Answer(token), lost());
                if let (false, Some(socket)) = (channel_first, socket) {
                    self.cut_socket(tab, socket);
                }
                return;
            }
            Some(Fault::AnswerLost) => {
                answer(self);
                return self.bring(tab, Stream::Answer(token), lost());
            }
            Some(Fault::Status(status, retry)) => {
                (status, retry, true, r#"{"code":"server-error","message":""}"#.to_owned())
            }
            Some(Fault::Late) => {
                let (status, text) = answer(self);
                return self.late.push((tab, token, status, text));
            }
            Some(Fault::Portal) => (200, None, false, "<html>Welcome to the hotel</html>".to_owned()),
            Some(Fault::Says(text, json)) => (200, None, json, text),
            Some(Fault::Twice) => {
                answer(self);
                let (status, text) = answer(self);
                (status, None, true, text)
            }
            Some(Fault::Cut(bytes)) => {
                let (status, text) = answer(self);
                let head = Input::Response { token, status, retry_after_ms: None, json: true };
                self.bring(tab, Stream::Answer(token), head);
                let bytes = text.as_bytes()[..bytes.min(text.len())].to_vec();
                self.bring(tab, Stream::Answer(token), Input::Chunk { token, bytes });
                return self.bring(tab, Stream::Answer(token), lost());
            }
            None => {
                let (status, text) = answer(self);
                (status, None, true, text)
            }
        };
        self.hand_over(tab, token, (status, retry_after_ms, json), &text);
    }

    /// What came too late comes now.
    pub fn deliver_late(&mut self) {
        for (tab, token, status, text) in std::mem::take(&mut self.late) {
            self.hand_over(tab, token, (status, None, true), &text);
        }
    }

    fn hand_over(&mut self, tab: usize, token: u64, head: (u16, Option<u64>, bool), text: &str) {
        let (status, retry_after_ms, json) = head;
        self.bring(tab, Stream::Answer(token), Input::Response { token, status, retry_after_ms, json });
        let piece_bytes = if text.len() > 1_000_000 { 256 * 1024 } else { 700 };
        for piece in text.as_bytes().chunks(piece_bytes) {
            self.bring(tab, Stream::Answer(token), Input::Chunk { token, bytes: piece.to_vec() });
        }
        self.bring(tab, Stream::Answer(token), Input::Finished { token });
    }

    pub(super) fn open_socket(&mut self, tab: usize, token: u64) {
        if !self.network || !self.sockets {
            return self.bring(tab, Stream::Socket(token), Input::SocketClosed { token, code: 1006 });
        }
        self.tabs[tab].socket = Some((token, None));
        self.bring(tab, Stream::Socket(token), Input::SocketOpen { token });
    }

    pub(super) fn socket_says(&mut self, tab: usize, token: u64, text: &str) {
        let message: Value = serde_json::from_str(text).unwrap();
        if message["t"] == "push" {
            return self.push_said(tab, token, &message, text);
        }
        if message["t"] == "ping" {
            let Some((_, Some(subscription))) = &self.tabs[tab].socket else { return };
            let text = json!({"t": "pong", "seq": subscription["at"]["seq"]}).to_string();
            return self.bring(tab, Stream::Socket(token), Input::SocketMessage { token, text });
        }
        if message["t"] != "auth" {
            return;
        }
        let (up, down) = self.tabs[tab].latency;
        self.pass(up);
        self.server.now = self.now.wall_ms + self.server.ahead_ms;
        let ready = self.server.ready(&message);
        self.pass(down);
        self.tabs[tab].socket = Some((token, Some(json!({"auth": message, "at": ready["cursor"]}))));
        self.bring(tab, Stream::Socket(token), Input::SocketMessage { token, text: ready.to_string() });
    }

    fn push_said(&mut self, tab: usize, token: u64, message: &Value, text: &str) {
        assert!(text.len() <= self.server.push_bytes, "a push that this server does not take there");
        self.tabs[tab].said.push(message["body"].clone());
        let Some((_, Some(subscription))) = self.tabs[tab].socket.clone() else { return };
        let (status, retry_after, answer) = match self.said_faults.pop_front() {
            Some(Fault::Lost) => return self.cut_socket(tab, token),
            Some(Fault::Status(status, wait)) => (status, wait, r#"{"code":"server-error","message":""}"#.to_owned()),
            fault => {
                let (up, down) = self.tabs[tab].latency;
                self.pass(up);
                self.server.now = self.now.wall_ms + self.server.ahead_ms;
                let body = &text[text.find("\"body\":").unwrap() + 7..text.len() - 1];
                let (status, answer) = self.server.answer("push", subscription["auth"]["token"].as_str(), body);
                self.pass(down);
                match fault {
                    Some(Fault::AnswerLost) => return self.cut_socket(tab, token),
                    Some(Fault::Silent) => return,
                    _ => (status, None, answer),
                }
            }
        };
        let wait = retry_after.map_or(String::new(), |ms| format!(r#""retry_after":{},"#, ms / 1_000));
        let id = &message["id"];
        let text = format!(r#"{{"t":"answer","id":{id},"status":{status},{wait}"body":{answer}}}"#);
        self.bring(tab, Stream::Socket(token), Input::SocketMessage { token, text });
    }

    pub fn cut_socket(&mut self, tab: usize, token: u64) {
        self.tabs[tab].socket = None;
        self.bring(tab, Stream::Socket(token), Input::SocketClosed { token, code: 1006 });
    }

    /// One frame to one socket that is behind.
    pub(super) fn deliver_frames(&mut self) -> bool {
        for tab in 0..self.tabs.len() {
            let Some((token, Some(subscription))) = self.tabs[tab].socket.clone() else { continue };
            if !self.tabs[tab].runs() {
                continue;
            }
            if let Some(frame) = self.server.frame(&subscription["auth"], &subscription["at"]) {
                self.tabs[tab].socket =
                    Some((token, Some(json!({"auth": subscription["auth"], "at": frame["cursor"]}))));
                if self.loses_frames {
                    return true;
                }
                self.bring(tab, Stream::Socket(token), Input::SocketMessage { token, text: frame.to_string() });
                return true;
            }
        }
        false
    }
}
