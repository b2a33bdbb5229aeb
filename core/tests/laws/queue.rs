//! Coalescing changes nothing observable: an offline device whose edits go up joined ends where an online one ends
//! whose edits went up one by one, and its own view never differs on the way.

use crate::world;

use proptest::prelude::*;
use tidewire_core::json;
use tidewire_core::json::Value;
use world::{World, insert, set, world};

fn edits() -> impl Strategy<Value = Vec<Value>> {
    let path = prop::sample::select(vec!["/a", "/n", "/o/x", "/o/y", "/o"]);
    let one = (path, 0..4_u8, -3..4_i64).prop_map(|(path, kind, number)| match (path, kind) {
        ("/o", 0) => json!({"op": "patch", "c": "deals", "id": "d", "unset": ["/o"]}),
        ("/o", _) => set("d", "/o", json!({"x": number})),
        (path, 0) => json!({"op": "patch", "c": "deals", "id": "d", "unset": [path]}),
        ("/n", 1) => json!({"op": "patch", "c": "deals", "id": "d", "inc": {"/n": number}}),
        (path, _) => set("d", path, number),
    });
    prop::collection::vec(one, 1..12)
}

/// Runs the edits; those that the device refuses (an `inc` on a text) are left out on both sides alike.
fn run(edits: &[Value], offline: bool) -> (World, usize, Vec<Value>) {
    let mut world = world();
    let tab = world.device();
    world.write(tab, insert("d", json!({"a": 0, "n": 1, "o": {"x": 1, "y": 2}})));
    world.run(1_000);
    world.set_network(!offline);
    let mut views = Vec::new();
    for edit in edits {
        let request = json!({"ops": [edit]}).to_string();
        let _refused = world.tabs[tab].engine.write(world.now, &request, "");
        world.run(1_000);
        views.push(fields(&world.row(tab, "d").unwrap()));
    }
    world.set_network(true);
    world.run(60_000);
    (world, tab, views)
}

fn fields(row: &Value) -> Value {
    json!([row.get("a"), row.get("n"), row.get("o")])
}

#[test]
fn a_field_that_is_set_and_unset_again_leaves_the_parent_that_setting_it_made() {
    let unset = |path: &str| json!({"op": "patch", "c": "deals", "id": "d", "unset": [path]});
    let edits = [unset("/o"), set("d", "/o/x", 0), unset("/o/x")];
    let (offline, tab, views) = run(&edits, true);
    assert_eq!(views.last().unwrap()[2], json!({}));
    assert_eq!(offline.row(tab, "d").unwrap()["o"], json!({}));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn coalescing_changes_nothing_observable(edits in edits()) {
        let (offline, tab, views) = run(&edits, true);
        let (online, other, online_views) = run(&edits, false);
        prop_assert_eq!(&views, &online_views);
        let last = fields(&offline.row(tab, "d").unwrap());
        prop_assert_eq!(&last, &fields(&online.row(other, "d").unwrap()));
        prop_assert_eq!(Some(&last), views.last());
        prop_assert_eq!(&offline.view(tab, "status")["pending"], &json!(0));
        prop_assert_eq!(&offline.view(tab, "queue")["failed"], &json!([]));
        let stored = offline.server.store.entities.values().next().unwrap().stored.doc.clone();
        prop_assert_eq!(fields(&stored), last);
    }
}
