//! What readers see: one snapshot of the database, filtered by the reader's groups (rules 26, 27).

use std::cmp::Ordering;
use std::ops::ControlFlow;

use rusqlite::{Connection, OptionalExtension, Row, Rows, Statement, ToSql, params};
use tidewire_core::authority::plan::{Plan, Top};
use tidewire_core::error::CoreError;
use tidewire_core::ids::{CONFLICTS, CollectionName, EntityId, Group, MutationId, Owner, ReplicaId, Seq};
use tidewire_core::model::digest::Digest;
use tidewire_core::protocol::message::{Applied, Change};

use super::rows::{from_json, int};
use super::verdicts;
use crate::policy::Viewer;
use crate::store::StoreError;
use tidewire_core::json;
use tidewire_core::json::{Map, Raw, Value};

/// One snapshot. Everything that is read through it belongs together.
pub struct Snapshot<'a> {
    pub(super) connection: &'a Connection,
    history: &'a str,
}

/// One row of `members`, as the merge of the groups compares them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    seq: Seq,
    collection: String,
    id: String,
    left: bool,
}

impl<'a> Snapshot<'a> {
    pub(super) fn new(connection: &'a Connection, history: &'a str) -> Self {
        Self { connection, history }
    }

    /// The id of the database's history.
    pub fn history(&self) -> &str {
        self.history
    }

