//! Rules B, D, E, F and H as the client keeps them. Each test breaks when its rule does.

use crate::world;

use tidewire_core::io::Input;
use tidewire_core::json;
use tidewire_core::json::Value;
use world::{Fault, World, insert, pair, set, world};

/// The numbers of a tab's pushes, in order of sending.
fn pushed(world: &World, tab: usize) -> Vec<Vec<Value>> {
    let numbers = |push: &Value| push["mutations"].as_array().unwrap().iter().map(|item| item["n"].clone()).collect();
    world.tabs[tab].pushes.iter().map(numbers).collect()
}

#[test]
fn rule_06_the_floor_passes_only_verdicts_that_are_in_the_log() {
    let (mut world, a, _) = pair();
    world.server.answers_only = true;
    world.push_faults.push_back(Fault::AnswerLost);
    world.write(a, set("d1", "/f", 1));
    world.run(10_000);
    let floors: Vec<Value> = world.tabs[a].pushes.iter().map(|push| push["floor"].clone()).collect();
    let numbers = pushed(&world, a);
    for (floor, numbers) in floors.iter().zip(&numbers) {
        assert_eq!(floor, &numbers[0], "nothing below the first undecided number is open: {floors:?}");
    }
    assert_eq!(floors[1], floors[2], "the lost answer's verdict was not taken for known");
}

#[test]
fn rule_07_a_retry_is_a_new_mutation_with_the_old_base() {
    let mut world = world();
    let a = world.device();
    world.server.reject = Some(("/amount".into(), json!("bad")));
    world.write(a, insert("d1", json!({"amount": 1})));
    world.run(1_000);
    world.write(a, set("d1", "/amount", "bad"));
    world.run(1_000);
    assert_eq!(world.row(a, "d1").unwrap()["amount"], 1, "the optimistic effect is undone");
    assert_eq!(world.row(a, "d1").unwrap()["$sync"]["status"], "failed");
    let letter = world.view(a, "queue")["failed"][0].clone();
    assert_eq!((&letter["error"]["code"], &letter["error"]["path"]), (&json!("invalid"), &json!("/amount")));

    world.command(a, json!({"do": "edit", "n": letter["n"], "set": {"/amount": 2}}));
    world.run(5_000);
    assert_eq!(world.row(a, "d1").unwrap()["amount"], 2);
    assert_eq!(world.view(a, "queue")["failed"], json!([]));
    let last = &world.tabs[a].pushes.last().unwrap()["mutations"][0];
    assert_eq!(last["m"]["retry_of"], letter["n"]);
    assert_ne!(last["n"], letter["n"]);
    assert_eq!(last["m"]["was"]["/amount"], 1);
}

#[test]
fn rule_09_another_users_token_pauses_and_pushes_nothing() {
    let (mut world, a, _) = pair();
    world.set_network(false);
    world.write(a, set("d1", "/f", "ada's"));
    world.run(100);
    world.user = "bob".into();
    let before = world.tabs[a].pushes.len();
    let a = world.reload(a);
    world.set_network(true);
    world.run(30_000);
    let status = world.view(a, "status");
    assert_eq!((&status["state"], &status["reason"]), (&json!("paused"), &json!("wrong-user")));
    assert_eq!(status["pending"], 1);
    assert!(before > 0);
    let stored = world.server.store.entities.values().next().unwrap();
    assert_eq!(stored.stored.doc["f"], 0);
}

#[test]
fn rule_10_an_edit_of_what_is_not_there_is_held_and_goes_when_it_comes() {
    let mut world = world();
    let a = world.device();
    world.server.reject = Some(("/f".into(), json!("bad")));
    world.write(a, insert("d1", json!({"f": "bad"})));
    world.write(a, set("d1", "/g", 1));
    world.run(2_000);
    let queue = world.view(a, "queue");
    assert_eq!(queue["failed"].as_array().unwrap().len(), 1);
    assert_eq!(queue["pending"][0]["status"], "held");
    world.command(a, json!({"do": "edit", "n": queue["failed"][0]["n"], "set": {"/f": "good"}}));
    world.run(60_000);
    let row = world.row(a, "d1").unwrap();
    assert_eq!((&row["f"], &row["g"], &row["$sync"]["status"]), (&json!("good"), &json!(1), &json!("synced")));
}

