//! The server: the real authority and the real plan of a pull, over a store in memory, as core has it. What a request
//! comes to is what the real server makes of it; HTTP and the database are not here. Here is what is looked at
//! meanwhile: which answers there were, and whether a number was ever decided twice.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use tidewire_core::authority::Policy;
use tidewire_core::authority::memory::MemoryRow;
use tidewire_core::authority::memory::server::{Backup, MemoryServer, Subscription, refusal};
use tidewire_core::error::Code;
use tidewire_core::ids::{CONFLICTS, CollectionName, EntityId, MutationId, Owner, ReplicaId};
use tidewire_core::json::{self, Value};
use tidewire_core::protocol::message::{AnswerBody, ErrorBody, Push, ServerMessage, VERSION, Verdict};

use crate::labels::Labels;
use crate::order::Decided;
use crate::policy::SimPolicy;
use crate::releases::migrations;
use crate::scenario::Setup;

/// The collections, sorted: notes that conflict, accounts that count, papers of teams with their lines, and people who
/// are known by a code.
pub(crate) const COLLECTIONS: [&str; 5] = ["accounts", "lines", "notes", "papers", "people"];

/// Accounts between which amounts move, always two at a time: together they hold nothing.
pub(crate) const ACCOUNTS: usize = 4;
/// Accounts behind them, on which something is counted.
pub(crate) const COUNTERS: usize = 2;

/// What a request comes to.
pub(crate) type Answer = (u16, String);

/// What one number was decided as, by the first answer that left.
type Said = BTreeMap<(ReplicaId, MutationId), Verdict>;

/// The server.
#[derive(Debug)]
pub(crate) struct Server {
    inner: MemoryServer<SimPolicy>,
    /// With the version of the schema at that time.
    backup: Option<(Backup, u64)>,
    /// What was decided, in this history.
    said: Said,
    decided: Decided,
    /// What an answer says that must not be: the number of the invariant, and what it is.
    pub(crate) wrong: Option<(u32, String)>,
}

impl Deref for Server {
    type Target = MemoryServer<SimPolicy>;

    fn deref(&self) -> &MemoryServer<SimPolicy> {
        &self.inner
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut MemoryServer<SimPolicy> {
        &mut self.inner
    }
}

/// The name of a user.
pub(crate) fn user_name(user: usize) -> String {
    format!("u{user}")
}

fn owner(bearer: &str) -> Owner {
    Owner { tenant: "acme".into(), subject: bearer.into() }
}

fn error(code: Code, status: u16) -> Answer {
    (status, refusal(code))
}

impl Server {
    /// A server with accounts.
    pub(crate) fn new(setup: &Setup, now_ms: u64) -> Self {
        let policy = SimPolicy::new(setup);
        let mut inner = MemoryServer::new(policy.expect("these names are good"));
        (inner.page, inner.push_bytes) = (setup.page, setup.channel_push_bytes);
        let mut server = Self { inner, backup: None, said: Said::new(), decided: Decided::default(), wrong: None };
        server.policy.migrations = migrations(1, 1).filter(|_| setup.releases);
        server.open_accounts(now_ms);
        server
    }

