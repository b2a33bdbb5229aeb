//! Who sees what, as a policy declares it: the groups that hold an entity, by its fields, and the groups of a reader
//! (rules 26 to 28).
//!
//! Pure: whoever stores memberships, tokens or rows is elsewhere. The invariant: everything that is told of an entity
//! goes through [`visible`], with the memberships and the policy of the moment in which it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::authority::user_group;
use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId, Group};
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

/// One line of a policy: `tenant`, `role:manager`, or `team:{teamId}`, where a field names the rest of the group
/// (`{$id}`: the entity's own id). What stands behind it, each with a `&` before it, narrows it: of the group's readers
/// only those who are in these groups, too.
///
/// The field ends the rule and a `:` stands before it, once; a narrowed group begins with a `&`, which no other does,
/// and a `;` ends its conditions: so no value of one rule makes the group of another.
///
/// ```
/// use tidewire_core::authority::groups::GroupRule;
/// use tidewire_core::ids::EntityId;
/// use tidewire_core::json;
///
/// let (id, red) = (EntityId::parse("d1").unwrap(), json!({"teamId": "red"}));
/// let rule = GroupRule::parse("team:{teamId}").unwrap();
/// assert_eq!(rule.of(&id, &red).unwrap().as_str(), "team:red");
/// assert_eq!(rule.of(&id, &json!({"teamId": ""})), None);
/// assert_eq!(GroupRule::parse("deal:{$id}").unwrap().of(&id, &red).unwrap().as_str(), "deal:d1");
/// let narrow = GroupRule::parse("team:{teamId} & role:lead").unwrap();
/// assert_eq!(narrow.of(&id, &red).unwrap().as_str(), "&role:lead;team:red");
/// assert!(GroupRule::parse("{teamId}").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRule {
    /// The whole group or, with a field, what stands before its value.
    text: String,
    field: Option<Path>,
    /// Groups that a reader has to be in besides; sorted.
    conditions: Vec<Group>,
}

/// What a document has no field of: the entity's id.
const OWN_ID: &str = "/$id";

impl GroupRule {
    /// Reads a rule.
    ///
    /// # Errors
    /// `bad-config`.
    pub fn parse(text: &str) -> Result<Self, CoreError> {
        let bad = |what: &str| CoreError::new(Code::BadConfig, format!("the group rule `{text}`: {what}"));
        let mut parts = text.split('&').map(str::trim);
        let first = parts.next().unwrap_or_default();
        let mut conditions = Vec::new();
        for part in parts {
            let condition = Group::parse(part).ok().filter(|_| !part.contains(['{', '}', ';']));
            conditions.push(condition.ok_or_else(|| bad("behind `&` stands a group without a field, as `role:lead`"))?);
        }
        conditions.sort();
        conditions.dedup();
        let Some((kind, rest)) = first.split_once('{') else {
            Group::parse(first).map_err(|_| bad("this is no name of a group"))?;
            return Ok(Self { text: first.to_owned(), field: None, conditions });
        };
        let field = rest.strip_suffix('}').filter(|field| !field.is_empty() && !field.contains(['{', '}']));
        let field = field.ok_or_else(|| bad("one field, in braces, ends it"))?;
        if kind.strip_suffix(':').is_none_or(|name| name.is_empty() || name.contains(':')) {
            return Err(bad("what stands before the field is a name and a colon, as in `team:{teamId}`"));
        }
        let field = field_path(field).map_err(|_| bad("this names no field"))?;
        Ok(Self { text: kind.to_owned(), field: Some(field), conditions })
    }

    /// The same rule for those only who are in this group, too.
    ///
    /// # Errors
    /// `bad-config`.
    pub fn narrowed(&self, condition: &str) -> Result<Self, CoreError> {
        Self::parse(&format!("{self} & {condition}"))
    }

    /// The group of an entity by this rule; none where the field names none.
    pub fn of(&self, id: &EntityId, doc: &Value) -> Option<Group> {
        narrow(&self.conditions, &self.broad(id, doc)?)
    }

    /// Whether somebody in these groups is meant by this rule. They need not be [`widened`](GroupRules::widened).
    pub fn admits(&self, reader: &[Group], id: &EntityId, doc: &Value) -> bool {
        self.conditions.iter().all(|condition| reader.contains(condition))
            && self.broad(id, doc).is_some_and(|group| reader.contains(&group))
    }

    fn broad(&self, id: &EntityId, doc: &Value) -> Option<Group> {
        let Some(field) = &self.field else { return Group::parse(&self.text).ok() };
        let value = match field.as_str() {
            OWN_ID => id.as_str(),
            _ => document::get(doc, field)?.as_str().filter(|value| !value.is_empty())?,
        };
        Group::parse(&format!("{}{value}", self.text)).ok()
    }

    /// The field that names the group.
    pub fn field(&self) -> Option<&Path> {
        self.field.as_ref()
    }

    /// What its groups begin with, up to the colon: `team`.
    pub fn kind(&self) -> &str {
        kind(&self.text)
    }

    /// Groups that a reader has to be in besides.
    pub fn conditions(&self) -> &[Group] {
        &self.conditions
    }
}

/// What a group begins with, up to its colon.
pub fn kind(group: &str) -> &str {
    group.split_once(':').map_or(group, |(kind, _)| kind)
}

fn narrow(conditions: &[Group], group: &Group) -> Option<Group> {
    if conditions.is_empty() {
        return Some(group.clone());
    }
    let mut text = String::new();
    for condition in conditions {
        text.push('&');
        text.push_str(condition.as_str());
    }
    Group::parse(&format!("{text};{group}")).ok()
}

impl fmt::Display for GroupRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            None => f.write_str(&self.text)?,
            Some(field) => write!(f, "{}{{{field}}}", self.text)?,
        }
        self.conditions.iter().try_for_each(|condition| write!(f, " & {condition}"))
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
    pub fn of(&self, collection: &CollectionName, id: &EntityId, doc: &Value) -> Vec<Group> {
        let found: BTreeSet<Group> =
            self.0.get(collection).into_iter().flatten().filter_map(|rule| rule.of(id, doc)).collect();
        found.into_iter().collect()
    }

    /// What somebody in these groups is in by all the rules: these, and those that rules narrow; sorted. A group that
    /// no rule speaks of holds nothing, and is left out.
    pub fn widened(&self, groups: &[Group]) -> Vec<Group> {
        let rules = || self.0.values().flatten();
        let narrowed = rules().filter(|rule| rule.conditions.iter().all(|condition| groups.contains(condition)));
        let meant = narrowed.flat_map(|rule| {
            let of_kind = groups.iter().filter(|group| kind(group.as_str()) == rule.kind());
            of_kind.filter_map(|group| narrow(&rule.conditions, group))
        });
        let all: BTreeSet<Group> = meant.collect();
        all.into_iter().collect()
    }

    /// Whether somebody could see such a document. What nobody sees would be lost to its author.
    ///
    /// # Errors
    /// `unknown-collection`; `invalid` with the field that has to name a group.
    pub fn check(&self, collection: &CollectionName, id: &EntityId, doc: &Value) -> Result<(), CoreError> {
        let Some(rules) = self.0.get(collection) else {
            return Err(CoreError::new(Code::UnknownCollection, "the policy declares no such collection"));
        };
        if rules.iter().any(|rule| rule.of(id, doc).is_some()) {
            return Ok(());
        }
        let mut fields = rules.iter().filter_map(GroupRule::field).map(Path::as_str);
        let field = fields.find(|field| *field != OWN_ID).unwrap_or_default();
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
