//! How an operation of the app becomes a mutation: from the view, with what the author saw (rule 13).

use std::str::Split;

use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, Rev};
use crate::io::Now;
use crate::json;
use crate::json::{JsonLimits, Value};
use crate::limits::{TRANSACTION_BYTES_MAX, TRANSACTION_MUTATIONS_MAX};
use crate::merge::predict;
use crate::model::edit::Edit;
use crate::model::insert::insert;
use crate::model::mutation::{Kind, Mutation};
use crate::model::path::Path;
use crate::model::schema::FieldStrategy;
use crate::planted::Bug;
use crate::replica::Replica;
use crate::replica::op::{Alter, Op, WriteRequest, shape, shape_patch};
use crate::replica::query::Foreseen;
use crate::replica::write::Draft;
use crate::view::Seen;

impl Replica {
    /// Writes operations: visible when this returns. All or none are taken. `lines`: what [`Op::Inserts`] insert.
    ///
    /// # Errors
    /// What is wrong with one of them; then nothing was written.
    pub fn write(&mut self, now: Now, request: WriteRequest, lines: &str) -> Result<Value, CoreError> {
        let WriteRequest { atomic, ops, call } = request;
        if atomic && ops.iter().map(Op::count).sum::<usize>() > TRANSACTION_MUTATIONS_MAX {
            let message = format!("a transaction has at most {TRANSACTION_MUTATIONS_MAX} operations: split it");
            return Err(CoreError::new(Code::TooLarge, message));
        }
        let mut draft = self.writes.draft();
        let mut lines = lines.split('\n');
        let taken = ops.into_iter().try_for_each(|op| {
            let op = self.of_today(op);
            self.draft(now, &mut draft, op, &mut lines)
        });
        if let Err(error) = taken.and_then(|()| if atomic { check_transaction(&draft) } else { Ok(()) }) {
            self.writes.drop_draft(draft);
            return Err(error);
        }
        let count = draft.edits.len();
        // The caller knows what it wrote: no event tells.
        for edit in &draft.edits {
            self.watches.touch(&edit.collection, &edit.id);
        }
        for edit in &draft.locals {
            self.watches.touch(&edit.collection.shown(), &edit.id);
        }
        if let (Some(seen), [edit]) = (draft.seen.take(), &*draft.edits) {
            self.foresee(edit, seen);
        }
        Ok(json!({"write": self.writes.add(draft, atomic, call), "count": count}))
    }

    /// An operation under an id that became another's is that one's. What is gone may be inserted anew.
    fn of_today(&self, mut op: Op) -> Op {
        let is_insert = matches!(op, Op::Insert { .. });
        if self.state.has_aliases()
            && let Some((c, id)) = op.target_mut()
            && let Some(to) = self.state.alias(c, id)
            && (!is_insert || self.see(c, &to).is_some())
        {
            *id = to;
        }
        op
    }

    /// Live queries ask at once how an edit shows: it is worked out from what the author saw, and not from all edits
    /// that wait.
    fn foresee(&mut self, edit: &Edit, seen: Seen) {
        let Seen { doc, rev, at, conflicts } = seen;
        if !conflicts.is_empty() || !self.watches.asks_about(&edit.collection) {
            return;
        }
        let doc = predict(Some(doc), rev, &edit.mutation(), self.settings(edit.collection.as_str()));
        let seen = doc.map(|doc| Seen { doc, rev, at: at.max(edit.at.0), conflicts });
        let seen = self.with_local(&edit.collection, &edit.id, seen);
        self.watches.foreseen =
            seen.map(|seen| Foreseen { collection: edit.collection.clone(), id: edit.id.clone(), seen });
    }

