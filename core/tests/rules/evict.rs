//! What a device gives up: no delete, and nothing that it still has something to say about.

use crate::world;

use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::limits::{EVICT_MS, GUEST_MS};
use world::partial::{SETTLED_MS, device, fetch, health, ids, office, open_only, pushes, reopen};
use world::{insert, set, world};

#[test]
fn invariant_12_what_has_something_pending_is_never_given_up() {
    let (mut world, b) = office(10);
    let tight = json!({"where": {"path": "/open", "op": "eq", "value": true}, "maxEntities": 1, "ttlMs": 20_000});
    let a = device(&mut world, &tight);
    world.run(1_000);
    world.server.policy.settings.get_mut("deals").unwrap().conflict = tidewire_core::model::schema::Strategy::Manual;
    // A conflict that waits, a letter, and then, away from the server, an edit and a reference from a queued edit.
    fetch(&mut world, a, "d06");
    world.run(500);
    world.set_network(false);
    world.write(a, set("d06", "/name", "mine"));
    world.set_network(true);
    world.run(0);
    for (id, what) in [("d00", "queued"), ("d04", "referred to"), ("d08", "rejected")] {
        if world.row(a, id).is_none() {
            fetch(&mut world, a, id);
            world.run(500);
        }
        assert!(world.row(a, id).is_some(), "{what}");
    }
    world.server.reject = Some(("/name".into(), json!("bad")));
    world.write(a, set("d08", "/name", "bad"));
    world.run(500);
    world.set_network(false);
    world.write(a, set("d00", "/name", "mine, too"));
    world.write(a, json!({"op": "insert", "c": "people", "id": "p1", "value": {"deal": "d04"}}));
    world.run(30 * 60_000);
    let kept = ids(&mut world, a);
    for id in ["d00", "d04", "d08"] {
        assert!(kept.iter().any(|known| known == id), "{id} of {kept:?}");
    }
    assert!(!kept.iter().any(|known| known == "d02"), "{kept:?}");
    world.set_network(true);
    world.run(1_000);
    assert_eq!(world.row(b, "d00").unwrap()["name"], "mine, too");
    let failed = world.view(a, "queue")["failed"].clone();
    world.command(a, json!({"do": "discard", "n": failed[0]["n"]}));
    world.run(30 * 60_000);
    assert!(ids(&mut world, a).len() <= 1, "{:?}", ids(&mut world, a));
    assert_eq!(world.view(b, "health")["collections"]["deals"]["count"], 10, "nothing was deleted");
}

#[test]
fn a_guest_stays_for_a_time_and_follows_the_servers_changes() {
    let (mut world, b) = office(4);
    let a = device(&mut world, &open_only());
    world.run(1_000);
    // Written here, outside the filter; edited out of it; fetched.
    world.write(a, insert("own", json!({"open": false})));
    world.write(a, set("d00", "/open", false));
    assert_eq!(fetch(&mut world, a, "d01")["hit"], json!(false));
    world.run(1_000);
    assert_eq!(fetch(&mut world, a, "d01")["hit"], json!(true));
    assert_eq!(ids(&mut world, a), ["d00", "d01", "d02", "own"]);
    assert_eq!(world.row(a, "own").unwrap()["$sync"]["status"], "synced");
    world.write(b, set("d01", "/name", "news"));
    world.run(1_000);
    assert_eq!(world.row(a, "d01").unwrap()["name"], "news");
    let view = health(&world, a);
    assert_eq!(
        (&view["hits"], &view["misses"], &view["hitRate"], &view["count"]),
        (&json!(1), &json!(1), &json!(0.5), &json!(4))
    );
    // Who is used stays longer.
    for _ in 0..4 {
        world.run(GUEST_MS / 4);
        assert!(world.row(a, "d01").is_some());
    }
    world.run(SETTLED_MS);
    assert_eq!(ids(&mut world, a), ["d01", "d02"]);
    world.run(GUEST_MS + SETTLED_MS);
    assert_eq!(ids(&mut world, a), ["d02"]);
    assert_eq!(health(&world, a)["evicted"], 3);
    assert!(world.row(b, "own").is_some() && world.row(b, "d01").is_some());
}

