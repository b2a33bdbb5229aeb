//! One edit's whole journey through the engine: log, server, other tabs and devices.

use crate::world;

use tidewire_core::engine::Engine;
use tidewire_core::io::{Now, StoreError};
use tidewire_core::json;
use world::{Fault, delete, inc, insert, set, world};

#[test]
fn an_offline_day_survives_a_reload_and_reaches_a_second_device_in_order() {
    let mut world = world();
    let a = world.device();
    let b = world.device();
    world.set_network(false);
    let write = world.write(a, insert("d1", json!({"title": "Tide", "amount": 1})));
    world.write(a, insert("d2", json!({"title": "Gone soon"})));
    world.settle();
    world.write(a, set("d1", "/amount", 2));
    world.write(a, delete("d2"));
    world.settle();
    assert_eq!(world.events(a, "durable")[0]["write"], write);

    let a = world.reload(a);
    let row = world.row(a, "d1").unwrap();
    assert_eq!(
        (&row["title"], &row["amount"], &row["$sync"]["status"]),
        (&json!("Tide"), &json!(2), &json!("pending"))
    );
    assert!(world.row(a, "d2").is_none());
    assert_eq!(world.view(a, "status")["pending"], 4);

    world.set_network(true);
    world.run(5_000);
    assert_eq!(world.view(a, "status")["state"], "synced");
    assert_eq!(world.view(a, "status")["pending"], 0);
    assert_eq!(world.row(a, "d1").unwrap()["$sync"]["status"], "synced");
    assert_eq!(world.row(b, "d1").unwrap()["amount"], 2);
    assert!(world.row(b, "d2").is_none());
    assert_eq!(world.server.store.entities.len(), 2);
}

#[test]
fn different_fields_merge_and_the_same_field_goes_to_the_later_writer() {
    let mut world = world();
    let a = world.device();
    let b = world.device();
    world.write(a, insert("d1", json!({"title": "Tide", "amount": 1, "stage": "new"})));
    world.run(1_000);
    world.set_network(false);
    world.write(a, set("d1", "/title", "From A"));
    world.write(a, set("d1", "/stage", "a"));
    world.run(1_000);
    world.write(b, set("d1", "/amount", 7));
    world.write(b, set("d1", "/stage", "b"));
    world.run(1_000);
    world.set_network(true);
    world.run(5_000);
    for tab in [a, b] {
        let row = world.row(tab, "d1").unwrap();
        assert_eq!((&row["title"], &row["amount"], &row["stage"]), (&json!("From A"), &json!(7), &json!("b")));
    }
    let told = world.events(a, "conflict").len() + world.events(b, "conflict").len();
    assert!(told <= 1, "one author lost one field");
}

#[test]
fn three_offline_edits_of_one_field_never_conflict_with_their_author() {
    let mut world = world();
    let a = world.device();
    world.write(a, insert("d1", json!({"title": "0"})));
    world.run(1_000);
    world.set_network(false);
    for title in ["1", "2", "3"] {
        world.write(a, set("d1", "/title", title));
        world.run(100);
    }
    world.set_network(true);
    world.run(5_000);
    assert_eq!(world.row(a, "d1").unwrap()["title"], "3");
    assert!(world.events(a, "conflict").is_empty());
    assert_eq!(world.view(a, "status")["pending"], 0);
}

#[test]
fn a_lost_answer_applies_an_increment_once() {
    for fault in [Fault::AnswerLost, Fault::Twice, Fault::Cut(20), Fault::Lost] {
        let mut world = world();
        let a = world.device();
        world.write(a, insert("d1", json!({"votes": 1})));
        world.run(1_000);
        world.push_faults.push_back(fault.clone());
        world.write(a, inc("d1", "/votes", 5));
        world.run(10_000);
        assert_eq!(world.row(a, "d1").unwrap()["votes"], 6, "{fault:?}");
        assert_eq!(world.view(a, "status")["pending"], 0, "{fault:?}");
    }
}

#[test]
fn a_refused_token_pauses_and_counts_against_nobody() {
    let mut world = world();
    let a = world.device();
    world.server.refused.push("ada".into());
    world.tabs[a].tokens.push_back(None);
    world.write(a, insert("d1", json!({"title": "kept"})));
    world.run(60_000);
    assert_eq!(world.view(a, "status")["state"], "paused");
    assert_eq!(world.view(a, "status")["reason"], "auth");
    assert_eq!(world.view(a, "queue")["pending"][0]["attempts"], 0);
    world.server.refused.clear();
    world.command(a, json!({"do": "resume"}));
    world.run(5_000);
    assert_eq!(world.view(a, "status")["state"], "synced");
    assert!(world.tabs[a].asked.contains(&"rejected"));
}

