//! What the app may know: one status, the queue, health with reasons, counters.

use crate::json::{Map, Value, json};

use crate::error::Code;
use crate::health::{Measures, judge};
use crate::ids::MutationId;
use crate::io::Now;
use crate::model::mutation::Mutation;
use crate::model::verdict::HeldReason;
use crate::queue::batch::{self, Limits};
use crate::replica::Replica;
use crate::store::state::{Entry, Status};

/// The error of what there was no room for.
pub(crate) fn no_room() -> Value {
    json!({"code": Code::Quota, "message": "the storage is full: free some space"})
}

impl Replica {
    /// The connection's state, without what differs from tab to tab.
    pub(crate) fn connection_view(&self, now: Now) -> Value {
        if self.config.url.is_none() {
            return json!({"state": "local"});
        }
        if let Some(blocked) = self.blocked_view() {
            return with(blocked, "state", "paused");
        }
        if self.lane.is_full() {
            return json!({"state": "paused", "reason": "quota", "error": no_room()});
        }
        let session = &self.session;
        if session.paused {
            return json!({"state": "paused", "reason": "user"});
        }
        if session.is_signed_out() {
            return json!({"state": "paused", "reason": "auth",
                "error": {"code": "unauthorized", "message": "the `auth` function gave no token: sign in"}});
        }
        if session.is_refused() {
            return json!({"state": "paused", "reason": "auth",
                "error": {"code": "unauthorized", "message": "the server refuses the token: sign in again"}});
        }
        if !session.online {
            return json!({"state": "offline", "since": session.lost_ms.unwrap_or(now.wall_ms)});
        }
        let (pull, push) = (&self.pulling.backoff, &self.pushing.backoff);
        let backoff = if pull.since_reached > 0 { pull } else { push };
        if backoff.since_reached > 0 && session.lost_ms.is_some() {
            let retry_at = now.wall_ms + backoff.not_before_ms.saturating_sub(now.mono_ms);
            // Whole seconds: a status that changes each millisecond is no status.
            let view =
                json!({"attempt": backoff.since_reached, "retryAt": retry_at / 1000 * 1000, "since": session.lost_ms});
            return with(view, "state", if backoff.since_reached > 2 { "offline" } else { "connecting" });
        }
        if session.reached.is_none() {
            return json!({"state": "connecting", "attempt": 1});
        }
        if let Some((done, total)) = self.pulling.progress() {
            return json!({"state": "syncing", "progress": {"done": done, "total": total}});
        }
        let healing = !self.verifying.healing().is_empty();
        // A pull that failed is tried again: what the server has may not be here yet.
        let again = self.pulling.wanted && pull.failures > 0;
        let reading = self.pulling.done.is_none() || self.pulling.landing || healing || again;
        if reading || self.pushing.is_busy() || self.has_something_to_send() || !self.writes.is_empty() {
            return json!({"state": "syncing"});
        }
        json!({"state": "synced", "at": session.reached.map(|at| at.wall_ms / 1000 * 1000)})
    }

    /// What waits for the user is no work under way; what the server fails at is. Asked only where it was reached.
    fn has_something_to_send(&self) -> bool {
        let mut undecided = self.state.undecided();
        undecided.any(|(n, e)| e.status == Status::Queued || self.pushing.is_suspect(*n))
            && !batch::next(&self.state, Limits { count: 1, bytes: 0 }, &|_| false, &|_, e| e.status.is_held())
                .is_empty()
    }

    /// It is tried again now and then.
    fn is_slow(&self, n: MutationId, entry: &Entry) -> bool {
        self.pushing.is_suspect(n) || entry.status.is_held()
    }

    /// `db.sync.status`.
    pub fn status(&self, now: Now) -> Value {
        let mine = self.connection_view(now);
        let follows = !self.tabs.leads() && self.config.url.is_some() && !self.session.paused;
        let status = match (&self.tabs.leader_status, follows) {
            (Some(status), true) => status.clone(),
            _ => mine,
        };
        // The leader's word comes before its rows do: up to date over an empty list would be wrong.
        let empty = self.state.loaded.is_empty() && !self.declared.is_empty();
        let early = empty && status.get("state").and_then(Value::as_str) == Some("synced");
        let status = if early { json!({"state": "syncing"}) } else { status };
        let loaded: Vec<_> = self.state.loaded.keys().filter(|name| !name.is_conflicts()).collect();
        let status = with(status, "pending", self.pending());
        let status = with(status, "failed", self.failed());
        let status = with(status, "leader", self.tabs.leads());
        with(status, "loaded", json!(loaded))
    }

    /// Mutations that the server has not decided.
    fn pending(&self) -> usize {
        let queued = self.state.undecided().filter(|(_, entry)| entry.status != Status::Void).count();
        queued + self.writes.count()
    }

    /// What the server refused, and what there was no room for.
    fn failed(&self) -> usize {
        self.state.letters.len() + self.writes.refused.all().len()
    }

