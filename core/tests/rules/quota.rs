//! A store without room: nothing is half done, what was written is kept, syncing says that it waits, and all goes on
//! when there is room.

use crate::world;

use tidewire_core::io::StoreError;
use tidewire_core::json;
use world::{inc, insert, pair, set, world};

#[test]
fn rule_04_what_there_was_no_room_for_is_kept_and_can_be_retried_edited_and_discarded() {
    let (mut world, a, b) = pair();
    world.tabs[a].store_faults.push_back(StoreError::Quota);
    let first = world.write(a, set("d1", "/f", "mine"));
    world.write(a, insert("d2", json!({"n": 2})));
    world.write(a, insert("d3", json!({"n": 3})));
    world.run(2_000);
    assert_eq!(world.events(a, "quota").len(), 1);
    let refused = world.events(a, "write-failed");
    assert_eq!(
        (refused.len(), &refused[0]["write"], &refused[0]["error"]["code"]),
        (3, &json!(first), &json!("quota"))
    );
    assert_eq!(world.row(a, "d1").unwrap()["f"], 0, "out of the view, as what a server refuses is");
    assert_eq!(world.row(a, "d1").unwrap()["$sync"]["error"]["code"], "quota");
    assert!(world.row(a, "d2").is_none());
    let status = world.view(a, "status");
    assert_eq!((&status["failed"], &status["pending"], &status["state"]), (&json!(3), &json!(0), &json!("synced")));
    assert_eq!(world.view(a, "health")["healthy"], false);

    let failed = world.view(a, "queue")["failed"].clone();
    assert_eq!((&failed[0]["set"], &failed[0]["error"]["code"]), (&json!({"/f": "mine"}), &json!("quota")));
    world.command(a, json!({"do": "retry", "n": failed[0]["n"]}));
    world.command(a, json!({"do": "edit", "n": failed[1]["n"], "set": {"/n": 22}, "unset": []}));
    world.command(a, json!({"do": "discard", "n": failed[2]["n"]}));
    world.run(2_000);
    assert_eq!(world.view(a, "queue"), json!({"pending": [], "failed": []}));
    for tab in [a, b] {
        let row = world.row(tab, "d1").unwrap();
        assert_eq!((&row["f"], &row["$sync"]["status"]), (&json!("mine"), &json!("synced")));
        assert_eq!(world.row(tab, "d2").unwrap()["n"], 22);
        assert!(world.row(tab, "d3").is_none());
    }
}

#[test]
fn rule_11_a_transaction_without_room_is_kept_whole_and_retried_whole() {
    let (mut world, a, b) = pair();
    world.tabs[a].store_faults.push_back(StoreError::Quota);
    world.write_all(a, true, json!([inc("d1", "/f", -1), inc("d1", "/g", 1), insert("log", json!({}))]));
    world.run(2_000);
    let failed = world.view(a, "queue")["failed"].clone();
    assert_eq!(failed.as_array().unwrap().len(), 3);
    world.command(a, json!({"do": "retry", "n": failed[1]["n"]}));
    world.run(2_000);
    assert_eq!(world.view(a, "queue"), json!({"pending": [], "failed": []}));
    let row = world.row(b, "d1").unwrap();
    assert_eq!((&row["f"], &row["g"]), (&json!(-1), &json!(1)));
    assert!(world.row(b, "log").is_some());
    let push = world.tabs[a].pushes.last().unwrap();
    assert!(push["mutations"].as_array().unwrap().iter().all(|item| !item["tx"].is_null()), "{push}");
}

#[test]
fn what_is_kept_of_an_app_that_goes_on_writing_is_bounded() {
    let (mut world, a, _) = pair();
    for round in 0..11 {
        world.tabs[a].store_faults.push_back(StoreError::Quota);
        for n in 0..100 {
            world.write(a, insert(&format!("r{round}n{n}"), json!({})));
        }
        world.run(10);
    }
    assert_eq!(world.events(a, "write-failed").len(), 1_100, "each is told");
    assert_eq!(world.view(a, "status")["failed"], 1_000);
    assert!(world.row(a, "r10n99").is_none());
}

#[test]
fn data_without_room_pauses_syncing_with_a_reason_until_there_is_some() {
    let (mut world, a, b) = pair();
    for _ in 0..4 {
        world.tabs[a].store_faults.push_back(StoreError::Quota);
    }
    world.write(b, set("d1", "/f", "theirs"));
    world.run(1_000);
    let status = world.view(a, "status");
    assert_eq!(
        (&status["state"], &status["reason"], &status["error"]["code"]),
        (&json!("paused"), &json!("quota"), &json!("quota"))
    );
    // A write of the user's is not kept waiting for the next try: it is told at once.
    world.write(a, insert("now", json!({})));
    world.run(10);
    assert_eq!(world.events(a, "write-failed").len(), 1);
    world.tabs[a].store_faults.clear();
    let written = world.write(a, insert("room", json!({})));
    world.run(10);
    assert_eq!(world.events(a, "durable").last().unwrap()["write"], written);
    world.run(60_000);
    assert_eq!(world.view(a, "status")["state"], "synced");
    assert_eq!(world.row(a, "d1").unwrap()["f"], "theirs");
    assert_eq!(world.server.store.entities.len(), 2);
}

#[test]
fn a_store_that_has_no_room_for_its_first_records_syncs_when_it_has() {
    let mut world = world();
    let a = world.device_with(vec![StoreError::Quota; 3]);
    world.write(a, insert("d1", json!({})));
    world.run(60_000);
    let status = world.view(a, "status");
    assert_eq!((&status["leader"], &status["state"]), (&json!(true), &json!("synced")), "{status}");
    world.write(a, insert("d2", json!({})));
    world.run(2_000);
    assert!(world.server.store.entities.keys().any(|(_, id)| id.as_str() == "d2"));
}
