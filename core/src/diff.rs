//! What changed between two documents, as the fewest paths that say so.
//!
//! Objects are compared by path; an array or a scalar is one value (rule 14). `apply` after `diff` is the identity.

use crate::small::SmallMap;

use crate::json::{Map, Value};

use crate::error::{Code, CoreError};
use crate::model::document;
use crate::model::path::Path;

/// The difference of two documents. No path in it lies in another.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Diff {
    /// New values.
    pub set: SmallMap<Path, Value>,
    /// Fields that are gone.
    pub unset: Vec<Path>,
}

impl Diff {
    /// Whether the documents are equal.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.unset.is_empty()
    }

    /// Makes the old document the new one.
    ///
    /// # Errors
    /// `wrong-type` where the document is not the one that was compared: nothing is half done before it, so drop the
    /// document.
    pub fn apply(&self, doc: &mut Value) -> Result<(), CoreError> {
        for path in &self.unset {
            document::remove(doc, path);
        }
        for (path, value) in self.set.iter() {
            if !document::set(doc, path, value.clone()) {
                return Err(
                    CoreError::new(Code::WrongType, "a value on the way to this path is no object").at(path.as_str())
                );
            }
        }
        Ok(())
    }
}

/// Compares two documents.
///
/// # Errors
/// `wrong-type` unless both are objects; `bad-path` or `forbidden-key` where a key makes no path.
///
/// ```
/// use tidewire_core::json;
/// use tidewire_core::diff::diff;
/// let (old, new) = (json!({"a": {"x": 1, "y": 2}, "t": [1]}), json!({"a": {"x": 1, "y": 3}}));
/// let changed = diff(&old, &new)?;
/// assert_eq!(json::to_value(&changed.set), json!({"/a/y": 3}));
/// assert_eq!(changed.unset[0].as_str(), "/t");
///
/// let mut doc = old;
/// changed.apply(&mut doc)?;
/// assert_eq!(doc, new);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn diff(old: &Value, new: &Value) -> Result<Diff, CoreError> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return Err(CoreError::new(Code::WrongType, "a document is an object"));
    };
    let mut out = Diff::default();
    compare(None, old, new, &mut out)?;
    Ok(out)
}

fn compare(at: Option<&Path>, old: &Map, new: &Map, out: &mut Diff) -> Result<(), CoreError> {
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        out.unset.push(Path::below(at, key)?);
    }
    for (key, value) in new.iter() {
        match (old.get(key), value) {
            (Some(before), _) if before == value => {}
            (Some(Value::Object(before)), Value::Object(after)) => {
                compare(Some(&Path::below(at, key)?), before, after, out)?;
            }
            _ => {
                out.set.insert(Path::below(at, key)?, value.clone());
            }
        }
    }
    Ok(())
}
