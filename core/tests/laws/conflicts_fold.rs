//! What a device shows of its user's conflicts does not depend on how the records of its log lie: by live frames or by
//! pulls, the server's word before its data or after it, own decisions before or behind what others did.

use crate::common;
use crate::world;

use common::conflicts::manual;
use common::{DEALS, Server, insert_at, user};
use proptest::prelude::*;
use tidewire_core::authority::memory::MemoryStore;
use tidewire_core::ids::{CONFLICTS, CollectionName, Group, MutationId, ReplicaId};
use tidewire_core::json;
use tidewire_core::json::{Raw, Value};
use tidewire_core::log::record::{Acks, Changes, Commit, Record, Replica};
use tidewire_core::model::change::Change;
use tidewire_core::model::conflict::State;
use tidewire_core::model::cursor::{Cursor, Scope};
use tidewire_core::model::schema::{CollectionSettings, Strategy as Of};
use tidewire_core::protocol::message::{Verdict, VerdictItem};
use world::browser::Random;
use world::world;

/// Who writes: the device that is looked at, its user's other one, somebody else.
const DEVICES: [(&str, &str); 3] = [("ben", "ben"), ("ben", "phone"), ("anna", "anna")];
const PATHS: [&str; 3] = ["/a", "/o", "/o/x"];

/// One mutation that the server decided, and what it held then.
struct Step {
    after: MemoryStore,
    /// By the device that is looked at.
    own: Option<(String, Verdict)>,
}

#[derive(Debug, Clone)]
enum Act {
    /// A value at a path, by somebody who has seen the newest revision, or the first.
    Write(usize, bool),
    /// Of the author's conflicts some are decided, or a decision is taken back; with a value or without.
    Decide(usize, bool),
    Reopen(usize),
    Delete,
}

fn acts() -> impl Strategy<Value = Vec<(usize, Act)>> {
    let act = prop_oneof![
        8 => (0..PATHS.len(), any::<bool>()).prop_map(|(path, fresh)| Act::Write(path, fresh)),
        4 => (0..4_usize, any::<bool>()).prop_map(|(which, keep)| Act::Decide(which, keep)),
        2 => (0..4_usize).prop_map(Act::Reopen),
    ];
    let act = prop_oneof![40 => act, 1 => Just(Act::Delete)];
    prop::collection::vec((0..DEVICES.len(), act), 1..24)
}

/// What the server made of it, step by step; the first is the entity itself.
fn history(settings: CollectionSettings, acts: &[(usize, Act)]) -> Vec<Step> {
    let mut server = Server::with(settings);
    server.one("maker", 1, insert_at("1", json!({"a": "a0", "o": {"x": "x0"}}), 10));
    let mut steps = vec![Step { after: server.store.clone(), own: None }];
    for (number, (who, act)) in (1_u64..).zip(acts) {
        let Some(text) = mutation(&server, *who, act, number) else { continue };
        let (subject, replica) = DEVICES[*who];
        let verdict = server.push_as(&user(subject), replica, &[((number, 0), None, Some(&text))]).verdicts.remove(0);
        let own = (replica == "ben").then_some((text, verdict.verdict));
        steps.push(Step { after: server.store.clone(), own });
    }
    steps
}

fn mutation(server: &Server, who: usize, act: &Act, number: u64) -> Option<String> {
    let stored = server.stored("1")?;
    let newest = stored.rev;
    let mut edit = json!({"c": DEALS, "id": "1", "kind": "patch", "base": newest, "at": [20 + number, 0]});
    let own = |state: fn(State) -> bool| {
        let all = server.conflicts("1").into_iter();
        all.filter(move |(_, one)| one.subject == DEVICES[who].0 && state(one.state)).collect::<Vec<_>>()
    };
    match act {
        Act::Write(path, fresh) => {
            edit["set"][PATHS[*path]] = if PATHS[*path] == "/o" { json!({"x": number}) } else { json!(number) };
            edit["base"] = if *fresh { newest } else { 1 }.into();
        }
        Act::Decide(which, keep) => {
            let (id, conflict) = own(|state| state != State::Closed).into_iter().nth(*which)?;
            edit["resolves"] = json!([id]);
            match conflict.yours.filter(|_| *keep) {
                Some(yours) => edit["set"][conflict.path.as_str()] = yours,
                None if *keep => edit["unset"] = json!([conflict.path]),
                None => {}
            }
        }
        Act::Reopen(which) => {
            let (id, _) = own(|state| state == State::Closed).into_iter().nth(*which)?;
            edit["reopens"] = json!([id]);
        }
        Act::Delete => edit["kind"] = json!("delete"),
    }
    Some(edit.to_string())
}