#[test]
fn rule_10_an_edit_behind_a_rejected_insert_never_lands_in_somebody_elses_entity() {
    let mut world = world();
    let b = world.device();
    world.run(1_000);
    let first = world.device();
    let a = world.tab_with(1, json!({"batch": {"maxCount": 1}}));
    world.kill(first);
    world.run(1_000);
    world.set_network(false);
    world.write(b, insert("same", json!({"of": "b"})));
    world.write(a, insert("same", json!({"of": "a"})));
    world.settle();
    world.write(a, set("same", "/note", "meant for a's own"));
    world.run(100);
    // `b` gets through first; then the insert and the edit of `a` go up in two pushes.
    world.tabs[a].tokens.push_back(None);
    world.set_network(true);
    world.run(5_000);
    let (winner, loser) = if world.view(a, "queue")["failed"] == json!([]) { (a, b) } else { (b, a) };
    assert_eq!(world.view(loser, "queue")["failed"][0]["error"]["code"], "exists");
    assert_eq!(loser, a, "the edit belongs to the loser");
    assert_eq!(world.view(a, "status")["pending"], 1, "the edit waits");
    assert_eq!(world.row(winner, "same").unwrap().get("note"), None);
}

#[test]
fn rule_10_what_is_held_for_seven_days_becomes_a_dead_letter() {
    let mut world = world();
    let a = world.device();
    world.server.reject = Some(("/f".into(), json!("bad")));
    world.write(a, insert("d1", json!({"f": "bad"})));
    world.write(a, set("d1", "/g", 1));
    world.run(2_000);
    let n = world.view(a, "queue")["failed"][0]["n"].clone();
    world.command(a, json!({"do": "discard", "n": n}));
    world.now.wall_ms += 8 * 24 * 3_600_000;
    world.run(60_000);
    let failed = world.view(a, "queue")["failed"].clone();
    assert_eq!(failed[0]["error"]["code"], "held-too-long");
    assert_eq!(world.view(a, "queue")["pending"], json!([]));
}

#[test]
fn rule_11_a_transaction_fails_and_succeeds_whole() {
    let (mut world, a, b) = pair();
    world.server.reject = Some(("/f".into(), json!("bad")));
    world.write_all(a, true, json!([set("d1", "/g", 5), insert("d2", json!({"f": "bad"}))]));
    world.run(2_000);
    assert_eq!(world.row(a, "d1").unwrap()["g"], 0);
    assert!(world.row(a, "d2").is_none());
    assert_eq!(world.view(a, "queue")["failed"].as_array().unwrap().len(), 2);
    world.write_all(a, true, json!([set("d1", "/g", 6), insert("d3", json!({"f": 1}))]));
    world.run(2_000);
    assert_eq!(world.row(b, "d1").unwrap()["g"], 6);
    assert_eq!(world.row(b, "d1").unwrap()["$rev"], world.row(b, "d3").unwrap()["$rev"]);
}

#[test]
fn rule_11_a_transaction_is_never_split_over_two_pushes() {
    let mut world = world();
    let profile = world.device();
    let a = world.tab_with(0, json!({"batch": {"maxCount": 3}}));
    world.kill(profile);
    world.run(1_000);
    world.set_network(false);
    for n in 0..5 {
        let ops = json!([insert(&format!("x{n}"), json!({"n": n})), insert(&format!("y{n}"), json!({"n": n}))]);
        world.write_all(a, true, ops);
    }
    world.set_network(true);
    world.run(5_000);
    assert_eq!(world.server.store.entities.len(), 10);
    let sizes: Vec<usize> = pushed(&world, a).iter().map(Vec::len).collect();
    assert!(sizes.iter().all(|size| size % 2 == 0), "{sizes:?}");
}

#[test]
fn rule_11_a_transaction_over_its_bounds_is_refused_when_it_is_written() {
    let mut world = world();
    let a = world.device();
    let ops = |count: usize| (0..count).map(|n| insert(&format!("d{n}"), json!({}))).collect::<Vec<_>>();
    let engine = &mut world.tabs[a].engine;
    let request = |count| json!({"atomic": true, "ops": ops(count)}).to_string();
    assert!(engine.write(world.now, &request(500), "").is_ok());
    assert_eq!(engine.write(world.now, &request(501), "").unwrap_err().code.as_str(), "too-large");
}

