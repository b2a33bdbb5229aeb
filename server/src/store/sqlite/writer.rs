//! The one thread that writes. It takes the pushes that have come in meanwhile into one database transaction: each in
//! its own savepoint, so that one that fails takes only itself back; all are answered after the commit.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, TransactionBehavior};
use tidewire_core::authority::{Rows, decide_push};
use tidewire_core::ids::Owner;
use tidewire_core::protocol::message::{Push, PushAnswer};
use tokio::sync::oneshot;

use super::lock::DirectoryLock;
use super::prune::{Pass, Slice};
use super::rows::SqliteRows;
use super::versions::Replaced;
use super::{Wakers, grants, revocations, savepoint, schema};
use crate::auth::Revoked;
use crate::policy::{Author, Principal, ServerPolicy};
use crate::store::StoreError;

/// Jobs that may wait; more are refused, and the client tries again.
const QUEUE_MAX: usize = 1_024;
/// Pushes in one database transaction: more would make the first wait too long for the last.
const BATCH_MAX: usize = 64;
/// Mutations in one database transaction, for the same reason.
const BATCH_MUTATIONS_MAX: usize = 4_000;
/// After so long without a push the writer looks whether something else is due.
const IDLE: Duration = Duration::from_secs(30);
/// What is past the horizon is removed this often, and as often as the horizon is long.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked to do.
pub(super) enum Job {
    Push { author: Principal, push: Box<Push>, now_ms: u64, reply: Reply<PushAnswer> },
    Prune { now_ms: u64, reply: Reply<()> },
    Secret { name: &'static str, reply: Reply<String> },
    Revoke { revoked: Revoked, at_ms: u64, reply: Reply<()> },
    Stop { reply: oneshot::Sender<()> },
}

/// The handle of the writer thread.
pub(super) struct Writer {
    jobs: SyncSender<Job>,
    waiting: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        lock: DirectoryLock,
        policy: Arc<ServerPolicy>,
        wakers: Wakers,
        horizon: Duration,
    ) -> Self {
        let (jobs, queue) = sync_channel(QUEUE_MAX);
        let waiting = Arc::new(AtomicUsize::new(0));
        let waits = Arc::clone(&waiting);
        let mut thread = Thread {
            connection,
            _lock: lock,
            policy,
            wakers,
            queue,
            waiting: waits,
            horizon,
            pruned: Instant::now(),
            pass: None,
        };
        let thread = std::thread::spawn(move || {
            let stopped = thread.run();
            // Who is told that it has stopped may open the directory again.
            drop(thread);
            if let Some(reply) = stopped {
                let _ = reply.send(());
            }
        });
        Self { jobs, waiting, thread }
    }

    pub(super) async fn call<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.jobs.try_send(job(reply)) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(match error {
                TrySendError::Full(_) => StoreError::Overloaded,
                TrySendError::Disconnected(_) => StoreError::Closed,
            });
        }
        answer.await.map_err(|_| StoreError::Closed)
    }

    pub(super) fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

struct Thread {
    connection: Connection,
    /// Freed after the connection is closed.
    _lock: DirectoryLock,
    policy: Arc<ServerPolicy>,
    wakers: Wakers,
    queue: Receiver<Job>,
    waiting: Arc<AtomicUsize>,
    horizon: Duration,
    pruned: Instant,
    /// What is past the horizon is being removed: a slice after each batch of pushes, and the rest when none waits.
    pass: Option<Pass>,
}

struct Pending {
    author: Principal,
    push: Box<Push>,
    now_ms: u64,
    reply: Reply<PushAnswer>,
}