/// What the device's log holds by some moment: its own mutations and their verdicts, so many of each, and the server's
/// data up to a step.
#[derive(Debug, Clone, Copy)]
struct Moment {
    written: usize,
    decided: usize,
    read: usize,
}

impl Moment {
    /// One that can be: the server decides what was written, and tells of what it has decided.
    fn new(steps: &[Step], random: &mut Random) -> Self {
        let read = random.below(steps.len() as u64) as usize;
        let own = own(steps).len();
        let seen = steps[..=read].iter().filter(|step| step.own.is_some()).count();
        let written = seen + random.below((own - seen + 1) as u64) as usize;
        Self { written, decided: random.below(written as u64 + 1) as usize, read }
    }
}

fn own(steps: &[Step]) -> Vec<&(String, Verdict)> {
    steps.iter().filter_map(|step| step.own.as_ref()).collect()
}

/// A log that holds just this, in an order of its own.
fn log(steps: &[Step], moment: Moment, random: &mut Random) -> Vec<Record> {
    let id = ReplicaId::parse("ben").unwrap();
    let mut log = vec![Record::Replica(Replica { id, owner: Some(user("ben")) })];
    let mut keys = Vec::new();
    let (mut decided, mut read) = (0, None);
    while keys.len() < moment.written || decided < moment.decided || read != Some(moment.read) {
        match random.below(3) {
            0 if keys.len() < moment.written => {
                let mutations = vec![serde_json::from_str::<Raw>(&own(steps)[keys.len()].0).unwrap()];
                log.push(Record::Commit(Commit { mutations, tx: Vec::new(), call: None }));
                keys.push(log.len() as u64);
            }
            1 if decided < keys.len().min(moment.decided) => {
                let n = MutationId(keys[decided], 0);
                let verdicts = vec![VerdictItem { n, duplicate: false, verdict: own(steps)[decided].1.clone() }];
                log.push(Record::Acks(Acks { fence: 0, at: 50, verdicts, history: None }));
                decided += 1;
            }
            2 if read != Some(moment.read) => {
                let from = read.map_or(0, |read: usize| read + 1);
                let to = from + random.below((moment.read - from + 1) as u64) as usize;
                // The server cannot tell of what this device has not written yet.
                if steps[..=to].iter().filter(|step| step.own.is_some()).count() <= keys.len() {
                    log.extend(delivery(steps, read, to, random));
                    read = Some(to);
                }
            }
            _ => {}
        }
    }
    log
}

