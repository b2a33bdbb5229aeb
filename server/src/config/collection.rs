//! `[collections.NAME]`: how a collection settles conflicts, who sees it, what its documents must have, and how they
//! hang together with others.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use tidewire_core::authority::fields::{FieldRule, FieldRules};
use tidewire_core::authority::groups::{GroupRule, TENANT, field_path};
use tidewire_core::authority::relations::OnDelete;
use tidewire_core::authority::rights::{Membership, WriteRules};
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
    #[serde(deserialize_with = "rules")]
    pub groups: Vec<GroupRule>,
    /// The apps that see any of it, by the token's `app` claim. Empty: all.
    #[serde(deserialize_with = "apps")]
    pub apps: Vec<String>,
    /// Who writes it, of those who see it.
    pub write: WriteConfig,
    /// Fields that are not there for whoever is not meant by these rules.
    pub hidden: BTreeMap<Path, Rules>,
    /// Texts of which others see the end only.
    pub masked: BTreeMap<Path, MaskConfig>,
    /// Its entities are memberships: each puts a user into groups.
    pub membership: Option<Spanned<MembershipConfig>>,
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
            groups: GroupRule::parse(TENANT).into_iter().collect(),
            apps: Vec::new(),
            write: WriteConfig::default(),
            hidden: BTreeMap::new(),
            masked: BTreeMap::new(),
            membership: None,
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

/// `write`: rules as in `groups`. What is left out is everybody's who sees the entity; an empty list is nobody's.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WriteConfig {
    /// To make one, by what it is then.
    #[serde(deserialize_with = "some_rules")]
    pub insert: Option<Vec<GroupRule>>,
    /// To change one, by what it was and what it becomes.
    #[serde(deserialize_with = "some_rules")]
    pub update: Option<Vec<GroupRule>>,
    /// To delete one, by what it was.
    #[serde(deserialize_with = "some_rules")]
    pub delete: Option<Vec<GroupRule>>,
    /// To change what is at a path.
    pub fields: BTreeMap<Path, Rules>,
}

impl WriteConfig {
    /// As the authority asks them.
    pub fn rules(&self) -> WriteRules {
        let fields = self.fields.iter().map(|(path, rules)| (path.clone(), rules.0.clone()));
        let Self { insert, update, delete, .. } = self.clone();
        WriteRules { insert, update, delete, fields: fields.collect() }
    }
}

/// `masked."/path"`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskConfig {
    /// Who sees all of it.
    pub shown_to: Rules,
    /// The characters at its end that everybody sees.
    #[serde(default)]
    pub keep: usize,
}

impl CollectionConfig {
    /// The fields that not everybody sees.
    pub fn field_rules(&self) -> FieldRules {
        let hidden = self.hidden.iter().map(|(path, rules)| (path, rules, None));
        let masked = self.masked.iter().map(|(path, mask)| (path, &mask.shown_to, Some(mask.keep)));
        let rule = |(path, rules, keep): (&Path, &Rules, Option<usize>)| FieldRule {
            path: path.clone(),
            shown_to: rules.0.clone(),
            keep,
        };
        FieldRules(hidden.chain(masked).map(rule).collect())
    }
}

/// Rules of who is meant.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Rules(pub Vec<GroupRule>);

impl TryFrom<Vec<String>> for Rules {
    type Error = String;
    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        let rules = texts.iter().map(|text| GroupRule::parse(text).map_err(|error| error.into_parts().message));
        Ok(Self(rules.collect::<Result<_, _>>()?))
    }
}

fn rules<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<GroupRule>, D::Error> {
    Ok(Rules::deserialize(from)?.0)
}

fn some_rules<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<GroupRule>>, D::Error> {
    rules(from).map(Some)
}

/// Names of apps, which become parts of groups.
fn apps<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    match names.iter().find(|name| name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')) {
        Some(name) => Err(D::Error::custom(format!("`{name}` is no name of an app: write letters, digits and `-`"))),
        None => Ok(names),
    }
}

/// `membership`
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "MembershipFields")]
pub struct MembershipConfig(pub Membership);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MembershipFields {
    /// The field that names the user.
    user: String,
    /// The groups that he is in by it.
    gives: Rules,
    /// The field that names his role in them.
    #[serde(default)]
    role: Option<String>,
}

impl TryFrom<MembershipFields> for MembershipConfig {
    type Error = String;
    fn try_from(fields: MembershipFields) -> Result<Self, String> {
        let path = |text: &str| field_path(text).map_err(|_| format!("`{text}` names no field"));
        let role = fields.role.as_deref().map(path).transpose()?;
        let membership = Membership::new(path(&fields.user)?, fields.gives.0, role);
        membership.map(Self).map_err(|error| error.into_parts().message.to_string())
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
