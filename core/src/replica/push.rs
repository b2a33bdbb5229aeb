//! Sending mutations, exactly once: choose → `Sent` is durable → build from the fold → send → `Acks` is durable
//! (rules 3, 6, 12).
//!
//! ```text
//! idle ─► preparing (Sent in the lane) ─► in flight ─► acking (Acks in the lane) ─► idle
//!   ▲                                        │ failure: backoff, smaller batch, suspect (rule 32)
//!   └────────────────────────────────────────┘
//! ```
//!
//! A small push travels on the live channel, where the server takes that. If the channel ends before the answer has
//! come (unheard), the same numbers go by a request at once; so does what follows, until the server has answered one.
//!
//! One push is under way at a time. Of a long queue the next one is made ready meanwhile (its `Sent`), and leaves with
//! the answer to the one before, whose `Acks` go into the log at the same time: until they are there, the floor stays
//! where it was (rule 6).

use crate::json;
use crate::json::Raw;

use crate::error::Code;
use crate::ids::MutationId;
use crate::io::{Durability, Fetch, Now, Output, Token};
use crate::limits::{HELD_MS_MAX, HELD_RETRY_MS, LEADER_SILENT_MS, SUSPECT_FAILURES};
use crate::log::record::{Acks, Coalesce, Record, Sent};
use crate::model::verdict::{Verdict, VerdictItem};
use crate::planted::Bug;
use crate::protocol::message::{Push, PushItem, VERSION};
use crate::queue::backoff::Backoff;
use crate::queue::{batch, coalesce};
use crate::replica::Replica;
use crate::replica::fork::Fork;
use crate::replica::verdicts::Line;
use crate::small::{SmallMap, SmallSet};
use crate::store::state::{Entry, Status};

/// The push side.
#[derive(Debug, Default)]
pub struct Pushing {
    pub(crate) step: Step,
    pub(crate) backoff: Backoff,
    /// At most so many in one push; halved by failures, `None`: as configured.
    pub(crate) count_max: Option<usize>,
    /// A batch of so many was too large for the server: it is not tried again.
    pub(crate) refused_count: Option<usize>,
    /// Another request succeeded since the first failure of this batch.
    pub(crate) others_succeed: bool,
    pub(crate) line: Line,
    /// Failures of what was pushed alone (rule 32).
    pub(crate) alone: SmallMap<MutationId, Alone>,
    pub(crate) held_retry_ms: u64,
    /// Failed attempts by mutation, for the queue view.
    pub(crate) attempts: SmallMap<MutationId, u32>,
    /// The server knows this store's numbers with other content.
    pub(crate) fork: Option<Fork>,
    /// A push on the live channel was not answered as it should: requests only, until one is.
    pub(crate) by_request: bool,
    /// So many in a row were not.
    pub(crate) unheard: u32,
    /// The newest edit when it was last looked which of them can be joined.
    planned: Option<MutationId>,
    /// Edits whose verdicts are on their way into the log: they are not sent again meanwhile.
    pub(crate) decided: SmallSet<MutationId>,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Alone {
    pub(crate) failures: u32,
    pub(crate) not_before_ms: u64,
}

#[derive(Debug, Default)]
pub(crate) enum Step {
    #[default]
    Idle,
    Preparing {
        through: MutationId,
    },
    InFlight(Flight),
    Acking,
    /// The channel took an answer with it: the log is read before the same leaves again (rule 2).
    Unheard,
}

#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) token: Token,
    /// It travels on the live channel, and its token is the push's number there.
    pub(crate) live: bool,
    /// It was looked whether the next one can be made ready.
    looked: bool,
    pub(crate) ns: Vec<MutationId>,
    /// The server's history, as far as it is known.
    pub(crate) history: Option<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) retry_after_ms: u64,
    pub(crate) json: bool,
    pub(crate) started_ms: u64,
    pub(crate) deadline_ms: u64,
}

impl Pushing {
    pub(crate) fn is_suspect(&self, n: MutationId) -> bool {
        self.alone.get(&n).is_some_and(|alone| alone.failures >= SUSPECT_FAILURES)
    }

    pub(crate) fn in_flight(&self) -> &[MutationId] {
        match &self.step {
            Step::InFlight(flight) => &flight.ns,
            _ => &[],
        }
    }

    pub(crate) fn is_busy(&self) -> bool {
        !matches!(self.step, Step::Idle)
    }

