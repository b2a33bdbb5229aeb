//! What the server decided about a mutation, and what lost (rule 10).

use serde::{Deserialize, Serialize};

use crate::error::{Code, CoreError};
use crate::ids::{EntityId, MutationId, ReplicaId, Rev};
use crate::json::{self, Fields, Value};
use crate::model::path::Path;

/// One mutation's verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerdictItem {
    /// The mutation.
    pub n: MutationId,
    /// Whether it had been decided before; the verdict is the original one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
    /// The decision.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What the server decided (rule 10).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Verdict {
    /// Everything in it took effect.
    Applied {
        /// The revision that it made.
        rev: Rev,
    },
    /// It met concurrent writes; some of its values, or of the stored ones, lost.
    Merged {
        /// The revision that it made, or the current one where nothing changed.
        rev: Rev,
        /// This author's values that lost.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        overwritten: Vec<Overwritten>,
        /// Others' values that lost to this mutation, though its author had not seen them: `yours` is theirs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        displaced: Vec<Overwritten>,
        /// The insert became a merge into another entity, and its id that one's: `{from, to}`. They are one by their
        /// natural key (rule 29); the old id stays good. Whoever handles it reads it, so it stays a value here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remap: Option<Value>,
    },
    /// Some of its values wait for their author's decision; the others took effect, or met concurrent writes as in
    /// `merged` (rule 17).
    Conflict {
        /// The revision that it made, and that of the [`Conflict`](crate::model::conflict::Conflict)s.
        rev: Rev,
        /// The paths whose values wait.
        parked: Vec<Path>,
        /// As in `merged`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        overwritten: Vec<Overwritten>,
        /// As in `merged`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        displaced: Vec<Overwritten>,
        /// As in `merged`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remap: Option<Value>,
    },
    /// Final for this number; its content goes to the dead letters.
    Rejected {
        /// Why.
        code: Code,
        /// Which field.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<Path>,
        /// What to do.
        #[serde(default)]
        message: String,
    },
    /// Not decided yet; not stored; to be sent again.
    Held {
        /// What it waits for.
        reason: HeldReason,
    },
    /// The number will never carry content.
    Void,
}

/// What a held mutation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeldReason {
    /// Its entity is not there.
    Missing,
    /// An earlier mutation of its entity is held.
    After,
}

/// A value that lost against another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overwritten {
    /// The field.
    pub path: Path,
    /// The value that lost; left out where the field was removed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::present")]
    pub yours: Option<Value>,
    /// The value that stands; left out where the field is gone.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::present")]
    pub kept: Option<Value>,
    /// The replica that wrote the value that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ReplicaId>,
}

impl VerdictItem {
    /// Reads it from JSON.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        let n = MutationId::read(fields.need("n")?)?;
        Ok(Self { n, duplicate: fields.flag("duplicate")?, verdict: Verdict::read(value)? })
    }
}

impl Verdict {
    /// Whether an id became another's.
    pub fn is_remap(&self) -> bool {
        matches!(self, Self::Merged { remap: Some(_), .. } | Self::Conflict { remap: Some(_), .. })
    }

    /// The id that became another's, and that one.
    pub fn remap(&self) -> Option<(EntityId, EntityId)> {
        let (Self::Merged { remap, .. } | Self::Conflict { remap, .. }) = self else { return None };
        let id = |key| EntityId::read(remap.as_ref()?.get(key)?).ok();
        id("from").zip(id("to"))
    }

    /// The revision of what took effect just as it was written: all that there is to tell of it.
    pub fn plain_rev(&self) -> Option<Rev> {
        match self {
            Self::Applied { rev } => Some(*rev),
            Self::Merged { rev, overwritten, displaced, remap: None } => {
                (overwritten.is_empty() && displaced.is_empty()).then_some(*rev)
            }
            _ => None,
        }
    }

    /// Reads it from JSON.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        Ok(match fields.text("verdict")? {
            "applied" => Self::Applied { rev: fields.number("rev")? },
            kind @ ("merged" | "conflict") => {
                let rev = fields.number("rev")?;
                let overwritten = fields.list("overwritten", Overwritten::read)?;
                let displaced = fields.list("displaced", Overwritten::read)?;
                let remap = fields.any("remap").cloned();
                if kind == "merged" {
                    Self::Merged { rev, overwritten, displaced, remap }
                } else {
                    let parked = fields.list("parked", Path::read)?;
                    Self::Conflict { rev, parked, overwritten, displaced, remap }
                }
            }
            "rejected" => Self::Rejected {
                code: Code::parse(fields.text("code")?),
                path: fields.opt("path", Path::read)?,
                message: fields.opt_text("message")?.unwrap_or_default(),
            },
            "held" => Self::Held { reason: HeldReason::read(fields.need("reason")?)? },
            "void" => Self::Void,
            _ => return Err(CoreError::new(Code::BadMessage, "this is of a later release")),
        })
    }
}

impl HeldReason {
    /// Reads it from JSON.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        match json::text(value)? {
            "missing" => Ok(Self::Missing),
            "after" => Ok(Self::After),
            _ => Err(CoreError::new(Code::BadMessage, "this is of a later release")),
        }
    }
}

impl Overwritten {
    fn read(value: &Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        Ok(Self {
            path: Path::read(fields.need("path")?)?,
            yours: fields.any("yours").cloned(),
            kept: fields.any("kept").cloned(),
            by: fields.opt("by", ReplicaId::read)?,
        })
    }
}

/// Why a mutation is a dead letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// The server's code.
    pub code: Code,
    /// The field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Path>,
    /// What to do.
    pub message: String,
    /// When it was rejected, by the device's clock.
    pub at: u64,
}

impl Reason {
    /// Reads it from JSON.
    ///
    /// # Errors
    /// `bad-message` or `bad-path`.
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        let fields = Fields::of(value)?;
        Ok(Self {
            code: Code::parse(fields.text("code")?),
            path: fields.opt("path", Path::read)?,
            message: fields.text("message")?.to_owned(),
            at: fields.number("at")?,
        })
    }
}
