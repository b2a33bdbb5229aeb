//! Any policy, any writes that move rows between groups, any grants and revocations: who pulls as it goes holds what
//! who pulls at the end holds, which is what the policy says; and nobody is ever told of a row that he may not see.

use crate::common;

use common::reader::Reader;
use common::user;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tidewire_core::authority::memory::DeclaredPolicy;
use tidewire_core::authority::memory::server::MemoryServer;
use tidewire_core::json;
use tidewire_core::json::{JsonLimits, Value};
use tidewire_core::model::schema::{CollectionSettings, Strategy as Settled};

const USERS: [&str; 4] = ["ann", "ben", "cid", "dee"];
const RULES: [&str; 5] = ["tenant", "user:{owner}", "team:{team}", "team:{second}", "role:boss"];
const ROWS: usize = 5;
const DEALS: &str = "deals";

#[derive(Debug, Clone)]
enum Step {
    /// A user makes a row, moves it between groups, or writes its text, knowing it as it is or not at all.
    Write {
        who: usize,
        row: usize,
        owner: Option<usize>,
        team: Option<usize>,
        second: Option<usize>,
        knows: bool,
    },
    Delete {
        who: usize,
        row: usize,
    },
    /// ... into a team, or makes him a boss.
    Grant {
        who: usize,
        team: usize,
    },
    Revoke {
        who: usize,
        team: usize,
    },
    /// So many lines of it arrive.
    Pull {
        who: usize,
        lines: usize,
    },
    Listen {
        who: usize,
    },
    Frame {
        who: usize,
    },
    /// A push of before arrives again, from the same user.
    Again {
        which: usize,
    },
    /// Other rules.
    Policy(usize),
    /// Everything but the newest commit is past the horizon.
    Prune,
}

fn steps() -> impl Strategy<Value = (usize, Vec<Step>)> {
    let who = || 0..USERS.len();
    let team = || 0..3_usize;
    let some = |most: usize| prop::option::of(0..most);
    let step = prop_oneof![
        12 => (who(), 0..ROWS, some(4), some(3), some(3), any::<bool>())
            .prop_map(|(who, row, owner, team, second, knows)| Step::Write { who, row, owner, team, second, knows }),
        2 => (who(), 0..ROWS).prop_map(|(who, row)| Step::Delete { who, row }),
        4 => (who(), team()).prop_map(|(who, team)| Step::Grant { who, team }),
        4 => (who(), team()).prop_map(|(who, team)| Step::Revoke { who, team }),
        5 => (who(), prop_oneof![1..8_usize, Just(usize::MAX)]).prop_map(|(who, lines)| Step::Pull { who, lines }),
        2 => who().prop_map(|who| Step::Listen { who }),
        5 => who().prop_map(|who| Step::Frame { who }),
        3 => (0..8_usize).prop_map(|which| Step::Again { which }),
        1 => (1..32_usize).prop_map(Step::Policy),
        1 => Just(Step::Prune),
    ];
    (1..32_usize, prop::collection::vec(step, 1..60))
}

fn rules_of(mask: usize) -> Vec<&'static str> {
    RULES.into_iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1).map(|(_, rule)| rule).collect()
}

fn team_name(team: usize) -> String {
    if team == 2 { "role:boss".into() } else { format!("team:t{team}") }
}

fn policy(mask: usize) -> DeclaredPolicy {
    let settings = CollectionSettings { conflict: Settled::ServerWins, ..CollectionSettings::default() };
    let policy = DeclaredPolicy::default().collection(DEALS, &rules_of(mask)).unwrap();
    policy.settled_by(DEALS, settings).unwrap()
}

struct World {
    server: MemoryServer<DeclaredPolicy>,
    rules: usize,
    teams: Vec<Vec<usize>>,
    readers: Vec<Reader>,
    pushes: Vec<(usize, Value)>,
}

impl World {
    fn new(rules: usize) -> Self {
        let mut server = MemoryServer::new(policy(rules));
        server.page = 2;
        let reader = |name: &&str| Reader::new(user(name), &["$conflicts", DEALS]);
        let readers = USERS.iter().map(reader).collect();
        Self { server, rules, teams: vec![Vec::new(); USERS.len()], readers, pushes: Vec::new() }
    }

