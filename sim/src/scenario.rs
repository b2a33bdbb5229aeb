//! What a seed comes to: devices and their users, settings, how often what goes wrong, and what is done when.
//!
//! Everything is decided here but the small delays, so that a scenario can be made shorter action by action
//! ([`shrink`](crate::shrink)) and stays the same scenario otherwise.

use std::fmt;

use tidewire_core::model::schema::{DeleteConflict, Strategy};

use crate::random::Random;

/// A whole run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Where it comes from, and what the small delays are drawn from.
    pub seed: u64,
    /// What does not change while it runs.
    pub setup: Setup,
    /// What is done, in the order of time.
    pub actions: Vec<Timed>,
}

/// An action and its moment.
#[derive(Debug, Clone)]
pub struct Timed {
    /// Since the beginning.
    pub at_ms: u64,
    /// What is done.
    pub action: Action,
}

/// What does not change.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Each with a store of its own.
    pub devices: Vec<DeviceSetup>,
    /// Of the collection `notes`.
    pub strategy: Strategy,
    /// Delete against update there.
    pub deletes: DeleteConflict,
    /// Rows between two checkpoints of a pull.
    pub page: usize,
    /// Bytes of a push that the live channel takes; 0: none.
    pub channel_push_bytes: usize,
    /// Whether there is a live channel.
    pub channel: bool,
    /// The longest delays, in microseconds: of the disk, the network, messages between tabs.
    pub delays: Delays,
    /// How often what goes wrong.
    pub rates: Rates,
    /// How long a text each note has besides: with long ones logs are sealed into segments, and those swept.
    pub pad: usize,
}

/// One device.
#[derive(Debug, Clone)]
pub struct DeviceSetup {
    /// Who is signed in on it.
    pub user: usize,
    /// Tabs at the beginning.
    pub tabs: usize,
    /// Its clock against the server's.
    pub offset_ms: i64,
    /// How much faster its clock runs, in millionths.
    pub drift_ppm: i64,
}

/// The longest delays, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Delays {
    /// Of one store operation.
    pub disk_us: u64,
    /// Of one way through the network.
    pub network_us: u64,
    /// Of a message to another tab.
    pub tabs_us: u64,
}

/// How often what goes wrong, out of a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    /// A request never arrives.
    pub request_lost: u32,
    /// It is carried out, and the answer is lost.
    pub answer_lost: u32,
    /// It arrives twice.
    pub request_twice: u32,
    /// Nothing ever comes back, not even an error.
    pub silent: u32,
    /// It is answered with a status of failure.
    pub status: u32,
    /// A captive portal answers.
    pub portal: u32,
    /// The answer is cut.
    pub cut: u32,
    /// The answer is much later than others.
    pub late: u32,
    /// A frame is lost, and so is its channel.
    pub frame_lost: u32,
    /// A message between tabs never arrives.
    pub message_lost: u32,
    /// A store operation fails.
    pub store_failed: u32,
    /// A store operation is carried out and reported as failed.
    pub store_unreported: u32,
}

/// What is done. `device`, `tab`, `pick` and the like are taken modulo what there is.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the fields are named in the line above each")]
pub enum Action {
    /// A new note, the user's own or everybody's.
    Insert { device: usize, tab: usize, private: bool },
    /// New values in some of a note's fields.
    Set { device: usize, tab: usize, pick: usize, fields: u8 },
    /// A field of a note is removed.
    Unset { device: usize, tab: usize, pick: usize, field: u8 },
    /// An item is added to the tags of a note.
    Tag { device: usize, tab: usize, pick: usize },
    /// A note is deleted.
    Delete { device: usize, tab: usize, pick: usize },
    /// Two notes in one transaction.
    Pair { device: usize, tab: usize, picks: (usize, usize), field: u8 },
    /// An amount moves from one account to another, in one transaction.
    Transfer { device: usize, tab: usize, from: usize, to: usize, amount: u64 },
    /// The newest write of a tab is taken back.
    Undo { device: usize, tab: usize },
    /// A conflict that waits is decided: mine, or what stands.
    Decide { device: usize, tab: usize, mine: bool },
    /// Everything that waits is tried at once.
    Now { device: usize, tab: usize },
    /// Another tab.
    OpenTab { device: usize },
    /// A tab is closed as browsers do.
    CloseTab { device: usize, tab: usize },
    /// A tab is gone between two instructions.
    KillTab { device: usize, tab: usize },
    /// The browser is gone, and comes back.
    KillBrowser { device: usize, for_ms: u64 },
    /// A tab runs nothing, and keeps its lock.
    Freeze { device: usize, tab: usize, for_ms: u64 },
    /// The device says that it is offline.
    Offline { device: usize, for_ms: u64 },
    /// What is sent arrives nowhere: up, down or both.
    BlackHole { device: usize, up: bool, down: bool, for_ms: u64 },
    /// The live channel of a device closes.
    CutChannel { device: usize },
    /// A device's clock jumps.
    Jump { device: usize, by_ms: i64 },
    /// The server is away.
    ServerDown { for_ms: u64 },
    /// Tombstones and marks are given up.
    Prune,
    /// A copy of the server's data is made.
    Backup,
    /// The server goes back to its copy.
    Restore,
    /// A device's storage is deleted while it is open.
    Wipe { device: usize },
    /// ... or emptied, as developer tools do: the database stays open, and its keys go on.
    Clear { device: usize },
    /// A device's storage is copied to a new device of the same user.
    Clone { device: usize },
    /// The policy of the server changes its version.
    Policy,
}

