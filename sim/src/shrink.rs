//! Makes a failing scenario smaller: fewer actions, fewer kinds of faults, the same invariant broken. Zeller and
//! Hildebrandt, "Simplifying and isolating failure-inducing input", TSE 2002: ever smaller parts are left out.

use crate::run::run;
use crate::scenario::Scenario;

/// Runs that a search for a smaller scenario may take.
const RUNS_MAX: usize = 3_000;

struct Search {
    invariant: u32,
    runs: usize,
}

impl Search {
    fn fails(&mut self, scenario: &Scenario) -> bool {
        self.runs += 1;
        self.runs <= RUNS_MAX && run(scenario, false).broken.is_some_and(|broken| broken.invariant == self.invariant)
    }
}

/// The smallest scenario found that breaks the same invariant.
pub fn shrink(scenario: &Scenario, invariant: u32) -> Scenario {
    let mut search = Search { invariant, runs: 0 };
    let mut smallest = scenario.clone();
    loop {
        let before = size(&smallest);
        fewer_actions(&mut search, &mut smallest);
        fewer_rates(&mut search, &mut smallest);
        fewer_devices(&mut search, &mut smallest);
        if size(&smallest) == before || search.runs > RUNS_MAX {
            return smallest;
        }
    }
}

fn size(scenario: &Scenario) -> (usize, usize, usize) {
    let mut rates = scenario.setup.rates;
    let on = rates.all().iter().filter(|(_, rate)| **rate > 0).count();
    (scenario.actions.len(), on, scenario.setup.devices.iter().map(|device| device.tabs).sum())
}

fn fewer_actions(search: &mut Search, smallest: &mut Scenario) {
    let mut part = (smallest.actions.len() / 2).max(1);
    loop {
        let mut start = 0;
        while start < smallest.actions.len() {
            let mut candidate = smallest.clone();
            let end = (start + part).min(candidate.actions.len());
            candidate.actions.drain(start..end);
            if search.fails(&candidate) {
                *smallest = candidate;
            } else {
                start = end;
            }
        }
        if part == 1 {
            return;
        }
        part /= 2;
    }
}

fn fewer_rates(search: &mut Search, smallest: &mut Scenario) {
    for index in 0..smallest.setup.rates.all().len() {
        let mut candidate = smallest.clone();
        match candidate.setup.rates.all().into_iter().nth(index) {
            Some((_, rate)) if *rate > 0 => *rate = 0,
            _ => continue,
        }
        if search.fails(&candidate) {
            *smallest = candidate;
        }
    }
}

fn fewer_devices(search: &mut Search, smallest: &mut Scenario) {
    for index in 0..smallest.setup.devices.len() {
        let mut candidate = smallest.clone();
        if let Some(device) = candidate.setup.devices.get_mut(index).filter(|device| device.tabs > 1) {
            device.tabs = 1;
            if search.fails(&candidate) {
                *smallest = candidate;
            }
        }
    }
    while smallest.setup.devices.len() > 1 {
        let mut candidate = smallest.clone();
        candidate.setup.devices.pop();
        if !search.fails(&candidate) {
            return;
        }
        *smallest = candidate;
    }
}
