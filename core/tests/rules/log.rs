//! Rules A: the client's log. Each test breaks when its rule does.

use crate::world;

use tidewire_core::ids::MutationId;
use tidewire_core::io::StoreError;
use tidewire_core::json;
use tidewire_core::json::{Raw, Value};
use tidewire_core::log::record::{Changes, Commit, Record, Sent};
use tidewire_core::model::cursor::{Cursor, Scope};
use world::{delete, inc, insert, pair, set, world};

#[test]
fn rule_01_an_ack_moves_no_confirmed_document() {
    // E at rev 5; another's `g` makes rev 6, not yet pulled; my `f` is acked at rev 7. If the ack moved the document to
    // rev 7, frame 6 would be dropped as older, for ever.
    let (mut world, a, b) = pair();
    world.sockets = false;
    world.set_network(false);
    world.set_network(true);
    world.run(100);
    world.write(b, set("d1", "/g", "theirs"));
    world.run(500);
    world.pull_faults.extend(vec![world::Fault::Lost; 3]);
    world.write(a, set("d1", "/f", "mine"));
    world.run(200);
    let row = world.row(a, "d1").unwrap();
    assert_eq!(
        (&row["f"], &row["g"]),
        (&json!("mine"), &json!(0)),
        "acked, still shown, and the document has not moved"
    );
    let settled = world.view(a, "queue");
    assert_eq!(settled["pending"][0]["status"], "settled");
    assert_eq!(row["$sync"]["status"], "synced");
    world.run(60_000);
    for tab in [a, b] {
        let row = world.row(tab, "d1").unwrap();
        assert_eq!((&row["f"], &row["g"]), (&json!("mine"), &json!("theirs")));
    }
    assert_eq!(world.view(a, "queue")["pending"], json!([]));
}

#[test]
fn rule_01_ones_own_echo_raises_no_second_change_of_the_row() {
    let (mut world, a, _) = pair();
    world.write(a, set("d1", "/f", 1));
    world.run(1_000);
    assert!(world.events(a, "conflict").is_empty());
    assert_eq!(world.row(a, "d1").unwrap()["f"], 1);
}

#[test]
fn rule_02_a_gap_is_read_before_ones_own_record_is_folded() {
    // Two tabs append at once; neither hears the other's message before its own append is complete.
    let mut world = world();
    let a = world.device();
    let b = world.tab(0);
    world.run(1_000);
    for round in 0..20 {
        let (x, y) = (format!("a{round}"), format!("b{round}"));
        world.write(a, insert(&x, json!({"n": round})));
        world.write(b, insert(&y, json!({"n": round})));
        world.settle();
        for tab in [a, b] {
            assert!(world.row(tab, &x).is_some() && world.row(tab, &y).is_some(), "round {round}");
        }
    }
    assert_eq!(world.events(a, "durable").len(), 20);
    assert_eq!(world.events(b, "durable").len(), 20);
    world.run(5_000);
    assert_eq!(world.server.store.entities.len(), 40);
}

#[test]
fn rule_02_a_gap_that_was_sealed_away_unread_is_read_from_the_segments() {
    let mut world = world();
    let a = world.device();
    let b = world.tab(0);
    world.run(1_000);
    // The second tab is frozen: it hears nothing while the first writes and seals.
    world.tabs[b].dead = true;
    for n in 0..300 {
        world.write(a, insert(&format!("d{n}"), json!({"n": n})));
        world.settle();
    }
    world.run(10_000);
    assert!(world.disks[0].seals > 0);
    world.tabs[b].dead = false;
    world.write(b, insert("late", json!({"n": -1})));
    world.run(10_000);
    assert_eq!(world.row(b, "d7").unwrap()["n"], 7);
    assert_eq!(world.events(b, "durable").len(), 1);
    assert_eq!(world.server.store.entities.len(), 301);
}

#[test]
fn rule_02_a_replaced_store_gets_what_was_only_in_memory_under_a_new_replica() {
    let (mut world, a, b) = pair();
    world.set_network(false);
    world.write(a, set("d1", "/f", "unsent"));
    world.run(100);
    world.disks[0] = Default::default();
    world.write(a, set("d1", "/g", "after the wipe"));
    world.run(100);
    world.set_network(true);
    world.run(10_000);
    for tab in [a, b] {
        let row = world.row(tab, "d1").unwrap();
        assert_eq!((&row["f"], &row["g"]), (&json!("unsent"), &json!("after the wipe")));
    }
    let replicas: std::collections::BTreeSet<_> =
        world.tabs[a].pushes.iter().map(|push| push["replica"].to_string()).collect();
    assert_eq!(replicas.len(), 2);
}

