//! `cargo xtask sim`: campaigns of many seeds, and one seed in detail.
#![allow(clippy::print_stdout, reason = "what it finds is for people")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use tidewire_sim::report::Report;
use tidewire_sim::run::{Outcome, run};
use tidewire_sim::scenario::{Scenario, UNSETTLED};
use tidewire_sim::shrink::shrink;

/// A third of the time went into the allocator of the system.
#[cfg(not(target_family = "wasm"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "\
cargo xtask sim --seeds N [--start S]   N seeds from S on (1): stops at the first that fails, and makes it smaller
cargo xtask sim --seed S [--trace]      one seed; with every event; --small: of the smaller scenario
cargo xtask sim --planted [--seeds N]   plants each bug of core/src/planted.rs in turn and finds it within N seeds
       --bug A,B                        only these of them
       --without offline,prune          leaves out such actions
       --threads N                      how many seeds at once (as many as there are processors)
       --all                            with those that still break something (docs/TESTING.md)
       --keep-going                     names every seed that fails, a line each, and makes none smaller
";

/// Outcomes that wait for those of earlier seeds.
const AHEAD_MAX: usize = 256;

/// What was asked for.
struct Wish {
    start: u64,
    seeds: u64,
    one: bool,
    trace: bool,
    /// The trace of the smaller scenario.
    small: bool,
    planted: bool,
    /// Which bugs; none: all.
    bugs: Vec<String>,
    threads: usize,
    without: Vec<String>,
    /// Also what still breaks something.
    all: bool,
    /// Does not stop at what fails.
    keep_going: bool,
}

impl Wish {
    fn scenario(&self, seed: u64) -> Scenario {
        let mut scenario = Scenario::of(seed);
        if !self.all {
            scenario.leave_unsettled();
        }
        scenario.actions.retain(|timed| !self.without.contains(&timed.action.kind()));
        scenario
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(wish) = read(&words) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    // A panic is a finding; its text is part of the report.
    std::panic::set_hook(Box::new(|_| {}));
    if wish.planted {
        return planted(&wish);
    }
    if wish.one { show(&wish) } else { campaign(&wish) }
}

fn read(words: &[String]) -> Option<Wish> {
    let mut wish = Wish {
        start: 1,
        seeds: 0,
        one: false,
        trace: false,
        small: false,
        planted: false,
        bugs: Vec::new(),
        threads: thread::available_parallelism().map_or(1, usize::from),
        without: Vec::new(),
        all: false,
        keep_going: false,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--trace" => wish.trace = true,
            "--small" => wish.small = true,
            "--planted" => wish.planted = true,
            "--bug" => wish.bugs.extend(words.next()?.split(',').map(str::to_owned)),
            "--without" => wish.without.extend(words.next()?.split(',').map(str::to_owned)),
            "--all" => wish.all = true,
            "--keep-going" => wish.keep_going = true,
            "--seeds" => wish.seeds = words.next()?.parse().ok()?,
            "--threads" => wish.threads = words.next()?.parse().ok().filter(|threads| *threads > 0)?,
            "--start" => wish.start = words.next()?.parse().ok()?,
            "--seed" => {
                wish.start = words.next()?.parse().ok()?;
                wish.one = true;
            }
            _ => return None,
        }
    }
    (wish.one || wish.planted || wish.seeds > 0).then_some(wish)
}

