//! A row that is answered while the store is still being read is the row that the open store shows: over random edits,
//! of three devices that go on and off line, in any number of segments, with conflicts, dead letters and what is gone.

use crate::world;

use proptest::prelude::*;
use tidewire_core::engine::Engine;
use tidewire_core::io::{Event, Input, Now, Output};
use tidewire_core::json;
use tidewire_core::json::{JsonLimits, Value};
use tidewire_core::log::codec;
use tidewire_core::model::schema::Strategy as Merge;
use tidewire_core::store::directory::{Directory, abouts};
use world::disk::Disk;
use world::parked::{Three, three};
use world::{World, delete, insert, set};

const IDS: u64 = 8;
const NOW: Now = Now { wall_ms: 1_800_000_000_000, mono_ms: 1 };

/// A tab of this store that is open, and the events of a kind that came before it was.
fn open(disk: &Disk, kind: &str, wants: (&str, &str)) -> (Engine, Vec<Value>) {
    let mut disk = disk.clone();
    let config = r#"{"name": "test", "url": "http://localhost", "collections": {"deals": {}, "people": {}}}"#;
    let mut engine = Engine::new(config, [77; 16]).unwrap();
    engine.open(NOW);
    engine.want(wants.0, wants.1).unwrap();
    let mut events = Vec::new();
    while let Some(output) = engine.poll() {
        match output {
            Output::Store { token, op } => {
                let result = disk.carry_out(op);
                engine.handle(NOW, Input::Stored { token, result });
            }
            Output::Event(Event::Json(event)) if event["type"] == kind => events.push(event),
            Output::Event(Event::Opened) => break,
            _ => {}
        }
    }
    assert!(events.len() < 2, "answered once");
    (engine, events)
}

/// What a tab says of a row before its store is open, if anything, and what it shows once it is.
fn early(disk: &Disk, id: &str) -> (Option<Value>, Option<String>) {
    let (engine, events) = open(disk, "row", ("deals", id));
    let answer = events.first().map(|event| {
        assert_eq!((&event["collection"], &event["id"]), (&json!("deals"), &json!(id)));
        event["row"].clone()
    });
    (answer, engine.row("deals", id).unwrap())
}

/// The same of the first rows of a query; says whether they were answered early.
fn early_page(disk: &Disk, query: &Value) -> bool {
    let text = query.to_string();
    let (mut engine, events) = open(disk, "page", ("", &text));
    let whole = json::parse(engine.query(&text).unwrap().as_bytes(), JsonLimits::MESSAGE).unwrap();
    let Some(event) = events.first() else { return false };
    let ids = json!(event["items"]).to_string();
    let rows: Vec<Value> = event["rows"].as_array().unwrap().to_vec();
    for key in ["items", "total", "next"] {
        assert_eq!(event.get(key), whole.get(key), "{key} of {text}");
    }
    let texts: Vec<&str> = rows.iter().map(|row| row.as_str().unwrap()).collect();
    assert_eq!(format!("[{}]", texts.join(",")), engine.rows(query["c"].as_str().unwrap(), &ids).unwrap(), "{text}");
    true
}

/// Queries that a first page may answer.
fn queries() -> Vec<Value> {
    let f = |op: &str, n: u64| json!({"path": "/f", "op": op, "value": n});
    vec![
        json!({"c": "deals", "orderBy": [["/f", "desc"]], "limit": 3}),
        json!({"c": "deals", "where": f("gt", 300), "orderBy": [["/g", "asc"], ["/f", "asc"]], "limit": 2}),
        json!({"c": "deals", "where": f("lte", 700), "limit": 1, "offset": 1}),
        json!({"c": "deals", "orderBy": [["/g", "asc"]], "limit": 0}),
        json!({"c": "people", "orderBy": [["/f", "asc"]], "limit": 3}),
    ]
}

