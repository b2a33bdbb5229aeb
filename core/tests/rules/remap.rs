//! Rule 29 and invariant 9 on the client: an id that became another's is that one's everywhere, and there is no gap.

use crate::world;

use tidewire_core::authority::groups::field_path;
use tidewire_core::authority::relations::{NaturalKey, OnDelete, Reference, Relations};
use tidewire_core::ids::CollectionName;
use tidewire_core::json;
use tidewire_core::json::Value;
use world::partial::{device, fetch, ids};
use world::{Fault, World, delete, insert, set, world};

/// Deals are known by their number, and refer to each other.
fn known_by_number() -> World {
    let mut world = world();
    let deals = CollectionName::parse("deals").unwrap();
    let field = |name| field_path(name).unwrap();
    let key = NaturalKey { fields: vec![field("number")], exact: false };
    let parent =
        Reference { from: deals.clone(), path: field("parent"), to: deals.clone(), on_delete: OnDelete::SetNull };
    world.server.relations = Relations { references: vec![parent], keys: [(deals, vec![key])].into() };
    world
}

/// A device that knows deal `a` of the number 7, and one that made it offline as `b`.
fn made_twice() -> (World, usize, usize) {
    let mut world = known_by_number();
    let (one, other) = (world.device(), world.device());
    world.write(one, insert("a", json!({"number": "7", "title": "theirs", "city": "Ulm"})));
    world.run(1_000);
    world.set_network(false);
    world.write(other, insert("b", json!({"number": " 7", "title": "ours", "note": "n"})));
    world.settle();
    (world, one, other)
}

fn fields(row: Option<Value>) -> Value {
    let mut row = row.unwrap_or_default();
    if let Some(fields) = row.as_object_mut() {
        fields.retain(|key, _| !key.starts_with('$'));
    }
    row
}

#[test]
fn invariant_09_an_old_id_works_in_reads_and_writes() {
    let (mut world, one, other) = made_twice();
    world.set_network(true);
    world.run(10_000);
    assert_eq!(world.events(other, "remap"), [json!({"type": "remap", "collection": "deals", "from": "b", "to": "a"})]);
    let merged = json!({"id": "a", "number": " 7", "title": "ours", "city": "Ulm", "note": "n"});
    assert_eq!(fields(world.row(other, "b")), merged);
    assert_eq!(fields(world.row(other, "a")), merged);
    assert_eq!(ids(&mut world, other), ["a"]);
    world.write(other, set("b", "/city", "Bonn"));
    assert_eq!(world.row(other, "a").unwrap()["city"], "Bonn");
    world.run(5_000);
    assert_eq!(world.row(one, "a").unwrap()["city"], "Bonn");
    world.write(other, delete("b"));
    world.run(5_000);
    assert_eq!((world.row(one, "a"), world.row(other, "b")), (None, None));
    assert_eq!(world.view(other, "queue")["failed"], json!([]));
}

/// Field note 16: rows vanish from the UI between the answer and the download.
#[test]
fn invariant_09_between_the_answer_and_the_pull_there_is_no_gap_and_nothing_twice() {
    let mut world = known_by_number();
    let one = world.device();
    world.write(one, insert("a", json!({"number": "7", "title": "theirs", "city": "Ulm"})));
    world.run(1_000);
    world.set_network(false);
    // It has never pulled: when the answer comes the other's row is not there yet.
    let other = world.device();
    world.write(other, insert("b", json!({"number": " 7", "title": "ours", "note": "n"})));
    world.settle();
    world.sockets = false;
    world.network = true;
    world.pull_faults = (0..3).map(|_| Fault::Lost).collect();
    let mut alone = false;
    for _ in 0..2_000 {
        world.run(10);
        let rows = ids(&mut world, other);
        let known = world.events(other, "remap").len();
        assert!(!rows.is_empty(), "it is gone");
        assert!(known == 0 || rows == ["a"], "{rows:?}");
        let row = world.row(other, "b").unwrap();
        assert_eq!((&row["title"], &row["note"]), (&json!("ours"), &json!("n")), "{row}");
        // The answer is there, the row is not.
        alone |= known == 1 && row.get("city").is_none();
    }
    assert!(alone, "the answer was there before the row");
    assert_eq!(fields(world.row(other, "b"))["city"], "Ulm");
}

#[test]
fn invariant_09_the_alias_is_durable_and_every_tab_has_it() {
    for sealed in [false, true] {
        let (mut world, one, other) = made_twice();
        let beside = world.tab(world.tabs[other].profile);
        world.set_network(true);
        world.run(10_000);
        assert_eq!(fields(world.row(beside, "b"))["id"], "a");
        if sealed {
            // So much that the log is sealed away, with what waits in it.
            for n in 0..600 {
                world.write(other, insert(&format!("x{n}"), json!({"title": "x"})));
            }
            world.run(60_000);
        }
        world.set_network(false);
        world.write(other, set("b", "/note", "later"));
        world.settle();
        world.kill(beside);
        let other = world.reload(other);
        assert_eq!(world.row(other, "b").unwrap()["note"], "later", "sealed: {sealed}");
        world.set_network(true);
        world.run(10_000);
        assert_eq!(world.row(one, "a").unwrap()["note"], "later");
    }
}

/// What was written under the old id while the answer was on its way waits and shows on the new one, sealed or not.
#[test]
fn invariant_09_edits_that_wait_under_the_old_id_show_on_the_new_one() {
    let (mut world, one, other) = made_twice();
    let beside = world.tab(world.tabs[other].profile);
    world.set_network(true);
    world.tabs[other].latency = (100, 5_000);
    world.tabs[beside].latency = (100, 5_000);
    while world.server.store.seq < 2 {
        world.step();
    }
    world.write(beside, set("b", "/note", "meanwhile"));
    world.write(beside, set("b", "/more", 1));
    world.run(6_000);
    let row = world.row(beside, "a").unwrap();
    assert_eq!((&row["note"], &row["more"]), (&json!("meanwhile"), &json!(1)), "{row}");
    world.run(20_000);
    assert_eq!(world.row(one, "a").unwrap()["note"], "meanwhile");
    assert_eq!(world.view(beside, "status")["pending"], 0);
}

