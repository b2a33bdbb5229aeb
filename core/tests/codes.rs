//! Codes that no rule's test provokes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod world;

use tidewire_core::json;
use tidewire_core::log::codec;
use tidewire_core::model::verdict::Verdict;
use world::{insert, pair, world};

#[test]
fn what_is_not_in_the_queue_can_be_neither_retried_nor_given_up() {
    let (mut world, a, _) = pair();
    let now = world.now;
    let engine = &mut world.tabs[a].engine;
    for command in ["retry", "discard", "edit"] {
        let command = json!({"do": command, "n": [99, 0], "set": {"/f": 1}, "unset": []}).to_string();
        let error = engine.command(now, &command).unwrap_err();
        assert_eq!(error.code.as_str(), "not-in-queue", "{command}");
    }
    assert_eq!(engine.undo(now, 99).unwrap_err().code.as_str(), "not-in-queue");
}

#[test]
fn a_record_of_a_newer_release_is_set_aside_and_said() {
    let mut world = world();
    let a = world.device();
    world.run(1_000);
    world.set_network(false);
    world.write(a, insert("d1", json!({})));
    world.run(100);
    let profile = world.tabs[a].profile;
    world.kill(a);
    let disk = &mut world.disks[profile];
    let (kind, body) = codec::decode(disk.log.values().next_back().unwrap()).unwrap();
    let newer = codec::encode_as(200, kind, body);
    disk.next_key += 1;
    disk.log.insert(disk.next_key, newer);
    let a = world.tab(profile);
    world.run(100);
    assert_eq!(world.events(a, "watchdog")[0]["code"], "format-newer");
    assert!(world.row(a, "d1").is_some());
}

#[test]
fn a_code_of_a_later_release_is_unknown_and_its_message_is_kept() {
    let said = json!({"verdict": "rejected", "code": "of-a-later-release", "message": "update the package"});
    let Verdict::Rejected { code, message, .. } = Verdict::read(&said).unwrap() else { unreachable!() };
    assert_eq!((code.as_str(), message.as_str()), ("unknown", "update the package"));
}
