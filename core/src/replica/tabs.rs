//! The tabs of one profile: one leads and talks to the network, all append to the log. Messages are hints; the log
//! is the truth.

use crate::error::Code;
use crate::io::{Durability, Now, Output, StoreError};
use crate::json;
use crate::json::{JsonLimits, Value};
use crate::limits::{LEADER_ANSWER_MS, LEADER_SILENT_MS, LOG_LOOK_MS};
use crate::log::record::Record;
use crate::planted::Bug;
use crate::replica::fetch::{FETCH, REFUSED};
use crate::replica::{Phase, Replica};

/// What the app is told when a newer release has moved the data.
pub(crate) const MOVED: &str = "a newer release wrote this store: reload the page";

/// Asks the other tabs to look whether the store is still the one that they know.
pub(crate) const LOOK: &str = "look";
/// A tab could not read a part of the log.
pub(crate) const MEND: &str = "mend";

/// The key of a record that the store has not taken yet: behind all others.
const NOT_YET: u64 = u64::MAX;

/// What this tab is among the others.
#[derive(Debug, Default)]
pub struct Tabs {
    role: Role,
    /// What the leader last said of the connection, for a follower's status.
    pub(crate) leader_status: Option<Value>,
    last_said: Option<Value>,
    /// When the leader was last heard of, by the monotonic clock, and when it was asked for a word since.
    heard_ms: u64,
    asked_ms: Option<u64>,
    /// The queue's version and the number of writes not yet stored, as last told.
    queue_said: (u64, usize),
    /// When the log was looked at for what no message told of.
    looked_ms: u64,
    /// This tab could not read a record, and knows less than others may.
    pub(crate) lacks: bool,
    /// The others were told so, when the log had so many records.
    asked_mend: Option<usize>,
    /// Another tab could not: what is known here is written anew, whether that is due or not.
    pub(crate) mends: Option<usize>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Role {
    #[default]
    Follower,
    /// Holds the lock; its `Lead` record is in the lane, or stands at this key and is not folded yet.
    Rising(u64),
    /// Its `Lead` record has this key: the fence.
    Leader(u64),
}

/// What tabs tell each other.
#[derive(Debug, PartialEq)]
pub(crate) enum Message {
    /// A record, so that nobody need read it.
    Record { key: u64, bytes: Vec<u8> },
    /// A record that is too large for a message.
    Written { key: u64 },
    /// The status of the leader with this fence.
    Status { fence: u64, status: Value },
    /// Something for the leader, or for all.
    Do(String),
}

impl Message {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (kind, key, rest): (u8, u64, Vec<u8>) = match self {
            Self::Record { key, bytes } => (0, *key, bytes.clone()),
            Self::Written { key } => (1, *key, Vec::new()),
            Self::Status { fence, status } => (2, *fence, json::write(status)),
            Self::Do(what) => (3, 0, what.clone().into_bytes()),
        };
        let mut message = vec![kind];
        message.extend_from_slice(&key.to_le_bytes());
        message.extend_from_slice(&rest);
        message
    }

    pub(crate) fn decode(message: &[u8]) -> Option<Self> {
        let (kind, rest) = message.split_first()?;
        let (key, rest) = rest.split_first_chunk::<8>()?;
        let key = u64::from_le_bytes(*key);
        match kind {
            0 => Some(Self::Record { key, bytes: rest.to_vec() }),
            1 => Some(Self::Written { key }),
            2 => json::parse(rest, JsonLimits::MESSAGE).ok().map(|status| Self::Status { fence: key, status }),
            3 => String::from_utf8(rest.to_vec()).ok().map(Self::Do),
            _ => None,
        }
    }
}

impl Tabs {
    /// Whether this tab leads: it holds the lock and its `Lead` record is folded.
    pub(crate) fn leads(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Whether the leader was asked for a word and has not given one.
    pub(crate) fn is_silent(&self) -> bool {
        self.asked_ms.is_some()
    }

    /// This tab's fence.
    pub(crate) fn fence(&self) -> u64 {
        match self.role {
            Role::Leader(fence) => fence,
            _ => 0,
        }
    }
}

impl Replica {
    /// The lock is ours: read what was missed, then say so in the log; that record's key is the fence.
    pub(crate) fn lock_held(&mut self) {
        if self.tabs.role == Role::Follower {
            self.lane.wants_read = true;
            self.rise();
        }
    }

