//! Invariant 13 end to end: what was queued under an older version of the app's schema arrives under this one, or waits
//! among the dead letters with the reason; what was sent stays as it was; nothing is lost by any version of anybody.

use crate::world;

use tidewire_core::ids::EntityId;
use tidewire_core::json::{Value, json};
use tidewire_core::model::migration::Migrations;
use world::{Fault, World, delete, inc, insert, set, world};

/// `title` is `name` since version 2, `old` is no more; since version 3 there is `done`; since 4 `name` is `label`.
pub(crate) fn steps(version: u64) -> Value {
    let all = [
        json!({"deals": [{"rename": "title", "to": "name"}, {"remove": "old"}]}),
        json!({"deals": [{"default": "done", "value": false}]}),
        json!({"deals": [{"rename": "name", "to": "label"}]}),
    ];
    let mut steps = json!({});
    for (number, step) in (2..=version).zip(all) {
        steps[number.to_string().as_str()] = step;
    }
    steps
}

fn app(version: u64) -> Value {
    match version {
        1 => json!({}),
        _ => json!({"version": version, "migrations": steps(version)}),
    }
}

/// A tab of a release of the app.
pub(crate) fn tab(world: &mut World, profile: usize, version: u64) -> usize {
    world.tab_with(profile, app(version))
}

/// From now on the server has this version; its documents are what they are.
pub(crate) fn serve(world: &mut World, version: u64) {
    world.server.migrations = Some(Migrations::read(version, &steps(version)).unwrap());
}

/// The other release is closed, and this one opened.
pub(crate) fn upgrade(world: &mut World, old: usize, version: u64) -> usize {
    world.kill(old);
    let new = tab(world, world.tabs[old].profile, version);
    world.settle();
    new
}

/// A device of version 1 that is offline, and the server has that version.
pub(crate) fn offline() -> (World, usize) {
    let mut world = world();
    serve(&mut world, 1);
    let profile = world.profile();
    let a = tab(&mut world, profile, 1);
    world.run(1_000);
    world.set_network(false);
    (world, a)
}

pub(crate) fn stored(world: &World, id: &str) -> Option<Value> {
    let id = EntityId::parse(id).unwrap();
    world.server.store.entities.iter().find(|((_, known), _)| *known == id).map(|(_, row)| row.stored.doc.clone())
}

fn mutations(world: &World, tab: usize) -> Vec<Value> {
    let bodies = world.tabs[tab].pushes.iter().flat_map(|push| push["mutations"].as_array().unwrap());
    bodies.map(|item| item["m"].clone()).collect()
}

#[test]
fn invariant_13_edits_of_the_old_release_arrive_as_the_new_one_would_have_made_them() {
    let (mut world, a) = offline();
    world.write(a, insert("d1", json!({"title": "one", "old": 1})));
    world.settle();
    world.write(a, set("d1", "/title", "two"));
    world.settle();
    let b = upgrade(&mut world, a, 2);
    // Offline, too, the new release sees its own fields.
    let row = world.row(b, "d1").unwrap();
    assert_eq!((&row["name"], row.get("title"), row.get("old")), (&json!("two"), None, None));
    world.write(b, insert("d2", json!({"name": "three"})));
    serve(&mut world, 2);
    world.set_network(true);
    world.run(1_000);
    assert_eq!(stored(&world, "d1"), Some(json!({"name": "two"})));
    assert_eq!(stored(&world, "d2"), Some(json!({"name": "three"})));
    assert!(mutations(&world, b).iter().all(|m| m["schema"] == 2));
    assert_eq!(world.view(b, "status")["pending"], 0);
}

#[test]
fn rule_03_what_was_sent_goes_up_as_it_was_and_the_server_brings_it_here() {
    // What had arrived before the server had its new schema is a document of the old one.
    for (fault, doc) in [(Fault::Lost, json!({"name": "one"})), (Fault::AnswerLost, json!({"title": "one"}))] {
        let (mut world, a) = offline();
        world.server.answers_only = true;
        world.write(a, insert("d1", json!({"title": "one"})));
        world.settle();
        world.push_faults = [fault].into();
        world.set_network(true);
        assert_eq!(mutations(&world, a).len(), 1);
        serve(&mut world, 2);
        let b = upgrade(&mut world, a, 2);
        world.run(1_000);
        assert_eq!(mutations(&world, b)[0].get("schema"), None);
        assert_eq!(world.tabs[b].pushes[0]["schema"], 2);
        assert_eq!(world.view(b, "status")["pending"], 0);
        assert_eq!(stored(&world, "d1"), Some(doc));
    }
}