    /// A request of another kind succeeded: then a failing push is the push's own fault.
    pub(crate) fn other_succeeded(&mut self) {
        self.others_succeed |= self.backoff.failures > 0;
    }

    /// After a success: twice as many again, up to what is configured, but never as many as were too large.
    pub(crate) fn grow(&mut self, configured: usize) {
        let Some(count) = self.count_max.map(|count| count * 2) else { return };
        if self.refused_count.is_none_or(|refused| count < refused) {
            self.count_max = Some(count).filter(|count| *count < configured);
        }
    }

    /// The user wants everything tried now.
    pub(crate) fn hurry(&mut self) {
        self.backoff.not_before_ms = 0;
        self.held_retry_ms = 0;
        self.alone.values_mut().for_each(|alone| alone.not_before_ms = 0);
    }
}

impl Replica {
    pub(crate) fn advance_push(&mut self, now: Now) {
        if !self.lane.is_behind() {
            self.pushing.decided = SmallSet::new();
        }
        match &self.pushing.step {
            Step::Idle => self.start_push(now),
            Step::Preparing { through } => {
                if self.state.sent_through >= *through && !self.lane.has_server_records() {
                    self.send_push(now);
                } else if !self.lane.has_server_records() {
                    // The record did not make it.
                    self.pushing.step = Step::Idle;
                }
            }
            Step::InFlight(flight) => {
                let (token, live, deadline) = (flight.token, flight.live, flight.deadline_ms);
                if now.mono_ms >= deadline {
                    if live {
                        self.mute_channel();
                        self.push_unheard();
                    } else {
                        self.output(Output::Abort { token });
                        self.push_failed(now, 0, "no answer in time");
                    }
                    // Nothing else may happen before the next try is due: ask to be woken for it.
                    self.advance_push(now);
                } else {
                    self.wish(deadline);
                    self.prepare_next(now);
                }
            }
            Step::Acking | Step::Unheard => {
                if !self.lane.is_behind() {
                    self.pushing.step = Step::Idle;
                    self.start_push(now);
                }
            }
        }
    }

    fn start_push(&mut self, now: Now) {
        if self.session.ready().is_none() || self.state.replica.is_none() || self.state.fence != self.tabs.fence() {
            return;
        }
        if !self.pushing.backoff.is_ready(now.mono_ms) {
            if self.state.undecided().next().is_some() {
                self.wish(self.pushing.backoff.not_before_ms);
            }
            return;
        }
        if self.expire_held(now) {
            return;
        }
        let ns = self.choose(now, &[]);
        self.wish_for_later(now);
        let Some(through) = ns.last().copied() else { return };
        if through <= self.state.sent_through || Bug::SentUnrecorded.is_planted() {
            return self.send_push(now);
        }
        let mut records = Vec::new();
        let newest = self.state.queue.last_key().copied();
        // A long queue goes in many pushes; what could be joined was, unless there is more of it now.
        if self.pushing.planned != newest {
            self.pushing.planned = newest;
            for joined in coalesce::plan(&self.state) {
                let m = Raw::trusted(json::to_text(&joined.mutation));
                records.push(Record::Coalesce(Coalesce { survivor: joined.survivor, absorbed: joined.absorbed, m }));
            }
        }
        records.push(Record::Sent(Sent { fence: self.tabs.fence(), through }));
        self.append(records, Durability::Strict);
        self.pushing.step = Step::Preparing { through };
    }

    /// The `Sent` of the writes that are about to be stored, if they leave as soon as they are: one transaction is
    /// faster than two. Their key is a guess. If another tab took it, this is about less, and another `Sent` follows.
    pub(crate) fn sent_along(&self, now: Now) -> Option<Record> {
        let (pushing, fence) = (&self.pushing, self.tabs.fence());
        let leads = fence > 0 && fence == self.state.fence && self.session.ready().is_some();
        let is_free = !pushing.is_busy() && pushing.backoff.is_ready(now.mono_ms) && pushing.fork.is_none();
        let is_alone = !self.lane.has_server_records()
            && self.state.replica.is_some()
            && self.state.letters.is_empty()
            && self.state.undecided().next().is_none();
        let edits = self.writes.edits_in_flight()?;
        if !(leads && is_free && is_alone) || edits > pushing.count_max.unwrap_or(self.config.limits().count) {
            return None;
        }
        let through = MutationId(self.state.last + 1, u32::try_from(edits).ok()?.checked_sub(1)?);
        Some(Record::Sent(Sent { fence, through }))
    }