    /// Adds what an operation comes to on the view, `draft` included; nothing if it changes nothing.
    fn draft(&mut self, now: Now, draft: &mut Draft, op: Op, lines: &mut Split<'_, char>) -> Result<(), CoreError> {
        let (c, id, mut alter) = match op {
            Op::Inserts { c, count } => {
                self.must_know(&c)?;
                for _ in 0..count {
                    let (id, doc) = json::text_before(lines.next().unwrap_or_default())?;
                    self.insert(now, draft, c.clone(), EntityId::parse(&id)?, doc)?;
                }
                return Ok(());
            }
            Op::Insert { c, id, value } => {
                self.must_know(&c)?;
                return self.insert(now, draft, c, id, value.get());
            }
            Op::Patch { c, id, fields } => (c, id, Alter::Patch(fields)),
            Op::Replace { c, id, value, if_rev } => (c, id, Alter::Replace(value, if_rev)),
            Op::Delete { c, id, if_rev } => (c, id, Alter::Delete(if_rev)),
        };
        self.must_know(&c)?;
        if self.local(&c).is_none() {
            return self.draft_shared(now, draft, c, id, alter);
        }
        let local = self.divide(&c, &id, &mut alter);
        let is_delete = local.is_none();
        // Local fields first: then their undo comes last, over whatever the other half of it puts there.
        if let Some(fields) = local {
            self.change_local(now, draft, &c, &id, fields)?;
        }
        self.draft_shared(now, draft, c.clone(), id.clone(), alter)?;
        if is_delete {
            self.delete_local(now, draft, &c, &id);
        }
        Ok(())
    }

    fn draft_shared(
        &mut self,
        now: Now,
        draft: &mut Draft,
        c: CollectionName,
        id: EntityId,
        alter: Alter,
    ) -> Result<(), CoreError> {
        let mut mutation = Mutation::empty(c, id, self.state.hlc.tick(now.wall_ms));
        mutation.synced_clock = self.session.clock.is_some();
        mutation.schema = self.config.schema;
        let (inverse, rev, bytes, seen) = self.shape(&mut mutation, alter)?;
        let settles = !(mutation.resolves.is_empty() && mutation.reopens.is_empty());
        if mutation.kind == Kind::Patch && mutation.paths().next().is_none() && !settles {
            return Ok(());
        }
        mutation.base_rev = self.base_rev(&mutation, rev);
        mutation.check()?;
        let edit = Edit::of(mutation);
        self.check_size(&edit, bytes)?;
        draft.seen = seen;
        let is_whole = !self.has_local(&edit.collection, &edit.id);
        let inverse = if is_whole { inverse } else { self.with_local_inverse(inverse) };
        self.take(draft, edit, inverse);
        Ok(())
    }

    /// Fills in what is done, against the view; returns its inverse, the confirmed revision, a bound of the bytes that
    /// stood there, and the view, if it was worked out.
    fn shape(&self, mutation: &mut Mutation, alter: Alter) -> Result<(Op, Rev, usize, Option<Seen>), CoreError> {
        let is_counter = |c: &CollectionName, path: &Path| self.is_counter(c, path);
        let (c, id) = mutation.target();
        let alter = match alter {
            // Of an entity that is there as text only the fields are read that the patch is about, unless a live query
            // will ask for all of it.
            Alter::Patch(fields) if fields.settles_nothing() && !self.watches.asks_about(&c) => {
                if let Some(plain) = self.plain_shared(&c, &id, self.state.entity(c.as_str(), id.as_str())) {
                    let expected = cfg!(debug_assertions).then(|| {
                        let (mut mutation, fields) = (mutation.clone(), fields.clone());
                        let seen = self.see_shared(&c, &id)?;
                        let inverse = shape(&mut mutation, &seen, Alter::Patch(fields), &is_counter).ok()?;
                        Some((mutation, inverse))
                    });
                    let inverse = shape_patch(mutation, *fields, &|path| plain.value(path), &is_counter)?;
                    debug_assert!(
                        expected.flatten().is_none_or(|(m, i)| m == *mutation && i == inverse),
                        "both ways to what stands there lead to the same"
                    );
                    return Ok((inverse, plain.rev(), plain.bytes(), None));
                }
                Alter::Patch(fields)
            }
            other => other,
        };
        let missing = || CoreError::new(Code::NotFound, "no entity has this id: insert it first");
        let mut seen = self.see_shared(&c, &id).ok_or_else(missing)?;
        // What a decision is about is not part of the view that it is made against.
        seen.leave_out(alter.resolves());
        let inverse = shape(mutation, &seen, alter, &is_counter)?;
        Ok((inverse, seen.rev, json::bytes_at_most(&seen.doc), Some(seen)))
    }

