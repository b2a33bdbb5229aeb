//! Reads, and how an operation of the app becomes a mutation: from the view, with what the author saw (rule 13).

use std::rc::Rc;

use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, Rev};
use crate::io::Now;
use crate::json;
use crate::json::{JsonLimits, Map, Raw, Value};
use crate::limits::{TRANSACTION_BYTES_MAX, TRANSACTION_MUTATIONS_MAX};
use crate::log::record::Call;
use crate::merge::predict;
use crate::model::mutation::{Kind, Mutation};
use crate::model::path::Path;
use crate::model::schema::FieldStrategy;
use crate::replica::Replica;
use crate::replica::op::{Op, WriteRequest, shape};
use crate::replica::query::Foreseen;
use crate::replica::status::no_room;
use crate::small::SmallMap;
use crate::store::state::{Confirmed, Entity, Status};
use crate::table::Table;
use crate::view::{Seen, see};

impl Replica {
    /// Writes operations: visible when this returns. All or none are taken.
    ///
    /// # Errors
    /// What is wrong with one of them; then nothing was written.
    pub fn write(&mut self, now: Now, request: WriteRequest) -> Result<Value, CoreError> {
        if request.atomic && request.ops.len() > TRANSACTION_MUTATIONS_MAX {
            let message = format!("a transaction has at most {TRANSACTION_MUTATIONS_MAX} operations: split it");
            return Err(CoreError::new(Code::TooLarge, message));
        }
        let ids: Vec<EntityId> = request.ops.iter().map(|op| op.target().1.clone()).collect();
        let mut draft = Draft::default();
        for op in request.ops {
            self.draft(now, &mut draft, op)?;
        }
        let told = self.changed.len();
        let last = draft.mutations.last().cloned();
        let seen = draft.seen.take();
        let write = self.commit(draft, request.atomic, request.call)?;
        // Who writes knows what.
        self.changed.truncate(told);
        if let (Some(mutation), Some(seen), [_]) = (last, seen, &*ids) {
            self.foresee(&mutation, seen);
        }
        Ok(json!({"write": write, "ids": ids}))
    }

    /// Live queries ask at once how an edit shows: it is worked out from what the author saw, and not from all edits
    /// that wait.
    fn foresee(&mut self, mutation: &Mutation, seen: Seen) {
        let Seen { doc, rev, at, conflicts } = seen;
        if !conflicts.is_empty() || !self.watches.asks_about(&mutation.collection) {
            return;
        }
        let doc = predict(Some(doc), rev, mutation, self.settings(mutation.collection.as_str()));
        let seen = doc.map(|doc| Seen { doc, rev, at: at.max(mutation.at.0), conflicts });
        self.watches.foreseen =
            seen.map(|seen| Foreseen { collection: mutation.collection.clone(), id: mutation.id.clone(), seen });
    }

    /// Takes in finished mutations.
    pub(crate) fn commit(&mut self, draft: Draft, atomic: bool, call: Option<Call>) -> Result<u64, CoreError> {
        if atomic && draft.raw.iter().map(|raw| raw.get().len()).sum::<usize>() > TRANSACTION_BYTES_MAX {
            return Err(CoreError::new(Code::TooLarge, "a transaction holds at most 2 MiB: split it"));
        }
        for mutation in &draft.mutations {
            self.state.hlc = self.state.hlc.max(mutation.at);
            self.touch(&mutation.collection, &mutation.id, false);
        }
        let undo = draft.undo.into_iter().rev().collect();
        Ok(self.writes.add(draft.mutations, draft.raw, atomic, call, undo))
    }

    /// Adds what an operation comes to on the view, `draft` included; nothing if it changes nothing.
    fn draft(&self, now: Now, draft: &mut Draft, op: Op) -> Result<(), CoreError> {
        let (collection, id) = op.target();
        let (collection, id) = (collection.clone(), id.clone());
        if !self.declared.contains_key(collection.as_str()) {
            let message = format!("`{collection}` is not among the collections given to openDb");
            return Err(CoreError::new(Code::UnknownCollection, message));
        }
        let mut seen = self.see_with(&collection, &id, draft);
        if let Some(seen) = &mut seen {
            // What a decision is about is not part of the view that it is made against.
            seen.leave_out(op.resolves());
        }
        let mut mutation = Mutation {
            kind: Kind::Patch,
            base_rev: 0,
            if_rev: None,
            set: SmallMap::new(),
            unset: Vec::new(),
            inc: SmallMap::new(),
            add: SmallMap::new(),
            remove: SmallMap::new(),
            was: SmallMap::new(),
            resolves: Vec::new(),
            reopens: Vec::new(),
            at: draft.mutations.last().map_or(self.state.hlc, |m| m.at).tick(now.wall_ms),
            synced_clock: self.session.clock.is_some(),
            retry_of: None,
            collection,
            id,
        };
        let inverse = shape(&mut mutation, seen.as_ref(), op, &|c, path| self.is_counter(c, path))?;
        let settles = !(mutation.resolves.is_empty() && mutation.reopens.is_empty());
        if mutation.kind == Kind::Patch && mutation.paths().next().is_none() && !settles {
            return Ok(());
        }
        mutation.base_rev = self.base_rev(&mutation, seen.as_ref(), draft);
        mutation.check()?;
        let raw = Raw::trusted(json::to_text(&mutation));
        self.check_size(&mutation, raw.get().len(), seen.as_ref())?;
        draft.undo.push(inverse);
        draft.seen = seen;
        draft.push(Rc::new(mutation), raw);
        Ok(())
    }

