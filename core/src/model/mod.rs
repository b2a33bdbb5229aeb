//! What both ends speak of: paths, documents, settings and one edit.

pub mod alias;
pub mod change;
pub mod conflict;
pub mod cursor;
pub mod digest;
pub mod document;
pub mod edit;
pub mod former;
pub mod insert;
pub mod local;
pub mod migration;
pub mod mutation;
pub mod origin;
pub mod path;
pub mod schema;
pub mod verdict;
