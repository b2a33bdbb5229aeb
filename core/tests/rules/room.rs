//! A full store: rows that are only kept for convenience go before a write of the user's is refused.

use crate::world;

use tidewire_core::io::StoreError;
use tidewire_core::json;
use tidewire_core::json::Value;
use world::{World, insert, set, world};

const DEALS: usize = 1_000;

fn id(n: usize) -> String {
    format!("d{n:04}")
}

/// Text that does not compress.
fn noise(n: usize, words: usize) -> String {
    let word = |k: usize| ((n * words + k) as u32 ^ 0x5bd1_e995).wrapping_mul(2_654_435_761);
    (0..words).map(|k| format!("{:08x}", word(k))).collect()
}

fn options(replicate: &Value) -> Value {
    json!({"collections": {"deals": {"replicate": replicate}, "people": {"refs": {"/deal": {"to": "deals"}}}}})
}

fn person(n: usize, value: Value) -> Value {
    json!({"op": "insert", "c": "people", "id": format!("p{n}"), "value": value})
}

/// A device with a thousand deals, as many as it is told to keep, and some people, all in segments.
fn device(replicate: &Value) -> (World, usize) {
    let mut world = world();
    world.server.page = 500;
    let b = world.device();
    let deals: Vec<Value> = (0..DEALS).map(|n| insert(&id(n), json!({"noise": noise(n, 40)}))).collect();
    world.write_all(b, false, json!(deals));
    world.run(2_000);
    let profile = world.profile();
    let a = world.tab_with(profile, options(replicate));
    for n in 0..20 {
        world.write(a, person(n, json!({"n": n})));
    }
    world.run(60_000);
    let disk = &world.disks[profile];
    assert!(disk.segments.len() >= 4 && disk.seals > 0 && disk.log.len() < 10, "{}", disk.segments.len());
    assert_eq!(here(&world, a), DEALS);
    (world, a)
}

fn bounded() -> Value {
    json!({"maxEntities": 100_000})
}

fn here(world: &World, tab: usize) -> usize {
    (0..DEALS).filter(|n| world.row(tab, &id(*n)).is_some()).count()
}

fn fill(world: &mut World, tab: usize) {
    let profile = world.tabs[tab].profile;
    world.disks[profile].fill();
}

fn roomy(world: &mut World, tab: usize) {
    let profile = world.tabs[tab].profile;
    world.disks[profile].bytes_max = None;
}

#[test]
fn rule_04_rows_that_are_only_kept_go_before_a_users_write_is_refused() {
    let (mut world, a) = device(&bounded());
    let profile = world.tabs[a].profile;
    let other = world.tab_with(profile, options(&bounded()));
    // Something that waits for one of them, and something that refers to one.
    world.set_network(false);
    world.write(a, set("d0005", "/noise", "mine"));
    world.write(a, person(99, json!({"deal": "d0007"})));
    world.settle();
    let segments = world.disks[profile].segments.len();
    fill(&mut world, a);
    let write = world.write(a, insert("new", json!({"n": 1})));
    world.settle();
    assert!(world.events(a, "write-failed").is_empty() && world.events(a, "quota").is_empty());
    assert_eq!(world.events(a, "durable").last().unwrap()["write"], write);
    assert!(world.disks[profile].segments.len() < segments, "room was made");
    let left = here(&world, a);
    assert!(left < DEALS && left > DEALS / 4, "not more than is needed: {left}");
    assert_eq!(here(&world, other), left, "every tab knows what went");
    assert_eq!(world.view(a, "health")["collections"]["deals"]["evicted"], DEALS - left);
    for id in ["d0005", "d0007", "new"] {
        assert!(world.row(a, id).is_some(), "{id}");
    }
    assert_eq!(world.view(a, "health")["collections"]["people"]["count"], 20, "what is kept whole stays");
    // What went is what goes from memory: a reload shows the same.
    roomy(&mut world, a);
    world.kill(a);
    world.kill(other);
    let a = world.tab_with(profile, options(&bounded()));
    assert_eq!(here(&world, a), left);
    assert_eq!(world.row(a, "d0005").unwrap()["noise"], "mine");
    world.set_network(true);
    world.run(5_000);
    assert_eq!(world.view(a, "queue"), json!({"pending": [], "failed": []}));
    assert!(world.server.store.entities.values().all(|row| !row.stored.deleted), "nothing was deleted");
    assert!(world.events(a, "watchdog").is_empty(), "{:?}", world.events(a, "watchdog"));
    assert_eq!(
        world.command(a, json!({"do": "fetch", "c": "deals", "id": "d0900"}))["hit"],
        here_is(&world, a, "d0900")
    );
}

