//! A store that is lost before a tab has read all of its log: what the tab wrote behind the gap is not lost with it.

use crate::world;

use tidewire_core::io::{Input, StoreError, StoreOp};
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::log::record::Record;
use world::browser::Weather;
use world::{delete, insert, pair, set};

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
    let (token, _) = world.until(a, |op| matches!(op, StoreOp::ReadLog { .. }));
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

#[test]
fn rule_02_a_first_pull_whose_storing_was_not_reported_is_read_before_the_next_one() {
    let (mut world, _, b) = pair();
    world.set_network(false);
    world.sockets = false;
    let c = world.device();
    world.tabs[c].engine.handle(world.now, Input::Online(false));
    world.run(1_000);
    world.network = true;
    for tab in 0..=c {
        world.tabs[tab].engine.handle(world.now, Input::Online(true));
    }
    let is_pull =
        |op: &StoreOp| matches!(op, StoreOp::Append { records, .. } if records.iter().any(|one| is_of_rows(one)));
    let (token, op) = world.until(c, is_pull);
    let profile = world.tabs[c].profile;
    assert!(world.disks[profile].carry_out(op).is_ok());
    world.write(b, delete("d1"));
    // Until it is time to pull again.
    world.run(60_000);
    world.server.prune();
    world.tabs[c].engine.handle(world.now, Input::Stored { token, result: Err(StoreError::Failed) });
    world.run(60_000);
    assert_eq!(world.row(c, "d1"), None, "a pull from the beginning tells of no deletion");
    assert_eq!(world.events(c, "watchdog"), Vec::<Value>::new(), "and what it leaves behind had to be healed");
}

/// Whether a record holds what a pull brought.
fn is_of_rows(record: &[u8]) -> bool {
    matches!(Record::decode(record), Ok(Record::Changes(changes)) if !changes.rows.is_empty())
}

#[test]
fn rule_02_a_write_that_was_sealed_away_before_its_tab_heard_of_it_is_durable() {
    let (mut world, a, _) = pair();
    let profile = world.tabs[a].profile;
    let other = world.tab(profile);
    world.write(other, set("d1", "/g", "by the other tab"));
    let (token, op) = world.until(other, |op| matches!(op, StoreOp::Append { .. }));
    // It stands still, and so hears nothing.
    world.freeze(other);
    world.browser.weather = Some(Weather { deaf: true, ..Weather::new(7) });
    world.write(a, set("d1", "/f", "before it"));
    world.settle();
    let result = world.disks[profile].carry_out(op);
    for n in 0..300 {
        world.write(a, insert(&format!("n{n}"), json!({"n": n})));
        world.settle();
    }
    world.run(10_000);
    assert!(world.disks[profile].seals > 0);
    world.browser.weather = None;
    world.thaw(other);
    world.tabs[other].engine.handle(world.now, Input::Stored { token, result });
    world.run(10_000);
    assert_eq!(world.events(other, "durable").len(), 1);
    assert_eq!(world.row(other, "d1").unwrap()["$sync"]["status"], "synced");
}
