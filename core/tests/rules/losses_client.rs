//! Rules 19 and 28 as the client keeps them, and what the app hears: losses are told and put back, and what is hidden
//! stays hidden.

use crate::world;

use tidewire_core::engine::Engine;
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::model::schema::Strategy;
use world::parked::{OnlineLast, Three, conflicts, decide, ids, parked, three, undo};
use world::{World, delete, set};

#[test]
fn rule_19_a_value_that_lost_is_told_and_put_back_and_that_can_be_undone() {
    let mut three = three(Strategy::ServerWins);
    three.collide(&["/f"]);
    assert_eq!(three.all(), ["bob's"; 3].map(Value::from));
    let Three { world, ada, also_ada, bob } = &mut three;
    let (ada, bob) = (*ada, *bob);
    for tab in [ada, *also_ada] {
        let events = world.events(tab, "conflict");
        assert_eq!(events.len(), 1, "once for each device: {events:?}");
        let lost = &events[0]["overwritten"][0];
        assert_eq!((&lost["path"], &lost["yours"], &lost["kept"]), (&json!("/f"), &json!("ada's"), &json!("bob's")));
        assert_eq!(lost.as_object().unwrap().len(), 4, "who wrote it, and nothing else");
        assert_eq!(events[0].get("open"), None);
    }
    assert!(world.events(bob, "conflict").is_empty());
    let restore = decide(world, ada, "lost", json!({"/f": "ada's"}));
    let write = world.write(ada, restore);
    assert_eq!(ids(world, ada, "lost"), [] as [Value; 0]);
    world.run(5_000);
    assert_eq!(three.all(), ["ada's"; 3].map(Value::from));
    assert_eq!(ids(&three.world, three.also_ada, "closed").len(), 1);
    undo(&mut three.world, ada, write);
    assert_eq!(ids(&three.world, ada, "lost").len(), 1, "it is what it was before, and does not wait");
    three.world.run(5_000);
    assert_eq!(three.all(), ["bob's"; 3].map(Value::from));
    assert_eq!(ids(&three.world, three.also_ada, "lost").len(), 1);
}

#[test]
fn rule_19_a_stored_value_that_lost_is_told_to_its_author_wherever_he_is() {
    let mut three = three(Strategy::ClientWins);
    three.collide(&["/f"]);
    let Three { world, ada, bob, .. } = &mut three;
    assert!(world.events(*ada, "conflict").is_empty(), "hers won");
    let events = world.events(*bob, "conflict");
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&events[0]["overwritten"][0]["yours"], &events[0]["id"]), (&json!("bob's"), &json!("d1")));
    let restore = decide(world, *bob, "lost", json!({"/f": "bob's"}));
    world.write(*bob, restore);
    world.run(5_000);
    assert_eq!(three.all(), ["bob's"; 3].map(Value::from));
}

#[test]
fn an_event_tells_of_what_waits_once_on_each_device() {
    let three = parked(&["/f", "/g"]);
    let of = |tab: usize| -> Vec<Value> {
        let events = three.world.events(tab, "conflict");
        events.iter().flat_map(|event| event["open"].as_array().unwrap().clone()).collect()
    };
    assert_eq!(of(three.ada), [json!("/f"), json!("/g")]);
    assert_eq!(of(three.also_ada), [json!("/f"), json!("/g")]);
    assert!(three.world.events(three.bob, "conflict").is_empty());
}

#[test]
fn two_tabs_of_a_device_show_and_decide_the_same() {
    let mut three = parked(&["/f"]);
    three.world.user = "ada".into();
    let follower = three.world.tab(0);
    three.world.run(1_000);
    assert_eq!(three.fields(follower), json!(["ada's", "old", "conflict"]));
    let decision = decide(&three.world, follower, "open", json!({}));
    let write = three.world.write(follower, decision);
    three.world.run(5_000);
    assert_eq!(three.fields(three.ada), json!(["bob's", "old", "synced"]));
    undo(&mut three.world, follower, write);
    three.world.run(5_000);
    assert_eq!(three.fields(three.ada), json!(["ada's", "old", "conflict"]));
    assert_eq!(three.fields(follower), json!(["ada's", "old", "conflict"]));
}

