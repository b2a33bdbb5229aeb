//! JSON as values: what a document is while something looks at it or changes it.
//!
//! One number type, as in JavaScript; the keys of an object are sorted. So equal values have equal texts. Not here:
//! reading ([`parse`](crate::json::parse)) and the rules of what is let in.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::json;
use crate::small::SmallMap;

/// Any JSON value.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A finite number; never -0.
    Number(f64),
    /// A text.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// Values by key.
    Object(Map),
}

/// The fields of an object, sorted by key.
pub type Map = SmallMap<String, Value>;

// A number is finite.
impl Eq for Value {}

/// Up to here every whole number is an `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Value {
    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a text.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// A boolean's value.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(yes) = self { Some(*yes) } else { None }
    }

    /// A number's value.
    pub fn as_f64(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// A whole number from 0 to 2^53.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range")]
    pub fn as_u64(&self) -> Option<u64> {
        let number = self.as_f64().filter(|number| (0.0..=EXACT).contains(number) && number.trunc() == *number)?;
        Some(number as u64)
    }

    /// A list's items.
    pub fn as_array(&self) -> Option<&Vec<Value>> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// An object's fields.
    pub fn as_object(&self) -> Option<&Map> {
        if let Self::Object(map) = self { Some(map) } else { None }
    }

    /// An object's fields.
    pub fn as_object_mut(&mut self) -> Option<&mut Map> {
        if let Self::Object(map) = self { Some(map) } else { None }
    }

    /// A field of an object.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_object()?.get(key)
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&json::write_text(self))
    }
}

/// A field of an object, `null` if it is not there.
impl<K: AsRef<str> + ?Sized> std::ops::Index<&K> for Value {
    type Output = Value;

    fn index(&self, key: &K) -> &Value {
        self.get(key.as_ref()).unwrap_or(&Value::Null)
    }
}

/// A field of an object, made if it is not there; what is no object becomes one.
impl<K: AsRef<str> + ?Sized> std::ops::IndexMut<&K> for Value {
    fn index_mut(&mut self, key: &K) -> &mut Value {
        if self.as_object().is_none() {
            *self = Self::Object(Map::new());
        }
        match self {
            Self::Object(map) => map.or_default(key.as_ref().to_owned()),
            other => other,
        }
    }
}

/// An item of a list, `null` if it is not there.
impl std::ops::Index<usize> for Value {
    type Output = Value;

    fn index(&self, index: usize) -> &Value {
        self.as_array().and_then(|items| items.get(index)).unwrap_or(&Value::Null)
    }
}

impl PartialEq<str> for Value {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<&str> for Value {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<bool> for Value {
    fn eq(&self, other: &bool) -> bool {
        self.as_bool() == Some(*other)
    }
}

macro_rules! like_numbers {
    ($($type:ty),*) => {
        $(impl PartialEq<$type> for Value {
            #[expect(clippy::allow_attributes, reason = "for some of the types the cast loses nothing")]
            #[allow(clippy::cast_lossless, clippy::cast_precision_loss, reason = "what JavaScript would hold")]
            fn eq(&self, other: &$type) -> bool {
                self.as_f64() == Some(*other as f64)
            }
        })*
    };
}

like_numbers!(i32, u64, usize, f64);

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

impl From<Map> for Value {
    fn from(fields: Map) -> Self {
        Self::Object(fields)
    }
}

macro_rules! from_numbers {
    ($($type:ty),*) => {
        $(impl From<$type> for Value {
            #[expect(clippy::allow_attributes, reason = "for some of the types the cast loses nothing")]
            #[allow(clippy::cast_lossless, clippy::cast_precision_loss, reason = "what JavaScript would hold")]
            fn from(number: $type) -> Self {
                json::number_of(number as f64)
            }
        })*
    };
}

from_numbers!(i32, i64, u32, u64, usize, f64);

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(yes) => serializer.serialize_bool(*yes),
            #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
            Self::Number(number) if number.abs() <= EXACT && number.trunc() == *number => {
                serializer.serialize_i64(*number as i64)
            }
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => items.serialize(serializer),
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (key, value) in fields.iter() {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

/// For what a server reads through serde; it checks the content afterwards.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Value, E> {
        Ok(Value::Bool(yes))
    }

    #[expect(clippy::cast_precision_loss, reason = "what JavaScript would hold")]
    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(json::number_of(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "what JavaScript would hold")]
    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(json::number_of(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(json::number_of(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, value)) = entries.next_entry::<String, Value>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom("an object names one key twice"));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// A [`Value`](crate::json::Value) written like JSON; what stands for a value may be anything that serializes.
///
/// ```
/// use tidewire_core::json;
/// let n = 2;
/// assert_eq!(json!({"a": [1, n], "b": {"c": null}}).to_string(), r#"{"a":[1,2],"b":{"c":null}}"#);
/// ```
#[macro_export]
macro_rules! json {
    (null) => { $crate::json::Value::Null };
    ([]) => { $crate::json::Value::Array(Vec::new()) };
    ([$($items:tt)+]) => { $crate::json!(@items [] $($items)+) };
    ({}) => { $crate::json::Value::Object($crate::json::Map::new()) };
    ({$($fields:tt)+}) => {{
        let mut map = $crate::json::Map::new();
        $crate::json!(@fields map $($fields)+);
        $crate::json::Value::Object(map)
    }};
    (@items [$($done:expr,)*]) => { $crate::json::Value::Array(vec![$($done,)*]) };
    (@items [$($done:expr,)*] null $(, $($rest:tt)*)?) => {
        $crate::json!(@items [$($done,)* $crate::json::Value::Null,] $($($rest)*)?)
    };
    (@items [$($done:expr,)*] {$($item:tt)*} $(, $($rest:tt)*)?) => {
        $crate::json!(@items [$($done,)* $crate::json!({$($item)*}),] $($($rest)*)?)
    };
    (@items [$($done:expr,)*] [$($item:tt)*] $(, $($rest:tt)*)?) => {
        $crate::json!(@items [$($done,)* $crate::json!([$($item)*]),] $($($rest)*)?)
    };
    (@items [$($done:expr,)*] $item:expr $(, $($rest:tt)*)?) => {
        $crate::json!(@items [$($done,)* $crate::json::to_value(&$item),] $($($rest)*)?)
    };
    (@fields $to:ident) => {};
    (@fields $to:ident $key:tt: null $(, $($rest:tt)*)?) => {
        $crate::json::put_value(&mut $to, $key, $crate::json::Value::Null);
        $($crate::json!(@fields $to $($rest)*);)?
    };
    (@fields $to:ident $key:tt: {$($item:tt)*} $(, $($rest:tt)*)?) => {
        $crate::json::put_value(&mut $to, $key, $crate::json!({$($item)*}));
        $($crate::json!(@fields $to $($rest)*);)?
    };
    (@fields $to:ident $key:tt: [$($item:tt)*] $(, $($rest:tt)*)?) => {
        $crate::json::put_value(&mut $to, $key, $crate::json!([$($item)*]));
        $($crate::json!(@fields $to $($rest)*);)?
    };
    (@fields $to:ident $key:tt: $item:expr $(, $($rest:tt)*)?) => {
        $crate::json::put(&mut $to, $key, &$item);
        $($crate::json!(@fields $to $($rest)*);)?
    };
    ($value:expr) => { $crate::json::to_value(&$value) };
}
