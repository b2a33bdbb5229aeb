//! What frames of the live channel add up to, while who sees what changes with the data.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::live::{Live, Socket};
use common::{Server, delete, insert, patch, rev};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tidewire_server::Timeouts;

const TOML: &str = r#"
[collections.deals]
groups = ["team:{teamId}", "tenant & role:auditor"]
[collections.members]
groups = ["team:{teamId}", "user:{userId}", "tenant & role:admin"]
write.insert = ["role:admin"]
write.update = ["role:admin"]
write.delete = ["role:admin"]
membership = { user = "userId", gives = ["team:{teamId}"] }
"#;

const COLLECTIONS: [&str; 2] = ["deals", "members"];

/// A reader as a device is one: it applies a frame that continues its cursor, and else pulls.
struct Device {
    user: &'static str,
    token: String,
    socket: Socket,
    cursor: Value,
    /// By collection and id; with the groups through which it is seen.
    rows: BTreeMap<(String, String), Value>,
    frames: usize,
    /// Ids of documents that were sent, and of those that might be, since he caught up last.
    got: BTreeSet<String>,
    seen: BTreeSet<String>,
}

impl Device {
    async fn start(live: &Live, user: &'static str, token: String) -> Self {
        let auth = json!({"t": "auth", "v": 1, "token": token, "replica": "reader", "collections": COLLECTIONS});
        let (socket, _) = live.ready(auth).await;
        let mut device = Self {
            user,
            token,
            socket,
            cursor: Value::Null,
            rows: BTreeMap::new(),
            frames: 0,
            got: BTreeSet::new(),
            seen: BTreeSet::new(),
        };
        device.pull(&live.server).await;
        device
    }

    async fn pull(&mut self, server: &Server) {
        let before = Some(&self.cursor).filter(|cursor| !cursor.is_null());
        let pulled = server.pull(&self.token, before, &COLLECTIONS).await;
        if pulled.header.get("reset").is_some() {
            self.rows.clear();
        }
        for group in pulled.header.get("forget_groups").and_then(Value::as_array).into_iter().flatten() {
            for row in self.rows.values_mut() {
                row["g"].as_array_mut().expect("groups").retain(|one| one != group);
            }
        }
        self.rows.retain(|_, row| row["g"] != json!([]));
        self.apply(&pulled.changes);
        self.cursor = pulled.cursor().clone();
    }

    fn apply(&mut self, changes: &[Value]) {
        for change in changes {
            let key = (change["c"].as_str().expect("c").to_owned(), change["id"].as_str().expect("id").to_owned());
            if change.get("doc").is_some() {
                self.got.insert(key.1.clone());
                self.rows.insert(key, change.clone());
            } else {
                self.rows.remove(&key);
            }
        }
    }

    /// Hears all that was said so far, up to the answer to a ping.
    async fn catch_up(&mut self, server: &Server) {
        self.socket.say(&json!({"t": "ping"})).await;
        loop {
            let heard = self.socket.hear().await;
            match heard["t"].as_str().expect("a type") {
                "pong" => break,
                "frame" if heard["after"] == self.cursor => {
                    self.frames += 1;
                    self.apply(heard["changes"].as_array().expect("changes"));
                    self.cursor = heard["cursor"].clone();
                }
                "frame" | "pull" => self.pull(server).await,
                other => panic!("{other}"),
            }
        }
        let (got, seen) = (std::mem::take(&mut self.got), std::mem::take(&mut self.seen));
        assert!(got.is_subset(&seen), "{} was sent {got:?}, and might see {seen:?}", self.user);
    }

    /// Notes what he may see at this moment.
    fn note(&mut self, all: &BTreeMap<(String, String), Value>) {
        self.seen.extend(visible(self.user, self.roles(), all).into_iter().map(|(id, _)| id.to_owned()));
    }

    fn roles(&self) -> &'static [&'static str] {
        if self.user == "eve" { &["auditor"] } else { &[] }
    }
}