    /// The state of a tenant's log.
    pub fn top(&self, tenant: &str) -> Result<Top, StoreError> {
        let row: Option<(i64, i64)> = self
            .connection
            .prepare_cached("SELECT seq, horizon FROM tenants WHERE tenant = ?1")?
            .query_row([tenant], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (seq, horizon) = row.unwrap_or((0, 0));
        let (seq, horizon) = (seq.cast_unsigned(), horizon.cast_unsigned());
        Ok(Top { seq, mark: self.mark(tenant, seq)?.unwrap_or_default(), horizon })
    }

    /// The mark of a commit, if it is not past the horizon.
    pub fn mark(&self, tenant: &str, seq: Seq) -> Result<Option<String>, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT mark FROM commits WHERE tenant = ?1 AND seq = ?2")?
            .query_row(params![tenant, int(seq)], |row| row.get(0))
            .optional()?)
    }

    /// Whether this replica made one of the commits after `seq`.
    pub fn committed_by(&self, tenant: &str, after: Seq, replica: &ReplicaId) -> Result<bool, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT 1 FROM commits WHERE tenant = ?1 AND seq > ?2 AND by = ?3 LIMIT 1")?
            .exists(params![tenant, int(after), replica.as_str()])?)
    }

    /// What was applied of a replica's numbers from `floor` on, newest first.
    pub fn applied(&self, user: &Owner, replica: &ReplicaId, floor: MutationId) -> Result<Vec<Applied>, StoreError> {
        verdicts::applied(self.connection, user, replica, floor)
    }

    /// What a frame tells of it: what was applied at revisions above `seq`, and the replica has not said that it knows.
    pub fn applied_since(&self, user: &Owner, replica: &ReplicaId, seq: Seq) -> Result<Vec<Applied>, StoreError> {
        let floor = verdicts::floor(self.connection, user, replica)?;
        let mut applied = self.applied(user, replica, floor.unwrap_or_default())?;
        applied.retain(|one| one.rev > seq);
        Ok(applied)
    }

    /// One entity, if its viewer may see it and it is not deleted.
    pub fn entity(
        &self,
        viewer: Viewer<'_>,
        collection: &CollectionName,
        id: &EntityId,
    ) -> Result<Option<Change>, StoreError> {
        let change = self.change(viewer, collection.as_str(), id.as_str())?;
        Ok(change.filter(|change| !change.g.is_empty() && change.doc.is_some()))
    }

    /// About how many changes a plan will send: an entity in two groups counts twice.
    pub fn count(&self, tenant: &str, plan: &Plan) -> Result<u64, StoreError> {
        let mut total = 0;
        let mut statement = self.connection.prepare_cached(
            "SELECT count(*) FROM members INDEXED BY members_by_seq
             WHERE tenant = ?1 AND grp = ?2 AND seq > ?3 AND collection IN (SELECT value FROM json_each(?4))",
        )?;
        for group in &plan.scope.groups {
            let (gained, others): (Vec<_>, Vec<_>) =
                plan.scope.collections.iter().partition(|c| plan.lower(group, c.as_str()) == 0);
            for (lower, collections) in [(0, gained), (plan.start(), others)] {
                if !collections.is_empty() {
                    let names = json::to_text(&collections);
                    let count: i64 =
                        statement.query_row(params![tenant, group.as_str(), int(lower), names], |row| row.get(0))?;
                    total += count.cast_unsigned();
                }
            }
        }
        Ok(total)
    }

    /// Visits what a plan sends: in the order of `seq`, each entity once, at its latest state. `visit` gets the `seq`
    /// too.
    pub fn scan(
        &self,
        viewer: Viewer<'_>,
        plan: &Plan,
        visit: &mut dyn FnMut(Seq, Change) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let mut statements = Vec::new();
        for _ in &plan.scope.groups {
            statements.push(self.connection.prepare(
                "SELECT seq, collection, id, left FROM members INDEXED BY members_by_seq
                 WHERE tenant = ?1 AND grp = ?2 AND seq > ?3 ORDER BY seq, collection, id",
            )?);
        }
        let mut merge = Merge::start(&mut statements, viewer.tenant(), plan)?;
        while let Some(member) = merge.next(plan)? {
            if let Some(change) = self.change_of(viewer, plan, &member)?
                && visit(member.seq, change)?.is_break()
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What to tell of an entity at this membership, if anything.
    fn change_of(&self, viewer: Viewer<'_>, plan: &Plan, member: &Member) -> Result<Option<Change>, StoreError> {
        let Some(change) = self.change(viewer, &member.collection, &member.id)? else { return Ok(None) };
        if change.g.is_empty() {
            let is_newest = self.newest_marker(viewer, member)? == member.seq;
            let gone = Change { rev: member.seq, ..change };
            return Ok((is_newest && !plan.is_fresh(member.seq)).then_some(gone));
        }
        // It left one group and is still seen through another: it is told where it stands now.
        let is_news = change.doc.is_some() || !plan.is_fresh(member.seq);
        Ok((is_news && !member.left).then_some(change))
    }

    /// What each collection of a plan comes to for its reader, at this snapshot (rule 25). An entity in several of the
    /// reader's groups counts in the first of them.
    pub fn digests(&self, viewer: Viewer<'_>, plan: &Plan) -> Result<Map, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT e.id, e.rev, e.doc, e.groups FROM members m JOIN entities e
               ON e.tenant = m.tenant AND e.collection = m.collection AND e.id = m.id
             WHERE m.tenant = ?1 AND m.grp = ?2 AND m.collection = ?3 AND m.left = 0 AND e.deleted = 0",
        )?;
        let mut digests = Map::new();
        for collection in &plan.scope.collections {
            let mut digest = Digest::default();
            for (index, group) in plan.scope.groups.iter().enumerate() {
                let mut rows = statement.query(params![viewer.tenant(), group.as_str(), collection.as_str()])?;
                while let Some(row) = rows.next()? {
                    if index == 0 || first_holder(plan, &row.get::<_, String>(3)?)? == Some(index) {
                        let (id, rev, doc) =
                            (row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?);
                        let key = EntityId::parse(&id).map_err(unreadable)?;
                        let shown = self.shown(viewer, collection.as_str(), &key, &doc)?;
                        digest.add_canonical(&id, rev.cast_unsigned(), shown.as_ref().unwrap_or(&doc).as_bytes());
                    }
                }
            }
            digests.insert(collection.to_string(), digest.text().into());
        }
        Ok(digests)
    }

    fn newest_marker(&self, viewer: Viewer<'_>, member: &Member) -> Result<Seq, StoreError> {
        let mut newest = 0;
        let mut statement = self
            .connection
            .prepare_cached("SELECT seq FROM members WHERE tenant = ?1 AND grp = ?2 AND collection = ?3 AND id = ?4")?;
        for group in viewer.standing.reads() {
            let seq: Option<i64> = statement
                .query_row(params![viewer.tenant(), group.as_str(), member.collection, member.id], |row| row.get(0))
                .optional()?;
            newest = newest.max(seq.unwrap_or(0).cast_unsigned());
        }
        Ok(newest)
    }

    /// An entity as a reader sees it: without groups and document if it may not.
    fn change(&self, viewer: Viewer<'_>, collection: &str, id: &str) -> Result<Option<Change>, StoreError> {
        let row = self
            .connection
            .prepare_cached(
                "SELECT rev, at, by, deleted, doc, groups FROM entities
                 WHERE tenant = ?1 AND collection = ?2 AND id = ?3",
            )?
            .query_row(params![viewer.tenant(), collection, id], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, bool>(3)?,
                    row.get::<_, String>(4)?,
                    row.get::<_, String>(5)?,
                ))
            })
            .optional()?;
        let Some((rev, at, by, deleted, doc, holders)) = row else { return Ok(None) };
        let holders: Vec<Group> = from_json(&holders)?;
        let g = viewer.sees(&holders);
        let visible = !g.is_empty();
        let id = EntityId::parse(id).map_err(unreadable)?;
        let shown = if visible && !deleted { self.shown(viewer, collection, &id, &doc)? } else { None };
        let is_blind = collection == CONFLICTS && shown.is_some();
        Ok(Some(Change {
            id,
            c: CollectionName::parse(collection).map_err(unreadable)?,
            rev: rev.cast_unsigned(),
            // Of an entity that the reader may not see, nothing is told but that.
            at: if visible { at.cast_unsigned() } else { 0 },
            by: if visible && !is_blind { Some(ReplicaId::parse(&by).map_err(unreadable)?) } else { None },
            g,
            doc: if visible && !deleted { Some(raw(shown.unwrap_or(doc))?) } else { None },
            delta: None,
            evicted: false,
        }))
    }

    /// A document as somebody sees it who sees its entity, or whose conflict it is; `None`: as it is.
    fn shown(
        &self,
        viewer: Viewer<'_>,
        collection: &str,
        id: &EntityId,
        doc: &str,
    ) -> Result<Option<String>, StoreError> {
        if collection == CONFLICTS {
            return self.conflict_for(viewer, doc);
        }
        if !viewer.policy.conceals(collection) {
            return Ok(None);
        }
        let mut doc: Value = from_json(doc)?;
        Ok(viewer.mask(collection, id, &doc).map(|mask| {
            mask.document(&mut doc);
            json::write_text(&doc)
        }))
    }
}

