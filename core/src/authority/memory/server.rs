//! A whole server over a [`MemoryStore`]: the real authority and the real plan of a pull. For the simulator and for the
//! test kit of the npm package.
//!
//! It knows no HTTP, no tokens and no clock: whoever carries requests to it says who asks and how late it is. The
//! invariant: what it answers is what the server with a database would answer to the same requests in the same order.
//!
//! ```
//! use tidewire_core::authority::memory::{OpenPolicy, server::MemoryServer};
//! use tidewire_core::ids::Owner;
//!
//! let mut server = MemoryServer::new(OpenPolicy::default());
//! let ann = Owner { tenant: "acme".into(), subject: "ann".into() };
//! let pull = r#"{"v":1,"replica":"r","collections":[],"now":0}"#;
//! let sent = server.pull_text(&ann, pull, 1_000).unwrap();
//! assert!(sent.starts_with(r#"{"pull":{"v":1,"now":1000"#));
//! ```

use crate::authority::memory::MemoryStore;
use crate::authority::plan::{Plan, Top};
use crate::authority::{Policy, admit, decide_push};
use crate::error::Code;
use crate::ids::{CollectionName, Owner, ReplicaId, Seq};
use crate::json;
use crate::model::migration::Migrations;
use crate::planted::Bug;
use crate::protocol::message::{
    ClientMessage, Cursor, ErrorBody, Pull, Push, PushAnswer, Scope, ServerMessage, VERSION,
};

/// Changes between two checkpoints, unless said otherwise.
const PAGE: usize = 500;

/// Why a request is not answered: the code and the status of HTTP.
pub type Refused = (Code, u16);

/// See the module's text.
#[derive(Debug)]
pub struct MemoryServer<P> {
    /// Its data.
    pub store: MemoryStore,
    /// Who may do what.
    pub policy: P,
    /// Changes between two checkpoints of a pull.
    pub page: usize,
    /// Pushes up to so many bytes may come on the channel; 0: none.
    pub push_bytes: usize,
    /// The number of its history, which its cursors name.
    history: u64,
    policy_version: u64,
    /// Of each commit, from the first on.
    marks: Vec<u64>,
}

/// What a server held at one time.
#[derive(Debug, Clone)]
pub struct Backup {
    store: MemoryStore,
    marks: Vec<u64>,
}

/// What a socket asked for, and how far it was told.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Whom its token spoke for.
    pub user: Owner,
    /// The reader's store.
    replica: ReplicaId,
    scope: Scope,
    /// The cursor that the client was told last.
    pub told: Cursor,
}

/// The body of a refusal.
pub fn refusal(code: Code) -> String {
    json::to_text(&ErrorBody { code, message: String::new(), path: None })
}

impl<P: Policy> MemoryServer<P> {
    /// An empty server.
    pub fn new(policy: P) -> Self {
        Self {
            store: MemoryStore::default(),
            policy,
            page: PAGE,
            push_bytes: 0,
            history: 1,
            policy_version: 1,
            marks: Vec::new(),
        }
    }

    /// What a push comes to.
    ///
    /// # Errors
    /// Those of the request as a whole.
    pub fn push(&mut self, user: &Owner, push: &Push, now_ms: u64) -> Result<PushAnswer, Refused> {
        check(push.v, push.owner.as_ref(), user)?;
        if push.history.as_ref().is_some_and(|known| *known != self.history()) {
            return Err((Code::HistoryChanged, 409));
        }
        admit(&self.policy, push).map_err(|error| (error.code, 426))?;
        let mut rows = self.store.rows(user, &push.replica);
        let Ok(mut answer) = decide_push(&mut rows, &self.policy, user, push, now_ms);
        answer.history = push.history.is_none().then(|| self.history());
        self.mark_commits();
        Ok(answer)
    }

    fn mark_commits(&mut self) {
        while (self.marks.len() as u64) < self.store.seq {
            self.marks.push(self.marks.len() as u64 * 1_000 + self.history);
        }
    }

    /// [`push`](Self::push) from a body to a body.
    ///
    /// # Errors
    /// Those of [`push`](Self::push), and `bad-message`.
    pub fn push_text(&mut self, user: &Owner, body: &str, now_ms: u64) -> Result<String, Refused> {
        let push: Push = serde_json::from_str(body).map_err(|_| (Code::BadMessage, 400))?;
        self.push(user, &push, now_ms).map(|answer| json::to_text(&answer))
    }

    /// What a pull is sent: lines.
    ///
    /// # Errors
    /// Those of the request as a whole, and `bad-message`.
    pub fn pull_text(&self, user: &Owner, body: &str, now_ms: u64) -> Result<String, Refused> {
        let pull: Pull = serde_json::from_str(body).map_err(|_| (Code::BadMessage, 400))?;
        check(pull.v, pull.owner.as_ref(), user)?;
        Ok(self.lines(user, pull, now_ms))
    }

    /// The name of its history.
    pub fn history(&self) -> String {
        format!("h{}", self.history)
    }

    /// A commit's mark, while it is known.
    pub fn mark(&self, seq: Seq) -> Option<String> {
        let known = seq > self.store.horizon || seq == self.store.seq;
        let index = usize::try_from(seq).ok()?.checked_sub(1)?;
        self.marks.get(index).filter(|_| known).map(|mark| format!("m{mark}"))
    }