#[test]
fn rule_12_pushes_follow_the_order_of_numbers() {
    let (mut world, a, _) = pair();
    world.set_network(false);
    for n in 0..30 {
        world.write(a, insert(&format!("e{n}"), json!({"n": n})));
        world.run(10);
    }
    world.set_network(true);
    world.run(5_000);
    let numbers: Vec<(u64, u64)> =
        pushed(&world, a).concat().iter().map(|n| (n[0].as_u64().unwrap(), n[1].as_u64().unwrap())).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
}

#[test]
fn rule_20_a_clock_that_is_days_off_neither_wins_nor_loses_by_it() {
    let (mut world, a, b) = pair();
    world.set_network(false);
    world.write(a, set("d1", "/f", "a, first"));
    world.run(1_000);
    world.write(b, set("d1", "/f", "b, later"));
    world.run(1_000);
    // Only the order of the true times counts: the later edit wins although `a` reconnects last.
    world.set_network(true);
    world.run(5_000);
    assert_eq!(world.row(a, "d1").unwrap()["f"], "b, later");
    assert_eq!(world.row(b, "d1").unwrap()["f"], "b, later");
}

#[test]
fn rule_21_a_frame_that_does_not_continue_the_cursor_starts_a_pull() {
    let (mut world, a, b) = pair();
    let (token, subscription) = world.tabs[a].socket.clone().unwrap();
    // The frame is lost: the server believes that it was delivered.
    world.tabs[a].socket = None;
    world.write(b, set("d1", "/f", "in the lost frame"));
    world.run(100);
    assert_eq!(world.row(a, "d1").unwrap()["f"], 0);
    let at = world.server.ready(&subscription.clone().unwrap()["auth"])["cursor"].clone();
    world.tabs[a].socket = Some((token, Some(json!({"auth": subscription.unwrap()["auth"], "at": at}))));
    let pulls = world.server.pulls;
    world.write(b, set("d1", "/g", "in the next"));
    world.run(2_000);
    let row = world.row(a, "d1").unwrap();
    assert_eq!((&row["f"], &row["g"]), (&json!("in the lost frame"), &json!("in the next")));
    assert!(world.server.pulls > pulls);
}

#[test]
fn rule_21_a_doubled_or_late_frame_changes_nothing() {
    let (mut world, a, b) = pair();
    let (token, subscription) = world.tabs[a].socket.clone().unwrap();
    let subscription = subscription.unwrap();
    world.write(b, set("d1", "/f", 1));
    world.settle();
    let old = world.server.frame(&subscription["auth"], &subscription["at"]).unwrap();
    world.run(100);
    world.write(b, set("d1", "/f", 2));
    world.run(1_000);
    let pulls = world.server.pulls;
    for _ in 0..2 {
        world.tabs[a].engine.handle(world.now, Input::SocketMessage { token, text: old.to_string() });
        world.run(1_000);
    }
    assert_eq!(world.row(a, "d1").unwrap()["f"], 2);
    assert_eq!(world.server.pulls, pulls, "what is known already is no reason to pull");
}

#[test]
fn rule_22_what_a_pull_brings_is_shown_when_it_is_done_and_not_before() {
    let (mut world, a, b) = pair();
    world.tabs[a].socket = None;
    world.sockets = false;
    let ops: Vec<Value> = (0..10).map(|n| insert(&format!("t{n}"), json!({"n": n}))).collect();
    world.write_all(b, true, json!(ops));
    world.write(b, set("d1", "/f", "later"));
    world.run(100);
    // Cut behind the first checkpoints, again and again.
    world.pull_faults.extend([Fault::Cut(1_500), Fault::Cut(2_500)]);
    world.set_network(false);
    world.set_network(true);
    let seen = |world: &World| (0..10).filter(|n| world.row(a, &format!("t{n}")).is_some()).count();
    for _ in 0..200 {
        world.run(50);
        assert!([0, 10].contains(&seen(&world)), "a transaction is seen whole or not at all: {}", seen(&world));
    }
    assert_eq!(seen(&world), 10);
    assert_eq!(world.row(a, "d1").unwrap()["f"], "later");
}

