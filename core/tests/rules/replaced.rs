//! A store that was lost and replaced: what waits, what was refused and what was claimed in it is in the new one, each
//! once and as it was.

use crate::world;

use tidewire_core::error::Code;
use tidewire_core::ids::MutationId;
use tidewire_core::io::StoreError;
use tidewire_core::json;
use tidewire_core::json::{Raw, Value};
use tidewire_core::log::record::{Adopt, Commit, Discard, Record};
use tidewire_core::model::edit::Edit;
use tidewire_core::store::fold::fold;
use tidewire_core::store::state::{Letter, Reason, State, Status};
use world::browser::Weather;
use world::{Fault, World, inc, insert, pair, set, world};

fn wipe(world: &mut World, tab: usize) {
    let profile = world.tabs[tab].profile;
    world.disks[profile] = world::disk::Disk::default();
}

/// Without their numbers, which are others.
fn failed(world: &World, tab: usize) -> Vec<Value> {
    let failed = world.view(tab, "queue")["failed"].clone();
    let told = |entry: &Value| json!([entry["collection"], entry["id"], entry["set"], entry["error"]]);
    failed.as_array().unwrap().iter().map(told).collect()
}

/// One edit is refused, and one waits; returns what was refused.
fn refused_and_waiting(world: &mut World, tab: usize) -> Vec<Value> {
    world.server.reject = Some(("/f".into(), json!("bad")));
    world.write(tab, set("d1", "/f", "bad"));
    world.run(1_000);
    world.set_network(false);
    world.write(tab, set("d1", "/g", "waits"));
    world.settle();
    failed(world, tab)
}

#[test]
fn dead_letters_of_a_store_that_was_lost_are_kept_with_their_reasons() {
    let (mut world, a, b) = pair();
    let other = world.tab(world.tabs[a].profile);
    let before = refused_and_waiting(&mut world, a);
    assert_eq!((before.len(), &before[0][3]["code"]), (1, &json!("invalid")));
    wipe(&mut world, a);
    world.write(a, set("d1", "/h", "after the wipe"));
    world.run(1_000);
    for tab in [a, other] {
        assert_eq!(failed(&world, tab), before);
        assert_eq!(world.view(tab, "status")["pending"], 2);
    }
    world.kill(other);
    let a = world.reload(a);
    assert_eq!(failed(&world, a), before);
    world.server.reject = None;
    world.set_network(true);
    world.command(a, json!({"do": "retry", "n": world.view(a, "queue")["failed"][0]["n"]}));
    world.run(5_000);
    assert_eq!(world.view(a, "queue"), json!({"pending": [], "failed": []}));
    let row = world.row(b, "d1").unwrap();
    assert_eq!((&row["f"], &row["g"], &row["h"]), (&json!("bad"), &json!("waits"), &json!("after the wipe")));
}

#[test]
fn rule_24_an_edit_against_another_history_stays_one() {
    let (mut world, a, _) = pair();
    world.write(a, set("d1", "/f", "kept"));
    world.run(1_000);
    // The server was restored: what it had acknowledged goes up again, against nothing.
    world.server.history = "h2".into();
    world.push_faults.extend(vec![Fault::Lost; 30]);
    world.set_network(false);
    world.set_network(true);
    world.run(3_000);
    world.set_network(false);
    let old = |push: &Value| push["mutations"].as_array().unwrap().iter().filter(|item| item["old"] == true).count();
    let again = old(world.tabs[a].pushes.last().unwrap());
    assert!(again > 0);
    wipe(&mut world, a);
    world.write(a, set("d1", "/g", "after the wipe"));
    world.run(1_000);
    world.push_faults.clear();
    let before = world.tabs[a].pushes.len();
    world.set_network(true);
    world.run(5_000);
    assert_eq!(world.tabs[a].pushes[before..].iter().map(old).sum::<usize>(), again);
}

/// What a write of a new device comes to in its log.
fn bytes_of(op: Value) -> Raw {
    let mut world = world();
    let a = world.device();
    world.set_network(false);
    world.write(a, op);
    world.settle();
    let last = world.disks[0].log.values().last().unwrap().clone();
    let Ok(Record::Commit(Commit { mutations, .. })) = Record::decode(&last) else { panic!("no commit") };
    mutations[0].clone()
}

