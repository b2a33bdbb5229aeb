//! Rules H: whatever fails, the rest goes on, and what waits is tried again. Each test breaks when its rule does.

use crate::world;

use tidewire_core::io::Input;
use tidewire_core::json;
use world::{Fault, World, delete, inc, insert, pair, set, world};

#[test]
fn rule_32_a_poison_mutation_becomes_suspect_and_the_rest_goes_on() {
    let mut world = world();
    let a = world.device();
    world.run(1_000);
    world.set_network(false);
    for n in 0..16 {
        world.write(a, insert(&format!("d{n}"), json!({"n": n})));
    }
    world.run(100);
    world.server.poison = Some("d5".into());
    world.set_network(true);
    world.run(15 * 60_000);
    assert_eq!(world.server.store.entities.len(), 15);
    let queue = world.view(a, "queue");
    assert_eq!(queue["pending"].as_array().unwrap().len(), 1);
    assert_eq!(queue["pending"][0]["status"], "suspect");
    world.write(a, inc("d1", "/n", 1));
    world.run(5_000);
    assert_eq!(world.row(a, "d1").unwrap()["$sync"]["status"], "synced");
    world.server.poison = None;
    world.run(2 * 60_000);
    assert_eq!(world.view(a, "status")["pending"], 0);
}

#[test]
fn rule_32_an_edit_that_is_never_answered_is_suspect_where_the_line_stands() {
    let (mut world, a, _) = pair();
    world.push_faults.extend(vec![Fault::Lost; 40]);
    world.said_faults.push_back(Fault::Status(503, None));
    world.write(a, set("d1", "/f", 1));
    for _ in 0..20 {
        world.run(10_000);
        world.command(a, json!({"do": "now"}));
    }
    assert_eq!(world.view(a, "queue")["pending"][0]["status"], "suspect");
}

/// As where somebody walks through a house: requests in between get through.
#[test]
fn rule_32_a_line_that_breaks_under_everything_makes_nothing_suspect() {
    for channel_first in [false, true] {
        let (mut world, a, _) = pair();
        world.said_faults.push_back(Fault::Lost);
        world.push_faults.extend(vec![Fault::LineCut { channel_first }; 14]);
        world.write(a, set("d1", "/f", 1));
        world.run(100);
        world.write(a, insert("later", json!({"n": 1})));
        while !world.push_faults.is_empty() {
            world.run(500);
            assert_eq!(world.view(a, "queue")["pending"][0]["status"], "queued", "{} left", world.push_faults.len());
            let arrived = world.server.store.entities.keys().any(|(_, id)| id.as_str() == "later");
            assert!(!arrived, "it does not overtake what was written before");
        }
        world.run(31_000);
        assert_eq!(world.view(a, "status")["pending"], 0);
        assert_eq!(world.row(a, "d1").unwrap()["f"], 1);
    }
}

/// As during a deployment: no edit is to blame, and when it is over none waits for a minute.
#[test]
fn rule_32_a_server_that_fails_at_everything_makes_nothing_suspect() {
    let (mut world, a, _) = pair();
    let fails = || (0..1_000).map(|_| Fault::Status(503, None));
    world.push_faults.extend(fails());
    world.said_faults.extend(fails());
    world.pull_faults.extend(fails());
    world.write(a, set("d1", "/f", 1));
    for _ in 0..600 {
        world.run(1_000);
        assert_eq!(world.view(a, "queue")["pending"][0]["status"].as_str().filter(|status| *status == "suspect"), None);
    }
    world.push_faults.clear();
    world.said_faults.clear();
    world.pull_faults.clear();
    world.run(31_000);
    assert_eq!(world.view(a, "status")["pending"], 0);
    assert_eq!(world.row(a, "d1").unwrap()["f"], 1);
}

