//! Rule 20 with requests that take time: when an edit was written is known to half a round trip.

use crate::world;

use tidewire_core::ids::{CollectionName, EntityId};
use tidewire_core::json;
use tidewire_core::model::path::Path;
use world::{World, insert, pair, set, world};

/// When the server takes the newest write of a field of `d1` to have been.
fn stamp(world: &World, field: &str) -> u64 {
    let key = (CollectionName::parse("deals").unwrap(), EntityId::parse("d1").unwrap());
    world.server.store.entities[&key].stored.paths.get(&Path::parse(field).unwrap()).unwrap().1.0.0
}

/// How far the server is from the truth about an edit that is written now and pushed at once.
fn error_of_an_edit(world: &mut World, tab: usize, value: u64) -> u64 {
    let written = world.now.wall_ms;
    world.write(tab, set("d1", "/f", value));
    world.run(5_000);
    stamp(world, "/f").abs_diff(written)
}

#[test]
fn rule_20_the_time_of_an_edit_is_known_to_half_a_round_trip() {
    for (up, down) in [(300, 100), (100, 300), (400, 0), (0, 400), (2_000, 2_000)] {
        let mut world = world();
        let a = world.device();
        world.tabs[a].latency = (up, down);
        // A clock that is wrong by more than an exchange can be: what was measured counts.
        world.server.ahead_ms = 60_000;
        world.write(a, insert("d1", json!({"f": 0})));
        world.run(10_000);
        for value in 1..4 {
            let error = error_of_an_edit(&mut world, a, value).abs_diff(60_000);
            assert!(error <= (up + down) / 2, "{error} ms with a latency of {up} and {down} ms");
        }
    }
}

#[test]
fn rule_20_a_clock_that_is_right_as_far_as_can_be_measured_is_believed() {
    let mut world = world();
    world.set_network(false);
    let (a, b) = (world.device(), world.device());
    // Neither ever meets the server quickly, and each is slow another way.
    world.tabs[a].latency = (20, 400);
    world.tabs[b].latency = (400, 20);
    world.set_network(true);
    world.write(a, insert("d1", json!({"f": 0})));
    world.run(30_000);
    for (first, second, later) in [(a, b, "b's"), (b, a, "a's")] {
        world.set_network(false);
        world.write(first, set("d1", "/f", "earlier"));
        world.run(2);
        world.write(second, set("d1", "/f", later));
        world.run(1_000);
        world.set_network(true);
        world.run(30_000);
        for tab in [a, b] {
            assert_eq!(world.row(tab, "d1").unwrap()["f"], later);
        }
    }
}

#[test]
fn rule_20_the_best_exchange_counts_when_later_ones_are_slow() {
    let (mut world, a, b) = pair();
    // Both have met the server while it was near; then everything gets slow, each way in its own measure.
    world.tabs[a].latency = (900, 100);
    world.tabs[b].latency = (50, 800);
    assert!(error_of_an_edit(&mut world, a, 1) <= 5);
    world.set_network(false);
    world.write(a, set("d1", "/f", "earlier"));
    world.run(28);
    world.write(b, set("d1", "/f", "later"));
    world.run(1_000);
    world.set_network(true);
    world.run(30_000);
    for tab in [a, b] {
        assert_eq!(world.row(tab, "d1").unwrap()["f"], "later");
    }
}

#[test]
fn rule_20_a_value_is_as_old_as_when_it_was_written_whatever_it_is_joined_with() {
    let (mut world, a, b) = pair();
    world.set_network(false);
    world.write(a, set("d1", "/f", "earlier"));
    world.run(10_000);
    world.write(b, set("d1", "/f", "later"));
    world.run(10_000);
    world.write(a, set("d1", "/g", "later still"));
    world.run(10_000);
    world.set_network(true);
    world.run(30_000);
    for tab in [a, b] {
        let row = world.row(tab, "d1").unwrap();
        assert_eq!((&row["f"], &row["g"]), (&json!("later"), &json!("later still")));
    }
}

#[test]
fn rule_20_what_was_known_before_a_clock_jumped_or_stood_still_is_forgotten() {
    for jump in [30_000, 3_600_000] {
        let (mut world, a, _) = pair();
        world.tabs[a].latency = (20, 20);
        // The device slept: its monotonic clock stood still.
        world.now.wall_ms += jump;
        assert!(error_of_an_edit(&mut world, a, 1) <= 20, "after a jump of {jump} ms");
    }
}

#[test]
fn rule_20_an_exchange_that_the_known_clock_cannot_explain_is_believed() {
    let (mut world, a, _) = pair();
    world.tabs[a].latency = (30, 30);
    // The server's clock was set. The next exchange shows it, though it is slower than the one that was believed.
    world.server.ahead_ms = 500;
    error_of_an_edit(&mut world, a, 1);
    let error = error_of_an_edit(&mut world, a, 2);
    assert!((495..=505).contains(&error), "{error}");
}
