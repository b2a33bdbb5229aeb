//! What a campaign of many seeds says of itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::labels::Labels;
use crate::run::Outcome;
use crate::scenario::Scenario;

/// What must come up in a campaign: one in which it never does tests less than it says.
const SOMETIMES: [&str; 22] = [
    "applied",
    "merged",
    "conflict",
    "void",
    "duplicate",
    "held",
    "reset",
    "seal",
    "lock stolen",
    "lead handed over",
    "checkpoint within a pull",
    "push on the channel",
    "undo",
    "conflict decided",
    "write failed",
    "answer to a push lost",
    "tab frozen",
    "app released",
    "server released",
    "edit brought over on its device",
    "edit brought over by the server",
    "id became another's",
];
/// ... where an action is not left out.
const SOMETIMES_BY: [(&str, &str); 7] = [
    ("regroup", "left a team"),
    ("regroup", "came into a team"),
    ("clone", "forked"),
    ("restore", "restored"),
    ("restore", "push of another history"),
    ("wipe", "wiped"),
    ("flip", "flipped"),
];
/// Campaigns of fewer seeds need not have come across everything.
const SOMETIMES_SEEDS: usize = 2_000;

/// The sums of many runs.
#[derive(Debug, Default)]
pub struct Report {
    operations: Vec<u64>,
    devices: Vec<u64>,
    injections: Vec<u64>,
    events: u64,
    ms: u64,
    labels: Labels,
    kinds: BTreeMap<String, u64>,
    /// Of all traces, in the order of the seeds.
    pub hash: u64,
}

impl Report {
    /// Adds a run.
    pub fn add(&mut self, scenario: &Scenario, outcome: &Outcome) {
        self.operations.push(outcome.operations);
        self.devices.push(outcome.devices as u64);
        self.injections.push(outcome.injections);
        self.events += outcome.events;
        self.ms += outcome.ms;
        self.labels.add(&outcome.labels);
        for timed in &scenario.actions {
            *self.kinds.entry(timed.action.kind()).or_default() += 1;
        }
        self.hash = xxhash_rust::xxh64::xxh64(&outcome.hash.to_le_bytes(), self.hash);
    }

    /// How many runs.
    pub fn seeds(&self) -> usize {
        self.operations.len()
    }

    /// What never came up though it should have, these actions left out.
    pub fn missing(&self, without: &[String]) -> Vec<&'static str> {
        if self.seeds() < SOMETIMES_SEEDS {
            return Vec::new();
        }
        let drawn = SOMETIMES_BY.iter().filter(|(action, _)| !without.iter().any(|name| name == action));
        let all = SOMETIMES.into_iter().chain(drawn.map(|(_, what)| *what));
        all.filter(|what| self.labels.count(what) == 0).collect()
    }

    /// A screen of text.
    pub fn text(&mut self, took: Duration, threads: usize) -> String {
        let seeds = self.seeds().max(1);
        let mut out = String::new();
        let seconds = took.as_secs_f64().max(0.001);
        let rate = seeds as f64 / seconds;
        let each = rate / threads as f64;
        let _ = writeln!(out, "{} seeds in {seconds:.1} s: {rate:.0} seeds/s, {each:.0} a thread", self.seeds());
        let hours = self.ms / 3_600_000;
        let _ = writeln!(out, "{} events, {hours} hours of virtual time, trace hash {:016x}", self.events, self.hash);
        for (name, numbers) in
            [("operations", &mut self.operations), ("devices", &mut self.devices), ("injections", &mut self.injections)]
        {
            numbers.sort_unstable();
            let at = |share: usize| numbers.get(numbers.len().saturating_sub(1) * share / 100).copied().unwrap_or(0);
            let _ = writeln!(
                out,
                "{name:<12} min {}, 10 % {}, median {}, 90 % {}, max {}",
                at(0),
                at(10),
                at(50),
                at(90),
                at(100)
            );
        }
        let _ = writeln!(out, "\nactions");
        for (kind, count) in &self.kinds {
            let _ = writeln!(out, "  {kind:<34} {count:>10}");
        }
        let _ = writeln!(out, "\nwhat happened");
        for (what, count) in self.labels.iter() {
            let _ = writeln!(out, "  {what:<34} {count:>10}");
        }
        out
    }
}
