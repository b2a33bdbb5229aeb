//! Who may do what, and who sees what: the configuration as `tidewire_core::authority` asks for it.
//!
//! ```text
//! token ─► Principal ─┐
//!                     ├─► Standing: the groups of a reader, in one snapshot ─► Scope (pull, frames), Author (push)
//! memberships ────────┘
//! ```
//!
//! Invariant: reading and writing use the same groups. Nobody writes over what they may not read.

mod author;
mod principal;
#[cfg(test)]
mod tests;
mod viewer;

use std::collections::{BTreeMap, BTreeSet};

use tidewire_core::authority::fields::{FieldRule, FieldRules, Mask};
use tidewire_core::authority::groups::{GroupRule, GroupRules, TENANT, kind};
use tidewire_core::authority::relations::{NaturalKey, Reference, Relations};
use tidewire_core::authority::rights::{Membership, WriteRules};
pub use tidewire_core::authority::user_group;
use tidewire_core::error::{Code, CoreError};
use tidewire_core::ids::{CollectionName, EntityId, Group};
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::model::document;
use tidewire_core::model::schema::{CollectionSettings, Settings};
use tidewire_core::protocol::message::Scope;
use xxhash_rust::xxh64::xxh64;

pub use author::{Author, Granted};
pub use principal::Principal;
pub use viewer::Viewer;

use crate::config::CollectionConfig;
use principal::app_group;

/// The policy of one server.
#[derive(Debug)]
pub struct ServerPolicy {
    collections: BTreeMap<CollectionName, Declared>,
    settings: Settings,
    any: Option<(Declared, CollectionSettings)>,
    /// Who sees what, of all collections and of conflicts.
    rules: GroupRules,
    relations: Relations,
    memberships: Memberships,
    version: String,
}

/// Which collections' entities are memberships.
pub type Memberships = BTreeMap<CollectionName, Membership>;

/// A collection, and who may do what there.
#[derive(Debug)]
struct Declared {
    config: CollectionConfig,
    seen_by: Vec<GroupRule>,
    write: WriteRules,
    fields: FieldRules,
}

/// The groups that somebody is in, in one snapshot of the data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    own: Vec<Group>,
    reads: Vec<Group>,
}

impl Standing {
    /// The groups that he reads by; sorted.
    pub fn reads(&self) -> &[Group] {
        &self.reads
    }
}

impl ServerPolicy {
    /// The policy of a configuration. With `dev` and no collections, any collection is allowed and the whole tenant
    /// sees it.
    pub fn new(collections: BTreeMap<CollectionName, CollectionConfig>, dev: bool) -> Self {
        let any = (dev && collections.is_empty()).then(CollectionConfig::default);
        let settings = collections.iter().map(|(name, config)| (name.clone(), settings_of(config))).collect();
        let version = version_of(&collections);
        let relations = relations_of(&collections);
        let membership = |(name, config): (&CollectionName, &CollectionConfig)| {
            Some((name.clone(), config.membership.as_ref()?.get_ref().0.clone()))
        };
        let memberships = collections.iter().filter_map(membership).collect();
        let mut rules = GroupRules::default();
        // Conflicts are their authors'; and what is not declared is everybody's.
        let always = ["user:{$id}", TENANT].iter().filter_map(|rule| GroupRule::parse(rule).ok());
        rules.declare(CollectionName::of_conflicts(), always.collect());
        let mut declared = BTreeMap::new();
        for (name, config) in collections {
            let one = Declared::new(config);
            rules.declare(name.clone(), one.seen_by.clone());
            declared.insert(name, one);
        }
        let any =
            any.map(|config| (settings_of(&config), Declared::new(config))).map(|(settings, one)| (one, settings));
        Self { collections: declared, settings, any, rules, relations, memberships, version }
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

    /// The groups of somebody who is in `granted` by memberships.
    pub fn standing(&self, principal: &Principal, granted: Vec<Group>) -> Standing {
        let mut own = principal.groups();
        own.extend(granted);
        own.sort();
        own.dedup();
        Standing { reads: self.rules.widened(&own), own }
    }

    /// What somebody reads of some collections, which are [readable](Self::check_readable).
    pub fn scope(&self, standing: &Standing, collections: &[CollectionName]) -> Scope {
        let mut collections = collections.to_vec();
        collections.sort();
        collections.dedup();
        Scope { groups: standing.reads.clone(), collections, policy: self.version_for(standing) }
    }

    /// The version, and with it which fields somebody sees: all is read again by whoever comes to see other ones.
    fn version_for(&self, standing: &Standing) -> String {
        let rules = self.collections.values().flat_map(|declared| &declared.fields.0).flat_map(|field| &field.shown_to);
        let kinds = |rule: &'_ GroupRule| -> Vec<String> {
            let conditions = rule.conditions().iter().map(|group| kind(group.as_str()).to_owned());
            conditions.chain([rule.kind().to_owned()]).collect()
        };
        let kinds: BTreeSet<String> = rules.flat_map(kinds).collect();
        if kinds.is_empty() {
            return self.version.clone();
        }
        let told: Vec<&str> =
            standing.own.iter().map(Group::as_str).filter(|group| kinds.contains(kind(group))).collect();
        format!("{}-{:016x}", self.version, xxh64(told.join("\n").as_bytes(), 0))
    }

