//! Queries against the plainest evaluator there is: over rows alone, and over an engine that writes, syncs, is refused
//! and reads everything anew. What is kept and brought up to date equals what a fresh look finds, after every step.

use crate::naive;
use crate::world;

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use proptest::prelude::*;
use tidewire_core::ids::{CollectionName, EntityId, Owner};
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::log::record::{Changes, Record};
use tidewire_core::model::edit::Edit;
use tidewire_core::model::mutation::Mutation;
use tidewire_core::model::path::Path;
use tidewire_core::model::schema::{CollectionSettings, Strategy as Conflict};
use tidewire_core::query::ast::Query;
use tidewire_core::query::grid::{Doc, Grid, Row};
use tidewire_core::query::kept::Kept;

use world::{Fault, World, insert, pair, set, world};

/// Rows in memory with the columns of one query: document, revision. A document is put in one of its forms.
struct Memory {
    rows: BTreeMap<EntityId, (Value, u64)>,
    grid: Grid,
}

impl Memory {
    fn new(query: &Query) -> Self {
        let mut grid = Grid::default();
        assert!(grid.want(&query.columns), "a new grid has to be filled");
        grid.fill();
        assert!(!grid.want(&query.columns), "and is filled then");
        Self { rows: BTreeMap::new(), grid }
    }

    fn edit(&mut self, id: &EntityId, doc: Option<&Value>, rev: u64) {
        let Some(doc) = doc else {
            self.rows.remove(id);
            return self.grid.remove(id);
        };
        self.rows.insert(id.clone(), (doc.clone(), rev));
        let (at, status) = (rev % 5, Self::status(rev));
        let mut put = |doc: Doc<'_>| self.grid.put(&Row { id, doc, rev, at, status });
        match rev % 4 {
            0 => put(Doc::Text(doc.to_string().as_bytes())),
            // With blanks and escapes.
            1 => put(Doc::Text(&serde_json::to_vec_pretty(doc).unwrap())),
            2 => put(Doc::Value(doc)),
            _ => put(Doc::Insert(&Edit::of(insert_of(id, doc)))),
        }
    }

    fn status(rev: u64) -> &'static str {
        if rev.is_multiple_of(3) { "pending" } else { "synced" }
    }

    fn rows(&self) -> Vec<Value> {
        let mut rows = Vec::new();
        for (id, (doc, rev)) in &self.rows {
            let mut value: Value = serde_json::from_str(&doc.to_string()).unwrap();
            value["id"] = id.as_str().into();
            value["$rev"] = (*rev).into();
            value["$updatedAt"] = (rev % 5).into();
            value["$sync"] = json!({"status": Self::status(*rev)});
            rows.push(value);
        }
        rows
    }
}

