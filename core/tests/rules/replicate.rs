//! Partial replication: a device keeps what a collection's options ask for, and fetches what it does not keep.

use crate::world;

use tidewire_core::json;
use tidewire_core::limits::{GUEST_MS, VERIFY_FIRST_MS, VERIFY_MS};
use world::partial::{SETTLED_MS, device, fetch, ids, is_on_disk, office, open_only, pushes, reopen, tab};
use world::{Fault, delete, insert, set};

#[test]
fn rows_outside_the_filter_are_not_on_the_disk_and_come_and_go_with_the_servers_changes() {
    let (mut world, b) = office(6);
    let a = device(&mut world, &open_only());
    world.run(2_000);
    assert_eq!(ids(&mut world, a), ["d00", "d02", "d04"]);
    for n in 0..6 {
        assert_eq!(is_on_disk(&world, a, &format!("name of {n:02}")), n % 2 == 0);
    }
    // One leaves the filter, one comes to match, one that does not match changes.
    world.write_all(
        b,
        true,
        json!([set("d00", "/open", false), set("d01", "/open", true), set("d03", "/name", "other")]),
    );
    world.run(2_000);
    assert_eq!(ids(&mut world, a), ["d01", "d02", "d04"]);
    assert_eq!(world.row(a, "d01").unwrap()["name"], "name of 01", "it came whole");
    assert!(!is_on_disk(&world, a, "other"));
    // Not a delete: nothing goes up, and the server has all of it.
    assert_eq!(pushes(&world, a), 0);
    assert!(world.row(b, "d00").is_some());
    let a = reopen(&mut world, a, &open_only());
    assert_eq!(ids(&mut world, a), ["d01", "d02", "d04"]);
    let profile = world.tabs[a].profile;
    let other = tab(&mut world, profile, &open_only());
    world.write(b, set("d01", "/open", false));
    world.run(2_000);
    assert_eq!(
        (ids(&mut world, a), ids(&mut world, other)),
        (vec!["d02".into(), "d04".into()], vec!["d02".into(), "d04".into()])
    );
    // Deleted while it was kept, and while it was not.
    world.write_all(b, true, json!([delete("d02"), delete("d01")]));
    world.run(2_000);
    assert_eq!(ids(&mut world, a), ["d04"]);
    assert_eq!(fetch(&mut world, a, "d01")["hit"], json!(false));
    world.run(2_000);
    assert!(world.row(a, "d01").is_none());
    assert_eq!(world.events(a, "fetched"), [json!({"type": "fetched", "collection": "deals", "id": "d01"})]);
}

#[test]
fn changes_that_come_while_a_device_is_away_are_sifted_too() {
    let (mut world, b) = office(6);
    world.server.page = 1;
    let a = device(&mut world, &open_only());
    world.run(2_000);
    world.kill(a);
    world.write(b, set("d00", "/open", false));
    world.write(b, set("d01", "/open", true));
    world.run(1_000);
    // The pull is cut after some checkpoints, and what it brought until then changes again.
    world.pull_faults.push_back(Fault::Cut(1_400));
    let profile = world.tabs[a].profile;
    let a = tab(&mut world, profile, &open_only());
    world.write(b, set("d01", "/open", false));
    world.run(20_000);
    assert_eq!(ids(&mut world, a), ["d02", "d04"]);
    assert!(world.events(a, "watchdog").is_empty(), "{:?}", world.events(a, "watchdog"));
}

#[test]
fn of_none_only_what_was_fetched_and_written_is_here() {
    let (mut world, b) = office(4);
    let none = json!("none");
    let a = device(&mut world, &none);
    world.run(1_000);
    assert!(ids(&mut world, a).is_empty());
    // One's own write stays through its settling, whatever comes first: the frame or the answer.
    world.write(a, insert("own", json!({"open": true})));
    for _ in 0..50 {
        assert!(world.row(a, "own").is_some());
        world.step();
    }
    world.run(1_000);
    let row = world.row(a, "own").unwrap();
    assert_eq!((&row["$sync"]["status"], &row["open"]), (&json!("synced"), &json!(true)));
    assert!(row["$rev"].as_u64().unwrap() > 0, "the server's own word");
    assert_eq!(world.view(a, "queue"), json!({"pending": [], "failed": []}));
    // The frame is there long before the answer.
    world.push_faults.push_back(Fault::AnswerLost);
    world.write(a, insert("late", json!({"open": true})));
    for _ in 0..40 {
        world.run(100);
        assert!(world.row(a, "late").is_some());
    }
    assert!(world.row(a, "late").unwrap()["$rev"].as_u64().unwrap() > 0);
    world.write(a, delete("late"));
    fetch(&mut world, a, "d01");
    world.run(1_000);
    assert_eq!(world.row(a, "d01").unwrap()["name"], "name of 01");
    world.write(a, set("d01", "/name", "mine"));
    world.run(1_000);
    assert_eq!(
        (&world.row(a, "d01").unwrap()["name"], &world.row(b, "d01").unwrap()["name"]),
        (&json!("mine"), &json!("mine"))
    );
    world.write(a, delete("own"));
    world.run(1_000);
    assert!(world.row(a, "own").is_none() && world.row(b, "own").is_none());
    assert_eq!(world.view(a, "queue"), json!({"pending": [], "failed": []}));
    let a = reopen(&mut world, a, &none);
    assert_eq!(ids(&mut world, a), ["d01"]);
    world.run(GUEST_MS + SETTLED_MS + 10_000);
    assert!(ids(&mut world, a).is_empty());
    // From nothing to all, and back.
    let a = reopen(&mut world, a, &json!("full"));
    world.run(2_000);
    assert_eq!(ids(&mut world, a).len(), 4);
    let a = reopen(&mut world, a, &none);
    world.run(GUEST_MS + SETTLED_MS);
    assert!(ids(&mut world, a).is_empty());
}

