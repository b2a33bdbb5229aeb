//! Who we are to the server, and whether we may talk to it now: token, network, pause.

use crate::json::{Value, json};

use crate::clock::ServerClock;
use crate::error::Code;
use crate::ids::Owner;
use crate::io::{Durability, Now, Output, TokenWhy};
use crate::log::record::{Record, Replica as Identity};
use crate::protocol::message::ErrorBody;
use crate::queue::backoff::Backoff;
use crate::replica::Replica;

/// What is known of the connection.
#[derive(Debug)]
pub struct Session {
    token: Auth,
    /// The browser says that there is a network.
    pub(crate) online: bool,
    /// The page is visible.
    pub(crate) visible: bool,
    /// The app asked for silence.
    pub(crate) paused: bool,
    /// Why nothing more is sent until something changes.
    pub(crate) blocked: Option<Blocked>,
    /// What is known of the server's clock.
    pub(crate) clock: Option<ServerClock>,
    /// When the server was last reached, by both clocks.
    pub(crate) reached: Option<Now>,
    /// Something else answered in the server's place, and that was said.
    pub(crate) strange: bool,
    /// When it was last not reached.
    pub(crate) lost_ms: Option<u64>,
    /// Waits after failures of the token function.
    backoff: Backoff,
}

#[derive(Debug, Clone, PartialEq)]
enum Auth {
    /// Ask the app.
    Wanted(TokenWhy),
    Asked,
    Has(String),
    /// The app has none: signed out.
    None,
}

/// A state that only the user or a new release ends.
#[derive(Debug)]
pub(crate) struct Blocked {
    pub(crate) reason: &'static str,
    pub(crate) code: Code,
    pub(crate) message: String,
    /// When the server is asked once more, whether it has followed; it is being asked.
    pub(crate) again_ms: Option<u64>,
    pub(crate) is_tried: bool,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            token: Auth::Wanted(TokenWhy::Start),
            online: true,
            visible: true,
            paused: false,
            blocked: None,
            clock: None,
            reached: None,
            strange: false,
            lost_ms: None,
            backoff: Backoff::default(),
        }
    }
}

impl Session {
    /// The bearer token, if requests may be made now.
    pub(crate) fn ready(&self) -> Option<&str> {
        match &self.token {
            Auth::Has(token)
                if self.online && !self.paused && self.blocked.as_ref().is_none_or(|blocked| blocked.is_tried) =>
            {
                Some(token)
            }
            _ => None,
        }
    }

    /// The token, whatever the state.
    pub(crate) fn bearer(&self) -> Option<String> {
        match &self.token {
            Auth::Has(token) => Some(token.clone()),
            _ => None,
        }
    }

    /// The server has followed.
    pub(crate) fn unblock(&mut self) {
        self.blocked.take_if(|blocked| blocked.is_tried);
    }

    pub(crate) fn is_signed_out(&self) -> bool {
        self.token == Auth::None
    }

    /// The app's tokens were refused again and again, or its `auth` function failed so often.
    pub(crate) fn is_refused(&self) -> bool {
        self.backoff.failures >= 2
    }

    /// Asks the app again: after a sign-in, a resume, or a new try of the user's.
    pub(crate) fn retry(&mut self) {
        self.backoff.reset();
        // The token of another user is no use a second time.
        let wrong_user = self.blocked.take().is_some_and(|blocked| blocked.code == Code::WrongUser);
        if self.token == Auth::None || (wrong_user && self.token != Auth::Asked) {
            self.token = Auth::Wanted(TokenWhy::Start);
        }
    }
}

impl Replica {
    pub(crate) fn advance_session(&mut self, now: Now) {
        if self.session.paused || !self.session.online {
            return;
        }
        if let Auth::Wanted(why) = self.session.token {
            if self.session.backoff.is_ready(now.mono_ms) {
                self.session.token = Auth::Asked;
                self.output(Output::AskToken { why });
            } else {
                self.wish(self.session.backoff.not_before_ms);
            }
        }
    }

