//! A device that keeps a part of the deals, and one that has written them all.
#![allow(dead_code, reason = "each test file uses a part of it")]

use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::limits::EVICT_MS;
use tidewire_core::store::segment::Block;

use super::{World, insert, world};

/// After so long in idle time what has to go is gone.
pub const SETTLED_MS: u64 = 2 * EVICT_MS;

/// Open deals only.
pub fn open_only() -> Value {
    json!({"where": {"path": "/open", "op": "eq", "value": true}})
}

pub fn options(replicate: &Value) -> Value {
    json!({"collections": {
        "deals": {"replicate": replicate},
        "people": {"refs": {"/deal": {"to": "deals"}}},
    }})
}

pub fn tab(world: &mut World, profile: usize, replicate: &Value) -> usize {
    world.tab_with(profile, options(replicate))
}

pub fn device(world: &mut World, replicate: &Value) -> usize {
    let profile = world.profile();
    tab(world, profile, replicate)
}

pub fn reopen(world: &mut World, old: usize, replicate: &Value) -> usize {
    world.kill(old);
    let profile = world.tabs[old].profile;
    tab(world, profile, replicate)
}

/// A device that keeps everything and has written so many deals, every other one open.
pub fn office(count: usize) -> (World, usize) {
    let mut world = world();
    let b = world.device();
    for n in 0..count {
        world.write(b, insert(&format!("d{n:02}"), json!({"open": n % 2 == 0, "name": format!("name of {n:02}")})));
    }
    world.run(2_000);
    (world, b)
}

pub fn ids(world: &mut World, tab: usize) -> Vec<String> {
    let query = json!({"c": "deals"}).to_string();
    let answer: Value = serde_json::from_str(&world.tabs[tab].engine.query(&query).unwrap()).unwrap();
    let mut ids: Vec<String> = serde_json::from_str(&answer["items"].to_string()).unwrap();
    ids.sort();
    ids
}

pub fn health(world: &World, tab: usize) -> Value {
    world.view(tab, "health")["collections"]["deals"].clone()
}

pub fn fetch(world: &mut World, tab: usize, id: &str) -> Value {
    world.command(tab, json!({"do": "fetch", "c": "deals", "id": id}))
}

/// Whether a word stands anywhere in what a profile has stored.
pub fn is_on_disk(world: &World, tab: usize, word: &str) -> bool {
    let disk = &world.disks[world.tabs[tab].profile];
    let has = |bytes: &[u8]| bytes.windows(word.len()).any(|part| part == word.as_bytes());
    let unpacked = |bytes: &Vec<u8>| has(Block::unpack(bytes).unwrap().text().as_bytes());
    disk.log.values().any(|bytes| has(bytes)) || disk.segments.values().any(unpacked)
}

pub fn pushes(world: &World, tab: usize) -> usize {
    world.tabs[tab].pushes.iter().map(|push| push["mutations"].as_array().unwrap().len()).sum()
}
