//! The name of a field: a JSON Pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) whose segments are object
//! keys.
//!
//! An array is one value: no path leads into it (rule 14). The root (`""`) is not a field, so it is not a [`Path`].

use std::fmt;
use std::sync::Arc;

use crate::json::Value;
use serde::{Deserialize, Serialize};

use crate::error::{Code, CoreError};
use crate::limits::{DEPTH_MAX, FORBIDDEN_KEYS, PATH_BYTES_MAX};

/// The shortest of the forbidden keys: a shorter path holds none.
const FORBIDDEN_KEY_BYTES_MIN: usize = 9;

/// A checked JSON Pointer to a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Path(Arc<str>);

impl Path {
    /// Checks a pointer.
    ///
    /// # Errors
    /// `bad-path` or `forbidden-key`.
    ///
    /// ```
    /// use tidewire_core::model::path::Path;
    /// let path = Path::parse("/address/a~1b")?;
    /// assert_eq!(path.segments().collect::<Vec<_>>(), ["address", "a/b"]);
    /// assert!(Path::parse("address").is_err());
    /// # Ok::<(), tidewire_core::error::CoreError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, CoreError> {
        let bad = |message: &'static str| Err(CoreError::new(Code::BadPath, message).at(text));
        if !text.starts_with('/') {
            return bad("a JSON Pointer starts with `/`");
        }
        // In one pass over bytes: a path is read for each field of each edit.
        let (mut depth, mut escapes) = (0, true);
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'/' => depth += 1,
                b'~' => escapes &= matches!(bytes.next(), Some(b'0' | b'1')),
                _ => {}
            }
        }
        if text.len() > PATH_BYTES_MAX || depth > DEPTH_MAX {
            return bad("this path is too long or too deep");
        }
        if !escapes {
            return bad("write `~` as `~0`, and `/` as `~1`");
        }
        // None of these keys has anything to escape.
        if text.len() > FORBIDDEN_KEY_BYTES_MIN && text.split('/').any(|key| FORBIDDEN_KEYS.contains(&key)) {
            return Err(CoreError::new(Code::ForbiddenKey, "JavaScript takes this key for a prototype").at(text));
        }
        Ok(Self(Arc::from(text)))
    }

    /// Reads it from JSON.
    ///
    /// # Errors
    /// As [`Path::parse`].
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        Self::parse(value.as_str().unwrap_or_default())
    }

    /// The path of one top-level field.
    ///
    /// # Errors
    /// As [`Path::parse`].
    pub fn of_key(key: &str) -> Result<Self, CoreError> {
        Self::parse(&join("", key))
    }

    /// The path of a key below this one.
    ///
    /// # Errors
    /// As [`Path::parse`].
    pub fn child(&self, key: &str) -> Result<Self, CoreError> {
        Self::parse(&join(&self.0, key))
    }

    /// The path of a key below `at`, or of a top-level field.
    ///
    /// # Errors
    /// As [`Path::parse`].
    pub fn below(at: Option<&Path>, key: &str) -> Result<Self, CoreError> {
        at.map_or_else(|| Self::of_key(key), |at| at.child(key))
    }

    /// The paths above this one, the nearest last, as text.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').skip(1).filter_map(|(at, _)| self.0.get(..at))
    }

    /// The path of the top-level field that this one is or lies in, as text.
    pub fn top(&self) -> &str {
        self.ancestors().next().unwrap_or(&self.0)
    }

    /// How many keys lead here.
    pub fn depth(&self) -> usize {
        self.0.bytes().filter(|byte| *byte == b'/').count()
    }

    /// The keys from the root, unescaped.
    pub fn segments(&self) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
        self.0.split('/').skip(1).map(unescape)
    }

    /// The pointer as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `other` is this path or lies below it.
    pub fn covers(&self, other: &Path) -> bool {
        other.0.strip_prefix(&*self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether one of the two lies in the other, or they are equal: then they conflict (rule 14).
    pub fn overlaps(&self, other: &Path) -> bool {
        self.covers(other) || other.covers(self)
    }
}

/// The pointer of a key below another one.
fn join(above: &str, key: &str) -> String {
    let mut pointer = String::with_capacity(above.len() + 1 + key.len());
    pointer.push_str(above);
    pointer.push('/');
    for char in key.chars() {
        match char {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
    pointer
}

fn unescape(segment: &str) -> std::borrow::Cow<'_, str> {
    if !segment.as_bytes().contains(&b'~') {
        return segment.into();
    }
    // By hand: the search for a text in a text is a lot of code, and nothing else needs it.
    let mut parts = segment.split('~');
    let mut key = std::borrow::Cow::from(parts.next().unwrap_or_default());
    for part in parts {
        let (code, rest) = part.split_at_checked(1).unwrap_or_default();
        key.to_mut().push(if code == "1" { '/' } else { '~' });
        key.to_mut().push_str(rest);
    }
    key
}

impl TryFrom<String> for Path {
    type Error = CoreError;
    fn try_from(text: String) -> Result<Self, CoreError> {
        Self::parse(&text)
    }
}

impl From<Path> for String {
    fn from(path: Path) -> String {
        path.0.to_string()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Path {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_comes_back_as_it_was() {
        for key in ["a/b", "~", "~1", "~01", "a~0/~1b", "~~//", "ä~ö/ü", "plain"] {
            assert_eq!(unescape(&join("", key)[1..]), key);
        }
    }
}