#[test]
fn rows_that_a_conflict_changes_are_announced_and_the_conflicts_own_are_not() {
    let mut three = parked(&["/f"]);
    let names = |world: &World, tab: usize| -> Vec<Value> {
        let mut named: Vec<Value> = world.events(tab, "changed").iter().map(|e| e["collection"].clone()).collect();
        named.extend(world.events(tab, "loaded").iter().map(|event| event["collection"].clone()));
        named.extend(world.view(tab, "status")["loaded"].as_array().unwrap().clone());
        named.extend(world.view(tab, "health")["collections"].as_object().unwrap().keys().map(|key| json!(key)));
        named
    };
    for tab in [three.ada, three.also_ada, three.bob] {
        assert!(!names(&three.world, tab).contains(&json!("$conflicts")), "{:?}", names(&three.world, tab));
        assert!(names(&three.world, tab).contains(&json!("deals")));
    }
    let seen = three.world.events(three.also_ada, "changed").len();
    let decision = decide(&three.world, three.ada, "open", json!({}));
    three.world.write(three.ada, decision);
    three.world.run(5_000);
    let news = three.world.events(three.also_ada, "changed").split_off(seen);
    assert!(news.iter().any(|event| event["ids"] == json!(["d1"])), "{news:?}");
    let query = three.world.tabs[three.ada].engine.query(r#"{"c":"$conflicts"}"#);
    assert_eq!(query.unwrap_err().code.as_str(), "unknown-collection");
    assert!(!three.world.tabs[three.ada].engine.export().unwrap().contains("$conflicts"));
    let named = r#"{"name": "x", "collections": {"$conflicts": {}}}"#;
    assert_eq!(Engine::new(named, [0; 16]).unwrap_err().code.as_str(), "bad-config");
}

#[test]
fn rule_28_who_may_no_longer_see_the_entity_forgets_what_others_wrote_in_its_conflicts() {
    let mut three = three(Strategy::ServerWins);
    three.collide(&["/f"]);
    let Three { world, ada, bob, .. } = &mut three;
    assert_eq!(conflicts(world, *ada, "lost")[0]["kept"], "bob's");
    world.server.policy.private_to = Some("owner".into());
    world.write(*bob, set("d1", "/owner", "bob"));
    world.run(5_000);
    assert_eq!(world.row(*ada, "d1"), None);
    world.user = "ada".into();
    let reloaded = world.reload(*ada);
    for tab in [*ada, reloaded] {
        let lost = conflicts(world, tab, "lost");
        assert_eq!((&lost[0]["yours"], lost[0].get("kept"), lost[0].get("by")), (&json!("ada's"), None, None));
        assert_eq!(lost[0].get("base"), None, "it may be another's, and the server says it no more either");
    }
}

#[test]
fn a_deleted_entity_keeps_its_history_and_nothing_of_it_waits() {
    let mut three = parked(&["/f"]);
    three.world.write(three.bob, delete("d1"));
    three.world.run(5_000);
    for tab in [three.ada, three.also_ada] {
        assert_eq!(three.world.row(tab, "d1"), None);
        assert!(conflicts(&three.world, tab, "open").is_empty());
        assert_eq!(conflicts(&three.world, tab, "closed")[0]["yours"], "ada's");
    }
}

#[test]
fn decisions_are_never_joined_with_edits_beside_them() {
    let mut three = parked(&["/f"]);
    three.world.set_network(false);
    let Three { world, ada, .. } = &mut three;
    let ada = *ada;
    world.write(ada, set("d1", "/g", 1));
    let decision = decide(world, ada, "open", json!({"/f": "both"}));
    world.write(ada, decision);
    world.write(ada, set("d1", "/g", 2));
    world.write(ada, set("d1", "/g", 3));
    world.settle();
    world.set_network(true);
    world.run(30_000);
    let pushes = world.tabs[ada].pushes.last().unwrap()["mutations"].clone();
    let contents: Vec<&Value> = pushes.as_array().unwrap().iter().filter_map(|item| item.get("m")).collect();
    assert_eq!(contents.len(), 3, "before, the decision, and after: {contents:?}");
    assert_eq!(contents[1]["resolves"].as_array().unwrap().len(), 1);
    assert_eq!(three.fields(three.bob), json!(["both", 3, "synced"]));
}

#[test]
fn a_value_of_null_waits_as_null_and_a_removed_field_as_removed() {
    for remove in [false, true] {
        let mut three = three(Strategy::Manual);
        let Three { world, ada, bob, .. } = &mut three;
        world.set_network(false);
        world.write(*bob, set("d1", "/o/x", 2));
        let edit = if remove { json!({"unset": ["/o/x"]}) } else { json!({"set": {"/o/x": null}}) };
        let mut op = json!({"op": "patch", "c": "deals", "id": "d1"});
        op.as_object_mut().unwrap().extend(edit.as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.clone())));
        world.write(*ada, op);
        world.settle();
        world.online_last(*ada);
        for tab in [three.ada, three.also_ada] {
            let shown = three.world.row(tab, "d1").unwrap()["o"].clone();
            assert_eq!(shown, if remove { json!({"y": 1}) } else { json!({"x": null, "y": 1}) });
        }
        assert_eq!(three.world.row(three.bob, "d1").unwrap()["o"]["x"], 2);
    }
}