/// Faults that still break an invariant in some seeds, by what `docs/TESTING.md` says of each: a campaign leaves them
/// out unless it is told otherwise.
pub const UNSETTLED: [&str; 1] = ["clear"];

impl Scenario {
    /// The scenario of a seed.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed, 1);
        let setup = Setup::draw(&mut random);
        let actions = actions(&mut Random::new(seed, 2), &setup);
        Self { seed, setup, actions }
    }

    /// How many of its actions go against the system.
    pub fn injections(&self) -> usize {
        self.actions.iter().filter(|timed| timed.action.is_fault()).count()
    }
}

impl Setup {
    fn draw(random: &mut Random) -> Self {
        let users = random.between(1, 3) as usize;
        let devices = random.between(2, 5) as usize;
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

    /// All of them with their names, for the trace and for making a scenario smaller.
    pub fn all(&mut self) -> [(&'static str, &mut u32); 12] {
        [
            ("request-lost", &mut self.request_lost),
            ("answer-lost", &mut self.answer_lost),
            ("request-twice", &mut self.request_twice),
            ("silent", &mut self.silent),
            ("status", &mut self.status),
            ("portal", &mut self.portal),
            ("cut", &mut self.cut),
            ("late", &mut self.late),
            ("frame-lost", &mut self.frame_lost),
            ("message-lost", &mut self.message_lost),
            ("store-failed", &mut self.store_failed),
            ("store-unreported", &mut self.store_unreported),
        ]
    }
}

/// How often an action is drawn, and what makes one.
type Draw = fn(&mut Random) -> Action;

const WRITES: [(u64, Draw); 10] = [
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
    (4, |r| Action::Undo { device: r.index(8), tab: r.index(8) }),
    (6, |r| Action::Decide { device: r.index(8), tab: r.index(8), mine: r.chance(500) }),
    (2, |r| Action::Now { device: r.index(8), tab: r.index(8) }),
];

const FAULTS: [(u64, Draw); 17] = [
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
];

/// A run has some kinds of faults, not all: see [`Rates::draw`].
fn actions(random: &mut Random, setup: &Setup) -> Vec<Timed> {
    let writes = random.between(100, 150);
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
        actions.push(Timed { at_ms, action: draw(random, WRITES.iter()) });
    }
    for _ in 0..faults {
        let at_ms = random.below(span_ms);
        actions.push(Timed { at_ms, action: draw(random, kinds.iter().copied()) });
    }
    actions.sort_by_key(|timed| timed.at_ms);
    actions
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

impl Action {
    /// Whether it is no work of the user's.
    pub fn is_fault(&self) -> bool {
        !matches!(
            self,
            Self::Insert { .. }
                | Self::Set { .. }
                | Self::Unset { .. }
                | Self::Tag { .. }
                | Self::Delete { .. }
                | Self::Pair { .. }
                | Self::Transfer { .. }
                | Self::Undo { .. }
                | Self::Decide { .. }
                | Self::Now { .. }
        )
    }

    /// Its kind, as the distribution of a campaign counts it.
    pub fn kind(&self) -> String {
        let text = format!("{self:?}");
        text.split([' ', '{']).next().unwrap_or_default().to_lowercase()
    }
}

impl fmt::Display for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>8} ms  {:?}", self.at_ms, self.action)
    }
}
