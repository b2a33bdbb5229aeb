//! The watchdog: each finding is an event with a stable code, a line in health, and repairs itself.

use crate::world;

use tidewire_core::json::{Value, json};
use world::{Fault, World, inc, insert, pair, set, world};

fn findings(world: &World, tab: usize) -> Vec<(Value, Value)> {
    let events = world.events(tab, "watchdog");
    events.iter().map(|event| (event["code"].clone(), event["collection"].clone())).collect()
}

fn reasons(world: &World, tab: usize) -> String {
    world.view(tab, "health")["reasons"].to_string()
}

fn repairs(world: &World, tab: usize) -> Vec<Value> {
    world.view(tab, "health")["repairs"].as_array().unwrap().iter().map(|repair| repair["code"].clone()).collect()
}

#[test]
fn a_queue_that_stands_still_before_a_server_that_answers_has_its_connection_made_anew() {
    let (mut world, a, b) = pair();
    world.push_faults.extend((0..1_000).map(|_| Fault::Status(503, None)));
    world.write(a, set("d1", "/f", 1));
    world.run(280_000);
    assert!(findings(&world, a).is_empty(), "{:?}", findings(&world, a));
    let tokens = world.tabs[a].socket.clone();
    world.run(40_000);
    assert_eq!(findings(&world, a), [(json!("stalled-queue"), Value::Null)]);
    let event = &world.events(a, "watchdog")[0];
    assert!(event["ageMs"].as_u64().unwrap() >= 300_000, "{event}");
    assert!(event["message"].as_str().unwrap().contains("does not get through"), "{event}");
    assert!(reasons(&world, a).contains("the oldest edit does not get through"), "{}", reasons(&world, a));
    assert_eq!(world.view(a, "health")["healthy"], false);
    assert_ne!(world.tabs[a].socket, tokens, "the channel is another one");

    world.push_faults.clear();
    world.run(90_000);
    assert_eq!(world.row(b, "d1").unwrap()["f"], 1);
    assert_eq!(world.view(a, "status")["pending"], 0);
    assert!(!reasons(&world, a).contains("get through"), "{}", reasons(&world, a));
    assert_eq!(repairs(&world, a), ["stalled-queue"], "what was repaired stays to be seen");
}

#[test]
fn a_server_that_answers_nothing_is_no_finding_and_neither_is_a_pause() {
    let (mut world, a, _) = pair();
    world.set_network(false);
    world.write(a, set("d1", "/f", 1));
    world.run(3_600_000);
    assert!(findings(&world, a).is_empty(), "{:?}", findings(&world, a));
    world.set_network(true);
    world.run(60_000);
    world.command(a, json!({"do": "pause"}));
    world.write(a, set("d1", "/f", 2));
    world.run(3_600_000);
    assert!(findings(&world, a).is_empty(), "{:?}", findings(&world, a));
    world.command(a, json!({"do": "resume"}));
    world.run(10_000);
    assert_eq!(world.view(a, "status")["pending"], 0, "the edit, an hour old, goes up as any");
    assert!(findings(&world, a).is_empty(), "{:?}", findings(&world, a));
}

/// A server that answers late is slow, and that is all.
#[test]
fn a_request_has_its_own_time_however_short_an_edit_may_wait() {
    let mut world = world();
    world.server.answers_only = true;
    let a = world.profile();
    let a = world.tab_with(a, json!({"timeoutMs": 10_000, "health": {"pendingMs": 1_000}}));
    world.run(1_000);
    world.push_faults.push_back(Fault::Late);
    world.write(a, insert("d1", json!({})));
    world.run(9_000);
    assert_eq!(world.tabs[a].pushes.len(), 1, "it is not cut before its time");
    world.deliver_late();
    world.run(1_000);
    assert_eq!((world.view(a, "status")["pending"].clone(), findings(&world, a)), (json!(0), vec![]));
}

#[test]
fn how_long_an_edit_may_wait_is_the_apps_to_say() {
    let mut world = world();
    let a = world.profile();
    let a = world.tab_with(a, json!({"health": {"pendingMs": 20_000}}));
    world.run(1_000);
    world.push_faults.extend((0..1_000).map(|_| Fault::Status(500, None)));
    world.write(a, insert("d1", json!({})));
    world.run(30_000);
    assert_eq!(findings(&world, a), [(json!("stalled-queue"), Value::Null)]);
}

#[test]
fn a_leader_that_says_nothing_is_named_in_health_and_replaced() {
    let mut world = world();
    let leader = world.device();
    let follower = world.tab(0);
    world.write(leader, insert("d1", json!({"n": 0})));
    world.run(2_000);
    world.freeze(leader);
    world.write(follower, inc("d1", "/n", 1));
    world.run(12_000);
    assert!(reasons(&world, follower).contains("the tab that leads is silent"), "{}", reasons(&world, follower));
    assert!(findings(&world, follower).is_empty());
    world.run(18_000);
    assert_eq!(findings(&world, follower), [(json!("stalled-leader"), Value::Null)]);
    let event = &world.events(follower, "watchdog")[0];
    assert!(event["ageMs"].as_u64().unwrap() >= 20_000, "{event}");
    assert_eq!(event["message"], "the tab that leads is silent: this one takes over");
    assert_eq!(world.view(follower, "status")["leader"], true);
    assert_eq!(world.view(follower, "status")["pending"], 0);
    assert_eq!(world.view(follower, "health")["healthy"], true, "{}", reasons(&world, follower));
    assert_eq!(repairs(&world, follower), ["stalled-leader"]);
}
