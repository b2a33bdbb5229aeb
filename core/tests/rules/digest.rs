//! Rule 25: a device that holds other data than the server notices it, says so, and reads the collection again, once.

use crate::world;

use tidewire_core::json;
use tidewire_core::json::{JsonLimits, Value};
use tidewire_core::limits::{VERIFY_FIRST_MS, VERIFY_MS};
use tidewire_core::log::record::{Changes, Record};
use tidewire_core::model::change::Change;
use tidewire_core::model::cursor::Cursor;
use world::{Fault, World, insert, pair, set};

const COLLECTIONS: [&str; 3] = ["$conflicts", "deals", "people"];

/// A device with five deals and a person.
fn device() -> (World, usize) {
    let (mut world, a, _) = pair();
    for n in 0..5 {
        world.write(a, insert(&format!("n{n}"), json!({"n": n})));
    }
    world.write(a, json!({"op": "insert", "c": "people", "id": "p1", "value": {"name": "Ada"}}));
    world.run(2_000);
    (world, a)
}

/// Opens the device again with a record in its log that nobody sent: the fold takes it for the server's.
fn damage(world: &mut World, tab: usize, line: &str) -> usize {
    world.kill(tab);
    let seq = world.server.store.seq;
    let user = tidewire_core::ids::Owner { tenant: "acme".into(), subject: "ada".into() };
    let cursor = world.server.cursor(&user, &COLLECTIONS.map(str::to_owned), seq);
    let record = Record::Changes(Box::new(Changes {
        fence: 1 << 50,
        cursor: Some(Cursor::read(&cursor).unwrap()),
        rows: vec![Change::read(line.as_bytes()).unwrap()],
        ..Changes::default()
    }));
    let profile = world.tabs[tab].profile;
    let disk = &mut world.disks[profile];
    disk.next_key += 1;
    disk.log.insert(disk.next_key, record.encode());
    world.tab(profile)
}

fn rev(world: &World, tab: usize, id: &str) -> u64 {
    world.row(tab, id).unwrap()["$rev"].as_u64().unwrap()
}

fn diverged(world: &World, tab: usize) -> Vec<Value> {
    let mut events = world.events(tab, "watchdog");
    events.retain(|event| event["code"] == "diverged");
    events
}

