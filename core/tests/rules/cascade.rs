//! Rule 31 and what belongs to it: references, and what becomes of them when their entity is deleted.

use crate::common;

use common::tied::{Tied, change, code, drop, make};
use tidewire_core::authority::memory::DeclaredPolicy;
use tidewire_core::authority::relations::OnDelete;
use tidewire_core::error::Code;
use tidewire_core::json;
use tidewire_core::limits::CASCADE_ENTITIES_MAX;
use tidewire_core::model::schema::{CollectionSettings, DeleteConflict};
use tidewire_core::protocol::message::{HeldReason, Verdict};

const MISSING: Verdict = Verdict::Held { reason: HeldReason::Missing };
const AFTER: Verdict = Verdict::Held { reason: HeldReason::After };

fn policy(on_delete: OnDelete) -> DeclaredPolicy {
    let policy = DeclaredPolicy::default().collection("companies", &["tenant"]).unwrap();
    let policy = policy.collection("deals", &["team:{team}", "tenant"]).unwrap();
    policy.refers("deals", "companyId", "companies", on_delete).unwrap()
}

/// Ann made company `c` at 1 and deal `d` of it at 2.
fn one_deal(on_delete: OnDelete) -> Tied {
    let mut tied = Tied::new(policy(on_delete));
    tied.push("ann", &[make("companies", "c", json!({"n": 1})), make("deals", "d", json!({"companyId": "c", "f": 0}))]);
    assert_eq!(tied.server.store.seq, 2);
    tied
}

#[test]
fn rule_31_a_cascade_takes_all_that_hangs_on_it_under_one_seq() {
    let policy = policy(OnDelete::Cascade).collection("tasks", &["tenant"]).unwrap();
    let policy = policy.refers("tasks", "dealId", "deals", OnDelete::Cascade).unwrap();
    let mut tied = Tied::new(policy.refers("tasks", "byId", "companies", OnDelete::SetNull).unwrap());
    tied.push("ann", &[make("companies", "c", json!({})), make("companies", "e", json!({}))]);
    tied.push("ann", &[make("deals", "d", json!({"companyId": "c"})), make("deals", "o", json!({"companyId": "e"}))]);
    tied.push(
        "ann",
        &[make("tasks", "t", json!({"dealId": "d"})), make("tasks", "u", json!({"dealId": "o", "byId": "c"}))],
    );
    assert_eq!(tied.one("ann", drop("companies", "c", 6)), Verdict::Applied { rev: 7 });
    for (c, id) in [("companies", "c"), ("deals", "d"), ("tasks", "t")] {
        let stored = tied.stored(c, id).unwrap();
        assert!(stored.deleted && stored.rev == 7, "{id}: {stored:?}");
    }
    assert_eq!(tied.doc("tasks", "u"), Some(json!({"dealId": "o", "byId": null})));
    assert_eq!((tied.stored("tasks", "u").unwrap().rev, tied.server.store.seq), (7, 7));
    assert_eq!(tied.losses("ann"), [], "she had seen all of it");
}

#[test]
fn rule_31_restrict_refuses_and_names_no_child() {
    let mut tied = one_deal(OnDelete::Restrict);
    let said = tied.push_text("ben", &[drop("companies", "c", 1)], false);
    assert!(said.contains("restricted") && !said.contains("\"d\"") && !said.contains("deals"), "{said}");
    assert!(tied.doc("companies", "c").is_some());
    // Together with the child it goes, and so it does after the child.
    let both = tied.together("ben", &[drop("deals", "d", 2), drop("companies", "c", 1)]);
    assert_eq!(both, [Verdict::Applied { rev: 3 }, Verdict::Applied { rev: 3 }]);
}

#[test]
fn rule_31_what_goes_with_the_same_deletion_restricts_nothing() {
    let policy = policy(OnDelete::Cascade).refers("deals", "alsoId", "companies", OnDelete::Restrict).unwrap();
    let mut tied = Tied::new(policy);
    tied.push("ann", &[make("companies", "c", json!({})), make("companies", "e", json!({}))]);
    tied.one("ann", make("deals", "d", json!({"companyId": "c", "alsoId": "c"})));
    assert_eq!(tied.one("ann", drop("companies", "c", 3)), Verdict::Applied { rev: 4 });
    tied.one("ann", make("companies", "g", json!({})));
    tied.one("ann", make("deals", "f", json!({"companyId": "e", "alsoId": "g"})));
    assert_eq!(code(&tied.one("ann", drop("companies", "g", 6))).as_str(), "restricted");
    assert_eq!(tied.one("ann", drop("companies", "e", 6)), Verdict::Applied { rev: 7 });
}