#[test]
fn rule_22_a_first_sync_shows_rows_early_and_goes_on_where_it_was_cut() {
    let mut world = world();
    let a = world.device();
    for n in 0..30 {
        world.write(a, insert(&format!("d{n}"), json!({"n": n})));
    }
    world.run(1_000);
    world.pull_faults.push_back(Fault::Cut(4_000));
    let b = world.device();
    let early = (0..30).filter(|n| world.row(b, &format!("d{n}")).is_some()).count();
    assert!((1..30).contains(&early), "{early}");
    assert_eq!(world.view(b, "status")["loaded"], json!([]));
    world.run(10_000);
    assert_eq!((0..30).filter(|n| world.row(b, &format!("d{n}")).is_some()).count(), 30);
    assert_eq!(world.view(b, "status")["loaded"], json!(["deals", "people"]));
}

#[test]
fn rule_23_another_scope_reads_again_and_forgets_what_is_gone() {
    let (mut world, a, _) = pair();
    world.set_network(false);
    world.write(a, set("d1", "/g", "pending"));
    world.run(100);
    world.server.policy_version = "p2".into();
    world.server.store.entities.clear();
    world.set_network(true);
    world.run(1_000);
    assert_eq!(world.events(a, "reset").len(), 1);
    assert!(world.row(a, "d1").is_none(), "the server has it no more");
    assert_eq!(world.view(a, "status")["pending"], 1, "the queue is kept");
}

#[test]
fn rule_26_an_entity_that_leaves_ones_groups_is_erased_and_never_pushed_as_a_delete() {
    let mut world = world();
    world.server.policy.private_to = Some("owner".into());
    let a = world.device();
    world.user = "bob".into();
    let b = world.device();
    world.write(a, insert("d1", json!({"owner": "ada", "secret": "canary"})));
    world.run(1_000);
    world.write(a, set("d1", "/owner", "bob"));
    world.run(2_000);
    assert!(world.row(a, "d1").is_none());
    assert_eq!(world.row(b, "d1").unwrap()["secret"], "canary");
    let stored = &world.server.store.entities.values().next().unwrap().stored;
    assert!(!stored.deleted);
    assert_eq!(stored.doc["secret"], "canary");
}

#[test]
fn synced_is_not_said_before_the_first_pulls_rows_are_shown() {
    let (mut world, _, _) = pair();
    world.network = false;
    let leader = world.device();
    let follower = world.tab(world.tabs[leader].profile);
    world.network = true;
    world.tabs[leader].engine.handle(world.now, Input::Online(false));
    world.tabs[leader].engine.handle(world.now, Input::Online(true));
    let mut synced = [false; 2];
    while world.step() {
        for (tab, synced) in [leader, follower].into_iter().zip(&mut synced) {
            let status = world.view(tab, "status");
            if status["state"] == "synced" {
                *synced = true;
                assert_eq!(status["loaded"].as_array().unwrap().len(), 2, "{status}");
                assert!(world.row(tab, "d1").is_some(), "the row is there when the status says so");
            }
        }
    }
    assert_eq!(synced, [true; 2]);
}

#[test]
fn a_pull_that_brings_nothing_is_told_all_the_same() {
    let (mut world, a, _) = pair();
    let before = world.events(a, "health").len();
    world.command(a, json!({"do": "now"}));
    world.run(100);
    assert!(world.events(a, "health").len() > before, "who waits for `now` hears of its end");
}

#[test]
fn what_was_sent_and_received_is_counted_by_collection() {
    let (mut world, a, b) = pair();
    let counts = |world: &World, tab: usize| {
        let counters = world.view(tab, "metrics")["collections"]["deals"].clone();
        ["accepted", "rejected", "received", "bytesUp", "bytesDown"].map(|what| counters[what].as_u64().unwrap_or(0))
    };
    let before = counts(&world, a);
    world.write(a, set("d1", "/f", "mine"));
    world.run(1_000);
    world.set_network(false);
    // Of two inserts under one id the server takes the first.
    world.write(a, insert("d2", json!({"n": 1})));
    world.write(b, insert("d2", json!({"n": 2})));
    world.set_network(true);
    world.run(5_000);
    let (a_has, b_has) = (counts(&world, a), counts(&world, b));
    assert_eq!([a_has[0] - before[0] + b_has[0], a_has[1] + b_has[1]], [2, 1], "{a_has:?} {b_has:?}");
    assert_eq!(a_has[2] - before[2], 2);
    assert!(a_has[3] - before[3] > 100 && a_has[4] > before[4], "{before:?} {a_has:?}");
    assert!(world.view(a, "metrics")["collections"]["deals"]["pushMs"]["p50"].as_u64().is_some());
}
