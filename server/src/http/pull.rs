//! `POST pull`: a stream of lines from one snapshot of the database (rules 21 to 23, 26, 27).
//!
//! A thread of its own reads and sends; the channel between it and the socket is short, so memory stays flat however
//! much there is, and a reader that does not read ends its stream.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use tidewire_core::authority::plan::{Plan, Top};
use tidewire_core::ids::Seq;
use tidewire_core::limits::PULL_CHECKPOINT_ROWS;
use tidewire_core::protocol::message::{Change, Checkpoint, Cursor, Pull, PullHeader, Scope};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::body;
use super::compress::SMALL_BYTES;
use crate::error::Error;
use crate::policy::Viewer;
use crate::state::{AppState, check_owner, check_version, now_ms};
use crate::store::StoreError;
use crate::store::sqlite::Snapshot;
use tidewire_core::json::{self, Map};

/// A pull's request is names and one cursor, which names the groups of its reader.
const PULL_BYTES_MAX: usize = 1024 * 1024;
/// Bytes that travel as one chunk.
const CHUNK_BYTES: usize = 32 * 1024;
/// Chunks between the reading thread and the socket.
const CHUNKS_MAX: usize = 4;
/// Large documents make checkpoints come sooner than every 500 rows, so that a cut costs little.
const CHECKPOINT_BYTES: usize = 512 * 1024;

type Chunks = mpsc::Sender<Result<Bytes, StoreError>>;

pub(super) async fn pull(State(state): State<AppState>, headers: HeaderMap, body: Body) -> Result<Response, Error> {
    let identity = state.identify(&headers).await?;
    let bytes = body::read(&headers, body, PULL_BYTES_MAX, state.timeouts.body).await?;
    let request: Pull = body::parse(&bytes)?;
    check_version(request.v)?;
    check_owner(request.owner.as_ref(), &identity.principal.owner)?;
    request.collections.iter().try_for_each(|collection| state.policy.check_readable(collection))?;
    let permit = state.pulls.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
    state.check_still(&identity)?;
    let principal = identity.principal;
    let (chunks, mut received) = mpsc::channel(CHUNKS_MAX);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let sender = Sender { chunks: chunks.clone(), runtime: runtime.clone(), patience: state.timeouts.slow_reader };
        let result = state.store.read(|snapshot| {
            let user = &principal.owner;
            let standing = snapshot.standing(&state.policy, &principal)?;
            let viewer = Viewer { policy: &state.policy, principal: &principal, standing: &standing };
            let scope = state.policy.scope(&standing, &request.collections);
            let top = snapshot.top(&user.tenant)?;
            let plan = Plan::new(request.cursor.as_ref(), scope, snapshot.history(), &top, |seq| {
                snapshot.mark(&user.tenant, seq)
            })?
            .rereading(request.reread);
            let total = snapshot.count(&user.tenant, &plan)?;
            let settings = state.policy.settings_for(&plan.scope.collections);
            let mut header = plan.header(user, now_ms(), total, settings);
            if let Some(floor) = request.floor {
                header.applied = snapshot.applied(user, &request.replica, floor)?;
            }
            Stream::new(snapshot, &plan, viewer, top, sender).run(&header, request.verify)
        });
        if let Err(error) = result {
            // Without a `done` the reader knows that the stream was cut.
            let _ = runtime.block_on(tokio::time::timeout(Duration::from_secs(1), chunks.send(Err(error))));
        }
    });
    // The beginning comes before the status is said, so that a failure to read is a 500.
    let mut head = Vec::new();
    while head.len() < SMALL_BYTES {
        match received.recv().await.transpose()? {
            Some(more) => head.extend_from_slice(&more),
            // All of it: the size is known, and nobody compresses what is small.
            None if !head.is_empty() => return Ok(answer(Body::from(head))),
            None => return Err(StoreError::Closed.into()),
        }
    }
    // Asked again after its end, a channel says again that it ended; a body is asked so.
    let rest = futures_util::stream::poll_fn(move |context| received.poll_recv(context));
    let chunks = futures_util::StreamExt::chain(futures_util::stream::iter([Ok(Bytes::from(head))]), rest);
    Ok(answer(Body::from_stream(chunks)))
}

