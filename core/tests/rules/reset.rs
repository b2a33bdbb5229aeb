//! Rules 24 and 30 as the client keeps them: a device that was away past the horizon, and a server that was restored
//! from a backup.

use crate::world;

use tidewire_core::ids::Owner;
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::limits::JOURNAL_MS;
use world::{Fault, World, delete, inc, insert, pair, set, world};

/// The server goes down and comes back from a backup.
fn restore(world: &mut World, backup: &tidewire_core::authority::memory::MemoryStore, history: &str) {
    world.set_network(false);
    world.server.store = backup.clone();
    world.server.history = history.into();
    world.run(100);
    world.set_network(true);
}

#[test]
fn rule_30_a_device_that_was_away_past_the_horizon_reads_again_and_keeps_its_queue() {
    let (mut world, a, b) = pair();
    world.write(b, insert("gone", json!({})));
    world.run(2_000);
    world.kill(a);
    world.write(b, delete("gone"));
    world.write(b, insert("new", json!({})));
    world.run(2_000);
    world.server.prune();
    world.set_network(false);
    let a = world.reload(a);
    assert!(world.row(a, "gone").is_some());
    world.write(a, inc("d1", "/f", 5));
    world.write(a, insert("offline", json!({})));
    world.run(100);
    world.set_network(true);
    world.run(5_000);
    assert_eq!(world.events(a, "reset").len(), 1);
    assert!(world.row(a, "gone").is_none(), "no tombstone told of it");
    assert_eq!(world.view(a, "status")["pending"], 0);
    for tab in [a, b] {
        assert_eq!(world.row(tab, "d1").unwrap()["f"], 5);
        assert!(world.row(tab, "new").is_some() && world.row(tab, "offline").is_some());
    }
}

#[test]
fn rule_24_what_a_restored_server_lost_is_pushed_again_once() {
    for history in ["h2", "h1"] {
        let (mut world, a, b) = pair();
        world.write(a, inc("d1", "/f", 1));
        world.run(2_000);
        let backup = world.server.store.clone();
        world.write(a, inc("d1", "/f", 10));
        world.write_all(b, true, json!([inc("d1", "/f", 100), insert("both", json!({"of": "b"}))]));
        world.write(a, insert("late", json!({"n": 1})));
        world.run(2_000);
        world.write(b, set("late", "/n", 2));
        world.run(2_000);
        world.set_network(false);
        world.write(b, set("late", "/m", 3));
        restore(&mut world, &backup, history);
        world.run(60_000);
        for tab in [a, b] {
            assert_eq!(world.row(tab, "d1").unwrap()["f"], 111, "{history}: nothing is lost and nothing counts twice");
            let late = world.row(tab, "late").unwrap();
            assert_eq!((&late["n"], &late["m"]), (&json!(2), &json!(3)));
            assert_eq!(world.row(tab, "both").unwrap()["$sync"]["status"], "synced");
            assert_eq!(world.view(tab, "status")["pending"], 0);
        }
        let stored = world.server.store.entities.values().find(|row| row.stored.doc.get("f").is_some()).unwrap();
        assert_eq!(stored.stored.doc["f"], 111);
    }
}

#[test]
fn rule_24_the_journal_outlives_seals_and_reloads_and_a_second_restore() {
    let (mut world, a, b) = pair();
    let backup = world.server.store.clone();
    for n in 0..300 {
        world.write(a, insert(&format!("n{n}"), json!({"n": n})));
        world.run(50);
    }
    world.run(5_000);
    let a = world.reload(a);
    assert!(world.disks[world.tabs[a].profile].seals > 0, "the journal is in segments");
    for history in ["h2", "h3"] {
        restore(&mut world, &backup, history);
        world.run(60_000);
        for tab in [a, b] {
            assert!((0..300).all(|n| world.row(tab, &format!("n{n}")).is_some()), "{history}");
        }
    }
    // Everything is decided: nothing is in the queue of a tab that opens now.
    let a = world.reload(a);
    assert_eq!(world.view(a, "status")["pending"], 0);
}

#[test]
fn rule_24_a_base_of_another_history_counts_as_nothing_and_was_decides() {
    let (mut world, a, b) = pair();
    let backup = world.server.store.clone();
    for n in 0..10 {
        world.write(a, set("d1", "/g", n));
        world.run(1_000);
    }
    // `a` edits what it has at a high revision of the old history; `b` then makes a low one of the new history.
    let offline = world.tabs[a].profile;
    world.kill(a);
    restore(&mut world, &backup, "h2");
    world.run(1_000);
    world.set_network(false);
    let a = world.tab(offline);
    world.write(a, set("d1", "/f", "a"));
    world.run(1_000);
    world.kill(a);
    world.set_network(true);
    world.run(1_000);
    world.write(b, set("d1", "/f", "b, later"));
    world.run(1_000);
    let a = world.tab(offline);
    world.run(10_000);
    assert_eq!(world.row(a, "d1").unwrap()["f"], "b, later", "the edits were concurrent: the later one stands");
    assert_eq!(world.row(a, "d1").unwrap()["g"], 9);
    let conflicts = world.events(a, "conflict");
    assert!(conflicts.iter().any(|event| event["overwritten"][0]["yours"] == "a"), "{conflicts:?}");
}