/// What a reader may see, worked out from all the data by hand.
fn visible<'a>(user: &str, roles: &[&str], all: &'a BTreeMap<(String, String), Value>) -> Vec<(&'a str, &'a Value)> {
    let member = |doc: &Value| doc["userId"] == user;
    let teams: Vec<&str> = all
        .iter()
        .filter(|((collection, _), doc)| collection == "members" && member(doc))
        .filter_map(|(_, doc)| doc["teamId"].as_str())
        .collect();
    let sees = |(collection, doc): (&str, &Value)| {
        let in_team = doc["teamId"].as_str().is_some_and(|team| teams.contains(&team));
        let by_role = roles.contains(&if collection == "deals" { "auditor" } else { "admin" });
        in_team || by_role || collection == "members" && member(doc)
    };
    all.iter()
        .map(|((collection, id), doc)| (collection.as_str(), id, doc))
        .filter(|(c, _, doc)| sees((c, doc)))
        .map(|(_, id, doc)| (id.as_str(), doc))
        .collect()
}

/// Moves, memberships and revocations at random: what frames add up to is what a pull gives, which is what the rules
/// say; and nobody is sent a row that he may not see at that moment.
#[tokio::test]
async fn rule_27_frames_add_up_to_the_pull_whatever_changes_in_the_policys_data() {
    for seed in 0..6 {
        let mut random = StdRng::seed_from_u64(seed);
        let live = Live::start_with(TOML, Timeouts::default()).await;
        let server = &live.server;
        let admin = server.token_as("root", &["admin", "auditor"], None);
        let mut devices = Vec::new();
        for user in ["ann", "ben", "cem"] {
            devices.push(Device::start(&live, user, server.token(user)).await);
        }
        devices.push(Device::start(&live, "eve", server.token_as("eve", &["auditor"], None)).await);
        let mut all: BTreeMap<(String, String), Value> = BTreeMap::new();
        let mut revs: BTreeMap<(String, String), u64> = BTreeMap::new();
        for n in 1..=80_u64 {
            let is_deal = random.random_bool(0.5);
            let team = ["red", "blue", "green"][random.random_range(0..3)];
            let (collection, id) = match is_deal {
                true => ("deals", format!("d{}", random.random_range(0..8))),
                false => ("members", format!("m{}", random.random_range(0..6))),
            };
            let key = (collection.to_owned(), id.clone());
            let edit = match all.get(&key).cloned() {
                None => {
                    let user = ["ann", "ben", "cem", "eve"][random.random_range(0..4)];
                    let doc = match is_deal {
                        true => json!({"teamId": team, "canary": format!("CANARY{n}")}),
                        false => json!({"userId": user, "teamId": team, "role": "lead"}),
                    };
                    all.insert(key.clone(), doc.clone());
                    insert(collection, &id, doc)
                }
                // Nobody but a lead deletes a deal.
                Some(_) if !is_deal && random.random_bool(0.4) => {
                    all.remove(&key);
                    delete(collection, &id, revs[&key])
                }
                Some(mut doc) => {
                    let was = doc["teamId"].take();
                    doc["teamId"] = json!(team);
                    all.insert(key.clone(), doc);
                    patch(collection, &id, revs[&key], "/teamId", was, json!(team))
                }
            };
            let verdict = server.push(&admin, "root", n, &[edit]).await.remove(0);
            assert_ne!(verdict["verdict"], "rejected", "seed {seed}: {verdict}");
            revs.insert(key, rev(&verdict));
            let catches_up = random.random_bool(0.6);
            for device in &mut devices {
                device.note(&all);
                if catches_up {
                    device.catch_up(server).await;
                    device.note(&all);
                }
            }
        }
        for device in &mut devices {
            device.catch_up(server).await;
            let roles = device.roles();
            let held: Vec<(&str, &Value)> =
                device.rows.iter().map(|((_, id), row)| (id.as_str(), &row["doc"])).collect();
            let (user, frames) = (device.user, device.frames);
            assert_eq!(held, visible(user, roles, &all), "seed {seed}: {user} after {frames} frames");
            assert!(frames > 0, "seed {seed}: {user} was told by pulls only");
            let fresh = server.pull(&device.token, None, &COLLECTIONS).await;
            assert_eq!(fresh.ids().len(), device.rows.len(), "seed {seed}: {user}");
        }
    }
}
