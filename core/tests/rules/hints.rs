//! Messages between tabs are hints (rule 2): who has missed one is told the next time it asks.

use crate::world;

use tidewire_core::limits::{LEADER_SILENT_MS, LOG_LOOK_MS};
use world::browser::Weather;
use world::{insert, pair, set};

#[test]
fn rule_02_a_follower_that_missed_a_record_reads_it_though_nothing_more_is_written() {
    let (mut world, a, b) = pair();
    let follower = world.tab(world.tabs[a].profile);
    world.run(1_000);
    world.browser.weather = Some(Weather { lost: 100, ..Weather::new(1) });
    world.write(a, insert("d2", tidewire_core::json!({"f": 1})));
    world.write(b, set("d1", "/f", 2));
    world.run(1_000);
    assert_eq!(world.row(follower, "d2"), None);
    world.browser.weather = None;
    world.run(LEADER_SILENT_MS + 1_000);
    assert_eq!(world.row(follower, "d2").unwrap()["f"], 1);
    assert_eq!(world.row(follower, "d1").unwrap()["f"], 2);
}

/// Seed 1281 of the simulator.
#[test]
fn rule_02_who_leads_sends_what_a_tab_wrote_that_died_with_its_message() {
    let (mut world, a, b) = pair();
    let other = world.tab(world.tabs[a].profile);
    // Behind the first look at the digests, which writes into the log.
    world.run(90_000);
    world.browser.weather = Some(Weather { lost: 100, ..Weather::new(1) });
    world.write(other, set("d1", "/f", "last words"));
    world.settle();
    world.kill(other);
    world.browser.weather = None;
    world.run(LOG_LOOK_MS + 2_000);
    assert_eq!(world.row(b, "d1").unwrap()["f"], "last words");
    assert_eq!(world.row(a, "d1").unwrap()["f"], "last words");
}