#[test]
fn rule_32_413_halves_and_alone_it_is_a_dead_letter() {
    let mut world = world();
    let a = world.device();
    world.run(1_000);
    world.set_network(false);
    for n in 0..8 {
        world.write(a, insert(&format!("d{n}"), json!({"text": "x".repeat(if n == 3 { 3_000 } else { 100 })})));
    }
    world.run(100);
    world.server.body_max = 2_000;
    world.set_network(true);
    world.run(60_000);
    assert_eq!(world.server.store.entities.len(), 7);
    let failed = world.view(a, "queue")["failed"].clone();
    assert_eq!((failed[0]["id"].clone(), failed[0]["error"]["code"].clone()), (json!("d3"), json!("too-large")));
}

#[test]
fn rule_32_a_busy_server_is_waited_for_and_nobody_is_blamed() {
    let (mut world, a, _) = pair();
    world.push_faults.extend([Fault::Status(429, Some(7_000)), Fault::Status(503, None), Fault::Portal]);
    world.write(a, set("d1", "/f", 1));
    world.run(6_900);
    assert_eq!(world.tabs[a].pushes.len(), 2, "Retry-After is honoured");
    world.run(60_000);
    assert_eq!(world.view(a, "status")["pending"], 0);
    assert_eq!(world.row(a, "d1").unwrap()["f"], 1);
    world.write(a, delete("d1"));
    world.run(5_000);
    assert!(world.row(a, "d1").is_none());
}

#[test]
fn what_is_never_answered_is_asked_again_after_its_time() {
    let (mut world, a, b) = pair();
    world.push_faults.push_back(Fault::Silent);
    world.write(a, set("d1", "/f", 1));
    world.run(15_000);
    assert_eq!(world.view(a, "status")["pending"], 0, "the push was sent again");
    world.tabs[a].socket = None;
    world.sockets = false;
    world.pull_faults.push_back(Fault::Silent);
    world.set_network(false);
    world.set_network(true);
    world.write(b, set("d1", "/f", 2));
    world.run(15_000);
    assert_eq!(world.row(a, "d1").unwrap()["f"], 2, "the pull was asked again");
}

#[test]
fn rule_32_a_size_that_was_refused_is_not_tried_again() {
    let mut world = world();
    let a = world.device();
    world.run(1_000);
    world.set_network(false);
    for n in 0..64 {
        world.write(a, insert(&format!("d{n}"), json!({"text": "x".repeat(100)})));
    }
    world.run(100);
    world.server.body_max = 4_000;
    let before = world.server.refusals;
    world.set_network(true);
    world.run(60_000);
    assert_eq!(world.server.store.entities.len(), 64);
    assert!(world.server.refusals - before <= 2, "{} refusals", world.server.refusals - before);
}

#[test]
fn a_token_that_is_refused_again_and_again_is_a_pause_that_says_so() {
    let (mut world, a, _) = pair();
    world.server.refused.push("ada".into());
    world.write(a, set("d1", "/f", 1));
    world.run(20_000);
    let status = world.view(a, "status");
    assert_eq!((&status["state"], &status["reason"]), (&json!("paused"), &json!("auth")));
    assert_eq!(world.view(a, "queue")["pending"][0]["attempts"], 0);
    world.server.refused.clear();
    world.run(60_000);
    assert_eq!(world.view(a, "status")["state"], "synced", "a good token ends it");
}

#[test]
fn a_portals_page_is_no_answer_and_the_status_says_that_there_is_no_connection() {
    let (mut world, a, b) = pair();
    world.set_network(false);
    world.sockets = false;
    world.write(a, set("d1", "/f", 1));
    world.pull_faults.extend(vec![Fault::Portal; 4]);
    world.push_faults.extend(vec![Fault::Portal; 4]);
    world.set_network(true);
    let mut states = Vec::new();
    for _ in 0..60 {
        world.run(500);
        let state = world.view(a, "status")["state"].as_str().unwrap().to_owned();
        if states.last() != Some(&state) {
            states.push(state);
        }
        assert_eq!(world.row(a, "d1").unwrap()["f"], 1, "what is shown stays as it is");
    }
    assert!(states.iter().any(|state| state == "offline" || state == "connecting"), "{states:?}");
    assert_eq!(states.last().map(String::as_str), Some("synced"), "{states:?}");
    assert!(world.events(a, "reset").is_empty());
    assert_eq!(world.view(a, "queue")["failed"], json!([]));
    world.run(10_000);
    assert_eq!(world.row(b, "d1").unwrap()["f"], 1);
}