#[test]
fn rule_06_what_may_have_left_under_a_former_name_goes_up_as_it_was_and_counts_once() {
    let (mut world, a) = offline();
    world.set_network(true);
    world.write(a, insert("d1", json!({"title": "one", "votes": 0})));
    world.run(1_000);
    // It arrives, and nobody hears of that.
    world.server.answers_only = true;
    world.push_faults = [Fault::AnswerLost].into();
    world.write(a, inc("d1", "/votes", 1));
    world.settle();
    world.set_network(false);
    let b = upgrade(&mut world, a, 2);
    // The store is lost, and what this tab remembers of it is written into the new one.
    world.disks[world.tabs[b].profile] = world::disk::Disk::default();
    world.write(b, inc("d1", "/votes", 10));
    world.settle();
    serve(&mut world, 2);
    world.set_network(true);
    world.run(5_000);
    assert_eq!(stored(&world, "d1").unwrap()["votes"], 11);
    assert_eq!(world.view(b, "status")["pending"], 0);
}

#[test]
fn invariant_13_what_cannot_be_brought_over_is_a_dead_letter_with_the_reason() {
    let (mut world, a) = offline();
    world.write(a, insert("d1", json!({"title": "one", "old": 1})));
    world.settle();
    world.write(a, set("d1", "/old", 2));
    world.settle();
    let b = upgrade(&mut world, a, 2);
    world.run(100);
    let failed = world.view(b, "queue")["failed"].clone();
    assert_eq!(failed.as_array().unwrap().len(), 1);
    assert_eq!(failed[0]["error"]["code"], "migration");
    assert_eq!(failed[0]["set"], json!({"/old": 2}));
    assert_eq!(world.events(b, "rejected").len(), 1);
    serve(&mut world, 2);
    world.set_network(true);
    world.run(1_000);
    assert_eq!(stored(&world, "d1"), Some(json!({"name": "one"})));
    let n = failed[0]["n"].clone();
    world.command(b, json!({"do": "edit", "n": n, "set": {"/name": "mended"}, "unset": ["/old"]}));
    world.run(1_000);
    assert_eq!(stored(&world, "d1"), Some(json!({"name": "mended"})));
    assert_eq!(world.view(b, "queue")["failed"], json!([]));
}

#[test]
fn rule_11_a_transaction_of_which_one_member_cannot_be_brought_over_waits_as_a_whole() {
    let (mut world, a) = offline();
    world.write_all(
        a,
        true,
        json!([insert("d1", json!({"title": "one"})), insert("d2", json!({"title": "x", "name": "y"}))]),
    );
    world.settle();
    let b = upgrade(&mut world, a, 2);
    serve(&mut world, 2);
    world.set_network(true);
    world.run(1_000);
    assert_eq!((stored(&world, "d1"), stored(&world, "d2")), (None, None));
    assert_eq!(world.view(b, "queue")["failed"].as_array().unwrap().len(), 2);
}

#[test]
fn invariant_13_two_versions_at_once() {
    let (mut world, a) = offline();
    world.write(a, insert("d1", json!({"title": "one"})));
    world.settle();
    let b = upgrade(&mut world, a, 3);
    serve(&mut world, 3);
    world.set_network(true);
    world.run(1_000);
    assert_eq!(stored(&world, "d1"), Some(json!({"name": "one", "done": false})));
    assert_eq!(world.view(b, "status")["pending"], 0);
}

#[test]
fn invariant_13_a_server_serves_two_versions_back_and_older_ones_keep_their_queue() {
    let (mut world, a) = offline();
    world.write(a, insert("d1", json!({"title": "one"})));
    world.settle();
    serve(&mut world, 3);
    world.set_network(true);
    world.run(1_000);
    assert_eq!(stored(&world, "d1"), Some(json!({"name": "one", "done": false})));

    serve(&mut world, 4);
    world.write(a, insert("d2", json!({"title": "two"})));
    world.run(1_000);
    let status = world.view(a, "status");
    assert_eq!((&status["reason"], &status["pending"]), (&json!("upgrade"), &json!(1)));
    assert_eq!(world.events(a, "upgrade").len(), 1);
    assert_eq!(stored(&world, "d2"), None);
    // It was sent under version 1, and nobody can read that any more: it waits for the user, who tries it again.
    let b = upgrade(&mut world, a, 4);
    world.run(1_000);
    let failed = world.view(b, "queue")["failed"].clone();
    assert_eq!(failed[0]["error"]["code"], "migration");
    world.command(b, json!({"do": "retry", "n": failed[0]["n"].clone()}));
    world.run(1_000);
    assert_eq!(stored(&world, "d2"), Some(json!({"label": "two", "done": false})));
    assert_eq!(world.view(b, "queue")["failed"], json!([]));
}

