//! What was written before anybody signed in moves to the store of its user: whole, once, and to nobody else.

use crate::world;

use tidewire_core::ids::{MutationId, Owner, ReplicaId};
use tidewire_core::io::StoreError;
use tidewire_core::json;
use tidewire_core::json::{Raw, Value};
use tidewire_core::log::record::{Claim, Commit, Record, Replica, Sent};
use tidewire_core::store::fold::fold;
use tidewire_core::store::state::{State, Status};
use world::{Fault, World, inc, insert, set, world};

const STEPS: usize = 4;

/// A tab of nobody's store, in a profile of its own as each store is.
fn nobodys(world: &mut World) -> usize {
    let profile = world.profile();
    local(world, profile)
}

fn local(world: &mut World, profile: usize) -> usize {
    world.tab_with(profile, json!({"url": null}))
}

fn claimed(world: &mut World, source: usize, user: &str) -> Value {
    world.command(source, json!({"do": "claimed", "to": user}))
}

/// The steps that the face takes, up to one of them. Where they end early, the tab died there.
fn adopt(world: &mut World, source: usize, target: usize, user: &str, steps: usize) {
    if steps > 0 {
        world.command(source, json!({"do": "claim", "to": user}));
        world.settle();
    }
    let found = claimed(world, source, user);
    if steps > 1 && found["records"] != json!([]) {
        world.command(target, adoption(&found));
        world.settle();
    }
    if steps > 2 && found["records"] != json!([]) {
        world.command(source, json!({"do": "claim", "to": user, "done": found["done"]}));
        world.settle();
    }
}

fn adoption(found: &Value) -> Value {
    json!({"do": "adopt", "records": found["records"]})
}

fn rows(world: &World, tab: usize) -> usize {
    (0..400).filter(|n| world.row(tab, &format!("d{n}")).is_some()).count()
}

/// Rows, edits on them and a transaction, written by nobody.
fn written(world: &mut World, count: usize) -> usize {
    let source = nobodys(world);
    for n in 0..count {
        world.write(source, insert(&format!("d{n}"), json!({"n": n, "votes": 1})));
        world.settle();
    }
    world.write(source, inc("d0", "/votes", 10));
    world.write_all(source, true, json!([set("d0", "/by", "tx"), inc("d1", "/votes", 100)]));
    world.settle();
    source
}

fn check_moved(world: &mut World, source: usize, target: usize, count: usize) {
    world.run(30_000);
    assert_eq!(rows(world, source), 0, "nobody's store does not show them any more");
    assert_eq!(rows(world, target), count);
    assert_eq!(world.view(target, "status")["pending"], 0, "{}", world.view(target, "queue"));
    assert_eq!(world.view(source, "status")["pending"], 0);
    assert_eq!(world.server.store.entities.len(), count);
    let (first, second) = (world.row(target, "d0").unwrap(), world.row(target, "d1").unwrap());
    assert_eq!((&first["votes"], &first["by"], &second["votes"]), (&json!(11), &json!("tx"), &json!(101)));
    let left = claimed(world, source, "ann");
    assert_eq!((&left["records"], &left["pending"]), (&json!([]), &json!(0)));
}

#[test]
fn what_nobody_wrote_becomes_the_users_once() {
    let mut world = world();
    let source = written(&mut world, 5);
    let target = world.device();
    assert_eq!(claimed(&mut world, source, "ann")["pending"], 8);
    adopt(&mut world, source, target, "ann", STEPS);
    check_moved(&mut world, source, target, 5);
    let pushed: Vec<Value> =
        world.tabs[target].pushes.iter().flat_map(|push| push["mutations"].as_array().cloned().unwrap()).collect();
    assert!(pushed.iter().any(|item| item.to_string().contains("\"tx\"")), "a transaction stays one");
}

#[test]
fn a_crash_between_any_two_steps_loses_nothing_and_doubles_nothing() {
    // With 300 rows the log is sealed in between, and what it said comes from segments.
    for count in [5, 300] {
        for steps in 0..STEPS {
            let mut world = world();
            let mut source = written(&mut world, count);
            let mut target = world.device();
            adopt(&mut world, source, target, "ann", steps);
            for round in 0..2 {
                world.run(5_000);
                target = world.reload(target);
                let profile = world.tabs[source].profile;
                world.kill(source);
                source = local(&mut world, profile);
                adopt(&mut world, source, target, "ann", if round == 0 { steps } else { STEPS });
            }
            assert_eq!(world.disks[world.tabs[source].profile].seals > 0, count == 300);
            check_moved(&mut world, source, target, count);
        }
    }
}

#[test]
fn tabs_that_sign_in_at_once_adopt_once() {
    let mut world = world();
    let source = written(&mut world, 5);
    let profile = world.tabs[source].profile;
    let sources = [source, local(&mut world, profile), local(&mut world, profile)];
    let target = world.device();
    let targets = [target, world.tab(world.tabs[target].profile), world.tab(world.tabs[target].profile)];
    for source in sources {
        world.command(source, json!({"do": "claim", "to": "ann"}));
    }
    world.settle();
    let found: Vec<Value> = sources.iter().map(|source| claimed(&mut world, *source, "ann")).collect();
    // Nobody has heard of anybody: all three write what all three found.
    for (target, found) in targets.iter().zip(&found) {
        world.command(*target, adoption(found));
    }
    world.settle();
    for (source, found) in sources.iter().zip(&found) {
        world.command(*source, json!({"do": "claim", "to": "ann", "done": found["done"]}));
    }
    for (source, target) in sources.into_iter().zip(targets) {
        check_moved(&mut world, source, target, 5);
    }
}

