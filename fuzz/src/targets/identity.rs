//! A push of Mallory's to a tenant whose people are known by their addresses: `ada` is everybody's, and `p9` became
//! her; `bob` is his own; `gone` was deleted.

use std::collections::BTreeMap;

use tidewire_core::authority::memory::{DeclaredPolicy, MemoryRow, MemoryStore};
use tidewire_core::authority::relations::OnDelete;
use tidewire_core::authority::{decide_push, identity::normal};
use tidewire_core::ids::{CollectionName, EntityId};
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::protocol::message::{Push, PushAnswer, Verdict};

use super::{authority, kind, print};
use crate::tenant::{NOW, user};

pub(super) fn run(input: &[u8]) -> u64 {
    let Ok(push) = serde_json::from_slice::<Push>(input) else { return 0 };
    if !authority::is_sent(&push) {
        return 1;
    }
    let mut people = People::new();
    let before = people.store.clone();
    let answer = people.push("mallory", &push);
    if answer.forked.is_some() {
        assert_eq!(people.store, before, "of a fork nothing is applied");
        return print(&["forked"]);
    }
    authority::answered(&push, &answer);
    people.sound(&answer);
    if !push.mutations.windows(2).all(|pair| pair[0].n < pair[1].n) {
        return 2;
    }
    if answer.verdicts.iter().all(|item| !matches!(item.verdict, Verdict::Held { .. })) {
        let first = people.store.clone();
        let second = people.push("mallory", &push);
        for (one, other) in answer.verdicts.iter().zip(&second.verdicts) {
            // What was said of others is not said again to whoever has lost sight of them meanwhile (rule 27).
            let is_same = one.verdict == other.verdict || remap(&other.verdict).is_none();
            assert_eq!((one.n, kind(&one.verdict), is_same), (other.n, kind(&other.verdict), true), "as at first");
        }
        assert_eq!(people.store.entities, first.entities, "again is nothing");
    }
    let word = |verdict: &Verdict| if remap(verdict).is_some() { "remapped" } else { kind(verdict) };
    let mut kinds: Vec<&str> = answer.verdicts.iter().map(|item| word(&item.verdict)).collect();
    kinds.dedup();
    kinds.truncate(6);
    print(&kinds)
}

struct People {
    store: MemoryStore,
    policy: DeclaredPolicy,
}

