//! The answer to a push: verdicts into the log, failures into backoff, smaller batches and suspects (rule 32).

use crate::error::Code;
use crate::ids::MutationId;
use crate::io::{Now, Output, Token};
use crate::json;
use crate::json::{JsonLimits, Value};
use crate::limits::{
    DEPTH_MAX, HELD_RETRY_MS, LOST_TOGETHER_MS, PUSH_BYTES_MAX, PUSH_FAILURES_HALVE, RETRY_AFTER_MS_MAX,
    SUSPECT_FAILURES, SUSPECT_RETRY_MS,
};
use crate::model::verdict::{Verdict, VerdictItem};
use crate::planted::Bug;
use crate::protocol::message::{ErrorBody, PushAnswer};
use crate::protocol::read::Answer;
use crate::replica::Replica;
use crate::replica::push::{Flight, Pushing, Step};
use crate::small::SmallSet;

/// So many pushes in a row that the live channel lost: something on the way does not let them through, and only
/// requests go up while this tab is open.
const UNHEARD_MAX: u32 = 3;

/// What is said of an answer that no sync server gives.
const STRANGE: &str = "the answer is not a sync server's: sign in to this network, or check `url`";

/// When the line lost something. 0: never; so a tab's first two seconds blame nobody.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// A push.
    lost_ms: u64,
    /// Something else: a pull, the live channel.
    broke_ms: u64,
    /// There was a live channel, so that one that breaks or does not come about says something.
    pub(crate) stood: bool,
}

fn is_near(then_ms: u64, now: Now) -> bool {
    now.mono_ms <= then_ms + LOST_TOGETHER_MS
}

impl Pushing {
    /// The line broke for something that is no push: what was lost at about that time is no edit's fault (rule 32). The
    /// browser may tell of either first.
    pub(crate) fn line_broke(&mut self, now: Now) {
        self.others_succeed = false;
        self.line.broke_ms = now.mono_ms;
        if is_near(self.line.lost_ms, now) {
            self.blame_nobody();
        }
    }

    /// The server failed at something else, too.
    pub(crate) fn other_failed(&mut self) {
        self.others_succeed = false;
        self.blame_nobody();
    }

    fn blame_nobody(&mut self) {
        self.alone.retain(|_, alone| alone.failures >= SUSPECT_FAILURES);
    }
}

impl Flight {
    fn head(&mut self, status: u16, retry_after_ms: u64) {
        self.status = status;
        self.retry_after_ms = retry_after_ms.min(RETRY_AFTER_MS_MAX);
    }
}

impl Replica {
    /// Says that something else answers in the server's place, once until the server is reached again.
    pub(crate) fn strange_answer(&mut self) {
        if !std::mem::replace(&mut self.session.strange, true) {
            self.event(json!({"type": "watchdog", "code": Code::BadResponse, "message": STRANGE}));
        }
    }

    /// The head of an answer. Returns whether it was the push's.
    pub(crate) fn push_response(
        &mut self,
        now: Now,
        token: Token,
        status: u16,
        retry_after_ms: u64,
        json: bool,
    ) -> bool {
        let timeout = self.config.timeout_ms;
        let Some(flight) = self.flight(token) else { return false };
        flight.head(status, retry_after_ms);
        flight.json = json;
        flight.deadline_ms = now.mono_ms + timeout;
        true
    }

    pub(crate) fn push_chunk(&mut self, now: Now, token: Token, bytes: &[u8]) -> bool {
        let timeout = self.config.timeout_ms;
        let Some(flight) = self.flight(token) else { return false };
        flight.deadline_ms = now.mono_ms + timeout;
        flight.body.extend_from_slice(bytes);
        if flight.body.len() > PUSH_BYTES_MAX {
            self.output(Output::Abort { token });
            self.strange_answer();
            self.push_failed(now, 0, STRANGE);
        }
        true
    }

    pub(crate) fn push_finished(&mut self, now: Now, token: Token) -> bool {
        let Some(flight) = self.flight(token) else { return false };
        let limits = JsonLimits { bytes: PUSH_BYTES_MAX, depth: DEPTH_MAX + 8 };
        let body = if flight.json { json::parse(&flight.body, limits).ok() } else { None };
        let bytes = flight.body.len() as u64;
        self.metrics.bytes_down += bytes;
        self.push_ended(now, body.as_ref());
        true
    }

