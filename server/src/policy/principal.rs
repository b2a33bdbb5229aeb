//! Who somebody is by his token.

use tidewire_core::authority::groups::TENANT;
use tidewire_core::authority::user_group;
use tidewire_core::ids::{Group, Owner};

/// A user, as his token tells of him. What he is in by memberships is known in a snapshot of the data only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Tenant and user.
    pub owner: Owner,
    /// His roles; sorted.
    pub roles: Vec<String>,
    /// The app that he uses.
    pub app: Option<String>,
}

impl Principal {
    /// A user without roles.
    pub fn plain(owner: Owner) -> Self {
        Self { owner, roles: Vec::new(), app: None }
    }

    /// The groups that the token alone puts him into.
    pub fn groups(&self) -> Vec<Group> {
        let own = Group::parse(TENANT).ok().into_iter().chain(user_group(&self.owner.subject));
        let roles = self.roles.iter().filter_map(|role| Group::parse(&format!("role:{role}")).ok());
        let app = self.app.iter().filter_map(|app| Group::parse(&app_group(app)).ok());
        own.chain(roles).chain(app).collect()
    }
}

/// The group of all who use an app.
pub(super) fn app_group(app: &str) -> String {
    format!("app:{app}")
}
