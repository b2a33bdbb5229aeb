//! An insert whose entity turned out to be one that was there (rule 29), as an edit of that one: server and client read
//! it alike.

use crate::ids::EntityId;
use crate::json::{Map, Value};
use crate::model::mutation::{Kind, Mutation};
use crate::planted::Bug;
use crate::small::SmallMap;

/// What an insert says of an entity that is there already: what is not empty.
fn said(value: &Value) -> Option<Value> {
    match value {
        _ if Bug::EmptyWins.is_planted() => Some(value.clone()),
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(items) if items.is_empty() => None,
        Value::Object(fields) => {
            let said: Map = fields.iter().filter_map(|(key, value)| Some((key.to_owned(), said(value)?))).collect();
            let is_empty = said.iter().next().is_none();
            Some(Value::Object(said)).filter(|_| !is_empty)
        }
        value => Some(value.clone()),
    }
}

/// The insert as an edit of the entity `to`, of which its author knew nothing.
pub fn merge_into(to: EntityId, insert: &Mutation) -> Mutation {
    let mut edit = Mutation { kind: Kind::Patch, id: to, base_rev: 0, was: SmallMap::new(), ..insert.clone() };
    edit.set = insert.set.iter().filter_map(|(path, value)| Some((path.clone(), said(value)?))).collect();
    edit
}
