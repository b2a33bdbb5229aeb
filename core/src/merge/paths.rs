//! When each leaf of an entity last changed, and what that says about a path.

use serde::{Deserialize, Serialize};

use crate::clock::{Hlc, Stamp};
use crate::ids::{ReplicaId, Rev};
use crate::model::path::Path;
use crate::small::SmallMap;

/// When a leaf path last changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathRev(
    /// The revision.
    pub Rev,
    /// The stamp.
    pub Stamp,
    /// The newest stamp of the others who wrote the value that stood already. Nobody reads of such a writing, so it
    /// binds nobody; it counts only against others who wrote at the same time, and says who else is told if the value
    /// loses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub Option<Stamp>,
);

impl PathRev {
    /// The newest writing of the value.
    pub(super) fn written(&self) -> &Stamp {
        self.2.as_ref().map_or(&self.1, |other| other.max(&self.1))
    }

    /// Whether one more writing of the value says something: it is the newest, or the first of somebody else.
    pub(super) fn is_news(&self, stamp: &Stamp) -> bool {
        match &self.2 {
            Some(other) => other < stamp,
            None => self.1.1 != stamp.1 || self.1 < *stamp,
        }
    }
}

/// By leaf path, removed ones included (rule 14). An object that took the place of another value has an entry of its
/// own.
pub type PathRevs = SmallMap<Path, PathRev>;

/// The newest stamp that an author who had seen `base_rev` may have seen (rule 20).
pub fn stamp_at(paths: &PathRevs, base_rev: Rev) -> Option<Hlc> {
    paths.values().filter(|entry| entry.0 <= base_rev).map(|entry| entry.1.0).max()
}

/// The entries at a path and above it.
pub(super) fn at_or_above<'a>(paths: &'a PathRevs, path: &Path) -> impl Iterator<Item = &'a PathRev> {
    let above = path.ancestors().filter_map(|text| paths.get(text));
    above.chain(paths.get(path.as_str()))
}

/// The entries below a path.
pub(super) fn below<'a>(paths: &'a PathRevs, path: &Path) -> impl Iterator<Item = (&'a Path, &'a PathRev)> + use<'a> {
    // `0` follows `/`: everything that begins with `path/` lies between.
    let (from, to) = (format!("{path}/"), format!("{path}0"));
    paths.from(from.as_str()).take_while(move |(path, _)| path.as_str() < to.as_str())
}

/// A path's revision: the greatest of itself, its ancestors and its descendants (rule 14).
pub(super) fn rev(paths: &PathRevs, path: &Path) -> Rev {
    let above = at_or_above(paths, path).map(|entry| entry.0);
    above.chain(below(paths, path).map(|(_, entry)| entry.0)).max().unwrap_or(0)
}

/// The newest stamp of everything that a write of this path overlaps.
pub(super) fn newest(paths: &PathRevs, path: &Path) -> Option<Hlc> {
    let above = at_or_above(paths, path).map(|entry| entry.1.0);
    above.chain(below(paths, path).map(|(_, entry)| entry.1.0)).max()
}

/// Who wrote what stands at a path, or in its way, or below it.
pub(super) fn author(paths: &PathRevs, path: &Path) -> Option<ReplicaId> {
    let all = at_or_above(paths, path).chain(below(paths, path).map(|(_, entry)| entry));
    all.max_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1))).map(|entry| entry.1.1.clone())
}

/// Who wrote what stands at a path and below it, as far as it is newer than `base_rev`. What somebody put there as a
/// whole is his at the path itself; besides, each field below it is its own author's.
pub fn writers<'a>(paths: &'a PathRevs, path: &Path, base_rev: Rev) -> Vec<(Path, &'a PathRev)> {
    let mut out = Vec::new();
    let whole = at_or_above(paths, path).max_by_key(|entry| entry.0).filter(|entry| entry.0 > base_rev);
    out.extend(whole.map(|entry| (path.clone(), entry)));
    for (field, entry) in below(paths, path).filter(|(_, entry)| entry.0 > base_rev) {
        out.push((field.clone(), entry));
    }
    out
}
