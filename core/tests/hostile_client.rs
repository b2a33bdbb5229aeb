//! The client's half of the hostile corpus: bad answers, lines, frames, messages of other tabs and stored bytes, in
//! every entry of the engine. What cannot be read changes nothing and is told; what can be read and is a lie ends in no
//! panic; good answers afterwards drain everything.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test may panic"
)]

#[path = "hostile/bad.rs"]
mod bad;
#[path = "hostile/device.rs"]
mod device;
mod world;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use bad::{PAGES, ordered, variants};
use device::Device;
use serde_json::{Value, json};
use tidewire_core::io::Input;
use tidewire_core::json::{self as door, JsonLimits};
use tidewire_core::log::codec;
use tidewire_core::protocol::message::{Change, Checkpoint, PullHeader, PushAnswer};
use tidewire_core::protocol::read::Live;
use world::Fault;

/// A device that is in the middle of something, what it is given, and whether that can be read.
#[derive(Clone)]
struct Case {
    name: String,
    text: String,
    readable: bool,
}

/// A whole device for each case takes its time: every third of them, unless the campaign is a long one.
const SHARE: usize = 3;

/// Runs the cases of a family and says which are wrong.
fn family(name: &str, cases: &[Case], each: impl Fn(&Case) -> Result<(), String>) {
    let mut problems = Vec::new();
    let share = if std::env::var_os("TIDEWIRE_LONG").is_some() { 1 } else { SHARE };
    for case in cases.iter().step_by(share) {
        match catch_unwind(AssertUnwindSafe(|| each(case))) {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => problems.push(format!("{}: {problem}", case.name)),
            Err(_) => problems.push(format!("{}: a panic", case.name)),
        }
    }
    assert!(problems.is_empty(), "{} of {}: {:#?}", problems.len(), cases.len(), &problems[..problems.len().min(25)]);
    counted(name, cases.len());
}

/// The page says how many there are.
#[track_caller]
fn counted(family: &str, count: usize) {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/TESTING.md");
    let page = fs::read_to_string(page).expect("the page");
    assert!(page.contains(&format!("| `{family}` | {count} |")), "docs/TESTING.md: `{family}` has {count} cases");
}

fn cases(message: &Value, readable: impl Fn(&str) -> bool) -> Vec<Case> {
    let all = variants(message).into_iter();
    all.map(|(name, text)| Case { readable: readable(&text), name, text }).collect()
}

fn user() -> Value {
    json!({"tenant": "acme", "subject": "ada"})
}

fn door_of(text: &str) -> Option<door::Value> {
    door::parse(text.as_bytes(), JsonLimits::MESSAGE).ok()
}

/// What cannot be read changes nothing, is told, and is over when good answers come; a lie is survived.
fn judged(device: &mut Device, readable: bool, must_be_told: bool) -> Result<(), String> {
    if readable {
        return device.lives();
    }
    let seen = device.seen();
    if seen != Device::waiting() {
        return Err(format!("it changed something: {seen}"));
    }
    if must_be_told && device.told().is_empty() {
        return Err("nobody is told".into());
    }
    device.heals()
}

#[test]
fn answers_to_a_push() {
    let verdict = json!({"n": [3, 0], "verdict": "merged", "rev": 2, "duplicate": false,
        "overwritten": [{"path": "/f", "yours": "mine", "kept": "theirs", "by": "r2"}]});
    let answer = json!({"v": 1, "now": 1_700_000_003_000_u64, "user": user(), "verdicts": [verdict], "history": "h1"});
    let forked = json!({"v": 1, "now": 1_700_000_003_000_u64, "user": user(), "verdicts": [],
        "forked": [{"n": [3, 0], "same": {"verdict": "applied", "rev": 2}, "differs": false}]});
    let reads = |text: &str| door_of(text).is_some_and(|value| PushAnswer::read(&value).is_ok());
    let mut all = [cases(&answer, reads), cases(&forked, reads)].concat();
    all.extend(PAGES.map(|page| Case { name: format!("`{page}`"), text: page.into(), readable: false }));
    family("push-answer", &all, |case| {
        let mut device = Device::new(false);
        device.world.push_faults.extend([Fault::Says(case.text.clone(), true)]);
        device.world.pull_faults.extend(vec![Fault::Lost; 20]);
        device.world.set_network(true);
        device.world.run(500);
        judged(&mut device, case.readable, true)
    });
}

