//! Rule 5, as the tab of the older release keeps it: behind `Moved` nothing is folded, written or sent.

use crate::world;

use tidewire_core::error::Code;
use tidewire_core::io::Input;
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::log::codec;
use tidewire_core::log::record::Record;
use world::{World, insert, pair, set, world};

/// What a tab of a newer release leaves behind. Returns the key.
fn moved(world: &mut World, tab: usize) -> u64 {
    let disk = &mut world.disks[world.tabs[tab].profile];
    disk.next_key += 1;
    disk.log.insert(disk.next_key, Record::Moved.encode());
    disk.next_key
}

fn refused_with(world: &mut World, tab: usize) -> Code {
    let request = json!({"ops": [insert("late", json!({}))]}).to_string();
    world.tabs[tab].engine.write(world.now, &request, "").unwrap_err().code
}

fn stopped(world: &mut World, tab: usize) {
    let pushes = world.tabs[tab].pushes.len();
    world.run(60_000);
    assert_eq!(refused_with(world, tab), Code::FormatNewer);
    let status = world.view(tab, "status");
    assert_eq!((&status["state"], &status["reason"]), (&json!("paused"), &json!("upgrade")));
    assert_eq!(status["error"]["code"], "format-newer");
    assert_eq!(world.events(tab, "upgrade").len(), 1);
    assert_eq!(world.tabs[tab].pushes.len(), pushes, "nothing is drained any more");
    assert!(world.tabs[tab].socket.is_none());
}

#[test]
fn the_host_writes_the_bytes_that_mean_moved_and_lead() {
    // They stand in `pkg/src/host/move.ts`, which has no checksum of its own.
    assert_eq!(Record::Moved.encode(), [1, 13, 219, 187, 6, 46, 192, 139, 5, 153]);
    assert_eq!(Record::Lead.encode(), [1, 8, 151, 55, 129, 172, 107, 117, 189, 169]);
    assert!(matches!(Record::decode(&Record::Moved.encode()).unwrap(), Record::Moved));
}

#[test]
fn rule_05_a_write_that_lands_behind_moved_fails_and_nothing_is_sent_any_more() {
    let (mut world, a, _) = pair();
    let key = moved(&mut world, a);
    let appends = world.disks[world.tabs[a].profile].appends;
    let write = world.write(a, set("d1", "/f", "late"));
    world.settle();
    let failed = world.events(a, "write-failed");
    assert_eq!((&failed[0]["write"], &failed[0]["error"]["code"]), (&json!(write), &json!("format-newer")));
    assert_eq!(failed[0]["error"]["retryable"], false);
    assert!(world.events(a, "durable").iter().all(|event| event["write"] != json!(write)));
    assert_eq!(world.row(a, "d1").unwrap()["f"], 0, "what was shown before stays, the write is taken back");
    // The new database's next open finds it here.
    let disk = &world.disks[world.tabs[a].profile];
    assert!(disk.log.keys().next_back().unwrap() > &key);
    assert_eq!(disk.appends, appends + 1);
    stopped(&mut world, a);
}

#[test]
fn rule_05_a_push_whose_sent_lands_behind_moved_does_not_leave() {
    let (mut world, a, _) = pair();
    world.set_network(false);
    world.write(a, set("d1", "/f", "before"));
    world.settle();
    moved(&mut world, a);
    world.set_network(true);
    stopped(&mut world, a);
    assert!(!world.tabs[a].pushes.iter().any(|push| push.to_string().contains("before")));
}

#[test]
fn rule_05_a_message_of_the_newer_release_stops_all_tabs_at_once() {
    let (mut world, a, _) = pair();
    let other = world.tab(world.tabs[a].profile);
    let key = moved(&mut world, a);
    let mut message = vec![1];
    message.extend_from_slice(&key.to_le_bytes());
    for tab in [a, other] {
        world.tabs[tab].engine.handle(world.now, Input::Message(message.clone()));
    }
    world.settle();
    for tab in [a, other] {
        stopped(&mut world, tab);
    }
}

#[test]
fn rule_05_a_seal_behind_moved_is_refused() {
    let mut world = world();
    let a = world.device();
    world.run(1_000);
    for n in 0..200 {
        world.write(a, insert(&format!("d{n}"), json!({"n": n})));
        world.settle();
    }
    let key = moved(&mut world, a);
    world.run(30_000);
    let disk = &world.disks[world.tabs[a].profile];
    assert_eq!((disk.seals, disk.log.keys().next_back()), (0, Some(&key)));
    stopped(&mut world, a);
}

#[test]
fn rule_05_a_store_that_was_moved_is_opened_by_no_older_release() {
    for rows in [1, 300] {
        let mut world = world();
        let a = world.device();
        for n in 0..rows {
            world.write(a, insert(&format!("d{n}"), json!({})));
            world.settle();
        }
        world.run(30_000);
        moved(&mut world, a);
        let again = world.reload(a);
        assert_eq!((world.tabs[again].opened, world.tabs[again].refused), (false, Some(Code::FormatNewer)));
        assert_eq!(world.row(again, "d0").map(|row| row["id"].clone()), Some(Value::from("d0")));
    }
}

#[test]
fn a_record_that_only_a_newer_release_can_read_stops_a_tab_before_it_seals_over_it() {
    let (mut world, a, _) = pair();
    let profile = world.tabs[a].profile;
    let disk = &mut world.disks[profile];
    disk.next_key += 1;
    let (key, seals) = (disk.next_key, disk.seals);
    disk.log.insert(key, codec::encode(99, b"{}"));
    for id in 0..4 {
        world.write(a, insert(&format!("n{id}"), json!({"text": "x".repeat(500_000)})));
    }
    stopped(&mut world, a);
    assert_eq!(world.disks[profile].seals, seals);
    assert!(world.disks[profile].log.contains_key(&key), "nobody has read it");
    let other = world.tab(profile);
    world.run(1_000);
    assert_eq!((world.tabs[other].opened, world.tabs[other].refused), (false, Some(Code::FormatNewer)));
}
