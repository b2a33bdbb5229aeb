//! Who may do what, and who sees what: the configuration as `tidewire_core::authority` asks for it.
//!
//! Invariant: reading and writing use the same groups. Nobody writes over what they may not read.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use tidewire_core::authority::Policy;
use tidewire_core::authority::relations::{NaturalKey, Reference, Relations};
pub use tidewire_core::authority::user_group;
use tidewire_core::error::{Code, CoreError};
use tidewire_core::ids::{CollectionName, EntityId, Group, Owner};
use tidewire_core::json::Value;
use tidewire_core::model::document;
use tidewire_core::model::schema::{CollectionSettings, Settings};
use tidewire_core::protocol::message::Scope;
use xxhash_rust::xxh64::xxh64;

use crate::config::{CollectionConfig, GroupRule};
use tidewire_core::json;

/// The group that holds everybody of a tenant.
const TENANT_GROUP: &str = "tenant";

/// The policy of one server.
#[derive(Debug)]
pub struct ServerPolicy {
    collections: BTreeMap<CollectionName, CollectionConfig>,
    settings: Settings,
    any_collection: Option<CollectionConfig>,
    any_settings: Option<CollectionSettings>,
    relations: Relations,
    version: String,
}

impl ServerPolicy {
    /// The policy of a configuration. With `dev` and no collections, any collection is allowed and the whole tenant
    /// sees it.
    pub fn new(collections: BTreeMap<CollectionName, CollectionConfig>, dev: bool) -> Self {
        let any_collection = (dev && collections.is_empty()).then(CollectionConfig::default);
        let settings = collections.iter().map(|(name, config)| (name.clone(), settings_of(config))).collect();
        let version = version_of(&collections);
        let any_settings = any_collection.as_ref().map(settings_of);
        let relations = relations_of(&collections);
        Self { collections, settings, any_collection, any_settings, relations, version }
    }

    /// Changes when who sees what changes: a cursor of another version is read again (rule 23).
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether a collection exists and can be read.
    ///
    /// # Errors
    /// `unknown-collection`
    pub fn check_readable(&self, collection: &CollectionName) -> Result<(), CoreError> {
        if collection.is_conflicts() { Ok(()) } else { self.check_collection(collection) }
    }

    /// Whether a collection exists and can be written.
    ///
    /// # Errors
    /// `unknown-collection`
    pub fn check_collection(&self, collection: &CollectionName) -> Result<(), CoreError> {
        self.find(collection).map(|_| ())
    }

    /// What a user reads of some collections.
    ///
    /// # Errors
    /// `unknown-collection`
    pub fn scope(&self, user: &Owner, collections: &[CollectionName]) -> Result<Scope, CoreError> {
        let mut collections = collections.to_vec();
        collections.sort();
        collections.dedup();
        for collection in &collections {
            self.check_readable(collection)?;
        }
        Ok(Scope { groups: self.reader_groups(user), collections, policy: self.version.clone() })
    }

    /// The settings of every declared collection, and of those that a reader named.
    pub fn settings_for(&self, named: &[CollectionName]) -> Settings {
        let mut settings = self.settings.clone();
        for name in named {
            if let Some(found) = self.collection(name) {
                settings.insert(name.clone(), found.clone());
            }
        }
        settings
    }

    fn find(&self, name: &CollectionName) -> Result<&CollectionConfig, CoreError> {
        let any = self.any_collection.as_ref().filter(|_| !name.is_reserved());
        self.collections.get(name).or(any).ok_or_else(|| {
            CoreError::new(
                Code::UnknownCollection,
                format!("the server has no collection `{name}`: declare [collections.{name}] in its configuration"),
            )
        })
    }

    fn may_read(&self, user: &Owner, collection: &CollectionName, id: &EntityId, doc: &Value) -> bool {
        let readable = self.reader_groups(user);
        self.groups(collection, id, doc).iter().any(|group| readable.contains(group))
    }
}

impl Policy for ServerPolicy {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn collection(&self, name: &CollectionName) -> Option<&CollectionSettings> {
        self.settings.get(name).or(self.any_settings.as_ref().filter(|_| !name.is_reserved()))
    }

    fn check_access(
        &self,
        user: &Owner,
        collection: &CollectionName,
        id: &EntityId,
        stored: &Value,
    ) -> Result<(), CoreError> {
        if self.may_read(user, collection, id, stored) {
            return Ok(());
        }
        Err(CoreError::new(Code::Forbidden, "you may not change this entity"))
    }

