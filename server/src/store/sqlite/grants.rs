//! Who is in which group by an entity that is a membership.
//!
//! Invariant: of each live membership that puts somebody into a group, the table `grants` has a row with these groups.

use rusqlite::{Connection, params};
use tidewire_core::authority::rights::Membership;
use tidewire_core::ids::{CollectionName, EntityId, Group, Owner};
use tidewire_core::json;
use tidewire_core::json::Value;

use super::read::Snapshot;
use super::rows::from_json;
use crate::policy::{Principal, ServerPolicy, Standing};
use crate::store::StoreError;

/// The groups that memberships put a user into.
pub(super) fn of(connection: &Connection, user: &Owner) -> Result<Vec<Group>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT groups FROM grants WHERE tenant = ?1 AND subject = ?2")?;
    let mut rows = statement.query(params![user.tenant, user.subject])?;
    let mut groups = Vec::new();
    while let Some(row) = rows.next()? {
        groups.extend(from_json::<Vec<Group>>(&row.get::<_, String>(0)?)?);
    }
    Ok(groups)
}

/// Brings the table up to date with a membership that is put; `None`: it is deleted.
pub(super) fn put(
    connection: &Connection,
    membership: &Membership,
    (tenant, collection, id): (&str, &CollectionName, &EntityId),
    doc: Option<&Value>,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM grants WHERE tenant = ?1 AND collection = ?2 AND id = ?3")?
        .execute(params![tenant, collection.as_str(), id.as_str()])?;
    if let Some((subject, groups)) = doc.and_then(|doc| membership.of(id, doc)) {
        connection
            .prepare_cached("INSERT INTO grants (tenant, subject, collection, id, groups) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![tenant, subject, collection.as_str(), id.as_str(), json::to_text(&groups)])?;
    }
    Ok(())
}

impl Snapshot<'_> {
    /// What somebody may see in this snapshot.
    pub fn standing(&self, policy: &ServerPolicy, principal: &Principal) -> Result<Standing, StoreError> {
        let has_some = !policy.memberships().is_empty();
        let granted = if has_some { of(self.connection, &principal.owner)? } else { Vec::new() };
        Ok(policy.standing(principal, granted))
    }
}
