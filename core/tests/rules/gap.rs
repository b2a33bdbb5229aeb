//! A store that is lost before a tab has read all of its log: what the tab wrote behind the gap is not lost with it.

use crate::world;

use tidewire_core::io::{Input, Output, StoreError, StoreOp, Token};
use tidewire_core::json;
use world::browser::Weather;
use world::{World, insert, pair, set};

/// Runs until this tab reads the log.
fn until_it_reads(world: &mut World, tab: usize) -> Token {
    for _ in 0..1_000 {
        while let Some(output) = world.tabs[tab].engine.poll() {
            world.tabs[tab].outputs.push_back(output);
        }
        if let Some(Output::Store { token, op: StoreOp::ReadLog { .. } }) = world.tabs[tab].outputs.front() {
            let token = *token;
            world.tabs[tab].outputs.pop_front();
            return token;
        }
        world.step();
    }
    panic!("it reads nothing");
}

#[test]
fn rule_02_what_was_stored_behind_a_gap_when_the_store_was_lost_is_written_again_and_takes_nobodys_place() {
    let (mut world, a, b) = pair();
    let profile = world.tabs[a].profile;
    let other = world.tab(profile);
    world.set_network(false);
    world.browser.weather = Some(Weather { lost: 100, ..Weather::new(7) });
    world.write(other, set("d1", "/g", "by the other tab"));
    world.settle();
    let write = world.write(a, set("d1", "/f", "behind the gap"));
    let token = until_it_reads(&mut world, a);
    let there = world.disks[profile].log.keys().max().copied().unwrap();
    world.browser.weather = None;
    world.disks[profile] = world::disk::Disk::default();
    world.tabs[a].engine.handle(world.now, Input::Stored { token, result: Err(StoreError::Wiped) });
    world.run(1_000);
    assert!(world.events(a, "durable").iter().any(|event| event["write"] == write));
    // What comes to stand under the key that it had is another's.
    for n in 0..there {
        world.write(other, insert(&format!("n{n}"), json!({"n": n})));
        world.settle();
    }
    world.set_network(true);
    world.run(30_000);
    let row = world.row(b, "d1").unwrap();
    assert_eq!((&row["f"], &row["g"]), (&json!("behind the gap"), &json!("by the other tab")));
    for n in 0..there {
        assert_eq!(world.row(b, &format!("n{n}")).map(|row| row["n"].clone()), Some(json!(n)));
    }
}
