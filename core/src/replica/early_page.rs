//! A first page that the app waits for while the store is still being read: found in the columns that stand behind the
//! directories, and answered from the few segments that its rows lie in.
//!
//! The invariant: an answer is what the whole store would give. A row counts by its columns where one row of one
//! segment is all there is to say of its entity. Every other entity (edits lie on it, it is in conflict, the log tells
//! of it) is read whole, as [`early`](crate::replica::early) does it. Of what matches by its columns the first rows
//! are read, too, so what answers in the end is the query itself, over a part of the rows that holds its beginning.
//! Where columns lack, or too much would have to be read, there is no answer, and who asked waits.

use std::rc::Rc;

use crate::ids::EntityId;
use crate::json;
use crate::json::{JsonLimits, Once, Value};
use crate::model::conflict::hash_of_entity;
use crate::query::ast::{Field, Query};
use crate::query::grid::Grid;
use crate::query::kept::Kept;
use crate::replica::boot::Boot;
use crate::replica::early::{Round, fold_log, pays};
use crate::replica::page_plan::{Plan, plan};
use crate::replica::query::View;
use crate::replica::{Phase, Replica};
use crate::store::load::Loading;
use crate::store::segment::Block;

/// More pages than this are not made before the store is open: each takes time from that.
const PAGES_MAX: usize = 3;
/// Longer pages are no first pages.
const LIMIT_MAX: usize = 1_000;

/// A page that is being made.
#[derive(Debug)]
pub(crate) struct Page {
    query: Rc<Query>,
    /// As the app asked, and hears of it.
    text: String,
    plan: Plan,
}

impl Replica {
    /// The app waits for the first rows of a query. An event `page` answers, if that is sooner than the open store.
    pub(crate) fn want_page(&mut self, query: &str) {
        if self.phase == Phase::Opening && !self.maintenance.opened {
            self.wanted_pages.push(query.to_owned());
        }
    }

    /// Begins to make a page: a round with the segments that it needs.
    #[inline(never)]
    pub(crate) fn begin_page(&mut self, boot: &mut Boot) -> Option<Round> {
        while let Some(text) = self.wanted_pages.get(boot.pages).cloned() {
            let is_new = self.wanted_pages.iter().take(boot.pages).all(|known| *known != text);
            boot.pages += 1;
            if is_new
                && boot.pages <= PAGES_MAX
                && pays(boot)
                && let Some(query) = self.first_page(&text)
                && let Some(plan) = plan(boot, &query)
            {
                return Some(Round::of(Page { query: Rc::new(query), text, plan }));
            }
        }
        None
    }

    /// The query, if it may be answered early.
    fn first_page(&self, text: &str) -> Option<Query> {
        let value = json::parse(text.as_bytes(), JsonLimits::MESSAGE).ok()?;
        let query = Query::read(&value).ok()?;
        let columns = query.columns.fields.iter().all(|field| matches!(field, Field::Path(_)));
        let is_first = query.fold.is_none() && query.after.is_none() && query.limit.is_some_and(|n| n <= LIMIT_MAX);
        let is_whole = self.local(&query.collection).is_none() && self.declared.contains_key(&query.collection);
        // Without a field there is nothing to order by, and no column to say which rows are the collection's.
        (columns && is_first && is_whole && !query.columns.fields.is_empty()).then_some(query)
    }

    #[inline(never)]
    pub(crate) fn answer_page(&mut self, boot: &Boot, page: &Page, blocks: &[(u64, Block)]) {
        let mut loading = Loading::default();
        for (key, rows) in &page.plan.rows {
            let block = blocks.iter().find(|(known, _)| known == key);
            if block.is_none_or(|(_, block)| loading.take_rows(block, rows).is_err()) {
                return;
            }
        }
        let (mut state, errors) = loading.finish(boot.summary.clone());
        if !errors.is_empty() || fold_log(&mut state, boot).is_none() || !self.writes.is_empty() {
            return;
        }
        let whole = std::mem::replace(&mut self.state, state);
        let query = &page.query;
        let mut grid = Grid::default();
        grid.want(&query.columns);
        let view = View { replica: self, collection: &query.collection };
        for id in self.ids(&query.collection) {
            let hash = hash_of_entity(query.collection.as_str(), id.as_str());
            if page.plan.entities.binary_search(&hash).is_ok() {
                view.one(id, false, &mut Once::default(), &mut |row| grid.put(row));
            }
        }
        grid.fill();
        let mut answer = Kept::build(query, &grid, false).answer(&grid);
        let total = answer.get("total").and_then(Value::as_u64).unwrap_or_default() + page.plan.beyond as u64;
        let ids = answer.get("items").map_or(Ok(Vec::new()), |items| json::list(items, EntityId::read));
        let rows = self.rows(&query.collection, &ids.unwrap_or_default());
        self.state = whole;
        answer.insert("total".into(), total.into());
        answer.insert("rows".into(), json!(rows));
        answer.insert("type".into(), "page".into());
        answer.insert("query".into(), page.text.as_str().into());
        self.event(Value::Object(answer));
    }
}

impl Page {
    /// The segments that it needs.
    pub(crate) fn keys(&self) -> Vec<u64> {
        self.plan.rows.iter().map(|(key, _)| *key).collect()
    }
}
