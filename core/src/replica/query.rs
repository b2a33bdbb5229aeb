//! Queries over the view, and those that are kept for whoever watches their answers.
//!
//! The columns are told of every row whose view may have changed, and look at those rows when somebody asks the next
//! time; the queries that are kept go along. What such a query then answers is the way from its last answer to this
//! one: what crosses the boundary grows with the change and not with the result.

use std::rc::Rc;

use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId};
use crate::json;
use crate::json::{Fields, Once, Value};
use crate::model::path::Path;
use crate::query::ast::Query;
use crate::query::grid::{Doc, Grid, Row};
use crate::query::kept::Kept;
use crate::replica::Replica;
use crate::replica::rows::Plain;
use crate::small::SmallMap;
use crate::store::state::{Confirmed, Entity};
use crate::store::texts::visit;
use crate::table::Table;
use crate::view::Seen;

/// The queries that are kept, and what they are answered from.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    next: u64,
    list: Vec<(u64, Kept)>,
    sheets: SmallMap<CollectionName, Sheet>,
    /// The view of the entity that was written last.
    pub(crate) foreseen: Option<Foreseen>,
}

/// A view that is known without looking; true until its entity is touched.
#[derive(Debug)]
pub(crate) struct Foreseen {
    pub(crate) collection: CollectionName,
    pub(crate) id: EntityId,
    pub(crate) seen: Seen,
}

/// The columns of a collection that was asked about.
#[derive(Debug, Default)]
struct Sheet {
    grid: Grid,
    /// Rows that may have changed since the last answer; one may stand here more than once.
    changed: Vec<EntityId>,
}

impl Watches {
    /// The view of a row may have changed.
    pub(crate) fn touch(&mut self, collection: &CollectionName, id: &EntityId) {
        self.foreseen = None;
        let Some(Sheet { grid, changed }) = self.sheets.get_mut(collection.as_str()) else { return };
        if changed.last() == Some(id) {
            return;
        }
        changed.push(id.clone());
        // Nobody asks any more, or the rows came all at once: they are looked at again when somebody does.
        if changed.len() > 1_000 + 4 * grid.len() {
            *changed = Vec::new();
            grid.clear();
            for kept in about(&mut self.list, collection) {
                kept.look_again();
            }
        }
    }

    /// Whether somebody asked about a collection.
    pub(crate) fn asks_about(&self, collection: &CollectionName) -> bool {
        self.sheets.get(collection.as_str()).is_some()
    }

    /// The fields of documents that queries have looked at.
    pub(crate) fn fields(&self) -> Vec<(&CollectionName, Vec<&Path>)> {
        self.sheets.iter().map(|(collection, sheet)| (collection, sheet.grid.paths())).collect()
    }

    /// Queries about a collection ask for others now.
    pub(crate) fn change(&mut self, collection: &CollectionName, change: &dyn Fn(&mut Query)) {
        for (_, kept) in self.list.iter_mut().filter(|(_, kept)| kept.query.collection == *collection) {
            kept.change(change);
        }
    }

    /// The rows are others now.
    pub(crate) fn forget_rows(&mut self) {
        self.foreseen = None;
        self.sheets = SmallMap::new();
        for (_, kept) in &mut self.list {
            kept.look_again();
        }
    }
}

/// The queries about a collection that follow its changes.
fn about<'a>(list: &'a mut [(u64, Kept)], collection: &CollectionName) -> Vec<&'a mut Kept> {
    let all = list.iter_mut().map(|(_, kept)| kept);
    all.filter(|kept| kept.follows() && kept.query.collection == *collection).collect()
}

impl Replica {
    /// Answers a query, or says how the answer to a kept one changed.
    ///
    /// # Errors
    /// `bad-query`.
    pub fn query(&mut self, request: &Value) -> Result<Value, CoreError> {
        let fields = Fields::of(request)?;
        if fields.get("delta").is_some() {
            return self.delta(fields.number("delta")?);
        }
        if fields.get("drop").is_some() {
            let dropped = fields.number("drop")?;
            self.watches.list.retain(|(handle, _)| *handle != dropped);
            return Ok(json!({}));
        }
        let keep = fields.flag("watch")?;
        let mut query = Query::read(request)?;
        self.resolve_query(&mut query);
        let query = Rc::new(query);
        if !self.declared.contains_key(&query.collection) {
            return Err(CoreError::new(Code::UnknownCollection, "a query is about a collection given to openDb"));
        }
        self.look(&query);
        let Watches { next, list, sheets, .. } = &mut self.watches;
        let grid = &sheets.or_default(query.collection.clone()).grid;
        let kept = Kept::build(&query, grid, keep);
        let mut answer = kept.answer(grid);
        if keep {
            *next += 1;
            answer.insert("handle".to_owned(), (*next).into());
            list.push((*next, kept));
        }
        Ok(Value::Object(answer))
    }

