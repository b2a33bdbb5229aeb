//! Pushes on the live channel: who sends them there, and that a channel which ends takes nothing with it.

use crate::world;

use tidewire_core::io::Input;
use tidewire_core::json;
use tidewire_core::json::Value;
use world::{Fault, World, inc, insert, set, world};

/// One device in step with a server that takes pushes on the channel, and knows `d1`.
fn device() -> (World, usize) {
    let mut world = world();
    world.server.push_bytes = 16 * 1024;
    world.server.answers_only = true;
    let a = world.device();
    world.run(1_000);
    world.write(a, insert("d1", json!({"f": 0})));
    world.run(1_000);
    (world, a)
}

/// How many pushes went by requests and on the channel.
fn sent(world: &World, tab: usize) -> (usize, usize) {
    (world.tabs[tab].pushes.len(), world.tabs[tab].said.len())
}

fn numbers(push: &Value) -> Vec<Value> {
    push["mutations"].as_array().unwrap().iter().map(|item| item["n"].clone()).collect()
}

fn socket(world: &World, tab: usize) -> u64 {
    world.tabs[tab].socket.as_ref().unwrap().0
}

fn failures(world: &World, tab: usize) -> Value {
    world.view(tab, "metrics")["failures"].clone()
}

/// The counter, and how many edits wait.
fn shown(world: &World, tab: usize) -> (Value, Value) {
    (world.row(tab, "d1").unwrap()["f"].clone(), world.view(tab, "status")["pending"].clone())
}

#[test]
fn a_server_that_does_not_take_them_there_gets_requests() {
    let mut world = world();
    let a = world.device();
    world.run(1_000);
    world.write(a, insert("d1", json!({"f": 0})));
    world.run(1_000);
    assert_eq!(sent(&world, a), (1, 0));
}

#[test]
fn a_small_push_travels_on_the_channel() {
    let (mut world, a) = device();
    let b = world.device();
    world.run(1_000);
    let before = world.view(a, "metrics");
    world.write(a, inc("d1", "/f", 2));
    world.settle();
    assert_eq!((sent(&world, a), sent(&world, b)), ((0, 2), (0, 0)));
    assert_eq!(
        (world.row(a, "d1").unwrap()["f"].clone(), world.row(b, "d1").unwrap()["f"].clone()),
        (json!(2), json!(2))
    );
    assert_eq!(world.view(a, "status")["pending"], 0);
    // They count as requests do.
    let after = world.view(a, "metrics");
    let push = world.tabs[a].said[1].to_string().len() as u64;
    let up = |view: &Value| view["bytesUp"].as_u64().unwrap();
    assert_eq!(up(&after) - up(&before), push);
    assert_eq!(after["requests"].as_u64().unwrap() - before["requests"].as_u64().unwrap(), 1);
    assert!(after["bytesDown"].as_u64() > before["bytesDown"].as_u64());
}

#[test]
fn a_large_push_goes_by_a_request() {
    let (mut world, a) = device();
    world.write(a, set("d1", "/g", json!("g".repeat(9_000))));
    world.settle();
    assert_eq!(sent(&world, a), (1, 1));
    world.server.push_bytes = 100;
    let token = socket(&world, a);
    world.cut_socket(a, token);
    world.run(5_000);
    world.write(a, set("d1", "/h", json!("more than a hundred bytes with all that is around it")));
    world.settle();
    assert_eq!(sent(&world, a), (2, 1), "nor is more said than the server takes");
    assert_eq!(world.view(a, "status")["pending"], 0);
}

#[test]
fn rule_6_what_a_lost_channel_carried_goes_by_a_request_at_once() {
    for fault in [Fault::Lost, Fault::AnswerLost] {
        let (mut world, a) = device();
        world.said_faults.push_back(fault.clone());
        world.write(a, inc("d1", "/f", 5));
        world.settle();
        // No time has passed: it is nobody's failure, and no reason to wait.
        assert_eq!(sent(&world, a), (1, 2), "{fault:?}");
        assert_eq!(numbers(&world.tabs[a].pushes[0]), numbers(&world.tabs[a].said[1]));
        assert_eq!(failures(&world, a), json!(0));
        world.run(5_000);
        assert_eq!(world.row(a, "d1").unwrap()["f"], 5, "once, {fault:?}");
        assert_eq!(world.view(a, "status")["pending"], 0);
        // The request was answered, so the new channel is taken again.
        world.write(a, inc("d1", "/f", 1));
        world.settle();
        assert_eq!((sent(&world, a), world.row(a, "d1").unwrap()["f"].clone()), ((1, 3), json!(6)));
    }
}

#[test]
fn until_a_request_was_answered_the_channel_is_not_tried_again() {
    let (mut world, a) = device();
    world.said_faults.push_back(Fault::Lost);
    world.push_faults.extend([Fault::Lost, Fault::Lost]);
    world.write(a, inc("d1", "/f", 5));
    world.run(60_000);
    assert_eq!((sent(&world, a), failures(&world, a)), ((3, 2), json!(2)));
    assert_eq!(world.row(a, "d1").unwrap()["f"], 5);
}

#[test]
fn a_channel_that_says_nothing_does_not_hold_a_push() {
    let (mut world, a) = device();
    world.said_faults.push_back(Fault::Silent);
    world.write(a, inc("d1", "/f", 5));
    world.run(9_000);
    assert_eq!(sent(&world, a), (0, 2));
    world.run(1_500);
    assert_eq!((sent(&world, a), failures(&world, a)), ((1, 2), json!(0)));
    assert_eq!(shown(&world, a), (json!(5), json!(0)));
}

