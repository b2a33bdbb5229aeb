//! What is stored can be damaged: it is set aside and said, the server's data is fetched again, and what was written
//! here and is not sent stays.

use crate::world;

use tidewire_core::json;
use tidewire_core::limits::VERIFY_FIRST_MS;
use world::{Fault, World, delete, inc, insert, pair, set};

fn corrupt(world: &World, tab: usize) -> usize {
    world.events(tab, "watchdog").iter().filter(|event| event["code"] == "corrupt").count()
}

/// Flips a bit of the newest log record that holds this text.
fn damage_record(world: &mut World, profile: usize, text: &str) {
    let log = &mut world.disks[profile].log;
    let holds = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).contains(text);
    let record = log.values_mut().rev().find(|bytes| holds(bytes)).unwrap();
    *record.last_mut().unwrap() ^= 1;
}

#[test]
fn a_damaged_record_of_the_servers_is_set_aside_and_what_it_held_comes_again() {
    let (mut world, a, b) = pair();
    world.write(b, insert("d0", json!({"text": "in the damaged record"})));
    world.run(1_000);
    // Another record follows it: the cursor in that one says nothing of what is missing.
    world.write(b, set("d1", "/g", "after it"));
    world.run(1_000);
    let profile = world.tabs[a].profile;
    world.set_network(false);
    world.write(a, insert("mine", json!({"n": 1})));
    world.run(100);
    world.kill(a);
    damage_record(&mut world, profile, "in the damaged record");
    let a = world.tab(profile);
    world.run(100);
    assert_eq!(corrupt(&world, a), 1);
    assert_eq!(world.view(a, "status")["pending"], 1);
    assert_eq!(world.row(a, "mine").unwrap()["n"], 1);
    world.set_network(true);
    world.run(5_000);
    assert_eq!(world.row(a, "d0").unwrap()["text"], "in the damaged record");
    assert_eq!(world.row(a, "d1").unwrap()["g"], "after it");
    assert!(world.row(b, "mine").is_some());
    world.run(2 * VERIFY_FIRST_MS);
    assert!(world.events(b, "watchdog").is_empty());
}

/// A device with 600 rows of the server's and 300 edits of its own, unsent, that were sealed together. The server takes
/// no push for now.
fn sealed() -> (World, usize, usize, usize) {
    let (mut world, a, b) = pair();
    let profile = world.tabs[a].profile;
    world.kill(a);
    world.write_all(b, false, (0..600).map(|n| insert(&format!("n{n}"), json!({"n": n}))).collect::<Vec<_>>().into());
    world.run(5_000);
    world.push_faults.extend(vec![Fault::Status(503, None); 1_000]);
    let a = world.tab(profile);
    for n in 0..300 {
        world.write(a, insert(&format!("mine{n}"), json!({"n": n})));
        world.settle();
    }
    world.run(5_000);
    assert_eq!(world.disks[profile].seals, 1);
    (world, a, b, profile)
}

#[test]
fn a_damaged_segment_costs_nothing_that_was_not_sent() {
    let (world, _, _, profile) = sealed();
    let keys: Vec<u64> = world.disks[profile].segments.keys().copied().collect();
    assert!(keys.len() >= 2);
    let mut lost = Vec::new();
    for key in keys {
        let (mut world, a, _, profile) = sealed();
        world.kill(a);
        world.set_network(false);
        *world.disks[profile].segments.get_mut(&key).unwrap().last_mut().unwrap() ^= 1;
        let a = world.tab(profile);
        world.run(100);
        assert_eq!(corrupt(&world, a), 1);
        let pending = world.view(a, "status")["pending"].as_u64().unwrap();
        let rows = (0..600).filter(|n| world.row(a, &format!("n{n}")).is_some()).count();
        assert!(pending == 300 || rows == 600, "no segment holds both: {pending} edits and {rows} rows are left");
        lost.push((300 - pending, 600 - rows));
        world.push_faults.clear();
        world.set_network(true);
        world.run(120_000);
        assert_eq!(world.view(a, "status")["pending"], 0);
        assert!((0..600).all(|n| world.row(a, &format!("n{n}")).is_some()), "what was the server's is here again");
    }
    assert!(lost.iter().any(|(_, rows)| *rows > 0), "{lost:?}");
}

#[test]
fn a_damaged_segment_is_replaced_and_deletions_meanwhile_are_not_missed() {
    let (mut world, a, b, profile) = sealed();
    world.kill(a);
    world.push_faults.clear();
    world.write(b, delete("n7"));
    world.write(b, inc("n8", "/n", 100));
    world.run(2_000);
    let first = *world.disks[profile].segments.keys().next().unwrap();
    *world.disks[profile].segments.get_mut(&first).unwrap().last_mut().unwrap() ^= 1;
    let a = world.tab(profile);
    world.run(5 * 60_000);
    assert_eq!(corrupt(&world, a), 1);
    assert!(world.row(a, "n7").is_none(), "deleted while nobody could say so");
    assert_eq!(world.row(a, "n8").unwrap()["n"], 108);
    assert!(!world.disks[profile].segments.contains_key(&first), "it is swept out");
    // The next open finds a whole store, and reads nothing again.
    let a = world.reload(a);
    world.run(1_000);
    assert_eq!(corrupt(&world, a), 0);
    assert!(world.row(a, "n7").is_none());
    assert_eq!((0..600).filter(|n| world.row(a, &format!("n{n}")).is_some()).count(), 599);
}

/// The version stands in front of what the checksum is of; one wrong bit there is no newer release.
#[test]
fn a_damaged_version_of_a_record_is_damage_too() {
    let (mut world, a, _) = pair();
    world.write(a, insert("mine", json!({"n": 1})));
    world.run(1_000);
    let profile = world.tabs[a].profile;
    world.kill(a);
    world.disks[profile].log.values_mut().next_back().unwrap()[0] ^= 2;
    let a = world.tab(profile);
    world.run(5_000);
    assert_eq!(world.tabs[a].refused, None);
    assert_eq!(corrupt(&world, a), 1);
    assert_eq!(world.row(a, "mine").unwrap()["n"], 1);
}

/// What an edit came to stood in the damaged record: a tab that leads asks the server again, others only wait.
#[test]
fn a_tab_that_reads_a_damaged_record_beside_others_comes_to_know_what_it_held() {
    let (mut world, a, b) = pair();
    let profile = world.tabs[a].profile;
    world.write(a, insert("mine", json!({"n": 1})));
    world.run(1_000);
    world.write(b, set("mine", "/n", 2));
    world.run(1_000);
    let acks = |bytes: &&mut Vec<u8>| bytes[1] == 5;
    *world.disks[profile].log.values_mut().rfind(acks).unwrap().last_mut().unwrap() ^= 1;
    let c = world.tab(profile);
    world.run(10_000);
    assert_eq!(corrupt(&world, c), 1);
    for tab in [a, c] {
        let status = world.view(tab, "status");
        assert_eq!((&status["state"], &status["pending"]), (&json!("synced"), &json!(0)), "tab {tab}");
        assert_eq!(world.row(tab, "mine").unwrap()["n"], 2);
    }
}
