//! Reads and writes of fields in a JSON document, and what one edit does to one where nobody else wrote.
//!
//! A *leaf* is a value that is not an object, or an object without keys: what a revision stands at (rule 14).
//! Concurrency is not decided here; see [`merge`](crate::merge).

use crate::error::{Code, CoreError};
use crate::json::{self, Map, Value};
use crate::model::mutation::{Kind, Mutation};
use crate::model::path::Path;

/// The value at a path, if every key on the way is there.
pub fn get<'a>(doc: &'a Value, path: &Path) -> Option<&'a Value> {
    let mut at = doc;
    for key in path.segments() {
        at = at.as_object()?.get(key.as_ref())?;
    }
    Some(at)
}

/// Puts a value at a path; objects on the way are made. Returns whether it fits: a scalar on the way refuses it, and
/// then nothing changed.
pub fn set(doc: &mut Value, path: &Path, value: Value) -> bool {
    if blocked(doc, path) {
        return false;
    }
    let mut at = doc;
    for key in path.segments() {
        let Some(map) = at.as_object_mut() else { return false };
        at = map.or_insert_with(key.into_owned(), || Value::Object(Map::new()));
    }
    *at = value;
    true
}

/// Removes the value at a path and returns it; objects that become empty stay.
pub fn remove(doc: &mut Value, path: &Path) -> Option<Value> {
    let mut keys: Vec<_> = path.segments().collect();
    let last = keys.pop()?;
    let mut at = doc;
    for key in keys {
        at = at.as_object_mut()?.get_mut(key.as_ref())?;
    }
    at.as_object_mut()?.remove(last.as_ref())
}

/// Whether something on the way to a path is no object, so that nothing fits below it.
pub fn blocked(doc: &Value, path: &Path) -> bool {
    let mut at = Some(doc);
    for key in path.segments() {
        match at {
            None => return false,
            Some(Value::Object(map)) => at = map.get(key.as_ref()),
            Some(_) => return true,
        }
    }
    false
}

/// The leaves of a value that stands at `at` (`None`: a whole document), with their paths.
///
/// # Errors
/// `bad-path` where a key makes a path that is too long.
pub fn leaves<'a>(at: Option<&Path>, value: &'a Value) -> Result<Vec<(Path, &'a Value)>, CoreError> {
    let mut out = Vec::new();
    collect(at, value, &mut out)?;
    Ok(out)
}

fn collect<'a>(at: Option<&Path>, value: &'a Value, out: &mut Vec<(Path, &'a Value)>) -> Result<(), CoreError> {
    match (value, at) {
        (Value::Object(map), _) if !map.is_empty() => {
            for (key, item) in map.iter() {
                collect(Some(&Path::below(at, key)?), item, out)?;
            }
        }
        (_, Some(path)) => out.push((path.clone(), value)),
        (_, None) => {}
    }
    Ok(())
}

