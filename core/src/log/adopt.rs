//! Records about edits that go from one store to another: see [`store::adopt`](crate::store::adopt).

use serde::{Deserialize, Serialize};

use crate::error::CoreError;
use crate::ids::{MutationId, ReplicaId};
use crate::json::{self, Fields, Raw, Value};
use crate::model::verdict::Reason;

/// In the store of nobody: whose its edits are. The fold decides: each edit is the first one's who claims it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claim {
    /// The user; `None`: the edits are given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What was claimed up to here is durable in the user's store, and is here no more; absent: edits are claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<MutationId>,
}

/// Edits that were claimed for the user of this store, or that waited, or were refused, in the one that it replaces.
/// Here they are new, under the numbers of this record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Adopt {
    /// The store that they come from.
    pub source: ReplicaId,
    /// Their numbers there, in order: what this store has adopted before is passed over.
    pub from: Vec<MutationId>,
    /// As in a commit.
    pub mutations: Vec<Raw>,
    /// As in a commit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tx: Vec<(u32, u32)>,
    /// Indices of those whose `base_rev` is of another history of the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub old: Vec<u64>,
    /// Dead letters, all of them: why each is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// They are claimed for a user (`store::adopt::mark_of`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<u64>,
    /// The server's history that their bases are of, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
}

impl Claim {
    /// Reads it from JSON.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn read(fields: &Fields<'_>) -> Result<Self, CoreError> {
        let to = fields.opt_text("to")?;
        Ok(Self { to, done: fields.opt("done", MutationId::read)? })
    }
}

impl Adopt {
    /// Nothing yet.
    pub fn of(source: ReplicaId, claimed: Option<u64>) -> Self {
        let (from, mutations, tx, old, reasons) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { source, from, mutations, tx, old, reasons, claimed, history: None }
    }

    /// Reads it from JSON, but for its mutations.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn read(fields: &Fields<'_>, mutations: Vec<Raw>) -> Result<Self, CoreError> {
        Ok(Self {
            source: ReplicaId::read(fields.need("source")?)?,
            from: fields.list("from", MutationId::read)?,
            mutations,
            tx: fields.list("tx", read_tx)?,
            old: fields.list("old", json::number)?,
            reasons: fields.list("reasons", Reason::read)?,
            claimed: fields.opt("claimed", json::number)?,
            history: fields.opt_text("history")?,
        })
    }
}

/// The start and the length of a transaction: a pair like a mutation's number.
pub(super) fn read_tx(value: &Value) -> Result<(u32, u32), CoreError> {
    let MutationId(start, len) = MutationId::read(value)?;
    Ok((u32::try_from(start).unwrap_or(u32::MAX), len))
}