#[test]
fn the_first_who_claims_an_edit_gets_it() {
    let mut world = world();
    let source = written(&mut world, 2);
    let (ann, bob) = (world.device(), world.device());
    // Offline: the server would show each of them the other's.
    world.set_network(false);
    adopt(&mut world, source, ann, "ann", 1);
    world.write(source, insert("d2", json!({})));
    world.settle();
    adopt(&mut world, source, bob, "bob", STEPS);
    assert_eq!((rows(&world, bob), world.row(bob, "d2").is_some()), (1, true));
    adopt(&mut world, source, ann, "ann", STEPS);
    assert_eq!((rows(&world, ann), rows(&world, source)), (2, 0));
    world.write(source, insert("d3", json!({})));
    world.settle();
    adopt(&mut world, source, ann, "ann", STEPS);
    assert_eq!((rows(&world, ann), rows(&world, bob)), (3, 1), "what comes later is a later user's");
}

#[test]
fn what_is_given_up_is_gone_and_what_was_claimed_before_is_not() {
    let mut world = world();
    let source = written(&mut world, 2);
    let target = world.device();
    adopt(&mut world, source, target, "ann", 1);
    world.write(source, insert("d2", json!({})));
    world.settle();
    world.command(source, json!({"do": "claim"}));
    world.settle();
    assert_eq!((rows(&world, source), &claimed(&mut world, source, "ann")["pending"]), (0, &json!(0)));
    adopt(&mut world, source, target, "ann", STEPS);
    check_moved(&mut world, source, target, 2);
}

#[test]
fn an_adoption_that_cannot_be_stored_is_taken_back_and_succeeds_later() {
    let mut world = world();
    let source = written(&mut world, 3);
    let target = world.device();
    adopt(&mut world, source, target, "ann", 1);
    let found = claimed(&mut world, source, "ann");
    world.tabs[target].store_faults.push_back(StoreError::Quota);
    world.command(target, adoption(&found));
    world.settle();
    assert_eq!((world.events(target, "write-failed").len(), rows(&world, target)), (1, 0));
    world.run(60_000);
    adopt(&mut world, source, target, "ann", STEPS);
    check_moved(&mut world, source, target, 3);
}

#[test]
fn an_adopted_edit_is_as_safe_as_any() {
    for fault in [Fault::Lost, Fault::AnswerLost, Fault::Twice, Fault::Status(503, None)] {
        let mut world = world();
        let source = written(&mut world, 3);
        let target = world.device();
        world.push_faults.extend([fault.clone(), fault]);
        adopt(&mut world, source, target, "ann", STEPS);
        world.run(40);
        let target = world.reload(target);
        check_moved(&mut world, source, target, 3);
    }
}

#[test]
fn rule_09_what_a_token_may_have_pushed_is_not_moved() {
    let mut world = world();
    let guest = world.device();
    world.set_network(false);
    world.write(guest, insert("d0", json!({})));
    world.settle();
    world.set_network(true);
    world.run(1_000);
    world.set_network(false);
    world.write(guest, insert("d1", json!({})));
    world.settle();
    assert_eq!(world.command(guest, json!({"do": "claim", "to": "ann"})), json!({}));
    let found = claimed(&mut world, guest, "ann");
    assert_eq!((&found["pending"], &found["records"]), (&json!(0), &json!([])));
    assert_eq!(rows(&world, guest), 2);
}

#[test]
fn rule_09_a_claim_behind_an_owner_or_a_sent_has_no_effect() {
    let raw = json!({"c": "deals", "id": "d1", "kind": "insert", "base": 0, "at": [1, 0]}).to_string();
    let commit = || Record::Commit(Commit { mutations: vec![Raw::parse(&raw).unwrap()], tx: vec![], call: None });
    let claim = || Record::Claim(Claim { to: Some("ann".into()), done: None });
    let id = ReplicaId::parse("r1").unwrap();
    let owner = Some(Owner { tenant: "acme".into(), subject: "guest".into() });
    let sent = Record::Sent(Sent { fence: 0, through: MutationId(1, 0) });
    let status = |between: Option<Record>| {
        let mut state = State::default();
        for (key, record) in (1..).zip([Some(commit()), between, Some(claim())].into_iter().flatten()) {
            fold(&mut state, key, Record::decode(&record.encode()).unwrap(), 0).unwrap();
        }
        state.queue.get(&MutationId(1, 0)).unwrap().status
    };
    assert!(matches!(status(None), Status::Claimed(_)));
    assert!(matches!(status(Some(Record::Replica(Replica { id: id.clone(), owner: None }))), Status::Claimed(_)));
    assert_eq!(status(Some(Record::Replica(Replica { id, owner }))), Status::Queued);
    assert_eq!(status(Some(sent)), Status::Queued);
}