    /// The ids of all rows of a collection, those that are only in the view included.
    pub(crate) fn ids(&self, collection: &CollectionName) -> Vec<&EntityId> {
        let mut ids = self.state.entities.get(collection).map(Table::keys).unwrap_or_default();
        self.only_provisional(collection, &mut |id| ids.push(id));
        ids
    }

    fn only_provisional<'a>(&'a self, collection: &CollectionName, then: &mut dyn FnMut(&'a EntityId)) {
        self.writes.each(collection, &mut |id| {
            if self.state.entity(collection.as_str(), id.as_str()).is_none() {
                then(id);
            }
        });
    }

    fn delta(&mut self, handle: u64) -> Result<Value, CoreError> {
        let at = self.watches.list.iter().position(|(known, _)| *known == handle);
        let query = at.and_then(|at| self.watches.list.get(at)).map(|(_, kept)| kept.query.clone());
        let query = query.ok_or_else(|| CoreError::new(Code::BadQuery, "ask this query again"))?;
        self.look(&query);
        let Watches { list, sheets, .. } = &mut self.watches;
        let grid = &sheets.or_default(query.collection.clone()).grid;
        let kept = list.iter_mut().find(|(known, _)| *known == handle);
        Ok(kept.map_or(Value::Null, |(_, kept)| Value::Object(kept.delta(grid))))
    }

    /// Brings the columns of a query up to date, and with them the queries that are kept.
    fn look(&mut self, query: &Query) {
        let name = &query.collection;
        let Sheet { mut grid, changed } = self.watches.sheets.remove(name.as_str()).unwrap_or_default();
        let mut list = std::mem::take(&mut self.watches.list);
        let mut followers = about(&mut list, name);
        let view = View { replica: self, collection: name };
        if changed.len() > 64 + grid.len() / 8 {
            followers.drain(..).for_each(Kept::look_again);
        }
        if grid.is_filled() {
            let mut once = Once::default();
            let order = self.in_order(name, &changed);
            for id in order.iter().filter_map(|at| changed.get(*at)) {
                followers.iter_mut().for_each(|kept| kept.before(&grid, id));
                if !view.one(id, grid.shows_status(), &mut once, &mut |row| grid.put(row)) {
                    grid.remove(id);
                }
                followers.iter_mut().filter(|kept| kept.follows()).for_each(|kept| kept.after(&grid, id));
            }
        }
        if grid.want(&query.columns) {
            let status = grid.shows_status();
            view.each(status, &mut |row| grid.put(row));
            grid.fill();
            let gone = |kept: &&mut &mut Kept| !grid.has(&kept.query.columns);
            followers.iter_mut().filter(gone).for_each(|kept| kept.look_again());
            // Upkeep looks at the new columns, when nothing else is to do.
            self.wish(0);
            self.schedule();
        }
        self.watches.list = list;
        self.watches.sheets.insert(name.clone(), Sheet { grid, changed: Vec::new() });
    }
}

/// The rows of a collection as the app sees them.
pub(super) struct View<'a> {
    pub(super) replica: &'a Replica,
    pub(super) collection: &'a CollectionName,
}

impl View<'_> {
    /// Shows one row; says whether it is there.
    fn show(
        &self,
        (id, entity): (&EntityId, Option<&Entity>),
        status: bool,
        once: &mut Once,
        then: &mut dyn FnMut(&Row<'_>),
    ) -> bool {
        let mark = |conflict| if status { self.replica.sync_status(self.collection, id, conflict) } else { "" };
        match self.replica.plain(self.collection, id, entity) {
            Some(Plain::Confirmed(Confirmed { rev, at, doc, .. })) => {
                let doc = once.get(doc).as_bytes();
                then(&Row { id, doc: Doc::Text(doc), rev: *rev, at: *at, status: mark(false) });
            }
            Some(Plain::Insert(insert)) => {
                then(&Row { id, doc: Doc::Insert(insert), rev: 0, at: insert.at.0, status: mark(false) });
            }
            None => {
                let Some(seen) = self.replica.see(self.collection, id) else { return false };
                let status = mark(seen.is_in_conflict());
                then(&Row { id, doc: Doc::Value(&seen.doc), rev: seen.rev, at: seen.at, status });
            }
        }
        true
    }

    fn each(&self, status: bool, then: &mut dyn FnMut(&Row<'_>)) {
        let mut once = Once::default();
        if let Some(table) = self.replica.state.entities.get(self.collection) {
            visit(table, &mut |id, entity| {
                self.show((id, Some(entity)), status, &mut once, then);
            });
        }
        self.replica.only_provisional(self.collection, &mut |id| {
            self.show((id, None), status, &mut once, then);
        });
    }

    pub(super) fn one(&self, id: &EntityId, status: bool, once: &mut Once, then: &mut dyn FnMut(&Row<'_>)) -> bool {
        let entity = self.replica.state.entity(self.collection.as_str(), id.as_str());
        self.show((id, entity), status, once, then)
    }
}