    fn insert(
        &mut self,
        now: Now,
        draft: &mut Draft,
        c: CollectionName,
        id: EntityId,
        doc: &str,
    ) -> Result<(), CoreError> {
        let known = self.state.entity(c.as_str(), id.as_str()).is_some() || self.writes.on(&c, &id).next().is_some();
        if known && self.see_shared(&c, &id).is_some() {
            return Err(CoreError::new(Code::Exists, "this id exists: use update or upsert"));
        }
        let divided = if self.local(&c).is_some() { self.divide_insert(&c, doc)? } else { None };
        let doc = divided.as_ref().map_or(doc, |(shared, _)| shared);
        let at = self.state.hlc.tick(now.wall_ms);
        let edit = insert(&c, &id, doc, self.config.schema, at, self.session.clock.is_some())?;
        if doc.len() > self.config.max_document_bytes {
            self.must_fit(json::parse(doc.as_bytes(), JsonLimits::MESSAGE).ok())?;
        }
        self.take(draft, edit, Op::Delete { c: c.clone(), id: id.clone(), if_rev: None });
        divided.map_or(Ok(()), |(_, own)| self.insert_local(now, draft, &c, &id, own))
    }

    fn take(&mut self, draft: &mut Draft, edit: Edit, inverse: Op) {
        self.state.hlc = edit.at;
        self.writes.show(draft, edit, Some(inverse));
    }

    fn must_know(&self, collection: &CollectionName) -> Result<(), CoreError> {
        if self.declared.contains_key(collection.as_str()) {
            return Ok(());
        }
        let message = format!("`{collection}` is not among the collections given to openDb");
        Err(CoreError::new(Code::UnknownCollection, message))
    }

    fn is_counter(&self, collection: &CollectionName, path: &Path) -> bool {
        self.settings(collection.as_str()).fields.get(path) == Some(&FieldStrategy::Counter)
    }

    /// Rule 13: the confirmed revision in the author's view, or the smallest base of the mutations in that view
    /// which touch a path of this one.
    fn base_rev(&self, mutation: &Mutation, rev: Rev) -> Rev {
        let entity = self.state.entity(mutation.collection.as_str(), mutation.id.as_str());
        let pending = entity.into_iter().flat_map(|entity| &entity.pending).filter_map(|n| self.state.queue.get(n));
        let provisional = self.writes.on(&mutation.collection, &mutation.id);
        pending
            .map(|entry| &entry.edit)
            .chain(provisional)
            .filter(|earlier| touch_the_same(earlier, mutation))
            .map(|earlier| earlier.base_rev)
            .filter(|_| !Bug::BaseNotOfChain.is_planted())
            .fold(rev, Rev::min)
    }

    /// Every value that an edit adds stands in its bytes.
    fn check_size(&self, edit: &Edit, bytes: usize) -> Result<(), CoreError> {
        if bytes + edit.raw.get().len() <= self.config.max_document_bytes {
            return Ok(());
        }
        let mutation = edit.mutation();
        let Some(mut seen) = self.see_shared(&edit.collection, &edit.id) else { return Ok(()) };
        seen.leave_out(&mutation.resolves);
        self.must_fit(predict(Some(seen.doc), seen.rev, &mutation, self.settings(edit.collection.as_str())))
    }

    pub(crate) fn must_fit(&self, doc: Option<Value>) -> Result<(), CoreError> {
        let bytes = doc.map_or(0, |doc| json::write(&doc).len());
        if bytes > self.config.max_document_bytes {
            let message = format!(
                "a document has at most {} bytes (maxDocumentBytes): this has {bytes}",
                self.config.max_document_bytes
            );
            return Err(CoreError::new(Code::TooLarge, message));
        }
        Ok(())
    }
}

fn check_transaction(draft: &Draft) -> Result<(), CoreError> {
    if draft.edits.iter().map(|edit| edit.raw.get().len()).sum::<usize>() > TRANSACTION_BYTES_MAX {
        return Err(CoreError::new(Code::TooLarge, "a transaction holds at most 2 MiB: split it"));
    }
    Ok(())
}

fn touch_the_same(earlier: &Edit, mutation: &Mutation) -> bool {
    if earlier.kind != Kind::Patch || mutation.kind != Kind::Patch {
        return true;
    }
    let earlier = earlier.mutation();
    earlier.paths().any(|x| mutation.paths().any(|y| x.overlaps(y)))
}