/// The three kinds of damage, as lines that would cause them.
fn damages(world: &World, tab: usize) -> [(&'static str, String); 4] {
    let rev = rev(world, tab, "n2");
    [
        ("a value", format!(r#"{{"id":"n2","c":"deals","rev":{rev},"g":["tenant"],"doc":{{"n":77}}}}"#)),
        ("a row that is missing", format!(r#"{{"id":"n2","c":"deals","rev":{rev}}}"#)),
        ("a ghost", r#"{"id":"ghost","c":"deals","rev":1,"g":["tenant"],"doc":{"n":1}}"#.to_owned()),
        ("a revision", r#"{"id":"n2","c":"deals","rev":9000,"g":["tenant"],"doc":{"n":2}}"#.to_owned()),
    ]
}

#[test]
fn rule_25_what_differs_is_noticed_reported_and_read_again_and_the_queue_is_kept() {
    for kind in 0..4 {
        let (mut world, a) = device();
        let right: Vec<_> = (0..5).map(|n| world.row(a, &format!("n{n}"))).collect();
        let (what, line) = damages(&world, a)[kind].clone();
        let a = damage(&mut world, a, &line);
        let rows = |world: &World| (0..5).map(|n| world.row(a, &format!("n{n}"))).collect::<Vec<_>>();
        assert!(rows(&world) != right || world.row(a, "ghost").is_some(), "{what}: the damage is there");
        // One edit that the server does not take for now.
        world.server.poison = Some("waits".into());
        world.write(a, insert("waits", json!({"mine": true})));
        world.run(VERIFY_FIRST_MS + 5_000);
        assert_eq!((rows(&world), world.row(a, "ghost")), (right, None), "{what}");
        assert_eq!(diverged(&world, a).len(), 1, "{what}: {:?}", diverged(&world, a));
        assert_eq!(diverged(&world, a)[0]["collection"], "deals");
        let repair = &world.view(a, "health")["repairs"][0];
        assert_eq!((&repair["code"], &repair["collection"]), (&json!("diverged"), &json!("deals")), "{what}");
        assert!(!world.view(a, "health")["reasons"].to_string().contains("differ"));
        assert_eq!(world.row(a, "waits").unwrap()["$sync"]["status"], "pending", "{what}");
        assert_eq!(world.view(a, "status")["pending"], 1);
        assert!(world.events(a, "reset").is_empty());
        world.server.poison = None;
        world.run(10 * 60_000);
        assert_eq!(world.view(a, "status")["pending"], 0);
        // What was mended is in the store.
        let a = world.reload(a);
        assert_eq!(world.row(a, "n2").unwrap()["n"], 2);
        world.run(VERIFY_MS);
        assert!(diverged(&world, a).is_empty(), "{what}");
    }
}

#[test]
fn rule_25_a_healing_that_is_cut_shows_nothing_of_itself_and_goes_on() {
    let (mut world, a) = device();
    world.server.page = 1;
    let line = damages(&world, a)[0].1.clone();
    let a = damage(&mut world, a, &line);
    world.write(a, set("n4", "/n", 44));
    world.run(1_000);
    // The pull that compares arrives; of the one that heals the rows up to somewhere in the middle do.
    world.pull_faults.extend([Fault::Twice, Fault::Cut(2_200), Fault::Cut(1_500)]);
    let end = world.now.mono_ms + VERIFY_FIRST_MS + 60_000;
    let mut said = false;
    while world.now.mono_ms < end {
        world.run(100);
        said |=
            world.view(a, "health")["reasons"].to_string().contains("deals: this collection differs from the server's");
        let shown = world.row(a, "n2").map(|row| row["n"].clone());
        assert!(shown == Some(json!(77)) || shown == Some(json!(2)), "{shown:?}");
        assert_eq!(world.row(a, "n4").unwrap()["n"], 44);
        assert_eq!(world.row(a, "n3").unwrap()["n"], 3, "nothing disappears meanwhile");
    }
    assert!(world.pull_faults.is_empty(), "the faults took place");
    assert!(said, "while it is read again health says so");
    assert_eq!(world.row(a, "n2").unwrap()["n"], 2);
    assert_eq!(diverged(&world, a).len(), 1);
}

#[test]
fn rule_25_the_second_mismatch_is_reported_and_not_healed() {
    let (mut world, a) = device();
    world.server.wrong_digests = true;
    world.run(VERIFY_FIRST_MS + 5_000);
    let events = diverged(&world, a);
    assert_eq!(events.len(), 4, "both collections, before and after they were read again: {events:?}");
    assert!(events[3]["message"].as_str().unwrap().contains("report"));
    let health = world.view(a, "health");
    assert_eq!(health["healthy"], false);
    for name in ["deals", "people"] {
        let line = format!("{name}: this collection differs from the server's after it was read again: report it");
        assert!(health["reasons"].to_string().contains(&line), "{health}");
    }
    let verified = world.server.verified;
    world.run(VERIFY_MS + 5_000);
    assert_eq!(world.server.verified - verified, 2, "one comparison an hour by each of two devices");
    assert_eq!(diverged(&world, a).len(), 4);
    world.server.wrong_digests = false;
    world.run(VERIFY_MS + 5_000);
    assert_eq!(world.view(a, "health")["healthy"], true, "{}", world.view(a, "health"));
}

#[test]
fn rule_25_one_number_written_in_another_form_is_no_difference() {
    let (mut world, a) = device();
    let values = r#"{"big":1e21,"exact":9007199254740993,"one":1.0,"small":1e-7,"zero":-0}"#;
    let value = json::parse(values.as_bytes(), JsonLimits::DOCUMENT).unwrap();
    world.write(a, insert("numbers", value));
    world.run(2_000);
    let rev = rev(&world, a, "numbers");
    let other = r#"{"zero":-0.0,"one":10e-1,"small":0.0000001,"exact":9007199254740992,"big":1000000000000000000000}"#;
    let a =
        damage(&mut world, a, &format!(r#"{{"id":"numbers","c":"deals","rev":{rev},"g":["tenant"],"doc":{other}}}"#));
    world.run(VERIFY_FIRST_MS + 5_000);
    assert!(world.server.verified > 0);
    assert!(diverged(&world, a).is_empty(), "{:?}", diverged(&world, a));
}

#[test]
fn rule_25_devices_that_agree_compare_once_an_hour_and_say_nothing() {
    let (mut world, a) = device();
    world.run(VERIFY_FIRST_MS + 5_000);
    let verified = world.server.verified;
    assert_eq!(verified, 2, "one for each device");
    world.run(10 * VERIFY_MS);
    assert_eq!(world.server.verified - verified, 20);
    assert!(world.events(a, "watchdog").is_empty());
}
