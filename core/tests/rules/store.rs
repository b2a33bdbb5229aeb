//! A store that refuses, or that lost its log: the engine comes to rest, keeps what the user wrote, says so, and goes
//! on when it can.

use crate::world;

use tidewire_core::authority::memory::MemoryStore;
use tidewire_core::json;
use world::{World, delete, inc, insert, pair, set, world};

/// A minute of a tab that has nothing else to do: an operation every two seconds is plenty.
const OPS_A_MINUTE: usize = 30;

/// An offline device whose log is long enough to be sealed by anybody at once.
fn overdue() -> (World, usize) {
    let mut world = world();
    let a = world.device();
    world.run(1_000);
    world.set_network(false);
    world.disks[0].refuses_seals = true;
    for n in 0..1_100 {
        world.write(a, insert(&format!("d{n}"), json!({"n": n})));
        if n % 100 == 0 {
            world.settle();
        }
        world.run(1);
    }
    (world, a)
}

#[test]
fn a_store_that_refuses_each_seal_is_asked_at_long_intervals() {
    let (mut world, a) = overdue();
    world.run(60_000);
    let before = world.disks[0].operations;
    world.run(60_000);
    let asked = world.disks[0].operations - before;
    assert!((1..OPS_A_MINUTE).contains(&asked), "{asked} operations in a minute");
    assert_eq!(world.view(a, "status")["pending"], 1_100);
    let health = world.view(a, "health");
    assert_eq!(health["healthy"], false);
    assert!(health["reasons"].to_string().contains("storage"), "{health}");

    // Writes do not wait for the pause.
    let durable = world.events(a, "durable").len();
    world.write(a, insert("new", json!({})));
    world.settle();
    assert_eq!(world.events(a, "durable").len(), durable + 1);

    world.disks[0].refuses_seals = false;
    world.run(60_000);
    assert!(world.disks[0].seals > 0);
    assert_eq!(world.view(a, "health")["reasons"], json!([]));
    world.set_network(true);
    world.run(10_000);
    assert_eq!(world.server.store.entities.len(), 1_101);
}

/// Somebody emptied `log`, as a browser's developer tools can; its keys go on. The last records were another tab's,
/// which never said so.
fn empty_log(world: &mut World) {
    world.disks[0].log.clear();
    world.disks[0].next_key += 5;
}

#[test]
fn a_log_that_was_emptied_is_begun_again_with_what_this_tab_knows() {
    let mut world = world();
    let a = world.device();
    world.write(a, insert("counter", json!({"n": 0})));
    world.run(1_000);
    world.set_network(false);
    for n in 0..400 {
        world.write(a, insert(&format!("d{n}"), json!({"n": n})));
        world.write(a, inc("counter", "/n", 1));
        world.run(1);
    }
    empty_log(&mut world);
    world.run(60_000);
    let before = world.disks[0].operations;
    world.run(60_000);
    assert!(world.disks[0].operations - before < OPS_A_MINUTE);
    assert!(world.disks[0].seals > 0, "it goes on");
    assert_eq!(world.events(a, "storage")[0]["code"], "storage-wiped");
    assert_eq!(world.row(a, "d7").unwrap()["n"], 7);

    // All of it is in the store again, and goes up once.
    let a = world.reload(a);
    assert_eq!(world.row(a, "counter").unwrap()["n"], 400);
    world.set_network(true);
    world.run(30_000);
    assert_eq!(world.view(a, "status")["pending"], 0);
    assert_eq!(world.server.store.entities.len(), 401);
    assert_eq!(world.row(a, "counter").unwrap()["n"], 400);
}

#[test]
fn a_write_that_meets_an_emptied_log_loses_nothing_before_it() {
    let mut world = world();
    let a = world.device();
    world.run(1_000);
    world.set_network(false);
    world.write(a, insert("d1", json!({"n": 1})));
    world.run(10);
    empty_log(&mut world);
    world.write(a, inc("d1", "/n", 1));
    world.run(1_000);
    assert_eq!(world.row(a, "d1").unwrap()["n"], 2);
    assert_eq!(world.events(a, "durable").len(), 2);
    world.set_network(true);
    world.run(10_000);
    assert_eq!(world.view(a, "status")["pending"], 0);
    assert_eq!(world.server.store.entities.len(), 1);
    assert_eq!(world.row(a, "d1").unwrap()["n"], 2);
}