    fn check_write(
        &self,
        _user: &Owner,
        collection: &CollectionName,
        _id: &EntityId,
        _stored: Option<&Value>,
        doc: Option<&Value>,
    ) -> Result<(), CoreError> {
        let config = self.find(collection)?;
        doc.map_or(Ok(()), |doc| check_document(config, doc))
    }

    fn groups(&self, collection: &CollectionName, _id: &EntityId, doc: &Value) -> Vec<Group> {
        let Ok(config) = self.find(collection) else { return Vec::new() };
        let mut groups: Vec<Group> = config.groups.iter().filter_map(|rule| group_of(rule, doc)).collect();
        groups.sort();
        groups.dedup();
        groups
    }

    fn reader_groups(&self, user: &Owner) -> Vec<Group> {
        let mut groups: Vec<Group> =
            [Group::parse(TENANT_GROUP).ok(), user_group(&user.subject)].into_iter().flatten().collect();
        groups.sort();
        groups
    }

    fn relations(&self) -> &Relations {
        &self.relations
    }
}

fn relations_of(collections: &BTreeMap<CollectionName, CollectionConfig>) -> Relations {
    let mut relations = Relations::default();
    for (name, config) in collections {
        let exact = config.exact_keys;
        let keys = config.natural_keys.iter().map(|key| NaturalKey { fields: key.0.clone(), exact });
        let keys: Vec<NaturalKey> = keys.collect();
        if !keys.is_empty() {
            relations.keys.insert(name.clone(), keys);
        }
        relations.references.extend(config.refs.iter().map(|(path, one)| Reference {
            from: name.clone(),
            path: path.clone(),
            to: one.to.get_ref().clone(),
            on_delete: one.on_delete,
        }));
    }
    relations
}

fn group_of(rule: &GroupRule, doc: &Value) -> Option<Group> {
    match rule {
        GroupRule::Tenant => Group::parse(TENANT_GROUP).ok(),
        GroupRule::User(path) => user_group(document::get(doc, path)?.as_str().filter(|subject| !subject.is_empty())?),
    }
}

fn check_document(config: &CollectionConfig, doc: &Value) -> Result<(), CoreError> {
    if let Some(size) = json::length_over(doc, config.max_bytes) {
        let most = config.max_bytes;
        return Err(CoreError::new(
            Code::TooLarge,
            format!("the document has {size} bytes, at most {most} are allowed"),
        ));
    }
    for path in &config.required {
        if document::get(doc, path).is_none_or(Value::is_null) {
            return Err(CoreError::new(Code::Invalid, "this field must have a value").at(path.as_str()));
        }
    }
    for (path, expected) in &config.types {
        let value = document::get(doc, path).filter(|value| !value.is_null());
        if value.is_some_and(|value| !expected.fits(value)) {
            let message = format!("this field must be of type {}", expected.as_str());
            return Err(CoreError::new(Code::Invalid, message).at(path.as_str()));
        }
    }
    check_has_reader(config, doc)
}

/// A document that nobody could see would be lost to its author.
fn check_has_reader(config: &CollectionConfig, doc: &Value) -> Result<(), CoreError> {
    if config.groups.iter().any(|rule| group_of(rule, doc).is_some()) {
        return Ok(());
    }
    let message = "nobody could see this entity: this field must name a user";
    let field = config.groups.iter().find_map(|rule| match rule {
        GroupRule::User(path) => Some(path.as_str()),
        GroupRule::Tenant => None,
    });
    Err(CoreError::new(Code::Invalid, message).at(field.unwrap_or_default()))
}

fn settings_of(config: &CollectionConfig) -> CollectionSettings {
    CollectionSettings {
        conflict: config.conflict,
        fields: config.fields.clone().into_iter().collect(),
        on_delete_conflict: config.on_delete_conflict,
    }
}

fn version_of(collections: &BTreeMap<CollectionName, CollectionConfig>) -> String {
    let mut text = String::new();
    for (name, config) in collections {
        text.push_str(name.as_str());
        for rule in &config.groups {
            text.push_str(&format!(" {rule}"));
        }
        text.push('\n');
    }
    format!("{:016x}", xxh64(text.as_bytes(), 0))
}
