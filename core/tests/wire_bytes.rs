//! How many bytes the client sends for fixed edits. `cargo xtask work` reads the lines and compares.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a test may panic")]

mod world;

use tidewire_core::json;
use tidewire_core::json::Value;

use world::{insert, pair, set};

/// The bytes of what a device pushes for edits that it made offline.
fn pushed(edits: Vec<Value>) -> usize {
    let (mut world, a, _) = pair();
    world.set_network(false);
    let count = edits.len();
    world.write_all(a, false, Value::Array(edits));
    let before = world.tabs[a].pushes.len();
    world.set_network(true);
    world.run(10_000);
    let bodies = &world.tabs[a].pushes[before..];
    let mutations = bodies.iter().map(|body| body["mutations"].as_array().unwrap().len());
    assert_eq!(mutations.sum::<usize>(), count, "each was sent, once");
    bodies.iter().map(|body| body.to_string().len()).sum()
}

#[test]
fn pushes() {
    let title = |i| format!("The title of number {i:03}");
    let document = |i| json!({"title": title(i), "done": false, "amount": i, "tags": ["a"]});
    let inserts = (0..100).map(|i| insert(&format!("new-{i:03}"), document(i)));
    println!("bytes  push of 100 inserts  {}", pushed(inserts.collect()));
    println!("bytes  push of one field  {}", pushed(vec![set("d1", "/f", "another")]));
}
