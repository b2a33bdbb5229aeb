//! Which versions of the app's schema a push may have, and edits of older ones as they would be made now.
//!
//! The server knows the steps of its own schema: with them it accepts what was written up to two versions ago. Who has
//! an older release of the app, or a newer one than the server, is told `upgrade-required` and keeps its queue.

use crate::authority::Policy;
use crate::error::{Code, CoreError};
use crate::json::{self, JsonLimits};
use crate::model::migration::{FIRST, Migrations};
use crate::model::mutation::Mutation;
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
    migrations.mutation(&edit)
}