    /// The accounts, as a device would make them.
    fn open_accounts(&mut self, now_ms: u64) {
        let line = |index: usize| {
            let mutation = format!(
                r#"{{"kind":"insert","base":0,"c":"accounts","id":"a{index}","set":{{"/sum":0}},"at":[{now_ms},0]}}"#
            );
            format!(r#"{{"n":[1,{index}],"m":{mutation}}}"#)
        };
        let items: Vec<String> = (0..ACCOUNTS + COUNTERS).map(line).collect();
        let body = format!(
            r#"{{"v":{VERSION},"replica":"bank","fence":0,"floor":[0,0],"now":{now_ms},"mutations":[{}]}}"#,
            items.join(",")
        );
        let (status, answer) = self.push(&owner("bank"), &body, now_ms, &mut Labels::default());
        assert!(status == 200 && self.store.entities.len() == ACCOUNTS + COUNTERS, "{answer}");
    }

    /// What an HTTP request comes to.
    pub(crate) fn answer(
        &mut self,
        path: &str,
        bearer: Option<&str>,
        body: &str,
        now_ms: u64,
        labels: &mut Labels,
    ) -> Answer {
        let Some(bearer) = bearer else { return error(Code::Unauthorized, 401) };
        let user = owner(bearer);
        match path {
            "pull" => self.pull(&user, body, now_ms, labels),
            "push" => self.push(&user, body, now_ms, labels),
            _ => error(Code::NotFound, 404),
        }
    }

    fn push(&mut self, user: &Owner, body: &str, now_ms: u64, labels: &mut Labels) -> Answer {
        let Ok(push) = serde_json::from_str::<Push>(body) else { return error(Code::BadMessage, 400) };
        let answer = match self.inner.push(user, &push, now_ms) {
            Ok(answer) => answer,
            Err((code, status)) => {
                if code == Code::HistoryChanged {
                    labels.see("push of another history");
                }
                return error(code, status);
            }
        };
        if answer.forked.is_some() {
            labels.see("forked");
        }
        for item in &answer.verdicts {
            labels.see_verdict(&item.verdict, item.duplicate);
            if matches!(item.verdict, Verdict::Held { .. }) {
                continue;
            }
            let before = self.said.entry((push.replica.clone(), item.n)).or_insert_with(|| item.verdict.clone());
            // What others wrote is not said again to whom may not see it any more (rule 27).
            if *before != item.verdict && bare(before) != bare(&item.verdict) {
                let what = format!("two verdicts for {} {}: {before:?}, then {:?}", push.replica, item.n, item.verdict);
                self.wrong.get_or_insert((2, what));
            }
        }
        if let Some(wrong) = self.decided.look(&push, &answer, labels) {
            self.wrong.get_or_insert(wrong);
        }
        (200, json::to_text(&answer))
    }

    fn pull(&self, user: &Owner, body: &str, now_ms: u64, labels: &mut Labels) -> Answer {
        match self.inner.pull_text(user, body, now_ms) {
            Ok(text) => {
                if text.lines().next().is_some_and(|header| header.contains("\"reset\":true")) {
                    labels.see("reset");
                }
                if text.matches("\"done\":false").count() > 0 {
                    labels.see("checkpoint within a pull");
                }
                (200, text)
            }
            Err((code, status)) => error(code, status),
        }
    }

    /// A socket's first message. Returns what to say, and the subscription.
    pub(crate) fn subscribe(&self, message: &str, now_ms: u64) -> Option<(String, Subscription)> {
        let token = json::parse(message.as_bytes(), json::JsonLimits::MESSAGE).ok()?;
        self.inner.subscribe(&owner(token.get("token")?.as_str()?), message, now_ms).ok()
    }

    /// A push on the channel.
    pub(crate) fn push_said(
        &mut self,
        subscription: &Subscription,
        id: u64,
        body: &str,
        now_ms: u64,
        labels: &mut Labels,
    ) -> String {
        let (status, answer) = self.push(&subscription.user.clone(), body, now_ms, labels);
        labels.see("push on the channel");
        format!(r#"{{"t":"answer","id":{id},"status":{status},"body":{answer}}}"#)
    }

    /// What a status of failure says on the channel.
    pub(crate) fn refuse_said(id: u64, status: u16) -> String {
        let body = AnswerBody::Error(ErrorBody { code: Code::ServerError, message: String::new(), path: None });
        json::to_text(&ServerMessage::Answer { id, status, retry_after: None, body })
    }

    /// Somebody changes a row, and no `seq` says so: a device that has it already differs.
    pub(crate) fn meddle(&mut self, pick: usize) {
        let is_live = |(key, row): &(&(CollectionName, EntityId), &mut MemoryRow)| {
            key.0.as_str() == "notes" && !row.stored.deleted
        };
        let mut live: Vec<_> = self.inner.store.entities.iter_mut().filter(is_live).collect();
        let count = live.len().max(1);
        if let Some((_, row)) = live.get_mut(pick % count)
            && let Value::Object(doc) = &mut row.stored.doc
        {
            doc.insert("meddled".to_owned(), (pick as u64).into());
        }
    }

    /// Copies the data.
    pub(crate) fn back_up(&mut self) {
        self.backup = Some((self.inner.back_up(), self.version()));
    }

    /// Goes back to the copy, if there is one, and begins another history.
    pub(crate) fn restore(&mut self) -> bool {
        let Some((backup, version)) = &self.backup else { return false };
        self.inner.restore(backup);
        self.renew_from(*version);
        self.said.clear();
        self.decided.clear();
        true
    }

    /// What a user may see: documents by collection and id. `$conflicts` apart.
    pub(crate) fn seen_by(&self, user: usize) -> BTreeMap<(&str, &str), &MemoryRow> {
        let groups = self.policy.reader_groups(&owner(&user_name(user)));
        let is_seen = |row: &MemoryRow| !row.stored.deleted && row.groups.iter().any(|group| groups.contains(group));
        let all = self.store.entities.iter().filter(|((c, _), row)| c.as_str() != CONFLICTS && is_seen(row));
        all.map(|((c, id), row)| ((c.as_str(), id.as_str()), row)).collect()
    }

    /// Whether a user may see an entity as it stands.
    pub(crate) fn shows(&self, user: usize, collection: &str, id: &str) -> bool {
        let groups = self.policy.reader_groups(&owner(&user_name(user)));
        self.entity(collection, id).is_some_and(|row| row.groups.iter().any(|group| groups.contains(group)))
    }

    /// Conflicts, as documents.
    pub(crate) fn conflicts(&self) -> impl Iterator<Item = &Value> {
        let all = self.store.entities.iter().filter(|((c, _), row)| c.as_str() == CONFLICTS && !row.stored.deleted);
        all.map(|(_, row)| &row.stored.doc)
    }

    /// One entity or its tombstone.
    pub(crate) fn entity(&self, collection: &str, id: &str) -> Option<&MemoryRow> {
        self.store.entities.get(&(name(collection), EntityId::parse(id).ok()?))
    }
}

/// A verdict without what others wrote.
fn bare(verdict: &Verdict) -> Verdict {
    let mut bare = verdict.clone();
    if let Verdict::Merged { overwritten, displaced, .. } | Verdict::Conflict { overwritten, displaced, .. } = &mut bare
    {
        displaced.clear();
        overwritten.iter_mut().for_each(|lost| (lost.kept, lost.by) = (None, None));
    }
    bare
}

/// The name of a collection that is one.
pub(crate) fn name(collection: &str) -> CollectionName {
    CollectionName::parse(collection).unwrap_or_else(|_| CollectionName::of_conflicts())
}
