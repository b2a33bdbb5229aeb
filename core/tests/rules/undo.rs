//! Undo takes back what one write did, and nothing of what others did.

use crate::world;

use tidewire_core::json;
use tidewire_core::json::Value;
use world::pair;

fn patch(what: &str, items: Value) -> Value {
    let mut op = json!({"op": "patch", "c": "deals", "id": "d1"});
    op[what] = json!({"/tags": items});
    op
}

#[test]
fn the_undo_of_items_leaves_those_of_others() {
    let (mut world, a, b) = pair();
    world.write(a, patch("set", json!(["old"])));
    world.run(1_000);
    let mine = world.write(a, patch("add", json!(["old", "mine"])));
    world.run(1_000);
    world.write(b, patch("add", json!(["his"])));
    world.run(1_000);
    world.tabs[a].engine.undo(world.now, mine).unwrap();
    world.run(1_000);
    assert_eq!(world.row(b, "d1").unwrap()["tags"], json!(["old", "his"]), "what was there before stays, too");

    let mine = world.write(a, patch("remove", json!(["old", "never there"])));
    world.write(a, patch("add", json!(["more"])));
    world.run(1_000);
    world.tabs[a].engine.undo(world.now, mine).unwrap();
    world.run(1_000);
    assert_eq!(world.row(b, "d1").unwrap()["tags"], json!(["his", "more", "old"]));
}

#[test]
fn the_undo_of_a_deletion_stands_though_the_server_does_not_know_the_entity_any_more() {
    let (mut world, a, b) = pair();
    world.kill(a);
    world.write(b, json!({"op": "delete", "c": "deals", "id": "d1"}));
    world.run(1_000);
    world.server.prune();
    world.set_network(false);
    let a = world.reload(a);
    world.write(a, patch("set", json!(["mine"])));
    world.settle();
    let deletion = world.write(a, json!({"op": "delete", "c": "deals", "id": "d1"}));
    world.settle();
    world.tabs[a].engine.undo(world.now, deletion).unwrap();
    world.settle();
    world.set_network(true);
    world.run(120_000);
    assert_eq!(world.view(a, "status")["pending"], 0);
    for tab in [a, b] {
        assert_eq!(world.row(tab, "d1").unwrap()["tags"], json!(["mine"]), "tab {tab}");
    }
}