#[test]
fn invariant_09_a_server_that_forgot_which_ids_became_one_decides_anew() {
    let (mut world, one, other) = made_twice();
    let backup = world.server.store.clone();
    world.set_network(true);
    world.run(10_000);
    assert_eq!(fields(world.row(other, "b"))["id"], "a");
    // The backup knows nothing of the second one.
    world.server.store = backup;
    world.server.history = "restored".into();
    world.kill(one);
    world.run(60_000);
    assert_eq!(fields(world.row(other, "b"))["title"], "ours");
    assert_eq!(ids(&mut world, other), ["a"]);
    assert_eq!(world.view(other, "status")["pending"], 0);
}

fn query(world: &mut World, tab: usize, request: Value) -> Value {
    serde_json::from_str(&world.tabs[tab].engine.query(&request.to_string()).unwrap()).unwrap()
}

/// What refers to the old id shows the new one, also while it waits; and who asks by the old id gets it.
#[test]
fn invariant_09_references_lead_to_the_new_id() {
    let (mut world, one, other) = made_twice();
    let refs = json!({"collections": {"deals": {"refs": {"/parent": {"to": "deals"}}}, "people": {}}});
    world.kill(other);
    let other = world.tab_with(world.tabs[other].profile, refs);
    let children = json!({"c": "deals", "where": {"path": "/parent", "op": "eq", "value": "b"}, "watch": true});
    let kept = query(&mut world, other, children.clone());
    assert_eq!(kept["items"], json!([]));
    world.set_network(true);
    world.run(10_000);
    world.set_network(false);
    // The app goes on with the id that it has.
    world.write(other, insert("child", json!({"title": "c", "parent": "b"})));
    assert_eq!(world.row(other, "child").unwrap()["parent"], "a");
    let again = query(&mut world, other, json!({"delta": kept["handle"]}));
    assert_eq!(again["items"], json!(["child"]), "{again}");
    assert_eq!(query(&mut world, other, children)["items"], json!(["child"]));
    let by_id = json!({"c": "deals", "where": {"path": "$id", "op": "in", "value": ["b", "child"]}});
    assert_eq!(query(&mut world, other, by_id)["items"], json!(["a", "child"]));
    world.set_network(true);
    world.run(10_000);
    assert_eq!(world.row(one, "child").unwrap()["parent"], "a");
}

#[test]
fn an_insert_that_became_an_edit_is_not_undone_by_a_deletion() {
    let (mut world, one, other) = made_twice();
    let write = world.write(other, insert("c", json!({"number": "7", "title": "again"})));
    world.set_network(true);
    world.run(10_000);
    let refused = world.tabs[other].engine.undo(world.now, write).unwrap_err();
    assert_eq!(refused.code.as_str(), "not-in-queue");
    assert!(refused.message.contains("became one with an entity that was there"), "{}", refused.message);
    assert!(world.row(one, "a").is_some());
}

/// A device that keeps nothing of the deals asks for one by the id that its author gave it.
#[test]
fn invariant_09_an_entity_is_fetched_by_an_id_that_became_anothers_elsewhere() {
    let (mut world, one, other) = made_twice();
    world.set_network(true);
    world.run(10_000);
    let none = device(&mut world, &json!("none"));
    world.run(1_000);
    world.write(none, insert("unrelated", json!({"title": "u"})));
    fetch(&mut world, none, "b");
    world.run(5_000);
    assert_eq!(fields(world.row(none, "b"))["note"], "n");
    let told: Vec<_> = world.events(none, "fetched").iter().map(|event| event["id"].clone()).collect();
    assert!(told.contains(&json!("a")) && told.contains(&json!("b")), "{told:?}");
    assert_eq!(world.events(none, "remap").len(), 1);
    // From here on it knows, and asks by the id that counts.
    assert_eq!(fetch(&mut world, none, "b"), json!({"hit": true, "id": "a"}));
    world.write(none, set("b", "/city", "Bonn"));
    world.run(5_000);
    for tab in [one, other] {
        assert_eq!(world.row(tab, "a").unwrap()["city"], "Bonn");
    }
    assert_eq!(world.view(none, "queue"), json!({"pending": [], "failed": []}));
}

/// Two ids of one entity, and one of nobody, in one go.
#[test]
fn invariant_09_all_who_ask_by_several_ids_are_answered() {
    let (mut world, one, _) = made_twice();
    world.set_network(true);
    world.run(10_000);
    let none = device(&mut world, &json!("none"));
    world.run(1_000);
    for id in ["b", "a", "nobody"] {
        fetch(&mut world, none, id);
    }
    world.run(5_000);
    let told: Vec<_> = world.events(none, "fetched").iter().map(|event| event["id"].clone()).collect();
    for id in ["b", "a", "nobody"] {
        assert!(told.contains(&json!(id)), "{id} of {told:?}");
    }
    assert!(world.server.fetches <= 4, "{}", world.server.fetches);
    // One who was told, and another who asks when it is gone.
    world.write(one, delete("a"));
    world.run(2_000);
    let late = device(&mut world, &json!("none"));
    world.run(1_000);
    fetch(&mut world, late, "b");
    world.run(5_000);
    assert_eq!((world.events(late, "fetched").len(), world.row(late, "b")), (1, None));
}
