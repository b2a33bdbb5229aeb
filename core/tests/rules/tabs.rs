//! Several tabs of one profile: whoever leads is alive, and nothing is sent twice.

use crate::world;

use tidewire_core::json;
use tidewire_core::limits::{LEADER_ANSWER_MS, LEADER_SILENT_MS, SEAL_RECORDS_FORCED};
use tidewire_core::log::record::Record;
use world::browser::{Random, Weather};
use world::{World, inc, insert, world};

/// A leader and a follower that know `d1`.
fn two_tabs() -> (World, usize, usize) {
    let mut world = world();
    let leader = world.device();
    let follower = world.tab(0);
    world.write(leader, insert("d1", json!({"n": 0})));
    world.run(2_000);
    assert_eq!(leads(&world, leader), (true, false));
    (world, leader, follower)
}

fn leads(world: &World, tab: usize) -> (bool, bool) {
    let leader = |tab: usize| world.view(tab, "status")["leader"] == true;
    (leader(tab), leader(1 - tab))
}

#[test]
fn a_frozen_leader_is_replaced_within_half_a_minute_and_nothing_is_sent_twice() {
    let (mut world, leader, follower) = two_tabs();
    // It froze with an increment that it was about to push.
    world.write(leader, inc("d1", "/n", 1));
    world.settle();
    world.freeze(leader);
    world.write(follower, inc("d1", "/n", 1));
    world.run(30_000);
    assert!(leads(&world, follower).0, "the follower took the lead");
    assert_eq!(world.server.store.entities.len(), 1);
    let stored = |world: &World| world.row(follower, "d1").unwrap();
    assert_eq!(world.view(follower, "status")["pending"], 0);
    assert_eq!(stored(&world)["n"], 2);

    world.run(300_000);
    world.thaw(leader);
    world.write(leader, inc("d1", "/n", 1));
    world.run(30_000);
    assert_eq!(leads(&world, follower), (true, false), "the old leader follows");
    assert_eq!(world.view(leader, "status")["pending"], 0);
    assert_eq!(stored(&world)["n"], 3);
    assert_eq!(world.row(leader, "d1").unwrap()["n"], 3);
}

#[test]
fn a_leader_that_answers_is_never_robbed() {
    let (mut world, leader, follower) = two_tabs();
    world.run(3_600_000);
    assert_eq!(leads(&world, leader), (true, false));
    // Nor by a tab that was frozen itself, and only now hears what was said.
    world.freeze(follower);
    world.run(600_000);
    world.thaw(follower);
    world.run(60_000);
    assert_eq!(leads(&world, leader), (true, false));
}

#[test]
fn of_three_tabs_one_leads_after_a_freeze() {
    let (mut world, leader, _) = two_tabs();
    let third = world.tab(0);
    world.freeze(leader);
    world.run(60_000);
    let leaders = [1, third].into_iter().filter(|tab| world.view(*tab, "status")["leader"] == true).count();
    assert_eq!(leaders, 1);
    world.write(third, inc("d1", "/n", 5));
    world.run(10_000);
    assert_eq!(world.row(1, "d1").unwrap()["n"], 5);
    assert_eq!(world.view(third, "status")["pending"], 0);
}

#[test]
fn rule_1_three_tabs_that_write_at_once_get_numbers_of_their_own_and_one_socket() {
    let (mut world, _, _) = two_tabs();
    let third = world.tab(0);
    let tabs = [0, 1, third];
    for round in 0..20 {
        for tab in tabs {
            world.write(tab, inc("d1", "/n", 1));
            world.write(tab, insert(&format!("d-{tab}-{round}"), json!({"by": tab})));
        }
        // All three have their append in flight at once.
        world.settle();
    }
    world.run(10_000);
    let numbers: Vec<_> = world.tabs.iter().flat_map(|tab| &tab.pushes).flat_map(numbers_of).collect();
    let mut unique = numbers.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), numbers.len(), "no number stands for two mutations");
    assert_eq!(world.server.store.entities.len(), 61);
    for tab in tabs {
        assert_eq!(world.row(tab, "d1").unwrap()["n"], 60);
        assert_eq!(world.view(tab, "status")["pending"], 0);
        for other in tabs {
            let id = format!("d-{other}-19");
            assert_eq!(world.row(tab, &id), world.row(third, &id));
        }
    }
    assert_eq!(world.tabs.iter().filter(|tab| tab.socket.is_some()).count(), 1, "one socket per profile");
}