    /// The answer of a push that went over the live channel; one that nobody waits for any more says nothing.
    pub(crate) fn push_told(&mut self, now: Now, answer: &Answer) {
        let Some(flight) = self.flight(answer.id).filter(|flight| flight.live) else { return };
        flight.head(answer.status, answer.retry_after_ms);
        // A request may carry more.
        if answer.status == 413 {
            self.push_unheard();
            self.pushing.unheard = 0;
            return;
        }
        self.push_ended(now, Some(&answer.body));
    }

    fn push_ended(&mut self, now: Now, body: Option<&Value>) {
        let Step::InFlight(mut flight) = std::mem::take(&mut self.pushing.step) else { return };
        let answer = body.and_then(|body| PushAnswer::read(body).ok());
        match (flight.status, answer) {
            (200, Some(mut answer)) => {
                flight.history = flight.history.or(answer.history.take());
                self.push_answered(now, &flight, answer);
            }
            (200, None) => {
                self.pushing.step = Step::InFlight(flight);
                self.strange_answer();
                self.push_failed(now, 0, STRANGE);
            }
            (status, _) => {
                let error = body.and_then(ErrorBody::read);
                let retry_after_ms = flight.retry_after_ms;
                self.pushing.step = Step::InFlight(flight);
                self.push_refused(now, status, retry_after_ms, error.as_ref());
            }
        }
    }

    fn push_answered(&mut self, now: Now, flight: &Flight, answer: PushAnswer) {
        self.reached(now);
        self.session.unblock();
        if !self.met(flight.started_ms, now, answer.now, &answer.user) {
            return;
        }
        if let Some(items) = answer.forked {
            return self.forked(now, flight, items);
        }
        self.pushing.fork = None;
        if flight.live {
            self.pushing.unheard = 0;
        }
        self.pushing.by_request = self.pushing.unheard >= UNHEARD_MAX;
        self.pushing.backoff.reset();
        self.pushing.others_succeed = false;
        self.pushing.grow(self.config.batch.max_count);
        for n in &flight.ns {
            self.pushing.alone.remove(n);
            self.pushing.attempts.remove(n);
        }
        let asked: SmallSet<MutationId> = flight.ns.iter().map(|n| (*n, ())).collect();
        let verdicts: Vec<VerdictItem> =
            answer.verdicts.into_iter().filter(|item| asked.contains_key(&item.n)).collect();
        self.metrics.push_done(now.mono_ms - flight.started_ms, &verdicts, &self.state);
        if verdicts.iter().any(|item| matches!(item.verdict, Verdict::Held { .. })) {
            self.pushing.held_retry_ms = now.mono_ms + HELD_RETRY_MS;
        }
        if verdicts.is_empty() {
            self.pushing.backoff.fail(now.mono_ms, self.config.bounds(), 0, &mut self.random);
            return;
        }
        // What a pull or a frame has told of already needs no record.
        if self.is_any_open(&flight.ns) {
            self.push_on(now, flight, verdicts);
        }
        if !self.live.is_ready() && !Bug::PulledNever.is_planted() {
            self.pulling.wanted = true;
        }
    }

    fn push_refused(&mut self, now: Now, status: u16, retry_after_ms: u64, error: Option<&ErrorBody>) {
        if self.refused(now, status, error) {
            // Nobody's fault among the mutations.
            self.pushing.step = Step::Idle;
            return;
        }
        if error.is_some_and(|error| error.code == Code::HistoryChanged) {
            // The pull tells what the server has; then what it lost goes up before all else (rule 24).
            self.pushing.step = Step::Idle;
            self.pushing.backoff.fail(now.mono_ms, self.config.bounds(), 0, &mut self.random);
            self.pulling.wanted = true;
            return;
        }
        let Step::InFlight(flight) = &self.pushing.step else { return };
        let ns = flight.ns.clone();
        if status == 413 {
            self.pushing.step = Step::Idle;
            if self.is_one_unit(&ns) {
                let message = "the server refuses this even alone: it is too large";
                return self.reject_here(now, &ns, Code::TooLarge, message);
            }
            self.pushing.count_max = Some((ns.len() / 2).max(1));
            self.pushing.refused_count = Some(ns.len());
            return;
        }
        if status < 500 && status != 429 && status != 408 && status != 425 {
            let code = error.map_or(Code::BadResponse, |error| error.code);
            self.event(
                json!({"type": "watchdog", "code": code, "message": format!("a push was answered with HTTP {status}")}),
            );
        }
        self.push_failed(now, retry_after_ms, "the server failed");
    }

