//! Rule 8 as the client keeps it: a copied profile. Both copies go on, nothing is lost and nothing counts twice.

use crate::world;

use tidewire_core::json;
use tidewire_core::json::Value;
use world::{Fault, World, inc, insert, pair, set, world};

fn replicas(world: &World, tab: usize) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for push in &world.tabs[tab].pushes {
        let replica = push["replica"].as_str().unwrap().to_owned();
        if !seen.contains(&replica) {
            seen.push(replica);
        }
    }
    seen
}

/// Everything is on the server, the queue is empty, and sync goes on.
fn goes_on(world: &mut World, tab: usize, id: &str) {
    assert_eq!(world.view(tab, "status")["pending"], 0, "{}", world.view(tab, "queue"));
    world.write(tab, insert(id, json!({"of": id})));
    world.run(5_000);
    assert_eq!(world.row(tab, id).unwrap()["$sync"]["status"], "synced");
}

/// Both copies add to a number, five times each.
fn count_on(world: &mut World, (a, by_a): (usize, i64), (copy, by_copy): (usize, i64)) {
    for _ in 0..5 {
        world.write(a, inc("d1", "/f", by_a));
        world.write(copy, inc("d1", "/f", by_copy));
        world.run(100);
    }
}

/// Both copies add to a number and go up one after the other; everybody has what both added. Returns the first anew.
fn both_count(world: &mut World, a: usize, b: usize, copy: usize) -> usize {
    count_on(world, (a, 10), (copy, 100));
    world.kill(a);
    world.set_network(true);
    world.run(30_000);
    let a = world.reload(a);
    world.run(30_000);
    for tab in [a, b, copy] {
        assert_eq!(world.row(tab, "d1").unwrap()["f"], 550);
    }
    a
}

#[test]
fn rule_08_both_copies_of_a_profile_go_on_and_nothing_is_lost_or_counted_twice() {
    let (mut world, a, b) = pair();
    world.set_network(false);
    world.write(a, inc("d1", "/f", 1));
    world.settle();
    let copy = world.copy_of(a);
    for n in 0..5 {
        world.write(a, inc("d1", "/f", 10));
        world.write(copy, inc("d1", "/f", 1_000));
        world.write(a, insert(&format!("a{n}"), json!({"n": n})));
        world.write(copy, insert(&format!("copy{n}"), json!({"n": n})));
        world.run(100);
    }
    world.set_network(true);
    world.run(30_000);
    for tab in [a, b, copy] {
        assert_eq!(world.row(tab, "d1").unwrap()["f"], 5_051, "what both had counts once");
        for n in 0..5 {
            assert!(world.row(tab, &format!("a{n}")).is_some() && world.row(tab, &format!("copy{n}")).is_some());
        }
    }
    assert_eq!(replicas(&world, a).len() + replicas(&world, copy).len(), 3, "one of the two took a new name");
    goes_on(&mut world, a, "after-a");
    goes_on(&mut world, copy, "after-copy");
}

#[test]
fn rule_08_what_was_decided_before_the_copy_keeps_its_verdict() {
    let (mut world, a, _) = pair();
    world.push_faults.push_back(Fault::AnswerLost);
    world.write(a, inc("d1", "/f", 1));
    world.settle();
    world.set_network(false);
    let copy = world.copy_of(a);
    world.write(a, inc("d1", "/f", 10));
    world.write(copy, inc("d1", "/f", 100));
    world.run(100);
    world.set_network(true);
    world.run(30_000);
    assert_eq!(world.row(a, "d1").unwrap()["f"], 111);
    goes_on(&mut world, a, "after-a");
    goes_on(&mut world, copy, "after-copy");
}

#[test]
fn rule_08_what_was_decided_and_was_not_in_the_push_counts_once_after_a_fork() {
    let mut world = world();
    let a = world.device();
    world.server.reject = Some(("/f".into(), json!("bad")));
    world.write(a, insert("d1", json!({"f": "bad", "n": 0})));
    world.write(a, inc("d1", "/n", 1));
    world.run(2_000);
    let letter = world.view(a, "queue")["failed"][0]["n"].clone();
    let copy = world.copy_of(a);
    world.kill(copy);
    // The original's insert gets through, and the edit that waited for it.
    world.command(a, json!({"do": "edit", "n": letter, "set": {"/f": "good"}}));
    for n in 0..4 {
        world.write(a, insert(&format!("a{n}"), json!({})));
        world.run(15_000);
    }
    assert_eq!(world.row(a, "d1").unwrap()["n"], 1);
    // In the copy the same edit waits behind the dead letter, and is in no push.
    let copy = world.reload(copy);
    for n in 0..4 {
        world.write(copy, insert(&format!("copy{n}"), json!({})));
        world.run(15_000);
    }
    assert_eq!(replicas(&world, copy).len(), 2);
    assert_eq!(world.row(copy, "d1").unwrap()["n"], 1, "it was decided under the old name");
    assert_eq!(world.view(copy, "status")["pending"], 0);
    goes_on(&mut world, copy, "after");
}

