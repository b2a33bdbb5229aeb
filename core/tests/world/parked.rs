//! Devices whose edits met each other.

use tidewire_core::ids::CollectionName;
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::model::schema::{CollectionSettings, Strategy};

use super::{World, insert, set, world};

/// Ada on two devices and Bob on one, who all know `d1`. Under `manual`, unless said otherwise.
pub struct Three {
    pub world: World,
    pub ada: usize,
    pub also_ada: usize,
    pub bob: usize,
}

pub fn three(strategy: Strategy) -> Three {
    let mut world = world();
    let settings = CollectionSettings { conflict: strategy, ..CollectionSettings::default() };
    world.server.policy.settings.insert(CollectionName::parse("deals").unwrap(), settings);
    let (ada, also_ada) = (world.device(), world.device());
    world.user = "bob".into();
    let bob = world.device();
    world.write(ada, insert("d1", json!({"f": "old", "g": "old", "o": {"x": 1, "y": 1}})));
    world.run(1_000);
    Three { world, ada, also_ada, bob }
}

/// Ada's edits met Bob's of the same fields, which arrived first: hers wait.
pub fn parked(fields: &[&str]) -> Three {
    let mut three = three(Strategy::Manual);
    three.collide(fields);
    three
}

pub trait OnlineLast {
    /// The network is back; what this device has to say arrives after everybody else's.
    fn online_last(&mut self, tab: usize);
}

impl OnlineLast for World {
    fn online_last(&mut self, tab: usize) {
        self.freeze(tab);
        self.set_network(true);
        self.run(5_000);
        self.thaw(tab);
        self.run(30_000);
    }
}

impl Three {
    /// Bob's values of these fields arrive first, then Ada's, who had not seen them.
    pub fn collide(&mut self, fields: &[&str]) {
        let Self { world, ada, bob, .. } = self;
        world.set_network(false);
        world.run(10);
        for field in fields {
            world.write(*bob, set("d1", field, "bob's"));
            world.write(*ada, set("d1", field, "ada's"));
        }
        world.settle();
        world.online_last(*ada);
    }

    pub fn fields(&self, tab: usize) -> Value {
        let row = self.world.row(tab, "d1").unwrap();
        json!([row["f"], row["g"], row["$sync"]["status"]])
    }

    /// Everybody's view of `f`.
    pub fn all(&self) -> [Value; 3] {
        [self.ada, self.also_ada, self.bob].map(|tab| self.world.row(tab, "d1").unwrap()["f"].clone())
    }
}

/// Conflicts in a state: what is mine, what stands against it.
pub fn conflicts(world: &World, tab: usize, state: &str) -> Vec<Value> {
    let all = world.view(tab, "conflicts");
    all.as_array().unwrap().iter().filter(|one| one["state"] == state).cloned().collect()
}

pub fn ids(world: &World, tab: usize, state: &str) -> Vec<Value> {
    conflicts(world, tab, state).iter().map(|one| one["id"].clone()).collect()
}

/// The edit that a decision is: what it sets, made against what stands.
pub fn decide(world: &World, tab: usize, state: &str, fields: Value) -> Value {
    json!({"op": "patch", "c": "deals", "id": "d1", "set": fields, "resolves": ids(world, tab, state)})
}

pub fn last_pushed(world: &World, tab: usize) -> Value {
    world.tabs[tab].pushes.last().unwrap()["mutations"].as_array().unwrap().last().unwrap()["m"].clone()
}

pub fn undo(world: &mut World, tab: usize, write: u64) -> u64 {
    let done = world.tabs[tab].engine.undo(world.now, write).unwrap();
    json::parse(done.as_bytes(), json::JsonLimits::MESSAGE).unwrap()["write"].as_u64().unwrap()
}
