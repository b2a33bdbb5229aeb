//! The hostile corpus: requests and messages that no client of ours sends, against the real process. None crashes it,
//! none is answered with a 5xx or with anything of another's, each has the answer that is written down in
//! `hostile/answers.txt`, and memory stays flat.
//!
//! `UPDATE_ANSWERS=1 cargo test -p tidewire-server --test hostile` writes the answers anew: the difference is part of
//! the review.

#![allow(unreachable_pub, reason = "modules of one test")]

#[path = "hostile/bodies.rs"]
mod bodies;
#[path = "hostile/case.rs"]
mod case;
#[path = "hostile/heads.rs"]
mod heads;
#[path = "hostile/mutations.rs"]
mod mutations;
#[path = "hostile/order.rs"]
mod order;
#[path = "hostile/routes.rs"]
mod routes;
#[path = "hostile/site.rs"]
mod site;
#[path = "hostile/socket.rs"]
mod socket;
#[path = "hostile/tenants.rs"]
mod tenants;
#[path = "hostile/tokens.rs"]
mod tokens;
#[path = "hostile/wire.rs"]
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use case::{Case, Family};
use serde_json::{Value, json};
use site::Site;
use wire::Connection;

/// So many at least, no two alike.
const CASES_MIN: usize = 2_000;

/// What waits for a time limit is answered too late: nothing here has to.
const SLOW: Duration = Duration::from_secs(4);

fn corpus(site: &Site) -> Vec<Case> {
    let families: [fn(&Site) -> Family<'_>; 18] = [
        bodies::no_message,
        bodies::shapes,
        mutations::fields,
        mutations::paths,
        mutations::values,
        mutations::names,
        mutations::numbers,
        tokens::tokens,
        tokens::schemes,
        tenants::rows,
        tenants::owners,
        tenants::cursors,
        order::orders,
        order::replays,
        routes::methods,
        routes::addresses,
        routes::origins,
        routes::encodings,
    ];
    let mut cases: Vec<Case> = families.iter().flat_map(|family| family(site).cases).collect();
    for family in [heads::heads, socket::strangers, socket::guests] {
        cases.extend(family(site).cases);
    }
    cases
}

/// The answer of each, by family and name.
fn answers(cases: &[Case], site: &Site) -> BTreeMap<String, String> {
    let mut connection = Connection::open(site.address);
    let mut told = BTreeMap::new();
    let mut problems = Vec::new();
    for case in cases {
        let name = format!("{}\t{}", case.family, case.name.escape_debug());
        let started = Instant::now();
        match case.ask(&mut connection, site) {
            Ok(_) if started.elapsed() > SLOW => problems.push(format!("{name}: took {:?}", started.elapsed())),
            Ok(answer) => drop(told.insert(name, answer)),
            Err(problem) => problems.push(format!("{name}: {problem}")),
        }
    }
    assert!(problems.is_empty(), "{} problems: {:#?}", problems.len(), &problems[..problems.len().min(40)]);
    told
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/answers.txt")
}

/// Lines of `answer`, tab, family, tab, name: what is answered alike stands together.
fn written(answers: &BTreeMap<String, String>) -> BTreeSet<String> {
    answers.iter().map(|(name, answer)| format!("{answer}\t{name}")).collect()
}

#[test]
fn every_bad_request_has_the_answer_that_is_written_down() {
    let mut site = Site::start();
    let foreign = site.foreign();
    assert!(foreign.len() >= 4, "there is something to protect");
    let cases = corpus(&site);
    let told = answers(&cases, &site);
    assert!(site.runs(), "it is still there");
    assert_eq!(site.foreign(), foreign, "what is others' is as it was");
    honest(&site);
    let told = written(&told);
    if std::env::var_os("UPDATE_ANSWERS").is_some() {
        let lines: Vec<String> = told.into_iter().collect();
        fs::write(path(), lines.join("\n") + "\n").expect("written");
        return;
    }
    let text = fs::read_to_string(path()).expect("the answers");
    let expected: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    let new: Vec<&String> = told.difference(&expected).take(20).collect();
    let gone: Vec<&String> = expected.difference(&told).take(20).collect();
    assert!(new.is_empty() && gone.is_empty(), "not written down: {new:#?}\nno more: {gone:#?}");
}

/// Who did nothing bad is served as ever.
fn honest(site: &Site) {
    let set = json!({"/title": "after"});
    let note = json!({"c": "notes", "id": "after", "kind": "insert", "base": 0, "set": set, "at": [1, 0]});
    let answer = site.push(&site.alice, "honest", &[note]);
    assert_eq!(answer["verdicts"][0]["verdict"], "applied", "{answer}");
    let ids: Vec<Value> = site.pull(&site.alice).0.iter().map(|row| row["id"].clone()).collect();
    assert!(ids.contains(&json!("after")) && ids.contains(&json!("secret")), "{ids:?}");
}

#[test]
fn the_corpus_has_two_thousand_cases_and_the_page_counts_them() {
    let site = Site::start();
    let cases = corpus(&site);
    let names: BTreeSet<(&str, &str)> = cases.iter().map(|case| (case.family, case.name.as_str())).collect();
    assert_eq!(names.len(), cases.len(), "each has a name of its own");
    let distinct: BTreeSet<Vec<u8>> = cases.iter().map(Case::bytes).collect();
    assert!(distinct.len() >= CASES_MIN, "{} different ones", distinct.len());
    assert!(distinct.len() * 100 >= cases.len() * 97, "{} of {} are different", distinct.len(), cases.len());
    let mut families: BTreeMap<&str, usize> = BTreeMap::new();
    cases.iter().for_each(|case| *families.entry(case.family).or_default() += 1);
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/TESTING.md");
    let page = fs::read_to_string(page).expect("the page");
    for (family, count) in families {
        assert!(page.contains(&format!("| `{family}` | {count} |")), "docs/TESTING.md: `{family}` has {count} cases");
    }
}

/// Of the corpus, for the rounds of the test below.
const EVERY: usize = 6;
/// Caches, pools and the allocator's arenas fill in so many rounds.
const WARM_ROUNDS: usize = 3;
const ROUNDS: usize = 5;
/// A leak of one kilobyte for each case would be twice as much.
const GROWTH_KB_MAX: u64 = 2_048;

/// Memory stays flat: what bad requests take is given back.
#[cfg(target_os = "linux")]
#[test]
fn memory_stays_flat_over_rounds_of_the_corpus() {
    let site = Site::start();
    let cases: Vec<Case> = corpus(&site).into_iter().step_by(EVERY).collect();
    let mut resident = Vec::new();
    for _ in 0..WARM_ROUNDS + ROUNDS {
        answers(&cases, &site);
        resident.push(site.resident_kb());
    }
    let warm = resident[WARM_ROUNDS - 1];
    let grown = resident[WARM_ROUNDS + ROUNDS - 1].saturating_sub(warm);
    assert!(grown <= GROWTH_KB_MAX, "{grown} kB more after {ROUNDS} rounds: {resident:?}");
}