/// The insert that makes this document.
fn insert_of(id: &EntityId, doc: &Value) -> Mutation {
    let mut mutation = Mutation::parse(
        format!(r#"{{"c":"deals","id":"{}","kind":"insert","base":0,"at":[1,0]}}"#, id.as_str()).as_bytes(),
    )
    .unwrap();
    for (key, value) in doc.as_object().unwrap().iter() {
        mutation.set.insert(Path::of_key(key).unwrap(), value.clone());
    }
    mutation
}

/// What changes in one step: some rows get a document or go.
fn edits(rows: usize, count: Range<usize>, stays: f64) -> impl Strategy<Value = Vec<(EntityId, Option<Value>)>> {
    let ids: Vec<String> =
        (0..rows).map(|n| format!("d{n}")).chain(["ä", "\u{1f600}", "\u{e000}"].map(Into::into)).collect();
    let id = prop::sample::select(ids).prop_map(|id| EntityId::parse(&id).unwrap());
    prop::collection::vec((id, prop::option::weighted(stays, naive::document())), count)
}

/// Follows the steps, the first one apart, with what is kept, and compares it after each one with a fresh look and with
/// the naive answer.
fn check(query: &Value, steps: Vec<Vec<(EntityId, Option<Value>)>>) -> Result<(), TestCaseError> {
    let read = Rc::new(Query::read(query).unwrap());
    let mut memory = Memory::new(&read);
    let mut rev = 0;
    let mut kept: Option<Kept> = None;
    let mut items = Vec::new();
    for (number, step) in steps.into_iter().enumerate() {
        for (id, doc) in step {
            rev += 1;
            kept.iter_mut().for_each(|kept| kept.before(&memory.grid, &id));
            memory.edit(&id, doc.as_ref(), rev);
            kept.iter_mut().for_each(|kept| kept.after(&memory.grid, &id));
        }
        // Steps may come together.
        if number % 3 == 1 {
            continue;
        }
        let expected = naive::answer(&memory.rows(), query);
        let fresh = Kept::build(&read, &memory.grid, false).answer(&memory.grid);
        prop_assert_eq!(fresh.get("items"), Some(&json!(&expected.items)));
        let Some(kept) = &mut kept else {
            kept = Some(Kept::build(&read, &memory.grid, true));
            items = expected.items;
            continue;
        };
        let delta = kept.delta(&memory.grid);
        match (delta.get("items"), delta.get("steps")) {
            (Some(whole), None) => items = whole.as_array().unwrap().clone(),
            (None, Some(steps)) => naive::splice(&mut items, steps),
            _ => prop_assert!(false, "either all or the way there"),
        }
        prop_assert_eq!(&items, &expected.items);
        let next = expected.next.map(Value::from);
        if read.fold.is_none() {
            prop_assert_eq!((fresh.get("total"), fresh.get("next")), (Some(&expected.total.into()), next.as_ref()));
        }
        if read.fold.is_none() && read.page {
            prop_assert_eq!((delta.get("total"), delta.get("next")), (Some(&expected.total.into()), next.as_ref()));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_is_what_a_fresh_look_finds(
        query in naive::query(),
        steps in prop::collection::vec(edits(12, 0..5, 0.7), 1..12),
    ) {
        check(&query, steps)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// More rows than a list with a limit keeps: it is cut, used up and built again.
    #[test]
    fn so_is_a_beginning_of_many_rows(
        query in naive::query(),
        limit in 0..40_usize,
        first in edits(400, 0..1_000, 0.9),
        steps in prop::collection::vec(prop_oneof![edits(400, 500..1_200, 0.02), edits(400, 0..300, 0.9)], 1..5),
    ) {
        let mut query = query;
        if let Some(map) = query.as_object_mut() {
            map.remove("fold");
            map.remove("where");
        }
        query["limit"] = limit.into();
        check(&query, [vec![first], steps].concat())?;
    }
}

/// One step in a world with a device that watches, and another that writes as well.
#[derive(Debug, Clone)]
enum Step {
    Write {
        tab: usize,
        atomic: bool,
        ops: Vec<Value>,
    },
    Network(bool),
    /// The server refuses entities with this value from now on.
    Refuse(Value),
    /// The server is another one: everything is read anew.
    Reset,
    Run(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = || (0..6).prop_map(|n| format!("d{n}"));
    let edit = |kind: &'static str| {
        (id(), naive::document(), naive::value()).prop_map(move |(id, doc, to)| match kind {
            "insert" => json!({"op": kind, "c": "deals", "id": id, "value": doc}),
            "set" => json!({"op": "patch", "c": "deals", "id": id, "set": {"/a": to}}),
            "unset" => json!({"op": "patch", "c": "deals", "id": id, "unset": ["/a"]}),
            _ => json!({"op": "delete", "c": "deals", "id": id}),
        })
    };
    let op = prop_oneof![3 => edit("insert"), 3 => edit("set"), 1 => edit("unset"), 1 => edit("delete")];
    let step = prop_oneof![
        8 => (0..2_usize, any::<bool>(), prop::collection::vec(op, 1..3))
            .prop_map(|(tab, atomic, ops)| Step::Write { tab, atomic, ops }),
        1 => any::<bool>().prop_map(Step::Network),
        1 => naive::value().prop_map(Step::Refuse),
        1 => Just(Step::Reset),
        4 => (1..3_000_u64).prop_map(Step::Run),
    ];
    prop::collection::vec(step, 1..30)
}

fn ask(world: &mut World, tab: usize, request: &Value) -> Value {
    serde_json::from_str(&world.tabs[tab].engine.query(&request.to_string()).unwrap()).unwrap()
}

fn rows(world: &mut World, tab: usize) -> Vec<Value> {
    let all: Value = serde_json::from_str(&world.tabs[tab].engine.export().unwrap()).unwrap();
    all["collections"]["deals"].as_array().unwrap().clone()
}

fn carry_out(world: &mut World, step: Step, histories: &mut usize) {
    match step {
        Step::Write { tab, atomic, ops } => {
            // One that the device refuses, an insert of what is there for example, changes nothing.
            let request = json!({"atomic": atomic, "ops": ops}).to_string();
            let _refused = world.tabs[tab].engine.write(world.now, &request, "");
        }
        Step::Network(on) => world.set_network(on),
        Step::Refuse(value) => world.server.reject = Some(("/a".into(), value)),
        Step::Reset => {
            *histories += 1;
            world.set_network(false);
            world.server.history = format!("h{histories}");
            world.run(10);
            world.set_network(true);
        }
        Step::Run(ms) => world.run(ms),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn an_engine_keeps_its_answers(
        queries in prop::collection::vec((naive::query(), 0..12_usize), 1..6),
        steps in steps(),
    ) {
        let mut world = world();
        let (a, _b) = (world.device(), world.device());
        let mut histories = 1;
        let mut watched = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            // Some begin while others are kept, and want more columns than there are.
            for (query, _) in queries.iter().filter(|(_, begins)| *begins == number) {
                let mut request = query.clone();
                request["watch"] = true.into();
                let answer = ask(&mut world, a, &request);
                watched.push((query, answer["handle"].clone(), answer["items"].as_array().unwrap().clone()));
            }
            carry_out(&mut world, step, &mut histories);
            let rows = rows(&mut world, a);
            for (query, handle, items) in &mut watched {
                let expected = naive::answer(&rows, query);
                let delta = ask(&mut world, a, &json!({"delta": handle}));
                match delta.get("items") {
                    Some(whole) => *items = whole.as_array().unwrap().clone(),
                    None => naive::splice(items, &delta["steps"]),
                }
                prop_assert_eq!(&*items, &expected.items);
                prop_assert_eq!(&ask(&mut world, a, query)["items"], &Value::Array(items.clone()));
            }
        }
    }
}

#[test]
fn a_query_follows_settings_that_decide_what_a_pending_edit_shows() {
    let (mut world, a, b) = pair();
    world.set_network(false);
    world.write(a, set("d1", "/f", "mine"));
    world.write(b, set("d1", "/f", "theirs"));
    // Only the other device's edit arrives; this one's waits.
    world.push_faults.push_back(Fault::Lost);
    world.set_network(true);
    world.run(100);
    world.push_faults.extend(std::iter::repeat_n(Fault::Lost, 1_000));
    world.run(100);
    let request = json!({"c": "deals", "where": {"path": "/f", "op": "eq", "value": "mine"}});
    let mut watched = request.clone();
    watched["watch"] = true.into();
    let kept = ask(&mut world, a, &watched);
    assert_eq!(kept["items"], json!(["d1"]));
    let settings = CollectionSettings { conflict: Conflict::ServerWins, ..CollectionSettings::default() };
    world.server.policy.settings.insert(CollectionName::parse("deals").unwrap(), settings);
    world.command(a, json!({"do": "now"}));
    world.run(100);
    assert_eq!(world.row(a, "d1").unwrap()["f"], "theirs");
    assert_eq!(ask(&mut world, a, &request)["items"], json!([]));
    let mut items = kept["items"].as_array().unwrap().clone();
    naive::splice(&mut items, &ask(&mut world, a, &json!({"delta": kept["handle"]}))["steps"]);
    assert_eq!(items, [] as [Value; 0]);
}

/// What the leader in another tab has put into the log.
fn led(world: &mut World, tab: usize, seq: u64, mut changes: Value) {
    let names = ["deals", "people", "$conflicts"].map(str::to_owned);
    let user = world.tabs[tab].user.clone();
    let owner = Owner { tenant: "acme".into(), subject: user };
    changes["cursor"] = world.server.cursor(&owner, &names, seq);
    changes["fence"] = 1_000_000.into();
    let record = Record::Changes(serde_json::from_str::<Box<Changes>>(&changes.to_string()).unwrap());
    let disk = &mut world.disks[world.tabs[tab].profile];
    disk.next_key += 1;
    disk.log.insert(disk.next_key, record.encode());
}

fn until_appended(world: &mut World, tab: usize) {
    let before = world.disks[world.tabs[tab].profile].appends;
    while world.disks[world.tabs[tab].profile].appends == before {
        assert!(world.step());
    }
}

#[test]
fn a_query_follows_settings_that_decide_what_an_edit_shows_that_is_in_no_log_yet() {
    let (mut world, a, _) = pair();
    world.set_network(false);
    let request = json!({"c": "deals", "where": {"path": "/f", "op": "eq", "value": "mine"}});
    ask(&mut world, a, &request);
    let row = json!({"id": "d1", "c": "deals", "rev": 90, "at": 1, "g": ["ada"], "doc": {"f": "theirs", "g": 0}});
    led(&mut world, a, 90, json!({"rows": [row]}));
    // Of two appends the first finds the other's edit before it; the second finds settings as well.
    world.write(a, insert("d2", json!({})));
    until_appended(&mut world, a);
    world.write(a, set("d1", "/f", "mine"));
    while world.row(a, "d1").unwrap()["$rev"] != 90 {
        assert!(world.step());
    }
    assert_eq!(ask(&mut world, a, &request)["items"], json!(["d1"]));
    let settings = CollectionSettings { conflict: Conflict::ServerWins, ..CollectionSettings::default() };
    led(&mut world, a, 91, json!({"rows": [], "settings": {"deals": settings, "people": {}}}));
    world.settle();
    assert_eq!(world.row(a, "d1").unwrap()["f"], "theirs");
    assert_eq!(ask(&mut world, a, &request)["items"], json!([]));
}
