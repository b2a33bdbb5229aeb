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

#[test]
fn rule_1_three_tabs_that_write_at_once_get_numbers_of_their_own_and_one_socket() {
    let (mut world, _, _) = two_tabs();
    let third = world.tab(0);
    let tabs = [0, 1, third];
    for round in 0..20 {
        for tab in tabs {
            world.write(tab, inc("d1", "/n", 1));
            world.write(tab, insert(&format!("d-{tab}-{round}"), json!({"by": tab})));
        }
        // All three have their append in flight at once.
        world.settle();
    }
    world.run(10_000);
    let numbers: Vec<_> = world.tabs.iter().flat_map(|tab| &tab.pushes).flat_map(numbers_of).collect();
    let mut unique = numbers.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), numbers.len(), "no number stands for two mutations");
    assert_eq!(world.server.store.entities.len(), 61);
    for tab in tabs {
        assert_eq!(world.row(tab, "d1").unwrap()["n"], 60);
        assert_eq!(world.view(tab, "status")["pending"], 0);
        for other in tabs {
            let id = format!("d-{other}-19");
            assert_eq!(world.row(tab, &id), world.row(third, &id));
        }
    }
    assert_eq!(world.tabs.iter().filter(|tab| tab.socket.is_some()).count(), 1, "one socket per profile");
}

fn numbers_of(push: &json::Value) -> Vec<String> {
    push["mutations"].as_array().unwrap().iter().map(|mutation| mutation["n"].to_string()).collect()
}

#[test]
fn a_follower_that_slept_through_a_seal_catches_up_when_it_wakes() {
    let (mut world, leader, follower) = two_tabs();
    world.freeze(follower);
    for n in 0..1_200 {
        world.write(leader, insert(&format!("new{n}"), json!({"n": n})));
        if n % 50 == 0 {
            world.run(100);
        }
    }
    world.write(leader, inc("d1", "/n", 7));
    world.run(7_200_000);
    assert!(world.disks[0].seals > 0, "what the follower knows of the log is gone");
    world.thaw(follower);
    world.run(1_000);
    assert_eq!(world.row(follower, "d1").unwrap()["n"], 7);
    assert_eq!(world.row(follower, "new1199").unwrap()["n"], 1_199);
    assert_eq!(leads(&world, leader), (true, false));
    world.write(follower, inc("d1", "/n", 1));
    world.run(5_000);
    assert_eq!(world.row(leader, "d1").unwrap()["n"], 8);
}
