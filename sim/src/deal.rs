//! What a seed is dealt: its scenario, drawn.

use tidewire_core::model::schema::{DeleteConflict, Strategy};

use crate::people::CODES;
use crate::policy::TEAMS;
use crate::random::Random;
use crate::scenario::{Action, Delays, DeviceSetup, Rates, Scenario, Setup, Timed};

impl Scenario {
    /// The scenario of a seed.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed, 1);
        let mut setup = Setup::draw(&mut random);
        // Drawn apart: what else a seed is dealt stays what it was.
        setup.people = Random::new(seed, 3).chance(300);
        let mut actions = actions(&mut Random::new(seed, 2), &setup);
        if setup.people {
            people(&mut Random::new(seed, 4), &mut actions);
        }
        Self { seed, setup, actions }
    }
}

impl Setup {
    fn draw(random: &mut Random) -> Self {
        let users = random.between(1, 3) as usize;
        let devices = if random.chance(150) { 5 } else { random.between(2, 4) as usize };
        let clocks = random.chance(300);
        let device = |random: &mut Random| DeviceSetup {
            user: random.index(users),
            tabs: if random.chance(700) { 1 } else { random.between(2, 3) as usize },
            offset_ms: if clocks { random.between(0, 7_200_000) as i64 - 3_600_000 } else { 0 },
            drift_ppm: if clocks { random.between(0, 100_000) as i64 - 50_000 } else { 0 },
        };
        let devices = (0..devices).map(|_| device(random)).collect();
        let strategies =
            [Strategy::LastWriteWins, Strategy::Merge, Strategy::ClientWins, Strategy::ServerWins, Strategy::Manual];
        Self {
            devices,
            strategy: strategies[random.index(strategies.len())],
            deletes: if random.chance(500) { DeleteConflict::DeleteWins } else { DeleteConflict::UpdateWins },
            page: random.between(1, 30) as usize,
            channel_push_bytes: if random.chance(500) { 8 * 1024 } else { 0 },
            channel: random.chance(800),
            delays: Delays {
                disk_us: random.between(100, 20_000),
                network_us: random.between(1_000, 300_000),
                tabs_us: random.between(10, 20_000),
            },
            rates: Rates::draw(random),
            teams: random.chance(400),
            releases: random.chance(250),
            people: false,
            pad: if random.chance(150) { random.between(1_000, 12_000) as usize } else { 0 },
        }
    }
}

impl Rates {
    /// Of each kind most runs have nothing: what fails often hides what fails rarely (Groce et al., "Swarm testing",
    /// ISSTA 2012). Some runs have nothing at all.
    fn draw(random: &mut Random) -> Self {
        let mut rates = Self::default();
        if random.chance(100) {
            return rates;
        }
        let mut one = |most: u64| if random.chance(350) { random.between(1, most) as u32 } else { 0 };
        rates.request_lost = one(200);
        rates.answer_lost = one(200);
        rates.request_twice = one(100);
        rates.silent = one(50);
        rates.status = one(200);
        rates.portal = one(50);
        rates.cut = one(100);
        rates.late = one(100);
        rates.frame_lost = one(100);
        rates.message_lost = one(200);
        rates.store_failed = one(30);
        rates.store_unreported = one(20);
        rates
    }
}

/// How often an action is drawn, and what makes one.
type Draw = fn(&mut Random) -> Action;

const WRITES: [(u64, Draw); 14] = [
    (10, |r| Action::Insert { device: r.index(8), tab: r.index(8), private: r.chance(250) }),
    (40, |r| Action::Set { device: r.index(8), tab: r.index(8), pick: r.index(1_000), fields: 1 + r.below(15) as u8 }),
    (5, |r| Action::Unset { device: r.index(8), tab: r.index(8), pick: r.index(1_000), field: r.below(4) as u8 }),
    (8, |r| Action::Tag { device: r.index(8), tab: r.index(8), pick: r.index(1_000) }),
    (4, |r| Action::Delete { device: r.index(8), tab: r.index(8), pick: r.index(1_000) }),
    (6, |r| Action::Pair {
        device: r.index(8),
        tab: r.index(8),
        picks: (r.index(1_000), r.index(1_000)),
        field: r.below(4) as u8,
    }),
    (20, |r| Action::Transfer {
        device: r.index(8),
        tab: r.index(8),
        from: r.index(4),
        to: r.index(4),
        amount: r.between(1, 1_000_000_000),
    }),
    (6, |r| Action::Count {
        device: r.index(8),
        tab: r.index(8),
        which: r.index(2),
        amount: r.between(1, 1_000_000_000),
        times: r.between(1, 4) as usize,
    }),
    (4, |r| Action::Undo { device: r.index(8), tab: r.index(8) }),
    (6, |r| Action::Decide { device: r.index(8), tab: r.index(8), mine: r.chance(500) }),
    (2, |r| Action::Now { device: r.index(8), tab: r.index(8) }),
    (3, |r| Action::Same { device: r.index(8), tab: r.index(8), which: r.index(3) }),
    (3, |r| Action::Retry { device: r.index(8), tab: r.index(8) }),
    (1, |r| Action::Discard { device: r.index(8), tab: r.index(8) }),
];

