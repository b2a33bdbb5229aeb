//! The answer to a query: given once, or kept and brought up to date row by row.
//!
//! What is kept are places in the grid. So it hears of a change twice: [`before`](Kept::before) the grid has the new
//! row, to see where the old one stood, and [`after`](Kept::after) it.

use std::rc::Rc;

use crate::ids::EntityId;
use crate::json::{Map, Value};
use crate::query::ast::Query;
use crate::query::grid::Grid;
use crate::query::groups::{Groups, Member};
use crate::query::list::{Before, List};
use crate::query::row::Looking;

/// See the module's text.
#[derive(Debug)]
pub struct Kept {
    /// The query.
    pub query: Rc<Query>,
    result: Result,
    /// The way from the last answer to here.
    steps: Vec<Value>,
    /// It is cheaper to look at all rows.
    again: bool,
    before: Before,
    member: Option<Member>,
}

#[derive(Debug)]
enum Result {
    List(List),
    Groups(Groups),
}

impl Kept {
    /// Looks at every row. `keep`: the answer will follow changes.
    pub fn build(query: &Rc<Query>, grid: &Grid, keep: bool) -> Self {
        let looking = Looking::new(query, grid);
        let result = match query.fold {
            Some(fold) => Result::Groups(Groups::build(&looking, fold)),
            None => Result::List(List::build(&looking, keep)),
        };
        let query = query.clone();
        Self { query, result, steps: Vec::new(), again: false, before: Before::default(), member: None }
    }

    /// Whether it follows changes.
    pub fn follows(&self) -> bool {
        !self.again
    }

    /// The next answer looks at every row.
    pub fn look_again(&mut self) {
        self.again = true;
        self.steps.clear();
    }

    /// Its values may stand for others now.
    pub fn change(&mut self, change: &dyn Fn(&mut Query)) {
        if let Some(query) = Rc::get_mut(&mut self.query) {
            change(query);
            self.look_again();
        }
    }

    /// A row is about to change.
    pub fn before(&mut self, grid: &Grid, id: &EntityId) {
        let looking = Looking::new(&self.query, grid);
        let slot = looking.find(id);
        match &self.result {
            Result::List(list) => self.before = list.before(&looking, slot),
            Result::Groups(groups) => self.member = slot.map(|slot| groups.member(&looking, slot)),
        }
    }

    /// It has changed.
    pub fn after(&mut self, grid: &Grid, id: &EntityId) {
        let looking = Looking::new(&self.query, grid);
        let slot = looking.find(id);
        let size = match &mut self.result {
            Result::List(list) => {
                list.after(&looking, self.before, slot, &mut self.steps);
                list.len()
            }
            Result::Groups(groups) => {
                let member = slot.map(|slot| groups.member(&looking, slot));
                groups.change(self.member.as_ref(), member.as_ref(), &mut self.steps);
                groups.len()
            }
        };
        if self.steps.len() > 64 + size {
            self.look_again();
        }
    }

    /// The way from the last answer to this one, or all of it.
    pub fn delta(&mut self, grid: &Grid) -> Map {
        let looking = Looking::new(&self.query, grid);
        let is_way = !self.again
            && match &mut self.result {
                Result::List(list) => {
                    list.keep_bounds(&looking, &mut self.steps);
                    true
                }
                Result::Groups(groups) => groups.finish(&looking, &mut self.steps),
            };
        if !is_way {
            *self = Self::build(&self.query, grid, true);
            return self.answer(grid);
        }
        let mut answer = self.tell(grid, false);
        answer.insert("steps".to_owned(), Value::Array(std::mem::take(&mut self.steps)));
        answer
    }

    /// All of it.
    pub fn answer(&self, grid: &Grid) -> Map {
        self.tell(grid, true)
    }

    fn tell(&self, grid: &Grid, whole: bool) -> Map {
        let looking = Looking::new(&self.query, grid);
        let mut answer = Map::new();
        let mut items = None;
        match &self.result {
            Result::List(list) => {
                items = whole.then(|| list.ids(&looking));
                if whole || self.query.page {
                    answer.insert("total".to_owned(), list.total().into());
                    if let Some(next) = list.next(&looking) {
                        answer.insert("next".to_owned(), next.into());
                    }
                }
            }
            Result::Groups(groups) if whole => items = Some(groups.answer()),
            Result::Groups(_) => {}
        }
        if let Some(items) = items {
            answer.insert("items".to_owned(), Value::Array(items));
        }
        answer
    }
}