    /// The settings of every declared collection.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// One collection's settings.
    pub fn collection(&self, name: &CollectionName) -> Option<&CollectionSettings> {
        let any = self.any.as_ref().filter(|_| !name.is_reserved());
        self.settings.get(name).or(any.map(|(_, settings)| settings))
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

    /// The groups that hold an entity; sorted.
    pub fn groups(&self, collection: &CollectionName, id: &EntityId, doc: &Value) -> Vec<Group> {
        let Ok(declared) = self.find(collection) else { return Vec::new() };
        let mut groups: Vec<Group> = declared.seen_by.iter().filter_map(|rule| rule.of(id, doc)).collect();
        groups.sort();
        groups.dedup();
        groups
    }

    /// How entities hang together.
    pub fn relations(&self) -> &Relations {
        &self.relations
    }

    /// Which entities are memberships.
    pub fn memberships(&self) -> &Memberships {
        &self.memberships
    }

    /// What somebody does not see of an entity that he sees; `None`: all of it is seen.
    fn mask(&self, standing: &Standing, collection: &str, id: &EntityId, doc: &Value) -> Option<Mask> {
        let fields = &self.collections.get(collection)?.fields;
        Some(fields.mask(&standing.own, id, doc)).filter(|mask| !mask.is_empty())
    }

    /// Whether there are fields of a collection that not everybody sees.
    pub fn conceals(&self, collection: &str) -> bool {
        self.collections.get(collection).is_some_and(|declared| !declared.fields.0.is_empty())
    }

    /// Whether somebody may have a deleted entity live again.
    fn check_revival(
        &self,
        author: &Standing,
        collection: &CollectionName,
        id: &EntityId,
        doc: &Value,
    ) -> Result<(), CoreError> {
        self.find(collection)?.write.check_revival(&author.own, id, doc)
    }

    /// Whether somebody may write `doc` (`None`: delete) over `stored`, which he sees.
    ///
    /// # Errors
    /// `unknown-collection`, `forbidden`, `invalid` or `too-large`.
    fn check_write(
        &self,
        author: &Standing,
        collection: &CollectionName,
        id: &EntityId,
        stored: Option<&Value>,
        doc: Option<&Value>,
    ) -> Result<(), CoreError> {
        let Declared { config, seen_by, write, fields } = self.find(collection)?;
        let is_in = |app: &String| author.own.iter().any(|group| group.as_str() == app_group(app));
        if !config.apps.is_empty() && !config.apps.iter().any(is_in) {
            return Err(CoreError::new(Code::Forbidden, "this collection belongs to another app"));
        }
        write.check(&author.own, id, stored, doc)?;
        let Some(doc) = doc else { return Ok(()) };
        if let Some(stored) = stored {
            // Nobody makes himself one of those who see a field.
            let (before, after) = (fields.mask(&author.own, id, stored), fields.mask(&author.own, id, doc));
            if let Some(path) = before.shown_by(&after) {
                let message = "after this write you would see a field that you do not see";
                return Err(CoreError::new(Code::Forbidden, message).at(path.as_str()));
            }
        } else {
            // Of what is there already the paths were asked for.
            let mask = fields.mask(&author.own, id, doc);
            let held = fields.0.iter().map(|rule| &rule.path).filter(|path| document::get(doc, path).is_some());
            mask.check(held)?;
        }
        check_document(config, !fields.0.is_empty(), doc)?;
        check_has_reader(seen_by, id, doc)
    }

    fn find(&self, name: &CollectionName) -> Result<&Declared, CoreError> {
        let any = self.any.as_ref().filter(|_| !name.is_reserved());
        self.collections.get(name).or(any.map(|(declared, _)| declared)).ok_or_else(|| {
            CoreError::new(
                Code::UnknownCollection,
                format!("the server has no collection `{name}`: declare [collections.{name}] in its configuration"),
            )
        })
    }
}

impl Declared {
    fn new(config: CollectionConfig) -> Self {
        let (write, fields) = (config.write.rules(), config.field_rules());
        Self { seen_by: seen_by(&config), write, fields, config }
    }
}

/// Who sees a collection's entities: of each group those who use one of the apps.
fn seen_by(config: &CollectionConfig) -> Vec<GroupRule> {
    if config.apps.is_empty() {
        return config.groups.clone();
    }
    let each = config.groups.iter().flat_map(|rule| config.apps.iter().map(move |app| rule.narrowed(&app_group(app))));
    // The names of apps were checked: all of them can be part of a rule.
    each.flatten().collect()
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

/// `conceals`: its size is not told, which counts what its author may not see.
fn check_document(config: &CollectionConfig, conceals: bool, doc: &Value) -> Result<(), CoreError> {
    if let Some(size) = json::length_over(doc, config.max_bytes) {
        let most = config.max_bytes;
        let message = match conceals {
            true => format!("the document has more than the {most} bytes that are allowed"),
            false => format!("the document has {size} bytes, at most {most} are allowed"),
        };
        return Err(CoreError::new(Code::TooLarge, message));
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
    Ok(())
}

/// A document that nobody could see would be lost to its author.
fn check_has_reader(seen_by: &[GroupRule], id: &EntityId, doc: &Value) -> Result<(), CoreError> {
    if seen_by.iter().any(|rule| rule.of(id, doc).is_some()) {
        return Ok(());
    }
    let message = "nobody could see this entity: this field must name a user or a group";
    let field = seen_by.iter().find_map(GroupRule::field).map(|field| field.as_str());
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
        for rule in seen_by(config) {
            text.push_str(&format!(" {rule}"));
        }
        for FieldRule { path, shown_to, keep } in config.field_rules().0 {
            text.push_str(&format!(" {path} {keep:?}"));
            shown_to.iter().for_each(|rule| text.push_str(&format!(" {rule}")));
        }
        if let Some(membership) = &config.membership {
            text.push_str(&format!(" gives {}", membership.get_ref().0.text()));
        }
        text.push('\n');
    }
    format!("{:016x}", xxh64(text.as_bytes(), 0))
}