#[test]
fn the_number_that_an_adopted_edit_retries_is_of_the_store_that_it_comes_from() {
    let n = MutationId(5, 0);
    let mut retry: Value = serde_json::from_str(bytes_of(insert("d2", json!({}))).get()).unwrap();
    retry["retry_of"] = json!(n);
    let mut state = State::default();
    let reason = Reason { code: Code::Invalid, path: None, message: "no".into(), at: 1 };
    let edit = Edit::read(bytes_of(insert("d1", json!({})))).unwrap();
    state.letters.insert(n, Letter { edit, reason, position: 5 });
    let adopt = json!({"source": "elsewhere", "from": [n], "mutations": [retry]});
    let adopt: Adopt = serde_json::from_str(&adopt.to_string()).unwrap();
    fold(&mut state, 6, Record::Adopt(adopt), 0).unwrap();
    assert!(state.letters.get(&n).is_some());
    assert_eq!(state.queue.len(), 1);
}

/// Nobody's store with edits that Ann has claimed, and hers.
fn claimed(world: &mut World) -> (usize, usize, Value) {
    let profile = world.profile();
    let source = world.tab_with(profile, json!({"url": null}));
    world.write(source, insert("d0", json!({"votes": 1})));
    world.write_all(source, true, json!([inc("d0", "/votes", 10), set("d0", "/by", "tx")]));
    world.settle();
    let target = world.device();
    world.command(source, json!({"do": "claim", "to": "ann"}));
    world.settle();
    let found = world.command(source, json!({"do": "claimed", "to": "ann"}));
    (source, target, found)
}

#[test]
fn what_was_claimed_in_a_store_that_was_lost_stays_that_users_and_counts_once() {
    for adopted in [false, true] {
        let mut world = world();
        let (source, target, found) = claimed(&mut world);
        let adopt = |world: &mut World, found: &Value| {
            world.command(target, json!({"do": "adopt", "records": found["records"]}));
            world.settle();
        };
        if adopted {
            adopt(&mut world, &found);
            world.run(2_000);
        }
        wipe(&mut world, source);
        world.write(source, insert("d1", json!({})));
        world.settle();
        assert!(world.row(source, "d0").is_none(), "what is claimed is not shown");
        let others = world.command(source, json!({"do": "claimed", "to": "bob"}));
        assert_eq!((&others["records"], &others["pending"]), (&json!([]), &json!(1)), "{others}");
        world.kill(source);
        let profile = world.tabs[source].profile;
        let source = world.tab_with(profile, json!({"url": null}));
        let found = world.command(source, json!({"do": "claimed", "to": "ann"}));
        assert_eq!(found["records"][0]["mutations"].as_array().map(Vec::len), Some(3), "{found}");
        adopt(&mut world, &found);
        world.command(source, json!({"do": "claim", "to": "ann", "done": found["done"]}));
        world.run(5_000);
        let row = world.row(target, "d0").unwrap();
        assert_eq!((&row["votes"], &row["by"]), (&json!(11), &json!("tx")), "adopted before: {adopted}");
        assert_eq!(world.view(target, "queue"), json!({"pending": [], "failed": []}));
        let left = world.command(source, json!({"do": "claimed", "to": "ann"}));
        assert_eq!((&left["records"], &left["pending"]), (&json!([]), &json!(1)));
    }
}

#[test]
fn what_was_saved_from_a_lost_store_waits_until_there_is_room() {
    let (mut world, a, b) = pair();
    let before = refused_and_waiting(&mut world, a);
    wipe(&mut world, a);
    world.write(a, set("d1", "/h", "after the wipe"));
    for _ in 0..1_000 {
        if !world.events(a, "storage").is_empty() {
            break;
        }
        world.step();
    }
    world.tabs[a].store_faults.extend([StoreError::Quota, StoreError::Quota, StoreError::Failed]);
    let operations = world.disks[world.tabs[a].profile].operations;
    world.run(120_000);
    assert!(world.tabs[a].store_faults.is_empty(), "the store was asked again");
    assert!(world.disks[world.tabs[a].profile].operations < operations + 100, "now and then");
    assert_eq!(failed(&world, a), before);
    let a = world.reload(a);
    assert_eq!(failed(&world, a), before);
    world.server.reject = None;
    world.set_network(true);
    world.run(5_000);
    assert_eq!(world.row(b, "d1").unwrap()["g"], "waits");
}

/// An append that finds another store, and takes its time: what is asked for next waits behind it.
fn write_slowly(world: &mut World, tab: usize) {
    world.browser.weather = Some(Weather { delay_ms: 200, ..Weather::new(7) });
    world.write(tab, set("d1", "/h", "after the wipe"));
    world.settle();
    assert!(world.events(tab, "storage").is_empty(), "it is under way");
}

