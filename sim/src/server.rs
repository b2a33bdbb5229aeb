//! The server: the real authority and the real plan of a pull, over a store in memory. What a request comes to is what
//! the real server makes of it; HTTP and the database are not here.

use std::collections::BTreeMap;

use tidewire_core::authority::memory::{MemoryRow, MemoryStore, OpenPolicy};
use tidewire_core::authority::plan::{Plan, Top};
use tidewire_core::authority::{Policy, decide_push};
use tidewire_core::error::Code;
use tidewire_core::ids::{CONFLICTS, CollectionName, EntityId, MutationId, Owner, ReplicaId, Seq};
use tidewire_core::json::{self, Value};
use tidewire_core::model::change::Change;
use tidewire_core::model::schema::{CollectionSettings, Settings};
use tidewire_core::protocol::message::{AnswerBody, Cursor, ErrorBody, Push, Scope, ServerMessage, VERSION, Verdict};

use crate::labels::Labels;
use crate::scenario::Setup;

/// The collections, sorted: notes that conflict, accounts that count.
pub(crate) const COLLECTIONS: [&str; 2] = ["accounts", "notes"];

/// What a request comes to.
pub(crate) type Answer = (u16, String);

/// What one number was decided as, by the first answer that left.
type Said = BTreeMap<(ReplicaId, MutationId), Verdict>;

/// The server.
#[derive(Debug)]
pub(crate) struct Server {
    /// Its data.
    pub(crate) store: MemoryStore,
    pub(crate) policy: OpenPolicy,
    /// Of its cursors.
    pub(crate) history: u64,
    policy_version: u64,
    /// Of each commit, from the first on.
    marks: Vec<u64>,
    backup: Option<Box<Backup>>,
    /// Rows between two checkpoints.
    pub(crate) page: usize,
    push_bytes: usize,
    /// What was decided, in this history.
    said: Said,
    /// A number was decided again, and otherwise.
    pub(crate) contradiction: Option<String>,
}

#[derive(Debug)]
struct Backup {
    store: MemoryStore,
    marks: Vec<u64>,
}

/// What a socket asked for, and how far it was told.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    user: Owner,
    scope: Scope,
    /// The cursor that the client was told last.
    pub(crate) told: Cursor,
}

/// The name of a user.
pub(crate) fn user_name(user: usize) -> String {
    format!("u{user}")
}

fn owner(bearer: &str) -> Owner {
    Owner { tenant: "acme".into(), subject: bearer.into() }
}

pub(crate) fn error(code: Code, status: u16) -> Answer {
    (status, json::to_text(&ErrorBody { code, message: String::new(), path: None }))
}

impl Server {
    /// A server with accounts.
    pub(crate) fn new(setup: &Setup, now_ms: u64) -> Self {
        let notes = CollectionSettings {
            conflict: setup.strategy,
            on_delete_conflict: setup.deletes,
            ..CollectionSettings::default()
        };
        let mut settings = Settings::default();
        settings.insert(name("notes"), notes);
        settings.insert(name("accounts"), CollectionSettings::default());
        let mut server = Self {
            store: MemoryStore::default(),
            policy: OpenPolicy { settings, private_to: Some("private".into()) },
            history: 1,
            policy_version: 1,
            marks: Vec::new(),
            backup: None,
            page: setup.page,
            push_bytes: setup.channel_push_bytes,
            said: Said::new(),
            contradiction: None,
        };
        server.open_accounts(now_ms);
        server
    }