    pub(super) fn top(&self) -> Top {
        let seq = self.store.seq;
        Top { seq, mark: self.mark(seq).unwrap_or_default(), horizon: self.store.horizon }
    }

    pub(super) fn scope(&self, user: &Owner, collections: &[CollectionName]) -> Scope {
        let (mut groups, mut collections) = (self.policy.reader_groups(user), collections.to_vec());
        groups.sort();
        collections.sort();
        Scope { groups, collections, policy: format!("p{}", self.policy_version) }
    }

    pub(super) fn cursor(&self, scope: &Scope, seq: Seq, mark: String) -> Cursor {
        Cursor { history: self.history(), seq, mark, scope: scope.clone() }
    }

    pub(super) fn plan(&self, cursor: Option<&Cursor>, scope: Scope, top: &Top) -> Plan {
        let known = |seq| Ok::<_, std::convert::Infallible>(self.mark(seq));
        let Ok(plan) = Plan::new(cursor, scope, &self.history(), top, known);
        plan
    }

    /// A socket's `auth`, whose token spoke for `user`. Returns what to say, and the subscription.
    ///
    /// # Errors
    /// `bad-message`, `upgrade-required`, `wrong-user`.
    pub fn subscribe(&self, user: &Owner, auth: &str, now_ms: u64) -> Result<(String, Subscription), Refused> {
        let Ok(ClientMessage::Auth { v, replica, owner, collections, .. }) = serde_json::from_str(auth) else {
            return Err((Code::BadMessage, 400));
        };
        check(v, owner.as_ref(), user)?;
        let scope = self.scope(user, &collections);
        let top = self.top();
        let told = self.cursor(&scope, top.seq, top.mark);
        let push_bytes = Some(self.push_bytes).filter(|bytes| *bytes > 0);
        let ready = ServerMessage::Ready { now: now_ms, user: user.clone(), cursor: told.clone(), push_bytes };
        Ok((json::to_text(&ready), Subscription { user: user.clone(), replica, scope, told }))
    }

    /// What a socket has not been told yet.
    pub fn frame(&self, subscription: &mut Subscription) -> Option<String> {
        let scope = if Bug::FramesAfterRevocation.is_planted() {
            subscription.scope.clone()
        } else {
            self.scope(&subscription.user, &subscription.scope.collections)
        };
        let top = self.top();
        let plan = self.plan(Some(&subscription.told), scope, &top);
        let cursor = self.cursor(&plan.scope, top.seq, top.mark);
        if cursor == subscription.told {
            return None;
        }
        let after = std::mem::replace(&mut subscription.told, cursor.clone());
        // A frame forgets nothing and brings nothing from the beginning: another scope is for a pull (rule 23).
        if plan.reset || after.scope != plan.scope {
            return Some(json::to_text(&ServerMessage::Pull));
        }
        let changes = self.scan(&plan).into_iter().map(|(_, change)| change).collect();
        let applied = self.store.applied_since(&subscription.user, &subscription.replica, after.seq);
        Some(json::to_text(&ServerMessage::Frame { after, cursor, applied, changes }))
    }

    /// Everything is past the horizon but the newest commit, as in the server with a database: who stands there is not
    /// reset.
    pub fn prune(&mut self) {
        self.store.horizon = self.store.seq.saturating_sub(1);
        self.store.entities.retain(|_, row| !row.stored.deleted);
        self.store.left.clear();
    }

    /// Another version of the policy: every cursor is reset.
    pub fn change_policy(&mut self) {
        self.policy_version += 1;
    }

    /// Gives every entity the groups that the policy of today says, and begins another version of it: every cursor is
    /// reset. Conflicts keep theirs: those are their authors', whatever the policy says. Aliases have none.
    pub fn regroup(&mut self) {
        for ((c, id), row) in &mut self.store.entities {
            if !c.is_reserved() {
                row.groups = self.policy.groups(c, id, &row.stored.doc);
            }
        }
        self.store.left.clear();
        self.change_policy();
    }

    /// Brings everything that is stored to another version of the schema.
    pub fn migrate(&mut self, migrations: &Migrations, from: u64) {
        self.store.migrate(migrations, from);
        self.mark_commits();
    }

    /// Copies the data.
    pub fn back_up(&self) -> Backup {
        Backup { store: self.store.clone(), marks: self.marks.clone() }
    }

    /// Goes back to a copy, and begins another history.
    pub fn restore(&mut self, backup: &Backup) {
        self.store = backup.store.clone();
        self.marks.clone_from(&backup.marks);
        self.history += 1;
    }

    /// Loses everything, and begins another history.
    pub fn clear(&mut self) {
        self.restore(&Backup { store: MemoryStore::default(), marks: Vec::new() });
    }
}

/// What every request has: the version, and whom the sender's store belongs to.
fn check(version: u32, owner: Option<&Owner>, user: &Owner) -> Result<(), Refused> {
    if version != VERSION {
        return Err((Code::UpgradeRequired, 426));
    }
    if owner.is_some_and(|known| known != user) {
        return Err((Code::WrongUser, 403));
    }
    Ok(())
}
