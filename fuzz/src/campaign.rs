//! Runs a target over inputs until a time is up, and makes what breaks it small.
//!
//! A target says what came of an input as a fingerprint: which reader took it, or with which code and message it was
//! refused. An input with a fingerprint that is new joins the pool from which further ones are made. That is coarser
//! than counting edges, and needs neither a sanitizer nor a compiler of its own (`docs/decisions/0030`).

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::mutate::mutate;
use crate::random::Random;
use crate::targets::Target;

/// One execution that takes longer hangs, for what is read in microseconds.
const HANG: Duration = Duration::from_secs(2);
/// What is slow so often in a row is slow by itself, and not because the machine stood still.
const HANG_TRIES: usize = 3;
/// So many attempts to make an input smaller.
const SHRINK_ATTEMPTS: usize = 4_000;

/// An input that breaks a target.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The smallest that was found.
    pub input: Vec<u8>,
    /// What broke, and where.
    pub message: String,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many inputs were tried.
    pub executions: u64,
    /// How many kinds of outcomes there were.
    pub fingerprints: usize,
    /// What broke, if anything did.
    pub failure: Option<Failure>,
    /// Inputs of kinds of which the corpus has none.
    pub found: Vec<Vec<u8>>,
}

/// When a run ends.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After so many inputs: the same on every machine.
    Executions(u64),
    /// After so long.
    Elapsed(Duration),
}

static LAST: OnceLock<PathBuf> = OnceLock::new();

/// Keeps each input in a file before it is tried: for what ends the process, as a stack
/// that overflows does.
pub fn keep_last(path: PathBuf) {
    // Once is enough.
    let _ = LAST.set(path);
}

thread_local! {
    /// The last panic of a target, while one runs.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static RUNS: Cell<bool> = const { Cell::new(false) };
}

/// Panics of targets are findings, not lines on the screen.
pub fn catch_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if RUNS.get() {
            PANIC.set(Some(info.to_string()));
        } else {
            usual(info);
        }
    }));
}

/// The fingerprint of an input, or what broke.
///
/// # Errors
/// The message of a panic, or that it hangs.
pub fn execute(target: &Target, input: &[u8]) -> Result<u64, String> {
    let mut took = Duration::ZERO;
    for _ in 0..HANG_TRIES {
        let started = Instant::now();
        let fingerprint = once(target, input)?;
        took = started.elapsed();
        if took <= HANG {
            return Ok(fingerprint);
        }
    }
    Err(format!("hangs: {} ms", took.as_millis()))
}

fn once(target: &Target, input: &[u8]) -> Result<u64, String> {
    RUNS.set(true);
    if let Some(path) = LAST.get() {
        // Where it cannot be kept, what ends the process has to be found otherwise.
        let _ = fs::write(path, input);
    }
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    RUNS.set(false);
    outcome.map_err(|_| PANIC.take().unwrap_or_else(|| "a panic".to_owned()))
}

/// Tries the corpus, then what is made of it.
pub fn run(target: &Target, corpus: &[Vec<u8>], seed: u64, until: Until) -> Outcome {
    let started = Instant::now();
    let mut random = Random::new(seed);
    let mut seen = BTreeSet::new();
    let mut outcome = Outcome::default();
    let mut pool: Vec<Vec<u8>> = corpus.to_vec();
    for input in corpus {
        outcome.executions += 1;
        match execute(target, input) {
            Ok(fingerprint) => drop(seen.insert(fingerprint)),
            Err(message) => return broken(target, outcome, input.clone(), message),
        }
    }
    if pool.is_empty() {
        pool.push(Vec::new());
    }
    while !is_over(until, started, outcome.executions) {
        let parent = random.below(pool.len());
        let input = mutate(&mut random, &pool[parent], &pool);
        outcome.executions += 1;
        match execute(target, &input) {
            Ok(fingerprint) if seen.insert(fingerprint) => {
                outcome.found.push(input.clone());
                pool.push(input);
            }
            Ok(_) => {}
            Err(message) => return broken(target, outcome, input, message),
        }
    }
    outcome.fingerprints = seen.len();
    outcome
}

fn is_over(until: Until, started: Instant, executions: u64) -> bool {
    match until {
        Until::Executions(most) => executions >= most,
        Until::Elapsed(time) => executions.is_multiple_of(16) && started.elapsed() >= time,
    }
}

fn broken(target: &Target, mut outcome: Outcome, input: Vec<u8>, message: String) -> Outcome {
    let input = shrink(&input, |smaller| execute(target, smaller).is_err());
    let message = execute(target, &input).err().unwrap_or(message);
    outcome.failure = Some(Failure { input, message });
    outcome
}

/// The smallest input that still breaks: pieces are left out, the large ones first.
pub fn shrink(input: &[u8], breaks: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut best = input.to_vec();
    let mut attempts = 0;
    let mut piece = best.len().div_ceil(2);
    while piece > 0 && attempts < SHRINK_ATTEMPTS {
        let mut at = 0;
        while at < best.len() && attempts < SHRINK_ATTEMPTS {
            let end = (at + piece).min(best.len());
            let smaller = [&best[..at], &best[end..]].concat();
            attempts += 1;
            if breaks(&smaller) {
                best = smaller;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planted(input: &[u8]) -> u64 {
        let found = |word: &[u8]| input.windows(word.len()).any(|part| part == word);
        assert!(!(found(b"null") && found(b"true")), "both");
        u64::from(found(b"null")) + 2 * u64::from(found(b"true"))
    }

    const TARGET: Target = Target { name: "planted", about: "", run: planted };

    #[test]
    fn a_planted_defect_is_found_and_made_small() {
        catch_panics();
        let corpus = [br#"{"a":1,"b":[2,3],"c":{"d":"text"}}"#.to_vec()];
        let outcome = run(&TARGET, &corpus, 1, Until::Executions(100_000));
        let failure = outcome.failure.expect("found");
        assert!(failure.message.contains("both"), "{}", failure.message);
        assert_eq!(failure.input.len(), 8, "{}", String::from_utf8_lossy(&failure.input));
        let again = run(&TARGET, &corpus, 1, Until::Executions(100_000));
        assert_eq!((again.executions, again.failure.expect("found").input), (outcome.executions, failure.input));
    }

    #[test]
    fn what_hangs_is_a_failure() {
        const SLOW: Target = Target { name: "slow", about: "", run: spin };
        fn spin(_: &[u8]) -> u64 {
            let started = Instant::now();
            while started.elapsed() <= HANG {}
            0
        }
        assert!(execute(&SLOW, b"").expect_err("too slow").starts_with("hangs"));
    }
}