    /// The oracle: the groups through which a user sees a document, told by the words of the rules alone.
    fn sees(&self, who: usize, doc: &Value) -> Vec<String> {
        let text = |field: &str| doc.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_in = |team: &str| self.teams[who].iter().any(|known| team_name(*known) == format!("team:{team}"));
        let mut found = Vec::new();
        for rule in rules_of(self.rules) {
            match rule {
                "tenant" => found.push("tenant".to_owned()),
                "user:{owner}" if text("owner") == USERS[who] => found.push(format!("user:{}", USERS[who])),
                "team:{team}" if is_in(&text("team")) => found.push(format!("team:{}", text("team"))),
                "team:{second}" if is_in(&text("second")) => found.push(format!("team:{}", text("second"))),
                "role:boss" if self.teams[who].contains(&2) => found.push("role:boss".to_owned()),
                _ => {}
            }
        }
        found.sort();
        found.dedup();
        found
    }

    fn doc(&self, row: &str) -> Option<&Value> {
        let mut all = self.server.store.entities.iter();
        all.find(|((c, id), _)| c.as_str() == DEALS && id.as_str() == row).map(|(_, row)| &row.stored.doc)
    }

    /// Every secret says its row and who wrote it: it is told to him, and to who sees the row now.
    fn check_told(&self, who: usize, text: &str) -> Result<(), TestCaseError> {
        for secret in text.split("secret:").skip(1) {
            let mut parts = secret.split(':');
            let (row, author) = (parts.next().unwrap(), parts.next().unwrap());
            let sees = self.doc(row).is_none_or(|doc| !self.sees(who, doc).is_empty());
            prop_assert!(author == USERS[who] || sees, "{} is told {secret} in {text}", USERS[who]);
        }
        Ok(())
    }

    /// What a pull or a frame says of rows: the groups are the reader's, and all of them.
    fn check_groups(&self, who: usize, text: &str) -> Result<(), TestCaseError> {
        let value = json::parse(text.as_bytes(), JsonLimits::MESSAGE).unwrap();
        let of_frame = value.get("changes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for change in of_frame.iter().chain(value.get("rev").is_some().then_some(&value)) {
            if change["c"] != DEALS {
                continue;
            }
            let named = change.get("g").cloned().unwrap_or_else(|| json!([]));
            let expected = self.doc(change["id"].as_str().unwrap()).map(|doc| self.sees(who, doc));
            prop_assert_eq!(&named, &json!(expected.unwrap_or_default()), "groups in {}", text);
        }
        Ok(())
    }

    fn push(&mut self, who: usize, edit: Value) -> Result<(), TestCaseError> {
        let n = self.pushes.len() + 1;
        let push = json!({"v": 1, "replica": USERS[who], "floor": [0, 0], "fence": 0, "now": n,
                          "mutations": [{"n": [n, 0], "m": edit}]});
        self.pushes.push((who, push.clone()));
        self.send(who, &push)
    }

    fn send(&mut self, who: usize, push: &Value) -> Result<(), TestCaseError> {
        let answer = self.server.push_text(&user(USERS[who]), &push.to_string(), self.pushes.len() as u64).unwrap();
        self.check_told(who, &answer)
    }

    fn write(&mut self, at: usize, step: &Step) -> Result<(), TestCaseError> {
        let Step::Write { who, row, owner, team, second, knows } = *step else { return Ok(()) };
        let row = format!("r{row}");
        let secret = format!("secret:{row}:{}:{at}:", USERS[who]);
        let mut set = json!({"/text": secret});
        let fields = [
            ("owner", owner.map(|user| USERS[user].to_owned())),
            ("team", team.map(|team| format!("t{team}"))),
            ("second", second.map(|team| format!("t{team}"))),
        ];
        for (field, value) in fields {
            if let Some(value) = value {
                set[&format!("/{field}")] = value.into();
            }
        }
        let stored = self.server.store.entities.iter().find(|((_, id), _)| id.as_str() == row);
        let (kind, base, was) = match stored {
            Some((_, row)) if !row.stored.deleted && knows => {
                let stood =
                    |(path, _): (&str, &Value)| Some((path.to_owned(), row.stored.doc.get(&path[1..])?.clone()));
                let paths = set.as_object().unwrap().iter();
                let was: Vec<_> = paths.filter_map(|(path, value)| stood((path, value))).collect();
                ("patch", row.stored.rev, was)
            }
            Some((_, row)) if !row.stored.deleted => ("patch", 0, Vec::new()),
            _ => ("insert", 0, Vec::new()),
        };
        let mut edit = json!({"c": DEALS, "id": row, "kind": kind, "base": base, "at": [at, 0], "set": set});
        for (path, value) in was {
            edit["was"][path.as_str()] = value;
        }
        self.push(who, edit)
    }

