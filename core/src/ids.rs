//! Names and numbers, parsed once: whoever holds one of these types need not check it again.

use std::fmt;
use std::sync::Arc;

use crate::json::Value;
use serde::{Deserialize, Serialize};

use crate::error::{Code, CoreError};
use crate::limits::{FORBIDDEN_KEYS, ID_BYTES_MAX, NAME_BYTES_MAX};

/// A tenant's sequence number: one per transaction, commit-ordered. 0 is "before everything".
pub type Seq = u64;
/// The `seq` of the transaction that last changed an entity or a path: one number space with [`Seq`].
pub type Rev = u64;

/// The collection in which values travel that met concurrent ones: see [`Conflict`](crate::model::conflict::Conflict).
/// No app can declare it, and no mutation can name it.
pub const CONFLICTS: &str = "$conflicts";
/// Begins the name of the collection that holds the [local fields](crate::model::local) of another.
const LOCAL: &str = "$local.";
/// What the names of collections of aliases begin with.
const ALIASES: &str = "$aliases.";

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text.
            ///
            /// # Errors
            /// `bad-name` with what is wrong.
            pub fn parse(text: &str) -> Result<Self, CoreError> {
                let check: fn(&str) -> Result<(), CoreError> = $check;
                check(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// Reads it from JSON.
            ///
            /// # Errors
            /// As `parse`.
            pub fn read(value: &Value) -> Result<Self, CoreError> {
                Self::parse(value.as_str().unwrap_or_default())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = CoreError;
            fn try_from(text: String) -> Result<Self, CoreError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_newtype!(
    /// The name of a collection: letters, digits, `_` and `-`, starting with a letter or `_`; or one of Tidewire's own.
    CollectionName,
    |text| if text == CONFLICTS { Ok(()) } else { check_name("collection", text.strip_prefix(LOCAL).unwrap_or(text)) }
);
text_newtype!(
    /// The id of an entity: 1 to 128 bytes without control characters.
    EntityId,
    check_id
);
text_newtype!(
    /// The id of one client store; random, made on the device.
    ReplicaId,
    |text| check_name("replica", text)
);
text_newtype!(
    /// A set of entities that the same people may see: `tenant` or `user:{subject}`.
    Group,
    check_id
);

impl CollectionName {
    /// [`CONFLICTS`] as a name.
    pub fn of_conflicts() -> Self {
        Self(Arc::from(CONFLICTS))
    }

    /// Whether it is [`CONFLICTS`].
    pub fn is_conflicts(&self) -> bool {
        &*self.0 == CONFLICTS
    }

    /// Whether it is one of Tidewire's own.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('$')
    }

    /// The collection that holds the local fields of this one.
    pub fn local(&self) -> Self {
        let mut name = String::from(LOCAL);
        name.push_str(&self.0);
        Self(Arc::from(name))
    }

    /// The server's collection of ids of this one's entities that became others' (`docs/decisions/0036`). No app can
    /// declare it, no mutation can name it, and nobody is sent it.
    pub fn aliases(&self) -> Self {
        let mut name = String::from(ALIASES);
        name.push_str(&self.0);
        Self(Arc::from(name))
    }

    /// Whether it holds aliases.
    pub fn is_aliases(&self) -> bool {
        self.0.starts_with(ALIASES)
    }

    /// A name as a store has it: those of aliases, which nobody can say, too.
    ///
    /// # Errors
    /// `bad-name`.
    pub fn stored(text: &str) -> Result<Self, CoreError> {
        text.strip_prefix(ALIASES).map_or_else(|| Self::parse(text), |name| Ok(Self::parse(name)?.aliases()))
    }

    /// Whether it holds the local fields of another.
    pub fn is_local(&self) -> bool {
        self.0.starts_with(LOCAL)
    }

    /// The collection that the app knows it by.
    pub fn shown(&self) -> Self {
        self.0.strip_prefix(LOCAL).map_or_else(|| self.clone(), |name| Self(Arc::from(name)))
    }
}

fn check_name(what: &str, text: &str) -> Result<(), CoreError> {
    let mut bytes = text.bytes();
    let starts = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let rest = bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if starts && rest && text.len() <= NAME_BYTES_MAX && !FORBIDDEN_KEYS.contains(&text) {
        return Ok(());
    }
    Err(CoreError::new(
        Code::BadName,
        format!("a {what} name has 1 to {NAME_BYTES_MAX} letters, digits, `_` or `-` and starts with a letter or `_`"),
    ))
}

fn check_id(text: &str) -> Result<(), CoreError> {
    if !text.is_empty()
        && text.len() <= ID_BYTES_MAX
        && !text.chars().any(char::is_control)
        && !FORBIDDEN_KEYS.contains(&text)
    {
        return Ok(());
    }
    Err(CoreError::new(Code::BadName, format!("an id has 1 to {ID_BYTES_MAX} bytes and no control characters")))
}

/// The name of a mutation within its replica: the key of its log record and its index in it. On the wire `[key,
/// index]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct MutationId(pub u64, pub u32);

impl MutationId {
    /// Reads it from JSON.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        let parts = value.as_array().map(Vec::as_slice).unwrap_or_default();
        if let [key, index] = parts
            && let (Some(key), Some(index)) = (key.as_u64(), index.as_u64().and_then(|index| index.try_into().ok()))
        {
            return Ok(Self(key, index));
        }
        Err(CoreError::new(Code::BadMessage, "a number is a pair of whole numbers"))
    }
}

impl fmt::Display for MutationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Who a token speaks for. A store belongs to the first one that it meets (rule 9).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// The tenant, taken from the token only.
    pub tenant: String,
    /// The user: the token's `sub`.
    pub subject: String,
}

impl Owner {
    /// Reads it from JSON.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        match (text("tenant"), text("subject")) {
            (Some(tenant), Some(subject)) => Ok(Self { tenant, subject }),
            _ => Err(CoreError::new(Code::BadMessage, "a user has a `tenant` and a `subject`")),
        }
    }
}