    /// Of a long queue, what goes next is marked while the server decides what went before. Only a push that will not
    /// become fuller: what was marked cannot be joined any more with what the user writes meanwhile.
    fn prepare_next(&mut self, now: Now) {
        let newest = self.state.queue.last_key().copied();
        let is_free = !self.lane.has_server_records() && self.pushing.fork.is_none() && self.pushing.planned == newest;
        if !is_free || self.state.fence != self.tabs.fence() {
            return;
        }
        let Step::InFlight(flight) = &mut self.pushing.step else { return };
        if std::mem::replace(&mut flight.looked, true) {
            return;
        }
        let flying = flight.ns.clone();
        let ns = self.choose(now, &flying);
        let Some(through) = ns.last().copied() else { return };
        let is_full =
            ns.len() >= self.pushing.count_max.unwrap_or(self.config.limits().count) || Some(through) < newest;
        if is_full && through > self.state.sent_through {
            self.append(vec![Record::Sent(Sent { fence: self.tabs.fence(), through })], Durability::Strict);
        }
    }

    /// The verdicts of a push, in which nothing has to wait, go into the log. The next push leaves at the same time, if
    /// it is ready.
    pub(crate) fn push_on(&mut self, now: Now, flight: &Flight, verdicts: Vec<VerdictItem>) {
        let ns = &flight.ns;
        // A tab that was frozen meanwhile may lead no more: the key of its `Acks` tells.
        let is_awake = now.mono_ms < flight.started_ms + LEADER_SILENT_MS;
        let is_clear = |item: &VerdictItem| !matches!(item.verdict, Verdict::Rejected { .. } | Verdict::Held { .. });
        // What follows something that waits has to wait with it, and which that is the fold tells.
        let is_whole = verdicts.len() == ns.len() && verdicts.iter().all(is_clear);
        let goes_on = is_awake && is_whole && self.pushing.decided.is_empty();
        self.acknowledge(now, verdicts, flight.history.clone());
        if goes_on {
            self.pushing.decided = ns.iter().map(|n| (*n, ())).collect();
            self.send_push(now);
            if !self.pushing.is_busy() {
                self.pushing.step = Step::Acking;
            }
        }
    }

    /// Whether a push is under way and more of the queue follows it.
    pub(crate) fn pushes_more(&self) -> bool {
        let under_way = self.pushing.in_flight().len() + self.pushing.decided.len();
        let waits = |(_, entry): &(&MutationId, &Entry)| entry.status == Status::Queued;
        under_way > 0 && self.state.undecided().filter(waits).nth(under_way).is_some()
    }

    /// What may go now, but for what is under way.
    pub(crate) fn choose(&self, now: Now, flying: &[MutationId]) -> Vec<MutationId> {
        let mut limits = self.config.limits();
        limits.count = self.pushing.count_max.unwrap_or(limits.count);
        if let Some(fork) = &self.pushing.fork {
            return fork.question(&self.state, limits);
        }
        let pushing = &self.pushing;
        let waits = |n: MutationId, entry: &Entry| match pushing.alone.get(&n) {
            Some(alone) if alone.failures >= SUSPECT_FAILURES => alone.not_before_ms > now.mono_ms,
            _ => entry.status.is_held() && pushing.held_retry_ms > now.mono_ms,
        };
        let flying: SmallSet<MutationId> = flying.iter().map(|n| (*n, ())).collect();
        let skips = |n: MutationId| flying.contains_key(&n) || pushing.decided.contains_key(&n);
        let mut ns = batch::next(&self.state, limits, &skips, &waits);
        // A suspect goes alone, so that it cannot take others with it.
        if let Some(index) = ns.iter().position(|n| pushing.is_suspect(*n)) {
            let unit = |n| self.state.queue.get(n).map(|entry| batch::unit(&self.state, *n, entry).len());
            ns.truncate(if index == 0 { ns.first().and_then(unit).unwrap_or(1) } else { index });
        }
        batch::keep(&self.state, &mut ns, &|n| self.state.was_sent(n) || self.is_migrated(n));
        ns
    }