    fn is_one_unit(&self, ns: &[MutationId]) -> bool {
        let tx = ns.first().and_then(|n| self.state.queue.get(n)).and_then(|entry| entry.tx);
        ns.len() == 1 || (tx.is_some() && ns.iter().all(|n| self.state.queue.get(n).is_some_and(|e| e.tx == tx)))
    }

    /// A transient failure: wait, and after some make the batch smaller, to find the mutation that the server
    /// cannot bear (rule 32).
    pub(crate) fn push_failed(&mut self, now: Now, retry_after_ms: u64, _why: &str) {
        let Step::InFlight(flight) = std::mem::take(&mut self.pushing.step) else { return };
        self.pushing.by_request |= flight.live;
        self.metrics.failures += 1;
        self.pushing.backoff.fail(now.mono_ms, self.config.bounds(), retry_after_ms, &mut self.random);
        if Bug::FailureTakenForDone.is_planted() {
            self.pushing.backoff.not_before_ms = u64::MAX;
        }
        for n in &flight.ns {
            *self.pushing.attempts.or_default(*n) += 1;
        }
        self.queue_moved();
        let answered = flight.status >= 500;
        if retry_after_ms > 0 || flight.status == 429 {
            return;
        }
        if !answered {
            self.lost(now);
            self.pushing.line.lost_ms = now.mono_ms;
            if is_near(self.pushing.line.broke_ms, now) {
                return;
            }
        }
        if self.pushing.backoff.failures < PUSH_FAILURES_HALVE {
            return;
        }
        if !self.pushing.others_succeed {
            // Whether the server fails at this alone another request tells.
            self.pulling.wanted |= answered;
            return;
        }
        if !self.is_one_unit(&flight.ns) {
            self.pushing.count_max = Some((flight.ns.len() / 2).max(1));
            return;
        }
        for n in &flight.ns {
            let alone = self.pushing.alone.or_default(*n);
            alone.failures += 1;
            if alone.failures >= SUSPECT_FAILURES {
                alone.not_before_ms = now.mono_ms + SUSPECT_RETRY_MS;
                self.pushing.backoff.not_before_ms = now.mono_ms;
            }
        }
    }

    /// A pull was not answered.
    pub(crate) fn pull_lost(&mut self, now: Now) {
        self.lost(now);
        self.pushing.line_broke(now);
    }

    /// The connection broke. Returns whether it was the push's.
    pub(crate) fn push_broke(&mut self, now: Now, token: Token) -> bool {
        let is_ours = self.flight(token).is_some();
        if is_ours {
            self.push_failed(now, 0, "the connection broke");
        }
        is_ours
    }

    /// Forgets the push that is under way; the server will know it again by its numbers.
    pub(crate) fn abort_push(&mut self) {
        self.pushing.fork = None;
        self.pushing.decided = SmallSet::new();
        if let Step::InFlight(Flight { token, live: false, .. }) = std::mem::take(&mut self.pushing.step) {
            self.output(Output::Abort { token });
        }
    }

    /// The live channel ended, or says nothing, with a push on it: nobody knows whether it arrived. It goes by a
    /// request now, and the server knows it by its numbers. That is no failure of the server's. A tab that was frozen
    /// meanwhile may lead no more, and hears of its socket first.
    pub(crate) fn push_unheard(&mut self) {
        if matches!(&self.pushing.step, Step::InFlight(flight) if flight.live) {
            self.pushing.step = Step::Unheard;
            self.pushing.by_request = true;
            self.pushing.unheard += 1;
            self.lane.wants_read = true;
            self.queue_moved();
        }
    }
}
