//! Local fields never leave the device. They are shown like the others, stay through whatever the server changes, and
//! go with their entity.

use crate::world;

use tidewire_core::io::StoreError;
use tidewire_core::json;
use tidewire_core::json::Value;
use world::{World, delete, insert, set, world};

/// No text of a local field may stand in anything that leaves.
const CANARY: &str = "canary";

fn options() -> Value {
    json!({"collections": {"deals": {"local": ["/note", "/ui/open"]}, "people": {}}})
}

fn device(world: &mut World) -> usize {
    let profile = world.profile();
    world.tab_with(profile, options())
}

fn reload(world: &mut World, tab: usize) -> usize {
    world.kill(tab);
    let profile = world.tabs[tab].profile;
    world.tab_with(profile, options())
}

/// A device with a deal that has local values, and one that sees what the server has.
fn two() -> (World, usize, usize) {
    let mut world = world();
    let a = device(&mut world);
    let b = world.device();
    let value = json!({"city": "Ulm", "note": "canary 1", "ui": {"open": "canary 2", "tab": 1}});
    world.write(a, insert("d1", value));
    world.run(1_000);
    (world, a, b)
}

fn nothing_left(world: &World) {
    for tab in &world.tabs {
        for push in &tab.pushes {
            assert!(!push.to_string().contains(CANARY), "{push}");
        }
    }
    for row in world.server.store.entities.values() {
        assert!(!row.stored.doc.to_string().contains(CANARY), "{}", row.stored.doc);
    }
}

fn field(world: &World, tab: usize, path: &str) -> Value {
    let mut at = world.row(tab, "d1").unwrap();
    for key in path.split('/').skip(1) {
        at = at.get(key).cloned().unwrap_or_default();
    }
    at
}

#[test]
fn local_fields_are_shown_and_never_leave() {
    let (mut world, a, b) = two();
    let row = world.row(a, "d1").unwrap();
    assert_eq!((&row["note"], &row["ui"]), (&json!("canary 1"), &json!({"open": "canary 2", "tab": 1})));
    assert_eq!(row["$sync"]["status"], "synced");
    assert_eq!(field(&world, b, "/ui"), json!({"tab": 1}));
    assert_eq!(field(&world, b, "/note"), Value::Null);

    // An edit of local fields alone is no news for anybody.
    let (pushes, seq) = (world.tabs[a].pushes.len(), world.server.store.seq);
    let write = world.write(a, set("d1", "/note", "canary 3"));
    assert_eq!(field(&world, a, "/note"), "canary 3", "at once");
    world.run(1_000);
    assert!(world.events(a, "durable").iter().any(|event| event["write"] == write));
    assert_eq!((world.tabs[a].pushes.len(), world.server.store.seq), (pushes, seq));
    assert_eq!(world.view(a, "status")["pending"], 0);

    // Both in one edit; a value that holds a local field; a whole document; a delete, whose `was` has all fields.
    let both = json!({"/note": "canary 4", "/city": "Bonn"});
    world.write(a, json!({"op": "patch", "c": "deals", "id": "d1", "set": both}));
    world.write(a, json!({"op": "patch", "c": "deals", "id": "d1", "set": {"/ui": {"open": "canary 5", "tab": 2}}}));
    world.run(1_000);
    assert_eq!((field(&world, a, "/note"), field(&world, a, "/ui/open")), (json!("canary 4"), json!("canary 5")));
    assert_eq!((field(&world, b, "/city"), field(&world, b, "/ui")), (json!("Bonn"), json!({"tab": 2})));
    let value = json!({"city": "Rom", "note": "canary 6", "ui": {"tab": 3}});
    world.write(a, json!({"op": "replace", "c": "deals", "id": "d1", "value": value}));
    world.run(1_000);
    assert_eq!((field(&world, a, "/note"), field(&world, a, "/ui")), (json!("canary 6"), json!({"tab": 3})));
    assert_eq!(field(&world, b, "/city"), "Rom");
    world.write(a, delete("d1"));
    world.run(1_000);
    assert!(world.row(a, "d1").is_none() && world.row(b, "d1").is_none());
    nothing_left(&world);
}