fn numbers_of(push: &json::Value) -> Vec<String> {
    push["mutations"].as_array().unwrap().iter().map(|mutation| mutation["n"].to_string()).collect()
}

#[test]
fn a_follower_that_slept_through_a_seal_catches_up_when_it_wakes() {
    let (mut world, leader, follower) = two_tabs();
    world.freeze(follower);
    for n in 0..1_200 {
        world.write(leader, insert(&format!("new{n}"), json!({"n": n})));
        if n % 50 == 0 {
            world.run(100);
        }
    }
    world.write(leader, inc("d1", "/n", 7));
    world.run(7_200_000);
    assert!(world.disks[0].seals > 0, "what the follower knows of the log is gone");
    world.thaw(follower);
    world.run(1_000);
    assert_eq!(world.row(follower, "d1").unwrap()["n"], 7);
    assert_eq!(world.row(follower, "new1199").unwrap()["n"], 1_199);
    assert_eq!(leads(&world, leader), (true, false));
    world.write(follower, inc("d1", "/n", 1));
    world.run(5_000);
    assert_eq!(world.row(leader, "d1").unwrap()["n"], 8);
}

/// Within this time somebody leads, wherever somebody could: the silence, the answer that does not come, and what the
/// weather keeps.
const TAKEOVER_MS: u64 = LEADER_SILENT_MS + LEADER_ANSWER_MS + 2_000;

/// A profile of an insecure context with so many tabs.
fn without_locks(tabs: usize, weather: Weather) -> World {
    let mut world = world();
    world.browser.lockless = true;
    world.browser.weather = Some(weather);
    world.profile();
    for _ in 0..tabs {
        world.tab(0);
        world.run(3_000);
    }
    world.write(0, insert("d1", json!({"n": 0})));
    world.run(5_000);
    world
}

fn leaders(world: &World) -> Vec<usize> {
    let runs = |tab: &usize| !world.tabs[*tab].dead && world.tabs[*tab].frozen.is_none();
    (0..world.tabs.len()).filter(runs).filter(|tab| world.view(*tab, "status")["leader"] == true).collect()
}

#[test]
fn without_locks_of_two_tabs_that_rise_at_once_the_later_one_leads() {
    let mut world = without_locks(3, Weather { delay_ms: 5, ..Weather::new(1) });
    assert_eq!(leaders(&world), [2]);
    world.kill(2);
    world.run(TAKEOVER_MS);
    assert_eq!(leaders(&world).len(), 1);
}

#[test]
fn without_locks_a_lead_that_was_sealed_away_unread_counts() {
    let mut world = without_locks(1, Weather { delay_ms: 5, deaf: true, ..Weather::new(1) });
    world.tab(0);
    // The first tab writes between what the new one has read and its `Lead`, so that this must read again.
    let is_lead = |bytes: &&Vec<u8>| **bytes == Record::Lead.encode();
    while world.disks[0].log.values().filter(is_lead).count() < 2 {
        world.write(0, inc("d1", "/n", 1));
        world.run(1);
    }
    world.freeze(1);
    world.run(100);
    assert!(world.tabs[1].opened && leaders(&world).is_empty());
    let before = world.disks[0].appends;
    while world.disks[0].seals == 0 {
        world.write(0, inc("d1", "/n", 1));
        world.run(12);
    }
    assert!(world.disks[0].appends > before + 500, "sealed because it was overdue");
    world.kill(0);
    world.thaw(1);
    world.run(1_000);
    assert_eq!(leaders(&world), [1]);
}

