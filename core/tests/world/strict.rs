//! The policy of the tests' server.

use tidewire_core::authority::Policy;
use tidewire_core::authority::memory::OpenPolicy;
use tidewire_core::authority::relations::Relations;
use tidewire_core::error::{Code, CoreError};
use tidewire_core::ids::{CollectionName, EntityId, Group, Owner};
use tidewire_core::json::Value;
use tidewire_core::model::document;
use tidewire_core::model::migration::Migrations;
use tidewire_core::model::path::Path;
use tidewire_core::model::schema::Settings;

/// The tenant's policy, with one rule on values.
pub(crate) struct Strict<'a>(
    pub &'a OpenPolicy,
    pub &'a Option<(String, Value)>,
    pub Option<&'a Migrations>,
    pub &'a Relations,
);

impl Policy for Strict<'_> {
    fn migrations(&self) -> Option<&Migrations> {
        self.2
    }

    fn relations(&self) -> &Relations {
        self.3
    }

    fn settings(&self) -> &Settings {
        self.0.settings()
    }

    fn check_access(
        &self,
        user: &Owner,
        collection: &CollectionName,
        id: &EntityId,
        stored: &Value,
    ) -> Result<(), CoreError> {
        self.0.check_access(user, collection, id, stored)
    }

    fn check_write(
        &self,
        user: &Owner,
        collection: &CollectionName,
        id: &EntityId,
        stored: Option<&Value>,
        doc: Option<&Value>,
    ) -> Result<(), CoreError> {
        match (self.1, doc) {
            (Some((path, bad)), Some(doc)) if document::get(doc, &Path::parse(path).unwrap()) == Some(bad) => {
                Err(CoreError::new(Code::Invalid, "this value is refused").at(path.as_str()))
            }
            _ => self.0.check_write(user, collection, id, stored, doc),
        }
    }

    fn groups(&self, collection: &CollectionName, id: &EntityId, doc: &Value) -> Vec<Group> {
        self.0.groups(collection, id, doc)
    }

    fn reader_groups(&self, user: &Owner) -> Vec<Group> {
        self.0.reader_groups(user)
    }
}