/// Compares every row; returns how many were answered early.
fn check(disk: &Disk) -> usize {
    let mut answered = 0;
    for n in 0..=IDS {
        let (answer, row) = early(disk, &format!("e{n}"));
        let Some(answer) = answer else { continue };
        answered += 1;
        assert!(answer == json!(row), "e{n}: an early row is another");
    }
    answered
}

/// Compares the first rows of every query; returns how many were answered early.
fn check_pages(disk: &Disk) -> usize {
    queries().iter().filter(|query| early_page(disk, query)).count()
}

/// Has the fields of the queries stored in columns from now on.
fn ask(world: &mut World, tabs: &[usize]) {
    for (tab, query) in tabs.iter().flat_map(|tab| queries().into_iter().map(|query| (*tab, query))) {
        world.tabs[tab].engine.query(&query.to_string()).unwrap();
    }
}

fn pad(n: u64) -> String {
    format!("{n} ").repeat(2_000)
}

/// One random edit; what cannot be done is not done.
fn edit(world: &mut World, tab: usize, (kind, id, n): (u8, u64, u64)) {
    let (name, other) = (format!("e{}", id % IDS), format!("e{}", (id + 1) % IDS));
    let ops = match kind {
        0..4 => json!([insert(&name, json!({"f": n, "g": 0, "text": pad(n)}))]),
        4..8 => json!([set(&name, "/f", n)]),
        8 => json!([set(&name, "/g", n), set(&name, "/text", pad(n))]),
        9 => json!([delete(&name)]),
        10 => {
            let mut person = insert(&name, json!({"f": n}));
            person["c"] = "people".into();
            json!([person])
        }
        _ => json!([set(&name, "/f", n), set(&other, "/g", n)]),
    };
    let request = json!({"atomic": kind > 10, "ops": ops}).to_string();
    let _refused = world.tabs[tab].engine.write(world.now, &request, "");
    world.settle();
}

/// Gives up the oldest edit that waits.
fn discard(world: &mut World, tab: usize) {
    let queue = world.view(tab, "queue");
    let n = &queue["pending"][0]["n"];
    if !n.is_null() {
        world.command(tab, json!({"do": "discard", "n": n}));
    }
}

#[derive(Debug, Clone)]
struct Phase {
    edits: Vec<(u8, u8, u64, u64)>,
    online: bool,
    discards: bool,
    pause_ms: u64,
}

fn phase() -> impl Strategy<Value = Phase> {
    let edits = prop::collection::vec((0..3_u8, 0..12_u8, 0..IDS, 0..1_000_u64), 4..24);
    (edits, prop::bool::weighted(0.6), prop::bool::weighted(0.1), prop::sample::select(vec![0, 700, 3_000]))
        .prop_map(|(edits, online, discards, pause_ms)| Phase { edits, online, discards, pause_ms })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn an_early_row_is_the_row_of_the_open_store(phases in prop::collection::vec(phase(), 3..9)) {
        live_through(three(Merge::Manual), phases, &|disk| _ = check(disk));
    }

    #[test]
    fn an_early_page_is_the_page_of_the_open_store(phases in prop::collection::vec(phase(), 3..9)) {
        let mut three = three(Merge::Manual);
        ask(&mut three.world, &[three.ada, three.also_ada, three.bob]);
        live_through(three, phases, &|disk| _ = check_pages(disk));
    }
}

/// Compares what one of three devices has stored, after each phase.
fn live_through(three: Three, phases: Vec<Phase>, check: &dyn Fn(&Disk)) {
    let Three { mut world, ada, also_ada, bob } = three;
    let profile = world.tabs[ada].profile;
    for Phase { edits, online, discards, pause_ms } in phases {
        world.set_network(online);
        for (device, kind, id, n) in edits {
            edit(&mut world, [ada, also_ada, bob][usize::from(device)], (kind, id, n));
        }
        if discards {
            discard(&mut world, ada);
        }
        world.run(pause_ms);
        check(&world.disks[profile]);
    }
}

