//! Filter and order as data, answered over the view.
//!
//! ```text
//! rows ──► grid: a column for each field that is asked for
//!           │
//! ast ──► row: which rows match, their keys ──► list: rows in order, one window of them
//! ```
//!
//! Not here: where rows come from; whoever asks puts them into the [`Grid`](grid::Grid) and says which have changed.

pub mod ast;
pub mod cell;
mod column;
pub mod grid;
pub mod list;
pub mod row;