fn here_is(world: &World, tab: usize, id: &str) -> bool {
    world.row(tab, id).is_some()
}

#[test]
fn any_tab_finds_room_also_one_that_has_just_opened() {
    let (mut world, a) = device(&bounded());
    let profile = world.tabs[a].profile;
    let follower = world.tab_with(profile, options(&bounded()));
    world.set_network(false);
    fill(&mut world, a);
    let write = world.write(follower, insert("new", json!({"n": 1})));
    world.settle();
    assert_eq!(world.events(follower, "durable").last().unwrap()["write"], write);
    let left = here(&world, a);
    assert!(left < DEALS);
    assert_eq!(here(&world, follower), left);
    // The next leader has not sealed anything.
    world.kill(a);
    world.kill(follower);
    let a = world.tab_with(profile, options(&bounded()));
    world.settle();
    fill(&mut world, a);
    let write = world.write(a, insert("newer", json!({"n": 1})));
    world.settle();
    assert_eq!(world.events(a, "durable").last().unwrap()["write"], write);
    assert!(here(&world, a) < left);
}

#[test]
fn where_nothing_can_go_a_write_is_refused_as_before_and_nobody_searches_again_at_once() {
    let (mut world, a) = device(&json!("full"));
    let profile = world.tabs[a].profile;
    world.set_network(false);
    world.settle();
    let refused = |world: &mut World, tab: usize, name: &str, times: usize| {
        fill(world, tab);
        let before = (world.disks[profile].bytes(), here(world, tab));
        let write = world.write(tab, insert(name, json!({"n": 1})));
        world.settle();
        let failed = world.events(tab, "write-failed");
        let last = failed.last().unwrap();
        assert_eq!((failed.len(), &last["write"], &last["error"]["code"]), (times, &json!(write), &json!("quota")));
        assert!(world.events(tab, "quota").len() >= times);
        assert_eq!((world.disks[profile].bytes(), here(world, tab)), before);
        assert!(world.row(tab, name).is_none());
    };
    refused(&mut world, a, "new", 1);
    // Kept in part, and every one needed.
    roomy(&mut world, a);
    world.kill(a);
    let a = world.tab_with(profile, options(&bounded()));
    world.set_network(true);
    world.run(5_000);
    world.set_network(false);
    let edits: Vec<Value> = (0..DEALS).map(|n| set(&id(n), "/n", n)).collect();
    world.write_all(a, false, json!(edits));
    world.run(1_000);
    refused(&mut world, a, "newer", 1);
    let loads = world.disks[profile].loads;
    refused(&mut world, a, "newest", 2);
    assert_eq!(world.disks[profile].loads, loads);
    roomy(&mut world, a);
    world.set_network(true);
    for entry in world.view(a, "queue")["failed"].as_array().unwrap() {
        world.command(a, json!({"do": "retry", "n": entry["n"]}));
    }
    world.run(60_000);
    assert!(world.row(a, "newer").is_some() && world.row(a, "newest").is_some());
    assert_eq!(world.view(a, "queue"), json!({"pending": [], "failed": []}));
}

