//! A long queue goes up push by push, one at a time and in order, and none waits longer than for the answer to the one
//! before (rules 3, 6, 10 and 12).

use crate::world;

use tidewire_core::io::StoreError;
use tidewire_core::json;
use tidewire_core::json::Value;
use world::{Fault, World, insert, pair, set};

/// Mutations in a push.
const BATCH: usize = 500;

/// Two devices; the first has `ops` queued and goes on with a server that answers pushes when it is told to.
fn with_queue(ops: Vec<Value>, sockets: bool) -> (World, usize, usize) {
    let (mut world, a, b) = paused_with(ops);
    world.push_faults = (0..10).map(|_| Fault::Late).collect();
    world.sockets = sockets;
    world.command(a, json!({"do": "resume"}));
    world.run(500);
    assert_eq!(world.tabs[a].pushes.len(), 1);
    (world, a, b)
}

fn paused_with(ops: Vec<Value>) -> (World, usize, usize) {
    let (mut world, a, b) = pair();
    world.server.answers_only = true;
    world.command(a, json!({"do": "pause"}));
    world.write_all(a, false, Value::Array(ops));
    world.settle();
    world.tabs[a].pushes.clear();
    (world, a, b)
}

fn inserts(count: usize) -> Vec<Value> {
    (0..count).map(|n| insert(&format!("e{n}"), json!({"n": n as u64}))).collect()
}

fn answer(world: &mut World) {
    world.deliver_late();
    world.settle();
}

/// The numbers in a push.
fn sent(push: &Value) -> Vec<(u64, u64)> {
    push["mutations"].as_array().unwrap().iter().map(|item| number(&item["n"])).collect()
}

fn number(n: &Value) -> (u64, u64) {
    (n[0].as_u64().unwrap(), n[1].as_u64().unwrap())
}

fn pending(world: &World, tab: usize) -> u64 {
    world.view(tab, "status")["pending"].as_u64().unwrap()
}

#[test]
fn each_push_leaves_with_the_answer_to_the_one_before() {
    let (mut world, a, b) = with_queue(inserts(2 * BATCH + 200), true);
    for count in 1..=3 {
        assert_eq!(world.tabs[a].pushes.len(), count, "one push at a time");
        answer(&mut world);
    }
    let pushes = &world.tabs[a].pushes;
    assert_eq!(pushes.iter().map(|push| sent(push).len()).collect::<Vec<_>>(), [BATCH, BATCH, 200]);
    assert!(sent(&pushes[0]).iter().chain(&sent(&pushes[1])).chain(&sent(&pushes[2])).is_sorted());
    // The verdicts of the first were not in the log yet when the second left, so the floor had not moved (rule 6).
    assert_eq!(number(&pushes[1]["floor"]), sent(&pushes[0])[0]);
    // What could still be joined with later edits is marked when it is its turn.
    assert_eq!(number(&pushes[2]["floor"]), sent(&pushes[2])[0]);
    world.run(2_000);
    assert_eq!(pending(&world, a), 0);
    assert_eq!(world.row(b, "e1199").unwrap()["n"], 1199);
}

#[test]
fn nothing_goes_on_that_follows_a_refused_edit() {
    let mut ops = inserts(BATCH - 1);
    ops.insert(0, insert("taken", json!({"by": "a"})));
    ops.push(set("taken", "/by", "a again"));
    ops.extend((0..BATCH).map(|n| insert(&format!("f{n}"), json!({}))));
    let (mut world, a, b) = paused_with(ops);
    world.write(b, insert("taken", json!({"by": "b"})));
    world.settle();
    world.push_faults = (0..10).map(|_| Fault::Late).collect();
    world.command(a, json!({"do": "resume"}));
    world.run(500);
    for _ in 0..3 {
        answer(&mut world);
    }
    world.run(5_000);
    assert!(world.row(b, "f499").is_some());
    assert_eq!(world.row(b, "taken").unwrap()["by"], "b");
    let queue = world.view(a, "queue");
    assert_eq!(queue["pending"][0]["id"], "taken", "it waits for its insert");
    assert_eq!(queue["failed"][0]["error"]["code"], "exists");
}

#[test]
fn verdicts_that_find_no_way_into_the_log_are_asked_for_again() {
    let (mut world, a, b) = with_queue(inserts(2 * BATCH), true);
    world.tabs[a].store_faults.push_back(StoreError::Failed);
    answer(&mut world);
    world.push_faults.clear();
    world.run(60_000);
    assert_eq!(pending(&world, a), 0);
    assert!(world.view(a, "queue")["failed"].as_array().unwrap().is_empty());
    let first = sent(&world.tabs[a].pushes[0])[0];
    assert!(world.tabs[a].pushes.iter().filter(|push| sent(push).contains(&first)).count() > 1);
    assert_eq!(world.row(b, "e999").unwrap()["$rev"], world.row(a, "e999").unwrap()["$rev"]);
}

#[test]
fn while_a_long_queue_goes_up_others_are_read_once_a_second() {
    let (mut world, a, b) = with_queue(inserts(4 * BATCH), false);
    let requests = |world: &World| world.view(a, "metrics")["requests"].as_u64().unwrap();
    let before = requests(&world);
    answer(&mut world);
    world.push_faults.clear();
    world.write(b, set("d1", "/f", "from b"));
    world.settle();
    assert_eq!(requests(&world) - before, 1, "the next push, and no pull");
    assert_eq!(world.row(a, "d1").unwrap()["f"], 0);
    world.run(1_000);
    assert_eq!(world.tabs[a].pushes.len(), 2, "the second push is still under way");
    assert_eq!(world.row(a, "d1").unwrap()["f"], "from b");
    answer(&mut world);
    world.run(1_000);
    assert_eq!(pending(&world, a), 0);
}

#[test]
fn rule_3_who_wakes_with_an_answer_sends_nothing_more_under_a_lead_that_may_be_over() {
    let (mut world, a, _) = with_queue(inserts(2 * BATCH), false);
    let profile = world.tabs[a].profile;
    let other = world.tab(profile);
    world.run(500);
    world.freeze(a);
    world.deliver_late();
    world.push_faults.clear();
    world.run(60_000);
    assert_eq!((pending(&world, other), world.tabs[other].pushes.is_empty()), (0, false));
    world.thaw(a);
    world.run(60_000);
    assert_eq!((world.tabs[a].pushes.len(), pending(&world, a)), (1, 0));
}
