//! Which versions of the app's schema a push may have, and edits, entities and conflicts of older ones as they would be
//! made now.
//!
//! The server knows the steps of its own schema: with them it accepts what was written up to two versions ago. Who has
//! an older release of the app, or a newer one than the server, is told `upgrade-required` and keeps its queue.

use crate::authority::{Policy, Stored};
use crate::error::{Code, CoreError};
use crate::ids::CollectionName;
use crate::json::{self, JsonLimits, Value};
use crate::merge::PathRevs;
use crate::model::conflict::Conflict;
use crate::model::document;
use crate::model::migration::{FIRST, Migrations};
use crate::model::mutation::{Kind, Mutation};
use crate::planted::Bug;
use crate::protocol::message::{Push, PushItem};

/// How many versions back edits are accepted.
const VERSIONS_BACK: u64 = 2;

/// Whether a push can be understood as a whole. Asked before it is decided.
///
/// # Errors
/// `upgrade-required`: nothing of it was applied.
pub fn admit<P: Policy>(policy: &P, push: &Push) -> Result<(), CoreError> {
    let Some(migrations) = policy.migrations() else { return Ok(()) };
    let version = migrations.version();
    let refuse = |message: String| Err(CoreError::new(Code::UpgradeRequired, message));
    if push.schema + VERSIONS_BACK < version {
        return refuse(format!("this app has version {} of the schema, the server {version}: reload it", push.schema));
    }
    let newest = push.mutations.iter().map(schema_of).chain([push.schema]).max();
    match newest.filter(|newest| *newest > version) {
        Some(newest) => refuse(format!("these edits have version {newest} of the schema, this server has {version}")),
        None => Ok(()),
    }
}

/// The version that an item says, without reading the rest of it.
fn schema_of(item: &PushItem) -> u64 {
    let mut schema = FIRST;
    if let Some(raw) = &item.m {
        json::members(raw.get(), &mut |key, value| {
            if key == "schema" {
                let number = json::parse(value.as_bytes(), JsonLimits::MESSAGE).ok();
                schema = number.and_then(|number| json::number(&number).ok()).unwrap_or(schema);
            }
            key != "schema"
        });
    }
    schema
}

/// An edit as it would be made now.
///
/// # Errors
/// `migration`: it was written too long ago, or does not say what becomes of it.
pub(super) fn upcast(migrations: Option<&Migrations>, edit: Mutation) -> Result<Mutation, CoreError> {
    let Some(migrations) = migrations.filter(|migrations| edit.schema < migrations.version()) else { return Ok(edit) };
    if Bug::NotUpcast.is_planted() {
        return Ok(edit);
    }
    if edit.schema + VERSIONS_BACK < migrations.version() {
        let message = "this edit was written too many versions of the schema ago: try it again";
        return Err(CoreError::new(Code::Migration, message));
    }
    let mut new = migrations.mutation(&edit)?;
    new.brought = new.kind == Kind::Patch && !edit.paths().eq(new.paths());
    Ok(new)
}

/// Whether the author of an edit saw what stands where it writes. Who has an older release is not shown what has
/// another name now: whatever revision he has, only what he says that he saw he has seen.
pub(super) fn saw(edit: &Mutation, doc: &Value) -> bool {
    !edit.brought || edit.paths().all(|path| edit.was.get(path) == document::get(doc, path))
}

/// An entity of an older version as it is stored now. Who wrote what, and when, goes with the fields.
///
/// # Errors
/// `migration`: nothing is known of that version, or two fields of the document would become one.
pub fn bring_stored(
    migrations: &Migrations,
    collection: &CollectionName,
    schema: u64,
    stored: Stored,
) -> Result<Stored, CoreError> {
    let doc = migrations.document(collection, schema, stored.doc)?;
    let mut paths = PathRevs::new();
    for (path, entry) in stored.paths.iter() {
        if let Some(path) = migrations.path(collection, schema, path)? {
            paths.insert(path, entry.clone());
        }
    }
    Ok(Stored { doc, paths, ..stored })
}

/// A conflict, as its document, that was noted under an older version. Of a field that is no more it stays as it is.
///
/// # Errors
/// `migration`: nothing is known of that version.
pub fn bring_conflict(migrations: &Migrations, schema: u64, doc: &mut Value) -> Result<(), CoreError> {
    let Ok(conflict) = Conflict::read(doc) else { return Ok(()) };
    if let Some(path) = migrations.path(&conflict.c, schema, &conflict.path)? {
        *doc = json::to_value(&Conflict { path, ..conflict });
    }
    Ok(())
}