#[test]
fn without_locks_a_tab_that_slept_does_not_pass_for_the_leader_when_it_wakes() {
    let mut world = without_locks(2, Weather::new(1));
    world.freeze(1);
    world.run(TAKEOVER_MS);
    assert_eq!(leaders(&world), [0]);
    let follower = world.tab(0);
    let leader = world.tab(0);
    world.run(1_000);
    assert_eq!(leaders(&world), [leader]);
    world.kill(0);
    world.kill(leader);
    world.run(15_000);
    // It wakes, says what it believes, sees that it leads no more, and is frozen again.
    world.thaw(1);
    world.settle();
    world.freeze(1);
    world.run(TAKEOVER_MS - 15_000);
    assert_eq!(leaders(&world), [follower]);
}

/// Up to four tabs of one profile without locks, and what happens to them.
struct Storm {
    world: World,
    random: Random,
    tabs: Vec<usize>,
    /// Since when each tab has run, when somebody last led, and since when two do.
    awake_since: Vec<u64>,
    led_ms: u64,
    two_since: Option<u64>,
    /// Of each tab, how often its app was told of the status, and whether it leads.
    told: Vec<(usize, bool)>,
    writes: u64,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let delay_ms = [0, 5, 300][random.below(3) as usize];
        let (deaf, lost) = (random.below(2) == 0, random.below(2) * 20);
        let world = without_locks(1, Weather { delay_ms, deaf, lost, ..Weather::new(seed + 1_000_000) });
        let now = world.now.mono_ms;
        let (tabs, awake_since, told) = (vec![0], vec![now], Vec::new());
        Self { world, random, tabs, awake_since, led_ms: now, two_since: None, told, writes: 0 }
    }

    fn open(&mut self) {
        self.tabs.push(self.world.tab(0));
        self.awake_since.push(self.world.now.mono_ms);
    }

    fn kill(&mut self, index: usize) {
        self.world.kill(self.tabs.remove(index));
    }

    fn is_frozen(&self, tab: usize) -> bool {
        self.world.tabs[tab].frozen.is_some()
    }

    fn thaw(&mut self, tab: usize) {
        if self.is_frozen(tab) {
            self.awake_since[tab] = self.world.now.mono_ms;
            self.world.thaw(tab);
        }
    }

    /// A row of its own and one more in `n`, both or neither.
    fn write(&mut self, tab: usize) {
        if !self.is_frozen(tab) && self.world.row(tab, "d1").is_some() {
            self.writes += 1;
            let row = insert(&format!("w{}", self.writes), json!({"by": tab}));
            self.world.write_all(tab, true, json!([row, inc("d1", "/n", 1)]));
        }
    }

    fn happen(&mut self) {
        let index = self.random.below(self.tabs.len() as u64) as usize;
        let tab = self.tabs[index];
        match self.random.below(8) {
            0 if self.tabs.len() < 4 => self.open(),
            1 => {
                self.kill(index);
                self.open();
            }
            2 if self.tabs.len() > 1 => self.kill(index),
            3 | 4 if self.is_frozen(tab) => self.thaw(tab),
            3 => self.world.freeze(tab),
            _ => self.write(tab),
        }
        let most = [0, 20, 1_000, 12_000, 30_000][self.random.below(5) as usize];
        let ms = self.random.below(most + 1);
        self.run(ms);
    }

    /// Lets time pass and watches who leads.
    fn run(&mut self, ms: u64) {
        self.world.settle();
        self.watch();
        for passed in (0..ms).step_by(250) {
            self.world.run((ms - passed).min(250));
            self.watch();
        }
    }

    fn watch(&mut self) {
        let now = self.world.now.mono_ms;
        let leaders = leaders(&self.world);
        for tab in 0..self.world.tabs.len() {
            let leads = self.world.view(tab, "status")["leader"] == true;
            let told = (self.world.events(tab, "status").len(), leads);
            if self.told.len() == tab {
                self.told.push(told);
            } else if !self.is_frozen(tab) && !self.world.tabs[tab].dead {
                let before = std::mem::replace(&mut self.told[tab], told);
                assert!(before.1 == told.1 || before.0 < told.0, "tab {tab} does not say whether it leads");
            }
        }
        if leaders.is_empty() {
            let awake = self.tabs.iter().filter(|tab| !self.is_frozen(**tab));
            let longest = awake.map(|tab| now - self.awake_since[*tab].max(self.led_ms)).max();
            assert!(longest.is_none_or(|ms| ms <= TAKEOVER_MS), "nobody leads");
        } else {
            self.led_ms = now;
        }
        let is_reliable = self.world.browser.weather.as_ref().unwrap().lost == 0;
        if leaders.len() < 2 {
            self.two_since = None;
        } else if is_reliable {
            let since = *self.two_since.get_or_insert(now);
            assert!(now - since <= 2_000, "{leaders:?} lead at the same time");
        }
    }

    /// Everybody wakes and writes, and no message is lost any more: one leads, and what was written counts once.
    fn pass(&mut self) {
        self.world.browser.weather.as_mut().unwrap().lost = 0;
        for tab in self.tabs.clone() {
            self.thaw(tab);
        }
        self.run(60_000);
        for tab in self.tabs.clone() {
            self.write(tab);
        }
        self.run(60_000);
        assert_eq!(leaders(&self.world).len(), 1);
        let stored = &self.world.server.store.entities;
        let is_row = |id: &str| stored.keys().any(|(_, stored)| stored.as_str() == id);
        let rows = (1..=self.writes).filter(|write| is_row(&format!("w{write}"))).count();
        let durable: usize = (0..self.world.tabs.len()).map(|tab| self.world.events(tab, "durable").len()).sum();
        assert!(rows + 1 >= durable, "what is durable arrives: {durable} with the first row, {rows} without");
        for tab in &self.tabs {
            assert_eq!(self.world.row(*tab, "d1").unwrap()["n"], rows);
            assert_eq!(self.world.view(*tab, "status")["pending"], 0);
        }
    }
}

