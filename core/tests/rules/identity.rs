//! Rule 29 and invariant 9: natural keys, ids that become another's, and what is said of them.

use crate::common;

use common::tied::{Tied, change, code, drop, make};
use tidewire_core::authority::Rows;
use tidewire_core::authority::memory::server::MemoryServer;
use tidewire_core::authority::memory::{DeclaredPolicy, OpenPolicy};
use tidewire_core::authority::relations::OnDelete;
use tidewire_core::ids::{CollectionName, EntityId, ReplicaId};
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::model::path::Path;
use tidewire_core::model::schema::{CollectionSettings, DeleteConflict, FieldStrategy, Settings, Strategy};
use tidewire_core::protocol::message::{HeldReason, Verdict};

fn policy() -> DeclaredPolicy {
    let policy = DeclaredPolicy::default().collection("people", &["user:{owner}", "tenant"]).unwrap();
    let policy = policy.collection("deals", &["tenant"]).unwrap();
    let policy = policy.known_by("people", &["email"]).unwrap().known_by("people", &["name", "phone"]).unwrap();
    policy.refers("deals", "personId", "people", OnDelete::SetNull).unwrap()
}

/// Ann made person `p` at 1.
fn one_person() -> Tied {
    let mut tied = Tied::new(policy());
    tied.one("ann", make("people", "p", json!({"email": "ada@x.org", "name": "Ada", "phone": "1", "city": "Bonn"})));
    tied
}

fn remap(verdict: &Verdict) -> (String, String) {
    match verdict {
        Verdict::Merged { remap: Some(remap), .. } | Verdict::Conflict { remap: Some(remap), .. } => {
            (remap["from"].as_str().unwrap().to_owned(), remap["to"].as_str().unwrap().to_owned())
        }
        other => panic!("not the same thing: {other:?}"),
    }
}

fn to_p(from: &str) -> (String, String) {
    (from.to_owned(), "p".to_owned())
}

#[test]
fn rule_29_an_insert_whose_key_exists_becomes_a_merge() {
    let mut tied = one_person();
    let verdict = tied.one("ben", make("people", "q", json!({"email": " ADA@x.org ", "city": "Ulm", "age": 36})));
    assert_eq!(remap(&verdict), to_p("q"));
    let Verdict::Merged { rev, overwritten, displaced, .. } = verdict else { unreachable!() };
    assert_eq!((rev, tied.server.store.seq), (2, 2), "one seq for the merge and the alias");
    // Both wrote the city: by the collection's strategy, as for any concurrent write.
    let doc = tied.doc("people", "p").unwrap();
    assert_eq!((doc["age"].clone(), doc["name"].clone()), (json!(36), json!("Ada")));
    let lost: Vec<Value> = overwritten.iter().chain(&displaced).filter_map(|lost| lost.yours.clone()).collect();
    assert!(lost.contains(&json!("Ulm")) != lost.contains(&json!("Bonn")), "{lost:?} lost to {doc}");
    assert!(tied.stored("people", "q").is_none());
}

#[test]
fn rule_29_keys_are_tried_in_their_order() {
    let mut tied = one_person();
    tied.one("ann", make("people", "r", json!({"email": "bob@x.org", "name": "Bob", "phone": "2"})));
    // The address of one, name and number of the other: the address counts first. Then both would have both.
    let verdict = tied.one("ben", make("people", "s", json!({"email": "ada@x.org", "name": "bob", "phone": "2"})));
    assert_eq!(code(&verdict).as_str(), "key-taken");
    // Without an address name and number count, together alone.
    assert_eq!(remap(&tied.one("ben", make("people", "t", json!({"name": "ADA", "phone": "1"})))), to_p("t"));
    let other = tied.one("ben", make("people", "u", json!({"email": "", "name": "Ada", "phone": "3"})));
    assert_eq!(other, Verdict::Applied { rev: 4 });
}

