//! The authority over a store in memory, with a policy that has private rows.

use tidewire_core::authority::memory::{MemoryStore, OpenPolicy};
use tidewire_core::authority::{Policy, Stored, decide_push};
use tidewire_core::error::{Code, CoreError};
use tidewire_core::ids::{CollectionName, EntityId, Group, Owner};
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::model::path::Path;
use tidewire_core::model::schema::{CollectionSettings, Settings};
use tidewire_core::protocol::message::{Push, PushAnswer, Verdict};

/// The server's clock.
pub(crate) const NOW: u64 = 1_000_000;

/// One tenant's data and rules.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(crate) store: MemoryStore,
    policy: Private,
}

/// As [`OpenPolicy`], but what has an owner only its owner changes.
#[derive(Debug, Clone)]
struct Private(OpenPolicy);

impl Policy for Private {
    fn settings(&self) -> &Settings {
        self.0.settings()
    }

    fn check_access(
        &self,
        user: &Owner,
        _collection: &CollectionName,
        _id: &EntityId,
        stored: &Value,
    ) -> Result<(), CoreError> {
        let owner = stored.get("owner").and_then(Value::as_str);
        if owner.is_none_or(|owner| owner == user.subject) {
            return Ok(());
        }
        Err(CoreError::new(Code::Forbidden, "it is somebody else's"))
    }

    fn check_write(
        &self,
        _user: &Owner,
        collection: &CollectionName,
        _id: &EntityId,
        _stored: Option<&Value>,
        _doc: Option<&Value>,
    ) -> Result<(), CoreError> {
        let known = self.settings().get(collection).is_some();
        known.then_some(()).ok_or_else(|| CoreError::new(Code::UnknownCollection, "there is no such collection"))
    }

    fn groups(&self, collection: &CollectionName, id: &EntityId, doc: &Value) -> Vec<Group> {
        self.0.groups(collection, id, doc)
    }

    fn reader_groups(&self, user: &Owner) -> Vec<Group> {
        self.0.reader_groups(user)
    }
}

/// Settings in which the field `/f` and all else have a strategy.
pub(crate) fn settings_of(strategy: &str) -> CollectionSettings {
    let mut settings = CollectionSettings::default();
    let all = format!("\"{strategy}\"");
    if let Ok(all) = serde_json::from_str(&all) {
        settings.conflict = all;
    } else if let Ok(field) = serde_json::from_str(&all) {
        settings.fields = [(Path::parse("/f").expect("a path"), field)].into_iter().collect();
    }
    settings
}

pub(crate) fn user(name: &str) -> Owner {
    Owner { tenant: "acme".into(), subject: name.into() }
}

fn name(text: &str) -> CollectionName {
    CollectionName::parse(text).expect("a name")
}

impl Tenant {
    /// Without data; `deals` has these settings, `people` none.
    pub(crate) fn with(deals: CollectionSettings) -> Self {
        let settings = [(name("deals"), deals), (name("people"), CollectionSettings::default())];
        let policy = OpenPolicy { settings: settings.into_iter().collect(), private_to: Some("owner".into()) };
        Self { store: MemoryStore::default(), policy: Private(policy) }
    }

    /// What one user's push comes to.
    pub(crate) fn push(&mut self, user: &Owner, push: &Push) -> PushAnswer {
        let mut rows = self.store.rows(user, &push.replica);
        let Ok(answer) = decide_push(&mut rows, &self.policy, user, push, NOW);
        answer
    }

    /// One mutation of a user whose device has his name.
    pub(crate) fn one(&mut self, who: &str, n: u64, m: &str) -> Verdict {
        let text = format!(
            r#"{{"v":1,"replica":"{who}","fence":0,"floor":[0,0],"now":{NOW},"mutations":[{{"n":[{n},0],"m":{m}}}]}}"#
        );
        let push: Push = serde_json::from_str(&text).expect("a push");
        self.push(&user(who), &push).verdicts.remove(0).verdict
    }

    /// Whether the document could be inserted.
    pub(crate) fn insert(&mut self, who: &str, id: &str, doc: &Value) -> bool {
        let Some(fields) = doc.as_object() else { return false };
        let set: json::Map = fields
            .iter()
            .map(|(key, value)| (format!("/{}", key.replace('~', "~0").replace('/', "~1")), value.clone()))
            .collect();
        let m = json!({"c": "deals", "id": id, "kind": "insert", "base": 0, "set": set, "at": [10, 0]});
        let n = self.store.seq + 1;
        matches!(self.one(who, n, &m.to_string()), Verdict::Applied { .. })
    }

    pub(crate) fn stored(&self, id: &str) -> Option<&Stored> {
        let key = (name("deals"), EntityId::parse(id).expect("an id"));
        self.store.entities.get(&key).map(|row| &row.stored).filter(|stored| !stored.deleted)
    }

    /// `null` where there is none.
    pub(crate) fn doc(&self, id: &str) -> Value {
        self.stored(id).map_or(Value::Null, |stored| stored.doc.clone())
    }
}