#[test]
fn local_fields_stay_through_the_servers_changes_reload_and_seal_and_in_all_tabs() {
    let (mut world, a, b) = two();
    world.write(b, set("d1", "/city", "Wien"));
    world.run(1_000);
    assert_eq!((field(&world, a, "/city"), field(&world, a, "/note")), (json!("Wien"), json!("canary 1")));
    let a = reload(&mut world, a);
    assert_eq!(field(&world, a, "/note"), "canary 1", "from the log");
    for n in 0..400 {
        world.write(a, insert(&format!("n{n}"), json!({"n": n})));
        world.run(5);
    }
    world.run(10_000);
    let profile = world.tabs[a].profile;
    assert!(world.disks[profile].seals > 0, "sealed");
    let a = reload(&mut world, a);
    assert_eq!(field(&world, a, "/note"), "canary 1", "from a segment");
    let other = world.tab_with(profile, options());
    world.write(other, set("d1", "/note", "canary 7"));
    world.run(1_000);
    assert_eq!(field(&world, a, "/note"), "canary 7");
    assert!(world.events(a, "changed").iter().any(|event| event["collection"] == "deals"));
    assert!(world.events(a, "changed").iter().all(|event| !event["collection"].to_string().contains('$')));
    // The server forgets its past: everything is read again.
    world.server.policy_version = "p2".into();
    world.set_network(false);
    world.set_network(true);
    world.run(5_000);
    assert_eq!(world.events(a, "reset").len() + world.events(other, "reset").len(), 2);
    assert_eq!(field(&world, a, "/note"), "canary 7");
    assert!(world.view(a, "health")["reasons"].to_string().contains("[]"), "no digest differs");
    nothing_left(&world);
}

#[test]
fn local_fields_go_with_their_entity() {
    let (mut world, a, b) = two();
    world.write(b, delete("d1"));
    world.run(1_000);
    assert!(world.row(a, "d1").is_none());
    world.write(b, insert("d1", json!({"city": "Ulm"})));
    world.run(1_000);
    assert_eq!(field(&world, a, "/note"), Value::Null, "of another deal");
    // What was deleted here, too; also before the server has heard of it.
    world.write(a, set("d1", "/note", "canary 8"));
    world.write(a, delete("d1"));
    world.write(a, insert("d1", json!({"city": "Rom"})));
    assert_eq!(field(&world, a, "/note"), Value::Null);
    world.run(1_000);
    let a = reload(&mut world, a);
    assert_eq!(field(&world, a, "/note"), Value::Null);
    nothing_left(&world);
}

#[test]
fn undo_brings_local_fields_back() {
    let (mut world, a, b) = two();
    let write = world.write(
        a,
        json!({"op": "patch", "c": "deals", "id": "d1",
        "set": {"/note": "canary 9", "/city": "Bonn"}, "unset": ["/ui/open"]}),
    );
    world.run(1_000);
    assert_eq!(field(&world, a, "/ui"), json!({"tab": 1}));
    world.tabs[a].engine.undo(world.now, write).unwrap();
    world.run(1_000);
    let row = world.row(a, "d1").unwrap();
    assert_eq!(
        (&row["note"], &row["city"], &row["ui"]["open"]),
        (&json!("canary 1"), &json!("Ulm"), &json!("canary 2"))
    );
    let write = world.write(a, delete("d1"));
    world.run(1_000);
    world.tabs[a].engine.undo(world.now, write).unwrap();
    world.run(1_000);
    assert_eq!((field(&world, a, "/note"), field(&world, b, "/city")), (json!("canary 1"), json!("Ulm")));
    nothing_left(&world);
}