/// How many other tabs there are, and whether something is written between the wipe and what the user does.
const AFTER_A_WIPE: [(usize, bool); 4] = [(0, false), (0, true), (1, false), (1, true)];

struct Wiped {
    world: World,
    tabs: Vec<usize>,
    a: usize,
    b: usize,
    /// What waited and what was refused when the store was lost.
    queue: Value,
}

fn refused_then_wiped(others: usize, written_before: bool) -> Wiped {
    let (mut world, a, b) = pair();
    let profile = world.tabs[a].profile;
    let tabs = [a].into_iter().chain((0..others).map(|_| world.tab(profile))).collect();
    refused_and_waiting(&mut world, a);
    let queue = world.view(a, "queue");
    wipe(&mut world, a);
    if written_before {
        write_slowly(&mut world, a);
    }
    Wiped { world, tabs, a, b, queue }
}

#[test]
fn a_retry_on_its_way_into_a_store_that_was_lost_leaves_no_dead_letter() {
    for (others, written_before) in AFTER_A_WIPE {
        let Wiped { mut world, tabs, a, b, queue } = refused_then_wiped(others, written_before);
        let n = queue["failed"][0]["n"].clone();
        world.command(a, json!({"do": "retry", "n": n}));
        world.run(10_000);
        for tab in &tabs {
            assert_eq!(failed(&world, *tab), [] as [Value; 0], "{tabs:?}, {written_before}");
            assert_eq!(world.view(*tab, "status")["pending"], 2 + u64::from(written_before));
        }
        world.server.reject = None;
        world.set_network(true);
        world.run(10_000);
        assert_eq!(world.view(a, "queue"), json!({"pending": [], "failed": []}));
        let row = world.row(b, "d1").unwrap();
        assert_eq!((&row["f"], &row["g"]), (&json!("bad"), &json!("waits")));
    }
}

#[test]
fn what_is_given_up_while_its_store_is_lost_does_not_come_back() {
    for (others, written_before) in AFTER_A_WIPE {
        let Wiped { mut world, tabs, a, b, queue } = refused_then_wiped(others, written_before);
        for n in [&queue["failed"][0]["n"], &queue["pending"][0]["n"]] {
            world.command(a, json!({"do": "discard", "n": n}));
        }
        world.run(10_000);
        for tab in &tabs {
            assert_eq!(failed(&world, *tab), [] as [Value; 0], "{tabs:?}, {written_before}");
            assert_eq!(world.view(*tab, "status")["pending"], u64::from(written_before));
        }
        world.server.reject = None;
        world.set_network(true);
        world.run(10_000);
        assert_eq!(world.view(a, "queue"), json!({"pending": [], "failed": []}));
        let row = world.row(b, "d1").unwrap();
        assert_eq!((&row["f"], &row["g"]), (&json!(0), &json!(0)));
    }
}

#[test]
fn what_is_given_up_is_so_though_the_store_refuses_at_first() {
    let (mut world, a, _) = pair();
    refused_and_waiting(&mut world, a);
    let n = world.view(a, "queue")["failed"][0]["n"].clone();
    world.tabs[a].store_faults.push_back(StoreError::Failed);
    world.command(a, json!({"do": "discard", "n": n}));
    world.run(60_000);
    assert!(world.tabs[a].store_faults.is_empty());
    assert_eq!(failed(&world, a), [] as [Value; 0]);
}

/// A state with a dead letter and an edit that waits; what else is written was meant for a store before it.
fn another_store() -> (State, MutationId, MutationId) {
    let (letter, waits) = (MutationId(5, 0), MutationId(6, 0));
    let mut state = State::default();
    let reason = Reason { code: Code::Invalid, path: None, message: "no".into(), at: 1 };
    let edit = Edit::read(bytes_of(insert("d1", json!({})))).unwrap();
    state.letters.insert(letter, Letter { edit, reason, position: 5 });
    let commit = Commit { mutations: vec![bytes_of(insert("d3", json!({})))], tx: Vec::new(), call: None };
    fold(&mut state, 6, Record::Commit(commit), 0).unwrap();
    (state, letter, waits)
}