    /// All of the code is there now.
    pub(crate) fn be_whole(&mut self) {
        let was_whole = std::mem::replace(&mut self.whole, true);
        if !was_whole && self.maintenance.opened && self.config.url.is_some() {
            self.ask_to_lead();
        }
    }

    /// Asks for the lock: only of a tab whose code is all there, since who leads talks to the network.
    pub(crate) fn ask_to_lead(&mut self) {
        if self.whole {
            self.output(Output::RequestLock);
        }
    }

    /// A follower would never hear what a damaged record held. Who leads may know it: he writes what he knows anew, and
    /// this tab reads that. Returns whether this one leads, and was asked. The log grows shorter by a seal alone.
    pub(crate) fn mend(&mut self) -> bool {
        let records = self.state.unsealed.records;
        if self.tabs.role == Role::Follower {
            if std::mem::take(&mut self.tabs.lacks) {
                self.tabs.asked_mend = Some(records);
                self.tell_tabs(&Message::Do(MEND.into()));
            } else if self.tabs.asked_mend.is_some_and(|asked| records < asked) {
                self.tabs.asked_mend = None;
                self.reload();
            }
        }
        self.tabs.mends = self.tabs.mends.filter(|asked| records >= *asked);
        self.tabs.mends.is_some()
    }

    fn rise(&mut self) {
        self.tabs.role = match Bug::LeadsAtOnce.is_planted() {
            true => Role::Leader(self.state.fence),
            false => Role::Rising(NOT_YET),
        };
        self.append(vec![Record::Lead], Durability::Strict);
    }

    /// The store has an append of ours: maybe the `Lead` record. That of another tab that rises at the same time is not
    /// ours: where there are no locks, or one is stolen twice, the last one leads.
    pub(crate) fn risen(&mut self, key: u64, bytes: &[u8]) {
        if self.tabs.role == Role::Rising(NOT_YET) && bytes == Record::Lead.encode() {
            self.tabs.role = Role::Rising(key);
        }
    }

    /// The log is new, and so are its fences.
    pub(crate) fn lead_again(&mut self) {
        if self.tabs.role != Role::Follower {
            self.rise();
        }
    }

    /// The store did not take our `Lead` record.
    pub(crate) fn rise_again(&mut self) {
        if matches!(self.tabs.role, Role::Rising(_)) {
            self.rise();
        }
    }

    #[inline(never)]
    pub(crate) fn tell_tabs(&mut self, message: &Message) {
        self.output(Output::Broadcast(message.encode()));
    }

    /// A new tab asks the leader how things stand.
    pub(crate) fn greet(&mut self) {
        self.tell_tabs(&Message::Do("hello".to_owned()));
    }

    /// Messages are hints: what a tab wrote that died before anybody heard of it is found by looking, now and then.
    /// Returns whether this is such a moment.
    pub(crate) fn look_at_log(&mut self, now: Now) -> bool {
        if !self.tabs.leads() {
            return false;
        }
        // Who begins to lead has just read it.
        if self.tabs.looked_ms == 0 {
            self.tabs.looked_ms = now.mono_ms;
        }
        let due_ms = self.tabs.looked_ms + LOG_LOOK_MS;
        if now.mono_ms < due_ms {
            self.wish(due_ms);
            return false;
        }
        self.tabs.looked_ms = now.mono_ms;
        self.read_on();
        true
    }

    /// A follower sees to it that somebody leads: a frozen tab keeps its lock and does nothing. What it still sends
    /// when it wakes is refused by its fence, or known by its number.
    pub(crate) fn watch_leader(&mut self, now: Now) {
        if self.tabs.role != Role::Follower || Bug::FrozenLeaderKept.is_planted() {
            return;
        }
        let due = match self.tabs.asked_ms {
            Some(asked) => asked + LEADER_ANSWER_MS,
            None => self.tabs.heard_ms + LEADER_SILENT_MS,
        };
        if now.mono_ms < due {
            return self.wish(due);
        }
        if self.tabs.asked_ms.is_some() {
            let silent_ms = now.mono_ms - self.tabs.heard_ms;
            self.heard_of_leader(now);
            self.take_over(now, silent_ms);
        } else {
            self.tabs.asked_ms = Some(now.mono_ms);
            self.ask_leader();
        }
        self.watch_leader(now);
    }

    pub(crate) fn heard_of_leader(&mut self, now: Now) {
        self.tabs.heard_ms = now.mono_ms;
        self.tabs.asked_ms = None;
    }

