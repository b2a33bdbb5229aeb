//! What concurrent writes of one entity come to. The helper `model` writes this.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Stamp;
use crate::ids::Rev;
use crate::model::path::Path;

/// When a leaf path last changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathRev(
    /// The revision.
    pub Rev,
    /// The stamp.
    pub Stamp,
);

/// By leaf path, removed ones included (rule 14).
pub type PathRevs = BTreeMap<Path, PathRev>;