#[test]
fn a_channel_that_says_nothing_costs_one_timeout_and_not_one_for_each_edit() {
    let (mut world, a) = device();
    world.said_faults.extend([Fault::Silent, Fault::Silent]);
    world.write(a, inc("d1", "/f", 5));
    world.run(10_500);
    world.write(a, inc("d1", "/f", 2));
    world.run(2_000);
    assert_eq!((sent(&world, a), world.view(a, "status")["pending"].clone()), ((2, 2), json!(0)));
}

#[test]
fn a_network_that_cuts_every_push_on_the_channel_gets_requests() {
    let (mut world, a) = device();
    world.said_faults.extend((0..10).map(|_| Fault::Lost));
    for _ in 0..10 {
        world.write(a, inc("d1", "/f", 1));
        world.run(30_000);
    }
    assert_eq!(world.view(a, "status")["pending"], 0);
    assert_eq!(world.said_faults.len(), 7, "three were lost");
}

#[test]
fn an_answer_that_nobody_waits_for_says_nothing() {
    let (mut world, a) = device();
    let old = socket(&world, a);
    let answer = |id: u64, n: &Value| {
        let verdict = json!({"n": n, "verdict": "rejected", "code": "invalid", "message": "late"});
        let user = json!({"tenant": "acme", "subject": "ada"});
        let body = json!({"v": 1, "now": 1, "user": user, "verdicts": [verdict]});
        json!({"t": "answer", "id": id, "status": 200, "body": body}).to_string()
    };
    world.said_faults.push_back(Fault::Lost);
    world.push_faults.push_back(Fault::Silent);
    world.write(a, inc("d1", "/f", 5));
    world.run(5_000);
    let n = numbers(&world.tabs[a].said[1])[0].clone();
    assert_ne!(socket(&world, a), old);
    // From the lost channel, and on the new one for other numbers than those of a push on it.
    for token in [old, socket(&world, a)] {
        for id in 0..100 {
            world.tabs[a].engine.handle(world.now, Input::SocketMessage { token, text: answer(id, &n) });
        }
    }
    world.settle();
    assert_eq!(world.view(a, "status")["failed"], 0);
    world.run(60_000);
    assert_eq!(shown(&world, a), (json!(5), json!(0)));
}

#[test]
fn a_refusal_on_the_channel_means_what_it_means_in_an_answer() {
    // The server fails: later, by a request.
    let (mut world, a) = device();
    world.said_faults.push_back(Fault::Status(503, Some(7_000)));
    world.write(a, inc("d1", "/f", 5));
    world.run(6_500);
    assert_eq!((sent(&world, a), failures(&world, a)), ((0, 2), json!(1)));
    world.run(60_000);
    assert_eq!((sent(&world, a), world.row(a, "d1").unwrap()["f"].clone()), ((1, 2), json!(5)));

    // Too large for the channel is not too large.
    world.said_faults.push_back(Fault::Status(413, None));
    world.write(a, inc("d1", "/f", 1));
    world.settle();
    assert_eq!((sent(&world, a), world.view(a, "status")["failed"].clone()), ((2, 3), json!(0)));
    assert_eq!(world.row(a, "d1").unwrap()["f"], 6);

    // A token that is refused is asked for again, and no edit is to blame.
    world.server.refused.push("ada".into());
    world.write(a, inc("d1", "/f", 1));
    world.settle();
    assert_eq!(world.tabs[a].asked.last(), Some(&"rejected"));
    world.server.refused.clear();
    world.run(60_000);
    assert_eq!(shown(&world, a), (json!(7), json!(0)));
}

#[test]
fn a_pause_takes_a_push_on_the_channel_back() {
    let (mut world, a) = device();
    world.said_faults.push_back(Fault::Silent);
    world.write(a, inc("d1", "/f", 5));
    world.settle();
    world.command(a, json!({"do": "pause"}));
    world.run(60_000);
    assert_eq!((sent(&world, a), world.view(a, "status")["pending"].clone()), ((0, 2), json!(1)));
    world.command(a, json!({"do": "resume"}));
    world.run(5_000);
    assert_eq!(shown(&world, a), (json!(5), json!(0)));
}

#[test]
fn a_follower_sends_nothing_and_its_leader_all() {
    let (mut world, a) = device();
    let profile = world.tabs[a].profile;
    let follower = world.tab(profile);
    world.write(follower, inc("d1", "/f", 5));
    world.run(1_000);
    assert_eq!((sent(&world, a), sent(&world, follower)), ((0, 2), (0, 0)));
    assert_eq!(world.row(follower, "d1").unwrap()["f"], 5);
}

#[test]
fn rule_3_nothing_leaves_on_the_channel_under_another_lead() {
    let (mut world, a) = device();
    let profile = world.tabs[a].profile;
    let other = world.tab(profile);
    // The leader freezes with a push on the channel that did not arrive.
    world.said_faults.push_back(Fault::Silent);
    world.write(a, inc("d1", "/f", 5));
    world.settle();
    world.freeze(a);
    world.run(60_000);
    assert_eq!((sent(&world, a), sent(&world, other)), ((0, 2), (1, 0)));
    world.thaw(a);
    world.run(60_000);
    assert_eq!(sent(&world, a), (0, 2));
    assert_eq!(
        (world.row(a, "d1").unwrap()["f"].clone(), world.row(other, "d1").unwrap()["f"].clone()),
        (json!(5), json!(5))
    );
}