/// Forty seals, each of a long row that compresses well and of an edit of this device's.
fn many_segments() -> (World, usize, usize, MemoryStore) {
    let (mut world, a, b) = pair();
    let backup = world.server.store.clone();
    for round in 0..40 {
        world.write(a, inc("d1", "/f", 1));
        world.write(b, insert(&format!("b{round}"), json!({"text": "x".repeat(70_000)})));
        world.run(5_000);
    }
    world.run(60_000);
    (world, a, b, backup)
}

#[test]
fn a_store_of_small_segments_is_swept_once_and_comes_to_rest() {
    let (mut world, a, _, _) = many_segments();
    let disk = &world.disks[world.tabs[a].profile];
    assert!(disk.cleans > 0, "{} seals", disk.seals);
    let before = disk.operations;
    world.run(60_000);
    let asked = world.disks[world.tabs[a].profile].operations - before;
    assert!(asked < OPS_A_MINUTE, "{asked} operations in a minute");
}

#[test]
fn rule_24_the_journal_outlives_a_sweep() {
    let (mut world, a, b, backup) = many_segments();
    assert!(world.disks[world.tabs[a].profile].cleans > 0);
    world.kill(b);
    let a = world.reload(a);
    world.set_network(false);
    world.server.store = backup;
    world.server.history = "h2".into();
    world.set_network(true);
    world.run(60_000);
    assert_eq!(world.row(a, "d1").unwrap()["f"], 40, "all that the backup had not seen");
}

#[test]
fn what_two_tabs_had_queued_is_written_again_once_when_their_store_is_replaced() {
    for both in [false, true] {
        let (mut world, a, b) = pair();
        let other = world.tab(0);
        world.run(5_000);
        world.set_network(false);
        world.write(a, inc("d1", "/g", 1));
        world.write_all(other, true, json!([inc("d1", "/g", 10), insert("d2", json!({"n": 1}))]));
        world.run(1_000);
        world.disks[0] = Default::default();
        world.write(a, set("d1", "/f", "after"));
        if both {
            // Before it has heard of the first one's.
            world.write(other, inc("d1", "/g", 100));
        }
        world.run(1_000);
        world.set_network(true);
        world.run(10_000);
        world.write(other, inc("d1", "/g", 1_000));
        world.run(10_000);
        let row = world.row(b, "d1").unwrap();
        assert_eq!((&row["f"], &row["g"]), (&json!("after"), &json!(if both { 1_111 } else { 1_011 })));
        assert_eq!(world.row(other, "d1"), world.row(a, "d1"));
        assert_eq!(world.row(b, "d2").unwrap()["n"], 1);
    }
}

#[test]
fn a_tab_that_does_nothing_learns_that_its_store_was_replaced() {
    let (mut world, a, _) = pair();
    let passive = world.tab(0);
    world.run(5_000);
    world.set_network(false);
    world.disks[0] = Default::default();
    world.write(a, insert("d2", json!({"n": 1})));
    world.run(1_000);
    assert_eq!(world.row(passive, "d1"), None);
    assert_eq!(world.row(passive, "d2").unwrap()["n"], 1);
}

#[test]
fn a_tab_that_does_nothing_learns_that_its_store_was_replaced_by_a_tab_that_never_knew_it() {
    let (mut world, passive, _) = pair();
    world.run(5_000);
    world.set_network(false);
    world.disks[0] = Default::default();
    // As after `erase()` and a reload of that page.
    let fresh = world.tab(0);
    world.write(fresh, insert("d2", json!({"n": 1})));
    world.run(1_000);
    assert_eq!(world.row(passive, "d1"), None);
    assert_eq!(world.row(passive, "d2").unwrap()["n"], 1);
    let operations = world.disks[0].operations;
    world.run(60_000);
    assert!(world.disks[0].operations - operations < OPS_A_MINUTE);
}