#[test]
fn the_least_recently_used_are_given_up_beyond_the_bound() {
    let (mut world, b) = office(12);
    let bounded = json!({"maxEntities": 5});
    let a = device(&mut world, &bounded);
    world.run(SETTLED_MS + 2_000);
    let first = ids(&mut world, a);
    assert_eq!(first.len(), 5);
    let used = &first[..3];
    for id in used {
        assert!(world.row(a, id).is_some());
    }
    world.run(EVICT_MS);
    // Others come: fetched, written here, changed there.
    for id in ["d00", "d01", "d02"].iter().filter(|id| !first.iter().any(|known| known == *id)) {
        fetch(&mut world, a, id);
    }
    world.write(b, insert("new", json!({"open": true})));
    world.run(SETTLED_MS);
    let now = ids(&mut world, a);
    assert_eq!(now.len(), 5, "{now:?}");
    let a = reopen(&mut world, a, &bounded);
    assert_eq!(ids(&mut world, a), now);
    let gone = first.iter().chain([&"d00".to_owned()]).find(|id| !now.contains(id)).unwrap().clone();
    assert_eq!(fetch(&mut world, a, &gone)["hit"], json!(false));
    world.run(1_000);
    assert!(world.row(a, &gone).is_some());
    assert_eq!(world.view(b, "health")["collections"]["deals"]["count"], 13, "nothing was deleted");
    assert_eq!(pushes(&world, a), 0);
}

#[test]
fn what_nobody_used_for_its_time_is_given_up_also_over_reloads() {
    let (mut world, _) = office(4);
    let hour = 3_600_000;
    let timed = json!({"ttlMs": hour});
    let a = device(&mut world, &timed);
    world.run(hour / 2);
    assert_eq!(ids(&mut world, a).len(), 4);
    assert!(world.row(a, "d01").is_some());
    world.run(EVICT_MS);
    // The use is in the log: what this tab remembers goes with it.
    let a = reopen(&mut world, a, &timed);
    world.run(hour / 2 + SETTLED_MS);
    assert_eq!(ids(&mut world, a), ["d01"]);
    world.run(hour / 2 + SETTLED_MS);
    assert!(ids(&mut world, a).is_empty());
}

#[test]
fn what_came_before_there_was_a_time_has_all_of_it() {
    let (mut world, _) = office(4);
    let hour = 3_600_000;
    let a = device(&mut world, &json!("full"));
    world.run(5 * hour);
    let timed = json!({"ttlMs": hour});
    let a = reopen(&mut world, a, &timed);
    world.run(hour / 2);
    let a = reopen(&mut world, a, &timed);
    world.run(hour / 4);
    assert_eq!(ids(&mut world, a).len(), 4);
    world.run(hour / 2);
    assert!(ids(&mut world, a).is_empty());
}

#[test]
fn who_is_cut_off_keeps_what_was_fetched() {
    let (mut world, _) = office(4);
    let a = device(&mut world, &json!("none"));
    world.run(1_000);
    fetch(&mut world, a, "d01");
    world.run(1_000);
    world.set_network(false);
    world.run(3 * GUEST_MS);
    assert_eq!(ids(&mut world, a), ["d01"]);
    world.set_network(true);
    world.run(3 * SETTLED_MS);
    assert!(ids(&mut world, a).is_empty());
}

#[test]
fn what_is_not_asked_for_any_more_stays_while_an_edit_of_it_waits() {
    let (mut world, b) = office(4);
    let a = device(&mut world, &json!("full"));
    world.run(1_000);
    world.server.poison = Some("waits".into());
    world.write(a, set("d01", "/name", "waits"));
    world.run(100);
    let a = reopen(&mut world, a, &json!("none"));
    world.run(GUEST_MS);
    assert_eq!(world.row(a, "d01").unwrap()["name"], "waits");
    world.server.poison = None;
    world.run(20 * 60_000);
    assert_eq!(world.row(b, "d01").unwrap()["name"], "waits");
    assert_eq!(world.view(a, "queue"), json!({"pending": [], "failed": []}));
}

#[test]
fn a_long_first_pull_does_not_fill_a_bounded_device() {
    let mut world = world();
    let b = world.device();
    let many: Vec<Value> = (0..6_000).map(|n| insert(&format!("d{n:05}"), json!({"n": n}))).collect();
    world.write_all(b, false, json!(many));
    world.run(60_000);
    world.server.page = 500;
    let a = device(&mut world, &json!({"maxEntities": 100}));
    let mut most = 0;
    for _ in 0..100_000 {
        if !world.step() {
            break;
        }
        if world.tabs[a].opened {
            most = most.max(health(&world, a)["count"].as_u64().unwrap());
        }
    }
    assert!(most < 4_000, "{most}");
    world.run(SETTLED_MS);
    assert_eq!(ids(&mut world, a).len(), 100);
}
