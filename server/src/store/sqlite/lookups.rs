//! The index of natural keys and references: what `Rows::known_by` and `Rows::referring` are answered from.
//!
//! Invariant: of each live entity of a collection with keys or references, and of each alias, the table `lookups` has a
//! row for each value that it has there now.

use std::collections::BTreeSet;
use std::fmt::Write;

use rusqlite::{Connection, TransactionBehavior, params};
use tidewire_core::authority::identity::key_of;
use tidewire_core::authority::relations::{NaturalKey, Relations};
use tidewire_core::ids::{CollectionName, EntityId};
use tidewire_core::json::Value;
use tidewire_core::model::document;
use tidewire_core::model::path::Path;

use super::rows::from_json;
use crate::policy::ServerPolicy;
use crate::store::StoreError;

/// The row of `meta` that says what the table was made for.
const META: &str = "relations";

/// What a row is found by, as the table has it: the fields of a key, or the field of a reference.
pub(super) fn kind_of_key(key: &NaturalKey) -> String {
    let mut kind = String::from(if key.exact { "exact" } else { "key" });
    for field in &key.fields {
        let _ = write!(kind, " {field}");
    }
    kind
}

/// As [`kind_of_key`], of a reference.
pub(super) fn kind_of_ref(path: &Path) -> String {
    format!("ref {path}")
}

/// Whether entities of a collection stand in the table.
pub(super) fn has(relations: &Relations, collection: &CollectionName) -> bool {
    collection.is_aliases() || !relations.keys_of(collection).is_empty() || relations.from(collection).next().is_some()
}

/// All that a live entity is found by.
fn entries(relations: &Relations, collection: &CollectionName, doc: &Value) -> BTreeSet<(String, String)> {
    let keys = relations.keys_of(collection).iter();
    let mut found: BTreeSet<_> = keys.filter_map(|key| Some((kind_of_key(key), key_of(key, doc)?))).collect();
    let mut refer = |path: &Path| {
        if let Some(id) = document::get(doc, path).and_then(Value::as_str) {
            found.insert((kind_of_ref(path), id.to_owned()));
        }
    };
    relations.from(collection).for_each(|reference| refer(&reference.path));
    if collection.is_aliases()
        && let Ok(to) = Path::parse("/to")
    {
        refer(&to);
    }
    found
}

/// Brings the table up to date with an entity that is put; `None`: it is deleted.
pub(super) fn put(
    connection: &Connection,
    relations: &Relations,
    (tenant, collection, id): (&str, &CollectionName, &EntityId),
    doc: Option<&Value>,
) -> Result<(), StoreError> {
    let wanted = doc.map(|doc| entries(relations, collection, doc)).unwrap_or_default();
    let had: BTreeSet<(String, String)> = connection
        .prepare_cached("SELECT kind, value FROM lookups WHERE tenant = ?1 AND collection = ?2 AND id = ?3")?
        .query_map(params![tenant, collection.as_str(), id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (kind, value) in had.difference(&wanted) {
        connection
            .prepare_cached(
                "DELETE FROM lookups WHERE tenant = ?1 AND collection = ?2 AND kind = ?3 AND value = ?4 AND id = ?5",
            )?
            .execute(params![tenant, collection.as_str(), kind, value, id.as_str()])?;
    }
    for (kind, value) in wanted.difference(&had) {
        insert(connection, (tenant, collection.as_str(), id.as_str()), kind, value)?;
    }
    Ok(())
}

/// The ids of a collection's entities that are found by this, in their order.
pub(super) fn find(
    connection: &Connection,
    (tenant, collection): (&str, &CollectionName),
    kind: &str,
    value: &str,
) -> Result<Vec<EntityId>, StoreError> {
    let ids: Vec<String> = connection
        .prepare_cached(
            "SELECT id FROM lookups WHERE tenant = ?1 AND collection = ?2 AND kind = ?3 AND value = ?4 ORDER BY id",
        )?
        .query_map(params![tenant, collection.as_str(), kind, value], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    ids.iter().map(|id| EntityId::parse(id).map_err(|e| StoreError::Unreadable(e.to_string()))).collect()
}

fn insert(
    connection: &Connection,
    (tenant, collection, id): (&str, &str, &str),
    kind: &str,
    value: &str,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO lookups (tenant, collection, kind, value, id) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![tenant, collection, kind, value, id])?;
    Ok(())
}

/// Makes the table anew where the configuration declares other keys or references than at the last start.
pub(super) fn run(connection: &mut Connection, policy: &ServerPolicy) -> Result<(), StoreError> {
    let relations = policy.relations();
    let declared = text_of(relations);
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // A database without any was made before there were some.
    let stored = super::schema::meta_or_insert(&tx, META, "")?;
    if stored == declared {
        return Ok(tx.commit()?);
    }
    tracing::info!("natural keys or references have changed: they are looked up anew");
    tx.execute("DELETE FROM lookups", [])?;
    {
        let mut entities = tx.prepare("SELECT tenant, collection, id, doc FROM entities WHERE deleted = 0")?;
        let mut rows = entities.query([])?;
        let mut last: Option<(CollectionName, bool)> = None;
        while let Some(row) = rows.next()? {
            let (tenant, name, id): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if last.as_ref().is_none_or(|(known, _)| known.as_str() != name) {
                let name = CollectionName::stored(&name).map_err(|e| StoreError::Unreadable(e.to_string()))?;
                let is_in = has(relations, &name);
                last = Some((name, is_in));
            }
            let Some((name, true)) = &last else { continue };
            for (kind, value) in entries(relations, name, &from_json(&row.get::<_, String>(3)?)?) {
                insert(&tx, (&tenant, name.as_str(), &id), &kind, &value)?;
            }
        }
    }
    tx.execute("UPDATE meta SET value = ?2 WHERE name = ?1", [META, &declared])?;
    warn_of_twins(&tx)?;
    Ok(tx.commit()?)
}

fn text_of(relations: &Relations) -> String {
    let mut text = String::new();
    for (collection, keys) in &relations.keys {
        for key in keys {
            let _ = writeln!(text, "{collection} {}", kind_of_key(key));
        }
    }
    for reference in &relations.references {
        let _ = writeln!(text, "{} {}", reference.from, kind_of_ref(&reference.path));
    }
    text
}

/// Entities that had the same key before it was declared stay two: nobody is there to be told that one is gone.
fn warn_of_twins(connection: &Connection) -> Result<(), StoreError> {
    let mut statement = connection.prepare(
        "SELECT collection, kind, count(*) FROM (
           SELECT collection, kind FROM lookups WHERE kind NOT LIKE 'ref %'
           GROUP BY tenant, collection, kind, value HAVING count(*) > 1)
         GROUP BY collection, kind",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (collection, kind, count): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        tracing::warn!(
            "{collection}: {count} values of the natural key ({kind}) are several entities': they stay apart until one \
             of them is deleted or changed"
        );
    }
    Ok(())
}
