//! A mutation as leaf steps: setting or removing an object counts as its leaves (rule 14).

use crate::json::{Map, Value};

use crate::error::CoreError;
use crate::model::document::{self, Step};
use crate::model::mutation::Mutation;
use crate::model::path::Path;

/// What is written at one path.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Write {
    /// A value that is not an object.
    Leaf(Value),
    /// An object takes the place of another value or of nothing. Its fields follow as steps of their own; the whole
    /// value is here for the case that it loses.
    Object(Value),
    /// Nothing: the field goes. Where an object stood, its fields went in the steps before.
    Absent,
    /// `inc`, `add` or `remove`: takes effect on whatever stands there (rule 16).
    Operator,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LeafStep<'a> {
    pub(super) path: Path,
    /// What the author saw there.
    pub(super) was: Option<&'a Value>,
    pub(super) write: Write,
    /// The operator of [`Write::Operator`].
    pub(super) operator: Option<Step<'a>>,
}

/// The leaf steps of a mutation, an object before its fields where it comes and after them where it goes.
pub(super) fn split(mutation: &Mutation) -> Result<Vec<LeafStep<'_>>, CoreError> {
    let mut out = Vec::new();
    for (path, step) in document::steps(mutation) {
        let was = mutation.was.get(path);
        match step {
            Step::Set(value) => split_value(path, was, Some(value), true, &mut out)?,
            Step::Unset => split_value(path, was, None, true, &mut out)?,
            operator => {
                out.push(LeafStep { path: path.clone(), was, write: Write::Operator, operator: Some(operator) })
            }
        }
    }
    Ok(out)
}

/// The paths of the steps of an insert, in the same order: its fields and whatever is in them.
pub(super) fn inserted(mutation: &Mutation) -> Result<Vec<Path>, CoreError> {
    let mut out = Vec::with_capacity(mutation.set.len());
    for (path, value) in mutation.set.iter() {
        inserted_below(path, value, &mut out)?;
    }
    Ok(out)
}

fn inserted_below(path: &Path, value: &Value, out: &mut Vec<Path>) -> Result<(), CoreError> {
    out.push(path.clone());
    for (key, value) in value.as_object().into_iter().flat_map(Map::iter) {
        inserted_below(&path.child(key)?, value, out)?;
    }
    Ok(())
}

/// `named`: the mutation names this path itself, so the author meant it even where the value is the same as before.
fn split_value<'a>(
    path: &Path,
    was: Option<&'a Value>,
    new: Option<&'a Value>,
    named: bool,
    out: &mut Vec<LeafStep<'a>>,
) -> Result<(), CoreError> {
    let before = was.and_then(Value::as_object);
    let write = match new {
        // Emptied by its author: its fields go, and it stays.
        Some(value @ Value::Object(map)) if before.is_some() => {
            (named && map.is_empty()).then(|| Write::Object(value.clone()))
        }
        Some(value @ Value::Object(_)) => Some(Write::Object(value.clone())),
        _ if !named && was == new => return Ok(()),
        Some(value) => Some(Write::Leaf(value.clone())),
        None => Some(Write::Absent),
    };
    // A scalar or an array replaces the whole object: that is one step.
    let by_field = !matches!(write, Some(Write::Leaf(_)));
    let comes = before.is_none() && matches!(write, Some(Write::Object(_)));
    let step = write.map(|write| LeafStep { path: path.clone(), was, write, operator: None });
    let (first, last) = if comes { (step, None) } else { (None, step) };
    out.extend(first);
    if by_field {
        for (key, value) in before.into_iter().flat_map(Map::iter) {
            let after = new.and_then(|new| new.get(key));
            split_value(&path.child(key)?, Some(value), after, false, out)?;
        }
        for (key, value) in new.and_then(Value::as_object).into_iter().flat_map(Map::iter) {
            if before.is_none_or(|before| !before.contains_key(key)) {
                split_value(&path.child(key)?, None, Some(value), false, out)?;
            }
        }
    }
    out.extend(last);
    Ok(())
}
