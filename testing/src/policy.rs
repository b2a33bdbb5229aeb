//! Who may do what: what the test says, asked through one function of the kit.

use serde::Deserialize;
use tidewire_core::authority::relations::{NaturalKey, OnDelete, Reference, Relations};
use tidewire_core::authority::{Policy, user_group};
use tidewire_core::error::{Code, CoreError};
use tidewire_core::ids::{CollectionName, EntityId, Group, Owner};
use tidewire_core::json::{Value, json};
use tidewire_core::model::path::Path;
use tidewire_core::model::schema::Settings;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    /// The rules of a test.
    pub type Rules;
    /// Why this may not be written: an error as JSON, or nothing.
    #[wasm_bindgen(method)]
    fn refuse(this: &Rules, edit: &str) -> Option<String>;
    /// The users who may see an entity, one a line; nothing: everybody.
    #[wasm_bindgen(method)]
    fn readers(this: &Rules, entity: &str) -> Option<String>;
}

/// The policy of a test.
pub(crate) struct HostPolicy {
    pub(crate) settings: Settings,
    pub(crate) relations: Relations,
    pub(crate) rules: Rules,
}

/// Relations as the kit says them.
#[derive(Deserialize)]
struct Said {
    keys: Vec<SaidKey>,
    references: Vec<SaidReference>,
}

#[derive(Deserialize)]
struct SaidKey {
    of: CollectionName,
    fields: Vec<Path>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SaidReference {
    from: CollectionName,
    path: Path,
    to: CollectionName,
    on_delete: OnDelete,
}

/// What is the same thing, and what follows from a deletion; nothing where it is not to be read.
pub(crate) fn relations(text: &str) -> Option<Relations> {
    let said: Said = serde_json::from_str(text).ok()?;
    let mut relations = Relations::default();
    for SaidKey { of, fields } in said.keys {
        relations.keys.entry(of).or_default().push(NaturalKey { fields, exact: false });
    }
    let references = said.references.into_iter();
    relations.references =
        references.map(|SaidReference { from, path, to, on_delete }| Reference { from, path, to, on_delete }).collect();
    Some(relations)
}

fn everybody() -> Vec<Group> {
    Group::parse("tenant").into_iter().collect()
}

impl Policy for HostPolicy {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn relations(&self) -> &Relations {
        &self.relations
    }

    fn check_access(&self, user: &Owner, c: &CollectionName, id: &EntityId, stored: &Value) -> Result<(), CoreError> {
        let own = self.reader_groups(user);
        if self.groups(c, id, stored).iter().any(|group| own.contains(group)) {
            return Ok(());
        }
        Err(CoreError::new(Code::Forbidden, "the rules of this test do not show this entity to its author"))
    }

    fn check_write(
        &self,
        user: &Owner,
        c: &CollectionName,
        id: &EntityId,
        stored: Option<&Value>,
        doc: Option<&Value>,
    ) -> Result<(), CoreError> {
        if self.collection(c).is_none() {
            return Err(CoreError::new(Code::UnknownCollection, format!("the test server has no collection `{c}`")));
        }
        let edit = json!({"user": user.subject, "collection": c, "id": id, "before": stored, "after": doc});
        match self.rules.refuse(&json::to_text(&edit)) {
            None => Ok(()),
            Some(error) => Err(serde_json::from_str(&error)
                .unwrap_or_else(|_| CoreError::new(Code::Internal, format!("the test's rule gave no error: {error}")))),
        }
    }

    fn groups(&self, c: &CollectionName, id: &EntityId, doc: &Value) -> Vec<Group> {
        let entity = json!({"collection": c, "id": id, "doc": doc});
        let readers = self.rules.readers(&json::to_text(&entity));
        readers.map_or_else(everybody, |users| users.lines().filter_map(user_group).collect())
    }

    fn reader_groups(&self, user: &Owner) -> Vec<Group> {
        everybody().into_iter().chain(user_group(&user.subject)).collect()
    }
}
