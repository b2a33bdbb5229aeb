//! A service worker drains the queue with the same engine: it leads only while no tab does, sends by requests what is
//! queued, reads nothing, and says when nothing is left that could leave (rules 3, 6, 33).

use crate::world;

use tidewire_core::json;
use tidewire_core::limits::{LEADER_ANSWER_MS, LEADER_SILENT_MS};
use world::{Fault, World, inc, insert, set, world};

/// A device in step, whose tab has written `d1` = 0, and is offline now.
fn offline() -> (World, usize) {
    let mut world = world();
    world.server.push_bytes = 16 * 1024;
    let a = world.device();
    world.run(1_000);
    world.write(a, insert("d1", json!({"f": 0})));
    world.run(1_000);
    world.set_network(false);
    (world, a)
}

/// A worker on the store of a tab.
fn worker(world: &mut World, tab: usize) -> usize {
    let worker = world.tab_in_part(world.tabs[tab].profile);
    world.command(worker, json!({"do": "drain"}));
    world.complete(worker);
    worker
}

fn drained(world: &World, worker: usize) -> (usize, u64) {
    (world.events(worker, "drained").len(), world.view(worker, "status")["pending"].as_u64().unwrap())
}

fn stored(world: &World) -> json::Value {
    let (_, row) = world.server.store.entities.iter().find(|((_, id), _)| id.as_str() == "d1").unwrap();
    row.stored.doc["f"].clone()
}

#[test]
fn rule_33_it_sends_what_a_closed_tab_left_by_requests_and_asks_for_nothing() {
    let (mut world, a) = offline();
    for _ in 0..3 {
        world.write(a, inc("d1", "/f", 1));
    }
    world.settle();
    world.kill(a);
    world.network = true;
    let pulls = world.server.pulls;
    let w = worker(&mut world, a);
    world.run(5_000);
    assert_eq!(stored(&world), 3);
    assert_eq!(drained(&world, w), (1, 0));
    assert!(!world.tabs[w].pushes.is_empty());
    assert_eq!((world.server.pulls, world.tabs[w].said.len()), (pulls, 0));
    assert_eq!(world.tabs[w].socket, None);
    // The next tab reads what came of it.
    world.kill(w);
    let b = world.tab(world.tabs[a].profile);
    world.run(1_000);
    assert_eq!(world.row(b, "d1").unwrap()["f"], 3);
    assert_eq!(world.row(b, "d1").unwrap()["$sync"]["status"], "synced");
    assert_eq!(world.tabs[b].pushes.len(), 0);
}

#[test]
fn invariant_21_while_a_tab_leads_it_waits_and_sends_nothing() {
    let (mut world, a) = offline();
    world.write(a, inc("d1", "/f", 1));
    world.settle();
    world.network = true;
    let w = worker(&mut world, a);
    world.set_network(true);
    world.run(5_000);
    assert_eq!(stored(&world), 1);
    assert_eq!((world.tabs[w].pushes.len(), world.view(w, "status")["pending"].clone()), (0, json!(0)));
    assert_eq!(world.view(w, "status")["state"], "synced");
}

#[test]
fn invariant_21_it_takes_over_from_a_frozen_tab_and_what_that_sent_counts_once() {
    let (mut world, a) = offline();
    world.push_faults = [Fault::AnswerLost].into();
    world.set_network(true);
    world.write(a, inc("d1", "/f", 1));
    world.settle();
    world.freeze(a);
    let w = worker(&mut world, a);
    world.run(LEADER_SILENT_MS + LEADER_ANSWER_MS + 5_000);
    assert_eq!(stored(&world), 1);
    assert_eq!(drained(&world, w), (1, 0));
    world.kill(w);
    world.thaw(a);
    world.write(a, inc("d1", "/f", 1));
    world.run(5_000);
    assert_eq!(stored(&world), 2);
}

#[test]
fn rule_03_one_that_is_stopped_in_mid_push_is_gone_on_from() {
    let (mut world, a) = offline();
    world.write(a, inc("d1", "/f", 1));
    world.settle();
    world.kill(a);
    world.network = true;
    world.push_faults = [Fault::AnswerLost].into();
    let first = worker(&mut world, a);
    world.kill(first);
    assert_eq!(stored(&world), 1);
    let second = worker(&mut world, a);
    world.run(5_000);
    assert_eq!(stored(&world), 1);
    assert_eq!(drained(&world, second), (1, 0));
}

#[test]
fn rule_33_without_a_token_it_keeps_the_queue_and_says_so() {
    let (mut world, a) = offline();
    world.write(a, inc("d1", "/f", 1));
    world.settle();
    world.kill(a);
    world.network = true;
    let w = world.tab_in_part(world.tabs[a].profile);
    world.tabs[w].tokens = [None].into();
    world.command(w, json!({"do": "drain"}));
    world.complete(w);
    world.run(5_000);
    assert_eq!((stored(&world), world.tabs[w].pushes.len()), (json!(0), 0));
    let status = world.view(w, "status");
    assert_eq!(
        (&status["state"], &status["reason"], &status["pending"]),
        (&json!("paused"), &json!("auth"), &json!(1))
    );
}

#[test]
fn rule_10_what_the_server_holds_is_left_to_a_tab() {
    let (mut world, a) = offline();
    world.write(a, set("d1", "/f", 7));
    world.settle();
    world.kill(a);
    // The server has lost the entity, and nobody was told.
    world.server.store.entities.clear();
    world.network = true;
    let w = worker(&mut world, a);
    world.run(1_000);
    assert_eq!(drained(&world, w), (1, 1));
}
