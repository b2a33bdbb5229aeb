//! Filter and order as data, answered over the view: once, or kept and brought up to date by what changed.
//!
//! ```text
//! ast: a query ──► row: whether one row matches, its keys ──► list: rows in order, one window of them
//!                                                        └──► groups: a number, or one of each group
//! ```
//!
//! `list` and `groups` build their result by one look at every row, and then follow changes by looking at the changed
//! rows only. What comes of it is a list of [`step`](splice::step)s. Not here: where rows come from; see
//! [`Rows`](row::Rows).

pub mod ast;
pub mod cell;
pub mod groups;
pub mod list;
pub mod row;
pub mod splice;
mod sum;