#[test]
fn rule_08_a_lost_answer_or_a_killed_tab_does_not_disturb_a_fork() {
    for fault in [Fault::Lost, Fault::AnswerLost, Fault::Twice, Fault::Status(503, None), Fault::Cut(60)] {
        let (mut world, a, _) = pair();
        let copy = world.copy_of(a);
        world.kill(copy);
        world.write(a, inc("d1", "/f", 1));
        world.write(a, set("d1", "/g", "a"));
        world.run(2_000);
        world.set_network(false);
        let mut copy = world.reload(copy);
        for _ in 0..4 {
            world.write(copy, inc("d1", "/f", 10));
            world.settle();
        }
        world.push_faults.extend([Fault::Lost, fault.clone(), fault]);
        world.set_network(true);
        world.run(40);
        copy = world.reload(copy);
        world.run(60_000);
        assert_eq!(world.row(copy, "d1").unwrap()["f"], 41);
        goes_on(&mut world, copy, "after");
    }
}

#[test]
fn rule_08_all_tabs_of_the_copy_take_the_new_name() {
    let (mut world, a, _) = pair();
    world.set_network(false);
    let copy = world.copy_of(a);
    let profile = world.tabs[copy].profile;
    let other = world.tab(profile);
    world.write(a, inc("d1", "/f", 1));
    world.write(copy, inc("d1", "/f", 10));
    world.write(other, inc("d1", "/f", 100));
    world.run(100);
    world.set_network(true);
    world.run(30_000);
    world.kill(copy);
    world.write(other, inc("d1", "/f", 1_000));
    world.run(30_000);
    assert_eq!(world.row(a, "d1").unwrap()["f"], 1_111);
    let names: Value = json!(replicas(&world, other));
    assert_eq!(replicas(&world, other).len(), 1, "{names}");
    assert!(replicas(&world, copy).contains(&replicas(&world, other)[0]));
}

#[test]
fn rule_08_what_one_copy_gave_up_under_a_number_costs_the_other_nothing() {
    let (mut world, a, b) = pair();
    world.set_network(false);
    let copy = world.copy_of(a);
    // Each joins its edits, so that numbers are void in one copy under which the other has an edit of its own.
    let a = both_count(&mut world, a, b, copy);
    goes_on(&mut world, a, "after-a");
    goes_on(&mut world, copy, "after-copy");
}

#[test]
fn rule_08_what_copies_write_while_their_clock_is_behind_is_told_apart() {
    let (mut world, a, b) = pair();
    world.set_network(false);
    world.write(a, set("d1", "/g", 1));
    world.settle();
    world.kill(a);
    let copy = world.copy_of(a);
    let a = world.reload(a);
    world.settle();
    // Until it has caught up only a counter tells their edits apart, and it goes on from the same number in both.
    world.now.wall_ms -= 3_600_000;
    both_count(&mut world, a, b, copy);
}

#[test]
fn rule_24_what_was_acknowledged_before_a_fork_counts_once_when_it_goes_up_again() {
    for is_lost in [false, true] {
        let (mut world, a, b) = pair();
        let backup = world.server.store.clone();
        world.write(a, inc("d1", "/f", 1));
        world.write_all(a, true, json!([inc("d1", "/g", 1), insert("both", json!({}))]));
        world.run(1_000);
        world.set_network(false);
        let copy = world.copy_of(a);
        count_on(&mut world, (a, 2), (copy, 20));
        world.set_network(true);
        world.run(30_000);
        assert_eq!(replicas(&world, a).len() + replicas(&world, copy).len(), 3, "one of the two took a new name");
        // Another history: everybody sends again what was acknowledged.
        world.set_network(false);
        world.server.history = "h2".into();
        if is_lost {
            world.server.store = backup;
        }
        let copy = world.reload(copy);
        world.set_network(true);
        world.run(60_000);
        for tab in [a, b, copy] {
            let row = world.row(tab, "d1").unwrap();
            assert_eq!((&row["f"], &row["g"]), (&json!(111), &json!(1)), "lost: {is_lost}");
        }
        goes_on(&mut world, copy, "after");
    }
}

