//! Rule 1, where a pull or a frame is faster than the answer to a push: what it shows of this store's own edits is not
//! shown a second time.

use crate::world;

use tidewire_core::json;
use tidewire_core::json::Value;
use world::{Fault, World, inc, insert, pair, set, world};

fn shown(world: &World, tab: usize) -> Value {
    world.row(tab, "d1").unwrap()["f"].clone()
}

fn pending(world: &World, tab: usize) -> Value {
    world.view(tab, "status")["pending"].clone()
}

#[test]
fn rule_01_a_frame_that_comes_before_the_answer_shows_an_increment_once() {
    let (mut world, a, b) = pair();
    world.push_faults.push_back(Fault::Late);
    world.write(a, inc("d1", "/f", 1));
    world.settle();
    assert_eq!((shown(&world, a), shown(&world, b)), (json!(1), json!(1)), "the frame is here");
    world.deliver_late();
    world.run(1_000);
    assert_eq!((shown(&world, a), pending(&world, a)), (json!(1), json!(0)));
}

#[test]
fn rule_01_so_does_one_with_what_others_wrote_on_top() {
    let (mut world, a, b) = pair();
    world.loses_frames = true;
    world.push_faults.push_back(Fault::Late);
    world.write(a, inc("d1", "/f", 1));
    world.settle();
    world.loses_frames = false;
    world.write(b, inc("d1", "/f", 10));
    world.run(1_000);
    assert_eq!((shown(&world, a), shown(&world, b)), (json!(11), json!(11)));
}

#[test]
fn rule_01_a_pull_that_comes_before_the_answer_shows_an_increment_once() {
    let (mut world, a, _) = pair();
    world.set_network(false);
    world.sockets = false;
    world.write_all(a, true, json!([inc("d1", "/f", 1), inc("d1", "/g", -1)]));
    world.settle();
    world.push_faults.push_back(Fault::AnswerLost);
    world.set_network(true);
    // The tab dies with the answer on its way, and nothing answers the pushes of the one behind it.
    world.kill(a);
    world.push_faults = [Fault::Silent].into();
    let a = world.reload(a);
    world.run(5_000);
    let row = world.row(a, "d1").unwrap();
    assert_eq!((row["f"].clone(), row["g"].clone(), pending(&world, a)), (json!(1), json!(-1), json!(0)));
    world.run(60_000);
    assert_eq!(shown(&world, a), json!(1));
}

#[test]
fn rule_01_what_lost_against_others_is_told_by_the_answer_alone() {
    let (mut world, a, b) = pair();
    world.set_network(false);
    world.sockets = false;
    world.write(a, set("d1", "/g", 5));
    world.run(1_000);
    world.kill(a);
    world.write(b, set("d1", "/g", 7));
    world.set_network(true);
    world.run(5_000);
    world.push_faults.push_back(Fault::AnswerLost);
    let a = world.reload(a);
    world.kill(a);
    world.push_faults = [Fault::Silent].into();
    let a = world.reload(a);
    world.run(5_000);
    assert_eq!((world.events(a, "conflict").len(), pending(&world, a)), (0, json!(1)));
    world.run(60_000);
    assert_eq!((world.events(a, "conflict").len(), pending(&world, a)), (1, json!(0)), "{:?}", world.tabs[a].events);
    assert_eq!(world.row(a, "d1").unwrap()["g"], 7);
}

#[test]
fn rule_08_a_copy_takes_no_verdict_of_what_the_other_wrote_under_the_same_number() {
    let (mut world, a, _) = pair();
    world.set_network(false);
    world.sockets = false;
    let copy = world.copy_of(a);
    // The copy's first key is taken by its opening.
    world.write(a, insert("d2", json!({"f": 0})));
    world.settle();
    world.write(a, inc("d1", "/f", 3));
    world.write(copy, inc("d1", "/f", 300));
    world.run(1_000);
    world.kill(copy);
    world.set_network(true);
    world.run(5_000);
    world.kill(a);
    world.push_faults = (0..3).map(|_| Fault::Silent).collect();
    let copy = world.reload(copy);
    world.run(9_000);
    let number = |tab: usize| world.tabs[tab].pushes.last().unwrap()["mutations"].as_array().unwrap().last().cloned();
    assert_eq!(number(a).unwrap()["n"], number(copy).unwrap()["n"]);
    assert_eq!((shown(&world, copy), pending(&world, copy)), (json!(303), json!(1)));
    world.run(120_000);
    assert_eq!((shown(&world, copy), pending(&world, copy)), (json!(303), json!(0)));
}

#[test]
fn a_push_whose_answer_is_lost_is_not_sent_again_where_a_frame_told_of_it() {
    let (mut world, a, _) = pair();
    world.push_faults.push_back(Fault::AnswerLost);
    world.write(a, inc("d1", "/f", 1));
    world.run(10_000);
    assert_eq!((world.tabs[a].pushes.len(), shown(&world, a), pending(&world, a)), (2, json!(1), json!(0)));
}

#[test]
fn rule_01_an_edit_is_shown_until_its_row_has_come_while_a_first_pull_goes_on() {
    let mut world = world();
    world.sockets = false;
    let a = world.device();
    for n in 0..30 {
        world.write(a, insert(&format!("d{n}"), json!({"n": n})));
    }
    world.run(1_000);
    world.pull_faults.push_back(Fault::Cut(4_000));
    world.pull_faults.extend(vec![Fault::Lost; 100]);
    let b = world.device();
    assert!(world.row(b, "d0").is_some() && world.row(b, "d29").is_none(), "it has begun");
    world.write(b, set("d0", "/f", "mine"));
    world.run(5_000);
    assert_eq!(world.view(b, "queue")["pending"][0]["status"], "settled");
    // Its row comes behind these now.
    for n in 1..10 {
        world.write(a, set(&format!("d{n}"), "/f", "theirs"));
    }
    world.run(1_000);
    world.write(a, set("d0", "/g", "theirs"));
    world.run(1_000);
    world.pull_faults = vec![Fault::Cut(1_500); 40].into();
    for _ in 0..100 {
        world.command(b, json!({"do": "now"}));
        world.run(50);
        assert_eq!(world.row(b, "d0").unwrap()["f"], "mine");
    }
    assert_eq!(world.row(b, "d0").unwrap()["g"], "theirs");
    assert_eq!(world.view(b, "status")["pending"], 0);
}
