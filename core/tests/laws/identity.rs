//! Any inserts, edits and deletions of people who are known by natural keys, some of them private, by devices that know
//! each other's ids late or never, with answers that are lost: no two live entities have one key; an id that became
//! another's stays good, leads there in one step, and is nobody else's; nobody hears of whom he may not see; and no
//! value of an insert is lost unheard.

use crate::common;

use std::collections::BTreeMap;

use common::tied::{Tied, change, drop, make};
use common::user;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tidewire_core::authority::memory::DeclaredPolicy;
use tidewire_core::authority::relations::OnDelete;
use tidewire_core::json;
use tidewire_core::json::{JsonLimits, Value};
use tidewire_core::model::conflict::Conflict;
use tidewire_core::protocol::message::Verdict;

const USERS: [&str; 3] = ["ann", "ben", "cid"];
const IDS: usize = 8;
/// The same address, written in many ways; and others.
const EMAILS: [&str; 6] = ["x@a", " X@a", "x@A ", "y@a", "Y@A", ""];
const NAMES: [&str; 4] = ["Ada", "ada ", "Bob", ""];

#[derive(Debug, Clone)]
enum Step {
    Insert {
        who: usize,
        id: usize,
        email: usize,
        name: usize,
        phone: bool,
        note: bool,
        private: bool,
    },
    Patch {
        who: usize,
        id: usize,
        email: Option<usize>,
        name: Option<usize>,
    },
    Delete {
        who: usize,
        id: usize,
    },
    /// A deal that refers to a person, alone or with the person that it makes.
    Deal {
        who: usize,
        deal: usize,
        id: usize,
        with: Option<usize>,
    },
    /// A push of before arrives again.
    Again(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (who, id) = (|| 0..USERS.len(), || 0..IDS);
    let some = |most: usize| prop::option::of(0..most);
    let insert = (who(), id(), 0..EMAILS.len(), 0..NAMES.len(), any::<bool>(), any::<bool>(), 0..4_u8).prop_map(
        |(who, id, email, name, phone, note, private)| Step::Insert {
            who,
            id,
            email,
            name,
            phone,
            note,
            private: private == 0,
        },
    );
    let step = prop_oneof![
        6 => insert,
        4 => (who(), id(), some(EMAILS.len()), some(NAMES.len()))
            .prop_map(|(who, id, email, name)| Step::Patch { who, id, email, name }),
        3 => (who(), id()).prop_map(|(who, id)| Step::Delete { who, id }),
        3 => (who(), 0..3_usize, id(), some(EMAILS.len()))
            .prop_map(|(who, deal, id, with)| Step::Deal { who, deal, id, with }),
        2 => (0..10_usize).prop_map(Step::Again),
    ];
    prop::collection::vec(step, 1..40)
}

struct World {
    tied: Tied,
    /// Each push, with what was answered.
    pushes: Vec<(usize, String, Value)>,
    /// Every remap that was ever told.
    told: Vec<(String, String)>,
}

/// The keys of a document, in the words of this test.
fn keys(doc: &Value) -> Vec<String> {
    let text = |field: &str| doc.get(field).and_then(Value::as_str).unwrap_or_default().trim().to_lowercase();
    let (email, name, phone) = (text("email"), text("name"), text("phone"));
    let mut keys = Vec::new();
    if !email.is_empty() {
        keys.push(format!("1 {email}"));
    }
    if !name.is_empty() && !phone.is_empty() {
        keys.push(format!("2 {name}/{phone}"));
    }
    keys
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

impl World {
    fn new() -> Self {
        let policy = DeclaredPolicy::default().collection("people", &["user:{owner}", "role:{open}"]).unwrap();
        let policy = policy.collection("deals", &["tenant"]).unwrap();
        let policy = policy.known_by("people", &["email"]).unwrap().known_by("people", &["name", "phone"]).unwrap();
        let mut policy = policy.refers("deals", "personId", "people", OnDelete::SetNull).unwrap();
        for user in USERS {
            policy.grant(user, "role:all").unwrap();
        }
        Self { tied: Tied::new(policy), pushes: Vec::new(), told: Vec::new() }
    }

    fn people(&self) -> Vec<(String, &Value, bool)> {
        let all = self.tied.server.store.entities.iter().filter(|((c, _), _)| c.as_str() == "people");
        all.map(|((_, id), row)| (id.to_string(), &row.stored.doc, row.stored.deleted)).collect()
    }

    fn aliases(&self) -> BTreeMap<String, String> {
        let all = self.tied.server.store.entities.iter().filter(|((c, _), _)| c.as_str() == "$aliases.people");
        all.map(|((_, id), row)| (id.to_string(), row.stored.doc["to"].as_str().unwrap().to_owned())).collect()
    }

    fn resolve(&self, id: &str) -> String {
        self.aliases().get(id).cloned().unwrap_or_else(|| id.to_owned())
    }

    fn sees(&self, who: usize, doc: &Value) -> bool {
        doc.get("open").is_some() || doc.get("owner").and_then(Value::as_str) == Some(USERS[who])
    }

    fn push(&mut self, who: usize, edits: Vec<Value>) -> Result<(), TestCaseError> {
        let n = self.pushes.len() + 1;
        let item = |(index, edit): (usize, &Value)| json!({"n": [n, index], "tx": [n, 0], "m": edit});
        let items: Vec<Value> = if edits.len() == 1 {
            vec![json!({"n": [n, 0], "m": edits[0]})]
        } else {
            edits.iter().enumerate().map(item).collect()
        };
        let push = json!({"v": 1, "replica": USERS[who], "floor": [0, 0], "fence": 0, "now": n, "mutations": items});
        let before = self.tied.server.store.clone();
        let answer = self.send(who, &push.to_string())?;
        let verdicts = answer["verdicts"].as_array().unwrap().clone();
        for (verdict, edit) in verdicts.iter().zip(&edits) {
            self.check_merge(&before, verdict, edit)?;
        }
        self.pushes.push((who, push.to_string(), answer));
        Ok(())
    }

    fn send(&mut self, who: usize, push: &str) -> Result<Value, TestCaseError> {
        let known = self.aliases();
        let seen = self.people().into_iter().filter(|(_, doc, _)| self.sees(who, doc));
        let seen: Vec<String> = seen.map(|(id, ..)| id).collect();
        let text = self.tied.server.push_text(&user(USERS[who]), push, self.pushes.len() as u64).unwrap();
        let answer = json::parse(text.as_bytes(), JsonLimits::MESSAGE).unwrap();
        // Ids of whom he may not see are in no answer, but those that he named himself.
        for (id, doc, _) in self.people() {
            let named = push.contains(&format!("\"{id}\""));
            prop_assert!(named || self.sees(who, doc) || !text.contains(&format!("\"{id}\"")), "{text} for {push}");
        }
        for verdict in answer["verdicts"].as_array().unwrap() {
            if let Some(remap) = verdict.get("remap") {
                let (from, to) = (remap["from"].as_str().unwrap(), remap["to"].as_str().unwrap());
                let was = self.people().into_iter().find(|(id, ..)| id == from);
                // An id that its owner gave away before leads there for everybody who sees where; and on from there.
                let is_given = known.get(from).is_some_and(|before| before == to || seen.contains(before));
                let is_own = was.is_none_or(|(_, doc, _)| self.sees(who, doc));
                prop_assert!(is_given || is_own, "{from} was another's: {text}");
                let found = self.people().into_iter().find(|(id, ..)| id == to).map(|(_, doc, _)| self.sees(who, doc));
                prop_assert_eq!(found, Some(true), "{}", text);
                self.told.push((from.to_owned(), to.to_owned()));
            }
        }
        Ok(answer)
    }

    /// No value of a merge is lost unheard, and nothing is written over by emptiness.
    fn check_merge(
        &self,
        before: &tidewire_core::authority::memory::MemoryStore,
        verdict: &Value,
        edit: &Value,
    ) -> Result<(), TestCaseError> {
        let Some(to) = verdict.get("remap").and_then(|remap| remap["to"].as_str()) else { return Ok(()) };
        let Some(doc) = self.tied.doc("people", to) else { return Ok(()) };
        let known = before.entities.iter().find(|((c, id), _)| c.as_str() == "people" && id.as_str() == to).unwrap();
        if known.1.stored.deleted {
            return Ok(());
        }
        let lost = |list: &str, value: &Value| {
            let all = verdict.get(list).and_then(Value::as_array).into_iter().flatten();
            all.filter(|one| one.get("yours") == Some(value)).count() > 0
        };
        for (key, value) in known.1.stored.doc.as_object().unwrap().iter() {
            let stands = doc.get(key) == Some(value);
            prop_assert!(stands || lost("displaced", value), "{key}: {value} of {to} in {doc} by {verdict}");
            let new = doc.get(key).unwrap_or(&Value::Null);
            prop_assert!(is_empty(value) || !is_empty(new), "{key} of {to} is empty: {doc}");
        }
        for (path, value) in edit["set"].as_object().unwrap().iter().filter(|(_, value)| !is_empty(value)) {
            let stands = doc.get(&path[1..]) == Some(value);
            prop_assert!(stands || lost("overwritten", value), "{path}: {value} of {edit} in {doc} by {verdict}");
        }
        Ok(())
    }

    fn step(&mut self, at: usize, step: &Step) -> Result<(), TestCaseError> {
        let id = |id: usize| format!("i{id}");
        match *step {
            Step::Insert { who, id: number, email, name, phone, note, private } => {
                let mut doc = json!({"email": EMAILS[email], "name": NAMES[name], "owner": USERS[who]});
                if phone {
                    doc["phone"] = "1".into();
                }
                doc["note"] = if note { format!("note {at}").into() } else { Value::Null };
                if !private {
                    doc["open"] = "all".into();
                }
                let mut insert = make("people", &id(number), doc);
                insert["at"] = json!([at, 0]);
                self.push(who, vec![insert])
            }
            Step::Patch { who, id: number, email, name } => {
                let was = self.tied.doc("people", &self.resolve(&id(number))).unwrap_or_else(|| json!({}));
                let fields = [("email", email.map(|at| EMAILS[at])), ("name", name.map(|at| NAMES[at]))];
                let fields: Vec<(String, Value, Value)> = fields
                    .into_iter()
                    .filter_map(|(field, value)| Some((field, value?)))
                    .map(|(field, value)| {
                        (format!("/{field}"), was.get(field).cloned().unwrap_or_default(), value.into())
                    })
                    .collect();
                let fields: Vec<_> =
                    fields.iter().map(|(path, was, new)| (path.as_str(), was.clone(), new.clone())).collect();
                let resolved = self.resolve(&id(number));
                let before = self.tied.doc("people", &resolved);
                self.push(who, vec![change("people", &id(number), 0, &fields)])?;
                // An edit under an old id finds the entity.
                let verdict = Verdict::read(&self.pushes.last().unwrap().2["verdicts"][0]).unwrap();
                prop_assert!(
                    before.is_none() || !matches!(verdict, Verdict::Held { .. }),
                    "{} is {}",
                    number,
                    resolved
                );
                Ok(())
            }
            Step::Delete { who, id: number } => {
                self.push(who, vec![drop("people", &id(number), self.tied.server.store.seq)])
            }
            Step::Deal { who, deal, id: number, with } => {
                let mut edits = vec![make("deals", &format!("d{deal}-{at}"), json!({"personId": id(number)}))];
                if let Some(email) = with {
                    edits.push(make("people", &id(number), json!({"email": EMAILS[email], "open": "all"})));
                }
                self.push(who, edits)
            }
            Step::Again(which) if !self.pushes.is_empty() => {
                let (who, push, first) = self.pushes[which % self.pushes.len()].clone();
                let entities = self.tied.server.store.entities.clone();
                let answer = self.send(who, &push)?;
                let all = first["verdicts"].as_array().unwrap().iter().zip(answer["verdicts"].as_array().unwrap());
                for (first, again) in all.filter(|(first, _)| first["verdict"] != "held") {
                    let same = first["verdict"] == again["verdict"] && first.get("rev") == again.get("rev");
                    prop_assert!(same && again.get("duplicate").is_some(), "{first}, then {again}");
                    prop_assert!(entities == self.tied.server.store.entities, "it counts once");
                }
                Ok(())
            }
            Step::Again(_) => Ok(()),
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        let aliases = self.aliases();
        for (id, doc, deleted) in self.people() {
            prop_assert!(deleted || !aliases.contains_key(&id), "{id} lives and is an alias");
            for key in keys(doc).into_iter().filter(|_| !deleted) {
                let other = known.insert(key.clone(), id.clone());
                prop_assert!(other.is_none(), "{id} and {other:?} have {key}");
            }
        }
        let people: Vec<String> = self.people().into_iter().map(|(id, ..)| id).collect();
        for (from, to) in &aliases {
            prop_assert!(!aliases.contains_key(to), "{from} to {to} to {}", aliases[to]);
            prop_assert!(people.contains(to), "{from} to {to}");
        }
        for (from, to) in &self.told {
            // What was said once still leads to the same entity, whatever that is called by now.
            prop_assert_eq!(self.resolve(from), self.resolve(to));
        }
        for ((c, id), row) in self.tied.server.store.entities.iter().filter(|(_, row)| !row.stored.deleted) {
            if let Some(person) = row.stored.doc.get("personId").and_then(Value::as_str) {
                prop_assert!(self.tied.doc("people", person).is_some(), "{c}/{id} refers to {person}");
            }
            if c.is_conflicts() {
                let about = Conflict::read(&row.stored.doc).unwrap();
                prop_assert!(
                    !aliases.contains_key(about.e.as_str()) || self.tied.stored("people", about.e.as_str()).is_some()
                );
            }
        }
        Ok(())
    }
}

fn law(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut world = World::new();
    for (at, step) in (1..).zip(&steps) {
        world.step(at, step)?;
        world.check()?;
    }
    Ok(())
}

fn run(cases: u32, max_shrink_iters: u32) -> Result<(), String> {
    let config = Config { cases, failure_persistence: None, max_shrink_iters, ..Config::default() };
    TestRunner::new(config).run(&steps(), law).map_err(|error| error.to_string())
}

#[test]
fn one_thing_has_one_id_and_every_id_it_had_stays_good() {
    run(300, 2_000).unwrap();
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    common::planted::each_is_found(
        &[
            "RemapUnseen",
            "KeysCollide",
            "TombstoneHoldsKey",
            "EmptyWins",
            "AliasForgotten",
            "ReferencesUnresolved",
            "IdsGivenAway",
            "ChainsLeft",
        ],
        || run(20_000, 0),
    );
}
