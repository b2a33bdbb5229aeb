use std::collections::BTreeMap;

use tidewire_core::authority::Policy;
use tidewire_core::error::Code;
use tidewire_core::ids::{CollectionName, EntityId, Owner};
use tidewire_core::json;
use tidewire_core::json::Value;

use super::ServerPolicy;
use crate::config::Config;

const TOML: &str = r#"
[collections.notes]
groups = ["user:{ownerId}"]
required = ["/title"]
types = { "/amount" = "number", "/meta/n" = "integer" }
max_bytes = 200
[collections.shared]
groups = ["tenant", "user:{/owner/id}"]
"#;

fn policy() -> ServerPolicy {
    ServerPolicy::new(Config::parse("t", TOML).expect("parses").collections, false)
}

fn name(text: &str) -> CollectionName {
    CollectionName::parse(text).expect("a name")
}

fn user(subject: &str) -> Owner {
    Owner { tenant: "t".into(), subject: subject.into() }
}

fn check(collection: &str, stored: Option<Value>, doc: Option<Value>) -> Result<(), (Code, Option<String>)> {
    let id = EntityId::parse("x").expect("an id");
    let (policy, alice, collection) = (policy(), user("alice"), name(collection));
    let access = stored.as_ref().map_or(Ok(()), |stored| policy.check_access(&alice, &collection, &id, stored));
    access
        .and_then(|()| policy.check_write(&alice, &collection, &id, stored.as_ref(), doc.as_ref()))
        .map_err(|error| (error.code, error.path.clone()))
}

#[test]
fn documents_are_checked_with_a_path() {
    let good = json!({"title": "a", "ownerId": "alice", "amount": 1.5, "meta": {"n": 2}});
    assert_eq!(check("notes", None, Some(good.clone())), Ok(()));
    let with = |key: &str, value: Value| {
        let mut doc = good.clone();
        doc[key] = value;
        check("notes", None, Some(doc))
    };
    assert_eq!(with("title", Value::Null), Err((Code::Invalid, Some("/title".into()))));
    assert_eq!(with("amount", json!("1")), Err((Code::Invalid, Some("/amount".into()))));
    assert_eq!(with("amount", Value::Null), Ok(()));
    assert_eq!(with("meta", json!({"n": 1.5})), Err((Code::Invalid, Some("/meta/n".into()))));
    assert_eq!(with("ownerId", json!(7)), Err((Code::Invalid, Some("/ownerId".into()))));
    assert_eq!(with("title", json!("x".repeat(200))), Err((Code::TooLarge, None)));
    assert_eq!(check("other", None, Some(good)), Err((Code::UnknownCollection, None)));
}

#[test]
fn documents_at_the_size_limit_pass_and_one_byte_more_does_not() {
    let empty = json!({"title": "", "ownerId": "alice"});
    let room = 200 - json::write(&empty).len();
    let doc = |n: usize| json!({"title": "x".repeat(n), "ownerId": "alice"});
    assert_eq!(check("notes", None, Some(doc(room))), Ok(()));
    assert_eq!(check("notes", None, Some(doc(room + 1))), Err((Code::TooLarge, None)));
}

#[test]
fn nobody_writes_over_what_they_may_not_read() {
    let bobs = json!({"title": "b", "ownerId": "bob"});
    let mine = json!({"title": "b", "ownerId": "alice"});
    assert_eq!(check("notes", Some(bobs.clone()), Some(mine.clone())), Err((Code::Forbidden, None)));
    assert_eq!(check("notes", Some(bobs.clone()), None), Err((Code::Forbidden, None)));
    assert_eq!(check("notes", Some(mine.clone()), None), Ok(()));
    // Handing over is allowed.
    assert_eq!(check("notes", Some(mine), Some(bobs)), Ok(()));
}

#[test]
fn groups_follow_the_fields() {
    let id = EntityId::parse("x").expect("an id");
    let groups = |collection: &str, doc: Value| -> Vec<String> {
        policy().groups(&name(collection), &id, &doc).into_iter().map(String::from).collect()
    };
    assert_eq!(groups("shared", json!({"owner": {"id": "bob"}})), ["tenant", "user:bob"]);
    assert_eq!(groups("shared", json!({})), ["tenant"]);
    assert_eq!(groups("notes", json!({"ownerId": "bob"})), ["user:bob"]);
    assert!(groups("notes", json!({"ownerId": ""})).is_empty());
    assert!(groups("notes", json!({"ownerId": "x".repeat(200)})).is_empty());
}

#[test]
fn the_version_changes_with_who_sees_what_and_with_nothing_else() {
    let version = |toml: &str| {
        ServerPolicy::new(Config::parse("t", toml).expect("parses").collections, false).version().to_owned()
    };
    assert_eq!(version(TOML), version(&TOML.replace("max_bytes = 200", "max_bytes = 300")));
    assert_ne!(version(TOML), version(&TOML.replace("[\"tenant\", ", "[")));
}

#[test]
fn with_dev_any_collection_is_allowed_until_one_is_declared() {
    assert!(ServerPolicy::new(BTreeMap::new(), true).check_collection(&name("anything")).is_ok());
    assert!(ServerPolicy::new(BTreeMap::new(), false).check_collection(&name("anything")).is_err());
    let declared = Config::parse("t", TOML).expect("parses").collections;
    assert!(ServerPolicy::new(declared, true).check_collection(&name("anything")).is_err());
}