/// A pull with one line that is bad; the others are what a server would say.
#[test]
fn lines_of_a_pull() {
    let cursor = |seq: u64| json!({"history": "h1", "seq": seq, "mark": format!("m{seq}"), "scope": scope()});
    let header = json!({"pull": {"v": 1, "now": 1_700_000_003_000_u64, "user": user(), "after": cursor(1), "total": 1,
        "settings": {"deals": {"conflict": "merge", "fields": {"/f": "counter"}}}, "reset": false, "reread": ["people"],
        "forget_groups": ["user:x"], "forget_collections": ["people"]}});
    let change = json!({"id": "d2", "c": "deals", "rev": 2, "at": 5, "by": "r2", "g": ["tenant"], "doc": {"x": 1}});
    let delta = json!({"id": "d1", "c": "deals", "rev": 2, "g": ["tenant"],
        "delta": {"was": 1, "set": {"/f": "x"}, "unset": ["/g"]}});
    let last = json!({"cursor": cursor(2), "after": cursor(1), "done": true, "digests": {"deals": "1-2"}});
    let mut all = Vec::new();
    for (at, line) in [&header, &change, &delta, &last].into_iter().enumerate() {
        let reads = move |text: &str| match at {
            0 => PullHeader::read(text.as_bytes()).is_ok(),
            3 => Checkpoint::read(text.as_bytes()).is_ok(),
            _ if text.starts_with("{\"id\"") => Change::read(text.as_bytes()).is_ok(),
            _ => Checkpoint::read(text.as_bytes()).is_ok(),
        };
        for mut case in cases(line, reads) {
            let mut lines = [&header, &change, &last].map(ordered);
            lines[at.min(3).saturating_sub(usize::from(at > 1))] = case.text.clone();
            case.name = format!("line {at} {}", case.name);
            case.text = lines.join("\n") + "\n";
            all.push(case);
        }
    }
    all.extend(orders(&[&header, &change, &last].map(ordered)));
    all.extend(PAGES.map(|page| Case { name: format!("`{page}`"), text: format!("{page}\n"), readable: false }));
    family("pull-line", &all, |case| {
        let mut device = Device::new(false);
        device.world.sockets = false;
        device.world.push_faults.extend(vec![Fault::Lost; 20]);
        device.world.pull_faults.extend([Fault::Says(case.text.clone(), true)]);
        device.world.set_network(true);
        device.world.run(500);
        device.world.sockets = true;
        let blank = case.text.trim().is_empty();
        judged(&mut device, case.readable, !blank)
    });
}

/// Good lines in every order, left out, and twice.
fn orders(lines: &[String; 3]) -> Vec<Case> {
    let mut all = Vec::new();
    for a in 0..4 {
        for b in 0..4 {
            for c in 0..4 {
                let chosen = [a, b, c].into_iter().filter_map(|at| lines.get(at)).cloned();
                let text = chosen.collect::<Vec<_>>().join("\n") + "\n";
                // Whether a part of it counts depends on the order: no panic, and it goes on.
                all.push(Case { name: format!("lines {a}{b}{c}"), text, readable: true });
            }
        }
    }
    all
}

fn scope() -> Value {
    json!({"groups": ["tenant", "user:ada"], "collections": ["$conflicts", "deals", "people"], "policy": "p1"})
}

