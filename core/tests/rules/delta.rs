//! Changed fields on the live channel: they lead to the same rows as whole documents, or to a pull.

use crate::world;

use tidewire_core::io::Input;
use tidewire_core::json;
use tidewire_core::json::Value;
use world::{World, insert, pair, set};

/// What the socket of a tab would be told next, and the mark that it was told.
fn next_frame(world: &mut World, tab: usize) -> (u64, Value) {
    let (token, subscription) = world.tabs[tab].socket.clone().unwrap();
    let subscription = subscription.unwrap();
    let frame = world.server.frame(&subscription["auth"], &subscription["at"]).unwrap();
    let told = json!({"auth": subscription["auth"], "at": frame["cursor"]});
    world.tabs[tab].socket = Some((token, Some(told)));
    (token, frame)
}

fn hear(world: &mut World, tab: usize, token: u64, frame: &str) {
    world.tabs[tab].engine.handle(world.now, Input::SocketMessage { token, text: frame.to_owned() });
}

/// A write of B's that is on the server, and whose frame A has not got.
fn write(world: &mut World, b: usize, op: Value) {
    let seq = world.server.store.seq;
    world.write(b, op);
    for _ in 0..10_000 {
        if world.server.store.seq > seq {
            return;
        }
        world.step();
    }
    panic!("the write does not arrive");
}

#[test]
fn a_patch_reaches_another_device_as_what_changed() {
    let (mut world, a, b) = pair();
    let pulls = world.server.pulls;
    world.write(b, set("d1", "/f", "new"));
    world.write(b, set("d1", "/deep/x", 1));
    world.run(2_000);
    assert!(world.server.deltas.get() > 0);
    assert_eq!(world.server.pulls, pulls);
    for tab in [a, b] {
        let row = world.row(tab, "d1").unwrap();
        assert_eq!((&row["f"], &row["deep"], &row["g"]), (&json!("new"), &json!({"x": 1}), &json!(0)));
    }
}

#[test]
fn a_frame_waits_for_the_one_whose_document_it_changes() {
    let (mut world, a, b) = pair();
    let mut frames = Vec::new();
    for value in 1..=3 {
        write(&mut world, b, set("d1", "/f", value));
        frames.push(next_frame(&mut world, a));
    }
    let pulls = world.server.pulls;
    for (token, frame) in &frames {
        assert!(frame["changes"][0].get("delta").is_some(), "{frame}");
        hear(&mut world, a, *token, &frame.to_string());
    }
    world.run(2_000);
    assert_eq!(world.row(a, "d1").unwrap()["f"], 3);
    assert_eq!(world.server.pulls, pulls);
}

#[test]
fn what_changes_another_revision_is_pulled() {
    let (mut world, a, b) = pair();
    write(&mut world, b, set("d1", "/f", 1));
    let (token, frame) = next_frame(&mut world, a);
    let was = frame["changes"][0]["delta"]["was"].as_u64().unwrap();
    let other = frame.to_string().replace(&format!("\"was\":{was}"), &format!("\"was\":{}", was - 1));
    let pulls = world.server.pulls;
    hear(&mut world, a, token, &other);
    world.run(2_000);
    assert_eq!(world.row(a, "d1").unwrap()["f"], 1);
    assert!(world.server.pulls > pulls);
}

#[test]
fn what_is_kept_in_part_or_without_fields_comes_whole() {
    let (mut world, _, b) = pair();
    let (_, first) = world.tabs[b].socket.clone().unwrap();
    assert_eq!(first.unwrap()["auth"]["deltas"], json!(["deals", "people"]));
    let profile = world.profile();
    let options =
        json!({"collections": {"deals": {"replicate": {"maxEntities": 5}}, "people": {"sensitive": ["/ssn"]}}});
    let tab = world.tab_with(profile, options);
    world.run(2_000);
    let (_, auth) = world.tabs[tab].socket.clone().unwrap();
    assert!(auth.unwrap()["auth"].get("deltas").is_none());
    world.write(b, insert("d2", json!({"f": 1})));
    world.run(1_000);
    world.write(b, set("d2", "/f", 2));
    world.run(2_000);
    assert_eq!(world.row(tab, "d2").unwrap()["f"], 2);
}
