//! The watchdog: what should not happen, happens, and would go on in silence. Each finding repairs itself, is told by
//! an event `watchdog` with a stable code, and stands in `health`.
//!
//! | code | found | repair |
//! |---|---|---|
//! | `diverged` | this device holds other data than the server (`verify.rs`) | the collection is read again |
//! | `stalled-leader` | the tab that leads keeps its lock and says nothing (`tabs.rs`) | this tab takes the lead |
//! | `stalled-queue` | the server answers, and yet the oldest edit does not leave | the connection is made anew |
//!
//! It is no part of a retry: what fails is tried again long before. The invariant: a repair loses nothing and sends
//! nothing twice, since it only begins anew what may begin anew at any time.

use crate::error::Code;
use crate::ids::{CollectionName, MutationId};
use crate::io::{Now, Output};
use crate::json::{Value, json};
use crate::limits::{REPAIRS_KEPT, UPGRADE_RETRY_MS};
use crate::replica::Replica;
use crate::replica::push::Pushing;
use crate::small::SmallMap;
use crate::store::state::Status;

/// What it has seen.
#[derive(Debug, Default)]
pub struct Watchdog {
    /// The oldest edit that waits for a verdict, and since when by the monotonic clock it could have had one.
    waits: Option<(MutationId, u64)>,
    /// The connection was made anew for this one.
    stalled: Option<MutationId>,
    /// What was repaired, the oldest first.
    repairs: Vec<Value>,
}

/// What is said of a collection that was read again in vain.
pub(crate) const STAYS: &str = "this collection differs from the server's after it was read again: report it";

/// What is said of a finding, in the event and while it lasts in health.
fn words(code: Code) -> &'static str {
    match code {
        Code::StalledLeader => "the tab that leads is silent: this one takes over",
        Code::StalledQueue => "the oldest edit does not get through: the connection is made anew",
        _ => "this collection differs from the server's: it is read again",
    }
}

impl Pushing {
    /// What was learned from failures is forgotten.
    fn begin_anew(&mut self) {
        self.backoff.reset();
        (self.count_max, self.others_succeed, self.by_request, self.unheard) = (None, false, false, 0);
        self.alone = SmallMap::new();
        self.held_retry_ms = 0;
    }
}

impl Replica {
    /// Something was found and is being repaired: says so.
    #[inline(never)]
    pub(crate) fn repaired(&mut self, now: Now, code: Code, age_ms: Option<u64>, collection: Option<&CollectionName>) {
        if self.watchdog.repairs.len() >= REPAIRS_KEPT {
            self.watchdog.repairs.remove(0);
        }
        let mut repair = json!({"code": code, "at": now.wall_ms});
        self.metrics.recoveries += 1;
        let mut event = json!({"type": "watchdog", "code": code, "message": words(code)});
        if let (Some(age_ms), Some(fields)) = (age_ms, event.as_object_mut()) {
            fields.insert("ageMs".to_owned(), age_ms.into());
        }
        if let Some(name) = collection {
            for fields in [&mut event, &mut repair].into_iter().filter_map(Value::as_object_mut) {
                fields.insert("collection".to_owned(), json!(name));
            }
        }
        self.watchdog.repairs.push(repair);
        self.event(event);
        self.event(json!({"type": "health"}));
    }

    /// The server may have an older version of the schema than this app for a moment, as it is renewed last.
    fn ask_again(&mut self, now: Now) {
        let Some(blocked) = self.session.blocked.as_mut().filter(|blocked| blocked.code == Code::UpgradeRequired)
        else {
            return;
        };
        let again_ms = *blocked.again_ms.get_or_insert(now.mono_ms + UPGRADE_RETRY_MS);
        blocked.is_tried |= now.mono_ms >= again_ms;
        if !blocked.is_tried {
            self.wish(again_ms);
        }
    }

    /// The leader looks whether the oldest edit moves.
    pub(crate) fn watch_queue(&mut self, now: Now) {
        self.ask_again(now);
        let mut queued = self.state.undecided().filter(|(_, entry)| entry.status == Status::Queued);
        let oldest = queued.next().map(|(n, entry)| (*n, entry.edit.at.0));
        drop(queued);
        let can_send = self.session.ready().is_some() && !self.lane.is_full();
        let Some((n, made_ms)) = oldest.filter(|_| can_send) else {
            (self.watchdog.waits, self.watchdog.stalled) = (None, None);
            return;
        };
        let since = match self.watchdog.waits {
            Some((known, since)) if known == n => since,
            _ => now.mono_ms,
        };
        self.watchdog.waits = Some((n, since));
        // A request has its own time, and whether the next one fares better is seen as well.
        let limit_ms = self.config.health.pending_ms.max(self.config.timeout_ms.saturating_mul(2));
        if now.mono_ms < since + limit_ms {
            return self.wish(since + limit_ms);
        }
        // Whether that helps is seen after the same time again.
        self.watchdog.waits = Some((n, now.mono_ms));
        self.wish(now.mono_ms + limit_ms);
        // A server that answers nothing is no finding: the status says that there is no connection.
        if self.live.is_ready() || self.session.reached.is_some_and(|at| at.mono_ms >= since) {
            self.watchdog.stalled = Some(n);
            self.stop_network(now);
            self.pushing.begin_anew();
            self.pulling.wanted = true;
            self.repaired(now, Code::StalledQueue, Some(now.wall_ms.saturating_sub(made_ms)), None);
        }
    }

    /// The leader has said nothing for a while: it is asked for a word.
    pub(crate) fn ask_leader(&mut self) {
        self.greet();
        self.event(json!({"type": "health"}));
    }

    /// A follower takes the lead from a tab that says nothing.
    pub(crate) fn take_over(&mut self, now: Now, silent_ms: u64) {
        self.output(Output::StealLock);
        self.repaired(now, Code::StalledLeader, Some(silent_ms), None);
    }

    /// What is being repaired, in words, and what was.
    #[inline(never)]
    pub(crate) fn findings(&self) -> (Vec<String>, Value) {
        let mut reasons = Vec::new();
        if self.watchdog.stalled.is_some() {
            reasons.push(words(Code::StalledQueue).to_owned());
        }
        if self.tabs.is_silent() {
            reasons.push(words(Code::StalledLeader).to_owned());
        }
        for name in self.verifying.healing() {
            reasons.push(format!("{name}: {}", words(Code::Diverged)));
        }
        for name in self.verifying.diverged() {
            reasons.push(format!("{name}: {STAYS}"));
        }
        (reasons, Value::Array(self.watchdog.repairs.clone()))
    }
}