/// How often it was tried before the server was last reached says nothing of the line now.
#[test]
fn attempts_are_counted_since_the_server_was_last_reached_and_a_pull_that_failed_is_no_sync() {
    let mut world = world();
    let a = world.device();
    world.write(a, insert("d1", json!({"f": 0})));
    world.run(5_000);
    world.pull_faults.extend(vec![Fault::Lost; 40]);
    let token = world.tabs[a].socket.clone().unwrap().0;
    world.cut_socket(a, token);
    let fail = |world: &mut world::World, times: usize| {
        let left = world.pull_faults.len() - times;
        while world.pull_faults.len() > left {
            world.run(100);
        }
    };
    fail(&mut world, 10);
    assert_eq!(world.view(a, "status")["state"], "offline");
    world.write(a, set("d1", "/f", 1));
    world.settle();
    let status = world.view(a, "status");
    assert_eq!((&status["state"], &status["pending"]), (&json!("syncing"), &json!(0)), "a pull waits for its next try");
    fail(&mut world, 1);
    let status = world.view(a, "status");
    assert_eq!((&status["state"], &status["attempt"]), (&json!("connecting"), &json!(1)));
    world.pull_faults.clear();
    world.run(60_000);
    assert_eq!(world.view(a, "status")["state"], "synced");
}

#[test]
fn without_a_socket_the_server_is_asked_every_5_seconds_and_every_5_minutes_when_hidden() {
    let mut world = world();
    world.sockets = false;
    let a = world.device();
    world.run(1_000);
    let asked_in = |world: &mut world::World, ms: u64| {
        let before = world.server.pulls;
        world.run(ms);
        world.server.pulls - before
    };
    assert!((10..=13).contains(&asked_in(&mut world, 60_000)));
    world.tabs[a].engine.handle(world.now, Input::Visible(false));
    world.run(6_000);
    assert!((3..=4).contains(&asked_in(&mut world, 20 * 60_000)));
    world.tabs[a].engine.handle(world.now, Input::Visible(true));
    assert!((1..=2).contains(&asked_in(&mut world, 1_000)), "at once when it is visible again");
}

