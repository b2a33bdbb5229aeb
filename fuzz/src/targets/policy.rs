//! The language of a policy, and what it comes to for one reader of two entities. The input is JSON: `rules` of who
//! sees a collection, `gives` of what a membership gives, `hidden` and `masked` fields with rules, the `groups` of a
//! reader, and two documents, `doc` and `other`.

use tidewire_core::authority::fields::{FieldRule, FieldRules, Mask};
use tidewire_core::authority::groups::{GroupRule, GroupRules, field_path, is_visible, kind};
use tidewire_core::authority::rights::{Membership, WriteRules};
use tidewire_core::error::CoreError;
use tidewire_core::ids::{CollectionName, EntityId, Group};
use tidewire_core::json::{self, JsonLimits, Value};
use tidewire_core::model::document;
use tidewire_core::model::path::Path;

use super::{print, refusal};

/// More rules would only be slower.
const RULES_MAX: usize = 8;

pub(super) fn run(input: &[u8]) -> u64 {
    let value = match json::parse(input, JsonLimits::MESSAGE) {
        Ok(value) => value,
        Err(error) => return refusal(&error),
    };
    match read(&value) {
        Ok(case) => checked(&case),
        Err(error) => refusal(&error),
    }
}

struct Case {
    rules: Vec<GroupRule>,
    gives: Vec<GroupRule>,
    fields: FieldRules,
    reader: Vec<Group>,
    docs: [(EntityId, Value); 2],
}

fn read(value: &Value) -> Result<Case, CoreError> {
    let list = |key: &str| value.get(key).and_then(Value::as_array).into_iter().flatten().take(RULES_MAX);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rules = |key: &str| list(key).map(|rule| GroupRule::parse(&text(rule))).collect::<Result<Vec<_>, _>>();
    let mut fields = Vec::new();
    for (key, keep) in [("hidden", None), ("masked", Some(2))] {
        for path in list(key) {
            fields.push(FieldRule { path: Path::parse(&text(path))?, shown_to: rules("shown")?, keep });
        }
    }
    let doc = |key: &str, id: &str| Ok((EntityId::parse(id)?, value.get(key).cloned().unwrap_or_default()));
    Ok(Case {
        rules: rules("rules")?,
        gives: rules("gives")?,
        fields: FieldRules(fields),
        reader: list("groups").map(|group| Group::parse(&text(group))).collect::<Result<_, _>>()?,
        docs: [doc("doc", "one")?, doc("other", "two")?],
    })
}

fn checked(case: &Case) -> u64 {
    let everything = CollectionName::parse("deals").expect("a name");
    let mut all = GroupRules::default();
    all.declare(everything.clone(), case.rules.clone());
    let reads = all.widened(&case.reader);
    assert!(reads.windows(2).all(|pair| pair[0] < pair[1]), "sorted, each once");
    for rule in case.rules.iter().chain(&case.gives) {
        assert_eq!(GroupRule::parse(&rule.to_string()).as_ref(), Ok(rule), "what is printed is read the same");
    }
    let mut seen = 0;
    for (id, doc) in &case.docs {
        for rule in &case.rules {
            let Some(group) = rule.of(id, doc) else { continue };
            assert_eq!(reads.contains(&group), rule.admits(&case.reader, id, doc), "{rule} of {doc:?}: {group}");
            apart(case, rule, &group);
        }
        let held = all.of(&everything, id, doc);
        let admitted = case.rules.iter().any(|rule| rule.of(id, doc).is_some() && rule.admits(&case.reader, id, doc));
        assert_eq!(is_visible(&reads, &held), admitted, "who reads it is who is meant");
        let mask = case.fields.mask(&case.reader, id, doc);
        if !doc.is_null() {
            masked(&mask, doc);
        }
        writes(case, id, doc);
        seen += usize::from(admitted) + 2 * usize::from(!mask.is_empty());
    }
    print(&["read", &seen.to_string(), &given(case).min(4).to_string()])
}

/// No value of a field makes the group of a rule of another kind, or with other conditions.
fn apart(case: &Case, rule: &GroupRule, group: &Group) {
    for (id, doc) in &case.docs {
        for other in case.rules.iter().filter(|other| other.of(id, doc).as_ref() == Some(group)) {
            assert_eq!((other.kind(), other.conditions()), (rule.kind(), rule.conditions()), "{rule} and {other}");
        }
    }
}

fn masked(mask: &Mask, doc: &Value) {
    let mut shown = doc.clone();
    mask.document(&mut shown);
    let leaves = document::leaves(None, doc).unwrap_or_default();
    for (path, value) in leaves {
        let alone = mask.value(&path, Some(value.clone()));
        let is_free = mask.check([&path]).is_ok();
        assert!(!is_free || alone.as_ref() == Some(value), "what one may write at one sees: {path}");
        assert_eq!(document::get(&shown, &path), alone.as_ref(), "{path} of a document, and by itself");
        for above in path.ancestors().filter_map(|above| Path::parse(above).ok()) {
            let part = mask.value(&above, document::get(doc, &above).cloned());
            assert_eq!(document::get(&shown, &above), part.as_ref(), "{above} of a document, and by itself");
        }
    }
}

/// A rule that does not admit somebody lets him write nothing.
fn writes(case: &Case, id: &EntityId, doc: &Value) {
    let rules = WriteRules { insert: Some(case.rules.clone()), ..WriteRules::default() };
    let may = rules.check(&case.reader, id, None, Some(doc)).is_ok();
    assert_eq!(may, case.rules.iter().any(|rule| rule.admits(&case.reader, id, doc)));
    assert!(rules.check(&case.reader, id, Some(doc), None).is_ok(), "no rule speaks of deletion");
}

/// The groups that memberships give: never one that the token alone says.
fn given(case: &Case) -> usize {
    let (Ok(user), Ok(role)) = (field_path("user"), field_path("role")) else { return 0 };
    let Ok(membership) = Membership::new(user, case.gives.clone(), Some(role)) else { return 0 };
    let groups = case.docs.iter().filter_map(|(id, doc)| membership.of(id, doc)).flat_map(|(_, groups)| groups);
    let groups: Vec<Group> = groups.collect();
    for group in &groups {
        let kind = kind(group.as_str());
        assert!(!["tenant", "user", "app"].contains(&kind) && !kind.starts_with('&'), "{group}");
    }
    groups.len()
}