#[test]
fn a_first_sync_of_nothing_is_complete() {
    let mut world = world();
    let a = world.device();
    world.run(1_000);
    assert_eq!(world.view(a, "status")["loaded"], json!(["deals", "people"]));
    assert_eq!(world.events(a, "loaded").len(), 2);
}

#[test]
fn a_follower_writes_through_the_leader_and_takes_over_when_it_dies() {
    let mut world = world();
    let leader = world.device();
    let follower = world.tab(0);
    let other = world.device();
    world.run(1_000);
    assert_eq!(world.view(follower, "status")["leader"], false);
    assert_eq!(world.view(follower, "status")["state"], "synced");
    world.write(follower, insert("d1", json!({"title": "from a follower"})));
    world.run(1_000);
    assert_eq!(world.row(other, "d1").unwrap()["title"], "from a follower");
    assert_eq!(world.row(leader, "d1").unwrap()["title"], "from a follower");
    world.kill(leader);
    world.run(1_000);
    assert_eq!(world.view(follower, "status")["leader"], true);
    world.write(follower, set("d1", "/title", "alone"));
    world.run(2_000);
    assert_eq!(world.row(other, "d1").unwrap()["title"], "alone");
}

#[test]
fn a_write_that_cannot_be_stored_is_taken_back_with_all_after_it() {
    let mut world = world();
    let a = world.device();
    world.run(1_000);
    world.tabs[a].store_faults.push_back(StoreError::Quota);
    world.write(a, insert("d1", json!({"title": "too much"})));
    world.write(a, set("d1", "/title", "builds on it"));
    assert!(world.row(a, "d1").is_some());
    world.run(60_000);
    assert!(world.row(a, "d1").is_none());
    assert_eq!(world.events(a, "write-failed").len(), 2);
    assert_eq!(world.events(a, "write-failed")[0]["error"]["code"], "quota");
    assert_eq!(world.events(a, "quota").len(), 1);
    world.write(a, insert("d1", json!({"title": "fits"})));
    world.run(5_000);
    assert_eq!(world.row(a, "d1").unwrap()["$sync"]["status"], "failed", "the others are still there to be decided on");
    for entry in world.view(a, "queue")["failed"].as_array().unwrap() {
        world.command(a, json!({"do": "discard", "n": entry["n"]}));
    }
    assert_eq!(world.row(a, "d1").unwrap()["$sync"]["status"], "synced");
}

#[test]
fn the_log_is_sealed_and_swept_and_a_reload_sees_the_same() {
    let mut world = world();
    let a = world.device();
    let b = world.device();
    for round in 0..40 {
        for id in 0..60 {
            let title = format!("{round} {}", "x".repeat(300));
            let op = if round == 0 {
                insert(&format!("d{id}"), json!({"title": title}))
            } else {
                set(&format!("d{id}"), "/title", title)
            };
            world.write(a, op);
        }
        world.run(2_000);
    }
    world.run(10_000);
    let disk = &world.disks[0];
    assert!(disk.seals > 3, "{}", disk.seals);
    assert!(disk.log.len() < 300, "{}", disk.log.len());
    assert!(world.disks[0].cleans > 0);
    let before: Vec<_> = (0..60).map(|id| world.row(a, &format!("d{id}"))).collect();
    let a = world.reload(a);
    let after: Vec<_> = (0..60).map(|id| world.row(a, &format!("d{id}"))).collect();
    assert_eq!(before, after);
    world.run(5_000);
    assert_eq!(world.row(b, "d7").unwrap()["title"], world.row(a, "d7").unwrap()["title"]);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "it is time that is measured")]
fn a_call_of_many_inserts_costs_in_proportion_to_their_number() {
    let time = |count: usize| {
        let mut world = world();
        let a = world.device();
        let ops: Vec<_> = (0..count).map(|n| insert(&format!("d{n:06}"), json!({"n": n}))).collect();
        let began = std::time::Instant::now();
        world.write_all(a, false, json!(ops));
        began.elapsed()
    };
    let best = |count: usize| (0..8).map(|_| time(count)).min().unwrap();
    // Eight times the inserts: about 8 if each looks up its own entity, about 64 if each looks through all.
    let ratio = best(16_000).as_secs_f64() / best(2_000).as_secs_f64();
    assert!(ratio < 24.0, "{ratio}");
}

#[test]
fn a_tab_whose_second_part_is_still_to_come_shows_the_metrics_of_one_that_has_done_nothing() {
    let engine = || Engine::new(r#"{"name":"app","collections":{"docs":{}}}"#, [7; 16]).unwrap();
    let now = Now { wall_ms: 1, mono_ms: 1 };
    let (whole, mut part) = (engine(), engine());
    part.in_part();
    assert_eq!(part.view(now, "metrics").unwrap(), whole.view(now, "metrics").unwrap());
}
