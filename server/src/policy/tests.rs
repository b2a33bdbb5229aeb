use std::cell::Cell;
use std::collections::BTreeMap;

use tidewire_core::authority::Policy;
use tidewire_core::error::Code;
use tidewire_core::ids::{CollectionName, EntityId, Group, Owner};
use tidewire_core::json;
use tidewire_core::json::Value;

use super::{Author, Principal, ServerPolicy};
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
    let (alice, collection) = (Principal::plain(user("alice")), name(collection));
    as_author(&policy(), &alice, &[], |author| {
        let access =
            stored.as_ref().map_or(Ok(()), |stored| author.check_access(&alice.owner, &collection, &id, stored));
        access
            .and_then(|()| author.check_write(&alice.owner, &collection, &id, stored.as_ref(), doc.as_ref()))
            .map_err(|error| (error.code, error.path.clone()))
    })
}

fn as_author<T>(
    policy: &ServerPolicy,
    principal: &Principal,
    granted: &[&str],
    ask: impl FnOnce(&Author<'_>) -> T,
) -> T {
    let granted = |_: &Owner| Ok(granted.iter().map(|group| Group::parse(group).expect("a group")).collect());
    ask(&Author::new(policy, principal, &granted, &Cell::new(false)))
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

const TEAMS: &str = r#"
[collections.deals]
groups = ["team:{teamId}", "tenant & role:auditor", "user:{ownerId}"]
write.insert = ["team:{teamId}"]
write.update = ["team.lead:{teamId}", "user:{ownerId}"]
write.delete = []
write.fields."/budget" = ["role:finance"]
[collections.settings]
apps = ["admin"]
[collections.projects]
groups = ["project:{$id}"]
[collections.projects.write]
insert = ["user:{ownerId}"]
update = ["project.owner:{$id}"]
delete = []
[collections.projects.membership]
user = "ownerId"
gives = ["project:{$id}", "project.owner:{$id}"]
"#;

fn parse(toml: &str) -> ServerPolicy {
    ServerPolicy::new(Config::parse("t", toml).expect("parses").collections, false)
}

fn principal(roles: &[&str], app: Option<&str>) -> Principal {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    Principal { owner: user("alice"), roles, app: app.map(str::to_owned) }
}

/// Whether Alice sees and may write something of `TEAMS`; a path instead of `true` where one field is the matter.
fn may(who: &Principal, granted: &[&str], collection: &str, stored: Option<&Value>, doc: Option<&Value>) -> Value {
    let (id, collection, policy) = (EntityId::parse("x").expect("an id"), name(collection), parse(TEAMS));
    let written = as_author(&policy, who, granted, |author| {
        let access = stored.map_or(Ok(()), |stored| author.check_access(&who.owner, &collection, &id, stored));
        access.and_then(|()| author.check_write(&who.owner, &collection, &id, stored, doc))
    });
    match written {
        Ok(()) => json!(true),
        Err(error) => error.path.clone().map_or(json!(false), Value::from),
    }
}

#[test]
fn who_may_write_follows_membership_role_owner_and_field() {
    let plain = principal(&[], None);
    let red = json!({"teamId": "red", "ownerId": "bob"});
    assert_eq!(may(&plain, &["team:red"], "deals", None, Some(&red)), true);
    assert_eq!(may(&plain, &["team:blue"], "deals", None, Some(&red)), false);
    let named = json!({"teamId": "red", "ownerId": "bob", "name": "n"});
    assert_eq!(may(&plain, &["team:red"], "deals", Some(&red), Some(&named)), false, "only the lead");
    assert_eq!(may(&plain, &["team:red", "team.lead:red"], "deals", Some(&red), Some(&named)), true);
    assert_eq!(may(&plain, &["team:red", "team.lead:blue"], "deals", Some(&red), Some(&named)), false);
    // An auditor sees all and changes nothing.
    let auditor = principal(&["auditor"], None);
    assert_eq!(may(&auditor, &[], "deals", Some(&red), Some(&named)), false);
    // Who moves it has to be allowed at both ends.
    let blue = json!({"teamId": "blue", "ownerId": "bob"});
    let leads_red = ["team:red", "team.lead:red"];
    assert_eq!(may(&plain, &leads_red, "deals", Some(&red), Some(&blue)), false);
    assert_eq!(may(&plain, &leads_red, "deals", Some(&red), None), false, "nobody deletes");
    // A field of its own.
    let mine = json!({"teamId": "red", "ownerId": "alice"});
    let costly = json!({"teamId": "red", "ownerId": "alice", "budget": 7});
    assert_eq!(may(&plain, &[], "deals", Some(&mine), Some(&costly)), "/budget");
    assert_eq!(may(&plain, &[], "deals", Some(&costly), Some(&mine)), "/budget");
    assert_eq!(may(&principal(&["finance"], None), &[], "deals", Some(&mine), Some(&costly)), true);
    assert_eq!(may(&plain, &["team:red"], "deals", None, Some(&costly)), "/budget");
}

#[test]
fn an_apps_collections_are_nobodys_elsewhere() {
    let doc = json!({"theme": "dark"});
    assert_eq!(may(&principal(&[], Some("admin")), &[], "settings", Some(&doc), Some(&doc)), true);
    for app in [None, Some("web")] {
        assert_eq!(may(&principal(&[], app), &[], "settings", Some(&doc), Some(&doc)), false);
        assert_eq!(may(&principal(&[], app), &[], "settings", None, Some(&doc)), false);
    }
}

#[test]
fn what_one_is_in_is_widened_by_conditions_and_narrowed_to_what_rules_speak_of() {
    let policy = parse(TEAMS);
    let reads = |who: &Principal, granted: &[&str]| -> Vec<String> {
        let granted = granted.iter().map(|group| Group::parse(group).expect("a group")).collect();
        policy.standing(who, granted).reads().iter().map(ToString::to_string).collect()
    };
    assert_eq!(reads(&principal(&["x"], Some("web")), &["club:1"]), ["tenant", "user:alice"]);
    let all = reads(&principal(&["auditor"], Some("admin")), &["team:red"]);
    assert_eq!(all, ["&app:admin;tenant", "&role:auditor;tenant", "team:red", "tenant", "user:alice"]);
    // What a field holds never makes a condition.
    let forged = reads(&principal(&[], None), &["team:x&role:auditor", "&role:auditor;tenant"]);
    assert_eq!(forged, ["team:x&role:auditor", "tenant", "user:alice"]);
}
