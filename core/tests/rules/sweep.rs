//! A sweep drops a row that says that something is gone only where no older row of the same key is left: not in
//! segments either that this tab has not written.

use crate::world;

use tidewire_core::json;
use tidewire_core::json::Value;
use world::{World, delete, insert, set, world};

/// Rows that go.
const OLD: usize = 60;

/// Rows that are large, so that their old versions are worth a sweep.
const LARGE: usize = 90;

/// Text that does not compress.
fn noise(seed: usize) -> String {
    let word = |k: usize| ((seed * 2_048 + k) as u32 ^ 0x5bd1_e995).wrapping_mul(2_654_435_761);
    (0..2_048).map(|k| format!("{:08x}", word(k))).collect()
}

fn write_rows(world: &mut World, tab: usize, ops: Vec<Value>) {
    for part in ops.chunks(20) {
        world.write_all(tab, false, json!(part));
        world.run(2_000);
    }
    world.run(10_000);
}

fn old(n: usize) -> String {
    format!("old{n:02}")
}

fn old_rows() -> Vec<Value> {
    (0..OLD).map(|n| insert(&old(n), json!({"text": "x".repeat(2_000)}))).collect()
}

/// A leader and a follower that know nothing yet.
fn two_tabs() -> (World, usize, usize) {
    let mut world = world();
    world.server.page = 500;
    let a = world.device();
    let b = world.tab(0);
    world.run(5_000);
    assert_eq!(leads(&world, a), [true, false]);
    (world, a, b)
}

fn leads(world: &World, tab: usize) -> [bool; 2] {
    [tab, 1 - tab].map(|tab| world.view(tab, "status")["leader"] == true)
}

/// Large rows, written twice: half of what is stored is dead.
fn churn(world: &mut World, tab: usize, round: usize) {
    let large = |half: usize| (0..LARGE).map(move |n| (format!("large{n}"), noise((round * 2 + half) * LARGE + n)));
    let inserts = large(0).map(|(id, text)| match round {
        0 => insert(&id, json!({"text": text})),
        _ => set(&id, "/text", text),
    });
    write_rows(world, tab, inserts.collect());
    write_rows(world, tab, large(1).map(|(id, text)| set(&id, "/text", text)).collect());
    world.run(60_000);
}

fn delete_old(world: &mut World, tab: usize) {
    write_rows(world, tab, (0..OLD).map(|n| delete(&old(n))).collect());
}

/// What of the old rows a tab shows that opens the store as it is on the disk.
fn after_reload(mut world: World, tab: usize) -> Vec<String> {
    assert!(world.disks[0].cleans > 0, "it was swept");
    world.set_network(false);
    let tab = world.reload(tab);
    assert!(world.row(tab, "large1").is_some());
    (0..OLD).map(old).filter(|id| world.row(tab, id).is_some()).collect()
}

#[test]
fn what_was_deleted_stays_so_though_another_tab_had_sealed_it() {
    let (mut world, a, b) = two_tabs();
    world.freeze(a);
    world.run(40_000);
    world.thaw(a);
    world.run(1_000);
    assert_eq!(leads(&world, b), [true, false]);
    write_rows(&mut world, b, old_rows());
    assert!(world.disks[0].seals > 0 && world.row(a, &old(0)).is_some());
    world.kill(b);
    world.run(5_000);
    assert_eq!(world.view(a, "status")["leader"], true);
    delete_old(&mut world, a);
    churn(&mut world, a, 0);
    assert_eq!(after_reload(world, a), Vec::<String>::new());
}

#[test]
fn what_was_deleted_stays_so_after_a_sweep_that_found_other_segments() {
    let (mut world, a, _) = two_tabs();
    write_rows(&mut world, a, old_rows());
    // Somebody else wrote all segments anew, as a tab does that makes room.
    let disk = &mut world.disks[0];
    assert!(disk.seals > 0);
    for stored in [&mut disk.segments, &mut disk.directories] {
        *stored = std::mem::take(stored).into_iter().map(|(key, bytes)| (key + 100, bytes)).collect();
    }
    disk.next_segment += 100;
    churn(&mut world, a, 0);
    delete_old(&mut world, a);
    churn(&mut world, a, 1);
    assert_eq!(after_reload(world, a), Vec::<String>::new());
}