#[test]
fn rule_02_a_write_whose_store_goes_away_under_it_is_written_again() {
    let (mut world, a, b) = pair();
    world.tabs[a].store_faults.push_back(StoreError::Wiped);
    world.disks[0] = Default::default();
    world.write(a, set("d1", "/f", "in flight"));
    world.run(10_000);
    assert!(world.events(a, "write-failed").is_empty());
    assert_eq!(world.row(b, "d1").unwrap()["f"], "in flight");
}

#[test]
fn rule_03_what_was_sent_never_changes() {
    let (mut world, a, _) = pair();
    world.server.answers_only = true;
    world.push_faults.push_back(world::Fault::AnswerLost);
    world.write(a, set("d1", "/f", 1));
    world.run(10);
    world.write(a, set("d1", "/f", 2));
    world.run(10_000);
    let texts: Vec<String> = world.tabs[a]
        .pushes
        .iter()
        .flat_map(|push| push["mutations"].as_array().cloned().unwrap_or_default())
        .map(|item| item.to_string())
        .collect();
    let first = texts.iter().filter(|text| text.contains(r#""set":{"/f":1}"#)).collect::<Vec<_>>();
    assert!(first.len() >= 2, "the first edit was sent twice, with the same bytes");
    assert!(first.iter().all(|text| *text == first[0]));
    assert_eq!(world.row(a, "d1").unwrap()["f"], 2);
}

#[test]
fn rule_03_a_coalesce_behind_a_sent_has_no_effect() {
    use tidewire_core::store::fold::fold;
    use tidewire_core::store::state::{State, Status};
    let patch = |value: u32| {
        let text =
            json!({"c": "deals", "id": "d1", "kind": "patch", "base": 0, "set": {"/f": value}, "at": [1, value]});
        Raw::parse(&text.to_string()).unwrap()
    };
    let joined = |survivor| {
        Record::Coalesce(tidewire_core::log::record::Coalesce {
            survivor,
            absorbed: vec![MutationId(1, 0)],
            m: patch(3),
        })
    };
    for sent in [false, true] {
        let mut state = State::default();
        let commit = Commit { mutations: vec![patch(1), patch(2)], tx: vec![], call: None };
        fold(&mut state, 1, Record::Commit(commit), 0).unwrap();
        if sent {
            fold(&mut state, 2, Record::Sent(Sent { fence: 0, through: MutationId(1, 0) }), 0).unwrap();
        }
        fold(&mut state, 3, joined(MutationId(1, 1)), 0).unwrap();
        let absorbed = state.queue.get(&MutationId(1, 0)).unwrap().status;
        assert_eq!(absorbed, if sent { Status::Queued } else { Status::Void });
        let survivor = state.queue.get(&MutationId(1, 1)).unwrap();
        assert_eq!(survivor.edit.raw.get().contains(r#""/f":3"#), !sent);
    }
}

#[test]
fn a_coalesce_without_an_edit_is_no_record() {
    use tidewire_core::error::Code;
    use tidewire_core::log::codec;
    let bytes = codec::encode(2, br#"{"survivor":[5,0],"absorbed":[]}"#);
    assert_eq!(Record::decode(&bytes).unwrap_err().code, Code::Corrupt);
}

#[test]
fn rule_03_an_edit_that_a_later_release_wrote_joins_no_other_and_stays_as_it_is() {
    use tidewire_core::queue::coalesce::plan;
    use tidewire_core::store::fold::fold;
    use tidewire_core::store::state::State;
    // Its head can be read, what it sets cannot: whoever takes it for an edit of nothing loses it.
    let later = Raw::parse(r#"{"c":"deals","id":"d1","kind":"patch","base":1,"set":{"$/f":2},"at":[1,0]}"#).unwrap();
    let known = r#"{"c":"deals","id":"d1","kind":"patch","base":1,"set":{"/g":3},"was":{"/g":3},"at":[2,0]}"#;
    let known = Raw::parse(known).unwrap();
    let mut state = State::default();
    let commit = Commit { mutations: vec![later.clone(), known.clone(), known], tx: vec![], call: None };
    fold(&mut state, 1, Record::Commit(commit), 0).unwrap();
    let joined: Vec<_> = plan(&state).into_iter().map(|group| (group.absorbed, group.survivor)).collect();
    assert_eq!(joined, [(vec![MutationId(1, 1)], MutationId(1, 2))]);
    assert_eq!(state.queue.get(&MutationId(1, 0)).unwrap().edit.raw, later);
}

#[test]
fn rule_03_edits_join_only_where_the_second_saw_what_the_first_had_left() {
    use tidewire_core::queue::coalesce::plan;
    use tidewire_core::store::fold::fold;
    use tidewire_core::store::state::State;
    let joined = |first: Value, second: Value| {
        let text = |part: Value| {
            let mut edit = json!({"c": "deals", "id": "d1", "kind": "patch", "base": 1, "at": [1, 0]});
            for (key, value) in part.as_object().unwrap().iter() {
                edit[key] = value.clone();
            }
            Raw::parse(&edit.to_string()).unwrap()
        };
        let mut state = State::default();
        let commit = Commit { mutations: vec![text(first), text(second)], tx: vec![], call: None };
        fold(&mut state, 1, Record::Commit(commit), 0).unwrap();
        plan(&state).len() == 1
    };
    let first = || json!({"set": {"/tags": ["a", "b"]}, "was": {"/tags": ["a"]}});
    assert!(joined(first(), json!({"set": {"/tags": ["b"]}, "was": {"/tags": ["a", "b"]}})));
    // Somebody's `x` came in between, and the second edit removes it: joined, nobody would hear of that.
    assert!(!joined(first(), json!({"set": {"/tags": ["a", "b"]}, "was": {"/tags": ["a", "b", "x"]}})));
    // Another tab removes the field, and has not seen the first value yet.
    assert!(joined(json!({"set": {"/f": 1}, "was": {"/f": 0}}), json!({"unset": ["/f"], "was": {"/f": 1}})));
    // Joined, the removal of what nobody else has seen would be the removal of nothing: who saw the value in another
    // tab and writes over it would write over a removal that the server never heard of.
    assert!(!joined(json!({"set": {"/f": 1}}), json!({"unset": ["/f"], "was": {"/f": 1}})));
    assert!(!joined(json!({"set": {"/f": 1}, "was": {"/f": 0}}), json!({"unset": ["/f"], "was": {"/f": 0}})));
    let counted = || json!({"inc": {"/n": 1}, "was": {"/n": 3}});
    assert!(joined(counted(), json!({"set": {"/n": 9}, "was": {"/n": 4}})));
    assert!(!joined(counted(), json!({"set": {"/n": 9}, "was": {"/n": 14}})));
    assert!(joined(counted(), json!({"inc": {"/n": 1}, "was": {"/n": 14}})), "amounts add up whatever there is");
}

#[test]
fn rule_03_a_record_of_an_older_leader_has_no_effect() {
    use tidewire_core::store::fold::fold;
    use tidewire_core::store::state::State;
    let mut state = State::default();
    fold(&mut state, 1, Record::Lead, 0).unwrap();
    fold(&mut state, 2, Record::Lead, 0).unwrap();
    let cursor = Cursor { history: "h".into(), seq: 9, mark: "m".into(), scope: Scope::default() };
    let changes =
        |fence| Record::Changes(Box::new(Changes { fence, cursor: Some(cursor.clone()), ..Changes::default() }));
    fold(&mut state, 3, changes(1), 0).unwrap();
    assert_eq!(state.cursor, None);
    fold(&mut state, 4, changes(2), 0).unwrap();
    assert_eq!(state.cursor.unwrap().seq, 9);
}

#[test]
fn rule_03_a_frozen_leader_sends_nothing_once_another_leads() {
    let mut world = world();
    let old = world.device();
    let new = world.tab(0);
    world.run(1_000);
    world.set_network(false);
    world.write(old, insert("d1", json!({"votes": 1})));
    world.run(100);
    // The lock is stolen while the old leader is frozen; it wakes up and believes that it leads.
    world.kill(old);
    world.run(100);
    world.tabs[old].dead = false;
    let pushes_before = world.tabs[old].pushes.len();
    world.set_network(true);
    world.run(10_000);
    assert_eq!(world.tabs[old].pushes.len(), pushes_before);
    assert_eq!(world.view(new, "status")["pending"], 0);
    assert_eq!(world.server.store.entities.len(), 1);
}

#[test]
fn rule_03_a_discarded_mutation_that_was_not_sent_goes_up_as_void() {
    let (mut world, a, b) = pair();
    world.set_network(false);
    world.write(a, set("d1", "/f", "regretted"));
    world.run(100);
    let n = world.view(a, "queue")["pending"][0]["n"].clone();
    world.command(a, json!({"do": "discard", "n": n}));
    world.run(100);
    assert_eq!(world.row(a, "d1").unwrap()["f"], 0);
    world.set_network(true);
    world.run(5_000);
    assert_eq!(world.row(b, "d1").unwrap()["f"], 0);
    let last = world.tabs[a].pushes.last().unwrap();
    assert_eq!(last["mutations"][0]["n"], n);
    assert!(last["mutations"][0].get("m").is_none());
}

#[test]
fn rule_03_unsent_edits_of_one_field_go_up_as_one_and_the_others_as_void() {
    let (mut world, a, b) = pair();
    world.set_network(false);
    for value in 1..=20 {
        world.write(a, set("d1", "/f", value));
        world.write(a, inc("d1", "/g", 1));
        world.run(10);
    }
    world.set_network(true);
    world.run(5_000);
    let items: Vec<_> = world.tabs[a].pushes.last().unwrap()["mutations"].as_array().unwrap().clone();
    assert_eq!(items.iter().filter(|item| item.get("m").is_some()).count(), 1, "{items:?}");
    let row = world.row(b, "d1").unwrap();
    assert_eq!((&row["f"], &row["g"]), (&json!(20), &json!(20)));
}

#[test]
fn rule_04_one_tick_is_one_append_and_one_append_is_in_flight() {
    let mut world = world();
    let a = world.device();
    world.run(1_000);
    let before = world.disks[0].appends;
    for n in 0..50 {
        world.write(a, insert(&format!("d{n}"), json!({"n": n})));
    }
    world.set_network(false);
    // Nothing was polled between them: all share the append.
    assert_eq!(world.disks[0].appends - before, 1);
    assert_eq!(world.events(a, "durable").len(), 50);
}

#[test]
fn rule_04_later_provisional_edits_fall_with_the_one_that_could_not_be_stored() {
    let (mut world, a, _) = pair();
    world.tabs[a].store_faults.push_back(StoreError::Quota);
    world.write(a, set("d1", "/f", "lost"));
    world.write(a, delete("d1"));
    world.run(30_000);
    assert_eq!(world.row(a, "d1").unwrap()["f"], 0);
    assert_eq!(world.events(a, "write-failed").len(), 2);
}

#[test]
fn who_lost_its_engine_learns_which_of_its_calls_were_stored_whatever_became_of_them() {
    let mut world = world();
    let a = world.device();
    let call = |asker: u64, number: u64, id: &str| {
        json!({"ops": [insert(id, json!({"f": 0}))], "call": [asker, number]}).to_string()
    };
    let b = world.tab(0);
    for (tab, call) in [(a, call(7, 1, "d1")), (b, call(8, 5, "d3")), (a, call(7, 2, "d2"))] {
        world.tabs[tab].engine.write(world.now, &call, "").unwrap();
        world.settle();
    }
    world.run(5_000);
    assert_eq!(world.view(a, "status")["pending"], 0);
    assert_eq!(world.view(a, "calls"), json!([[8, 5], [7, 2]]));
    // On the server, out of the queue, and sealed away: still known.
    for n in 0..300 {
        world.write(a, set("d1", "/f", n));
        world.settle();
    }
    world.run(60_000);
    assert!(world.disks[0].seals > 0);
    let a = world.reload(a);
    assert_eq!(world.view(a, "calls"), json!([[8, 5], [7, 2]]));
}

#[test]
fn rule_03_what_leaves_at_once_is_stored_with_its_sent_and_what_another_tab_wrote_first_loses_nothing() {
    let (mut world, a, b) = pair();
    world.run(5_000);
    let (appends, pushes) = (world.disks[0].appends, world.tabs[a].pushes.len());
    world.write(a, set("d1", "/f", "alone"));
    while world.tabs[a].pushes.len() == pushes {
        assert!(world.step());
    }
    assert_eq!(world.disks[0].appends - appends, 1, "one transaction before it leaves");
    world.run(5_000);
    // The other tab's record takes the key that this tab expects.
    let other = world.tab(0);
    world.run(5_000);
    for n in 0..20 {
        world.write(other, inc("d1", "/g", 1));
        world.write(a, inc("d1", "/g", 1));
        world.write(a, set("d1", "/f", n));
        world.run(n % 7);
    }
    world.run(10_000);
    let row = world.row(b, "d1").unwrap();
    assert_eq!((&row["f"], &row["g"]), (&json!(19), &json!(40)));
    assert_eq!(world.view(a, "status")["pending"], 0);
}