#[test]
fn without_a_server_a_delete_takes_them_and_its_undo_brings_them_back() {
    let mut world = world();
    let profile = world.profile();
    let mut options = options();
    options["url"] = Value::Null;
    let a = world.tab_with(profile, options.clone());
    world.write(a, insert("d1", json!({"city": "Ulm", "note": "canary 1"})));
    let write = world.write(a, delete("d1"));
    world.settle();
    world.tabs[a].engine.undo(world.now, write).unwrap();
    assert_eq!(field(&world, a, "/note"), "canary 1");
    world.write(a, delete("d1"));
    world.settle();
    world.kill(a);
    let a = world.tab_with(profile, options);
    world.write(a, insert("d1", json!({"city": "Rom"})));
    assert_eq!(field(&world, a, "/note"), Value::Null);
}

#[test]
fn what_was_written_before_signing_in_moves_with_its_local_half() {
    let mut world = world();
    let (guest, user) = (world.profile(), world.profile());
    let mut alone = options();
    alone["url"] = Value::Null;
    let a = world.tab_with(guest, alone.clone());
    world.write(a, insert("d1", json!({"city": "Ulm", "note": "canary 1"})));
    world.write(a, set("d1", "/city", "Bonn"));
    world.settle();
    world.command(a, json!({"do": "claim", "to": "ada"}));
    world.settle();
    let claimed = world.command(a, json!({"do": "claimed", "to": "ada"}));
    let b = world.tab_with(user, options());
    world.command(b, json!({"do": "adopt", "records": claimed["records"]}));
    world.run(1_000);
    world.command(a, json!({"do": "claim", "to": "ada", "done": claimed["done"]}));
    world.settle();
    assert_eq!((field(&world, b, "/city"), field(&world, b, "/note")), (json!("Bonn"), json!("canary 1")));
    let b = reload(&mut world, b);
    assert_eq!(field(&world, b, "/note"), "canary 1");
    world.write(a, insert("d1", json!({"city": "Rom"})));
    assert_eq!(field(&world, a, "/note"), Value::Null, "nothing is left behind");
    nothing_left(&world);
}

#[test]
fn a_refused_write_keeps_its_local_half() {
    let mut world = world();
    let a = device(&mut world);
    world.run(1_000);
    world.server.reject = Some(("/city".into(), json!("Nowhere")));
    world.write(a, insert("d1", json!({"city": "Nowhere", "note": "canary 1"})));
    world.run(1_000);
    assert!(world.row(a, "d1").is_none());
    let failed = world.view(a, "queue")["failed"].clone();
    world.command(a, json!({"do": "edit", "n": failed[0]["n"], "set": {"/city": "Ulm"}, "unset": []}));
    world.run(1_000);
    assert_eq!((field(&world, a, "/city"), field(&world, a, "/note")), (json!("Ulm"), json!("canary 1")));
    // Given up, it takes its local half with it.
    world.write(a, insert("d2", json!({"city": "Nowhere", "note": "canary 2"})));
    world.run(1_000);
    let failed = world.view(a, "queue")["failed"].clone();
    world.command(a, json!({"do": "discard", "n": failed[0]["n"]}));
    world.run(1_000);
    let b = world.device();
    world.write(b, insert("d2", json!({"city": "Ulm"})));
    world.run(1_000);
    assert_eq!(world.row(a, "d2").unwrap().get("note"), None);
    nothing_left(&world);
}

