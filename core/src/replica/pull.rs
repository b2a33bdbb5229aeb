//! Reading the server's changes: a stream of lines, made durable checkpoint by checkpoint, shown when it is done
//! (rules 21, 22).

use crate::error::{Code, CoreError};
use crate::ids::CollectionName;
use crate::io::{Fetch, Now, Output, Token};
use crate::json;
use crate::json::JsonLimits;
use crate::limits::{PULL_PUT_OFF_MS, PUSH_BYTES_MAX};
use crate::log::record::Changes;
use crate::model::change::Change;
use crate::model::cursor::Cursor;
use crate::protocol::message::{Checkpoint, ErrorBody, Pull, PullHeader, VERSION};
use crate::queue::backoff::Backoff;
use crate::replica::Replica;
use crate::replica::step::changes_records;

/// A line longer than the largest document and its envelope is not a sync server's.
const LINE_BYTES_MAX: usize = PUSH_BYTES_MAX;

/// The pull side.
#[derive(Debug, Default)]
pub struct Pulling {
    /// There is, or may be, something to read.
    pub(crate) wanted: bool,
    stream: Option<Stream>,
    pub(crate) backoff: Backoff,
    /// When the last pull was complete, by both clocks.
    pub(crate) done: Option<Now>,
    /// What it brought is not in the log yet, so nobody sees it.
    pub(crate) landing: bool,
    /// More of some collections was asked for, because more is wanted than was kept.
    widening: bool,
    /// Since when it waits for the queue.
    put_off_ms: Option<u64>,
}

/// A pull under way.
#[derive(Debug)]
struct Stream {
    token: Token,
    status: u16,
    json: bool,
    retry_after_ms: u64,
    header: Option<PullHeader>,
    /// The cursor that the next checkpoint must continue.
    after: Option<Cursor>,
    /// Rows are not shown before the end.
    staged: bool,
    buffer: Vec<u8>,
    rows: Vec<Change>,
    received: u64,
    finished: bool,
    /// No checkpoint has carried the header's news yet.
    fresh: bool,
    /// The server was asked for digests.
    verify: bool,
    /// Something staged may be what a row replaces.
    resumed: bool,
    /// Collections that come whole; all of them.
    reread: Vec<CollectionName>,
    whole: bool,
    started_ms: u64,
    deadline_ms: u64,
}

impl Pulling {
    pub(crate) fn is_busy(&self) -> bool {
        self.stream.is_some()
    }

    /// Changes read and expected, while a pull is under way.
    pub(crate) fn progress(&self) -> Option<(u64, u64)> {
        let stream = self.stream.as_ref()?;
        let total = stream.header.as_ref().map_or(0, |header| header.total).max(stream.received);
        // A pull that brings nothing is no progress to show.
        (total > 0 || self.done.is_none()).then_some((stream.received, total))
    }
}

impl Replica {
    pub(crate) fn advance_pull(&mut self, now: Now) {
        if let Some(stream) = &self.pulling.stream {
            let (token, deadline) = (stream.token, stream.deadline_ms);
            if now.mono_ms < deadline {
                self.wish(deadline);
                return;
            }
            // Goes on below: nothing else may happen before the next try is due, so this asks to be woken for it.
            self.output(Output::Abort { token });
            self.pull_failed(now, 0);
        }
        if !self.pulling.widening && !self.to_widen().is_empty() {
            self.pulling.widening = true;
            self.pulling.wanted = true;
        }
        match self.verifying.is_due(now) {
            Ok(()) => self.pulling.wanted = true,
            Err(Some(due)) => self.wish(due),
            Err(None) => {}
        }
        if !self.live.is_ready() && self.session.ready().is_some() {
            let poll = if self.session.visible { self.config.poll_ms.visible } else { self.config.poll_ms.hidden };
            let due = self.pulling.done.map_or(0, |done| done.mono_ms + poll);
            if due <= now.mono_ms {
                self.pulling.wanted = true;
            } else {
                self.wish(due);
            }
        }
        if !self.pulling.wanted || self.lane.is_behind() || self.session.ready().is_none() {
            return;
        }
        // While a long queue goes up, each push is news for this device too: one pull reads of many at once.
        if self.pulling.done.is_some() && self.pushes_more() {
            let due = *self.pulling.put_off_ms.get_or_insert(now.mono_ms) + PULL_PUT_OFF_MS;
            if now.mono_ms < due {
                return self.wish(due);
            }
        }
        if self.pulling.backoff.is_ready(now.mono_ms) {
            self.start_pull(now);
        } else {
            self.wish(self.pulling.backoff.not_before_ms);
        }
    }