fn campaign(wish: &Wish) -> ExitCode {
    let began = Instant::now();
    let mut said = began;
    let mut report = Report::default();
    let mut failed = None;
    let mut failures = 0;
    // Whether that is enough.
    let each = |scenario: Scenario, outcome: Outcome| {
        report.add(&scenario, &outcome);
        if let Some(broken) = outcome.broken {
            failures += 1;
            println!("seed {} breaks invariant {}: {}", scenario.seed, broken.invariant, broken.what);
            failed.get_or_insert((scenario, broken.invariant));
            return !wish.keep_going;
        }
        if said.elapsed() > Duration::from_secs(10) {
            said = Instant::now();
            println!("… {} of {} seeds", report.seeds(), wish.seeds);
        }
        false
    };
    if wish.threads == 1 {
        in_order(wish, each);
    } else {
        in_parallel(wish, each);
    }
    if let Some((scenario, invariant)) = failed.filter(|_| !wish.keep_going) {
        print_shrunk(&scenario, invariant);
        return ExitCode::FAILURE;
    }
    print!("{}", report.text(began.elapsed(), wish.threads));
    let unsettled = UNSETTLED.iter().filter(|_| !wish.all).map(|kind| (*kind).to_owned());
    let missing = report.missing(&wish.without.iter().cloned().chain(unsettled).collect::<Vec<_>>());
    if !missing.is_empty() {
        println!("\nnever happened: {}", missing.join(", "));
        return ExitCode::FAILURE;
    }
    if failures > 0 {
        println!("\n{failures} of {} seeds failed", report.seeds());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Runs the seeds one after the other: WebAssembly has no threads here.
fn in_order(wish: &Wish, mut each: impl FnMut(Scenario, Outcome) -> bool) {
    for seed in wish.start..wish.start.saturating_add(wish.seeds) {
        let scenario = wish.scenario(seed);
        let outcome = run(&scenario, false);
        if each(scenario, outcome) {
            return;
        }
    }
}

/// Runs the seeds in several threads and hands the outcomes over in the order of the seeds, until one is enough.
fn in_parallel(wish: &Wish, mut each: impl FnMut(Scenario, Outcome) -> bool) {
    let is_over = AtomicBool::new(false);
    let (outcomes, all) = sync_channel::<(Scenario, Outcome)>(AHEAD_MAX);
    thread::scope(|scope| {
        for first in 0..wish.threads {
            let (outcomes, is_over) = (outcomes.clone(), &is_over);
            scope.spawn(move || {
                let seeds = (wish.start..wish.start.saturating_add(wish.seeds)).skip(first).step_by(wish.threads);
                for seed in seeds.take_while(|_| !is_over.load(Ordering::Relaxed)) {
                    let scenario = wish.scenario(seed);
                    let outcome = run(&scenario, false);
                    if outcomes.send((scenario, outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(outcomes);
        let (mut next, mut early) = (wish.start, BTreeMap::new());
        for (scenario, outcome) in all {
            early.insert(scenario.seed, (scenario, outcome));
            while let Some((scenario, outcome)) = early.remove(&next) {
                if each(scenario, outcome) {
                    is_over.store(true, Ordering::Relaxed);
                    return;
                }
                next += 1;
            }
        }
    });
}

fn show(wish: &Wish) -> ExitCode {
    let scenario = wish.scenario(wish.start);
    let outcome = run(&scenario, wish.trace);
    let Some(broken) = outcome.broken else {
        println!("{:#?}", scenario.setup);
        outcome.trace.iter().for_each(|line| println!("{line}"));
        println!("seed {}: green, {} events, trace hash {:016x}", wish.start, outcome.events, outcome.hash);
        return ExitCode::SUCCESS;
    };
    println!("seed {} breaks invariant {}: {}", wish.start, broken.invariant, broken.what);
    if wish.trace && !wish.small {
        outcome.trace.iter().for_each(|line| println!("{line}"));
        return ExitCode::FAILURE;
    }
    let smallest = print_shrunk(&scenario, broken.invariant);
    if wish.trace {
        run(&smallest, true).trace.iter().for_each(|line| println!("{line}"));
    }
    ExitCode::FAILURE
}

fn print_shrunk(scenario: &Scenario, invariant: u32) -> Scenario {
    let smallest = shrink(scenario, invariant);
    println!("the smallest scenario that was found:");
    println!("{:?}", smallest.setup);
    for timed in &smallest.actions {
        println!("{timed}");
    }
    if let Some(broken) = run(&smallest, false).broken {
        println!("there: {}", broken.what);
    }
    smallest
}

/// Plants each bug in turn. The control before them is green, or nothing that is found says anything.
#[cfg(feature = "planted")]
fn planted(wish: &Wish) -> ExitCode {
    use tidewire_core::planted::BUGS;

    let most = if wish.seeds == 0 { 2_000 } else { wish.seeds };
    let chosen = BUGS.iter().filter(|(_, name, ..)| wish.bugs.is_empty() || wish.bugs.iter().any(|bug| bug == name));
    let (mut tried, mut missed) = (0, Vec::new());
    println!("| planted bug | breaks | found by seed | by invariant |\n|---|---|---:|---:|");
    for (bug, name, text, breaks) in chosen {
        tried += 1;
        match first_that_breaks(wish, *bug, most) {
            Some((seed, invariant)) => println!("| `{name}`: {text} | {breaks} | {seed} | {invariant} |"),
            None => {
                println!("| `{name}`: {text} | {breaks} | not in {most} | |");
                missed.push(*name);
            }
        }
    }
    println!("{} of {tried} found", tried - missed.len());
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The first seed that finds a bug, and by which invariant. A bug is planted in a thread, so each thread plants it.
#[cfg(feature = "planted")]
fn first_that_breaks(wish: &Wish, bug: tidewire_core::planted::Bug, most: u64) -> Option<(u64, u32)> {
    let found = std::sync::Mutex::new(None::<(u64, u32)>);
    let first = || found.lock().ok().and_then(|found| *found);
    thread::scope(|scope| {
        for thread in 0..wish.threads {
            let (found, first) = (&found, &first);
            scope.spawn(move || {
                tidewire_core::planted::plant(Some(bug));
                let seeds = (wish.start..wish.start.saturating_add(most)).skip(thread).step_by(wish.threads);
                for seed in seeds.take_while(|seed| first().is_none_or(|(first, _)| *seed < first)) {
                    let Some(broken) = run(&wish.scenario(seed), false).broken else { continue };
                    if let Ok(mut found) = found.lock() {
                        *found = found.filter(|(first, _)| *first < seed).or(Some((seed, broken.invariant)));
                    }
                    return;
                }
            });
        }
    });
    first()
}

#[cfg(not(feature = "planted"))]
fn planted(_: &Wish) -> ExitCode {
    eprintln!("built without planted bugs: cargo xtask sim --planted builds with them");
    ExitCode::from(2)
}
