//! Queries over the view, and those that are kept for whoever watches their answers.
//!
//! A kept query is told of every row whose view may have changed, and looks at those rows when it is asked the next
//! time. What it then answers is the way from its last answer to this one: what crosses the boundary grows with the
//! change and not with the result.

use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId};
use crate::json;
use crate::json::{Fields, Map, Value};
use crate::query::ast::Query;
use crate::query::grid::{Doc, Grid, Row};
use crate::query::groups::Groups;
use crate::query::list::List;
use crate::replica::Replica;
use crate::replica::rows::Plain;
use crate::small::SmallMap;
use crate::store::state::{Confirmed, Entity};
use crate::table::Table;

/// The queries that are kept, and what they are answered from.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    next: u64,
    list: Vec<Watch>,
    sheets: SmallMap<CollectionName, Sheet>,
}

/// The columns of a collection that was asked about.
#[derive(Debug, Default)]
struct Sheet {
    grid: Grid,
    /// Rows that may have changed since the last answer; one may stand here more than once.
    changed: Vec<EntityId>,
}

#[derive(Debug)]
struct Watch {
    handle: u64,
    query: Query,
    result: Result,
    /// Rows that may have changed since the last answer; one may stand here more than once.
    changed: Vec<EntityId>,
    /// So many that it is cheaper to look at all rows.
    again: bool,
}

#[derive(Debug)]
enum Result {
    List(List),
    Groups(Groups),
}

impl Watches {
    /// The view of a row may have changed.
    pub(crate) fn touch(&mut self, collection: &CollectionName, id: &EntityId) {
        if let Some(Sheet { grid, changed }) = self.sheets.get_mut(collection.as_str()) {
            changed.push(id.clone());
            // Nobody asks any more, or the rows came all at once: they are looked at again when somebody does.
            if changed.len() > 1_000 + 4 * grid.len() {
                *changed = Vec::new();
                grid.clear();
            }
        }
        for watch in self.list.iter_mut().filter(|watch| watch.query.collection == *collection && !watch.again) {
            if watch.changed.last() == Some(id) {
                continue;
            }
            watch.changed.push(id.clone());
            let kept = match &watch.result {
                Result::List(list) => list.len(),
                Result::Groups(groups) => groups.len(),
            };
            if watch.changed.len() > 64 + kept / 8 {
                watch.again = true;
                watch.changed.clear();
            }
        }
    }
}

impl Watches {
    /// The rows are others now.
    pub(crate) fn forget_rows(&mut self) {
        self.sheets = SmallMap::new();
        for watch in &mut self.list {
            watch.again = true;
            watch.changed.clear();
        }
    }
}