    fn start_pull(&mut self, now: Now) {
        let Some(replica) = self.state.replica.clone() else { return };
        let cursor = self.state.staged.cursor.clone().or_else(|| self.state.cursor.clone());
        let verify = self.verifying.is_due(now).is_ok();
        let body = json::to_text(&Pull {
            v: VERSION,
            replica,
            owner: self.state.owner.clone(),
            cursor: cursor.clone(),
            collections: self.wanted(),
            verify,
            reread: self.to_reread(),
            floor: Some(self.state.floor()),
            now: now.wall_ms,
        });
        self.pulling.wanted = false;
        self.pulling.put_off_ms = None;
        self.metrics.request_started(body.len());
        let token = self.token();
        let request = Fetch { path: "pull".to_owned(), body: Some(body), bearer: self.session.bearer() };
        self.output(Output::Fetch { token, request });
        self.wish(now.mono_ms + self.config.timeout_ms);
        self.pulling.stream = Some(Stream {
            token,
            status: 0,
            json: false,
            retry_after_ms: 0,
            header: None,
            after: cursor,
            staged: !self.state.loaded.is_empty() || self.state.staged.cursor.is_some(),
            buffer: Vec::new(),
            rows: Vec::new(),
            received: 0,
            finished: false,
            fresh: true,
            verify,
            resumed: self.state.staged.cursor.is_some(),
            reread: self.state.staged.reread.clone(),
            whole: self.state.staged.reset,
            started_ms: now.mono_ms,
            deadline_ms: now.mono_ms + self.config.timeout_ms,
        });
    }

    fn stream(&mut self, token: Token) -> Option<&mut Stream> {
        self.pulling.stream.as_mut().filter(|stream| stream.token == token)
    }

    /// The head of an answer. Returns whether it was the pull's.
    pub(crate) fn pull_response(
        &mut self,
        now: Now,
        token: Token,
        status: u16,
        retry_after_ms: u64,
        json: bool,
    ) -> bool {
        let timeout = self.config.timeout_ms;
        let Some(stream) = self.stream(token) else { return false };
        stream.status = status;
        stream.json = json;
        stream.retry_after_ms = retry_after_ms;
        stream.deadline_ms = now.mono_ms + timeout;
        true
    }

    pub(crate) fn pull_chunk(&mut self, now: Now, token: Token, bytes: &[u8]) -> bool {
        let timeout = self.config.timeout_ms;
        let Some(stream) = self.stream(token) else { return false };
        stream.deadline_ms = now.mono_ms + timeout;
        stream.buffer.extend_from_slice(bytes);
        self.metrics.bytes_down += bytes.len() as u64;
        let Some(stream) = self.stream(token) else { return true };
        if stream.status != 200 || !stream.json {
            // The reason of a refusal, or a portal's page: read at the end.
            if stream.buffer.len() > LINE_BYTES_MAX {
                self.output(Output::Abort { token });
                self.strange_answer();
                self.pull_failed(now, 0);
            }
            return true;
        }
        if let Err(error) = self.take_lines(now, token) {
            self.output(Output::Abort { token });
            if error.code != Code::WrongUser {
                self.event(json!({"type": "watchdog", "code": error.code, "message": error.message}));
            }
            self.pull_failed(now, 0);
        }
        true
    }

