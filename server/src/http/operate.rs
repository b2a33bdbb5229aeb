//! For operators, and for apps that do not replicate everything.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use tidewire_core::error::Code;
use tidewire_core::ids::{CollectionName, EntityId, Owner, Seq};
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::model::conflict::Conflict;
use tidewire_core::model::schema::Settings;
use tidewire_core::protocol::message::VERSION;

use crate::error::Error;
use crate::http::answer::Answer;
use crate::policy::Viewer;
use crate::state::{AppState, now_ms};
use crate::store::sqlite::{Known, Snapshot};

/// `GET entities/{collection}/{id}`, under any id that it had. What the reader may not see is not told from what is not
/// there.
pub(super) async fn entity(
    State(state): State<AppState>,
    headers: HeaderMap,
    names: Names,
) -> Result<Answer<Known>, Error> {
    let principal = state.identify(&headers).await?.principal;
    let (collection, id) = read(names)?;
    state.policy.check_readable(&collection)?;
    let policy = Arc::clone(&state.policy);
    let known = move |snapshot: &Snapshot<'_>| {
        let standing = snapshot.standing(&policy, &principal)?;
        let viewer = Viewer { policy: &policy, principal: &principal, standing: &standing };
        snapshot.known(viewer, &collection, id)
    };
    let found = state.store.read_async(known).await?;
    found.map(Answer).ok_or_else(no_entity)
}

/// Collection and id, as the address has them.
type Names = Result<Path<(String, String)>, PathRejection>;

fn read(names: Names) -> Result<(CollectionName, EntityId), Error> {
    let Path((collection, id)) = names.map_err(|_| Error::new(Code::BadName, "a name in this address is not UTF-8"))?;
    Ok((CollectionName::parse(&collection)?, EntityId::parse(&id)?))
}

fn no_entity() -> Error {
    Error::new(Code::NotFound, "no such entity, or you may not see it")
}

#[derive(Serialize)]
pub(super) struct History {
    v: u32,
    conflicts: Vec<HistoryEntry>,
    dropped: u32,
}

#[derive(Serialize)]
struct HistoryEntry {
    id: String,
    #[serde(flatten)]
    conflict: Conflict,
}

/// `GET entities/{collection}/{id}/history`: what waits of an entity and what lost in it, the newest last.
pub(super) async fn history(
    State(state): State<AppState>,
    headers: HeaderMap,
    names: Names,
) -> Result<Answer<History>, Error> {
    let principal = state.identify(&headers).await?.principal;
    let (collection, id) = read(names)?;
    state.policy.check_collection(&collection)?;
    let policy = Arc::clone(&state.policy);
    let conflicts = move |snapshot: &Snapshot<'_>| {
        let standing = snapshot.standing(&policy, &principal)?;
        let viewer = Viewer { policy: &policy, principal: &principal, standing: &standing };
        snapshot.conflicts(viewer, &collection, id)
    };
    let found = state.store.read_async(conflicts).await?;
    let found = found.ok_or_else(no_entity)?;
    let dropped = found.iter().map(|(_, conflict)| conflict.dropped).max().unwrap_or(0);
    let conflicts = found.into_iter().map(|(id, conflict)| HistoryEntry { id, conflict }).collect();
    Ok(Answer(History { v: VERSION, conflicts, dropped }))
}

#[derive(Serialize)]
pub(super) struct Status {
    v: u32,
    version: &'static str,
    now: u64,
    user: Owner,
    history: String,
    seq: Seq,
    horizon: Seq,
    policy: String,
    settings: Settings,
}

/// `GET status`: where the tenant's log stands, and the server's settings.
pub(super) async fn status(State(state): State<AppState>, headers: HeaderMap) -> Result<Answer<Status>, Error> {
    let user = state.identify(&headers).await?.principal.owner;
    let tenant = user.tenant.clone();
    let top = state.store.read_async(move |snapshot| snapshot.top(&tenant)).await?;
    Ok(Answer(Status {
        v: VERSION,
        version: env!("CARGO_PKG_VERSION"),
        now: now_ms(),
        user,
        history: state.store.history().to_owned(),
        seq: top.seq,
        horizon: top.horizon,
        policy: state.policy.version().to_owned(),
        settings: state.policy.settings().clone(),
    }))
}

/// `GET health`: how the server does.
pub(super) async fn health(State(state): State<AppState>, headers: HeaderMap) -> Result<Answer<Value>, Error> {
    let user = state.identify(&headers).await?.principal.owner;
    let started = std::time::Instant::now();
    state.store.read_async(move |snapshot| snapshot.top(&user.tenant)).await?;
    Ok(Answer(json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "uptimeSeconds": state.uptime_seconds(),
        "sockets": state.sockets.load(Ordering::Relaxed),
        "pushesWaiting": state.store.waiting(),
        "readMs": started.elapsed().as_secs_f64() * 1_000.0,
    })))
}

/// `GET /healthz`, for load balancers: whether the store can be read and written. Says nothing else.
pub(super) async fn healthz(State(state): State<AppState>) -> (StatusCode, Answer<Value>) {
    match state.store.read_async(|snapshot| snapshot.top("")).await {
        Ok(_) if !state.store.is_writing() => failed(),
        Ok(_) => (StatusCode::OK, Answer(json!({"status": "ok"}))),
        Err(error) => {
            tracing::error!(%error, "the store cannot be read");
            failed()
        }
    }
}

fn failed() -> (StatusCode, Answer<Value>) {
    (StatusCode::SERVICE_UNAVAILABLE, Answer(json!({"status": "failed"})))
}