/// What changed between two steps: in a frame, in a pull of several checkpoints, or with all conflicts read anew.
fn delivery(steps: &[Step], read: Option<usize>, to: usize, random: &mut Random) -> Vec<Record> {
    let now = &steps[to].after;
    let seen = read.map_or(0, |read| steps[read].after.seq);
    let kind = if read.is_none() { 1 } else { random.below(3) };
    let rereads = |collection: &CollectionName| kind == 2 && collection.is_conflicts();
    let groups: Vec<Group> = ["tenant", "user:ben"].map(|name| Group::parse(name).unwrap()).into();
    let mut rows = Vec::new();
    for ((collection, id), row) in &now.entities {
        let g: Vec<Group> = row.groups.iter().filter(|group| groups.contains(group)).cloned().collect();
        let stored = &row.stored;
        let is_told = stored.rev > seen || (rereads(collection) && !stored.deleted);
        if is_told && !g.is_empty() {
            let doc = (!stored.deleted).then(|| serde_json::from_str::<Raw>(&stored.doc.to_string()).unwrap());
            let (id, c, by) = (id.clone(), collection.clone(), Some(stored.by.clone()));
            // Who writes the value that stands makes it newer, and nobody hears of that before something changes.
            let at = if collection.is_conflicts() { stored.at } else { 0 };
            rows.push(Change { id, c, rev: stored.rev, at, by, g, doc, delta: None, evicted: false });
        }
    }
    rows.sort_by_key(|row| row.rev);
    let cursor = |seq: u64| {
        let collections = [CONFLICTS, DEALS].map(|name| CollectionName::parse(name).unwrap()).into();
        let scope = Scope { groups: groups.clone(), collections, policy: "p1".into() };
        Some(Cursor { history: "h1".into(), seq, mark: format!("m{seq}"), scope })
    };
    let (staged, done) = (kind > 0, kind > 0);
    let mut records = Vec::new();
    if kind == 1 && rows.len() > 1 {
        let rest = rows.split_off(rows.len() / 2);
        let seq = rows.last().map_or(0, |row| row.rev);
        // Checkpoints stand between transactions.
        if rest[0].rev > seq {
            let first = Changes { cursor: cursor(seq), staged, rows: std::mem::take(&mut rows), ..Changes::default() };
            records.push(Record::Changes(Box::new(first)));
        }
        rows.extend(rest);
    }
    let reread = if kind == 2 { vec![CollectionName::of_conflicts()] } else { Vec::new() };
    let last = Changes { cursor: cursor(now.seq), staged, done, reread, rows, ..Changes::default() };
    records.push(Record::Changes(Box::new(last)));
    records
}

/// What a tab shows that opens over this log and hears of nobody.
fn shown(log: &[Record], settings: &CollectionSettings) -> Value {
    let mut world = world();
    world.network = false;
    let profile = world.profile();
    for record in log {
        world.disks[profile].next_key += 1;
        let key = world.disks[profile].next_key;
        world.disks[profile].log.insert(key, record.encode());
    }
    let tab = world.tab_with(profile, json!({"collections": {"deals": settings}}));
    assert!(world.tabs[tab].opened);
    json!({"conflicts": world.view(tab, "conflicts"), "row": world.row(tab, "1"),
        "pending": world.view(tab, "status")["pending"], "failed": world.view(tab, "status")["failed"]})
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conflicts_look_the_same_however_their_records_lie(waits in any::<bool>(), acts in acts(), seed in any::<u32>()) {
        let settings = if waits { manual() } else { common::conflicts::with(Of::LastWriteWins) };
        let steps = history(settings.clone(), &acts);
        let mut random = Random::new(seed.into());
        for _ in 0..3 {
            let moment = Moment::new(&steps, &mut random);
            let one = shown(&log(&steps, moment, &mut random), &settings);
            let other = shown(&log(&steps, moment, &mut random), &settings);
            prop_assert_eq!(one, other, "{:?}", moment);
        }
        // In the end it is what the server has for this user.
        let own = own(&steps).len();
        let end = Moment { written: own, decided: own, read: steps.len() - 1 };
        let seen = shown(&log(&steps, end, &mut random), &settings);
        let theirs = steps.last().unwrap().after.entities.iter();
        let theirs = theirs.filter(|((c, _), row)| {
            c.is_conflicts() && !row.stored.deleted && row.groups.iter().any(|group| group.as_str() == "user:ben")
        });
        let states: Vec<Value> = theirs.map(|((_, id), row)| json!([id, row.stored.doc["state"]])).collect();
        let known = seen["conflicts"].as_array().unwrap().iter();
        prop_assert_eq!(known.map(|one| json!([one["id"], one["state"]])).collect::<Vec<_>>(), states);
        prop_assert_eq!(&seen["pending"], &json!(0));
    }
}