    fn take_lines(&mut self, now: Now, token: Token) -> Result<(), CoreError> {
        let Some(stream) = self.stream(token) else { return Ok(()) };
        let buffer = std::mem::take(&mut stream.buffer);
        let mut rest = &buffer[..];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end + 1);
            rest = after;
            let line = line.trim_ascii();
            if !line.is_empty() {
                self.take_line(now, token, line)?;
            }
        }
        if rest.len() > LINE_BYTES_MAX {
            return Err(bad("a line of a pull is too long"));
        }
        if let Some(stream) = self.stream(token) {
            stream.buffer = rest.to_vec();
        }
        Ok(())
    }

    fn take_line(&mut self, now: Now, token: Token, line: &[u8]) -> Result<(), CoreError> {
        let Some(stream) = self.stream(token) else { return Ok(()) };
        if stream.header.is_none() {
            let header = PullHeader::read(line).map_err(|_| bad("a pull begins with its header"))?;
            return self.take_header(now, token, header);
        }
        if line.starts_with(b"{\"id\"") {
            let change = Change::read(line).map_err(|_| bad("a change cannot be read"))?;
            stream.received += 1;
            stream.rows.push(change);
            return Ok(());
        }
        let checkpoint = Checkpoint::read(line).map_err(|_| bad("a checkpoint cannot be read"))?;
        self.take_checkpoint(now, token, checkpoint)
    }

    fn take_header(&mut self, now: Now, token: Token, header: PullHeader) -> Result<(), CoreError> {
        let Some(started_ms) = self.stream(token).map(|stream| stream.started_ms) else { return Ok(()) };
        if !self.met(started_ms, now, header.now, &header.user) {
            return Err(CoreError::new(Code::WrongUser, "this store belongs to another user"));
        }
        self.warn_of_settings(&header);
        let Some(stream) = self.stream(token) else { return Ok(()) };
        if !header.reset && header.after != stream.after {
            return Err(bad("a pull does not continue our cursor"));
        }
        stream.reread.extend(header.reread.iter().cloned());
        if header.reset {
            // Rows that a first pull has shown may be of another history: they stand until this one is done.
            stream.staged |= stream.after.take().is_some();
            stream.whole = true;
        }
        stream.header = Some(header);
        Ok(())
    }

    /// Makes a checkpoint's rows durable: records of bounded size in one transaction of the store, the last one
    /// with the cursor.
    fn take_checkpoint(&mut self, now: Now, token: Token, checkpoint: Checkpoint) -> Result<(), CoreError> {
        let (fence, at) = (self.tabs.fence(), self.arrival(now));
        let known = self.state.settings.clone();
        let Some(stream) = self.stream(token) else { return Ok(()) };
        if checkpoint.after != stream.after {
            return Err(bad("a checkpoint does not continue the one before"));
        }
        let first = std::mem::take(&mut stream.fresh);
        stream.after = Some(checkpoint.cursor.clone());
        stream.finished = checkpoint.done;
        let (staged, verify, done) = (stream.staged, stream.verify, checkpoint.done);
        let tip = (!staged || done).then(|| checkpoint.cursor.clone());
        let (history, mut applied) = (checkpoint.cursor.history.clone(), Vec::new());
        let mut last = Changes { fence, at, staged, done, cursor: Some(checkpoint.cursor), ..Changes::default() };
        if let (true, Some(header)) = (first, &mut stream.header) {
            last.reset = std::mem::take(&mut header.reset);
            last.forget_groups = std::mem::take(&mut header.forget_groups);
            last.forget_collections = std::mem::take(&mut header.forget_collections);
            last.reread = std::mem::take(&mut header.reread);
            applied = std::mem::take(&mut header.applied);
            last.settings = Some(header.settings.clone()).filter(|settings| *settings != known);
        }
        let (marks, whole, reread) = (stream.resumed, stream.whole, stream.reread.clone());
        let rows = std::mem::take(&mut stream.rows);
        if let (true, true, Some(tip)) = (verify, done, &tip) {
            self.verifying.told(tip.clone(), checkpoint.digests);
        }
        if tip.is_some() {
            self.live.tip = tip;
        }
        self.metrics.received(&rows);
        // What is forgotten, or not named in what comes whole, may be what an answer under way still has.
        let erases = !last.forget_groups.is_empty() || !last.forget_collections.is_empty();
        self.fetching.hear(&rows, erases || whole || !reread.is_empty());
        // What is not asked for any more goes little by little, as all does that is outside what is wanted.
        last.forget_collections.retain(|name| !self.config.is_none(name));
        let mut records = changes_records(last, self.sift(rows, marks));
        records.extend(if done { self.widened(now, &reread, whole) } else { None });
        if !staged {
            self.hold_bounds();
        }
        self.append_after(now, &applied, &history, records);
        let (done, total) = self.pulling.progress().unwrap_or_default();
        self.event(json!({"type": "progress", "phase": "pull", "done": done, "total": total}));
        Ok(())
    }

    pub(crate) fn pull_finished(&mut self, now: Now, token: Token) -> bool {
        let Some(stream) = self.stream(token) else { return false };
        let (status, retry_after_ms, json) = (stream.status, stream.retry_after_ms, stream.json);
        let body = json::parse(&stream.buffer, JsonLimits::MESSAGE).ok();
        let error = body.as_ref().and_then(ErrorBody::read);
        if stream.finished {
            let (started_ms, verified) = (stream.started_ms, stream.verify);
            self.pulling.stream = None;
            self.verifying.pulled(now, self.config.verify_ms, verified);
            if let (Some(goal), tip) = (self.live.goal.take(), &self.live.tip) {
                self.pulling.wanted |= !tip.as_ref().is_some_and(|tip| tip.reaches(&goal));
            }
            self.pulling.backoff.reset();
            self.pulling.done = Some(now);
            self.event(json!({"type": "health"}));
            self.pulling.landing = true;
            self.metrics.pull_done(now.mono_ms - started_ms);
            self.reached(now);
            self.pushing.other_succeeded();
        } else if self.refused(now, status, error.as_ref()) {
            self.pulling.stream = None;
            self.pulling.wanted = true;
        } else {
            if status == 200 && !json {
                self.strange_answer();
            }
            self.pull_failed(now, retry_after_ms);
        }
        true
    }

    /// Tries again later, from the last checkpoint that is durable.
    fn pull_failed(&mut self, now: Now, retry_after_ms: u64) {
        let Some(stream) = self.pulling.stream.take() else { return };
        self.metrics.failures += 1;
        self.pulling.wanted = true;
        self.pulling.backoff.fail(now.mono_ms, self.config.bounds(), retry_after_ms, &mut self.random);
        match stream.status {
            0 => self.pull_lost(now),
            1..500 => self.lost(now),
            _ => self.pushing.other_failed(),
        }
    }

    /// The connection broke. Returns whether it was the pull's.
    pub(crate) fn pull_broke(&mut self, now: Now, token: Token) -> bool {
        self.stream(token).is_some() && {
            self.pull_failed(now, 0);
            true
        }
    }

    pub(crate) fn abort_pull(&mut self, _now: Now) {
        if let Some(stream) = self.pulling.stream.take() {
            self.pulling.wanted = true;
            self.output(Output::Abort { token: stream.token });
        }
    }

    fn warn_of_settings(&mut self, header: &PullHeader) {
        let differ: Vec<_> = self
            .declared
            .iter()
            .filter(|(name, ours)| header.settings.get(*name).is_some_and(|theirs| theirs != *ours))
            .map(|(name, _)| name.clone())
            .collect();
        if !differ.is_empty() && header.settings != self.state.settings {
            self.event(json!({"type": "settings-differ", "collections": differ}));
        }
    }
}

fn bad(message: &'static str) -> CoreError {
    CoreError::new(Code::BadResponse, message)
}