#[test]
fn rule_31_a_circle_falls_as_one() {
    let policy = DeclaredPolicy::default().collection("nodes", &["tenant"]).unwrap();
    let mut tied = Tied::new(policy.refers("nodes", "next", "nodes", OnDelete::Cascade).unwrap());
    // Members of a transaction may refer to each other, in any order, and to themselves.
    let ring = [("a", "b"), ("b", "c"), ("c", "a"), ("d", "d")];
    let ring = ring.map(|(id, next)| make("nodes", id, json!({"next": next})));
    assert_eq!(tied.together("ann", &ring), vec![Verdict::Applied { rev: 1 }; 4]);
    assert_eq!(tied.one("ann", drop("nodes", "b", 1)), Verdict::Applied { rev: 2 });
    let live = ["a", "b", "c", "d"].map(|id| tied.doc("nodes", id).is_some());
    assert_eq!(live, [false, false, false, true]);
}

#[test]
fn rule_31_children_newer_than_the_deleters_cursor_are_told() {
    for on_delete in [OnDelete::Cascade, OnDelete::SetNull] {
        let mut tied = one_deal(on_delete);
        tied.one("ben", change("deals", "d", 2, &[("/f", json!(0), json!("ben's"))]));
        tied.one("ben", make("deals", "e", json!({"companyId": "c"})));
        let mut gone = drop("companies", "c", 1);
        gone["seen"] = json!(2);
        let said = tied.push_text("ann", &[gone], false);
        assert!(said.contains("\"applied\"") && !said.contains("ben"), "of other entities she is told nothing: {said}");
        let lost = |id: &str, path: &str, value| (id.to_owned(), path.to_owned(), Some(value));
        let mut losses = tied.losses("ben");
        losses.sort_by_key(|(id, path, _)| (id.clone(), path.clone()));
        let by_cascade = vec![lost("d", "/f", json!("ben's")), lost("e", "/companyId", json!("c"))];
        let by_null = vec![lost("e", "/companyId", json!("c"))];
        assert_eq!(losses, if on_delete == OnDelete::Cascade { by_cascade } else { by_null });
        assert_eq!(tied.losses("ann"), []);
    }
}

#[test]
fn rule_31_what_the_deleter_had_seen_is_no_loss() {
    let mut tied = one_deal(OnDelete::Cascade);
    tied.one("ben", change("deals", "d", 2, &[("/f", json!(0), json!("ben's"))]));
    let mut gone = drop("companies", "c", 1);
    gone["seen"] = json!(3);
    assert_eq!(tied.one("ann", gone), Verdict::Applied { rev: 4 });
    assert_eq!(tied.losses("ben"), []);
}

#[test]
fn rule_31_an_unseen_update_that_wins_keeps_the_parent_too() {
    let settings = CollectionSettings { on_delete_conflict: DeleteConflict::UpdateWins, ..Default::default() };
    let mut tied = Tied::new(policy(OnDelete::Cascade).settled_by("deals", settings).unwrap());
    tied.push("ann", &[make("companies", "c", json!({"n": 1})), make("deals", "d", json!({"companyId": "c", "f": 0}))]);
    tied.one("ben", change("deals", "d", 2, &[("/f", json!(0), json!("ben's"))]));
    let mut gone = drop("companies", "c", 1);
    gone["seen"] = json!(2);
    let Verdict::Merged { overwritten, .. } = tied.one("ann", gone.clone()) else { panic!("the deletion loses") };
    assert_eq!(overwritten[0].path.as_str(), "/n", "of her entity, not of the other");
    assert!(tied.doc("companies", "c").is_some() && tied.doc("deals", "d").is_some());
    gone["seen"] = json!(4);
    assert!(matches!(tied.one("ann", gone), Verdict::Applied { .. }), "now she has seen it");
    assert!(tied.doc("companies", "c").is_none() && tied.doc("deals", "d").is_none());
}

#[test]
fn rule_31_a_child_whose_parent_is_a_tombstone_follows_the_reference() {
    for on_delete in [OnDelete::Cascade, OnDelete::Restrict, OnDelete::SetNull] {
        let mut tied = Tied::new(policy(on_delete));
        tied.push("ann", &[make("companies", "c", json!({})), make("companies", "e", json!({}))]);
        tied.one("ann", make("deals", "d", json!({"companyId": "e"})));
        tied.one("ann", drop("companies", "c", 2));
        let verdicts = tied.push(
            "ben",
            &[
                make("deals", "late", json!({"companyId": "c", "f": 1})),
                change("deals", "d", 3, &[("/companyId", json!("e"), json!("c"))]),
            ],
        );
        if on_delete != OnDelete::SetNull {
            assert_eq!([0, 1].map(|at| code(&verdicts[at]).as_str()), ["parent-gone"; 2]);
            assert!(
                matches!(&verdicts[0], Verdict::Rejected { path: Some(path), .. } if path.as_str() == "/companyId")
            );
            assert_eq!(tied.doc("deals", "d"), Some(json!({"companyId": "e"})));
            continue;
        }
        for (verdict, id) in verdicts.iter().zip(["late", "d"]) {
            let Verdict::Merged { overwritten, .. } = verdict else { panic!("{verdict:?}") };
            assert_eq!(
                (overwritten[0].yours.clone(), overwritten[0].kept.clone()),
                (Some(json!("c")), Some(json!(null)))
            );
            assert_eq!(tied.doc("deals", id).unwrap()["companyId"], json!(null));
        }
        assert_eq!(tied.losses("ben").len(), 2);
    }
}

