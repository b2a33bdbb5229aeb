//! Rules 17 to 19 and 28 as the client keeps them: what waits is laid over, decided anywhere, put back, and told.

use crate::world;

use tidewire_core::json;
use tidewire_core::json::Value;
use world::parked::{OnlineLast, Three, conflicts, decide, ids, last_pushed, parked, undo};
use world::set;

#[test]
fn rule_17_the_author_sees_what_waits_on_every_device_and_others_what_stands() {
    let three = parked(&["/f"]);
    let Three { world, ada, also_ada, bob } = &three;
    for tab in [*ada, *also_ada] {
        assert_eq!(three.fields(tab), json!(["ada's", "old", "conflict"]));
        let open = conflicts(world, tab, "open");
        assert_eq!(open.len(), 1);
        let one = &open[0];
        assert_eq!((&one["c"], &one["e"], &one["path"]), (&json!("deals"), &json!("d1"), &json!("/f")));
        assert_eq!((&one["base"], &one["yours"], &one["kept"]), (&json!("old"), &json!("ada's"), &json!("bob's")));
        assert_eq!(one["own"], tab == *ada, "one device made the edit");
    }
    assert_eq!(three.fields(*bob), json!(["bob's", "old", "synced"]));
    assert_eq!(world.view(*bob, "conflicts"), json!([]));
    assert_eq!(world.view(*ada, "status")["pending"], 0);
}

#[test]
fn rule_17_everything_else_goes_on_and_an_edit_of_what_waits_joins_it() {
    let mut three = parked(&["/f"]);
    let Three { world, ada, also_ada, bob } = &mut three;
    world.write(*also_ada, set("d1", "/f", "ada's newer"));
    assert_eq!(world.row(*also_ada, "d1").unwrap()["f"], "ada's newer");
    world.write(*ada, set("d1", "/g", "ada's"));
    world.run(1_000);
    world.write(*bob, set("d1", "/f", "bob's newer"));
    world.run(5_000);
    let pushed = last_pushed(world, *also_ada);
    assert_eq!(pushed["was"], json!({"/f": "ada's"}), "what the author saw there");
    assert_eq!(three.all(), ["ada's newer", "ada's newer", "bob's newer"].map(Value::from));
    assert_eq!(three.fields(three.bob)[1], "ada's");
    let open = conflicts(&three.world, three.ada, "open");
    assert_eq!((&open[0]["yours"], &open[0]["kept"]), (&json!("ada's newer"), &json!("bob's newer")));
    assert_eq!(open.len(), 1);
}

#[test]
fn rule_17_mine_theirs_and_an_edited_value_are_edits_against_what_stands() {
    for (take, after) in [(json!({"/f": "ada's"}), "ada's"), (json!({}), "bob's"), (json!({"/f": "both"}), "both")] {
        let mut three = parked(&["/f"]);
        let Three { world, ada, .. } = &mut three;
        let ada = *ada;
        let decision = decide(world, ada, "open", take.clone());
        let resolved = ids(world, ada, "open");
        world.write(ada, decision);
        // At once, before anything is stored or sent.
        assert_eq!(world.row(ada, "d1").unwrap()["f"], after);
        assert_eq!(world.row(ada, "d1").unwrap()["$sync"]["status"], "pending");
        assert_eq!(ids(world, ada, "open"), [] as [Value; 0]);
        assert_eq!(ids(world, ada, "closed"), resolved);
        world.run(5_000);
        let pushed = last_pushed(world, ada);
        assert_eq!(pushed["resolves"], json!(resolved));
        let was = if take == json!({}) { Value::Null } else { json!({"/f": "bob's"}) };
        assert_eq!(pushed.get("was").cloned().unwrap_or_default(), was);
        assert_eq!(three.all(), [after, after, after].map(Value::from));
        for tab in [three.ada, three.also_ada, three.bob] {
            assert_eq!(three.fields(tab)[2], "synced");
            assert!(conflicts(&three.world, tab, "open").is_empty());
        }
        assert_eq!(conflicts(&three.world, three.also_ada, "closed")[0]["kept"], "bob's");
    }
}

#[test]
fn rule_17_one_field_is_decided_and_the_other_waits() {
    let mut three = parked(&["/f", "/g"]);
    let Three { world, ada, .. } = &mut three;
    let ada = *ada;
    let first = conflicts(world, ada, "open").into_iter().find(|one| one["path"] == "/f").unwrap();
    world.write(ada, json!({"op": "patch", "c": "deals", "id": "d1", "resolves": [first["id"]]}));
    assert_eq!(three.fields(ada), json!(["bob's", "ada's", "conflict"]));
    three.world.run(5_000);
    assert_eq!(three.fields(three.also_ada), json!(["bob's", "ada's", "conflict"]));
    assert_eq!(three.fields(three.bob), json!(["bob's", "bob's", "synced"]));
}