#[test]
fn a_fetch_waits_for_the_connection_and_is_made_by_the_tab_that_leads() {
    let (mut world, _) = office(4);
    let a = device(&mut world, &open_only());
    let profile = world.tabs[a].profile;
    let other = tab(&mut world, profile, &open_only());
    world.run(1_000);
    fetch(&mut world, other, "d01");
    world.run(1_000);
    assert_eq!(world.events(other, "fetched").len(), 1);
    assert!(world.row(other, "d01").is_some() && world.row(a, "d01").is_some());
    // Lost, refused, garbage: it is asked again.
    for fault in [Fault::Lost, Fault::Status(503, None), Fault::Portal, Fault::Says("[]".into(), true)] {
        world.pull_faults.push_back(fault.clone());
        let id = format!("none {:?}/?", fault);
        fetch(&mut world, a, &id);
        world.run(5_000);
        assert_eq!(world.events(a, "fetched").last().unwrap()["id"], id.as_str());
    }
    world.set_network(false);
    fetch(&mut world, a, "d03");
    world.run(2_000);
    assert!(world.row(a, "d03").is_none());
    world.set_network(true);
    world.run(2_000);
    assert!(world.row(a, "d03").is_some());
}

#[test]
fn more_is_read_again_once_and_less_is_given_up_in_idle_time() {
    let (mut world, _) = office(8);
    let named = json!({"where": {"path": "/name", "op": "startsWith", "value": "name of 0"}});
    let a = device(&mut world, &open_only());
    world.run(2_000);
    assert_eq!(ids(&mut world, a).len(), 4);
    // Another filter: what it asks for comes, and what it does not goes.
    let a = reopen(&mut world, a, &named);
    world.run(2_000);
    assert_eq!(ids(&mut world, a).len(), 8);
    let pulls = world.server.pulls;
    let a = reopen(&mut world, a, &named);
    world.run(1_000);
    assert_eq!(world.server.pulls, pulls + 1, "not again");
    let a = reopen(&mut world, a, &open_only());
    world.run(2_000 + SETTLED_MS + GUEST_MS);
    assert_eq!(ids(&mut world, a).len(), 4);
    // All of it, and less again.
    let a = reopen(&mut world, a, &json!("full"));
    world.run(2_000);
    assert_eq!(ids(&mut world, a).len(), 8);
    let a = reopen(&mut world, a, &open_only());
    world.run(GUEST_MS + SETTLED_MS + 2_000);
    assert_eq!(ids(&mut world, a).len(), 4);
    assert!(world.events(a, "watchdog").is_empty());
}

#[test]
fn rule_25_what_is_not_kept_is_no_difference() {
    let (mut world, _) = office(8);
    let a = device(&mut world, &open_only());
    world.run(VERIFY_FIRST_MS + VERIFY_MS + 20_000);
    assert!(world.server.verified > 0);
    assert!(world.events(a, "watchdog").is_empty(), "{:?}", world.events(a, "watchdog"));
    assert_eq!(ids(&mut world, a).len(), 4);
}

#[test]
fn options_that_cannot_be_are_refused() {
    for replicate in [json!("some"), json!(5), json!({"ttlMs": "1"}), json!({"maxEntities": -1})] {
        let config = json!({"name": "test", "collections": {"deals": {"replicate": replicate}}}).to_string();
        let error = tidewire_core::engine::Engine::new(&config, [1; 16]).unwrap_err();
        assert_eq!(error.code.as_str(), "bad-config", "{config}");
    }
}
