//! The work that is measured: fixed inputs, the same for the times of `core.rs` and the counts of `work.rs`.

use std::any::Any;
use std::hint::black_box;

use tidewire_core::authority::memory::{MemoryRow, MemoryStore, OpenPolicy};
use tidewire_core::authority::{Policy, decide_push};
use tidewire_core::clock::{Hlc, Stamp};
use tidewire_core::diff::diff;
use tidewire_core::ids::{CollectionName, EntityId, MutationId, Owner, ReplicaId};
use tidewire_core::json;
use tidewire_core::json::{Raw, Value};
use tidewire_core::limits::EVICT_MS;
use tidewire_core::log::record::{Commit, Record};
use tidewire_core::merge::{Parking, PathRevs, Stored, TextSteps, merge};
use tidewire_core::model::mutation::Mutation;
use tidewire_core::model::schema::CollectionSettings;
use tidewire_core::protocol::message::Push;
use tidewire_core::store::fold::fold;
use tidewire_core::store::state::State;

use crate::world::{World, world};

/// One piece of work, ready to run once. It returns what it made, so that throwing that away is not measured.
pub type Work = Box<dyn FnOnce() -> Box<dyn Any>>;

/// A name, how many things one run does, and what makes the input.
pub type Workload = (&'static str, u64, fn() -> Work);

pub const ALL: &[Workload] = &[
    ("diff/two fields of 13", TIMES, two_fields),
    ("merge/concurrent patches of two fields", TIMES, concurrent_patches),
    ("codec/encode mutations", IN_A_RECORD, encode),
    ("codec/decode mutations", IN_A_RECORD, decode),
    ("fold/inserts", IN_A_RECORD * RECORDS, fold_inserts),
    ("query/first page of a fresh engine", ROWS, first_page),
    ("query/page with a new threshold", TIMES, pages),
    ("query/page after an edit", TIMES, pages_after_edits),
    ("write/patches of a field", TIMES, patches),
    ("evict/rows beyond a bound", ROWS / 2, evictions),
    ("push/a queue of ten pushes", QUEUED, queue),
    ("push/the server decides on inserts", TIMES, decide),
];

/// How often the small ones are done.
const TIMES: u64 = 100;
/// About 48 KiB, as the client cuts them.
const IN_A_RECORD: u64 = 90;
const RECORDS: u64 = 10;
/// Edits that go up, ten pushes of them.
const QUEUED: u64 = 500;
/// Documents in an engine that is asked.
const ROWS: u64 = 1_000;

const STATUSES: [&str; 4] = ["open", "packed", "sent", "closed"];

/// 13 fields beside the id, about 420 bytes, as in `bench/`.
pub fn document(index: u64) -> Value {
    let mixed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    json!({
        "customerId": format!("customer-{:05}", mixed % 1_000),
        "title": format!("Order {index} birch fjord maple"),
        "status": STATUSES[(mixed % 4) as usize],
        "amount": mixed % 10_000,
        "currency": "NOK",
        "createdAt": 1_735_689_600_000 + mixed % 1_000_000,
        "updatedAt": 1_735_689_600_000 + mixed % 1_000_000,
        "owner": format!("user-{}", mixed % 200),
        "priority": mixed % 5,
        "done": mixed.is_multiple_of(2),
        "tags": ["amber", "larch"],
        "address": {"street": format!("kelp street {}", mixed % 200), "city": "Oslo", "zip": "10005"},
        "note": "amber birch cedar delta ember fjord grove haven inlet juniper kelp larch maple north oak pine amber",
    })
}

pub fn id(index: u64) -> String {
    format!("01941f29-{:04x}-7000-8000-{index:012x}", index % 65_536)
}

fn work<R: 'static>(run: impl FnOnce() -> R + 'static) -> Work {
    Box::new(move || Box::new(run()))
}

/// The bytes of a mutation that inserts a document.
fn insert(index: u64) -> Raw {
    let doc = document(index);
    let fields = doc.as_object().unwrap().iter().map(|(name, value)| (format!("/{name}"), value.clone()));
    let set = Value::Object(fields.collect());
    raw(&json!({"c": "orders", "id": id(index), "kind": "insert", "base": 0, "set": set, "at": [1, 0]}))
}