impl Replica {
    /// Answers a query, or says how the answer to a kept one changed.
    ///
    /// # Errors
    /// `bad-query`.
    pub fn query(&mut self, request: &Value) -> std::result::Result<Value, CoreError> {
        let fields = Fields::of(request)?;
        if fields.get("delta").is_some() {
            return self.delta(fields.number("delta")?);
        }
        if fields.get("drop").is_some() {
            let handle = fields.number("drop")?;
            self.watches.list.retain(|watch| watch.handle != handle);
            return Ok(json!({}));
        }
        let keep = fields.flag("watch")?;
        let query = Query::read(request)?;
        if !self.declared.contains_key(&query.collection) {
            return Err(CoreError::new(Code::UnknownCollection, "a query is about a collection given to openDb"));
        }
        self.look(&query);
        let result = self.result(&query, keep);
        let mut answer = result.answer(&query, true);
        if keep {
            self.watches.next += 1;
            let handle = self.watches.next;
            answer.insert("handle".to_owned(), handle.into());
            self.watches.list.push(Watch { handle, query, result, changed: Vec::new(), again: false });
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

    fn delta(&mut self, handle: u64) -> std::result::Result<Value, CoreError> {
        let at = self.watches.list.iter().position(|watch| watch.handle == handle);
        let at = at.ok_or_else(|| CoreError::new(Code::BadQuery, "no such query is kept: ask it again"))?;
        let mut watch = self.watches.list.swap_remove(at);
        self.look(&watch.query);
        let steps = match (&mut watch.result, self.grid(&watch.query)) {
            (Result::List(list), Some(grid)) if !watch.again => Some(list.follow(&watch.query, grid, &watch.changed)),
            (Result::Groups(groups), Some(grid)) if !watch.again => groups.follow(&watch.query, grid, &watch.changed),
            _ => None,
        };
        watch.changed.clear();
        watch.again = false;
        let answer = if let Some(steps) = steps {
            let mut answer = watch.result.answer(&watch.query, false);
            answer.insert("steps".to_owned(), Value::Array(steps));
            answer
        } else {
            watch.result = self.result(&watch.query, true);
            watch.result.answer(&watch.query, true)
        };
        self.watches.list.push(watch);
        Ok(Value::Object(answer))
    }

    fn result(&self, query: &Query, keep: bool) -> Result {
        let nothing = Grid::default();
        let grid = self.grid(query).unwrap_or(&nothing);
        match query.fold {
            Some(fold) => Result::Groups(Groups::build(query, fold, grid, keep)),
            None => Result::List(List::build(query, grid, keep)),
        }
    }

    fn grid(&self, query: &Query) -> Option<&Grid> {
        self.watches.sheets.get(query.collection.as_str()).map(|sheet| &sheet.grid)
    }

    /// Brings the columns of a query up to date.
    fn look(&mut self, query: &Query) {
        let name = &query.collection;
        let Sheet { mut grid, changed } = self.watches.sheets.remove(name.as_str()).unwrap_or_default();
        let view = View { replica: self, collection: name };
        if grid.want(&query.columns) {
            let status = grid.shows_status();
            view.each(status, &mut |row| grid.put(row));
            grid.fill();
        } else {
            for id in &changed {
                if !view.one(id, grid.shows_status(), &mut |row| grid.put(row)) {
                    grid.remove(id);
                }
            }
        }
        self.watches.sheets.insert(name.clone(), Sheet { grid, changed: Vec::new() });
    }
}

impl Result {
    /// `whole`: with all items, not only with what is said about them.
    fn answer(&self, query: &Query, whole: bool) -> Map {
        let mut answer = Map::new();
        match self {
            Self::List(list) => {
                if whole {
                    answer.insert("items".to_owned(), Value::Array(list.ids(query)));
                }
                if whole || query.page {
                    answer.insert("total".to_owned(), list.total().into());
                    if let Some(next) = list.next(query) {
                        answer.insert("next".to_owned(), next.into());
                    }
                }
            }
            Self::Groups(groups) => {
                if whole {
                    answer.insert("items".to_owned(), Value::Array(groups.answer()));
                }
            }
        }
        answer
    }
}

/// The rows of a collection as the app sees them.
struct View<'a> {
    replica: &'a Replica,
    collection: &'a CollectionName,
}

impl View<'_> {
    /// Shows one row; says whether it is there.
    fn show(&self, id: &EntityId, entity: Option<&Entity>, status: bool, then: &mut dyn FnMut(&Row<'_>)) -> bool {
        let mark = |conflict| if status { self.replica.sync_status(self.collection, id, conflict) } else { "" };
        match self.replica.plain(self.collection, id, entity) {
            Some(Plain::Confirmed(Confirmed { rev, at, doc, .. })) => {
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
        if let Some(table) = self.replica.state.entities.get(self.collection) {
            table.each(&mut |id, entity| {
                self.show(id, Some(entity), status, then);
            });
        }
        self.replica.only_provisional(self.collection, &mut |id| {
            self.show(id, None, status, then);
        });
    }

    fn one(&self, id: &EntityId, status: bool, then: &mut dyn FnMut(&Row<'_>)) -> bool {
        self.show(id, self.replica.state.entity(self.collection.as_str(), id.as_str()), status, then)
    }
}
