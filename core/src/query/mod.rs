//! Filter and order as data, answered over the view.

pub mod ast;
pub mod run;