/// A store of many segments: edits that went up and came back, in several seals, and some that wait.
fn store() -> Disk {
    let Three { mut world, ada, .. } = three(Merge::Manual);
    ask(&mut world, &[ada]);
    for round in 0..6 {
        world.set_network(round < 5);
        for id in 0..IDS {
            edit(&mut world, ada, (if round == 0 { 0 } else { 8 }, id, round * 10 + id));
        }
        world.run(3_000);
    }
    edit(&mut world, ada, (4, 3, 777));
    let disk = world.disks[world.tabs[ada].profile].clone();
    assert!(disk.segments.len() > 4, "{} segments", disk.segments.len());
    disk
}

#[test]
fn rows_are_answered_before_everything_is_read() {
    let disk = store();
    assert_eq!(check(&disk), 9);
    let (answer, row) = early(&disk, "e3");
    assert!(row.unwrap().contains("\"f\":777"));
    assert!(answer.unwrap().as_str().unwrap().contains("\"pending\""));
    assert_eq!(early(&disk, "e8"), (Some(Value::Null), None));
}

#[test]
fn first_pages_are_answered_before_everything_is_read() {
    let disk = store();
    assert_eq!(check_pages(&disk), queries().len());
    // A query that nobody asked before has no columns.
    assert!(!early_page(&disk, &json!({"c": "deals", "orderBy": [["/text", "asc"]], "limit": 3})));
    assert!(!early_page(&disk, &json!({"c": "deals", "orderBy": [["/f", "asc"]]})));
    assert!(!early_page(&disk, &json!({"c": "deals", "limit": 3})));
    assert!(!early_page(&disk, &json!({"c": "people", "limit": 3})));
}

/// A tab with rows in many segments.
fn filled(world: &mut World) -> usize {
    let tab = world.device();
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{state:x}")
    };
    for n in 0..120 {
        let text: String = (0..1_000).map(|_| noise()).collect();
        world.write(tab, insert(&format!("e{n}"), json!({"f": n * 37 % 120, "g": n % 3, "text": text})));
    }
    world.run(10_000);
    let disk = &world.disks[world.tabs[tab].profile];
    assert!(disk.segments.len() > 10, "{} segments", disk.segments.len());
    tab
}

#[test]
fn columns_are_added_to_segments_that_have_none() {
    let mut world = world::world();
    let tab = filled(&mut world);
    let profile = world.tabs[tab].profile;
    assert_eq!(check_pages(&world.disks[profile]), 0);
    ask(&mut world, &[tab]);
    world.run(5_000);
    assert_eq!(check_pages(&world.disks[profile]), queries().len());
    let written = world.disks[profile].clone();
    world.run(5_000);
    assert_eq!(world.disks[profile].segments, written.segments, "once is enough");
}

#[test]
fn who_leads_next_keeps_the_columns_of_the_one_before() {
    let mut world = world::world();
    let tab = filled(&mut world);
    let profile = world.tabs[tab].profile;
    let other = world.tab(profile);
    world.run(1_000);
    ask(&mut world, &[tab]);
    world.run(5_000);
    let written = world.disks[profile].clone();
    assert_eq!(check_pages(&written), queries().len());
    world.kill(tab);
    // It looks at a field of its own that has columns already.
    world.tabs[other].engine.query(&queries()[0].to_string()).unwrap();
    world.run(60_000);
    assert_eq!(world.view(other, "status")["leader"], true);
    world.write(other, set("e1", "/f", 7));
    world.run(60_000);
    assert_eq!(check_pages(&world.disks[profile]), queries().len());
    let same = written.segments.iter().filter(|(key, bytes)| world.disks[profile].segments.get(key) == Some(bytes));
    assert_eq!(same.count(), written.segments.len(), "nothing is written again");
}