    fn is_counter(&self, collection: &CollectionName, path: &Path) -> bool {
        self.settings(collection.as_str()).fields.get(path) == Some(&FieldStrategy::Counter)
    }

    /// Rule 13: the confirmed revision in the author's view, or the smallest base of the mutations in that view
    /// which touch a path of this one.
    fn base_rev(&self, mutation: &Mutation, seen: Option<&Seen>, draft: &Draft) -> Rev {
        let entity = self.state.entity(mutation.collection.as_str(), mutation.id.as_str());
        let pending = entity.into_iter().flat_map(|entity| &entity.pending).filter_map(|n| self.state.queue.get(n));
        let provisional = self.writes.on(&mutation.collection, &mutation.id);
        pending
            .map(|entry| &*entry.mutation)
            .chain(provisional)
            .chain(draft.on(&mutation.collection, &mutation.id))
            .filter(|earlier| touch_the_same(earlier, mutation))
            .map(|earlier| earlier.base_rev)
            .fold(seen.map_or(0, |seen| seen.rev), Rev::min)
    }

    /// `raw_bytes`: the mutation's own, in which every value that it adds stands.
    fn check_size(&self, mutation: &Mutation, raw_bytes: usize, seen: Option<&Seen>) -> Result<(), CoreError> {
        let before = seen.map_or(0, |seen| json::bytes_at_most(&seen.doc));
        if before + raw_bytes <= self.config.max_document_bytes {
            return Ok(());
        }
        let settings = self.settings(mutation.collection.as_str());
        let rev = seen.map_or(0, |seen| seen.rev);
        let after = predict(seen.map(|seen| seen.doc.clone()), rev, mutation, settings);
        let bytes = after.map_or(0, |doc| json::write(&doc).len());
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
        let all = || self.see_with(collection, id, &Draft::default());
        match &self.watches.foreseen {
            Some(known) if known.id == *id && known.collection == *collection => {
                debug_assert_eq!(Some(&known.seen), all().as_ref(), "both ways lead to the same");
                Some(known.seen.clone())
            }
            _ => all(),
        }
    }

    fn see_with(&self, collection: &CollectionName, id: &EntityId, draft: &Draft) -> Option<Seen> {
        let provisional = self.writes.on(collection, id).chain(draft.on(collection, id));
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
        let mut edits = pending.map(|entry| &*entry.mutation).chain(self.writes.on(collection, id));
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
                let doc = std::str::from_utf8(&confirmed.doc).ok()?.strip_prefix('{')?.strip_suffix('}')?;
                if !doc.is_empty() {
                    row.push(',');
                    row.push_str(doc);
                }
                (confirmed.rev, confirmed.at)
            }
            Plain::Insert(insert) => {
                for (path, value) in insert.set.iter() {
                    row.push(',');
                    json::write_string(&path.segments().next()?, &mut row);
                    row.push(':');
                    json::write_value(value, &mut row);
                }
                (0, insert.at.0)
            }
        };
        let sync = self.sync_mark(collection, id, self.sync_status(collection, id, false), at);
        // What is marked stands last, so that JavaScript takes it, whatever the document holds.
        let marks = json::write_text(&json!({"$sync": sync, "$rev": rev, "$updatedAt": at}));
        row.push(',');
        row.push_str(marks.strip_prefix('{')?);
        Some(row)
    }

    fn sync_mark(&self, collection: &CollectionName, id: &EntityId, status: &str, at: u64) -> Value {
        match status {
            "failed" => {
                let letter =
                    self.state.letters.values().find(|l| &l.mutation.collection == collection && &l.mutation.id == id);
                let error = letter.map_or_else(no_room, |letter| json!(letter.reason));
                json!({"status": status, "error": error})
            }
            "synced" => json!({"status": status, "syncedAt": at}),
            _ => json!({"status": status}),
        }
    }

    pub(crate) fn sync_status(&self, collection: &CollectionName, id: &EntityId, conflict: bool) -> &'static str {
        let failed = self.state.letters.values().any(|l| &l.mutation.collection == collection && &l.mutation.id == id);
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
    Insert(&'a Mutation),
}

/// Mutations of one call that are not in the view yet, and how to undo them.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) mutations: Vec<Rc<Mutation>>,
    raw: Vec<Raw>,
    pub(crate) undo: Vec<Op>,
    /// What the author of the last one saw.
    seen: Option<Seen>,
    /// Where the mutations of an id stand: a call may hold tens of thousands.
    places: Table<EntityId, Vec<usize>>,
}

impl Draft {
    /// Finished mutations.
    pub(crate) fn of(mutations: Vec<Rc<Mutation>>) -> Self {
        let mut draft = Self::default();
        for mutation in mutations {
            let raw = Raw::trusted(json::to_text(&*mutation));
            draft.push(mutation, raw);
        }
        draft
    }

    fn push(&mut self, mutation: Rc<Mutation>, raw: Raw) {
        self.places.or_default(mutation.id.clone()).push(self.mutations.len());
        self.mutations.push(mutation);
        self.raw.push(raw);
    }

    fn on<'a>(&'a self, collection: &CollectionName, id: &EntityId) -> impl Iterator<Item = &'a Mutation> + use<'a> {
        let collection = collection.clone();
        let places = self.places.get(id.as_str()).map(Vec::as_slice).unwrap_or_default();
        places
            .iter()
            .filter_map(|at| self.mutations.get(*at))
            .map(Rc::as_ref)
            .filter(move |m| m.collection == collection)
    }
}

fn touch_the_same(a: &Mutation, b: &Mutation) -> bool {
    a.kind != Kind::Patch || b.kind != Kind::Patch || a.paths().any(|x| b.paths().any(|y| x.overlaps(y)))
}