/// One step of an edit: what it does at one path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step<'a> {
    /// A new value.
    Set(&'a Value),
    /// No value.
    Unset,
    /// An amount to add.
    Inc(f64),
    /// Items to add to an array, each unless an equal one is there.
    Add(&'a [Value]),
    /// Items to remove from an array.
    Remove(&'a [Value]),
}

impl Step<'_> {
    /// What stands at the path afterwards, if `before` stood there.
    ///
    /// # Errors
    /// `wrong-type` where an operator does not fit the value.
    pub fn result(&self, path: &Path, before: Option<&Value>) -> Result<Option<Value>, CoreError> {
        let wrong = |what: &'static str| Err(CoreError::new(Code::WrongType, what).at(path.as_str()));
        let items = match (self, before) {
            (Step::Set(value), _) => return Ok(Some((*value).clone())),
            (Step::Unset, _) => return Ok(None),
            (Step::Inc(by), None) => return Ok(Some(json::number_of(*by))),
            (Step::Inc(by), Some(Value::Number(number))) => {
                let sum = number + by;
                if !sum.is_finite() {
                    return wrong("this sum is over every number");
                }
                return Ok(Some(json::number_of(sum)));
            }
            (Step::Inc(_), Some(_)) => return wrong("only a number is increased: set it instead"),
            (_, None) => &[][..],
            (_, Some(Value::Array(items))) => items,
            (_, Some(_)) => return wrong("only an array has items: set it instead"),
        };
        match self {
            Step::Remove(_) if before.is_none() => Ok(None),
            Step::Remove(gone) => {
                Ok(Some(Value::Array(items.iter().filter(|item| !gone.contains(item)).cloned().collect())))
            }
            Step::Add(more) => {
                let mut items = items.to_vec();
                for item in *more {
                    if !items.contains(item) {
                        items.push(item.clone());
                    }
                }
                Ok(Some(Value::Array(items)))
            }
            _ => Ok(before.cloned()),
        }
    }
}

/// The steps of a mutation, one per path that it touches.
pub fn steps(mutation: &Mutation) -> impl Iterator<Item = (&Path, Step<'_>)> {
    // A list and not five chained iterators, which are a lot of code wherever they are used.
    let mut steps = Vec::new();
    steps.extend(mutation.set.iter().map(|(path, value)| (path, Step::Set(value))));
    steps.extend(mutation.unset.iter().map(|path| (path, Step::Unset)));
    steps.extend(mutation.inc.iter().map(|(path, by)| (path, Step::Inc(*by))));
    steps.extend(mutation.add.iter().map(|(path, items)| (path, Step::Add(items))));
    steps.extend(mutation.remove.iter().map(|(path, items)| (path, Step::Remove(items))));
    steps.into_iter()
}

/// What a mutation makes of an entity where nothing is concurrent. `None`: there is no entity.
///
/// ```
/// use tidewire_core::json;
/// use tidewire_core::model::{document, mutation::Mutation};
/// let edit = Mutation::parse(
///     br#"{"c":"deals","id":"1","kind":"patch","base":3,"set":{"/city":"Ulm"},"inc":{"/visits":1},"at":[5,0]}"#,
/// )?;
/// let after = document::apply(Some(json!({"city": "Bonn", "visits": 2})), &edit)?;
/// assert_eq!(after, Some(json!({"city": "Ulm", "visits": 3})));
/// # Ok::<(), tidewire_core::error::CoreError>(())
/// ```
///
/// # Errors
/// `exists`, `not-found` or `wrong-type`.
pub fn apply(doc: Option<Value>, mutation: &Mutation) -> Result<Option<Value>, CoreError> {
    let mut doc = match (mutation.kind, doc) {
        (Kind::Delete, _) => return Ok(None),
        (Kind::Insert, None) => Value::Object(Map::new()),
        (Kind::Insert, Some(_)) => {
            return Err(CoreError::new(Code::Exists, "an entity with this id exists: update it"));
        }
        (Kind::Patch, None) => {
            return Err(CoreError::new(Code::NotFound, "there is no entity with this id: insert it"));
        }
        (Kind::Patch, Some(doc)) => doc,
    };
    for (path, step) in steps(mutation) {
        apply_step(&mut doc, path, step)?;
    }
    Ok(Some(doc))
}

/// Carries out one step.
///
/// # Errors
/// `wrong-type`; then nothing changed.
pub fn apply_step(doc: &mut Value, path: &Path, step: Step<'_>) -> Result<(), CoreError> {
    match step.result(path, get(doc, path))? {
        None => {
            remove(doc, path);
        }
        Some(value) => {
            if !set(doc, path, value) {
                return Err(
                    CoreError::new(Code::WrongType, "a value on the way to this path is no object").at(path.as_str())
                );
            }
        }
    }
    Ok(())
}

/// As [`apply`], for showing edits that wait: what does not fit is skipped, and an insert of what exists changes
/// nothing.
pub fn replay(doc: Option<Value>, mutation: &Mutation) -> Option<Value> {
    let mut doc = match (mutation.kind, doc) {
        (Kind::Delete, _) | (Kind::Patch, None) => return None,
        (Kind::Insert, Some(doc)) => return Some(doc),
        (Kind::Insert, None) => Value::Object(Map::new()),
        (Kind::Patch, Some(doc)) => doc,
    };
    for (path, step) in steps(mutation) {
        let _does_not_fit = apply_step(&mut doc, path, step);
    }
    Some(doc)
}
