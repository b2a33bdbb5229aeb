//! Whom something is shown to.

use tidewire_core::authority::fields::Mask;
use tidewire_core::authority::groups::visible;
use tidewire_core::ids::{EntityId, Group};
use tidewire_core::json::Value;

use super::{Principal, ServerPolicy, Standing};

/// A reader, as of one snapshot of the data. Whatever is told of an entity asks here which of its groups are his, and
/// which of its fields he does not see.
#[derive(Debug, Clone, Copy)]
pub struct Viewer<'a> {
    /// The policy.
    pub policy: &'a ServerPolicy,
    /// Who it is.
    pub principal: &'a Principal,
    /// What he is in.
    pub standing: &'a Standing,
}

impl Viewer<'_> {
    /// The tenant that he belongs to.
    pub fn tenant(&self) -> &str {
        &self.principal.owner.tenant
    }

    /// The groups through which he sees what these groups hold; none: he does not see it.
    pub fn sees(&self, holders: &[Group]) -> Vec<Group> {
        visible(self.standing.reads(), holders)
    }

    /// What he does not see of an entity that he sees; `None`: he sees all of it.
    pub fn mask(&self, collection: &str, id: &EntityId, doc: &Value) -> Option<Mask> {
        self.policy.mask(self.standing, collection, id, doc)
    }
}
