//! The seeds of the kept corpus: the messages, lines, bodies and records of the golden transcripts, the examples of
//! `docs/PROTOCOL.md`, and a few made here for what neither has. Failures that were found are kept beside them, and
//! are not touched.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use crate::corpus;

const TRANSCRIPTS: [&str; 5] = ["first-sync", "first-write", "live", "push-again", "write-and-push"];

/// Records of kinds that no transcript has, and items of pushes: what is refused beside what is taken, transactions,
/// voids, decisions, what is Bob's.
const MADE: &str = include_str!("../seeds.txt");

/// Target and name to input.
type Seeds = BTreeMap<(&'static str, String), Vec<u8>>;

/// Writes them. Returns how many there are.
///
/// # Errors
/// Those of the file system.
pub fn write() -> io::Result<usize> {
    let seeds = all()?;
    for ((target, name), input) in &seeds {
        let directory = corpus::directory(target);
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(name), input)?;
    }
    Ok(seeds.len())
}

/// All of them, as they should stand in `corpus/`.
///
/// # Errors
/// Those of the file system.
pub fn all() -> io::Result<BTreeMap<(&'static str, String), Vec<u8>>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut seeds = Seeds::new();
    for name in TRANSCRIPTS {
        let text = fs::read_to_string(root.join("core/tests/golden").join(format!("{name}.json")))?;
        let transcript: Value = serde_json::from_str(&text).map_err(io::Error::other)?;
        for step in transcript["steps"].as_array().into_iter().flatten() {
            received(&mut seeds, name, step);
            step["outputs"].as_array().into_iter().flatten().for_each(|output| sent(&mut seeds, name, output));
        }
    }
    documents(&mut seeds, &root)?;
    protocol(&mut seeds, &fs::read_to_string(root.join("docs/PROTOCOL.md"))?);
    made(&mut seeds);
    Ok(seeds)
}

fn add(seeds: &mut Seeds, target: &'static str, name: &str, first: &str, text: &str) {
    let count = seeds.keys().filter(|(of, known)| *of == target && known.starts_with(name)).count();
    let input = format!("{first}{text}").into_bytes();
    if !seeds.iter().any(|((of, _), known)| *of == target && *known == input) {
        seeds.insert((target, format!("{name}-{count:02}")), input);
    }
}

/// What came in: lines of pulls, answers, messages.
fn received(seeds: &mut Seeds, name: &str, step: &Value) {
    for line in step["with"]["lines"].as_array().into_iter().flatten() {
        let text = line.as_str().map_or_else(|| line.to_string(), str::to_owned);
        let first = match line {
            _ if line.get("pull").is_some() => "h",
            _ if line.get("verdicts").is_some() => "a",
            _ if line.get("code").is_some() => "e",
            _ if line.get("cursor").is_some() => "k",
            _ => "c",
        };
        add(seeds, "wire", name, first, &text);
        add(seeds, "json", name, "", &text);
    }
    if let Some(message) = step["with"].get("message") {
        add(seeds, "wire", name, "l", &message.to_string());
    }
}

/// What went out: requests, messages, records.
fn sent(seeds: &mut Seeds, name: &str, output: &Value) {
    match (output["fetch"].as_str(), &output["body"]) {
        (Some("push"), body) => {
            add(seeds, "request", name, "p", &body.to_string());
            add(seeds, "authority", name, "", &body.to_string());
        }
        (Some("pull"), body) => add(seeds, "request", name, "l", &body.to_string()),
        _ => {}
    }
    if let Some(message) = output.get("say") {
        add(seeds, "request", name, "m", &message.to_string());
    }
    for record in output["store"]["append"].as_array().into_iter().flatten() {
        for (kind, body) in record.as_object().into_iter().flatten() {
            add(seeds, "codec", name, &kind_letter(kind).to_string(), &body.to_string());
        }
    }
}

/// The first byte with which the target `codec` makes a record of this kind.
fn kind_letter(kind: &str) -> char {
    const KINDS: [&str; 17] = [
        "Commit",
        "Coalesce",
        "Discard",
        "Sent",
        "Acks",
        "Changes",
        "Replica",
        "Lead",
        "Sealed",
        "Fork",
        "Claim",
        "Adopt",
        "Moved",
        "Evict",
        "Fetched",
        "Used",
        "Replicate",
    ];
    let at = KINDS.iter().position(|known| *known == kind).unwrap_or_default();
    char::from(b'A' + u8::try_from(at).unwrap_or_default())
}