    /// The next round tells the other tabs the status again; who has missed a record reads on.
    pub(crate) fn say_status_again(&mut self) {
        self.tabs.last_said = None;
        if !Bug::NewcomersNotTold.is_planted() {
            self.tell_tabs(&Message::Written { key: self.state.last });
        }
    }

    /// Somebody took the lock: nothing of ours leaves any more.
    #[inline(never)]
    pub(crate) fn lock_lost(&mut self, now: Now) {
        self.tabs.role = Role::Follower;
        self.heard_of_leader(now);
        self.lane.forget_server_records();
        self.stop_network(now);
        self.output(Output::RequestLock);
        self.status_moved();
    }

    pub(crate) fn queue_moved(&mut self) {
        self.event(json!({"type": "queue"}));
    }

    fn status_moved(&mut self) {
        self.event(json!({"type": "status"}));
    }

    /// After each record, and after all was read again: whether our `Lead` has arrived, or somebody else's behind it.
    pub(crate) fn after_fold(&mut self, now: Now) {
        if self.state.moved {
            return self.moved_away(now);
        }
        let fence = self.state.fence;
        match self.tabs.role {
            Role::Rising(ours) if fence == ours => {
                self.tabs.role = Role::Leader(fence);
                self.pulling.wanted = true;
                self.status_moved();
            }
            Role::Rising(ours) | Role::Leader(ours) if fence > ours && !Bug::OldLeaderSends.is_planted() => {
                self.lock_lost(now);
            }
            _ => {}
        }
    }

    /// A newer release has moved the data: nothing is read, written or sent any more (rule 5). What is shown stays.
    fn moved_away(&mut self, now: Now) {
        self.stop_network(now);
        self.lane.forget_server_records();
        self.fail_writes(now, StoreError::FormatNewer);
        self.tabs.leader_status = None;
        self.output(Output::ReleaseLock);
        self.block("upgrade", Code::FormatNewer, MOVED);
        self.phase = Phase::Closed;
    }

    pub(crate) fn message(&mut self, now: Now, bytes: &[u8]) {
        match Message::decode(bytes) {
            Some(Message::Record { key, bytes }) => {
                // While an append of ours is in flight its key decides; the record is read then.
                let is_next = key == self.state.last + 1 || Bug::HintsFolded.is_planted() && key > self.state.last;
                if is_next && self.lane.is_idle() {
                    self.fold_one(now, key, &bytes);
                    self.durable_writes();
                } else if key > self.state.last {
                    self.lane.wants_read = true;
                }
            }
            Some(Message::Written { key }) => self.lane.wants_read |= key > self.state.last,
            Some(Message::Status { fence, status }) => self.leader_says(now, fence, status),
            Some(Message::Do(what)) => match (what.strip_prefix(FETCH), what.strip_prefix(REFUSED)) {
                // Who is not whole neither leads nor has asked.
                (None, None) => self.act(&what),
                _ if !self.whole => {}
                (Some(wish), _) => self.take_wish(now, wish),
                (_, Some(event)) => self.take_refusal(event),
            },
            None => {}
        }
    }

    /// Who has just woken, and does not know yet that another tab leads, is not the leader: let the leader tell it.
    fn leader_says(&mut self, now: Now, fence: u64, status: Value) {
        if fence < self.state.fence {
            return self.say_status_again();
        }
        // Of a lead that is not read yet: ours, if we lead, is over.
        self.lane.wants_read |= fence > self.state.fence;
        self.heard_of_leader(now);
        if self.tabs.leader_status.as_ref() != Some(&status) {
            self.tabs.leader_status = Some(status);
            self.status_moved();
        }
    }

    /// Tells the face when the queue or the status changed, and the other tabs what the leader sees.
    pub(crate) fn publish_status(&mut self, now: Now) {
        let queue = (self.state.queue_version, self.writes.count());
        let queue_moved = std::mem::replace(&mut self.tabs.queue_said, queue) != queue;
        if queue_moved {
            self.queue_moved();
        }
        let status = self.connection_view(now);
        let status_moved = self.tabs.last_said.as_ref() != Some(&status);
        if status_moved {
            if self.tabs.leads() {
                let said = Message::Status { fence: self.tabs.fence(), status: status.clone() };
                self.tell_tabs(&said);
            }
            self.tabs.last_said = Some(status);
        }
        // The status counts what is in the queue.
        if queue_moved || status_moved {
            self.status_moved();
        }
    }
}