    /// The app answered.
    pub(crate) fn token_came(&mut self, now: Now, result: Result<Option<String>, String>) {
        match result {
            Ok(Some(token)) => {
                self.session.token = Auth::Has(token);
                self.session.blocked = None;
                self.fetching.token_came();
                self.send_token();
            }
            Ok(None) => {
                self.session.token = Auth::None;
                self.close_live();
            }
            Err(message) => {
                let bounds = self.config.bounds();
                self.session.backoff.fail(now.mono_ms, bounds, 0, &mut self.random);
                self.session.token = Auth::Wanted(TokenWhy::Rejected);
                let message = format!("the `auth` function failed: {message}; it is called again");
                self.event(json!({"type": "watchdog", "code": "unauthorized", "message": message}));
            }
        }
    }

    /// The server refused the token (never counted against a mutation): ask for another, with a pause if that one
    /// is refused too.
    pub(crate) fn token_refused(&mut self, now: Now) {
        if matches!(self.session.token, Auth::Has(_)) {
            let bounds = self.config.bounds();
            self.session.token = Auth::Wanted(TokenWhy::Rejected);
            if self.session.backoff.failures > 0 {
                self.session.backoff.fail(now.mono_ms, bounds, 0, &mut self.random);
            } else {
                self.session.backoff.failures = 1;
            }
        }
    }

    /// The server answered a request of ours with success.
    pub(crate) fn reached(&mut self, now: Now) {
        self.session.reached = Some(now);
        self.session.lost_ms = None;
        self.session.strange = false;
        self.session.backoff.reset();
        // A pull may succeed where a push is refused.
        if self.state.queue.is_empty() {
            self.session.unblock();
        }
        self.pulling.backoff.since_reached = 0;
        self.pushing.backoff.since_reached = 0;
    }

    /// It could not be reached.
    pub(crate) fn lost(&mut self, now: Now) {
        self.session.lost_ms.get_or_insert(now.wall_ms);
    }

    /// Learns what the server's clock shows and whom this store belongs to, from an exchange that began at `sent_ms`.
    /// Returns whether it is this user's.
    pub(crate) fn met(&mut self, sent_ms: u64, now: Now, server_now: u64, user: &Owner) -> bool {
        let clock = ServerClock::measure(sent_ms, now, server_now);
        self.session.clock = Some(self.session.clock.map_or(clock, |known| known.or_better(clock, now)));
        match &self.state.owner {
            Some(owner) if owner != user => {
                self.block("wrong-user", Code::WrongUser, "this store is another user's: sign in as that user");
                false
            }
            Some(_) => true,
            None => {
                if let (Some(id), false) = (self.state.replica.clone(), self.lane.has_server_records()) {
                    let record = Record::Replica(Identity { id, owner: Some(user.clone()) });
                    self.append(vec![record], Durability::Strict);
                }
                true
            }
        }
    }

    pub(crate) fn block(&mut self, reason: &'static str, code: Code, message: &str) {
        let before = self.session.blocked.take();
        let is_said = before.is_some_and(|before| before.code == code && before.message == message);
        if !is_said && matches!(code, Code::UpgradeRequired | Code::FormatNewer) {
            self.event(json!({"type": "upgrade", "message": message}));
        }
        let message = message.to_owned();
        self.session.blocked = Some(Blocked { reason, code, message, again_ms: None, is_tried: false });
        self.close_live();
    }

    /// What every answer that is no success means, whatever was asked. Returns whether it was dealt with.
    pub(crate) fn refused(&mut self, now: Now, status: u16, body: Option<&ErrorBody>) -> bool {
        let code = body.map(|body| body.code);
        let message = body.map_or("", |body| body.message.as_str());
        match (status, code) {
            (401, _) => self.token_refused(now),
            (_, Some(Code::WrongUser)) => self.block("wrong-user", Code::WrongUser, message),
            (426, _) | (_, Some(Code::UpgradeRequired)) => self.block("upgrade", Code::UpgradeRequired, message),
            _ => return false,
        }
        true
    }

    /// Stops every request; what they carried is asked again later.
    pub(crate) fn stop_network(&mut self, now: Now) {
        // Before all of the code is there nothing is asked.
        if self.whole {
            self.stop_requests(now);
        }
    }

    #[inline(never)]
    fn stop_requests(&mut self, now: Now) {
        self.abort_push();
        self.abort_pull(now);
        self.abort_fetches();
        self.close_live();
        self.live.tip = None;
    }

    pub(crate) fn blocked_view(&self) -> Option<Value> {
        let blocked = self.session.blocked.as_ref()?;
        Some(json!({"reason": blocked.reason, "error": {"code": blocked.code, "message": blocked.message}}))
    }
}
