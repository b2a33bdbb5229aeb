//! Several tabs of one profile: whoever leads is alive, and nothing is sent twice.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod world;

use tidewire_core::json;
use world::{World, inc, insert, world};

/// A leader and a follower that know `d1`.
fn two_tabs() -> (World, usize, usize) {
    let mut world = world();
    let leader = world.device();
    let follower = world.tab(0);
    world.write(leader, insert("d1", json!({"n": 0})));
    world.run(2_000);
    assert_eq!(leads(&world, leader), (true, false));
    (world, leader, follower)
}

fn leads(world: &World, tab: usize) -> (bool, bool) {
    let leader = |tab: usize| world.view(tab, "status")["leader"] == true;
    (leader(tab), leader(1 - tab))
}

#[test]
fn a_frozen_leader_is_replaced_within_half_a_minute_and_nothing_is_sent_twice() {
    let (mut world, leader, follower) = two_tabs();
    // It froze with an increment that it was about to push.
    world.write(leader, inc("d1", "/n", 1));
    world.settle();
    world.freeze(leader);
    world.write(follower, inc("d1", "/n", 1));
    world.run(30_000);
    assert!(leads(&world, follower).0, "the follower took the lead");
    assert_eq!(world.server.store.entities.len(), 1);
    let stored = |world: &World| world.row(follower, "d1").unwrap();
    assert_eq!(world.view(follower, "status")["pending"], 0);
    assert_eq!(stored(&world)["n"], 2);

    world.run(300_000);
    world.thaw(leader);
    world.write(leader, inc("d1", "/n", 1));
    world.run(30_000);
    assert_eq!(leads(&world, follower), (true, false), "the old leader follows");
    assert_eq!(world.view(leader, "status")["pending"], 0);
    assert_eq!(stored(&world)["n"], 3);
    assert_eq!(world.row(leader, "d1").unwrap()["n"], 3);
}

#[test]
fn a_leader_that_answers_is_never_robbed() {
    let (mut world, leader, follower) = two_tabs();
    world.run(3_600_000);
    assert_eq!(leads(&world, leader), (true, false));
    // Nor by a tab that was frozen itself, and only now hears what was said.
    world.freeze(follower);
    world.run(600_000);
    world.thaw(follower);
    world.run(60_000);
    assert_eq!(leads(&world, leader), (true, false));
}

#[test]
fn of_three_tabs_one_leads_after_a_freeze() {
    let (mut world, leader, _) = two_tabs();
    let third = world.tab(0);
    world.freeze(leader);
    world.run(60_000);
    let leaders = [1, third].into_iter().filter(|tab| world.view(*tab, "status")["leader"] == true).count();
    assert_eq!(leaders, 1);
    world.write(third, inc("d1", "/n", 5));
    world.run(10_000);
    assert_eq!(world.row(1, "d1").unwrap()["n"], 5);
    assert_eq!(world.view(third, "status")["pending"], 0);
}
