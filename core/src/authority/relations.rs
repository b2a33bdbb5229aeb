//! How entities hang together, as a policy declares it: references (rule 31) and natural keys (rule 29).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::ids::CollectionName;
use crate::model::path::Path;

/// What becomes of an entity when the one that it refers to is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDelete {
    /// It is deleted as well.
    Cascade,
    /// The deletion is refused.
    Restrict,
    /// The reference becomes `null`.
    SetNull,
}

/// A field that holds the id of another entity. `null` and absence refer to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The collection with the field.
    pub from: CollectionName,
    /// The field.
    pub path: Path,
    /// The collection of the other entity.
    pub to: CollectionName,
    /// What follows from its deletion.
    pub on_delete: OnDelete,
}

/// Fields that name an entity together: of a collection no two live entities have the same values there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NaturalKey {
    /// The fields; an entity that lacks one of them, or where one is empty, has no key of this kind.
    pub fields: Vec<Path>,
    /// Whether texts count as they are, without trimming and with their case.
    pub exact: bool,
}

/// All that is declared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Relations {
    /// References, in the order in which they are declared.
    pub references: Vec<Reference>,
    /// Natural keys of each collection, in the order in which they are tried.
    pub keys: BTreeMap<CollectionName, Vec<NaturalKey>>,
}

impl Relations {
    /// Nothing is declared.
    pub const fn none() -> &'static Self {
        static NONE: Relations = Relations { references: Vec::new(), keys: BTreeMap::new() };
        &NONE
    }

    /// Whether nothing is declared: then edits are decided as if this module did not exist.
    pub fn is_none(&self) -> bool {
        self.references.is_empty() && self.keys.is_empty()
    }

    /// The references of a collection's entities.
    pub fn from<'a>(&'a self, collection: &'a CollectionName) -> impl Iterator<Item = &'a Reference> {
        self.references.iter().filter(move |reference| reference.from == *collection)
    }

    /// The references to a collection's entities.
    pub fn to<'a>(&'a self, collection: &'a CollectionName) -> impl Iterator<Item = &'a Reference> {
        self.references.iter().filter(move |reference| reference.to == *collection)
    }

    /// The natural keys of a collection, in the order in which they are tried.
    pub fn keys_of(&self, collection: &CollectionName) -> &[NaturalKey] {
        self.keys.get(collection).map(Vec::as_slice).unwrap_or_default()
    }
}
