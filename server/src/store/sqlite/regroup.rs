//! Gives every entity its groups anew, and every membership what it gives, when the configuration says otherwise than
//! at the last start.
//!
//! Conflicts keep theirs: those are their authors', whatever the configuration says. Aliases have none. Leave markers
//! are dropped: every cursor has the old policy's version in its scope, so every reader reads all again (rule 23).

use rusqlite::{Connection, TransactionBehavior, params};
use tidewire_core::ids::{CONFLICTS, CollectionName, EntityId};

use super::grants;
use super::rows::from_json;
use crate::policy::ServerPolicy;
use crate::store::StoreError;
use tidewire_core::json;

/// The row of `meta` that says which policy the groups follow.
const META: &str = "policy";

pub(super) fn run(connection: &mut Connection, policy: &ServerPolicy) -> Result<(), StoreError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let stored = super::schema::meta_or_insert(&tx, META, policy.version())?;
    if stored == policy.version() {
        return Ok(tx.commit()?);
    }
    tracing::info!("the groups of the collections have changed: every entity gets its groups anew");
    tx.execute("DELETE FROM members WHERE collection <> ?1", [CONFLICTS])?;
    tx.execute("DELETE FROM grants", [])?;
    {
        let mut entities =
            tx.prepare("SELECT rowid, tenant, collection, id, rev, doc, deleted FROM entities WHERE collection <> ?1")?;
        let mut update = tx.prepare("UPDATE entities SET groups = ?2 WHERE rowid = ?1")?;
        let mut insert =
            tx.prepare("INSERT INTO members (tenant, grp, collection, id, seq, left) VALUES (?1, ?2, ?3, ?4, ?5, 0)")?;
        let mut rows = entities.query([CONFLICTS])?;
        while let Some(row) = rows.next()? {
            let (rowid, tenant): (i64, String) = (row.get(0)?, row.get(1)?);
            let (collection, id): (String, String) = (row.get(2)?, row.get(3)?);
            let (rev, doc, deleted): (i64, String, bool) = (row.get(4)?, row.get(5)?, row.get(6)?);
            let unreadable = |e: tidewire_core::error::CoreError| StoreError::Unreadable(e.to_string());
            let name = CollectionName::stored(&collection).map_err(unreadable)?;
            if name.is_aliases() {
                continue;
            }
            let entity = EntityId::parse(&id).map_err(unreadable)?;
            let doc = from_json(&doc)?;
            if let Some(membership) = policy.memberships().get(&name) {
                let live = Some(&doc).filter(|_| !deleted);
                grants::put(&tx, membership, (&tenant, &name, &entity), live)?;
            }
            let groups = policy.groups(&name, &entity, &doc);
            let text = json::to_text(&groups);
            update.execute(params![rowid, text])?;
            for group in &groups {
                insert.execute(params![tenant, group.as_str(), collection, id, rev])?;
            }
        }
    }
    tx.execute("UPDATE meta SET value = ?2 WHERE name = ?1", [META, policy.version()])?;
    Ok(tx.commit()?)
}