#[test]
fn a_number_of_a_store_that_was_lost_takes_nothing_out_of_the_one_in_its_place() {
    let (mut state, letter, waits) = another_store();
    let mut retry: Value = serde_json::from_str(bytes_of(insert("d2", json!({}))).get()).unwrap();
    (retry["retry_of"], retry["at"]) = (json!(letter), json!([77, 0]));
    let commit = json!({"mutations": [retry]}).to_string();
    fold(&mut state, 7, Record::Commit(serde_json::from_str(&commit).unwrap()), 0).unwrap();
    assert!(state.letters.get(&letter).is_some(), "it is about another edit");
    for n in [letter, waits] {
        let discard: Discard = serde_json::from_str(&json!({"n": n, "at": [77, 0]}).to_string()).unwrap();
        fold(&mut state, 8, Record::Discard(discard), 0).unwrap();
    }
    assert!(state.letters.get(&letter).is_some());
    assert_eq!(status(&state, waits), "queued");
}

fn status(state: &State, n: MutationId) -> Value {
    json!(state.queue.get(&n).unwrap().status)
}

#[test]
fn who_gives_up_what_another_tab_tries_again_does_not_take_that_back() {
    let (mut state, letter, _) = another_store();
    let mut retry: Value = serde_json::from_str(bytes_of(insert("d1", json!({}))).get()).unwrap();
    let at = state.letters.get(&letter).unwrap().edit.at;
    (retry["retry_of"], retry["at"]) = (json!(letter), json!(at));
    let commit = json!({"mutations": [retry]}).to_string();
    fold(&mut state, 7, Record::Commit(serde_json::from_str(&commit).unwrap()), 0).unwrap();
    assert!(state.letters.get(&letter).is_none());
    let discard = json!({"n": letter, "at": at}).to_string();
    fold(&mut state, 8, Record::Discard(serde_json::from_str(&discard).unwrap()), 0).unwrap();
    assert_eq!(state.queue.get(&MutationId(7, 0)).map(|entry| entry.status), Some(Status::Queued));
}

#[test]
fn rule_06_what_a_lost_store_had_sent_counts_once() {
    for fault in [Fault::AnswerLost, Fault::Lost] {
        let (mut world, a, b) = pair();
        world.push_faults.extend([fault.clone(), fault.clone()]);
        world.write(a, inc("d1", "/f", 1));
        world.write_all(a, true, json!([inc("d1", "/g", 1), insert("both", json!({}))]));
        world.settle();
        let sent = world.tabs[a].bodies.last().unwrap().clone();
        for _ in 0..2 {
            // It is sent from the store in the place of the first one, which is lost as well.
            wipe(&mut world, a);
            world.write(a, set("d1", "/h", "after the wipe"));
            world.run(3_000);
        }
        // What had left comes in the end.
        world.server.answer("push", Some("ada"), &sent);
        world.run(60_000);
        for tab in [a, b] {
            let row = world.row(tab, "d1").unwrap();
            assert_eq!((&row["f"], &row["g"]), (&json!(1), &json!(1)), "{fault:?}");
            assert_eq!(world.view(tab, "status")["pending"], 0);
        }
        assert_eq!(world.view(a, "queue"), json!({"pending": [], "failed": []}));
    }
}

#[test]
fn rule_24_edits_of_a_store_that_was_lost_after_a_restore_are_against_nothing() {
    for other_opens_it in [false, true] {
        let (mut world, a, b) = pair();
        let backup = world.server.store.clone();
        for n in 0..3 {
            world.write(b, set("d1", "/g", n));
            world.run(1_000);
        }
        // Its base is a revision that the restored server comes to again, with what its author has not seen.
        world.set_network(false);
        world.write(a, set("d1", "/f", "against the old history"));
        world.settle();
        world.server.store = backup;
        world.server.history = "h2".into();
        let c = world.device();
        world.freeze(a);
        world.set_network(true);
        world.run(3_000);
        for n in 0..5 {
            world.write(c, set("d1", "/f", format!("new {n}")));
            world.run(1_000);
        }
        wipe(&mut world, a);
        if other_opens_it {
            let other = world.tab(world.tabs[a].profile);
            world.run(3_000);
            world.kill(other);
        }
        world.thaw(a);
        world.write(a, set("d1", "/h", "after the wipe"));
        world.run(60_000);
        let mut pushed = world.tabs[a].pushes.iter().flat_map(|push| push["mutations"].as_array().unwrap());
        let edit = |item: &&Value| item["m"]["set"]["/f"] == "against the old history";
        let last = pushed.rfind(edit).unwrap().clone();
        assert_eq!(last["old"], true, "another tab made the new store: {other_opens_it}; {last}");
    }
}
