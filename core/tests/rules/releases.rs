//! Releases of an app side by side with others, and ahead of the server or behind it: nothing counts twice, and nobody
//! is taken to have seen what his release does not show.

use crate::migration::{offline, serve, steps, stored, tab, upgrade};
use crate::world;

use tidewire_core::json::{Raw, json};
use tidewire_core::log::record::{Commit, Record};
use tidewire_core::model::migration::Migrations;
use tidewire_core::model::origin;
use tidewire_core::queue::coalesce::plan;
use tidewire_core::store::fold::fold;
use tidewire_core::store::state::State;
use world::{inc, insert, set, world};

/// Each copy of a profile brings over what is queued in it, as far as its release of the app goes.
#[test]
fn rule_08_what_copies_of_a_profile_bring_over_counts_once() {
    for (ours, theirs) in [(2, 2), (2, 3), (3, 2), (1, 2), (2, 1), (1, 1)] {
        let (mut world, a) = offline();
        serve(&mut world, 1);
        world.set_network(true);
        world.write(a, insert("d1", json!({"title": "one", "n": 0})));
        world.run(1_000);
        world.set_network(false);
        world.write(a, inc("d1", "/n", 1));
        world.settle();
        let copy = world.copy_of(a);
        [a, copy].into_iter().for_each(|tab| world.kill(tab));
        let (profile, copied) = (world.tabs[a].profile, world.tabs[copy].profile);
        serve(&mut world, 3);
        world.set_network(true);
        let a = tab(&mut world, profile, ours);
        world.run(10_000);
        let b = tab(&mut world, copied, theirs);
        world.write(b, inc("d1", "/n", 10));
        world.write(a, inc("d1", "/n", 100));
        world.run(60_000);
        let n = stored(&world, "d1").and_then(|doc| doc.get("n").cloned());
        assert_eq!(n, Some(json!(111)), "releases {ours} and {theirs}");
        for tab in [a, b] {
            assert_eq!(world.view(tab, "status")["pending"], 0);
            assert_eq!(world.view(tab, "queue")["failed"], json!([]));
        }
    }
}

/// Invariant 7: an older release does not show a field that has another name now, whatever it has pulled.
#[test]
pub(crate) fn invariant_07_who_has_an_older_release_is_not_taken_to_have_seen_what_it_does_not_show() {
    let mut world = world();
    serve(&mut world, 1);
    let (ann, ben) = (world.profile(), world.profile());
    let (a, b) = (tab(&mut world, ann, 1), tab(&mut world, ben, 1));
    world.write(a, insert("d1", json!({"title": "one", "n": 1})));
    world.run(1_000);
    serve(&mut world, 2);
    world.server.store.migrate(&Migrations::read(2, &steps(2)).unwrap(), 1);
    let b = upgrade(&mut world, b, 2);
    world.run(6_000);
    assert_eq!(world.row(b, "d1").unwrap()["name"], "one");
    world.write(b, set("d1", "/name", "two"));
    world.run(6_000);
    assert_eq!(world.row(a, "d1").unwrap().get("title"), None);
    world.write(a, set("d1", "/title", "three"));
    world.run(6_000);
    assert_eq!(stored(&world, "d1"), Some(json!({"name": "three", "n": 1})));
    let conflicts = world.view(b, "conflicts");
    assert_eq!((&conflicts[0]["path"], &conflicts[0]["yours"]), (&json!("/name"), &json!("two")), "{conflicts}");
    // What both releases show in the same way is not in doubt.
    world.write(a, set("d1", "/n", 2));
    world.run(6_000);
    assert_eq!(world.view(b, "conflicts").as_array().unwrap().len(), 1);
}

/// The same where the next release brings his edit over before it leaves.
#[test]
fn invariant_07_nor_is_he_where_his_edit_was_brought_over_on_his_device() {
    let mut world = world();
    serve(&mut world, 1);
    let (ann, ben) = (world.profile(), world.profile());
    let (a, b) = (tab(&mut world, ann, 1), tab(&mut world, ben, 1));
    world.write(a, insert("d1", json!({"title": "one"})));
    world.run(1_000);
    serve(&mut world, 2);
    world.server.store.migrate(&Migrations::read(2, &steps(2)).unwrap(), 1);
    world.run(6_000);
    assert_eq!(world.row(a, "d1").unwrap().get("title"), None);
    world.set_network(false);
    world.write(a, set("d1", "/title", "two"));
    world.settle();
    upgrade(&mut world, a, 2);
    world.set_network(true);
    world.run(6_000);
    assert_eq!(stored(&world, "d1"), Some(json!({"name": "two"})));
    let conflicts = world.view(b, "conflicts");
    assert_eq!((&conflicts[0]["path"], &conflicts[0]["yours"]), (&json!("/name"), &json!("one")), "{conflicts}");
}

/// The app's files are often a moment ahead of the server: nobody has to load the page again for that.
#[test]
fn invariant_13_a_release_ahead_of_its_server_goes_on_once_that_has_followed() {
    let mut world = world();
    serve(&mut world, 1);
    let profile = world.profile();
    let a = tab(&mut world, profile, 2);
    world.run(1_000);
    world.write(a, insert("d1", json!({"name": "one"})));
    world.run(10_000);
    let status = world.view(a, "status");
    assert_eq!((&status["reason"], &status["pending"]), (&json!("upgrade"), &json!(1)));
    // It is asked again now and then, and said once.
    world.run(300_000);
    assert_eq!(world.view(a, "status")["reason"], "upgrade");
    assert_eq!(world.events(a, "upgrade").len(), 1);
    assert!((2..=8).contains(&world.tabs[a].pushes.len()), "{} pushes", world.tabs[a].pushes.len());

    serve(&mut world, 2);
    world.run(90_000);
    assert_eq!(stored(&world, "d1"), Some(json!({"name": "one"})));
    let status = world.view(a, "status");
    assert_eq!((&status["state"], &status["pending"]), (&json!("synced"), &json!(0)));
}

#[test]
fn rule_03_an_edit_that_was_brought_over_joins_no_other() {
    let text = |value: u32| {
        let was = value - 1;
        let body = format!(r#""base":1,"set":{{"/f":{value}}},"was":{{"/f":{was}}},"at":[{value},0]"#);
        format!(r#"{{"c":"deals","id":"d1","kind":"patch",{body}}}"#)
    };
    let plain = |value| Raw::parse(&text(value)).unwrap();
    for (first, second) in [(plain(1), origin::keep(5, &text(2))), (origin::keep(5, &text(1)), plain(2))] {
        let mut state = State::default();
        let commit = Commit { mutations: vec![first, second], tx: vec![], call: None };
        fold(&mut state, 1, Record::Commit(commit), 0).unwrap();
        assert!(plan(&state).is_empty());
    }
}
