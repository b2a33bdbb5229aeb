//! One run: a scenario played to its end, its faults healed, and what has to hold checked.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tidewire_core::limits::LOG_LOOK_MS;

use crate::labels::Labels;
use crate::scenario::Scenario;
use crate::world::{Broken, World};

/// After the faults everything has to come to rest within this time.
const DRAIN_MS: u64 = 20 * 60_000;
/// How often that is looked at.
const LOOK_MS: u64 = 2_000;

/// What is held is tried again every 15 seconds: only then is it known to stay so.
const HELD_LOOKS: u32 = 20;

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The first thing that was not kept.
    pub broken: Option<Broken>,
    /// Of all events: equal runs have equal ones.
    pub hash: u64,
    /// Things that happened.
    pub events: u64,
    /// Calls of users that wrote.
    pub operations: u64,
    /// Devices at the end.
    pub devices: usize,
    /// Faults that were injected.
    pub injections: u64,
    /// Virtual time, in milliseconds.
    pub ms: u64,
    /// What happened how often.
    pub labels: Labels,
    /// The events, where they were asked for.
    pub trace: Vec<String>,
}

/// Plays a scenario.
pub fn run(scenario: &Scenario, trace: bool) -> Outcome {
    let mut world = World::new(scenario, trace);
    let played = catch_unwind(AssertUnwindSafe(|| play(&mut world)));
    if let Err(panic) = played {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        world.fail(30, format!("panicked: {}", text.unwrap_or_default()));
    }
    Outcome {
        hash: world.hash,
        events: world.events,
        operations: world.labels.count("write"),
        devices: world.devices.len(),
        injections: world.injections + scenario.injections() as u64,
        ms: world.now_us / 1_000,
        labels: std::mem::take(&mut world.labels),
        broken: world.broken.take(),
        trace: world.trace.take().unwrap_or_default(),
    }
}

fn play(world: &mut World) {
    let last = world.scenario.actions.last().map_or(0, |timed| timed.at_ms);
    world.run_until((last + 1_000) * 1_000);
    world.heal();
    // What was written by a tab that died before anybody heard of it is found when the leader looks.
    world.run_until(world.now_us + LOG_LOOK_MS * 1_000);
    let end_us = world.now_us + DRAIN_MS * 1_000;
    let mut calm = 0;
    while world.broken.is_none() {
        world.run_until(world.now_us + LOOK_MS * 1_000);
        calm = if world.is_calm() { calm + 1 } else { 0 };
        // To compare all that is shown with all that is stored costs most, and comes last.
        if calm > HELD_LOOKS || (calm > 0 && !world.holds_anything()) {
            if world.agrees() {
                break;
            }
            calm = 0;
        }
        if world.now_us > end_us {
            return world.not_calm();
        }
    }
    if world.broken.is_none() {
        world.forget_untold();
        world.check_end();
    }
}