#[test]
fn invariant_13_an_older_release_keeps_the_queue_of_a_newer_one() {
    let mut world = world();
    serve(&mut world, 2);
    let profile = world.profile();
    let a = tab(&mut world, profile, 3);
    world.run(1_000);
    world.set_network(false);
    world.write(a, insert("d1", json!({"name": "one", "done": true})));
    world.settle();
    let b = upgrade(&mut world, a, 2);
    world.write(b, insert("d2", json!({"name": "two"})));
    world.set_network(true);
    world.run(1_000);
    let status = world.view(b, "status");
    assert_eq!((&status["reason"], &status["pending"]), (&json!("upgrade"), &json!(2)));
    // Server and app are of version 3 again.
    serve(&mut world, 3);
    let c = upgrade(&mut world, b, 3);
    world.run(1_000);
    assert_eq!(stored(&world, "d1"), Some(json!({"name": "one", "done": true})));
    assert_eq!(stored(&world, "d2"), Some(json!({"name": "two", "done": false})));
    assert_eq!(world.view(c, "status")["pending"], 0);
}

#[test]
fn invariant_13_tabs_of_two_releases_side_by_side() {
    for newer_leads in [false, true] {
        let (mut world, old) = offline();
        let profile = world.tabs[old].profile;
        let new = tab(&mut world, profile, 2);
        if newer_leads {
            world.kill(old);
        }
        let old = if newer_leads { tab(&mut world, profile, 1) } else { old };
        serve(&mut world, 2);
        world.write(old, insert("d1", json!({"title": "old"})));
        world.write(new, insert("d2", json!({"name": "new"})));
        world.settle();
        world.set_network(true);
        world.write(old, insert("d3", json!({"title": "old"})));
        world.write(new, delete("d2"));
        world.run(2_000);
        assert_eq!(stored(&world, "d1"), Some(json!({"name": "old"})), "newer leads: {newer_leads}");
        assert_eq!(stored(&world, "d3"), Some(json!({"name": "old"})));
        for tab in [old, new] {
            assert_eq!(world.view(tab, "status")["pending"], 0);
            assert_eq!(world.view(tab, "queue")["failed"], json!([]));
        }
    }
}

#[test]
fn steps_that_cannot_be_read_keep_the_queue_and_say_so() {
    let (mut world, a) = offline();
    world.write(a, insert("d1", json!({"title": "one"})));
    world.settle();
    world.kill(a);
    let profile = world.tabs[a].profile;
    let b = world.tab_with(profile, json!({"version": 3, "migrations": {"2": {}}}));
    serve(&mut world, 3);
    world.set_network(true);
    world.run(1_000);
    assert_eq!((stored(&world, "d1"), world.view(b, "status")["pending"].clone()), (None, json!(1)));
    assert_eq!(world.events(b, "watchdog")[0]["code"], "bad-config");
    serve(&mut world, 2);
    let c = upgrade(&mut world, b, 2);
    world.run(1_000);
    assert_eq!(
        (stored(&world, "d1"), world.view(c, "status")["pending"].clone()),
        (Some(json!({"name": "one"})), json!(0))
    );
}

#[cfg(feature = "planted")]
#[test]
fn invariant_13_planted_bugs_are_found() {
    use tidewire_core::planted::{Bug, plant};
    let bugs: [(Bug, fn()); 4] = [
        (
            Bug::BroughtSeen,
            crate::releases::invariant_07_who_has_an_older_release_is_not_taken_to_have_seen_what_it_does_not_show,
        ),
        (Bug::UnmigratedSent, steps_that_cannot_be_read_keep_the_queue_and_say_so),
        (Bug::NotUpcast, rule_03_what_was_sent_goes_up_as_it_was_and_the_server_brings_it_here),
        (Bug::NamedMigrated, rule_06_what_may_have_left_under_a_former_name_goes_up_as_it_was_and_counts_once),
    ];
    for (bug, scenario) in bugs {
        plant(Some(bug));
        assert!(std::panic::catch_unwind(scenario).is_err(), "{bug:?}");
        plant(None);
        scenario();
    }
}