#[test]
fn a_damaged_segment_is_not_written_again_for_columns() {
    let mut world = world::world();
    let tab = filled(&mut world);
    let profile = world.tabs[tab].profile;
    ask(&mut world, &[tab]);
    world.run(5_000);
    world.kill(tab);
    world.set_network(false);
    // As a tab leaves it that was ended halfway, and then a bit of it flips.
    let disk = &mut world.disks[profile];
    let key = *disk.segments.keys().next().unwrap();
    let record = disk.directories.get_mut(&key).unwrap();
    let (directory, abouts) = (Directory::decode(record).unwrap(), abouts(record).unwrap());
    *record = Directory { stamp: 0, ..directory }.encode(&abouts, None);
    *disk.segments.get_mut(&key).unwrap().last_mut().unwrap() ^= 1;
    let other = world.tab(profile);
    world.run(1_000);
    ask(&mut world, &[other]);
    world.run(60_000);
    assert!(world.disks[profile].segments.contains_key(&key), "what is missing is only known by it");
}

#[test]
fn where_there_is_no_room_for_columns_the_store_is_left_alone() {
    let mut world = world::world();
    let tab = filled(&mut world);
    let profile = world.tabs[tab].profile;
    let disk = &mut world.disks[profile];
    disk.bytes_max = Some(disk.bytes() + 100_000);
    ask(&mut world, &[tab]);
    world.run(10_000);
    let before = world.disks[profile].operations;
    world.run(60_000);
    let asked = world.disks[profile].operations - before;
    assert!(asked < 30, "{asked} operations in a minute");
    assert!(world.events(tab, "quota").len() < 2);
    world.write(tab, set("e1", "/f", 7));
    world.settle();
    assert_eq!(world.view(tab, "health")["reasons"], json!([]));
}

#[test]
fn an_edit_that_a_later_segment_calls_gone_is_not_shown() {
    let Three { mut world, ada, .. } = three(Merge::Manual);
    world.set_network(false);
    for n in 1..20 {
        edit(&mut world, ada, if n < 8 { (0, n, n) } else { (8, 2 + n % 6, n) });
    }
    world.run(3_000);
    assert!(world.disks[world.tabs[ada].profile].seals > 0);
    discard(&mut world, ada);
    world.set_network(true);
    world.run(1);
    for n in 0..20 {
        edit(&mut world, ada, (8, 2 + n % 6, n));
    }
    world.run(5_000);
    let disk = &world.disks[world.tabs[ada].profile];
    assert_eq!(world.view(ada, "status")["pending"], 0);
    assert_eq!(early(disk, "e1"), (Some(Value::Null), None));
    assert_eq!(check(disk), 9);
}

#[test]
fn where_directories_say_less_rows_are_the_same() {
    let mut disk = store();
    for record in disk.directories.values_mut() {
        let Directory { rows, bytes, lowest, highest, .. } = Directory::decode(record).unwrap();
        let plain = json!({"rows": rows, "bytes": bytes, "lowest": lowest, "highest": highest});
        *record = codec::encode(2, plain.to_string().as_bytes());
    }
    check(&disk);
    let (_, row) = early(&disk, "e3");
    assert!(row.unwrap().contains("\"f\":777"));
}

#[test]
fn where_something_is_damaged_nothing_is_answered_early() {
    let whole = store();
    for key in whole.segments.keys() {
        let mut disk = whole.clone();
        *disk.segments.get_mut(key).unwrap().last_mut().unwrap() ^= 1;
        check(&disk);
        check_pages(&disk);
        let mut disk = whole.clone();
        *disk.directories.get_mut(key).unwrap().last_mut().unwrap() ^= 1;
        assert_eq!((check(&disk), check_pages(&disk)), (0, 0));
    }
    let mut disk = whole;
    *disk.log.values_mut().last().unwrap().last_mut().unwrap() ^= 1;
    assert_eq!(check(&disk), 0);
}
