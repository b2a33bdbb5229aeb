//! The tokens that count no more.

use rusqlite::{Connection, params};
use tidewire_core::ids::Owner;

use super::columns::int;
use crate::auth::Revoked;
use crate::store::StoreError;

const USER: &str = "user";
const SESSION: &str = "session";

pub(super) fn all(connection: &Connection) -> Result<Vec<(Revoked, u64)>, StoreError> {
    let mut statement = connection.prepare("SELECT tenant, kind, value, at FROM revocations")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (tenant, kind, value): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let revoked = match kind.as_str() {
            USER => Revoked::User(Owner { tenant, subject: value }),
            SESSION => Revoked::Session { tenant, id: value },
            other => return Err(StoreError::Unreadable(format!("a revocation of the kind `{other}`"))),
        };
        found.push((revoked, row.get::<_, i64>(3)?.cast_unsigned()));
    }
    Ok(found)
}

pub(super) fn add(connection: &Connection, revoked: &Revoked, at_ms: u64) -> Result<(), StoreError> {
    let (tenant, kind, value) = match revoked {
        Revoked::User(owner) => (&owner.tenant, USER, &owner.subject),
        Revoked::Session { tenant, id } => (tenant, SESSION, id),
    };
    connection
        .prepare_cached(
            "INSERT INTO revocations (tenant, kind, value, at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
        )?
        .execute(params![tenant, kind, value, int(at_ms)])?;
    Ok(())
}