fn raw(value: &Value) -> Raw {
    Raw::parse(&json::to_text(value)).unwrap()
}

fn record(first: u64) -> Record {
    let mutations = (first..first + IN_A_RECORD).map(insert).collect();
    Record::Commit(Commit { mutations, tx: Vec::new(), call: None })
}

fn two_fields() -> Work {
    let old = document(1);
    let mut new = old.clone();
    for (name, value) in [("title", json!("Another")), ("amount", json!(7))] {
        new[name] = value;
    }
    work(move || (0..TIMES).map(|_| diff(black_box(&old), black_box(&new)).unwrap()).collect::<Vec<_>>())
}

fn concurrent_patches() -> Work {
    let settings = CollectionSettings::default();
    let (parking, texts) = (Parking::default(), TextSteps::default());
    let (anna, ben) = (ReplicaId::parse("anna").unwrap(), ReplicaId::parse("ben").unwrap());
    let stamp = |ms, replica: &ReplicaId| Stamp(Hlc(ms, 0), replica.clone(), MutationId(ms, 0));
    let patch = |text: &str| {
        let set = json!({"/title": text, "/amount": 5});
        let was = json!({"/title": "x", "/amount": 1});
        let patch = json!({"c": "orders", "id": "o", "kind": "patch", "base": 1, "set": set, "was": was, "at": [1, 0]});
        Mutation::parse(raw(&patch).get().as_bytes()).unwrap()
    };
    let made = Mutation::parse(insert(1).get().as_bytes()).unwrap();
    let made = merge(None, &made, &stamp(10, &anna), &settings, &parking, &texts).unwrap().store(None, 1, &anna);
    let first = merge(Some(&made), &patch("hers"), &stamp(20, &anna), &settings, &parking, &texts).unwrap();
    let (stored, his, at) = (first.store(Some(&made), 2, &anna), patch("his"), stamp(30, &ben));
    work(move || {
        let merged = |_| merge(Some(black_box(&stored)), &his, &at, &settings, &parking, &texts).unwrap();
        (0..TIMES).map(merged).collect::<Vec<_>>()
    })
}

fn encode() -> Work {
    let record = record(0);
    work(move || black_box(&record).encode())
}

fn decode() -> Work {
    let bytes = record(0).encode();
    work(move || Record::decode(black_box(&bytes)).unwrap())
}

fn fold_inserts() -> Work {
    let records: Vec<Record> = (0..RECORDS).map(|at| record(at * IN_A_RECORD)).collect();
    work(move || {
        let mut state = State::default();
        for (key, record) in (1..).zip(records) {
            fold(&mut state, key, record, 0).unwrap();
        }
        state
    })
}

/// A device that has everything from the server.
fn device() -> (World, usize) {
    let mut world = world();
    world.server.page = 500;
    let (deals, by) = (CollectionName::parse("deals").unwrap(), ReplicaId::parse("writer").unwrap());
    for index in 0..ROWS {
        let (doc, paths, rev) = (document(index), PathRevs::new(), index + 1);
        let stored = Stored { rev, at: rev, by: by.clone(), deleted: false, also: None, doc, paths };
        let id = EntityId::parse(&id(index)).unwrap();
        let groups = world.server.policy.groups(&deals, &id, &stored.doc);
        world.server.store.entities.insert((deals.clone(), id), MemoryRow { stored, groups });
    }
    world.server.store.seq = ROWS;
    let tab = world.device();
    world.run(1_000);
    assert_eq!(world.view(tab, "health")["collections"]["deals"]["count"], ROWS, "all of it is here");
    (world, tab)
}

/// Status equals, amount above, newest first.
fn page(amount: u64) -> String {
    json!({
        "c": "deals",
        "where": {"and": [
            {"path": "/status", "op": "eq", "value": "open"},
            {"path": "/amount", "op": "gt", "value": amount},
        ]},
        "orderBy": [["/createdAt", "desc"]],
        "limit": 50,
    })
    .to_string()
}