#[test]
fn what_found_no_room_is_tried_again_with_both_halves() {
    let (mut world, a, b) = two();
    world.tabs[a].store_faults.push_back(StoreError::Quota);
    let both = json!({"/note": "canary 4", "/city": "Bonn"});
    world.write(a, json!({"op": "patch", "c": "deals", "id": "d1", "set": both}));
    world.run(1_000);
    assert_eq!((field(&world, a, "/note"), field(&world, a, "/city")), (json!("canary 1"), json!("Ulm")));
    let failed = world.view(a, "queue")["failed"].clone();
    assert!(failed.as_array().unwrap().iter().all(|entry| entry["collection"] == "deals"), "{failed}");
    world.command(a, json!({"do": "retry", "n": failed[0]["n"]}));
    world.run(1_000);
    assert_eq!((field(&world, a, "/note"), field(&world, b, "/city")), (json!("canary 4"), json!("Bonn")));
    assert_eq!(world.view(a, "queue"), json!({"pending": [], "failed": []}));
    nothing_left(&world);
}

#[test]
fn a_store_that_was_wiped_is_filled_again_with_what_nobody_else_has() {
    let (mut world, a, _) = two();
    let profile = world.tabs[a].profile;
    world.disks[profile] = world::disk::Disk::default();
    world.write(a, set("d1", "/city", "Bonn"));
    world.run(5_000);
    assert_eq!((field(&world, a, "/note"), field(&world, a, "/city")), (json!("canary 1"), json!("Bonn")));
    let a = reload(&mut world, a);
    assert_eq!(field(&world, a, "/note"), "canary 1");
    nothing_left(&world);
}

#[test]
fn a_tab_that_finds_its_store_replaced_late_puts_back_no_older_values() {
    let (mut world, a, _) = two();
    let profile = world.tabs[a].profile;
    let late = world.tab_with(profile, options());
    for n in 0..20 {
        world.write(a, set("d1", "/count", n));
        world.run(100);
    }
    world.tabs[late].dead = true;
    world.disks[profile] = world::disk::Disk::default();
    world.write(a, set("d1", "/city", "Bonn"));
    world.run(5_000);
    world.write(a, set("d1", "/note", "canary 3"));
    world.run(1_000);
    world.tabs[late].dead = false;
    world.write(late, set("d1", "/city", "Kiel"));
    world.run(5_000);
    for tab in [a, late] {
        assert_eq!((field(&world, tab, "/note"), field(&world, tab, "/city")), (json!("canary 3"), json!("Kiel")));
    }
}

#[test]
fn a_deletion_that_is_told_late_takes_no_values_of_what_was_made_again() {
    let (mut world, a, b) = two();
    world.write(b, delete("d1"));
    world.tabs[a].dead = true;
    world.run(1_000);
    world.tabs[a].dead = false;
    world.set_network(false);
    world.write(a, delete("d1"));
    world.run(100);
    world.write(a, insert("d1", json!({"city": "Kiel", "note": "canary 4"})));
    world.run(100);
    world.set_network(true);
    world.run(10_000);
    assert_eq!(field(&world, a, "/note"), "canary 4");
}

#[test]
fn queries_see_local_fields_and_follow_them() {
    let (mut world, a, _) = two();
    let query = json!({"c": "deals", "where": {"path": "/note", "op": "startsWith", "value": "canary"}, "watch": true});
    let ask = |world: &mut World, query: &Value| -> Value {
        serde_json::from_str(&world.tabs[a].engine.query(&query.to_string()).unwrap()).unwrap()
    };
    let answer = ask(&mut world, &query);
    assert_eq!(answer["items"], json!(["d1"]));
    world.write(a, set("d1", "/note", "other"));
    let delta = ask(&mut world, &json!({"delta": answer["handle"]}));
    assert_eq!(delta["steps"], json!([[0, 1]]), "{delta}");
}

#[test]
fn options_that_cannot_be_are_refused() {
    for collections in
        [json!({"deals": {"local": ["/id"]}}), json!({"$local.deals": {}}), json!({"deals": {"local": ["x"]}})]
    {
        let config = json!({"name": "test", "collections": collections}).to_string();
        let error = tidewire_core::engine::Engine::new(&config, [1; 16]).unwrap_err();
        assert_eq!(error.code.as_str(), "bad-config", "{config}");
    }
}