fn unreadable(error: CoreError) -> StoreError {
    StoreError::Unreadable(error.to_string())
}

/// The first of the reader's groups that holds an entity.
fn first_holder(plan: &Plan, holders: &str) -> Result<Option<usize>, StoreError> {
    let holders: Vec<Group> = from_json(holders)?;
    Ok(plan.scope.groups.iter().position(|group| holders.contains(group)))
}

fn raw(text: String) -> Result<Raw, StoreError> {
    Raw::parse(&text).map_err(|e| StoreError::Unreadable(e.to_string()))
}

/// Merges the memberships of several groups by `seq`.
struct Merge<'s> {
    heads: Vec<Head<'s>>,
}

struct Head<'s> {
    group: Group,
    rows: Rows<'s>,
    next: Option<Member>,
}

impl<'s> Merge<'s> {
    fn start(statements: &'s mut [Statement<'_>], tenant: &str, plan: &Plan) -> Result<Self, StoreError> {
        let mut heads = Vec::new();
        for (statement, group) in statements.iter_mut().zip(&plan.scope.groups) {
            let lowest = int(plan.lowest(group));
            let bound: [&dyn ToSql; 3] = [&tenant, &group.as_str(), &lowest];
            let mut head = Head { group: group.clone(), rows: statement.query(bound)?, next: None };
            head.advance(plan)?;
            heads.push(head);
        }
        Ok(Self { heads })
    }

    /// The next membership; those of other groups with the same entity and `seq` fall together, and a live one speaks
    /// for all.
    fn next(&mut self, plan: &Plan) -> Result<Option<Member>, StoreError> {
        let Some(least) = self.heads.iter().filter_map(|head| head.next.as_ref()).min().cloned() else {
            return Ok(None);
        };
        for head in &mut self.heads {
            if head.next.as_ref().is_some_and(|next| next.is_same(&least)) {
                head.advance(plan)?;
            }
        }
        Ok(Some(least))
    }
}

impl Head<'_> {
    /// Skips what the reader has, or did not ask for.
    fn advance(&mut self, plan: &Plan) -> Result<(), StoreError> {
        self.next = None;
        while let Some(row) = self.rows.next()? {
            let member = Member::from_row(row)?;
            let asked = plan.scope.collections.binary_search_by(|c| c.as_str().cmp(&member.collection)).is_ok();
            if asked && member.seq > plan.lower(&self.group, &member.collection) {
                self.next = Some(member);
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Member {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let seq: i64 = row.get(0)?;
        Ok(Self { seq: seq.cast_unsigned(), collection: row.get(1)?, id: row.get(2)?, left: row.get(3)? })
    }

    fn is_same(&self, other: &Self) -> bool {
        self.seq.cmp(&other.seq) == Ordering::Equal && self.collection == other.collection && self.id == other.id
    }
}