impl People {
    fn new() -> Self {
        let policy = DeclaredPolicy::default().collection("people", &["user:{owner}", "role:{open}"]);
        let policy = policy.and_then(|policy| policy.collection("deals", &["tenant"]));
        let policy = policy.and_then(|policy| policy.known_by("people", &["email"]));
        let policy = policy.and_then(|policy| policy.known_by("people", &["name", "phone"]));
        let policy = policy.and_then(|policy| policy.refers("deals", "personId", "people", OnDelete::SetNull));
        let mut policy = policy.expect("a policy");
        for name in ["anna", "mallory"] {
            policy.grant(name, "role:all").expect("a group");
        }
        let mut people = Self { store: MemoryStore::default(), policy };
        let ada = r#""set":{"/email":"ada@a","/open":"all","/n":1}"#;
        people.one("anna", 1, &insert("people", "ada", ada));
        people.one("bob", 1, &insert("people", "bob", r#""set":{"/email":"bob@a","/owner":"bob","/secret":"CANARY"}"#));
        people.one("anna", 2, &insert("people", "gone", r#""set":{"/email":"gone@a","/open":"all"}"#));
        people.one("anna", 3, r#"{"c":"people","id":"gone","kind":"delete","base":3,"at":[11,0]}"#);
        people.one("anna", 4, &insert("people", "p9", r#""set":{"/email":" ADA@a","/open":"all","/city":"Ulm"}"#));
        people.one("anna", 5, &insert("deals", "d", r#""set":{"/personId":"p9","/sum":1}"#));
        people
    }

    fn push(&mut self, who: &str, push: &Push) -> PushAnswer {
        let who = user(who);
        let mut rows = self.store.rows(&who, &push.replica);
        let Ok(answer) = decide_push(&mut rows, &self.policy, &who, push, NOW);
        answer
    }

    fn one(&mut self, who: &str, n: u64, m: &str) {
        let text = format!(
            r#"{{"v":1,"replica":"{who}","fence":0,"floor":[0,0],"now":{NOW},"mutations":[{{"n":[{n},0],"m":{m}}}]}}"#
        );
        let answer = self.push(who, &serde_json::from_str(&text).expect("a push"));
        let verdict = &answer.verdicts[0].verdict;
        assert!(matches!(verdict, Verdict::Applied { .. } | Verdict::Merged { .. }), "{m}: {verdict:?}");
    }

    fn rows<'a>(&'a self, of: &'a CollectionName) -> impl Iterator<Item = (&'a EntityId, &'a MemoryRow)> {
        self.store.entities.iter().filter(move |((c, _), _)| c == of).map(|((_, id), row)| (id, row))
    }

    /// No two who live have one key; an id that became another's leads in one step to one that is none, and nobody
    /// lives under it; what was told of remaps is so.
    fn sound(&self, answer: &PushAnswer) {
        let people = CollectionName::parse("people").expect("a name");
        let aliases = people.aliases();
        let lead: BTreeMap<&EntityId, &Value> =
            self.rows(&aliases).filter_map(|(id, row)| Some((id, row.stored.doc.get("to")?))).collect();
        let at = |id: &str| self.rows(&people).find(|(known, _)| known.as_str() == id).map(|(_, row)| row);
        for (from, to) in &lead {
            let to = to.as_str().expect("an id");
            assert!(at(to).is_some(), "{from} leads to {to}, which is nothing");
            assert!(!lead.keys().any(|id| id.as_str() == to), "{from} leads to {to}, which leads on");
            assert!(at(from.as_str()).is_none_or(|row| row.stored.deleted), "somebody lives under {from}");
        }
        let mut keys: BTreeMap<String, &EntityId> = BTreeMap::new();
        for (id, row) in self.rows(&people).filter(|(_, row)| !row.stored.deleted) {
            for key in keys_of(&row.stored.doc) {
                if let Some(other) = keys.insert(key.clone(), id) {
                    panic!("{id} and {other} have the key {key}");
                }
            }
        }
        for (from, to) in answer.verdicts.iter().filter_map(|item| remap(&item.verdict)) {
            let led = lead.iter().find(|(id, _)| id.as_str() == from).and_then(|(_, to)| to.as_str());
            let told = lead.iter().find(|(id, _)| id.as_str() == to).and_then(|(_, on)| on.as_str()).unwrap_or(&to);
            assert_eq!(led.unwrap_or(told), told, "{from} was told to be {to}");
        }
    }
}

fn insert(collection: &str, id: &str, set: &str) -> String {
    format!(r#"{{"c":"{collection}","id":"{id}","kind":"insert","base":0,{set},"at":[10,0]}}"#)
}

/// The keys of a person, in the words of this target.
fn keys_of(doc: &Value) -> Vec<String> {
    let part = |field: &str| match doc.get(field)? {
        Value::String(text) => Some(json::write_text(&Value::from(normal(text)))).filter(|text| text != "\"\""),
        value @ (Value::Number(_) | Value::Bool(_)) => Some(json::write_text(value)),
        _ => None,
    };
    let email = part("email").map(|email| format!("email {email}"));
    let both = part("name").zip(part("phone")).map(|(name, phone)| format!("name {name}, phone {phone}"));
    email.into_iter().chain(both).collect()
}

/// Which id became which, as a verdict says.
fn remap(verdict: &Verdict) -> Option<(String, String)> {
    let (Verdict::Merged { remap, .. } | Verdict::Conflict { remap, .. }) = verdict else { return None };
    let text = |key: &str| remap.as_ref()?.get(key)?.as_str().map(str::to_owned);
    text("from").zip(text("to"))
}