    fn step(&mut self, at: usize, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Write { .. } => self.write(at, step)?,
            Step::Delete { who, row } => {
                let row = format!("r{row}");
                let edit = json!({"c": DEALS, "id": row, "kind": "delete", "base": 0, "at": [at, 0]});
                self.push(who, edit)?;
            }
            Step::Grant { who, team } => {
                self.teams[who].push(team);
                self.server.policy.grant(USERS[who], &team_name(team)).unwrap();
            }
            Step::Revoke { who, team } => {
                self.teams[who].retain(|known| *known != team);
                self.server.policy.revoke(USERS[who], &team_name(team)).unwrap();
            }
            Step::Pull { who, lines } => self.readers[who].pull(&self.server, lines),
            Step::Listen { who } => self.readers[who].listen(&self.server),
            Step::Frame { who } => {
                self.readers[who].hear(&self.server);
            }
            Step::Again { which } if !self.pushes.is_empty() => {
                let (who, push) = self.pushes[which % self.pushes.len()].clone();
                self.send(who, &push)?;
            }
            Step::Again { .. } => {}
            Step::Policy(rules) => {
                self.rules = rules;
                let mut other = policy(rules);
                for (who, teams) in self.teams.iter().enumerate() {
                    for team in teams {
                        other.grant(USERS[who], &team_name(*team)).unwrap();
                    }
                }
                self.server.policy = other;
                self.server.regroup();
            }
            Step::Prune => self.server.prune(),
        }
        for who in 0..USERS.len() {
            for text in std::mem::take(&mut self.readers[who].told) {
                self.check_told(who, &text)?;
                self.check_groups(who, &text)?;
            }
        }
        Ok(())
    }

    fn check_end(&mut self) -> Result<(), TestCaseError> {
        for (who, name) in USERS.into_iter().enumerate() {
            self.readers[who].pull(&self.server, usize::MAX);
            let mut fresh = Reader::new(user(name), &["$conflicts", DEALS]);
            fresh.pull(&self.server, usize::MAX);
            let of_deals = |reader: &Reader| {
                let rows = reader.rows.clone().into_iter().filter(|((c, _), _)| c == DEALS);
                rows.map(|((_, id), (rev, g, doc))| (id, (rev, json!(g).to_string(), doc))).collect::<Vec<_>>()
            };
            let mut oracle = Vec::new();
            for ((c, id), row) in &self.server.store.entities {
                let groups = self.sees(who, &row.stored.doc);
                if c.as_str() == DEALS && !row.stored.deleted && !groups.is_empty() {
                    let doc = json::write_text(&row.stored.doc);
                    oracle.push((id.to_string(), (row.stored.rev, json!(groups).to_string(), doc)));
                }
            }
            prop_assert_eq!(of_deals(&fresh), oracle.clone(), "fresh: {}", name);
            prop_assert_eq!(of_deals(&self.readers[who]), oracle, "as it went: {}", name);
        }
        Ok(())
    }
}

fn law((rules, steps): (usize, Vec<Step>)) -> Result<(), TestCaseError> {
    let mut world = World::new(rules);
    for (at, step) in (1..).zip(&steps) {
        world.step(at, step)?;
    }
    world.check_end()
}

fn run(cases: u32, max_shrink_iters: u32) -> Result<(), String> {
    let config = Config { cases, failure_persistence: None, max_shrink_iters, ..Config::default() };
    TestRunner::new(config).run(&steps(), law).map_err(|error| error.to_string())
}

#[test]
fn who_pulls_as_it_goes_holds_what_the_policy_shows_and_was_told_no_more() {
    run(256, 2_000).unwrap();
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    common::planted::each_is_found(
        &[
            "AllVisible",
            "OldAnswersShown",
            "ConflictsShowOthers",
            "GainedNotBackfilled",
            "LostNotForgotten",
            "FramesAfterRevocation",
            "NoLeaveMarker",
            "GroupsNotNamed",
            "TombstoneWithoutGroups",
            "LosersTold",
        ],
        || run(3_000, 0),
    );
}