#[test]
fn rule_10_a_child_waits_for_its_parent_and_goes_with_it() {
    let mut tied = Tied::new(policy(OnDelete::Cascade));
    let child = make("deals", "d", json!({"companyId": "c"}));
    assert_eq!(tied.push("ann", std::slice::from_ref(&child)), [MISSING]);
    // The parent is refused: who waits for it waits on, and what follows waits behind him.
    tied.one("ben", make("companies", "x", json!({"taken": 1})));
    let mut refused = make("companies", "x", json!({}));
    refused["set"] = json!({"/other": 1});
    let of_x = make("deals", "e", json!({"companyId": "x"}));
    let later = change("deals", "e", 0, &[("/f", json!(null), json!(1))]);
    let verdicts = tied.push("ann", &[refused, of_x, later]);
    assert_eq!(code(&verdicts[0]), Code::Exists);
    assert_eq!(verdicts[1..], [AFTER, AFTER]);
    assert!(tied.doc("deals", "e").is_none());
    tied.one("ben", make("companies", "c", json!({})));
    assert!(matches!(tied.one("ann", child), Verdict::Applied { .. }));
}

#[test]
fn rule_27_a_parent_that_one_may_not_see_is_as_good_as_missing() {
    let policy = DeclaredPolicy::default().collection("companies", &["user:{owner}"]).unwrap();
    let policy = policy.collection("deals", &["tenant"]).unwrap();
    let mut tied = Tied::new(policy.refers("deals", "companyId", "companies", OnDelete::Cascade).unwrap());
    tied.one("ann", make("companies", "c", json!({"owner": "ann"})));
    assert_eq!(tied.one("ben", make("deals", "d", json!({"companyId": "c"}))), MISSING);
    tied.one("ann", drop("companies", "c", 1));
    assert_eq!(tied.one("ben", make("deals", "d", json!({"companyId": "c"}))), MISSING);
}

#[test]
fn rule_31_a_reference_is_an_id_or_null() {
    let mut tied = one_deal(OnDelete::Cascade);
    let Verdict::Rejected { code, path, .. } = tied.one("ann", make("deals", "f", json!({"companyId": 7}))) else {
        panic!("7 is no id")
    };
    assert_eq!((code, path.unwrap().as_str()), (Code::Invalid, "/companyId"));
    assert!(matches!(tied.one("ann", make("deals", "g", json!({"companyId": null}))), Verdict::Applied { .. }));
}

#[test]
fn rule_31_a_cascade_asks_for_the_right_to_the_parent_alone() {
    let mut tied = Tied::new(policy(OnDelete::Cascade));
    let policy = std::mem::take(&mut tied.server.policy);
    tied.server.policy = policy.collection("deals", &["team:{team}"]).unwrap();
    tied.server.policy.grant("ann", "team:red").unwrap();
    tied.push(
        "ann",
        &[make("companies", "c", json!({})), make("deals", "d", json!({"companyId": "c", "team": "red"}))],
    );
    assert_eq!(code(&tied.one("ben", drop("deals", "d", 2))), Code::Forbidden);
    assert_eq!(tied.one("ben", drop("companies", "c", 1)), Verdict::Applied { rev: 3 });
    assert!(tied.doc("deals", "d").is_none());
}

#[test]
fn a_deletion_that_takes_too_much_along_is_refused() {
    let mut tied = Tied::new(policy(OnDelete::Cascade));
    tied.one("ann", make("companies", "c", json!({})));
    let deals: Vec<_> =
        (0..=CASCADE_ENTITIES_MAX).map(|i| make("deals", &format!("d{i}"), json!({"companyId": "c"}))).collect();
    for part in deals.chunks(2_000) {
        tied.push("ann", part);
    }
    let seq = tied.server.store.seq;
    assert_eq!(code(&tied.one("ann", drop("companies", "c", seq))), Code::TooLarge);
    tied.one("ann", drop("deals", "d0", seq));
    assert_eq!(tied.one("ann", drop("companies", "c", seq)), Verdict::Applied { rev: seq + 2 });
    assert!((1..=CASCADE_ENTITIES_MAX).all(|i| tied.doc("deals", &format!("d{i}")).is_none()));
}