#[test]
fn rule_08_what_is_written_before_the_fork_is_known_counts_once_though_a_second_copy_sends_it_as_well() {
    let (mut world, a, b) = pair();
    world.set_network(false);
    let first = world.copy_of(a);
    world.write(first, inc("d1", "/f", 100));
    world.write(a, inc("d1", "/f", 1));
    world.settle();
    world.kill(a);
    world.set_network(true);
    world.run(30_000);
    // It is told of the fork, but not yet: until then it writes, and is copied again.
    world.push_faults.push_back(Fault::Late);
    let a = world.reload(a);
    world.run(100);
    world.write(a, inc("d1", "/f", 10));
    world.settle();
    let second = world.copy_of(a);
    world.run(3_000);
    world.deliver_late();
    world.run(30_000);
    for tab in [a, b, first, second] {
        assert_eq!(world.row(tab, "d1").unwrap()["f"], 111);
        assert_eq!(world.view(tab, "status")["pending"], 0);
    }
}

/// A copy of `a` is made, and sleeps; `a` goes on by so many edits, below whose numbers its floor is then. Returns the
/// copy's profile. The network is down afterwards.
fn overtaken(world: &mut World, a: usize, by: i64) -> usize {
    world.set_network(false);
    let copy = world.copy_of(a);
    let profile = world.tabs[copy].profile;
    world.kill(copy);
    world.set_network(true);
    for n in 0..by {
        world.write(a, inc("d1", "/f", n));
        world.run(2_000);
    }
    world.set_network(false);
    profile
}

/// The copy writes transactions and sends all that it has; nothing arrives. Then it is opened anew, offline, and asks
/// about three edits at once.
fn sends_in_vain(world: &mut World, copy: usize, transactions: usize) -> usize {
    for n in 0..transactions {
        world.write_all(copy, true, json!([inc("d1", "/f", 100), insert(&format!("of{n}"), json!({}))]));
        world.settle();
    }
    world.push_faults.extend(vec![Fault::Lost; 1_000]);
    world.set_network(true);
    world.run(3_000);
    world.kill(copy);
    world.push_faults.clear();
    world.set_network(false);
    world.tab_with(world.tabs[copy].profile, json!({"batch": {"maxCount": 3}}))
}

/// No transaction was sent in parts, and each counts once.
fn whole(world: &World, tabs: [usize; 3], sum: i64) {
    assert_eq!(world.view(tabs[2], "queue")["failed"], json!([]), "no transaction was sent in parts");
    for tab in tabs {
        assert_eq!(world.row(tab, "d1").unwrap()["f"], json!(sum));
    }
}

#[test]
fn rule_08_a_copy_that_gave_a_number_up_does_not_ask_by_it_whether_it_is_one() {
    let (mut world, a, b) = pair();
    world.set_network(false);
    world.write(a, insert("d2", json!({"f": 0})));
    world.settle();
    let profile = overtaken(&mut world, a, 2);
    // It joins its first edits, so that some numbers are void.
    let copy = world.tab(profile);
    for n in 0..4 {
        world.write(copy, set("d1", "/g", n));
        world.settle();
    }
    let copy = sends_in_vain(&mut world, copy, 5);
    world.set_network(true);
    world.run(60_000);
    whole(&world, [a, b, copy], 501);
    goes_on(&mut world, copy, "after-copy");
}

#[test]
fn rule_08_a_copy_that_asks_while_the_server_is_restored_sends_no_transaction_in_parts() {
    let (mut world, a, b) = pair();
    let backup = world.server.store.clone();
    let profile = overtaken(&mut world, a, 8);
    world.kill(a);
    let copy = world.tab(profile);
    let copy = sends_in_vain(&mut world, copy, 4);
    // It is told of the fork, and goes on to ask; nothing of that arrives before the server is restored.
    world.push_faults.extend([Fault::Twice, Fault::Lost, Fault::Lost]);
    world.set_network(true);
    world.run(1_000);
    world.server.store = backup;
    world.server.history = "h2".into();
    world.run(60_000);
    whole(&world, [b, b, copy], 400);
}
