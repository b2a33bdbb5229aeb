//! `[collections.NAME]`: how a collection settles conflicts, who sees it, what its documents must have, and how they
//! hang together with others.

use std::collections::BTreeMap;

use serde::Deserialize;
use tidewire_core::authority::relations::OnDelete;
use tidewire_core::ids::CollectionName;
use tidewire_core::json::Value;
use tidewire_core::limits::DOCUMENT_BYTES_MAX;
use tidewire_core::model::path::Path;
use tidewire_core::model::schema::{DeleteConflict, FieldStrategy, Strategy};
use toml::Spanned;

/// `[collections.NAME]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollectionConfig {
    /// For every path without a strategy of its own.
    pub conflict: Strategy,
    /// By path.
    pub fields: BTreeMap<Path, FieldStrategy>,
    /// Delete against update.
    pub on_delete_conflict: DeleteConflict,
    /// Who sees an entity: any of these.
    pub groups: Vec<GroupRule>,
    /// Bytes of one document.
    pub max_bytes: usize,
    /// Paths that must hold a value other than null.
    pub required: Vec<Path>,
    /// The type of a path's value, where there is one other than null.
    pub types: BTreeMap<Path, JsonType>,
    /// Fields that name an entity together, tried in this order: an insert whose key is there already becomes a merge.
    pub natural_keys: Vec<KeyFields>,
    /// Whether the texts in keys count as they are, with their case and the white space around them.
    pub exact_keys: bool,
    /// Fields that hold ids of other entities, by path.
    pub refs: BTreeMap<Path, RefConfig>,
}

impl Default for CollectionConfig {
    fn default() -> Self {
        Self {
            conflict: Strategy::default(),
            fields: BTreeMap::new(),
            on_delete_conflict: DeleteConflict::default(),
            groups: vec![GroupRule::Tenant],
            max_bytes: DOCUMENT_BYTES_MAX,
            required: Vec::new(),
            types: BTreeMap::new(),
            natural_keys: Vec::new(),
            exact_keys: false,
            refs: BTreeMap::new(),
        }
    }
}

/// One natural key: at least one field.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Vec<Path>")]
pub struct KeyFields(pub Vec<Path>);

impl TryFrom<Vec<Path>> for KeyFields {
    type Error = &'static str;
    fn try_from(fields: Vec<Path>) -> Result<Self, Self::Error> {
        if fields.is_empty() {
            return Err("a natural key has no field: write [[\"/email\"], [\"/name\", \"/phone\"]]");
        }
        Ok(Self(fields))
    }
}

/// `refs."/field"`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefConfig {
    /// The collection of the other entity.
    pub to: Spanned<CollectionName>,
    /// What follows from its deletion.
    pub on_delete: OnDelete,
}

/// One way to see an entity.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum GroupRule {
    /// `tenant`: everybody of the tenant.
    Tenant,
    /// `user:{field}`: the user whom this field names.
    User(Path),
}

impl TryFrom<String> for GroupRule {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == "tenant" {
            return Ok(Self::Tenant);
        }
        let field = text.strip_prefix("user:{").and_then(|rest| rest.strip_suffix('}'));
        let path = field
            .filter(|field| !field.is_empty())
            .map(|field| if field.starts_with('/') { Path::parse(field) } else { Path::of_key(field) });
        match path {
            Some(Ok(path)) => Ok(Self::User(path)),
            Some(Err(error)) => Err(error.to_string()),
            None => Err(format!(
                "`{text}` is no group: write `tenant`, or `user:{{ownerId}}` with the field that names the user"
            )),
        }
    }
}

impl std::fmt::Display for GroupRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tenant => f.write_str("tenant"),
            Self::User(path) => write!(f, "user:{{{path}}}"),
        }
    }
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JsonType {
    /// Text.
    String,
    /// Any number.
    Number,
    /// A number without a fraction.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl JsonType {
    /// Whether a value is of this type.
    pub fn fits(self, value: &Value) -> bool {
        match self {
            Self::String => value.as_str().is_some(),
            Self::Number => value.as_f64().is_some(),
            Self::Integer => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            Self::Boolean => value.as_bool().is_some(),
            Self::Array => value.as_array().is_some(),
            Self::Object => value.as_object().is_some(),
        }
    }

    /// As the TOML has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}