/// ... where there are teams.
const PAPERS: [(u64, Draw); 5] = [
    (8, |r| Action::File { device: r.index(8), tab: r.index(8), team: r.index(TEAMS) }),
    (10, |r| Action::Line { device: r.index(8), tab: r.index(8), pick: r.index(1_000) }),
    (10, |r| Action::Retitle { device: r.index(8), tab: r.index(8), pick: r.index(1_000), line: r.chance(500) }),
    (6, |r| Action::Hand {
        device: r.index(8),
        tab: r.index(8),
        pick: r.index(1_000),
        line: r.chance(300),
        team: r.index(TEAMS),
    }),
    (3, |r| Action::Shred { device: r.index(8), tab: r.index(8), pick: r.index(1_000) }),
];

const FAULTS: [(u64, Draw); 22] = [
    (6, |r| Action::OpenTab { device: r.index(8) }),
    (4, |r| Action::CloseTab { device: r.index(8), tab: r.index(8) }),
    (10, |r| Action::KillTab { device: r.index(8), tab: r.index(8) }),
    (5, |r| Action::KillBrowser { device: r.index(8), for_ms: r.between(1, 20_000) }),
    (8, |r| Action::Freeze { device: r.index(8), tab: r.index(8), for_ms: r.between(1, 40_000) }),
    (10, |r| Action::Offline { device: r.index(8), for_ms: r.between(1, 30_000) }),
    (8, |r| Action::BlackHole {
        device: r.index(8),
        up: r.chance(700),
        down: r.chance(700),
        for_ms: r.between(1, 30_000),
    }),
    (8, |r| Action::CutChannel { device: r.index(8) }),
    (4, |r| Action::Jump { device: r.index(8), by_ms: r.between(0, 7_200_000) as i64 - 3_600_000 }),
    (4, |r| Action::ServerDown { for_ms: r.between(1, 15_000) }),
    (2, |_| Action::Prune),
    (2, |_| Action::Backup),
    (2, |_| Action::Restore),
    (2, |r| Action::Wipe { device: r.index(8) }),
    (1, |r| Action::Clear { device: r.index(8) }),
    (2, |r| Action::Clone { device: r.index(8) }),
    (2, |_| Action::Policy),
    (5, |r| Action::Worker { device: r.index(8), for_ms: r.between(50, 10_000) }),
    (3, |r| Action::PowerLoss { device: r.index(8), for_ms: r.between(1, 20_000) }),
    (2, |r| Action::Flip { device: r.index(8), pick: r.index(1_000) }),
    (1, |r| Action::Meddle { pick: r.index(1_000) }),
    (3, |r| Action::Poison { device: r.index(8), tab: r.index(8), pick: r.index(1_000) }),
];

/// A run has some kinds of faults, not all: see [`Rates::draw`].
fn actions(random: &mut Random, setup: &Setup) -> Vec<Timed> {
    let writes = random.between(114, 158);
    let is_control = setup.rates.clone().all().iter().all(|(_, rate)| **rate == 0);
    let kinds: Vec<&(u64, Draw)> = FAULTS.iter().filter(|_| !is_control && random.chance(500)).collect();
    let faults = if kinds.is_empty() { 0 } else { random.between(8, 40) };
    let span_ms = random.between(5_000, 90_000);
    let mut actions = Vec::with_capacity((writes + faults) as usize);
    let mut at_ms = 0;
    for _ in 0..writes {
        // Some come together, as people and programs write.
        if !random.chance(600) {
            at_ms = random.below(span_ms);
        }
        at_ms += random.below(30);
        let papers = PAPERS.iter().filter(|_| setup.teams);
        actions.push(Timed { at_ms, action: draw(random, WRITES.iter().chain(papers)) });
    }
    let regroups = if setup.teams && !is_control { random.between(0, 8) } else { 0 };
    for _ in 0..regroups {
        let action = Action::Regroup { user: random.index(8), team: random.index(TEAMS), is_in: random.chance(500) };
        actions.push(Timed { at_ms: random.below(span_ms), action });
    }
    let releases = if setup.releases && !is_control { random.between(2, 7) } else { 0 };
    for _ in 0..releases {
        let action = if random.chance(500) { Action::ReleaseApp } else { Action::ReleaseServer };
        actions.push(Timed { at_ms: random.below(span_ms), action });
    }
    for _ in 0..faults {
        let at_ms = random.below(span_ms);
        actions.push(Timed { at_ms, action: draw(random, kinds.iter().copied()) });
    }
    actions.sort_by_key(|timed| timed.at_ms);
    actions
}

/// What is done with people, among all the rest.
fn people(random: &mut Random, actions: &mut Vec<Timed>) {
    let span_ms = actions.last().map_or(0, |last| last.at_ms) + 1;
    for _ in 0..random.between(6, 30) {
        let (device, tab) = (random.index(8), random.index(8));
        let action = match random.chance(600) {
            true => Action::Meet { device, tab, code: random.index(CODES) },
            false => Action::Say { device, tab, pick: random.index(1_000) },
        };
        actions.push(Timed { at_ms: random.below(span_ms), action });
    }
    actions.sort_by_key(|timed| timed.at_ms);
}

fn draw<'a>(random: &mut Random, of: impl Iterator<Item = &'a (u64, Draw)> + Clone) -> Action {
    let mut left = random.below(of.clone().map(|(weight, _)| weight).sum());
    for (weight, make) in of {
        if left < *weight {
            return make(random);
        }
        left -= weight;
    }
    Action::Prune
}