#[test]
fn messages_of_the_live_channel() {
    let cursor = |seq: u64| json!({"history": "h1", "seq": seq, "mark": format!("m{seq}"), "scope": scope()});
    let change = json!({"id": "d2", "c": "deals", "rev": 2, "at": 5, "by": "r2", "g": ["tenant"], "doc": {"x": 1}});
    let messages = [
        json!({"t": "ready", "now": 1_700_000_003_000_u64, "user": user(), "cursor": cursor(1), "push_bytes": 16_384}),
        json!({"t": "frame", "after": cursor(1), "cursor": cursor(2), "changes": [change]}),
        json!({"t": "answer", "id": 7, "status": 200, "retry_after": 1, "body": {"v": 1, "now": 1, "user": user(),
            "verdicts": [{"n": [3, 0], "verdict": "applied", "rev": 2}]}}),
        json!({"t": "pong", "seq": 1}),
        json!({"t": "error", "code": "unauthorized", "message": "who are you?"}),
        json!({"t": "pull"}),
    ];
    let reads = |text: &str| Live::read(text).is_ok();
    let mut all: Vec<Case> = messages.iter().flat_map(|message| cases(message, reads)).collect();
    all.extend(PAGES.map(|page| Case { name: format!("`{page}`"), text: page.into(), readable: false }));
    family("live-message", &all, |case| {
        let mut device = Device::new(true);
        device.world.push_faults.extend(vec![Fault::Lost; 20]);
        device.world.said_faults.extend(vec![Fault::Silent; 1]);
        device.world.set_network(true);
        device.world.run(50);
        let Some((token, _)) = device.world.tabs[device.tab].socket.clone() else { return Err("no socket".into()) };
        for _ in 0..2 {
            let input = Input::SocketMessage { token, text: case.text.clone() };
            device.world.tabs[device.tab].engine.handle(device.world.now, input);
            device.world.settle();
        }
        judged(&mut device, case.readable, false)
    });
}

#[test]
fn statuses_and_bodies_of_refusals() {
    let bodies = [
        "",
        "{}",
        "null",
        "<html>",
        r#"{"code":"server-error","message":"x"}"#,
        r#"{"code":"no-such-code","message":"x"}"#,
        r#"{"code":"internal","message":""}"#,
        r#"{"code":["unauthorized"],"message":"x"}"#,
    ];
    let statuses = [
        0, 100, 201, 204, 206, 301, 304, 400, 404, 405, 408, 409, 413, 418, 425, 429, 431, 500, 502, 503, 504, 511,
        599, 999, 65_535,
    ];
    let mut all = Vec::new();
    for status in statuses {
        for body in bodies {
            all.push(Case { name: format!("{status} {body}"), text: format!("{status}\t{body}"), readable: false });
        }
    }
    family("status", &all, |case| {
        let (status, body) = case.text.split_once('\t').expect("both");
        let mut device = Device::new(false);
        device.world.push_faults.extend([Fault::Silent]);
        device.world.pull_faults.extend(vec![Fault::Lost; 20]);
        device.world.set_network(true);
        device.world.run(50);
        // The push waits for its answer; its token is one of the last that were given.
        for token in 0..60 {
            let engine = &mut device.world.tabs[device.tab].engine;
            let status = status.parse().expect("a status");
            engine.handle(
                device.world.now,
                Input::Response { token, status, retry_after_ms: Some(u64::MAX), json: true },
            );
            engine.handle(device.world.now, Input::Chunk { token, bytes: body.as_bytes().to_vec() });
            engine.handle(device.world.now, Input::Finished { token });
        }
        device.world.settle();
        let seen = device.seen();
        let rejected = seen["failed"] == 1 && status.starts_with('4');
        if seen != Device::waiting() && !rejected {
            return Err(format!("it changed something: {seen}"));
        }
        device.world.run(310_000);
        if rejected { device.lives() } else { device.heals() }
    });
}