#[test]
fn rule_24_the_journal_ends_after_seven_days() {
    let (mut world, a, _) = pair();
    let backup = world.server.store.clone();
    world.write(a, set("d1", "/f", "old"));
    world.run(2_000);
    world.now.wall_ms += JOURNAL_MS + 1_000;
    world.write(a, set("d1", "/g", "new"));
    world.run(2_000);
    restore(&mut world, &backup, "h2");
    world.run(30_000);
    let row = world.row(a, "d1").unwrap();
    assert_eq!((&row["f"], &row["g"]), (&json!(0), &json!("new")));
}

#[test]
fn rule_22_a_reset_drops_what_a_pull_before_it_had_staged() {
    let (mut world, a, b) = pair();
    world.server.page = 1;
    world.sockets = false;
    world.freeze(a);
    for n in 0..6 {
        world.write(b, insert(&format!("x{n}"), json!({})));
        world.run(100);
    }
    world.pull_faults.push_back(Fault::Cut(1_800));
    world.thaw(a);
    world.run(100);
    world.freeze(a);
    assert!(world.pull_faults.is_empty() && world.row(a, "x0").is_none(), "some of it is staged, and not shown");
    world.write(b, delete("x0"));
    world.run(2_000);
    world.server.prune();
    world.thaw(a);
    world.run(10_000);
    assert_eq!(world.events(a, "reset").len(), 1);
    assert!(world.row(a, "x5").is_some());
    assert!(world.row(a, "x0").is_none(), "no tombstone tells of it");
}

#[test]
fn rule_24_what_was_acknowledged_before_the_first_pull_is_pushed_again_to_a_restored_server() {
    let mut world = world();
    let backup = world.server.store.clone();
    world.pull_faults.extend(vec![Fault::Lost; 20]);
    world.sockets = false;
    let a = world.device();
    world.write(a, insert("d1", json!({"f": 0})));
    world.write(a, inc("d1", "/f", 1));
    world.run(3_000);
    assert!(!world.server.store.entities.is_empty() && world.view(a, "status")["pending"] == 0);
    // Nobody has told the device of which history its verdicts are.
    assert!(!world.pull_faults.is_empty());
    restore(&mut world, &backup, "h2");
    world.pull_faults.clear();
    world.run(60_000);
    let b = world.device();
    world.run(3_000);
    for tab in [a, b] {
        assert_eq!(world.row(tab, "d1").unwrap()["f"], 1);
        assert_eq!(world.view(tab, "status")["pending"], 0);
    }
}

#[test]
fn rule_24_an_answer_of_before_the_restore_that_comes_after_it_settles_nothing() {
    let (mut world, a, b) = pair();
    let backup = world.server.store.clone();
    world.push_faults.push_back(Fault::Late);
    world.write(a, inc("d1", "/f", 1));
    world.run(1_000);
    world.server.store = backup;
    world.server.history = "h2".into();
    let token = world.tabs[a].socket.clone().map(|(token, _)| token).unwrap();
    world.cut_socket(a, token);
    world.run(2_000);
    world.deliver_late();
    world.run(60_000);
    for tab in [a, b] {
        assert_eq!(world.row(tab, "d1").unwrap()["f"], 1);
        assert_eq!(world.view(tab, "status")["pending"], 0);
    }
}

#[test]
fn rule_24_a_first_pull_that_a_restored_server_resets_keeps_nothing_of_the_other_history() {
    let (mut world, a, _) = pair();
    for n in 0..6 {
        world.write(a, insert(&format!("w{n}"), json!({})));
        world.run(200);
    }
    let backup = world.server.store.clone();
    for n in 1..4 {
        world.write(a, set("d1", "/f", n));
        world.run(200);
    }
    for n in 0..12 {
        world.write(a, insert(&format!("x{n:02}"), json!({})));
        world.run(200);
    }
    // Its rows are shown as they come, and it breaks off.
    world.pull_faults.push_back(Fault::Cut(3_500));
    world.pull_faults.extend(vec![Fault::Lost; 3]);
    let fresh = world.device();
    assert!(world.row(fresh, "d1").is_some_and(|row| row["f"] == 3) && world.row(fresh, "x11").is_none());
    world.kill(a);
    world.server.store = backup;
    world.server.history = "h2".into();
    world.run(30_000);
    let row = world.row(fresh, "d1").unwrap();
    assert_eq!((&row["f"], world.row(fresh, "x00").is_none()), (&json!(0), true), "as the restored server has it");
    assert!(world.events(fresh, "watchdog").is_empty(), "no digest had to heal it");
}

