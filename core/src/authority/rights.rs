//! What a policy declares besides who sees what: who may write it, and which entities are themselves memberships.
//!
//! Pure, as [`groups`](super::groups): whoever stores rows, or knows who is in which group, is elsewhere. The
//! invariant: nobody gets into a group of one user's or everybody's by a membership.

use std::collections::BTreeMap;

use crate::authority::groups::{GroupRule, TENANT, kind};
use crate::error::{Code, CoreError};
use crate::ids::{EntityId, Group};
use crate::json::Value;
use crate::model::document;
use crate::model::path::Path;

const NO_INSERT: &str = "you may not make such an entity";
const NO_DELETE: &str = "you may not delete this entity";

/// Who may write what of a collection; `None`: all who see it. An empty list: nobody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriteRules {
    /// ... make an entity, by what it is then.
    pub insert: Option<Vec<GroupRule>>,
    /// ... change one, by what it was and by what it is then.
    pub update: Option<Vec<GroupRule>>,
    /// ... delete one, by what it was.
    pub delete: Option<Vec<GroupRule>>,
    /// ... change what is at a path, or in it.
    pub fields: BTreeMap<Path, Vec<GroupRule>>,
}

impl WriteRules {
    /// Whether somebody in these groups may write `doc` (`None`: delete) over `stored`.
    ///
    /// # Errors
    /// `forbidden`, with the path of a field that he may not change.
    pub fn check(
        &self,
        author: &[Group],
        id: &EntityId,
        stored: Option<&Value>,
        doc: Option<&Value>,
    ) -> Result<(), CoreError> {
        let is_meant = |rules: &[GroupRule], doc: &Value| rules.iter().any(|rule| rule.admits(author, id, doc));
        let nothing = Value::default();
        let (rules, what) = match (stored, doc) {
            (None, Some(_)) => (&self.insert, NO_INSERT),
            (Some(_), Some(_)) => (&self.update, "you may not change this entity like this"),
            (Some(_), None) => (&self.delete, NO_DELETE),
            // Whoever deletes what is not there keeps its id from others for a time.
            (None, None) => (if self.delete.is_some() { &self.delete } else { &self.insert }, NO_DELETE),
        };
        let asked = stored.into_iter().chain(doc).chain(Some(&nothing).filter(|_| stored.is_none() && doc.is_none()));
        if let Some(rules) = rules
            && !asked.into_iter().all(|doc| is_meant(rules, doc))
        {
            return Err(CoreError::new(Code::Forbidden, what));
        }
        let Some(doc) = doc else { return Ok(()) };
        for (path, rules) in &self.fields {
            let before = stored.and_then(|stored| document::get(stored, path));
            if before != document::get(doc, path) && !is_meant(rules, stored.unwrap_or(doc)) {
                return Err(CoreError::new(Code::Forbidden, "you may not change this field").at(path.as_str()));
            }
        }
        Ok(())
    }

    /// Whether somebody in these groups may have a deleted entity live again as `doc`: as if he made it.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn check_revival(&self, author: &[Group], id: &EntityId, doc: &Value) -> Result<(), CoreError> {
        match &self.insert {
            Some(rules) if !rules.iter().any(|rule| rule.admits(author, id, doc)) => {
                Err(CoreError::new(Code::Forbidden, NO_INSERT))
            }
            _ => Ok(()),
        }
    }

    /// All rules.
    pub fn rules(&self) -> impl Iterator<Item = &GroupRule> {
        let of_entities = [&self.insert, &self.update, &self.delete].into_iter().flatten();
        of_entities.chain(self.fields.values()).flatten()
    }
}

/// Entities that are memberships: each puts one user into groups.
///
/// ```
/// use tidewire_core::authority::groups::{GroupRule, field_path};
/// use tidewire_core::authority::rights::Membership;
/// use tidewire_core::ids::EntityId;
/// use tidewire_core::json;
///
/// let gives = vec![GroupRule::parse("team:{teamId}")?];
/// let members = Membership::new(field_path("userId")?, gives, Some(field_path("role")?))?;
/// let (id, doc) = (EntityId::parse("m1")?, json!({"userId": "ann", "teamId": "red", "role": "lead"}));
/// let (user, groups) = members.of(&id, &doc).unwrap();
/// let groups: Vec<_> = groups.iter().map(|group| group.as_str()).collect();
/// assert_eq!((user, groups), ("ann", vec!["team:red", "team.lead:red"]));
/// # Ok::<(), tidewire_core::error::CoreError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    user: Path,
    gives: Vec<GroupRule>,
    role: Option<Path>,
}

impl Membership {
    /// Which field names the user, which groups it gives, and which field names his role there: of `team:red` the lead
    /// is in `team.lead:red`, too.
    ///
    /// # Errors
    /// `bad-config`.
    pub fn new(user: Path, gives: Vec<GroupRule>, role: Option<Path>) -> Result<Self, CoreError> {
        let bad = |rule: &GroupRule, what| {
            Err(CoreError::new(Code::BadConfig, format!("the membership gives `{rule}`: {what}")))
        };
        for rule in &gives {
            if [TENANT, "user", "app"].contains(&rule.kind()) {
                return bad(rule, "who is in that group is said by the token, never by an entity");
            }
            if !rule.conditions().is_empty() {
                return bad(rule, "who is in a group is in it: `&` belongs to the rules of who sees what");
            }
        }
        Ok(Self { user, gives, role })
    }

    /// The user and his groups by one entity, unless its fields name none.
    pub fn of<'d>(&self, id: &EntityId, doc: &'d Value) -> Option<(&'d str, Vec<Group>)> {
        let user = document::get(doc, &self.user)?.as_str().filter(|user| !user.is_empty())?;
        let role = self.role.as_ref().and_then(|role| document::get(doc, role)?.as_str()).filter(|role| is_word(role));
        let mut groups = Vec::new();
        for group in self.gives.iter().filter_map(|rule| rule.of(id, doc)) {
            let with_role = role.and_then(|role| in_role(&group, role));
            groups.push(group);
            groups.extend(with_role);
        }
        Some((user, groups)).filter(|(_, groups)| !groups.is_empty())
    }

    /// As text: two of the same text give the same.
    pub fn text(&self) -> String {
        let gives: Vec<String> = self.gives.iter().map(ToString::to_string).collect();
        let role = self.role.as_ref().map_or("", Path::as_str);
        format!("{} {} {role}", self.user, gives.join(" "))
    }
}

/// `team.lead:red` of `team:red`.
fn in_role(group: &Group, role: &str) -> Option<Group> {
    let of = kind(group.as_str());
    let value = group.as_str().strip_prefix(of)?;
    Group::parse(&format!("{of}.{role}{value}")).ok()
}

/// What can stand in the kind of a group.
fn is_word(role: &str) -> bool {
    !role.is_empty() && role.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
