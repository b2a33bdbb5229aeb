//! Reads, and how an operation of the app becomes a mutation: from the view, with what the author saw (rule 13).

use std::str::Split;

use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, Rev};
use crate::io::Now;
use crate::json;
use crate::json::{JsonLimits, Map, Value};
use crate::limits::{TRANSACTION_BYTES_MAX, TRANSACTION_MUTATIONS_MAX};
use crate::merge::predict;
use crate::model::edit::Edit;
use crate::model::insert::{insert, insert_fields, path_in_insert};
use crate::model::mutation::{Kind, Mutation};
use crate::model::path::Path;
use crate::model::schema::FieldStrategy;
use crate::replica::Replica;
use crate::replica::op::{Alter, Op, WriteRequest, shape, shape_patch};
use crate::replica::query::Foreseen;
use crate::replica::status::no_room;
use crate::replica::write::Draft;
use crate::store::state::{Confirmed, Entity, Status};
use crate::view::{Seen, see};

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
        let taken = ops.into_iter().try_for_each(|op| self.draft(now, &mut draft, op, &mut lines));
        if let Err(error) = taken.and_then(|()| if atomic { check_transaction(&draft) } else { Ok(()) }) {
            self.writes.drop_draft(draft);
            return Err(error);
        }
        let count = draft.edits.len();
        // The caller knows what it wrote: no event tells.
        for edit in &draft.edits {
            self.watches.touch(&edit.collection, &edit.id);
        }
        if let (Some(seen), [edit]) = (draft.seen.take(), &*draft.edits) {
            self.foresee(edit, seen);
        }
        Ok(json!({"write": self.writes.add(draft, atomic, call), "count": count}))
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
        self.watches.foreseen =
            seen.map(|seen| Foreseen { collection: edit.collection.clone(), id: edit.id.clone(), seen });
    }

    /// Adds what an operation comes to on the view, `draft` included; nothing if it changes nothing.
    fn draft(&mut self, now: Now, draft: &mut Draft, op: Op, lines: &mut Split<'_, char>) -> Result<(), CoreError> {
        let (c, id, alter) = match op {
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
        let mut mutation = Mutation::empty(c, id, self.state.hlc.tick(now.wall_ms));
        mutation.synced_clock = self.session.clock.is_some();
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
                if let Some(plain) = self.plain(&c, &id, self.state.entity(c.as_str(), id.as_str())) {
                    let expected = cfg!(debug_assertions).then(|| {
                        let (mut mutation, fields) = (mutation.clone(), fields.clone());
                        let seen = self.see_anew(&c, &id)?;
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
        let mut seen = self.see_anew(&c, &id).ok_or_else(missing)?;
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
        if known && self.see_anew(&c, &id).is_some() {
            return Err(CoreError::new(Code::Exists, "an entity with this id exists: use update or upsert"));
        }
        let at = self.state.hlc.tick(now.wall_ms);
        let edit = insert(&c, &id, doc, at, self.session.clock.is_some())?;
        if doc.len() > self.config.max_document_bytes {
            self.must_fit(json::parse(doc.as_bytes(), JsonLimits::MESSAGE).ok())?;
        }
        self.take(draft, edit, Op::Delete { c, id, if_rev: None });
        Ok(())
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
            .fold(rev, Rev::min)
    }

    /// Every value that an edit adds stands in its bytes.
    fn check_size(&self, edit: &Edit, bytes: usize) -> Result<(), CoreError> {
        if bytes + edit.raw.get().len() <= self.config.max_document_bytes {
            return Ok(());
        }
        let mutation = edit.mutation();
        let Some(mut seen) = self.see_anew(&edit.collection, &edit.id) else { return Ok(()) };
        seen.leave_out(&mutation.resolves);
        self.must_fit(predict(Some(seen.doc), seen.rev, &mutation, self.settings(edit.collection.as_str())))
    }

    fn must_fit(&self, doc: Option<Value>) -> Result<(), CoreError> {
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

    /// An entity as the app sees it.
    pub(crate) fn see(&self, collection: &CollectionName, id: &EntityId) -> Option<Seen> {
        match &self.watches.foreseen {
            Some(known) if known.id == *id && known.collection == *collection => {
                debug_assert_eq!(
                    Some(&known.seen),
                    self.see_anew(collection, id).as_ref(),
                    "both ways lead to the same"
                );
                Some(known.seen.clone())
            }
            _ => self.see_anew(collection, id),
        }
    }

    /// The same from what it is made of.
    fn see_anew(&self, collection: &CollectionName, id: &EntityId) -> Option<Seen> {
        let provisional = self.writes.on(collection, id);
        see(&self.state, self.settings(collection.as_str()), collection, id, provisional)
    }

    /// One row as JSON text.
    pub fn row(&self, collection: &CollectionName, id: &EntityId) -> Option<String> {
        let text = self.plain_row(collection, id);
        debug_assert!(
            text.as_ref().is_none_or(|text| {
                let read = |text: &str| json::parse(text.as_bytes(), JsonLimits::MESSAGE);
                self.seen_row(collection, id).is_some_and(|seen| read(&seen) == read(text))
            }),
            "both ways to a row lead to the same"
        );
        text.or_else(|| self.seen_row(collection, id))
    }

    fn seen_row(&self, collection: &CollectionName, id: &EntityId) -> Option<String> {
        let seen = self.see(collection, id)?;
        let mut row = Map::new();
        row.insert("id".into(), Value::String(id.to_string()));
        let status = self.sync_status(collection, id, seen.is_in_conflict());
        if let Value::Object(doc) = seen.doc {
            row.extend(doc);
        }
        row.insert("$sync".into(), self.sync_mark(collection, id, status, seen.at));
        row.insert("$rev".into(), seen.rev.into());
        row.insert("$updatedAt".into(), seen.at.into());
        String::from_utf8(json::write(&Value::Object(row))).ok()
    }

    /// An entity of which nothing has to be worked out, if it is one.
    pub(crate) fn plain<'a>(
        &'a self,
        collection: &CollectionName,
        id: &EntityId,
        entity: Option<&'a Entity>,
    ) -> Option<Plain<'a>> {
        let pending = entity.into_iter().flat_map(|entity| &entity.pending).filter_map(|n| self.state.queue.get(n));
        let mut edits = pending.map(|entry| &entry.edit).chain(self.writes.on(collection, id));
        let plain = match (entity.and_then(|entity| entity.confirmed.as_ref()), edits.next()) {
            (Some(confirmed), None) => Plain::Confirmed(confirmed),
            (None, Some(edit)) if edit.kind == Kind::Insert => Plain::Insert(edit),
            _ => return None,
        };
        (edits.next().is_none() && !self.has_conflicts(collection, id)).then_some(plain)
    }

    /// Its row: the text of its document, or of its fields, is there already.
    fn plain_row(&self, collection: &CollectionName, id: &EntityId) -> Option<String> {
        let plain = self.plain(collection, id, self.state.entity(collection.as_str(), id.as_str()))?;
        let mut row = String::from("{\"id\":");
        json::write_string(id.as_str(), &mut row);
        let (rev, at) = match plain {
            Plain::Confirmed(confirmed) => {
                let doc = confirmed.doc.get().strip_prefix('{')?.strip_suffix('}')?;
                if !doc.is_empty() {
                    row.push(',');
                    row.push_str(doc);
                }
                (confirmed.rev, confirmed.at)
            }
            Plain::Insert(insert) => {
                insert_fields(insert.raw.get(), &mut row);
                (0, insert.at.0)
            }
        };
        // What is marked stands last, so that JavaScript takes it, whatever the document holds.
        row.push_str(",\"$sync\":");
        let at = json::to_text(&at);
        match self.sync_status(collection, id, false) {
            "pending" => row.push_str("{\"status\":\"pending\"}"),
            "synced" => {
                row.push_str("{\"status\":\"synced\",\"syncedAt\":");
                row.push_str(&at);
                row.push('}');
            }
            status => row.push_str(&json::write_text(&self.sync_mark(collection, id, status, 0))),
        }
        for part in [",\"$rev\":", &json::to_text(&rev), ",\"$updatedAt\":", &at, "}"] {
            row.push_str(part);
        }
        Some(row)
    }

    fn sync_mark(&self, collection: &CollectionName, id: &EntityId, status: &str, at: u64) -> Value {
        match status {
            "failed" => {
                let letter = self.state.letters.values().find(|l| &l.edit.collection == collection && &l.edit.id == id);
                let error = letter.map_or_else(no_room, |letter| json!(letter.reason));
                json!({"status": status, "error": error})
            }
            "synced" => json!({"status": status, "syncedAt": at}),
            _ => json!({"status": status}),
        }
    }

    pub(crate) fn sync_status(&self, collection: &CollectionName, id: &EntityId, conflict: bool) -> &'static str {
        let failed = self.state.letters.values().any(|l| &l.edit.collection == collection && &l.edit.id == id);
        let entity = self.state.entity(collection.as_str(), id.as_str());
        let mut pending = entity.into_iter().flat_map(|entity| &entity.pending).filter_map(|n| self.state.queue.get(n));
        if failed || self.writes.refused.has(collection, id) {
            "failed"
        } else if conflict {
            "conflict"
        } else if pending.any(|entry| !matches!(entry.status, Status::Settled(_)))
            || self.writes.on(collection, id).next().is_some()
        {
            "pending"
        } else {
            "synced"
        }
    }
}

/// See [`Replica::plain`].
pub(crate) enum Plain<'a> {
    /// What the server has, and nothing on it.
    Confirmed(&'a Confirmed),
    /// An insert, and nothing else.
    Insert(&'a Edit),
}

impl Plain<'_> {
    fn rev(&self) -> Rev {
        if let Self::Confirmed(confirmed) = self { confirmed.rev } else { 0 }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Confirmed(confirmed) => confirmed.doc.get().len(),
            Self::Insert(edit) => edit.raw.get().len(),
        }
    }

    fn value(&self, path: &Path) -> Option<Value> {
        let text = match self {
            Self::Confirmed(confirmed) => json::at(confirmed.doc.get(), path.segments())?,
            Self::Insert(edit) => json::at(edit.raw.get(), path_in_insert(path))?,
        };
        json::parse(text.as_bytes(), JsonLimits::MESSAGE).ok()
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