    /// `db.sync.queue`.
    pub fn queue_view(&self) -> Value {
        let sent = self.pushing.in_flight();
        let held = if self.whole { self.held() } else { Vec::new() };
        let reason = |n: &MutationId| held.binary_search_by_key(n, |(n, _)| *n).ok().and_then(|at| held.get(at));
        let queued = self.state.queue.iter().filter(|(_, entry)| entry.status.is_shown()).map(|(n, entry)| {
            let status = match entry.status {
                Status::Settled(_) => "settled",
                Status::Held { .. } => "held",
                _ if self.pushing.is_suspect(*n) => "suspect",
                _ if sent.contains(n) => "sent",
                _ if reason(n).is_some() => "held",
                _ => "queued",
            };
            let view = self.entry_view(Some(*n), None, &entry.edit.mutation(), status);
            match reason(n).filter(|_| status == "held") {
                Some((_, reason)) => with(view, "reason", *reason),
                None => view,
            }
        });
        let mut pending: Vec<Value> = queued.collect();
        for write in self.writes.unfolded() {
            for edit in &write.edits {
                pending.push(self.entry_view(None, Some(write.id), &edit.mutation(), "writing"));
            }
        }
        let failed = self.state.letters.iter().map(|(n, letter)| {
            with(self.entry_view(Some(*n), None, &letter.edit.mutation(), "failed"), "error", json!(letter.reason))
        });
        let mut failed: Vec<Value> = failed.collect();
        for (n, refused) in self.writes.refused.all().iter() {
            let entry = self.entry_view(Some(*n), Some(refused.write), &refused.edit.mutation(), "failed");
            failed.push(with(entry, "error", no_room()));
        }
        json!({"pending": pending, "failed": failed})
    }

    /// What is held, here or by the server, and for want of what, in the order of the numbers.
    #[inline(never)]
    fn held(&self) -> Vec<(MutationId, &'static str)> {
        let mut held = batch::behind(&self.state, &|n, entry| self.is_slow(n, entry));
        let by_server = self.state.undecided().filter(|(_, entry)| entry.status.is_held());
        held.extend(by_server.map(|(n, _)| *n));
        held.sort_unstable();
        let reason = |n: MutationId| {
            let Entry { edit, status, .. } = self.state.queue.get(&n)?;
            Some(match status {
                _ if batch::is_refused(&self.state, (&edit.collection, &edit.id)) => "refused",
                Status::Held { reason: HeldReason::Missing, .. } => "missing",
                _ => "after",
            })
        };
        held.into_iter().filter_map(|n| reason(n).map(|reason| (n, reason))).collect()
    }

    fn entry_view(&self, n: Option<MutationId>, write: Option<u64>, mutation: &Mutation, status: &str) -> Value {
        let mut view = Map::new();
        let attempts = n.and_then(|n| self.pushing.attempts.get(&n)).copied().unwrap_or_default();
        view.insert("n".into(), json!(n));
        view.insert("write".into(), json!(write.or_else(|| n.and_then(|n| self.writes.of(n)).map(|(write, _)| write))));
        view.insert("collection".into(), json!(mutation.collection.shown()));
        view.insert("id".into(), json!(mutation.id));
        view.insert("kind".into(), json!(mutation.kind));
        view.insert("status".into(), status.into());
        view.insert("at".into(), mutation.at.0.into());
        view.insert("attempts".into(), attempts.into());
        if let Value::Object(all) = json::to_value(mutation) {
            let fields = ["set", "unset", "inc", "add", "remove", "resolves", "reopens"];
            view.extend(all.into_iter().filter(|(key, _)| fields.contains(&key.as_str())));
        }
        Value::Object(view)
    }

    /// `db.sync.health`.
    pub fn health_view(&self, now: Now) -> Value {
        let oldest = self.state.undecided().map(|(_, entry)| entry.edit.at.0).min();
        let stuck = self.state.undecided().filter(|(n, entry)| self.is_slow(**n, entry));
        let measures = Measures {
            pending: self.pending(),
            failed: self.failed(),
            stuck: stuck.count(),
            oldest_pending_ms: oldest.map(|at| now.wall_ms.saturating_sub(at)),
            last_sync_age_ms: self.pulling.done.map(|done| now.mono_ms.saturating_sub(done.mono_ms)),
            error_rate: self.metrics.failures as f64 / (self.metrics.requests.max(1)) as f64,
            refusals: self.maintenance.refusals(),
        };
        let mut collections = Map::new();
        for name in self.declared.keys() {
            let count = self.state.entities.get(name).map_or(0, |table| table.count(&|e| e.confirmed.is_some()));
            let unsettled = self.state.undecided().any(|(_, entry)| &entry.edit.collection == name)
                || self.state.letters.values().any(|letter| &letter.edit.collection == name);
            let synced = self.pulling.done.filter(|_| !unsettled).map(|done| done.wall_ms);
            let view = json!({"lastSyncedAt": synced, "count": count});
            let is_partial = self.config.replicate.contains_key(name.as_str());
            collections.insert(name.to_string(), if is_partial { self.with_cache(name, view) } else { view });
        }
        let synced = self.tabs.leads() && self.config.url.is_some();
        let (unpacked, packed) = self.state.texts.bytes();
        let (found, repairs) = if self.whole { self.findings() } else { (Vec::new(), Value::Array(Vec::new())) };
        let view = with(judge(&measures, &self.config.health, synced, found), "collections", collections);
        let view = with(view, "repairs", repairs);
        with(view, "memory", json!({"unpackedBytes": unpacked, "packedBytes": packed}))
    }
}

/// The object with one field more.
fn with(mut view: Value, key: &str, value: impl Into<Value>) -> Value {
    if let Some(map) = view.as_object_mut() {
        map.insert(key.to_owned(), value.into());
    }
    view
}