fn answer(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

#[derive(Serialize)]
struct HeaderLine<'a> {
    pull: &'a PullHeader,
}

struct Sender {
    chunks: Chunks,
    runtime: Handle,
    patience: Duration,
}

impl Sender {
    fn send(&self, bytes: Vec<u8>) -> Result<(), StoreError> {
        let sent = self.chunks.send_timeout(Ok(Bytes::from(bytes)), self.patience);
        self.runtime.block_on(sent).map_err(|_| StoreError::ReaderGone)
    }
}

struct Stream<'a> {
    snapshot: &'a Snapshot<'a>,
    plan: &'a Plan,
    viewer: Viewer<'a>,
    top: Top,
    sender: Sender,
    buffer: Vec<u8>,
    /// The last checkpoint.
    after: Option<Cursor>,
    /// The `seq` of the last change that was written.
    seq: Option<Seq>,
    rows: usize,
    bytes: usize,
}

impl<'a> Stream<'a> {
    fn new(snapshot: &'a Snapshot<'a>, plan: &'a Plan, viewer: Viewer<'a>, top: Top, sender: Sender) -> Self {
        let after = plan.after.clone();
        Self { snapshot, plan, viewer, top, sender, buffer: Vec::new(), after, seq: None, rows: 0, bytes: 0 }
    }

    fn run(&mut self, header: &PullHeader, verify: bool) -> Result<(), StoreError> {
        self.write_line(&HeaderLine { pull: header })?;
        self.flush()?;
        let (snapshot, plan, viewer) = (self.snapshot, self.plan, self.viewer);
        snapshot.scan(viewer, plan, &mut |seq, change| {
            self.change(seq, &change)?;
            Ok(ControlFlow::Continue(()))
        })?;
        let cursor = self.cursor(self.top.seq, self.top.mark.clone());
        let digests = if verify { snapshot.digests(viewer, plan)? } else { Map::default() };
        self.checkpoint(cursor, Some(digests))?;
        self.flush()
    }

    /// A checkpoint comes only where the next change is of another transaction (rule 22).
    fn change(&mut self, seq: Seq, change: &Change) -> Result<(), StoreError> {
        let full = self.rows >= PULL_CHECKPOINT_ROWS || self.bytes >= CHECKPOINT_BYTES;
        if full && let Some(last) = self.seq.filter(|last| *last != seq) {
            let mark = self.mark(last)?;
            self.checkpoint(self.cursor(last, mark), None)?;
        }
        self.bytes += self.write_line(change)?;
        self.rows += 1;
        self.seq = Some(seq);
        if self.buffer.len() >= CHUNK_BYTES { self.flush() } else { Ok(()) }
    }

    fn mark(&self, seq: Seq) -> Result<String, StoreError> {
        let own = if seq > self.top.horizon { self.snapshot.mark(self.viewer.tenant(), seq)? } else { None };
        Ok(own.unwrap_or_else(|| self.plan.anchored_mark(&self.top)))
    }

    fn cursor(&self, seq: Seq, mark: String) -> Cursor {
        let scope: Scope = self.plan.scope.clone();
        Cursor { history: self.snapshot.history().to_owned(), seq, mark, scope }
    }

    /// `last`: nothing follows it; with the digests, if the reader asked for them.
    fn checkpoint(&mut self, cursor: Cursor, last: Option<Map>) -> Result<(), StoreError> {
        let after = self.after.replace(cursor.clone());
        self.write_line(&Checkpoint { cursor, after, done: last.is_some(), digests: last.unwrap_or_default() })?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    fn write_line<T: Serialize>(&mut self, line: &T) -> Result<usize, StoreError> {
        let before = self.buffer.len();
        self.buffer.extend_from_slice(json::to_text(line).as_bytes());
        self.buffer.push(b'\n');
        Ok(self.buffer.len() - before)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.sender.send(std::mem::take(&mut self.buffer))
    }
}