#[test]
fn a_tab_that_slept_while_its_store_was_replaced_does_not_fold_the_new_one_onto_the_old() {
    let (mut world, a, b) = pair();
    let late = world.tab(0);
    world.run(5_000);
    world.set_network(false);
    world.write(late, inc("d1", "/g", 1));
    world.run(1_000);
    world.tabs[late].dead = true;
    world.disks[0] = Default::default();
    for n in 0..30 {
        world.write(a, insert(&format!("new-{n}"), json!({"n": n})));
        world.run(1);
    }
    world.tabs[late].dead = false;
    world.write(a, insert("last", json!({"n": 1})));
    world.run(1_000);
    assert_eq!(world.row(late, "new-0").unwrap()["n"], 0);
    world.set_network(true);
    world.run(30_000);
    assert_eq!(world.row(b, "d1").unwrap()["g"], 1);
    assert_eq!(world.row(late, "d1"), world.row(a, "d1"));
}

#[test]
fn a_sent_speaks_for_nothing_behind_it() {
    use tidewire_core::ids::MutationId;
    use tidewire_core::log::record::{Record, Sent};
    use tidewire_core::store::fold::fold;
    use tidewire_core::store::state::State;
    // It was written for another store, and found this one in its place.
    let mut state = State::default();
    fold(&mut state, 1, Record::Sent(Sent { fence: 0, through: MutationId(1_001, 0) }), 0).unwrap();
    assert!(!state.was_sent(MutationId(2, 0)));
}

/// Four megabytes written at once, on a device that is offline.
fn bulk() -> (World, usize) {
    let mut world = world();
    let a = world.device();
    world.run(1_000);
    world.set_network(false);
    let text = "x".repeat(1_000);
    let ops: Vec<_> = (0..4_000).map(|n| insert(&format!("d{n}"), json!({"n": n, "text": text}))).collect();
    world.write_all(a, false, ops.into());
    world.settle();
    (world, a)
}

/// The `n` of each row, by a fresh tab.
fn numbers(world: &mut World, tab: usize) -> Vec<Option<u64>> {
    let fresh = world.reload(tab);
    (0..4_000).map(|n| world.row(fresh, &format!("d{n}")).map(|row| row["n"].as_u64().unwrap())).collect()
}

#[test]
fn a_long_log_is_sealed_in_slices_and_what_is_written_between_them_is_not_lost() {
    let (mut world, a) = bulk();
    assert_eq!(world.disks[0].seals, 0, "not at once");
    let mut expected: Vec<Option<u64>> = (0..4_000).map(Some).collect();
    for n in [1, 3_999, 2_000] {
        world.write(a, set(&format!("d{n}"), "/n", 7));
        expected[n] = Some(7);
        world.write(a, delete(&format!("d{}", n - 1)));
        expected[n - 1] = None;
        world.run(1);
        assert_eq!(world.disks[0].seals, 0, "after {n}");
    }
    world.run(1_000);
    assert_eq!(world.disks[0].seals, 1);
    assert_eq!(numbers(&mut world, a), expected);
    world.set_network(true);
    world.run(60_000);
    assert_eq!(numbers(&mut world, 1), expected);
}

#[test]
fn a_pull_between_two_slices_is_not_lost() {
    let (mut world, a) = bulk();
    world.run(1);
    assert_eq!(world.disks[0].seals, 0);
    world.set_network(true);
    world.run(60_000);
    assert!(world.disks[0].seals > 0);
    assert_eq!(world.view(a, "status")["pending"], 0);
    assert_eq!(numbers(&mut world, a), (0..4_000).map(Some).collect::<Vec<_>>());
}

#[test]
fn a_bulk_write_stands_packed_in_the_log_and_is_read_again() {
    let (mut world, a) = bulk();
    let bytes: usize = world.disks[0].log.values().map(Vec::len).sum();
    assert_eq!(world.disks[0].seals, 0);
    assert!(bytes < 4_000 * 1_000 / 4, "{bytes} bytes");
    assert_eq!(numbers(&mut world, a), (0..4_000).map(Some).collect::<Vec<_>>());
}