    /// Asks to be woken for what waits.
    fn wish_for_later(&mut self, now: Now) {
        let suspects = self.pushing.alone.values().map(|alone| alone.not_before_ms);
        let later: Vec<u64> = suspects.chain([self.pushing.held_retry_ms]).filter(|at| *at > now.mono_ms).collect();
        later.into_iter().for_each(|at| self.wish(at));
    }

    /// What waited for 7 days becomes a dead letter (rule 10).
    fn expire_held(&mut self, now: Now) -> bool {
        let old =
            |entry: &Entry| matches!(entry.status, Status::Held { since, .. } if now.wall_ms > since + HELD_MS_MAX);
        let expired: Vec<MutationId> = self.state.queue.iter().filter(|(_, e)| old(e)).map(|(n, _)| *n).collect();
        if expired.is_empty() {
            return false;
        }
        self.reject_here(now, &expired, Code::HeldTooLong, "waited 7 days for the entity that it changes");
        true
    }

    pub(crate) fn reject_here(&mut self, now: Now, ns: &[MutationId], code: Code, message: &str) {
        let verdict = Verdict::Rejected { code, path: None, message: message.to_owned() };
        let item = |n: &MutationId| VerdictItem { n: *n, duplicate: false, verdict: verdict.clone() };
        self.acknowledge(now, ns.iter().map(item).collect(), None);
    }

    pub(crate) fn acknowledge(&mut self, now: Now, verdicts: Vec<VerdictItem>, history: Option<String>) {
        let fence = self.tabs.fence();
        self.append(vec![Record::Acks(Acks { fence, at: now.wall_ms, verdicts, history })], Durability::Strict);
        self.pushing.step = Step::Acking;
    }

    /// Builds the body from the fold as it stands and sends it. If another tab leads now, nothing leaves (rule 3).
    fn send_push(&mut self, now: Now) {
        self.pushing.step = Step::Idle;
        let ns: Vec<MutationId> = self.choose(now, &[]).into_iter().filter(|n| self.state.was_sent(*n)).collect();
        let (Some(replica), Some(bearer)) = (self.state.replica.clone(), self.session.ready()) else { return };
        if ns.is_empty() || self.state.fence != self.tabs.fence() && !Bug::OldLeaderSends.is_planted() {
            return;
        }
        let (bearer, history) = (bearer.to_owned(), self.state.history().cloned());
        let item = |n: &MutationId| {
            let entry = self.state.queue.get(n)?;
            let m = (entry.status != Status::Void).then(|| entry.edit.raw.clone());
            let at = m.is_none().then_some(entry.edit.at);
            Some(PushItem { n: *n, tx: entry.tx.filter(|_| m.is_some()), m, at, old: entry.old })
        };
        let push = Push {
            v: VERSION,
            replica,
            owner: self.state.owner.clone(),
            history: history.clone(),
            schema: self.config.schema,
            fence: self.tabs.fence(),
            floor: self.state.floor(),
            now: now.wall_ms,
            sent_at: self.session.clock.and_then(|clock| clock.read(now)),
            mutations: match Bug::OutOfOrder.is_planted() {
                true => ns.iter().rev().filter_map(item).collect(),
                false => ns.iter().filter_map(item).collect(),
            },
        };
        let body = json::to_text(&push);
        self.metrics.request_started(body.len());
        if ns.iter().any(|n| self.state.queue.get(n).is_some_and(|e| e.status.is_held())) {
            self.pushing.held_retry_ms = now.mono_ms + HELD_RETRY_MS;
        }
        let token = self.token();
        let live = !self.pushing.by_request && self.say_push(token, &body);
        if !live {
            let request = Fetch { path: "push".to_owned(), body: Some(body), bearer: Some(bearer) };
            self.output(Output::Fetch { token, request });
        }
        self.wish(now.mono_ms + self.config.timeout_ms);
        self.pushing.step = Step::InFlight(Flight {
            token,
            live,
            looked: false,
            ns,
            history,
            body: Vec::new(),
            status: 0,
            retry_after_ms: 0,
            json: false,
            started_ms: now.mono_ms,
            deadline_ms: now.mono_ms + self.config.timeout_ms,
        });
        self.queue_moved();
    }

    pub(crate) fn flight(&mut self, token: Token) -> Option<&mut Flight> {
        match &mut self.pushing.step {
            Step::InFlight(flight) if flight.token == token => Some(flight),
            _ => None,
        }
    }
}
