//! A device with little memory: documents beyond the budget stay packed, and nothing else is different.

use crate::world;

use tidewire_core::json;
use tidewire_core::json::Value;
use world::{World, delete, insert, set, world};

const BUDGET: u64 = 150_000;
const COUNT: usize = 2_000;

fn id(n: usize) -> String {
    // In another order than they are stored.
    format!("d{:04}", (n * 1_237) % COUNT)
}

/// A full server, a device as any, and one with a small budget that has sealed what it pulled.
fn devices() -> (World, usize, usize) {
    let mut world = world();
    let office = world.device();
    for part in (0..COUNT).collect::<Vec<_>>().chunks(200) {
        let deal = |n: &usize| insert(&id(*n), json!({"n": n, "text": format!("{n} {}", "wörter ".repeat(30))}));
        world.write_all(office, false, json!(part.iter().map(deal).collect::<Vec<_>>()));
        world.run(2_000);
    }
    let profile = world.profile();
    let small = world.tab_with(profile, options());
    world.run(20_000);
    assert!(world.disks[world.tabs[small].profile].seals > 0);
    (world, office, small)
}

fn options() -> Value {
    json!({"memoryBytes": BUDGET, "verifyMs": 60_000})
}

fn memory(world: &World, tab: usize) -> (u64, u64) {
    let memory = world.view(tab, "health")["memory"].clone();
    (memory["unpackedBytes"].as_u64().unwrap(), memory["packedBytes"].as_u64().unwrap())
}

fn assert_small(world: &World, tab: usize) {
    let (unpacked, packed) = memory(world, tab);
    // What is unpacked to be read is as much again.
    assert!(unpacked <= BUDGET + 256 * 1024 + 110 * 1024, "{unpacked} bytes unpacked");
    assert!(packed > 20_000, "{packed} bytes packed");
}

fn found(world: &mut World, tab: usize) -> Value {
    let query =
        json!({"c": "deals", "where": {"path": "/n", "op": "gte", "value": 1_500}, "orderBy": [["/text", "asc"]]});
    let answer = world.tabs[tab].engine.query(&query.to_string()).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert!(answer.to_string().len() > 1_000);
    answer
}

fn assert_same(world: &mut World, one: usize, other: usize) {
    for n in 0..COUNT {
        let row = world.row(one, &id(n)).unwrap();
        let (mut row, mut same) = (row, world.row(other, &id(n)).unwrap());
        for row in [&mut row, &mut same] {
            row.as_object_mut().unwrap().remove("$sync");
        }
        assert_eq!(row, same);
        world.tabs[one].engine.pack_again();
        world.tabs[other].engine.pack_again();
    }
    assert_eq!(found(world, one), found(world, other));
}

#[test]
fn what_is_over_the_budget_stays_packed() {
    let (mut world, office, small) = devices();
    assert_small(&world, small);
    assert_eq!(memory(&world, office).1, 0);
    assert_same(&mut world, office, small);
    // What was unpacked to be read is packed again.
    assert_small(&world, small);
    // Many at once come in the order that was asked for, and an export has them all.
    let ids = json!((0..COUNT).map(|n| id(n * 7)).chain(["none".to_owned()]).collect::<Vec<_>>()).to_string();
    let rows: Value = serde_json::from_str(&world.tabs[small].engine.rows("deals", &ids).unwrap()).unwrap();
    for (n, row) in rows.as_array().unwrap().iter().take(COUNT).enumerate() {
        assert_eq!((&row["id"], &row["n"]), (&json!(id(n * 7)), &json!((n * 7) % COUNT)));
    }
    assert_eq!(rows[COUNT], json!(null));
    let all: Value = serde_json::from_str(&world.tabs[small].engine.export().unwrap()).unwrap();
    assert_eq!(all["collections"]["deals"].as_array().unwrap().len(), COUNT);
    assert_small(&world, small);

    let small = {
        let profile = world.tabs[small].profile;
        world.kill(small);
        world.tab_with(profile, options())
    };
    world.run(5_000);
    assert_small(&world, small);
    assert_same(&mut world, office, small);
    assert_small(&world, small);
}

#[test]
fn what_is_packed_is_edited_deleted_compared_and_stored_again() {
    let (mut world, office, small) = devices();
    for n in 0..300 {
        world.write(small, set(&id(n * 3), "/text", format!("from here {n}")));
        world.write(office, set(&id(n * 3 + 1), "/text", format!("from there {n}")));
    }
    for n in 0..100 {
        world.write(small, delete(&id(n * 7)));
        world.write(office, insert(&format!("new{n}"), json!({"n": n, "text": "new"})));
    }
    world.run(120_000);
    assert!(world.server.verified > 0);
    assert!(world.events(small, "watchdog").is_empty(), "{:?}", world.events(small, "watchdog"));
    assert_small(&world, small);
    let stored: Vec<String> = world.server.store.entities.keys().map(|(_, id)| id.to_string()).collect();
    for id in stored {
        let text = |tab| world.row(tab, &id).map(|row| row["text"].clone());
        assert_eq!(text(small), text(office), "{id}");
    }
    // Sweeps and seals read what is packed; a reload finds it.
    let small = world.reload(small);
    world.run(5_000);
    assert_eq!(found(&mut world, small), found(&mut world, office));
}