#[test]
fn rule_29_a_value_of_one_field_is_no_value_of_two() {
    let mut tied = one_person();
    tied.one("ann", make("people", "a", json!({"name": "x\",\"y", "phone": "z"})));
    let other = tied.one("ann", make("people", "b", json!({"name": "x", "phone": "y\",\"z"})));
    assert!(matches!(other, Verdict::Applied { .. }), "{other:?}");
    tied.one("ann", make("people", "c", json!({"name": "n", "phone": 7})));
    let other = tied.one("ann", make("people", "d", json!({"name": "n", "phone": "7"})));
    assert!(matches!(other, Verdict::Applied { .. }), "a number is no text: {other:?}");
}

#[test]
fn rule_29_absent_and_empty_fields_never_win() {
    let mut tied = Tied::new(policy());
    let full = json!({"email": "e", "name": "Ada", "tags": ["t"], "home": {"city": "Bonn", "zip": "1"}, "note": "n"});
    tied.one("ann", make("people", "p", full.clone()));
    let empty = json!({"email": "e", "name": "", "tags": [], "home": {"city": "", "zip": null}, "note": null});
    let mut insert = make("people", "q", empty);
    insert["at"] = json!([900_000, 0]);
    assert_eq!(remap(&tied.one("ben", insert)), to_p("q"));
    assert_eq!(tied.doc("people", "p"), Some(full));
    assert_eq!((tied.losses("ann"), tied.losses("ben")), (vec![], vec![]));
}

#[test]
fn rule_29_the_rest_goes_by_strategy_with_an_absent_base() {
    let fields =
        [("/visits", FieldStrategy::Counter), ("/tags", FieldStrategy::Union), ("/city", FieldStrategy::Manual)];
    let fields = fields.map(|(path, strategy)| (Path::parse(path).unwrap(), strategy)).into_iter().collect();
    let settings = CollectionSettings { conflict: Strategy::ServerWins, fields, ..Default::default() };
    let mut tied = Tied::new(policy().settled_by("people", settings).unwrap());
    let doc = |name: &str, tag: &str, city: &str| {
        let tags = json!([tag]);
        json!({"email": "e", "visits": 2, "tags": tags, "city": city, "name": name})
    };
    tied.one("ann", make("people", "p", doc("Ada", "a", "Bonn")));
    let verdict = tied.one("ben", make("people", "q", doc("Eva", "b", "Ulm")));
    assert_eq!(remap(&verdict), to_p("q"));
    let Verdict::Conflict { parked, overwritten, .. } = verdict else { panic!("the city waits") };
    assert_eq!((parked[0].as_str(), overwritten[0].path.as_str()), ("/city", "/name"));
    let expected = json!({"email": "e", "visits": 4, "tags": ["a", "b"], "city": "Bonn", "name": "Ada"});
    assert_eq!(tied.doc("people", "p"), Some(expected));
}