fn ask(world: &mut World, tab: usize, query: &str) -> usize {
    world.tabs[tab].engine.query(query).unwrap().len()
}

fn first_page() -> Work {
    let (mut world, tab) = device();
    work(move || (ask(&mut world, tab, &page(5_000)), world))
}

fn pages() -> Work {
    let (mut world, tab) = device();
    ask(&mut world, tab, &page(5_000));
    let queries: Vec<String> = (0..TIMES).map(|turn| page(turn * 50)).collect();
    work(move || (queries.iter().map(|query| ask(&mut world, tab, query)).sum::<usize>(), world))
}

/// Only the query is a page's; the edits are in the count, as a live query pays for both.
fn pages_after_edits() -> Work {
    let (mut world, tab) = device();
    let query = page(5_000);
    ask(&mut world, tab, &query);
    work(move || {
        for turn in 0..TIMES {
            world.write(tab, json!({"op": "patch", "c": "deals", "id": id(turn), "set": {"/amount": turn * 90}}));
            black_box(ask(&mut world, tab, &query));
        }
        world
    })
}

fn patches() -> Work {
    let (mut world, tab) = device();
    world.set_network(false);
    work(move || {
        for turn in 0..TIMES {
            world.write(tab, json!({"op": "patch", "c": "deals", "id": id(turn), "set": {"/title": "another"}}));
        }
        world.settle();
        world
    })
}

/// Edits that wait, away from the server, refer to some of them.
fn evictions() -> Work {
    let options = json!({"collections": {
        "deals": {"replicate": {"maxEntities": ROWS / 2}},
        "people": {"refs": {"/deal": {"to": "deals"}}},
    }});
    let (mut world, tab) = device();
    world.set_network(false);
    world.kill(tab);
    let tab = world.tab_with(world.tabs[tab].profile, options);
    for turn in 0..TIMES {
        let value = json!({"deal": id(turn)});
        world.write(tab, json!({"op": "insert", "c": "people", "id": format!("p{turn}"), "value": value}));
    }
    world.settle();
    work(move || {
        world.run(2 * EVICT_MS);
        assert_eq!(world.view(tab, "health")["collections"]["deals"]["count"], ROWS / 2);
        world
    })
}

/// From the moment when the server can be reached until all is decided, shown, and read back.
fn queue() -> Work {
    let mut world = world();
    let profile = world.profile();
    let tab = world.tab_with(profile, json!({"batch": {"maxCount": QUEUED / 10}}));
    world.run(1_000);
    world.command(tab, json!({"do": "pause"}));
    let insert = |at| json!({"op": "insert", "c": "deals", "id": id(at), "value": document(at)});
    world.write_all(tab, false, Value::Array((0..QUEUED).map(insert).collect()));
    world.run(10_000);
    work(move || {
        world.command(tab, json!({"do": "resume"}));
        world.run(2_000);
        assert_eq!(world.view(tab, "status")["pending"], 0);
        world
    })
}

fn decide() -> Work {
    let name = CollectionName::parse("orders").unwrap();
    let settings = [(name, CollectionSettings::default())].into_iter().collect();
    let policy = OpenPolicy { settings, private_to: None };
    let owner: Owner = serde_json::from_str(r#"{"tenant":"t","subject":"anna"}"#).unwrap();
    let mutations = (0..TIMES).map(|at| json!({"n": [1, at], "m": insert(at)})).collect::<Vec<_>>();
    let push = json!({"v": 1, "replica": "anna", "fence": 1, "floor": [1, 0], "now": 1, "mutations": mutations});
    let push: Push = serde_json::from_str(&json::to_text(&push)).unwrap();
    let mut store = MemoryStore::default();
    work(move || {
        let mut rows = store.rows(&owner, &push.replica);
        let answer = decide_push(&mut rows, &policy, &owner, &push, 1_000).unwrap();
        assert_eq!(answer.verdicts.len() as u64, TIMES);
        (answer, store)
    })
}
