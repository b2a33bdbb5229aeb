//! A policy that is declared as data: who sees which rows by their fields, and who is in which group, which may change
//! while the server runs.
//!
//! ```
//! use tidewire_core::authority::memory::DeclaredPolicy;
//! use tidewire_core::authority::relations::OnDelete;
//! use tidewire_core::authority::memory::server::MemoryServer;
//! use tidewire_core::ids::Owner;
//!
//! let policy = DeclaredPolicy::default()
//!     .collection("companies", &["tenant"])?
//!     .collection("deals", &["user:{ownerId}", "team:{teamId}"])?;
//! let mut server = MemoryServer::new(policy);
//! server.policy.grant("ann", "team:red")?;
//! let ann = Owner { tenant: "acme".into(), subject: "ann".into() };
//! let pull = r#"{"v":1,"replica":"r","collections":["deals"],"now":0}"#;
//! assert!(server.pull_text(&ann, pull, 0).unwrap().contains(r#""groups":["team:red","tenant","user:ann"]"#));
//! // A deal falls with its company, and a company is known by its address.
//! server.policy = server
//!     .policy
//!     .clone()
//!     .refers("deals", "companyId", "companies", OnDelete::Cascade)?
//!     .known_by("companies", &["email"])?
//!     .known_by("companies", &["name", "phone"])?;
//! // The next pull of hers forgets the team, and until then she gets no frame.
//! server.policy.revoke("ann", "team:red")?;
//! # Ok::<(), tidewire_core::error::CoreError>(())
//! ```

use crate::authority::Policy;
use crate::authority::groups::{self, GroupRule, GroupRules, Memberships, field_path};
use crate::authority::relations::{NaturalKey, OnDelete, Reference, Relations};
use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, Group, Owner};
use crate::json::Value;
use crate::model::schema::{CollectionSettings, Settings};

/// See the module's text. Who may see an entity may change it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeclaredPolicy {
    settings: Settings,
    rules: GroupRules,
    members: Memberships,
    relations: Relations,
}

impl DeclaredPolicy {
    /// Declares a collection, with the rules that say who sees its rows.
    ///
    /// # Errors
    /// `bad-name`, `bad-config`.
    pub fn collection(mut self, name: &str, rules: &[&str]) -> Result<Self, CoreError> {
        let name = CollectionName::parse(name)?;
        let rules = rules.iter().map(|rule| GroupRule::parse(rule)).collect::<Result<_, _>>()?;
        self.settings.insert(name.clone(), CollectionSettings::default());
        self.rules.declare(name, rules);
        Ok(self)
    }

    /// How a declared collection settles concurrent writes.
    ///
    /// # Errors
    /// `bad-name`.
    pub fn settled_by(mut self, name: &str, settings: CollectionSettings) -> Result<Self, CoreError> {
        self.settings.insert(CollectionName::parse(name)?, settings);
        Ok(self)
    }

    /// Declares that a field holds ids of another collection.
    ///
    /// # Errors
    /// `bad-name`, `bad-path`.
    pub fn refers(mut self, from: &str, field: &str, to: &str, on_delete: OnDelete) -> Result<Self, CoreError> {
        let (from, to) = (CollectionName::parse(from)?, CollectionName::parse(to)?);
        self.relations.references.push(Reference { from, path: field_path(field)?, to, on_delete });
        Ok(self)
    }

    /// Declares one more natural key of a collection, which is tried after those before.
    ///
    /// # Errors
    /// `bad-name`, `bad-path`.
    pub fn known_by(mut self, name: &str, fields: &[&str]) -> Result<Self, CoreError> {
        let fields = fields.iter().map(|field| field_path(field)).collect::<Result<_, _>>()?;
        let keys = self.relations.keys.entry(CollectionName::parse(name)?).or_default();
        keys.push(NaturalKey { fields, exact: false });
        Ok(self)
    }

    /// Lets a user into a group. Returns whether he was not in it.
    ///
    /// # Errors
    /// `bad-name`.
    pub fn grant(&mut self, subject: &str, group: &str) -> Result<bool, CoreError> {
        Ok(self.members.grant(subject, Group::parse(group)?))
    }

    /// Puts a user out of a group. Returns whether he was in it.
    ///
    /// # Errors
    /// `bad-name`.
    pub fn revoke(&mut self, subject: &str, group: &str) -> Result<bool, CoreError> {
        Ok(self.members.revoke(subject, &Group::parse(group)?))
    }
}

impl Policy for DeclaredPolicy {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn check_access(
        &self,
        user: &Owner,
        collection: &CollectionName,
        id: &EntityId,
        stored: &Value,
    ) -> Result<(), CoreError> {
        if groups::is_visible(&self.reader_groups(user), &self.groups(collection, id, stored)) {
            return Ok(());
        }
        Err(CoreError::new(Code::Forbidden, "you may not change this entity"))
    }

    fn check_write(
        &self,
        _user: &Owner,
        collection: &CollectionName,
        id: &EntityId,
        _stored: Option<&Value>,
        doc: Option<&Value>,
    ) -> Result<(), CoreError> {
        doc.map_or(Ok(()), |doc| self.rules.check(collection, id, doc))
    }

    fn groups(&self, collection: &CollectionName, id: &EntityId, doc: &Value) -> Vec<Group> {
        self.rules.of(collection, id, doc)
    }

    fn reader_groups(&self, user: &Owner) -> Vec<Group> {
        self.members.of(&user.subject)
    }

    fn relations(&self) -> &Relations {
        &self.relations
    }
}