#[test]
fn rule_29_a_key_of_what_one_may_not_see_is_taken_and_no_more_is_said() {
    let mut tied = Tied::new(policy().collection("people", &["user:{owner}"]).unwrap());
    tied.one("ann", make("people", "hers", json!({"email": "e", "owner": "ann"})));
    let said = tied.push_text("ben", &[make("people", "q", json!({"email": "E", "owner": "ben"}))], false);
    assert!(said.contains(r#""code":"key-taken""#) && said.contains(r#""path":"/email""#), "{said}");
    assert!(!said.contains("hers") && !said.contains("ann") && !said.contains("remap"), "{said}");
    // What follows waits with it, as after any rejected insert.
    let insert = make("people", "r", json!({"email": "E", "owner": "ben"}));
    let verdicts = tied.push("ben", &[insert, change("people", "r", 0, &[("/f", json!(null), json!(1))])]);
    assert_eq!(verdicts[1], Verdict::Held { reason: HeldReason::After });
    assert_eq!(tied.server.store.seq, 1);
}

#[test]
fn rule_29_a_remap_is_not_told_again_to_who_may_not_see_the_entity_any_more() {
    let mut tied = Tied::new(policy().collection("people", &["team:{team}"]).unwrap());
    for user in ["ann", "ben"] {
        tied.server.policy.grant(user, "team:red").unwrap();
    }
    tied.one("ann", make("people", "p", json!({"email": "e", "team": "red"})));
    let push = json!({"v": 1, "replica": "b", "floor": [0, 0], "fence": 0, "now": 1, "mutations": [
        {"n": [1, 0], "m": make("people", "q", json!({"email": "e", "team": "red"}))}]});
    let ben = common::user("ben");
    let ask = |tied: &mut Tied| tied.server.push_text(&ben, &push.to_string(), 1).unwrap();
    assert!(ask(&mut tied).contains(r#""to":"p""#));
    tied.server.policy.revoke("ben", "team:red").unwrap();
    let again = ask(&mut tied);
    assert!(again.contains(r#""duplicate":true"#) && !again.contains("remap"), "{again}");
    tied.server.policy.grant("ben", "team:red").unwrap();
    assert!(ask(&mut tied).contains(r#""to":"p""#));
}

/// Found by `laws::identity`.
#[test]
fn rule_27_a_remap_is_told_again_to_who_may_see_where_it_led() {
    let mut tied = Tied::new(policy().collection("people", &["team:{team}"]).unwrap());
    for (user, team) in [("ann", "team:red"), ("ann", "team:blue"), ("ben", "team:red")] {
        tied.server.policy.grant(user, team).unwrap();
    }
    tied.one("ann", make("people", "p", json!({"email": "e", "team": "red"})));
    let push = json!({"v": 1, "replica": "b", "floor": [0, 0], "fence": 0, "now": 1, "mutations": [
        {"n": [1, 0], "m": make("people", "q", json!({"email": "e", "team": "red", "city": "Ulm"}))}]});
    let ask = |tied: &mut Tied| tied.server.push_text(&common::user("ben"), &push.to_string(), 1).unwrap();
    assert!(ask(&mut tied).contains(r#""to":"p""#));
    // It is out of his sight when it goes, and the id that he gave leads to another entity, which he sees.
    tied.one("ann", change("people", "p", 2, &[("/team", json!("red"), json!("blue"))]));
    tied.one("ann", drop("people", "p", 3));
    tied.one("ann", make("people", "r", json!({"email": "f", "team": "red"})));
    let mut moved = make("people", "q", json!({"email": "f", "team": "red"}));
    moved["base"] = json!(4);
    assert_eq!(remap(&tied.one("ann", moved)), ("q".to_owned(), "r".to_owned()));
    let again = ask(&mut tied);
    assert!(again.contains(r#""duplicate":true"#) && !again.contains("remap"), "{again}");
}

#[test]
fn rule_29_a_patch_that_makes_two_keys_equal_is_rejected() {
    let mut tied = one_person();
    tied.one("ann", make("people", "r", json!({"email": "bob@x.org", "name": "Ada", "phone": "2"})));
    let clash = [("/email", json!("bob@x.org"), json!("Ada@x.org")), ("/city", json!(null), json!("Ulm"))];
    let verdict = tied.one("ann", change("people", "r", 2, &clash));
    assert!(matches!(&verdict, Verdict::Rejected { path: Some(path), .. } if path.as_str() == "/email"), "{verdict:?}");
    assert_eq!(code(&verdict).as_str(), "key-taken");
    let verdict = tied.one("ann", change("people", "r", 2, &[("/phone", json!("2"), json!(" 1"))]));
    assert_eq!(code(&verdict).as_str(), "key-taken");
    assert_eq!(tied.server.store.seq, 2);
    // Written anew as it was, or as nobody's, it is fine.
    let same = tied.one("ann", change("people", "r", 2, &[("/email", json!("bob@x.org"), json!("BOB@x.org"))]));
    assert_eq!(same, Verdict::Applied { rev: 3 });
}

#[test]
fn rule_29_a_tombstone_does_not_hold_its_key() {
    let mut tied = one_person();
    tied.one("ann", drop("people", "p", 1));
    let insert = make("people", "q", json!({"email": "ada@x.org"}));
    assert_eq!(tied.one("ben", insert), Verdict::Applied { rev: 3 });
    // Who brings the first one back finds its key taken: it is the second one now.
    let back = tied.one("ann", make("people", "p", json!({"email": "ada@x.org", "city": "Bonn"})));
    assert_eq!(remap(&back), ("p".to_owned(), "q".to_owned()));
    assert_eq!(tied.doc("people", "q").unwrap()["city"], "Bonn");
    assert!(tied.doc("people", "p").is_none());
}

#[test]
fn rule_29_the_id_of_what_one_may_not_see_is_not_given_away() {
    let mut tied = Tied::new(policy().collection("people", &["user:{owner}"]).unwrap());
    tied.one("ann", make("people", "p", json!({"email": "e", "owner": "ann"})));
    tied.one("ann", drop("people", "p", 1));
    tied.one("ben", make("people", "q", json!({"email": "e", "owner": "ben"})));
    let verdict = tied.one("ben", make("people", "p", json!({"email": "e", "owner": "ben"})));
    assert_eq!(code(&verdict).as_str(), "forbidden");
    let mut back = make("people", "p", json!({"email": "f", "owner": "ann"}));
    back["base"] = json!(2);
    assert!(matches!(tied.one("ann", back), Verdict::Applied { .. }), "it is still hers");
}

#[test]
fn rule_29_an_update_that_would_bring_a_second_one_back_is_rejected() {
    let settings = CollectionSettings { on_delete_conflict: DeleteConflict::UpdateWins, ..Default::default() };
    let mut tied = Tied::new(policy().settled_by("people", settings).unwrap());
    tied.one("ann", make("people", "p", json!({"email": "e", "city": "Bonn"})));
    tied.one("ann", drop("people", "p", 1));
    tied.one("ann", make("people", "q", json!({"email": "e"})));
    let late = tied.one("ben", change("people", "p", 1, &[("/city", json!("Bonn"), json!("Ulm"))]));
    assert_eq!(code(&late).as_str(), "key-taken");
}

#[test]
fn invariant_9_an_old_id_stays_good_for_every_kind_of_edit() {
    let mut tied = one_person();
    // One push, as a device makes it that knows nothing of `p`.
    let verdicts = tied.push(
        "ben",
        &[
            make("people", "q", json!({"email": "ada@x.org"})),
            make("deals", "d", json!({"personId": "q", "more": {"personId": "q"}})),
            change("people", "q", 0, &[("/age", json!(null), json!(36))]),
        ],
    );
    assert_eq!(remap(&verdicts[0]), to_p("q"));
    assert_eq!(tied.doc("deals", "d"), Some(json!({"personId": "p", "more": {"personId": "q"}})), "what is declared");
    assert_eq!(tied.doc("people", "p").unwrap()["age"], 36);
    // He saw `q` in it: that is `p`, and nobody else wrote it.
    let moved = tied.one("ben", change("deals", "d", 0, &[("/personId", json!("q"), json!(null))]));
    assert!(matches!(moved, Verdict::Applied { .. }), "{moved:?}");
    assert!(matches!(tied.one("ben", drop("people", "q", tied.server.store.seq)), Verdict::Applied { .. }));
    assert!(tied.doc("people", "p").is_none());
    assert_eq!(code(&tied.one("ben", change("people", "q", 0, &[("/age", json!(36), json!(37))]))).as_str(), "deleted");
}

#[test]
fn invariant_9_an_insert_under_an_old_id_says_the_new_one() {
    let mut tied = one_person();
    tied.one("ben", make("people", "q", json!({"email": "ada@x.org"})));
    let again = tied.one("ben", make("people", "q", json!({"email": "ada@x.org", "age": 36})));
    assert_eq!(remap(&again), to_p("q"));
    let other = tied.one("ben", make("people", "q", json!({"email": "other@x.org"})));
    assert_eq!(code(&other).as_str(), "exists", "the id is given away");
    tied.one("ann", drop("people", "p", tied.server.store.seq));
    let mut anew = make("people", "q", json!({"email": "other@x.org"}));
    anew["at"] = json!([900_000, 0]);
    assert_eq!(remap(&tied.one("ben", anew)), to_p("q"), "it brings that one back");
    assert_eq!(tied.doc("people", "p"), Some(json!({"email": "other@x.org"})));
}

#[test]
fn invariant_9_chains_lead_to_their_end_in_one_step() {
    let mut tied = one_person();
    tied.one("ben", make("people", "q", json!({"email": "ada@x.org"})));
    tied.one("ann", drop("people", "p", tied.server.store.seq));
    tied.one("ann", make("people", "r", json!({"email": "ada@x.org"})));
    let back = tied.one("ann", make("people", "p", json!({"email": "ada@x.org"})));
    assert_eq!(remap(&back), ("p".to_owned(), "r".to_owned()));
    for old in ["p", "q"] {
        let base = tied.server.store.seq;
        let verdict = tied.one("ben", change("people", old, base, &[("/by", json!(null), json!(old))]));
        assert!(matches!(verdict, Verdict::Applied { .. } | Verdict::Merged { .. }), "{old}: {verdict:?}");
        assert_eq!(tied.doc("people", "r").unwrap()["by"], old);
    }
}

#[test]
fn invariant_9_a_transaction_is_renamed_as_one() {
    let mut tied = one_person();
    // The deal comes before its person: members may refer to each other.
    let both = [make("deals", "d", json!({"personId": "q"})), make("people", "q", json!({"email": "ada@x.org"}))];
    let verdicts = tied.together("ben", &both);
    assert_eq!(remap(&verdicts[1]), to_p("q"));
    assert_eq!(tied.doc("deals", "d"), Some(json!({"personId": "p"})));
    assert_eq!((tied.stored("deals", "d").unwrap().rev, tied.server.store.seq), (2, 2));
    // What a rejected transaction did stays undone: the alias, too.
    let before = tied.server.store.entities.clone();
    let rejected = [make("people", "s", json!({"email": "ada@x.org"})), make("deals", "d", json!({"other": 1}))];
    tied.together("ben", &rejected);
    assert_eq!(tied.server.store.entities, before);
}

#[test]
fn invariant_9_an_alias_goes_back_with_the_data() {
    let mut tied = one_person();
    let backup = tied.server.back_up();
    let insert = make("people", "q", json!({"email": "ada@x.org", "age": 36}));
    tied.one("ben", insert.clone());
    tied.server.restore(&backup);
    // The journal comes first, with its numbers; what waits for it is held until then.
    let late = change("people", "q", 0, &[("/age", json!(36), json!(37))]);
    assert_eq!(tied.one("ben", late.clone()), Verdict::Held { reason: HeldReason::Missing });
    assert_eq!(remap(&tied.one("ben", insert)), to_p("q"));
    tied.one("ben", late);
    assert_eq!(tied.doc("people", "p").unwrap()["age"], 37);
}

#[test]
fn without_declared_keys_nothing_is_remapped() {
    let policy = DeclaredPolicy::default().collection("people", &["tenant"]).unwrap();
    let mut tied = Tied::new(policy);
    tied.one("ann", make("people", "p", json!({"email": "e"})));
    assert_eq!(tied.one("ben", make("people", "q", json!({"email": "e"}))), Verdict::Applied { rev: 2 });
}

#[test]
fn aliases_are_nobodys_also_when_groups_are_given_anew() {
    let mut server = MemoryServer::new(OpenPolicy { settings: Settings::default(), private_to: None });
    let aliases = CollectionName::parse("people").unwrap().aliases();
    let (ann, replica) = (common::user("ann"), ReplicaId::parse("r").unwrap());
    let stored = one_person().stored("people", "p").unwrap().clone();
    server.store.rows(&ann, &replica).put(&aliases, &EntityId::parse("q").unwrap(), &stored, &[]).unwrap();
    server.regroup();
    assert!(server.store.entities.values().all(|row| row.groups.is_empty()), "{:?}", server.store.entities);
}
