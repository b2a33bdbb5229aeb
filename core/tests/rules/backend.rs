//! What the engine tells a peer that runs in its own tab (`core/src/replica/backend.rs`).

use crate::world;

use tidewire_core::json;
use world::{insert, pair, set, world};

#[test]
fn a_peer_reads_what_is_confirmed_without_what_is_pending() {
    let (mut world, a, _) = pair();
    world.set_network(false);
    world.write(a, set("d1", "/f", 9));
    world.write(a, insert("d2", json!({"f": 1})));
    world.run(100);
    let answer = world.command(a, json!({"do": "confirmed", "c": "deals", "ids": ["d1", "d2"]}));
    let (first, rev) = (&answer["rows"][0], answer["rows"][0]["rev"].as_u64().unwrap());
    assert_eq!(first["doc"], json!({"f": 0, "g": 0}), "the pending edit is not in it");
    assert_eq!(first["g"], json!(["tenant"]));
    assert_eq!(answer["rows"][1], json::Value::Null);
    let none = world.command(a, json!({"do": "confirmed", "c": "deals"}));
    assert!(none["seq"].as_u64().unwrap() >= rev);
}

#[test]
fn a_settled_mutation_counts_for_the_highest_revision() {
    let (mut world, a, _) = pair();
    world.sockets = false;
    world.tabs[a].socket = None;
    let before = world.command(a, json!({"do": "confirmed", "c": "deals"}))["seq"].as_u64().unwrap();
    world.write(a, set("d1", "/f", 1));
    world.pull_faults.extend((0..20).map(|_| world::Fault::Silent));
    world.run(500);
    let queue = world.view(a, "queue");
    let known = world.command(a, json!({"do": "confirmed", "c": "deals"}))["seq"].as_u64().unwrap();
    assert!(known > before, "{known} after {before}: {queue}");
}

#[test]
fn a_collection_that_is_declared_later_is_written_and_pulled_by_the_tab_that_leads() {
    let mut world = world();
    let profile = world.profile();
    let a = world.tab_with(profile, json!({"collections": {}}));
    let follower = world.tab_with(profile, json!({"collections": {}}));
    let b = world.device();
    world.run(1_000);
    let op = insert("d1", json!({"f": 1}));
    let refused = world.tabs[a].engine.write(world.now, &json!({"ops": [op]}).to_string(), "").unwrap_err();
    assert_eq!(refused.code.as_str(), "unknown-collection");
    world.command(follower, json!({"do": "declare", "collections": {"deals": {"conflict": "merge"}}}));
    world.write(follower, insert("d1", json!({"f": 1})));
    world.write(b, insert("d2", json!({"f": 2})));
    world.run(10_000);
    for tab in [a, follower, b] {
        let rows = (world.row(tab, "d1"), world.row(tab, "d2"));
        assert!(matches!(rows, (Some(_), Some(_))), "tab {tab} has {rows:?}");
    }
}
