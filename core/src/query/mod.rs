//! Filter and order as data, answered over the view: once, or kept and brought up to date by what changed.
//!
//! ```text
//! rows ──► grid: a column for each field that is asked for
//!           │
//! ast ──► row: which rows match, their order ──► list: rows in order, one window of them ──► kept: the answer
//!                                          └──► groups: a number, or one of each group ──┘
//! ```
//!
//! `list` and `groups` build their result by one look at every row, and then follow changes by looking at the changed
//! rows only. What comes of it is a list of [`step`](splice::step)s. Not here: where rows come from; whoever asks puts
//! them into the [`Grid`](grid::Grid).

pub mod ast;
pub mod cell;
mod column;
pub mod grid;
pub mod groups;
pub mod kept;
pub mod list;
pub mod row;
pub mod splice;
mod sum;