#[test]
fn without_locks_somebody_leads_and_every_write_counts_once_whatever_happens_to_the_tabs() {
    let seeds = if std::env::var_os("TIDEWIRE_LONG").is_some() { 5_000 } else { 24 };
    for seed in 0..seeds {
        let passed = std::panic::catch_unwind(|| {
            let mut storm = Storm::new(seed);
            for _ in 0..40 {
                storm.happen();
            }
            storm.pass();
        });
        assert!(passed.is_ok(), "seed {seed}");
    }
}

#[test]
fn a_tab_without_all_of_its_code_writes_and_follows_and_leads_when_it_has_it() {
    let mut world = world();
    let tab = world.device_in_part();
    for n in 0..=SEAL_RECORDS_FORCED {
        world.write(tab, insert(&format!("d{n}"), json!({"n": n})));
        world.settle();
    }
    // Long enough for a follower to take the lead of a leader that is silent.
    world.run(2 * (LEADER_SILENT_MS + LEADER_ANSWER_MS));
    assert_eq!(world.row(tab, "d1").unwrap()["n"], 1);
    assert_eq!(world.view(tab, "status")["leader"], false);
    assert!(world.disks[0].segments.is_empty(), "it has sealed nothing");
    assert!(world.server.store.entities.is_empty(), "it has sent nothing");

    world.complete(tab);
    world.run(10_000);
    assert_eq!(world.view(tab, "status")["leader"], true);
    assert!(!world.disks[0].segments.is_empty());
    assert_eq!(world.server.store.entities.len(), SEAL_RECORDS_FORCED + 1);
}