#[test]
fn a_write_that_still_finds_no_room_is_tried_once_more_only() {
    let (mut world, a) = device(&bounded());
    let profile = world.tabs[a].profile;
    world.set_network(false);
    fill(&mut world, a);
    // Whoever else writes to this disk was faster.
    world.tabs[a].store_faults.extend([StoreError::Quota; 2]);
    let write = world.write(a, insert("new", json!({"n": 1})));
    world.settle();
    let failed = world.events(a, "write-failed");
    assert_eq!((failed.len(), &failed[0]["write"]), (1, &json!(write)));
    assert_eq!((world.events(a, "quota").len(), world.tabs[a].store_faults.len()), (1, 0));
    assert!(world.row(a, "new").is_none());
    // Memory has more than the disk until the log can be told, and a tab that opens what the disk has.
    let left = (0..2).map(|_| {
        let tab = world.tab_with(profile, options(&bounded()));
        world.settle();
        here(&world, tab)
    });
    let left: Vec<usize> = left.collect();
    assert!(left[0] < DEALS && left[0] == left[1]);
    world.write(a, insert("newer", json!({"n": 1})));
    world.settle();
    assert_eq!(here(&world, a), left[0]);
    assert!(world.row(a, "newer").is_some());
}

#[test]
fn segments_that_hold_more_than_what_can_go_are_written_again_where_there_is_room_for_that() {
    let (mut world, a) = device(&bounded());
    let profile = world.tabs[a].profile;
    world.set_network(false);
    // One in each segment has to stay.
    let edits: Vec<Value> = (0..DEALS).step_by(50).map(|n| set(&id(n), "/n", n)).collect();
    world.write_all(a, false, json!(edits));
    world.run(1_000);
    let bytes = world.disks[profile].bytes();
    world.disks[profile].bytes_max = Some(bytes + 60_000);
    let write = world.write(a, insert("large", json!({"noise": noise(7, 9_000)})));
    world.settle();
    assert_eq!(world.events(a, "durable").last().unwrap()["write"], write);
    assert!(here(&world, a) < DEALS / 2);
    for n in (0..DEALS).step_by(50) {
        assert_eq!(world.row(a, &id(n)).unwrap()["n"], n);
    }
    let left = here(&world, a);
    roomy(&mut world, a);
    world.kill(a);
    let a = world.tab_with(profile, options(&bounded()));
    assert_eq!(here(&world, a), left);
    world.set_network(true);
    world.run(60_000);
    assert_eq!(world.view(a, "queue"), json!({"pending": [], "failed": []}));
    assert_eq!(world.row(a, &id(50)).unwrap()["noise"], json!(noise(50, 40)));
}

#[test]
fn an_older_version_that_stays_on_the_disk_comes_back_no_more() {
    let (mut world, a) = device(&bounded());
    let profile = world.tabs[a].profile;
    // Newer versions of many, in segments of their own.
    let is_pinned = |n: usize| n % 50 == 1;
    let edits: Vec<Value> =
        (0..DEALS).filter(|n| !is_pinned(*n)).map(|n| set(&id(n), "/noise", noise(n + 7, 39))).collect();
    world.write_all(0, false, json!(edits));
    world.run(60_000);
    assert_eq!(world.row(a, "d0900").unwrap()["noise"], json!(noise(907, 39)));
    // Something waits in each of the old segments, so that they stay.
    world.set_network(false);
    for n in (0..DEALS).filter(|n| is_pinned(*n)) {
        world.write(a, set(&id(n), "/mine", n));
    }
    world.settle();
    fill(&mut world, a);
    let cleans = world.disks[profile].cleans;
    world.write(a, insert("new", json!({"n": 1})));
    // The tab dies between the delete and what says so.
    for _ in 0..1_000 {
        if world.disks[profile].cleans > cleans {
            break;
        }
        world.step();
    }
    world.kill(a);
    roomy(&mut world, a);
    let a = world.tab_with(profile, options(&bounded()));
    for n in (0..DEALS).filter(|n| !is_pinned(*n)) {
        if let Some(row) = world.row(a, &id(n)) {
            assert_eq!(row["noise"], json!(noise(n + 7, 39)), "{} is not what it was long ago", id(n));
        }
    }
}
