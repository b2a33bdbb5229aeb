//! Ending sessions: `POST sessions/{id}/revoke` and `POST sessions/revoke-all?sub=`. An administrator ends anybody's of
//! his tenant, everybody else his own.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use tidewire_core::error::Code;
use tidewire_core::ids::Owner;
use tidewire_core::protocol::message::VERSION;

use crate::auth::{Identity, Revoked};
use crate::error::Error;
use crate::http::answer::Answer;
use crate::policy::user_group;
use crate::state::{AppState, now_ms};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ended {
    v: u32,
    now: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
}

pub(super) async fn revoke(
    State(state): State<AppState>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Result<Answer<Ended>, Error> {
    let identity = state.identify(&headers).await?;
    let Path(id) = id.map_err(|_| Error::new(Code::BadName, "the session's id in this address is not UTF-8"))?;
    if identity.session.as_ref() != Some(&id) {
        check_admin(&state, &identity)?;
    }
    let tenant = identity.principal.owner.tenant;
    let now = state.revoke(Revoked::Session { tenant, id: id.clone() }, now_ms()).await?;
    Ok(Answer(Ended { v: VERSION, now, session: Some(id), subject: None }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    #[serde(default)]
    sub: Option<String>,
}

pub(super) async fn revoke_all(
    State(state): State<AppState>,
    headers: HeaderMap,
    whose: Result<Query<Whose>, QueryRejection>,
) -> Result<Answer<Ended>, Error> {
    let identity = state.identify(&headers).await?;
    let bad = |what: &'static str| Error::new(Code::BadName, what);
    let Query(Whose { sub }) = whose.map_err(|_| bad("this address takes `?sub=` with a user, or nothing"))?;
    let Owner { tenant, subject: own } = identity.principal.owner.clone();
    let subject = sub.unwrap_or_else(|| own.clone());
    if subject != own {
        check_admin(&state, &identity)?;
    }
    if user_group(&subject).is_none() {
        return Err(bad("no user has such a name"));
    }
    let now = state.revoke(Revoked::User(Owner { tenant, subject: subject.clone() }), now_ms()).await?;
    Ok(Answer(Ended { v: VERSION, now, session: None, subject: Some(subject) }))
}

fn check_admin(state: &AppState, identity: &Identity) -> Result<(), Error> {
    if state.is_admin(&identity.principal) {
        return Ok(());
    }
    Err(Error::new(Code::Forbidden, "this takes one of the roles in admin.roles"))
}
