//! A device with a row that the server has and an edit that it does not have yet.

use serde_json::{Value, json};

use super::world::{World, insert, set, world};

pub struct Device {
    pub world: World,
    pub tab: usize,
}

impl Device {
    /// `d1` is confirmed; `f` of it is changed and waits, as the network is gone.
    pub fn new(takes_pushes: bool) -> Self {
        let mut world = world();
        // What it does not get in answers it does not get in a pull that it makes for want of them.
        world.server.answers_only = true;
        world.server.push_bytes = if takes_pushes { 16 * 1_024 } else { 0 };
        let tab = world.device();
        world.write(tab, insert("d1", tidewire_core::json!({"f": "old", "g": [1, 2]})));
        world.run(2_000);
        world.set_network(false);
        world.write(tab, set("d1", "/f", "mine"));
        world.settle();
        Self { world, tab }
    }

    /// What the app sees, and what waits.
    pub fn seen(&self) -> Value {
        let row = self.world.row(self.tab, "d1");
        let queue = self.world.view(self.tab, "queue");
        let count = |list: &str| queue[list].as_array().map_or(0, Vec::len);
        let row: Value = row.map_or(Value::Null, |row| serde_json::from_str(&row.to_string()).expect("JSON"));
        json!({"f": row["f"], "g": row["g"], "pending": count("pending"), "failed": count("failed")})
    }

    /// What is to be seen while nothing good has come.
    pub fn waiting() -> Value {
        json!({"f": "mine", "g": [1, 2], "pending": 1, "failed": 0})
    }

    /// The codes of what was reported.
    pub fn told(&self) -> Vec<String> {
        let events = self.world.events(self.tab, "watchdog");
        events.iter().map(|event| event["code"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Good answers come again: everything drains, and both ends have the same.
    pub fn heals(&mut self) -> Result<(), String> {
        self.world.push_faults.clear();
        self.world.pull_faults.clear();
        self.world.said_faults.clear();
        self.world.set_network(true);
        let healed = json!({"f": "mine", "g": [1, 2], "pending": 0, "failed": 0});
        let mut seen = self.seen();
        for _ in 0..60 {
            self.world.run(if seen == healed { break } else { 3_000 });
            seen = self.seen();
        }
        if seen != healed {
            return Err(format!("does not heal: {seen}, told {:?}", self.told()));
        }
        let stored = self.world.server.store.entities.values().next().expect("a row").stored.doc.to_string();
        if stored.contains("mine") { Ok(()) } else { Err(format!("the server has {stored}")) }
    }

    /// Whatever came: it is still there, reads and writes, and opens again.
    pub fn lives(&mut self) -> Result<(), String> {
        self.world.set_network(true);
        self.world.run(5_000);
        let fresh = self.world.reload(self.tab);
        if !self.world.tabs[fresh].opened {
            return Err(format!("does not open again: {:?}", self.world.tabs[fresh].refused));
        }
        self.world.write(fresh, insert("d9", tidewire_core::json!({"f": 1})));
        self.world.run(5_000);
        match self.world.row(fresh, "d9") {
            Some(_) => Ok(()),
            None => Err("what is written is not there".into()),
        }
    }
}