impl Thread {
    /// Works until it is told to stop, or nobody is left to ask; returns whom to tell.
    fn run(&mut self) -> Option<oneshot::Sender<()>> {
        loop {
            let wait = if self.pass.is_some() { Duration::ZERO } else { IDLE.min(self.horizon) };
            let mut next = match self.queue.recv_timeout(wait) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return None,
            };
            // A push collects those behind it; the job that ends the batch is done after it.
            while let Some(job) = next.take() {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                match job {
                    Job::Push { author, push, now_ms, reply } => {
                        next = self.push_batch(Pending { author, push, now_ms, reply });
                    }
                    Job::Prune { now_ms, reply } => {
                        let _ = reply.send(self.prune(now_ms));
                    }
                    Job::Secret { name, reply } => {
                        let secret = super::random_text(4);
                        let _ = reply.send(schema::meta_or_insert(&self.connection, name, &secret));
                    }
                    Job::Revoke { revoked, at_ms, reply } => {
                        let _ = reply.send(revocations::add(&self.connection, &revoked, at_ms));
                    }
                    Job::Stop { reply } => {
                        if let Err(error) = self.connection.pragma_update(None, "wal_checkpoint", "truncate") {
                            tracing::warn!(%error, "the write-ahead log is left to the next start");
                        }
                        return Some(reply);
                    }
                }
            }
            self.prune_if_due();
        }
    }

    /// Takes the waiting pushes behind `first` into its database transaction. Returns the job that is not a push.
    fn push_batch(&mut self, first: Pending) -> Option<Job> {
        let mut mutations = first.push.mutations.len();
        let mut batch = vec![first];
        let mut other = None;
        while batch.len() < BATCH_MAX && mutations < BATCH_MUTATIONS_MAX {
            match self.queue.try_recv() {
                Ok(Job::Push { author, push, now_ms, reply }) => {
                    self.waiting.fetch_sub(1, Ordering::Relaxed);
                    mutations += push.mutations.len();
                    batch.push(Pending { author, push, now_ms, reply });
                }
                Ok(job) => {
                    other = Some(job);
                    break;
                }
                Err(_) => break,
            }
        }
        self.commit(batch);
        other
    }

    fn commit(&mut self, batch: Vec<Pending>) {
        let mut newest = BTreeMap::new();
        let decided = self.decide_all(&batch, &mut newest);
        match decided {
            Ok(answers) => {
                for (tenant, (seq, replaced)) in newest {
                    self.wakers.wake(&tenant, seq, replaced);
                }
                for (pending, answer) in batch.into_iter().zip(answers) {
                    let _ = pending.reply.send(answer);
                }
            }
            Err(error) => {
                tracing::error!(%error, pushes = batch.len(), "a batch of pushes could not be committed");
                for pending in batch {
                    let _ = pending.reply.send(Err(StoreError::Directory(format!("commit failed: {error}"))));
                }
            }
        }
    }

    /// The outer error is that of the whole database transaction: nothing of it is stored.
    #[allow(clippy::type_complexity)]
    fn decide_all(
        &mut self,
        batch: &[Pending],
        newest: &mut BTreeMap<String, (u64, Vec<Replaced>)>,
    ) -> Result<Vec<Result<PushAnswer, StoreError>>, StoreError> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut answers = Vec::with_capacity(batch.len());
        for pending in batch {
            let is_heard = self.wakers.is_heard(&pending.author.owner.tenant);
            let answer = savepoint(&tx, || Ok((decide(&tx, &self.policy, pending, is_heard)?, true)));
            answers.push(answer.map(|(seq, answer, replaced)| {
                let told = newest.entry(pending.author.owner.tenant.clone()).or_default();
                told.0 = seq;
                told.1.extend(replaced);
                answer
            }));
        }
        tx.commit()?;
        Ok(answers)
    }

    /// The next slice of a pass, or the first of one that is due.
    fn prune_if_due(&mut self) {
        if self.pass.is_none() && self.pruned.elapsed() < PRUNE_EVERY.min(self.horizon) {
            return;
        }
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
        let pass = self.pass.take().map_or_else(|| self.begin_pass(now_ms), Ok);
        match pass.and_then(|pass| self.prune_slice(pass)) {
            Ok(rest) => self.pass = rest,
            Err(error) => tracing::error!(%error, "what is past the horizon could not be removed"),
        }
    }

    fn begin_pass(&mut self, now_ms: u64) -> Result<Pass, StoreError> {
        self.pruned = Instant::now();
        Pass::begin(&self.connection, now_ms, self.horizon)
    }

    /// Gives the pass back if something is left of it.
    fn prune_slice(&mut self, mut pass: Pass) -> Result<Option<Pass>, StoreError> {
        let Slice { is_last, news } = pass.go_on(&mut self.connection)?;
        if let Some((tenant, seq)) = news {
            self.wakers.wake(&tenant, seq, Vec::new());
        }
        Ok(if is_last { None } else { Some(pass) })
    }

    /// All that is past the horizon at this time.
    fn prune(&mut self, now_ms: u64) -> Result<(), StoreError> {
        let mut left = Some(self.begin_pass(now_ms)?);
        while let Some(pass) = left {
            left = self.prune_slice(pass)?;
        }
        Ok(())
    }
}

/// A panic is contained: it is this push's failure, and its savepoint is rolled back. Where somebody listens, what was
/// replaced is told too.
fn decide(
    connection: &Connection,
    policy: &ServerPolicy,
    pending: &Pending,
    is_heard: bool,
) -> Result<(u64, PushAnswer, Vec<Replaced>), StoreError> {
    let Pending { author, push, now_ms, .. } = pending;
    let written = Cell::new(false);
    let granted = |user: &Owner| match policy.memberships().is_empty() {
        true => Ok(Vec::new()),
        false => grants::of(connection, user),
    };
    let rights = Author::new(policy, author, &granted, &written);
    let rows = SqliteRows::new(connection, &author.owner, &push.replica, *now_ms);
    let mut rows = rows.tied(policy.relations()).granting(policy.memberships(), &written);
    if is_heard {
        rows = rows.keeping_versions();
    }
    let decision = catch_unwind(AssertUnwindSafe(|| decide_push(&mut rows, &rights, &author.owner, push, *now_ms)));
    let answer = decision.map_err(|panic| StoreError::Panicked(panic_text(panic.as_ref())))??;
    rights.check()?;
    Ok((rows.seq()?, answer, rows.replaced()))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}