/// Of a pull that brings `rows` and stands then at `seq`, seen through `groups`, what arrives.
fn pull_says(world: &World, (from, to): (Value, Value), header: &str, rows: &str, done: bool) -> String {
    let user = json!({"tenant": "acme", "subject": "ada"});
    let now = world.server.now;
    format!(
        "{{\"pull\":{{\"v\":1,\"now\":{now},\"user\":{user},\"after\":{from},\"total\":1,\
         \"settings\":{{}}{header}}}}}\n{rows}{}\n",
        json!({"cursor": to, "after": from, "done": done})
    )
}

#[test]
fn rule_28_what_a_cut_pull_had_staged_is_forgotten_with_its_group() {
    let (mut world, a, b) = pair();
    world.kill(b);
    world.sockets = false;
    world.set_network(false);
    let ada = Owner { tenant: "acme".into(), subject: "ada".into() };
    let collections = ["$conflicts", "deals", "people"].map(str::to_owned);
    let here = world.server.cursor(&ada, &collections, 1);
    let (mut with_team, end) = (world.server.cursor(&ada, &collections, 2), world.server.cursor(&ada, &collections, 3));
    with_team["scope"]["groups"] = json!(["team:red", "tenant", "user:ada"]);
    world.server.store.seq = 3;
    let row = "{\"id\":\"d2\",\"c\":\"deals\",\"rev\":2,\"g\":[\"team:red\"],\"doc\":{\"f\":\"secret\"}}
";
    let first = pull_says(&world, (here, with_team.clone()), "", row, false);
    let second = pull_says(&world, (with_team, end), r#","forget_groups":["team:red"]"#, "", true);
    world.pull_faults.extend([Fault::Says(first, true), Fault::Says(second, true)]);
    world.set_network(true);
    world.run(30_000);
    assert!(world.pull_faults.is_empty(), "both pulls were answered");
    assert_eq!(world.events(a, "reset"), Vec::<Value>::new());
    assert_eq!(world.row(a, "d1").unwrap()["f"], 0);
    assert_eq!(world.row(a, "d2"), None, "it was seen through that group alone");
}

#[test]
fn rule_28_a_forget_is_never_pushed_as_a_delete() {
    let (mut world, a, b) = pair();
    world.kill(b);
    world.sockets = false;
    world.set_network(false);
    world.write(a, set("d1", "/f", "unsent"));
    let ada = Owner { tenant: "acme".into(), subject: "ada".into() };
    let collections = ["$conflicts", "deals", "people"].map(str::to_owned);
    let here = world.server.cursor(&ada, &collections, 1);
    let mut without = here.clone();
    without["scope"]["groups"] = json!(["user:ada"]);
    let says = pull_says(&world, (here, without), r#","forget_groups":["tenant"]"#, "", true);
    world.pull_faults.push_back(Fault::Says(says, true));
    world.push_faults.extend(vec![Fault::Lost; 3]);
    world.set_network(true);
    world.settle();
    assert!(world.pull_faults.is_empty(), "the pull was answered");
    assert_eq!(world.row(a, "d1"), None, "it is erased");
    world.run(30_000);
    for push in &world.tabs[a].pushes {
        assert!(!push.to_string().contains("\"delete\""), "{push}");
    }
    assert!(world.server.store.entities.values().all(|row| !row.stored.deleted));
}

/// A pull tells the device of a tab that its user has left a group.
fn leave(world: &mut World, tab: usize, group: &str) {
    let ada = Owner { tenant: "acme".into(), subject: "ada".into() };
    let collections = ["$conflicts", "deals", "people"].map(str::to_owned);
    let here = world.server.cursor(&ada, &collections, world.server.store.seq);
    let header = format!(",\"forget_groups\":[\"{group}\"]");
    world.pull_faults.push_back(Fault::Says(pull_says(world, (here.clone(), here), &header, "", true), true));
    world.command(tab, json!({"do": "now"}));
    world.run(2_000);
    assert!(world.pull_faults.is_empty(), "it was told");
}

#[test]
fn rule_28_who_leaves_a_group_keeps_what_he_sent_of_entities_that_are_gone_and_were_not_of_that_group() {
    for (left, is_kept) in [("team:red", true), ("tenant", false)] {
        let (mut world, a, b) = pair();
        world.sockets = false;
        let backup = world.server.store.clone();
        world.write(b, set("d1", "/f", 7));
        world.run(60_000);
        world.write(a, delete("d1"));
        world.run(60_000);
        assert_eq!(world.row(b, "d1"), None);
        world.kill(a);
        let b = world.reload(b);
        leave(&mut world, b, left);
        let b = world.reload(b);
        restore(&mut world, &backup, "h2");
        world.run(60_000);
        let expected = if is_kept { 7 } else { 0 };
        assert_eq!(world.row(b, "d1").unwrap()["f"], expected, "{left}");
    }
}

#[test]
fn rule_28_who_leaves_a_group_keeps_the_deletions_that_he_sent() {
    let (mut world, a, b) = pair();
    world.sockets = false;
    let backup = world.server.store.clone();
    world.kill(a);
    world.write(b, delete("d1"));
    world.run(60_000);
    leave(&mut world, b, "team:red");
    restore(&mut world, &backup, "h2");
    world.run(60_000);
    assert_eq!(world.row(b, "d1"), None);
}