/// Messages of other tabs are hints: whatever they say, the log is what counts.
#[test]
fn messages_of_other_tabs() {
    let mut all = Vec::new();
    let keys = [0, 2, 3, 4, 1 << 53, u64::MAX];
    let rests: [&[u8]; 12] = [
        b"",
        b"\0",
        b"{}",
        b"[]",
        b"null",
        b"{\"state\":\"online\"}",
        b"hello",
        b"look",
        b"fetch {}",
        b"\xff\xfe",
        b"{\"state\":{\"state\":[]},\"pending\":-1}",
        b"refused {\"x\":1}",
    ];
    for kind in [0_u8, 1, 2, 3, 4, 255] {
        for key in keys {
            for rest in rests {
                let bytes = [&[kind][..], &key.to_le_bytes(), rest].concat();
                let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
                let name = format!("{kind} {key} {}", rest.escape_ascii());
                all.push(Case { name, text, readable: false });
            }
        }
    }
    for len in 0..9 {
        all.push(Case { name: format!("{len} bytes"), text: "\0".repeat(len), readable: false });
    }
    family("tab-message", &all, |case| {
        let mut device = Device::new(false);
        let bytes: Vec<u8> = case.text.chars().map(|letter| letter as u8).collect();
        device.world.tabs[device.tab].engine.handle(device.world.now, Input::Message(bytes));
        device.world.settle();
        judged(&mut device, false, false)
    });
}

/// Records of the log with a checksum that fits, put behind what is there.
#[test]
fn stored_records() {
    let mut all = Vec::new();
    let bodies = [
        "",
        "{}",
        "[]",
        "null",
        "{\"mutations\":[{}]}",
        "{\"mutations\":[1]}",
        "{\"mutations\":{}}",
        "{\"mutations\":[}",
        "{\"fence\":9007199254740991,\"through\":[9007199254740991,0]}",
        "{\"upto\":9007199254740991}",
        "{\"id\":\"r9\"}",
        "{\"fence\":0,\"at\":1,\"verdicts\":[{\"n\":[3,0],\"verdict\":\"void\"}]}",
        "{\"survivor\":[3,0],\"absorbed\":[[3,0]],\"m\":{}}",
        "{\"n\":[3,0]}",
        "{\"rows\":[{\"id\":\"d1\"}]}",
        "{\"rows\":}",
        "{\"c\":\"deals\",\"ids\":[\"d1\"],\"fence\":0}",
        "{\"fence\":0,\"at\":1,\"row\":{\"id\":\"d1\",\"c\":\"deals\",\"rev\":1,\"doc\":5}}",
        "{\"to\":\"x\",\"done\":[3,0]}",
        "{\"source\":\"r9\",\"from\":[[1,0]],\"mutations\":[]}",
        "{\"source\":\"r9\",\"from\":[],\"mutations\":[{}]}",
    ];
    for kind in (0_u8..19).chain([128, 129, 255]) {
        for body in bodies {
            let name = format!("kind {kind} {body}");
            all.push(Case { name, text: format!("{kind}\t{body}"), readable: kind == 13 || kind > 17 });
        }
    }
    family("stored-record", &all, |case| {
        let (kind, body) = case.text.split_once('\t').expect("both");
        let mut device = Device::new(false);
        let disk = &mut device.world.disks[0];
        disk.next_key += 1;
        let key = disk.next_key;
        disk.log.insert(key, codec::encode(kind.parse().expect("a kind"), body.as_bytes()));
        device.tab = device.world.reload(device.tab);
        if !device.world.tabs[device.tab].opened || case.readable {
            // A newer release's, or its `Moved`: this one stops and says so.
            return Ok(());
        }
        device.world.set_network(true);
        device.world.run(20_000);
        device.lives()
    });
}

/// What a pull of an entity by itself brings.
#[test]
fn answers_about_one_entity() {
    let change = json!({"id": "d1", "c": "deals", "rev": 1, "at": 5, "by": "r2", "g": ["tenant"], "doc": {"f": "old"}});
    let reads = |text: &str| Change::read(text.as_bytes()).is_ok();
    let mut all = cases(&change, reads);
    all.extend(PAGES.map(|page| Case { name: format!("`{page}`"), text: page.into(), readable: false }));
    family("entity-answer", &all, |case| {
        let mut device = Device::new(false);
        device.world.command(device.tab, tidewire_core::json!({"do": "fetch", "c": "deals", "id": "d1"}));
        device.world.push_faults.extend(vec![Fault::Lost; 20]);
        device.world.pull_faults.extend(vec![Fault::Says(case.text.clone(), true); 3]);
        device.world.set_network(true);
        device.world.run(500);
        judged(&mut device, case.readable, false)
    });
}
