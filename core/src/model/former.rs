//! A mutation that may have gone up under another name says under which.
//!
//! A number is a name within a replica. Where a store was lost, or is found to be a copy, what it had sent goes up
//! again under another name, and nobody there knows whether it had arrived, or still will. With the name that it had in
//! front of its bytes the authority knows it again.
//!
//! ```json
//! {"former":["r1",[5,0]],"c":"deals","id":"1","kind":"patch", …}
//! ```
//!
//! Invariants: what follows the name are the bytes as they went up under it, so that digests agree. The first name
//! stays: whatever the mutation is called later, every push of it says the same.

use crate::ids::{MutationId, ReplicaId};
use crate::json::Raw;

const OPENING: &str = "{\"former\":[\"";

/// The name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// The store that it was first sent from.
    pub replica: ReplicaId,
    /// Its number there.
    pub n: MutationId,
}

impl Former {
    /// The mutation with this name; as it is where it has one.
    #[must_use]
    pub fn name(&self, raw: &Raw) -> Raw {
        if is_named(raw.get()) {
            return raw.clone();
        }
        let Self { replica, n: MutationId(key, index) } = self;
        let body = without(raw.get());
        Raw::trusted(format!("{OPENING}{}\",[{key},{index}]],{body}", replica.as_str()))
    }

    /// The name of a mutation that has one, and its bytes without it.
    ///
    /// ```
    /// use tidewire_core::model::former::Former;
    /// let named = r#"{"former":["r1",[5,0]],"c":"deals","id":"1"}"#;
    /// let (former, bytes) = Former::read(named).unwrap();
    /// assert_eq!((former.replica.as_str(), former.n.to_string()), ("r1", "5.0".to_owned()));
    /// assert_eq!(bytes, r#"{"c":"deals","id":"1"}"#);
    /// ```
    pub fn read(text: &str) -> Option<(Self, String)> {
        let (replica, rest) = text.strip_prefix(OPENING)?.split_once("\",[")?;
        let (n, body) = rest.split_once("]],")?;
        let (key, index) = n.split_once(',')?;
        let n = MutationId(key.parse().ok()?, index.parse().ok()?);
        Some((Self { replica: ReplicaId::parse(replica).ok()?, n }, format!("{{{body}")))
    }
}

/// Whether it may have gone up under another name.
pub fn is_named(text: &str) -> bool {
    text.starts_with(OPENING)
}

/// The bytes without the name and without their first brace: the same whatever it was called.
pub fn without(text: &str) -> &str {
    let body = text.strip_prefix(OPENING).and_then(|rest| rest.split_once("]],"));
    body.map_or_else(|| text.strip_prefix('{').unwrap_or(text), |(_, body)| body)
}
