//! Entities that are asked for one by one: an answer says no more than what was so when it was given, and what a
//! server does not give is not asked for without end.

use crate::world;

use tidewire_core::io::Input;
use tidewire_core::json;
use world::partial::{device, fetch, office, open_only, reopen, tab};
use world::{Fault, delete, insert, set};

#[test]
fn rule_21_an_answer_that_is_older_than_what_came_meanwhile_is_asked_for_again() {
    let (mut world, b) = office(8);
    let a = device(&mut world, &open_only());
    world.run(1_000);
    // Made while the answer says that it is not there; deleted, and changed, while it says that it is.
    for id in ["new", "d01", "d03", "d05"] {
        world.pull_faults.push_back(Fault::Late);
        fetch(&mut world, a, id);
    }
    world.settle();
    world.write(b, insert("new", json!({"open": true, "name": "made"})));
    world.write(b, delete("d01"));
    world.write(b, set("d03", "/name", "news"));
    world.run(1_000);
    assert_eq!(world.row(a, "new").unwrap()["name"], "made");
    world.deliver_late();
    world.run(1_000);
    assert_eq!(world.row(a, "new").unwrap()["name"], "made");
    assert!(world.row(a, "d01").is_none(), "{:?}", world.row(a, "d01"));
    assert_eq!(world.row(a, "d03").unwrap()["name"], "news");
    assert_eq!(world.row(a, "d05").unwrap()["name"], "name of 05");
    assert_eq!(world.server.fetches, 4 + 3, "each that was out of date once more");
    let mut told: Vec<_> = world.events(a, "fetched").iter().map(|event| event["id"].to_string()).collect();
    told.sort_unstable();
    assert_eq!(told, ["\"d01\"", "\"d03\"", "\"d05\"", "\"new\""]);
}

#[test]
fn rule_21_an_answer_from_before_ones_own_insert_does_not_hide_it() {
    let (mut world, _) = office(2);
    let a = device(&mut world, &json!("none"));
    world.run(1_000);
    world.pull_faults.push_back(Fault::Late);
    fetch(&mut world, a, "own");
    world.settle();
    world.write(a, insert("own", json!({"name": "mine"})));
    world.run(1_000);
    world.deliver_late();
    for _ in 0..50 {
        assert!(world.row(a, "own").is_some());
        world.step();
    }
    world.run(2_000);
    let row = world.row(a, "own").unwrap();
    assert_eq!((&row["name"], &row["$sync"]["status"]), (&json!("mine"), &json!("synced")));
    assert_eq!(world.view(a, "queue"), json!({"pending": [], "failed": []}));
}

#[test]
fn an_answer_that_found_no_room_is_asked_for_again() {
    let (mut world, _) = office(2);
    let a = device(&mut world, &open_only());
    world.run(1_000);
    world.tabs[a].store_faults.push_back(tidewire_core::io::StoreError::Failed);
    fetch(&mut world, a, "d01");
    world.run(9_000);
    assert!(world.row(a, "d01").is_some());
    assert_eq!(world.events(a, "fetched").len(), 1);
}

#[test]
fn what_the_server_refuses_to_give_is_told_and_not_asked_for_without_end() {
    let (mut world, _) = office(4);
    let a = device(&mut world, &json!("none"));
    let profile = world.tabs[a].profile;
    let other = tab(&mut world, profile, &json!("none"));
    world.run(1_000);
    world.server.gives_none = Some(403);
    fetch(&mut world, other, "d01");
    world.run(60_000);
    assert_eq!(world.server.fetches, 1);
    for tab in [a, other] {
        let told = world.events(tab, "fetch-refused");
        assert_eq!((told.len(), &told[0]["collection"], &told[0]["id"]), (1, &json!("deals"), &json!("d01")));
        assert_eq!(told[0]["error"]["code"], "forbidden");
    }
    // Who asks again is answered again.
    fetch(&mut world, a, "d01");
    world.run(60_000);
    assert_eq!((world.server.fetches, world.events(a, "fetch-refused").len()), (2, 2));
    // An edit that took effect: it shows, and is asked for when somebody else is signed in, or the app comes again.
    world.write(a, insert("own", json!({"name": "mine"})));
    world.run(600_000);
    assert_eq!(world.server.fetches, 3);
    assert_eq!(world.row(a, "own").unwrap()["name"], "mine");
    assert_eq!(world.events(a, "watchdog").last().unwrap()["code"], "forbidden");
    let result = Ok(Some(world.user.clone()));
    world.tabs[a].engine.handle(world.now, Input::Token { result });
    world.run(600_000);
    assert_eq!(world.server.fetches, 4);
    world.server.gives_none = None;
    world.kill(other);
    let a = reopen(&mut world, a, &json!("none"));
    world.run(1_000);
    let row = world.row(a, "own").unwrap();
    assert_eq!((&row["name"], &row["$sync"]["status"]), (&json!("mine"), &json!("synced")));
    assert_eq!(world.view(a, "queue"), json!({"pending": [], "failed": []}));
}

#[test]
fn what_may_pass_is_asked_for_again() {
    let (mut world, _) = office(10);
    let a = device(&mut world, &open_only());
    world.run(1_000);
    for (status, id) in [(408, "d01"), (425, "d03"), (429, "d05"), (500, "d07"), (503, "d09")] {
        world.server.gives_none = Some(status);
        fetch(&mut world, a, id);
        world.run(100);
        world.server.gives_none = None;
        world.run(9_000);
        assert!(world.row(a, id).is_some(), "{status}");
    }
    assert!(world.events(a, "fetch-refused").is_empty());
}
