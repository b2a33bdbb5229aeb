//! What was queued under an older version of the app's schema is brought to this one before it leaves: by the tab that
//! leads, as a record, so that every tab sees it. What may have left stays as it was (rule 3): the server brings it
//! here. What cannot be brought here becomes a dead letter with the reason `migration`.

use crate::error::{Code, CoreError};
use crate::ids::MutationId;
use crate::io::{Durability, Now};
use crate::json;
use crate::log::record::{Coalesce, Record};
use crate::model::edit::Edit;
use crate::model::former;
use crate::model::migration::Migrations;
use crate::model::mutation::Mutation;
use crate::model::origin;
use crate::planted::Bug;
use crate::queue::batch;
use crate::replica::Replica;
use crate::store::state::{Entry, Status};

/// Edits that are rewritten in one transaction of the store.
const AT_ONCE: usize = 500;

/// How far the queue was looked through.
#[derive(Debug, Default)]
pub struct Migrating {
    /// The app's steps, once they were read.
    way: Option<Result<Migrations, CoreError>>,
    /// This tab's fence then, and the newest edit of which nothing has to be rewritten.
    looked: (u64, MutationId),
}

impl Migrating {
    /// The numbers of another store begin anew.
    pub(crate) fn forget(&mut self) {
        self.looked = (0, MutationId::default());
    }
}

impl Replica {
    /// Rewrites what has to be rewritten. Afterwards everything up to what was looked at may go.
    #[inline(never)]
    pub(crate) fn migrate_queue(&mut self, now: Now) {
        let is_free = !self.pushing.is_busy() && !self.lane.is_behind() && self.tabs.fence() == self.state.fence;
        if !self.migrates() || !is_free {
            return;
        }
        let Some(way) = self.take_way() else { return };
        let (fence, mut looked) = self.migrating.looked;
        if fence != self.tabs.fence() {
            looked = MutationId::default();
        }
        let (mut records, mut refused) = (Vec::new(), Vec::new());
        let start = looked;
        for (n, entry) in self.state.queue.from(&start).filter(|(n, _)| **n > start) {
            if records.len() >= AT_ONCE || !refused.is_empty() {
                break;
            }
            match self.rewritten(&way, *n, entry) {
                Some(Ok(edit)) => {
                    let digest = Mutation::digest(entry.edit.raw.get().as_bytes());
                    let m = origin::keep(digest, &json::to_text(&edit));
                    records.push(Record::Coalesce(Coalesce { survivor: *n, absorbed: Vec::new(), m }));
                }
                Some(Err(error)) => refused.push((*n, error)),
                None if records.is_empty() => looked = *n,
                None => {}
            }
        }
        self.migrating.way = Some(Ok(way));
        self.migrating.looked = (self.tabs.fence(), looked);
        if !records.is_empty() {
            self.append(records, Durability::Strict);
        } else if let Some((n, error)) = refused.pop() {
            self.refuse_unit(now, n, &error);
        }
    }

    /// Whether the app says how its schema changed.
    fn migrates(&self) -> bool {
        self.config.given.get("migrations").is_some()
    }

    /// Whether an edit may leave: it was looked at.
    pub(crate) fn is_migrated(&self, n: MutationId) -> bool {
        !self.migrates()
            || self.migrating.looked.0 == self.tabs.fence() && n <= self.migrating.looked.1
            || Bug::UnmigratedSent.is_planted()
    }

    /// An edit as this version of the app would make it.
    ///
    /// # Errors
    /// `migration`.
    pub(crate) fn brought_here(&mut self, edit: Mutation) -> Result<Mutation, CoreError> {
        let Some(way) = self.take_way() else { return Ok(edit) };
        let brought = if edit.schema < way.version() { way.mutation(&edit) } else { Ok(edit) };
        self.migrating.way = Some(Ok(way));
        brought
    }

    /// What an edit has to become; `None`: nothing.
    fn rewritten(&self, way: &Migrations, n: MutationId, entry: &Entry) -> Option<Result<Mutation, CoreError>> {
        let is_named = former::is_named(entry.edit.raw.get()) && !Bug::NamedMigrated.is_planted();
        if entry.status != Status::Queued || self.state.was_sent(n) || is_named {
            return None;
        }
        // What a later release wrote, and nobody here can read, goes up as it is.
        let old = Edit::whole(&entry.edit).ok().filter(|old| old.schema < way.version())?;
        Some(way.mutation(&old))
    }

    /// A transaction is refused as a whole (rule 11).
    fn refuse_unit(&mut self, now: Now, n: MutationId, error: &CoreError) {
        let Some(entry) = self.state.queue.get(&n) else { return };
        let ns: Vec<MutationId> = batch::unit(&self.state, n, entry).into_iter().map(|(n, _)| n).collect();
        self.reject_here(now, &ns, Code::Migration, &error.to_string());
    }

    /// The app's steps. While they cannot be read nothing leaves, and that is said once.
    fn take_way(&mut self) -> Option<Migrations> {
        let given = self.config.given.get("migrations")?;
        let way = self.migrating.way.take();
        let is_new = way.is_none();
        match way.unwrap_or_else(|| Migrations::read(self.config.schema, given)) {
            Ok(way) => Some(way),
            Err(error) => {
                if is_new {
                    self.event(json::json!({"type": "watchdog", "code": error.code, "message": error.to_string()}));
                }
                self.migrating.way = Some(Err(error));
                None
            }
        }
    }
}
