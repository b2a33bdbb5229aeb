//! Reads fields out of parsed JSON, by hand and in one way, so that a message costs few bytes of code.
//!
//! Unknown fields are ignored; `null` is absent. A refusal names the field and never quotes what stood there.

use crate::json::{Map, Value};

use crate::error::{Code, CoreError};

/// The fields of an object.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(&'a Map);

impl<'a> Fields<'a> {
    /// Those of a value that has to be an object.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn of(value: &'a Value) -> Result<Self, CoreError> {
        value.as_object().map(Self).ok_or_else(|| bad("an object is expected"))
    }

    /// What stands there, `null` included.
    pub fn any(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key)
    }

    /// What stands there, if it is not `null`.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.any(key).filter(|value| !value.is_null())
    }

    /// What has to stand there.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn need(&self, key: &str) -> Result<&'a Value, CoreError> {
        self.any(key).ok_or_else(|| bad(format!("missing field `{key}`")))
    }

    /// A text that has to be there.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn text(&self, key: &str) -> Result<&'a str, CoreError> {
        text(self.need(key)?).map_err(|_| bad(format!("field `{key}` is no text")))
    }

    /// A whole number that has to be there.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn number(&self, key: &str) -> Result<u64, CoreError> {
        number(self.need(key)?).map_err(|_| bad(format!("field `{key}` is no whole number")))
    }

    /// A whole number, or its default.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn number_or(&self, key: &str, default: u64) -> Result<u64, CoreError> {
        if self.get(key).is_some() { self.number(key) } else { Ok(default) }
    }

    /// A size, or its default.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn size_or(&self, key: &str, default: usize) -> Result<usize, CoreError> {
        Ok(usize::try_from(self.number_or(key, default as u64)?).unwrap_or(usize::MAX))
    }

    /// Yes or no; absent is no.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn flag(&self, key: &str) -> Result<bool, CoreError> {
        match self.get(key) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| bad(format!("field `{key}` is neither true nor false"))),
        }
    }

    /// Something that may be there.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn opt<T>(
        &self,
        key: &str,
        read: impl FnOnce(&'a Value) -> Result<T, CoreError>,
    ) -> Result<Option<T>, CoreError> {
        self.get(key).map(read).transpose()
    }

    /// A text of its own, if it is there.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn opt_text(&self, key: &str) -> Result<Option<String>, CoreError> {
        Ok(self.opt(key, text)?.map(str::to_owned))
    }

    /// A list; absent is empty.
    ///
    /// # Errors
    /// `bad-message`, and those of `read`.
    pub fn list<T>(&self, key: &str, read: fn(&'a Value) -> Result<T, CoreError>) -> Result<Vec<T>, CoreError> {
        read_each(self.get(key), read)
    }

    /// The fields of an object that may be there; absent is empty.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn entries(&self, key: &str) -> Result<impl Iterator<Item = (&'a str, &'a Value)> + use<'a>, CoreError> {
        let map = self.get(key).map(Fields::of).transpose()?;
        Ok(map.into_iter().flat_map(|fields| fields.0.iter()).map(|(key, value)| (key.as_str(), value)))
    }
}

/// A list's items.
///
/// # Errors
/// `bad-message`, and those of `read`.
pub fn list<'a, T>(value: &'a Value, read: fn(&'a Value) -> Result<T, CoreError>) -> Result<Vec<T>, CoreError> {
    read_each(Some(value), read)
}

fn read_each<'a, T>(
    value: Option<&'a Value>,
    read: fn(&'a Value) -> Result<T, CoreError>,
) -> Result<Vec<T>, CoreError> {
    let mut out = Vec::new();
    each(value, &mut |item| {
        out.push(read(item)?);
        Ok(())
    })?;
    Ok(out)
}

/// Behind `dyn`, so that lists of all types share it.
fn each<'a>(
    value: Option<&'a Value>,
    take: &mut dyn FnMut(&'a Value) -> Result<(), CoreError>,
) -> Result<(), CoreError> {
    let Some(value) = value else { return Ok(()) };
    let items = value.as_array().ok_or_else(|| bad("a list is expected"))?;
    items.iter().try_for_each(take)
}

/// A text.
///
/// # Errors
/// `bad-message`.
pub fn text(value: &Value) -> Result<&str, CoreError> {
    value.as_str().ok_or_else(|| bad("a text is expected"))
}

/// A whole number, not below 0.
///
/// # Errors
/// `bad-message`.
pub fn number(value: &Value) -> Result<u64, CoreError> {
    value.as_u64().ok_or_else(|| bad("a whole number is expected"))
}

#[cold]
fn bad(message: impl Into<std::borrow::Cow<'static, str>>) -> CoreError {
    CoreError::new(Code::BadMessage, message)
}
