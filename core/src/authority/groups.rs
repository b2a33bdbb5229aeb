//! Who sees what, as a policy declares it: the groups that hold an entity, by its fields, and the groups of a reader
//! (rules 26 to 28).
//!
//! Pure: whoever stores memberships, tokens or rows is elsewhere. The invariant: everything that is told of an entity
//! goes through [`visible`], with the memberships and the policy of the moment in which it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::authority::user_group;
use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, Group};
use crate::json::Value;
use crate::model::document;
use crate::model::path::Path;
use crate::model::verdict::Verdict;
use crate::planted::Bug;

/// The group that holds everybody of a tenant.
pub const TENANT: &str = "tenant";

/// The groups of a reader that hold a row: he may see it through each of them; none: he may not. The one answer to
/// "may he see it", for pull, frames, push answers, conflicts and digests (rule 27).
pub fn visible(reader: &[Group], holders: &[Group]) -> Vec<Group> {
    if Bug::AllVisible.is_planted() {
        return if holders.is_empty() { Vec::new() } else { reader.to_vec() };
    }
    reader.iter().filter(|group| holders.contains(group)).cloned().collect()
}

/// Whether [`visible`] finds any.
pub fn is_visible(reader: &[Group], holders: &[Group]) -> bool {
    Bug::AllVisible.is_planted() || reader.iter().any(|group| holders.contains(group))
}

/// One line of a policy: `tenant`, `role:manager`, or `team:{teamId}`, where a field names the rest of the group.
///
/// The field ends the rule and a `:` stands before it, once: so no value of one rule makes the group of another.
///
/// ```
/// use tidewire_core::authority::groups::GroupRule;
/// use tidewire_core::json;
///
/// let rule = GroupRule::parse("team:{teamId}").unwrap();
/// assert_eq!(rule.of(&json!({"teamId": "red"})).unwrap().as_str(), "team:red");
/// assert_eq!(rule.of(&json!({"teamId": ""})), None);
/// assert!(GroupRule::parse("{teamId}").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRule {
    /// The whole group or, with a field, what stands before its value.
    text: String,
    field: Option<Path>,
}

impl GroupRule {
    /// Reads a rule.
    ///
    /// # Errors
    /// `bad-config`.
    pub fn parse(text: &str) -> Result<Self, CoreError> {
        let bad = |what: &str| CoreError::new(Code::BadConfig, format!("the group rule `{text}`: {what}"));
        let Some((kind, rest)) = text.split_once('{') else {
            Group::parse(text).map_err(|_| bad("this is no name of a group"))?;
            return Ok(Self { text: text.to_owned(), field: None });
        };
        let field = rest.strip_suffix('}').filter(|field| !field.is_empty() && !field.contains(['{', '}']));
        let field = field.ok_or_else(|| bad("one field, in braces, ends it"))?;
        if kind.strip_suffix(':').is_none_or(|name| name.is_empty() || name.contains(':')) {
            return Err(bad("what stands before the field is a name and a colon, as in `team:{teamId}`"));
        }
        let field = field_path(field).map_err(|_| bad("this names no field"))?;
        Ok(Self { text: kind.to_owned(), field: Some(field) })
    }

    /// The group of a document by this rule; none where the field names none.
    pub fn of(&self, doc: &Value) -> Option<Group> {
        let Some(field) = &self.field else { return Group::parse(&self.text).ok() };
        let value = document::get(doc, field)?.as_str().filter(|value| !value.is_empty())?;
        Group::parse(&format!("{}{value}", self.text)).ok()
    }

    /// The field that names the group.
    pub fn field(&self) -> Option<&Path> {
        self.field.as_ref()
    }
}

impl fmt::Display for GroupRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            None => f.write_str(&self.text),
            Some(field) => write!(f, "{}{{{field}}}", self.text),
        }
    }
}

/// A field by its name, or by its path where it begins with `/`.
///
/// # Errors
/// `bad-path`.
pub fn field_path(text: &str) -> Result<Path, CoreError> {
    if text.starts_with('/') { Path::parse(text) } else { Path::below(None, text) }
}

/// The rules of each collection. An entity is held by the group of each rule that finds one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupRules(BTreeMap<CollectionName, Vec<GroupRule>>);

impl GroupRules {
    /// Declares a collection, in place of what was declared of it.
    pub fn declare(&mut self, collection: CollectionName, rules: Vec<GroupRule>) {
        self.0.insert(collection, rules);
    }

    /// The groups that hold an entity; sorted. None of an undeclared collection.
    pub fn of(&self, collection: &CollectionName, doc: &Value) -> Vec<Group> {
        let found: BTreeSet<Group> =
            self.0.get(collection).into_iter().flatten().filter_map(|rule| rule.of(doc)).collect();
        found.into_iter().collect()
    }

    /// Whether somebody could see such a document. What nobody sees would be lost to its author.
    ///
    /// # Errors
    /// `unknown-collection`; `invalid` with the field that has to name a group.
    pub fn check(&self, collection: &CollectionName, doc: &Value) -> Result<(), CoreError> {
        let Some(rules) = self.0.get(collection) else {
            return Err(CoreError::new(Code::UnknownCollection, "the policy declares no such collection"));
        };
        if rules.iter().any(|rule| rule.of(doc).is_some()) {
            return Ok(());
        }
        let field = rules.iter().find_map(GroupRule::field).map(Path::as_str).unwrap_or_default();
        Err(CoreError::new(Code::Invalid, "nobody could see this entity: this field must name a group").at(field))
    }
}

/// Who is in which group. Everybody is in `tenant` and in his own `user:{subject}`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memberships(BTreeMap<String, BTreeSet<Group>>);

impl Memberships {
    /// Lets a user in. Returns whether he was not in it.
    pub fn grant(&mut self, subject: &str, group: Group) -> bool {
        self.0.entry(subject.to_owned()).or_default().insert(group)
    }

    /// Puts a user out. Returns whether he was in it.
    pub fn revoke(&mut self, subject: &str, group: &Group) -> bool {
        self.0.get_mut(subject).is_some_and(|groups| groups.remove(group))
    }

    /// A user's groups; sorted.
    pub fn of(&self, subject: &str) -> Vec<Group> {
        let own = Group::parse(TENANT).into_iter().chain(user_group(subject));
        let all: BTreeSet<Group> = own.chain(self.0.get(subject).into_iter().flatten().cloned()).collect();
        all.into_iter().collect()
    }
}

/// Whether a verdict tells what others wrote.
pub(super) fn tells_of_others(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Merged { overwritten, displaced, remap, .. }
        | Verdict::Conflict { overwritten, displaced, remap, .. }
            if !overwritten.is_empty() || !displaced.is_empty() || remap.is_some()
    )
}

/// A verdict as it is told to an author who may not see the entity: without what others wrote (rule 27).
pub(super) fn without_others(verdict: &mut Verdict) {
    if let Verdict::Merged { overwritten, displaced, remap, .. }
    | Verdict::Conflict { overwritten, displaced, remap, .. } = verdict
        && !Bug::LosersTold.is_planted()
    {
        displaced.clear();
        *remap = None;
        for lost in overwritten {
            lost.kept = None;
            lost.by = None;
        }
    }
}

/// The same of a conflict's document.
pub fn blind(conflict: &mut Value) {
    if let Some(fields) = conflict.as_object_mut() {
        for key in ["base", "kept", "by"] {
            fields.remove(key);
        }
    }
}