#[test]
fn an_answer_that_is_none_is_said_and_moves_nothing() {
    let (reference, ..) = pair();
    let user = tidewire_core::ids::Owner { tenant: "acme".into(), subject: "ada".into() };
    let cursor = reference.server.cursor(&user, &["deals".into(), "people".into()], 1);
    let header = json!({"pull": {"v": 1, "now": 1, "user": user, "after": cursor, "settings": {}, "total": 1}});
    let done = json!({"cursor": cursor, "after": json!({}), "done": true});
    let cases = [
        ("a page", "<html>Welcome to the hotel</html>".to_owned(), false),
        ("garbage", "\u{0}\u{1}garbage".to_owned(), true),
        ("nothing", String::new(), false),
        ("another service's JSON", r#"{"ok":true}"#.to_owned() + "\n", true),
        ("a line that never ends", "0".repeat(9 << 20), true),
        ("a page that never ends", "<p>".repeat(3 << 20), false),
        ("a change that is none", format!("{header}\n{{\"id\":7}}\n"), true),
        ("a checkpoint that follows nothing", format!("{header}\n{done}\n"), true),
    ];
    for (what, text, json) in cases {
        let (mut world, a, b) = pair();
        world.sockets = false;
        world.set_network(false);
        world.write(b, set("d1", "/g", "theirs"));
        world.set_network(true);
        world.run(2_000);
        world.set_network(false);
        let before = world.events(a, "watchdog").len();
        world.pull_faults.extend(vec![Fault::Says(text.clone(), json); 3]);
        world.push_faults.extend(vec![Fault::Says(text.clone(), json); 3]);
        world.write(a, set("d1", "/f", "mine"));
        let row = world.row(a, "d1");
        world.kill(b);
        world.set_network(true);
        let mut shown = Vec::new();
        while !(world.pull_faults.is_empty() && world.push_faults.is_empty()) {
            world.run(100);
            shown.push(world.row(a, "d1"));
        }
        shown.pop();
        assert!(shown.iter().all(|now| *now == row), "{what}: what is shown stays as it is");
        let told = world.events(a, "watchdog").split_off(before);
        assert!(!told.is_empty() && told.iter().all(|event| event["code"] == "bad-response"), "{what}: {told:?}");
        world.run(60_000);
        assert_eq!(world.view(a, "status")["state"], "synced", "{what}");
        assert_eq!((world.view(a, "queue"), world.events(a, "reset")), (json!({"pending": [], "failed": []}), vec![]));
        assert_eq!(world.server.store.entities.values().next().unwrap().stored.doc["f"], "mine", "{what}");
    }
}

#[test]
fn synced_is_not_said_of_an_edit_that_the_server_fails_at() {
    let (mut world, a, _) = pair();
    world.push_faults.extend((0..1_000).map(|_| Fault::Status(503, None)));
    world.write(a, set("d1", "/f", "mine"));
    while world.view(a, "queue")["pending"][0]["status"] != "suspect" {
        assert_ne!(world.view(a, "status")["state"], "synced");
        world.run(1_000);
    }
    let status = world.view(a, "status");
    assert_eq!((&status["state"], &status["pending"]), (&json!("syncing"), &json!(1)));
    world.push_faults.clear();
    world.run(70_000);
    let status = world.view(a, "status");
    assert_eq!((&status["state"], &status["pending"]), (&json!("synced"), &json!(0)));
}

#[test]
fn an_edit_behind_a_refused_insert_is_held_for_a_reason_and_syncing_has_an_end() {
    let mut world = world();
    let profile = world.profile();
    let a = world.tab_with(profile, json!({"batch": {"maxCount": 1}}));
    world.run(1_000);
    world.set_network(false);
    world.server.reject = Some(("/f".into(), json!("bad")));
    world.write(a, insert("d1", json!({"f": "bad"})));
    world.settle();
    world.write(a, set("d1", "/g", 1));
    world.write_all(a, true, json!([set("d1", "/g", 2), insert("d2", json!({"n": 1}))]));
    world.settle();
    world.write(a, set("d2", "/n", 2));
    world.settle();
    world.set_network(true);
    world.run(5_000);
    let queue = world.view(a, "queue");
    let told = |entry: &json::Value| json!([entry["status"], entry["id"], entry.get("reason")]);
    let pending: Vec<_> = queue["pending"].as_array().unwrap().iter().map(told).collect();
    let (refused, after) = (json!(["held", "d1", "refused"]), json!(["held", "d2", "after"]));
    assert_eq!(pending, [refused.clone(), refused, after.clone(), after]);
    let status = world.view(a, "status");
    assert_eq!((&status["state"], &status["pending"], &status["failed"]), (&json!("synced"), &json!(4), &json!(1)));
    world.command(a, json!({"do": "edit", "n": queue["failed"][0]["n"], "set": {"/f": "good"}}));
    world.run(60_000);
    assert_eq!(world.view(a, "queue"), json!({"pending": [], "failed": []}));
    assert_eq!((&world.row(a, "d1").unwrap()["g"], &world.row(a, "d2").unwrap()["n"]), (&json!(2), &json!(2)));
}

#[test]
fn rule_21_a_frame_that_was_lost_on_an_open_channel_is_missed_at_the_next_heartbeat() {
    let (mut world, a, b) = pair();
    world.loses_frames = true;
    world.write(a, set("d1", "/f", "lost on the way"));
    world.run(1_000);
    world.loses_frames = false;
    assert_eq!(world.row(b, "d1").unwrap()["f"], 0);
    // But for those that ask for digests.
    let pulls = |world: &World| world.server.pulls - world.server.verified;
    let before = pulls(&world);
    world.run(25_000);
    assert_eq!(world.row(b, "d1").unwrap()["f"], "lost on the way");
    let after_one = pulls(&world);
    assert!(after_one > before);
    world.run(60_000);
    assert_eq!(pulls(&world), after_one, "who has missed nothing does not pull");
}