    /// Four accounts, as a device would make them.
    fn open_accounts(&mut self, now_ms: u64) {
        let line = |index: u32| {
            let mutation = format!(
                r#"{{"kind":"insert","base":0,"c":"accounts","id":"a{index}","set":{{"/sum":0}},"at":[{now_ms},0]}}"#
            );
            format!(r#"{{"n":[1,{index}],"m":{mutation}}}"#)
        };
        let items: Vec<String> = (0..4).map(line).collect();
        let body = format!(
            r#"{{"v":{VERSION},"replica":"bank","fence":0,"floor":[0,0],"now":{now_ms},"mutations":[{}]}}"#,
            items.join(",")
        );
        let (status, answer) = self.push(&owner("bank"), &body, now_ms, &mut Labels::default());
        assert!(status == 200 && self.store.entities.len() == 4, "{answer}");
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
        if push.owner.as_ref().is_some_and(|known| known != user) {
            return error(Code::WrongUser, 403);
        }
        if push.history.as_ref().is_some_and(|known| *known != self.history_name()) {
            labels.see("push of another history");
            return error(Code::HistoryChanged, 409);
        }
        let mut rows = self.store.rows(user, &push.replica);
        let Ok(mut answer) = decide_push(&mut rows, &self.policy, user, &push, now_ms);
        answer.history = push.history.is_none().then(|| self.history_name());
        while (self.marks.len() as u64) < self.store.seq {
            self.marks.push(self.marks.len() as u64 * 1_000 + self.history);
        }
        if answer.forked.is_some() {
            labels.see("forked");
        }
        for item in &answer.verdicts {
            labels.see_verdict(&item.verdict, item.duplicate);
            if matches!(item.verdict, Verdict::Held { .. }) {
                continue;
            }
            let before = self.said.entry((push.replica.clone(), item.n)).or_insert_with(|| item.verdict.clone());
            if *before != item.verdict {
                let what = format!("{} {}: {before:?}, then {:?}", push.replica, item.n, item.verdict);
                self.contradiction.get_or_insert(what);
            }
        }
        (200, json::to_text(&answer))
    }

    fn history_name(&self) -> String {
        format!("h{}", self.history)
    }

    pub(crate) fn mark(&self, seq: Seq) -> Option<String> {
        let known = seq > self.store.horizon || seq == self.store.seq;
        let index = usize::try_from(seq).ok()?.checked_sub(1)?;
        self.marks.get(index).filter(|_| known).map(|mark| format!("m{mark}"))
    }

    pub(crate) fn top(&self) -> Top {
        let seq = self.store.seq;
        Top { seq, mark: self.mark(seq).unwrap_or_default(), horizon: self.store.horizon }
    }

    pub(crate) fn scope(&self, user: &Owner, collections: &[CollectionName]) -> Scope {
        let (mut groups, mut collections) = (self.policy.reader_groups(user), collections.to_vec());
        groups.sort();
        collections.sort();
        Scope { groups, collections, policy: format!("p{}", self.policy_version) }
    }

    pub(crate) fn cursor(&self, scope: &Scope, seq: Seq, mark: String) -> Cursor {
        Cursor { history: self.history_name(), seq, mark, scope: scope.clone() }
    }

    pub(crate) fn plan(&self, cursor: Option<&Cursor>, scope: Scope, top: &Top) -> Plan {
        let known = |seq| Ok::<_, std::convert::Infallible>(self.mark(seq));
        let Ok(plan) = Plan::new(cursor, scope, &self.history_name(), top, known);
        plan
    }

    /// A socket's first message. Returns what to say, and the subscription.
    pub(crate) fn subscribe(&self, message: &Value, now_ms: u64) -> Option<(String, Subscription)> {
        let user = owner(message.get("token")?.as_str()?);
        let names = message.get("collections")?.as_array()?;
        let names: Vec<CollectionName> = names.iter().filter_map(|name| CollectionName::read(name).ok()).collect();
        let scope = self.scope(&user, &names);
        let top = self.top();
        let told = self.cursor(&scope, top.seq, top.mark);
        let push_bytes = Some(self.push_bytes).filter(|bytes| *bytes > 0);
        let ready = ServerMessage::Ready { now: now_ms, user: user.clone(), cursor: told.clone(), push_bytes };
        Some((json::to_text(&ready), Subscription { user, scope, told }))
    }

    /// What a socket has not been told yet.
    pub(crate) fn frame(&self, subscription: &mut Subscription) -> Option<String> {
        let scope = self.scope(&subscription.user, &subscription.scope.collections);
        let top = self.top();
        let plan = self.plan(Some(&subscription.told), scope, &top);
        let cursor = self.cursor(&plan.scope, top.seq, top.mark);
        if cursor == subscription.told {
            return None;
        }
        let after = std::mem::replace(&mut subscription.told, cursor.clone());
        if plan.reset {
            return Some(json::to_text(&ServerMessage::Pull));
        }
        let changes: Vec<Change> = self.scan(&plan).into_iter().map(|(_, change)| change).collect();
        Some(json::to_text(&ServerMessage::Frame { after, cursor, changes }))
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

    /// Everything is past the horizon but the newest commit, as in the real server: who stands there is not reset.
    pub(crate) fn prune(&mut self) {
        self.store.horizon = self.store.seq.saturating_sub(1);
        self.store.entities.retain(|_, row| !row.stored.deleted);
        self.store.left.clear();
    }

    /// Another version of the policy: every cursor is reset.
    pub(crate) fn change_policy(&mut self) {
        self.policy_version += 1;
    }

    /// Copies the data.
    pub(crate) fn back_up(&mut self) {
        self.backup = Some(Box::new(Backup { store: self.store.clone(), marks: self.marks.clone() }));
    }

    /// Goes back to the copy, if there is one, and begins another history.
    pub(crate) fn restore(&mut self) -> bool {
        let Some(backup) = &self.backup else { return false };
        self.store = backup.store.clone();
        self.marks.clone_from(&backup.marks);
        self.history += 1;
        self.said.clear();
        true
    }

    /// What a user may see: documents by collection and id. `$conflicts` apart.
    pub(crate) fn seen_by(&self, user: usize) -> BTreeMap<(&str, &str), &MemoryRow> {
        let groups = self.policy.reader_groups(&owner(&user_name(user)));
        let is_seen = |row: &MemoryRow| !row.stored.deleted && row.groups.iter().any(|group| groups.contains(group));
        let all = self.store.entities.iter().filter(|((c, _), row)| c.as_str() != CONFLICTS && is_seen(row));
        all.map(|((c, id), row)| ((c.as_str(), id.as_str()), row)).collect()
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

/// The name of a collection that is one.
pub(crate) fn name(collection: &str) -> CollectionName {
    CollectionName::parse(collection).unwrap_or_else(|_| CollectionName::of_conflicts())
}