#[test]
fn rule_17_a_decision_made_offline_survives_a_reload() {
    let mut three = parked(&["/f"]);
    three.world.set_network(false);
    let decision = decide(&three.world, three.ada, "open", json!({"/f": "ada's"}));
    three.world.write(three.ada, decision);
    three.world.run(100);
    three.world.user = "ada".into();
    three.ada = three.world.reload(three.ada);
    assert_eq!(three.fields(three.ada), json!(["ada's", "old", "pending"]));
    assert!(conflicts(&three.world, three.ada, "open").is_empty());
    three.world.set_network(true);
    three.world.run(60_000);
    assert_eq!(three.all(), ["ada's"; 3].map(Value::from));
    assert!(three.world.events(three.ada, "conflict").is_empty(), "nothing new happened to what was known");
}

#[test]
fn rule_17_what_waits_survives_a_reload_and_a_new_device() {
    let mut three = parked(&["/f"]);
    three.world.user = "ada".into();
    three.ada = three.world.reload(three.ada);
    three.also_ada = three.world.device();
    three.world.run(5_000);
    for tab in [three.ada, three.also_ada] {
        assert_eq!(three.fields(tab), json!(["ada's", "old", "conflict"]));
        assert!(three.world.events(tab, "conflict").is_empty(), "it did not happen now");
    }
}

#[test]
fn rule_17_undo_makes_it_wait_again_before_and_after_the_server_heard_of_it() {
    for heard in [false, true] {
        for take in [json!({"/f": "ada's"}), json!({}), json!({"/f": "both"})] {
            let mut three = parked(&["/f"]);
            let Three { world, ada, .. } = &mut three;
            let ada = *ada;
            let before = conflicts(world, ada, "open");
            let decision = decide(world, ada, "open", take);
            let write = world.write(ada, decision);
            world.run(if heard { 5_000 } else { 0 });
            let undone = undo(world, ada, write);
            let open = conflicts(world, ada, "open");
            assert_eq!((&open[0]["yours"], &open[0]["kept"]), (&before[0]["yours"], &before[0]["kept"]));
            assert_eq!(three.fields(ada), json!(["ada's", "old", "conflict"]));
            three.world.run(5_000);
            assert_eq!(three.all(), ["ada's", "ada's", "bob's"].map(Value::from));
            assert_eq!(three.fields(three.also_ada)[2], "conflict");
            // And the undo of the undo decides anew.
            undo(&mut three.world, ada, undone);
            assert!(conflicts(&three.world, ada, "open").is_empty());
            three.world.run(5_000);
            assert!(conflicts(&three.world, three.also_ada, "open").is_empty());
            let f = three.all();
            assert!(f.iter().all(|value| *value == f[0]), "{f:?}");
        }
    }
}

#[test]
fn rule_18_a_decision_that_meets_another_write_waits_again_and_counts() {
    let mut three = parked(&["/f"]);
    for round in 1..4_u32 {
        let Three { world, ada, bob, .. } = &mut three;
        world.set_network(false);
        let (ada, bob) = (*ada, *bob);
        world.write(bob, set("d1", "/f", format!("bob's {round}")));
        let decision = decide(world, ada, "open", json!({"/f": "ada's"}));
        world.write(ada, decision);
        world.settle();
        world.online_last(ada);
        let open = conflicts(world, ada, "open");
        assert_eq!(open.len(), 1, "round {round}");
        assert_eq!((&open[0]["rounds"], &open[0]["kept"]), (&json!(round), &json!(format!("bob's {round}"))));
        assert_eq!(three.all(), [json!("ada's"), json!("ada's"), json!(format!("bob's {round}"))]);
    }
}

#[test]
fn rule_11_a_decision_whose_transaction_waits_is_asked_for_again() {
    let mut three = parked(&["/f"]);
    let Three { world, ada, bob, .. } = &mut three;
    world.set_network(false);
    let (ada, bob) = (*ada, *bob);
    world.write(bob, set("d1", "/g", "bob's"));
    let theirs = decide(world, ada, "open", json!({}));
    world.write_all(ada, true, json!([theirs, set("d1", "/g", "ada's")]));
    assert_eq!(three.fields(ada), json!(["bob's", "ada's", "pending"]));
    three.world.settle();
    three.world.tabs[ada].events.clear();
    three.world.online_last(ada);
    assert_eq!(three.fields(ada), json!(["ada's", "ada's", "conflict"]), "all of it waits");
    assert_eq!(three.fields(three.bob), json!(["bob's", "bob's", "synced"]));
    assert_eq!(conflicts(&three.world, ada, "open").len(), 2);
    let told: Vec<Value> = three.world.events(ada, "conflict").iter().map(|event| event["open"].clone()).collect();
    assert!(told.contains(&json!(["/f"])) && told.contains(&json!(["/g"])), "{told:?}");
    assert_eq!(three.world.view(ada, "status")["pending"], 0);
}

#[test]
fn a_tab_without_all_of_its_code_tells_of_conflicts_when_it_has_it() {
    let mut three = parked(&["/f"]);
    let Three { world, ada, .. } = &mut three;
    let tab = world.tab_in_part(world.tabs[*ada].profile);
    world.run(1_000);
    assert_eq!(world.row(tab, "d1").unwrap()["f"], "ada's");
    assert_eq!(world.view(tab, "conflicts"), json!([]));

    world.complete(tab);
    assert_eq!(world.view(tab, "conflicts"), world.view(*ada, "conflicts"));
}