/// The cases of the pure tools: documents, differences and merges.
fn documents(seeds: &mut Seeds, root: &Path) -> io::Result<()> {
    let read = |name: &str| -> io::Result<Vec<Value>> {
        let text = fs::read_to_string(root.join("core/tests/golden").join(name))?;
        serde_json::from_str(&text).map_err(io::Error::other)
    };
    for case in read("tools-diff.json")?.iter().step_by(9).take(16) {
        let edit = r#"{"c":"deals","id":"1","kind":"patch","base":1,"set":{"/a":1},"at":[5,0]}"#;
        add(seeds, "patch", "tools", "", &format!("[{},{},{edit}]", case["before"], case["after"]));
    }
    for (case, strategy) in read("tools-merge.json")?.iter().step_by(41).zip(STRATEGIES.iter().cycle()).take(24) {
        let [base, mine, theirs] = ["base", "mine", "theirs"].map(|key| case[key].to_string());
        add(seeds, "merge", "tools", "", &format!("[{base},{mine},{theirs},\"{strategy}\"]"));
    }
    Ok(())
}

const STRATEGIES: [&str; 8] =
    ["last-write-wins", "merge", "union", "counter", "text", "manual", "client-wins", "server-wins"];

/// The examples of the page, by the type that they are read into.
fn protocol(seeds: &mut Seeds, page: &str) {
    for block in page.split("```json ").skip(1) {
        let Some((kind, rest)) = block.split_once('\n') else { continue };
        let Some(Ok(value)) = rest.split("```").next().map(serde_json::from_str::<Value>) else { continue };
        let text = value.to_string();
        let (target, first) = match kind {
            "Push" => ("request", "p"),
            "Pull" => ("request", "l"),
            "ClientMessage" => ("request", "m"),
            "PushAnswer" => ("wire", "a"),
            "PullHeader" => ("wire", "h"),
            "Checkpoint" => ("wire", "k"),
            "Change" => ("wire", "c"),
            "ServerMessage" => ("wire", "l"),
            "ErrorBody" => ("wire", "e"),
            _ => continue,
        };
        add(seeds, target, "protocol", first, &text);
        if kind == "Push" {
            add(seeds, "authority", "protocol", "", &text.replace("customers", "deals").replace("proposals", "people"));
        }
    }
}

fn made(seeds: &mut Seeds) {
    let cursor = |history: &str, seq: u64, mark: &str, groups: &str| {
        let scope = format!(r#"{{"groups":[{groups}],"collections":["deals","people"],"policy":"p1"}}"#);
        format!(r#"{{"history":"{history}","seq":{seq},"mark":"{mark}","scope":{scope}}}"#)
    };
    let own = r#""tenant","user:alice""#;
    for text in [
        cursor("h", 7, "m7", own),
        cursor("h", 9, "m9", own),
        cursor("h", 2, "m2", own),
        cursor("h", 1, "8:m8", own),
        cursor("h", 0, "", own),
        cursor("other", 7, "m7", own),
        cursor("h", 7, "m7", r#""tenant","user:bob""#),
    ] {
        add(seeds, "cursor", "made", "", &text);
    }
    for (kind, text) in MADE.lines().filter_map(|line| line.split_once(' ')) {
        if kind == "Policy" {
            add(seeds, "policy", "made", "", text);
            continue;
        }
        if kind != "Push" && kind != "People" {
            add(seeds, "codec", "made", &kind_letter(kind).to_string(), text);
            continue;
        }
        let push = format!(r#"{{"v":1,"replica":"r","fence":1,"floor":[0,0],"now":1000000,"mutations":[{text}]}}"#);
        if kind == "People" {
            add(seeds, "identity", "made", "", &push);
            continue;
        }
        add(seeds, "authority", "made", "", &push);
        add(seeds, "request", "made", "p", &push);
    }
    for text in [r#"{"a":[1,2.5e-3,{"b":null}],"c":"\u00e9\ud83d\ude00","d":true}"#, "[]", "-0.0", r#""x""#] {
        add(seeds, "json", "made", "", text);
    }
    let row = |space: char, collection: &str, id: &str, body: &str| {
        let len = |count: usize, of: usize| (0..count).map(move |at| char::from((of >> (7 * at)) as u8 & 0x7f));
        let mut text: String = [space, '\0', '\x09', '\0', '\0', '\0', '\0', '\0', '\0', '\0'].iter().collect();
        text.extend(len(2, collection.len()));
        text.push_str(collection);
        text.extend(len(2, id.len()));
        text.push_str(id);
        text.extend(len(4, body.len()));
        text + body
    };
    let entity = r#"{"rev":1,"at":2,"g":["tenant"]}"#;
    let entity = format!("{}\0\0\0{entity}{{\"title\":\"a\"}}", char::from(entity.len() as u8));
    let edit = r#"{"c":"deals","id":"a","kind":"patch","base":1,"set":{"/f":2},"at":[12,0]}"#;
    let queued = format!(r#"{{"Queued":{{"m":{edit},"tx":null,"status":"Queued","old":false,"acked":0}}}}"#);
    let segment = row('\0', "deals", "a", &entity) + &row('\x01', "", "7.0", &queued);
    add(seeds, "segment", "made", "s", &segment);
    add(seeds, "segment", "made", "p", r#"{"rows":2,"bytes":300,"lowest":7,"highest":9}"#);
}
