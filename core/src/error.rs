//! Every way in which the core says no.
//!
//! A [`CoreError`] has a stable [`code`](Failure::code) that is documented in `docs/ERRORS.md`, says whether
//! trying again can help, and carries a hint that tells a developer what to do. It never holds row data.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A refusal or a failure, with everything that the face shows of it.
///
/// ```
/// use tidewire_core::error::{CoreError, Code};
/// let error = CoreError::new(Code::BadPath, "a path starts with `/`").at("title");
/// assert_eq!(error.code.as_str(), "bad-path");
/// assert!(!error.retryable());
/// ```
///
/// One pointer wide: it stands in most return types, and a refusal is rare.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{}: {}", .0.code.as_str(), .0.message)]
#[serde(transparent)]
pub struct CoreError(Box<Failure>);

/// What a [`CoreError`] holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure this is; stable across releases.
    pub code: Code,
    /// What happened and what to do about it.
    pub message: Cow<'static, str>,
    /// The JSON Pointer of the field concerned, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl Deref for CoreError {
    type Target = Failure;

    fn deref(&self) -> &Failure {
        &self.0
    }
}

impl DerefMut for CoreError {
    fn deref_mut(&mut self) -> &mut Failure {
        &mut self.0
    }
}

impl CoreError {
    /// An error with a message that says what to do.
    #[cold]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self::make(code, message.into())
    }

    #[cold]
    #[inline(never)]
    fn make(code: Code, message: Cow<'static, str>) -> Self {
        Self(Box::new(Failure { code, message, path: None }))
    }

    /// Its parts, by value.
    pub fn into_parts(self) -> Failure {
        *self.0
    }

    /// The same error, about one field.
    #[must_use]
    #[cold]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The same failure as part of a larger one: `what` says of which.
    #[must_use]
    pub fn within(self, code: Code, what: &str) -> Self {
        Self::new(code, format!("{what}: {self}"))
    }

    /// Whether the same call can succeed later without a change.
    pub fn retryable(&self) -> bool {
        self.code.retryable()
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $retryable:literal;)*) => {
        /// The stable code of a failure.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, for the check that each is documented.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code as it stands on the wire, in events and in the docs.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// The code with that text; a text of a later release is [`Code::Unknown`].
            pub fn parse(text: &str) -> Self {
                Self::ALL.iter().copied().find(|code| code.as_str() == text).unwrap_or(Code::Unknown)
            }

            /// Whether the same call can succeed later without a change.
            pub fn retryable(self) -> bool {
                match self { $(Code::$name => $retryable,)* }
            }
        }
    };
}

codes! {
    /// Not JSON, a duplicate key, a lone surrogate or a number that is none.
    BadJson = "bad-json", false;
    /// Nested deeper than the limit.
    TooDeep = "too-deep", false;
    /// A document, record or batch over its limit.
    TooLarge = "too-large", false;
    /// A key that JavaScript would take for a prototype.
    ForbiddenKey = "forbidden-key", false;
    /// Not a JSON Pointer to a field, or overlapping paths in one mutation.
    BadPath = "bad-path", false;
    /// An id or a name of a collection, replica or group that is not allowed.
    BadName = "bad-name", false;
    /// A mutation that contradicts itself.
    BadMutation = "bad-mutation", false;
    /// A query that cannot be answered.
    BadQuery = "bad-query", false;
    /// A message that does not follow the protocol.
    BadMessage = "bad-message", false;
    /// A configuration that cannot be used.
    BadConfig = "bad-config", false;
    /// An operator met a value of another type.
    WrongType = "wrong-type", false;
    /// The document fails the server's schema or a rule of its collection.
    Invalid = "invalid", false;
    /// The writer may not do this.
    Forbidden = "forbidden", false;
    /// No such collection.
    UnknownCollection = "unknown-collection", false;
    /// No such entity.
    NotFound = "not-found", false;
    /// An insert of an id that exists.
    Exists = "exists", false;
    /// The entity changed since the revision that the write named.
    StaleRev = "stale-rev", false;
    /// The entity was deleted before this write arrived.
    Deleted = "deleted", false;
    /// What it refers to was deleted.
    ParentGone = "parent-gone", false;
    /// Others refer to what it would delete.
    Restricted = "restricted", false;
    /// Another entity has this natural key.
    KeyTaken = "key-taken", false;
    /// One member of a transaction failed, so all did.
    TransactionFailed = "transaction-failed", false;
    /// The queue entry is not in a state that allows this.
    NotInQueue = "not-in-queue", false;
    /// It was written under another version of the schema, and cannot be brought to this one.
    Migration = "migration", false;
    /// Waited 7 days for what it depends on.
    HeldTooLong = "held-too-long", false;
    /// Not reachable now.
    Offline = "offline", true;
    /// No answer in time.
    Timeout = "timeout", true;
    /// The server failed.
    ServerError = "server-error", true;
    /// The server asks for patience.
    RateLimited = "rate-limited", true;
    /// The answer is not the server's (a captive portal, a proxy page).
    BadResponse = "bad-response", true;
    /// The token is missing, expired or refused.
    Unauthorized = "unauthorized", true;
    /// The store belongs to another user.
    WrongUser = "wrong-user", false;
    /// This release is too old or too new for its peer.
    UpgradeRequired = "upgrade-required", false;
    /// The same mutation number was used with other content: a cloned profile.
    Forked = "forked", false;
    /// The server was restored from a backup.
    HistoryChanged = "history-changed", true;
    /// The storage is full.
    Quota = "quota", true;
    /// The storage failed.
    Storage = "storage", true;
    /// The storage was emptied while open.
    StorageWiped = "storage-wiped", true;
    /// A stored record or segment does not match its checksum.
    Corrupt = "corrupt", false;
    /// A collection differs from the server's.
    Diverged = "diverged", false;
    /// The tab that leads keeps its lock and says nothing.
    StalledLeader = "stalled-leader", true;
    /// The server answers, and yet the oldest edit gets no verdict.
    StalledQueue = "stalled-queue", true;
    /// Stored by a newer release.
    FormatNewer = "format-newer", false;
    /// The database is closed.
    Closed = "closed", false;
    /// A failure inside Tidewire.
    Internal = "internal", true;
    /// A code of a later release.
    Unknown = "unknown", false;
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Ok(Self::parse(&text))
    }
}
