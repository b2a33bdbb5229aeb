//! Queries over the view, answered from the columns of what was asked about before.

use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId};
use crate::query::ast::Query;
use crate::query::grid::{Doc, Grid, Row};
use crate::query::list::{Answer, answer};
use crate::replica::Replica;
use crate::replica::rows::Plain;
use crate::small::SmallMap;
use crate::store::state::{Confirmed, Entity};
use crate::table::Table;

/// The columns of each collection that was asked about.
#[derive(Debug, Default)]
pub(crate) struct Sheets(SmallMap<CollectionName, Sheet>);

#[derive(Debug, Default)]
struct Sheet {
    grid: Grid,
    /// Rows that may have changed since the last answer; one may stand here more than once.
    changed: Vec<EntityId>,
}

impl Sheets {
    /// The view of a row may have changed.
    pub(crate) fn touch(&mut self, collection: &CollectionName, id: &EntityId) {
        let Some(Sheet { grid, changed }) = self.0.get_mut(collection.as_str()) else { return };
        changed.push(id.clone());
        // Nobody asks any more, or the rows came all at once: they are looked at again when somebody does.
        if changed.len() > 1_000 + 4 * grid.len() {
            *changed = Vec::new();
            grid.clear();
        }
    }

    /// The rows are others now.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Replica {
    /// Answers a query over the view.
    ///
    /// # Errors
    /// `unknown-collection`.
    pub fn query(&mut self, query: &Query) -> Result<Answer, CoreError> {
        let name = &query.collection;
        if !self.declared.contains_key(name) {
            return Err(CoreError::new(Code::UnknownCollection, "a query is about a collection given to openDb"));
        }
        let Sheet { mut grid, changed } = self.sheets.0.remove(name.as_str()).unwrap_or_default();
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
        let answer = answer(query, &grid);
        self.sheets.0.insert(name.clone(), Sheet { grid, changed: Vec::new() });
        Ok(answer)
    }

    /// The ids of all rows of a collection, those that are only in the view included.
    pub(crate) fn ids(&self, collection: &CollectionName) -> Vec<&EntityId> {
        let mut ids = self.state.entities.get(collection).map(Table::keys).unwrap_or_default();
        self.only_provisional(collection, &mut |id| ids.push(id));
        ids
    }

    fn only_provisional<'a>(&'a self, collection: &CollectionName, then: &mut dyn FnMut(&'a EntityId)) {
        for id in self.writes.touched(collection) {
            if self.state.entity(collection.as_str(), id.as_str()).is_none() {
                then(id);
            }
        }
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
