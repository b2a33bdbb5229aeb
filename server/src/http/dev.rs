//! `POST /api/dev/token`: demo tokens for anybody who asks. There only with `--dev`.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use tidewire_core::error::Code;
use tidewire_core::ids::Owner;

use super::body;
use crate::config::is_loopback_name;
use crate::error::Error;
use crate::http::answer::Answer;
use crate::policy::Principal;
use crate::state::{AppState, now_ms};

/// A name and two numbers.
const TOKEN_REQUEST_BYTES_MAX: usize = 4 * 1024;
/// An hour.
const TTL_SECONDS: u64 = 3_600;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenRequest {
    user: String,
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    app: Option<String>,
    #[serde(default)]
    ttl_seconds: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenAnswer {
    token: String,
    expires_at: u64,
}

pub(super) async fn token(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<TokenAnswer>, Error> {
    check_caller(&state, &headers)?;
    let bytes = body::read(&headers, body, TOKEN_REQUEST_BYTES_MAX, state.timeouts.body).await?;
    let request: TokenRequest = body::parse(&bytes)?;
    let TokenRequest { user, tenant, roles, app, ttl_seconds } = request;
    let owner = Owner { tenant: tenant.unwrap_or_else(|| "demo".to_owned()), subject: user };
    let now = now_ms();
    let issued = state.auth.issue(&Principal { owner, roles, app }, ttl_seconds.unwrap_or(TTL_SECONDS), now);
    let Some((token, expires_at)) = issued else {
        return Err(Error::new(Code::NotFound, "demo tokens need --dev"));
    };
    // An unusable name is refused here, where it can be seen.
    if ttl_seconds != Some(0) {
        state.auth.check(&token, now).map_err(|error| Error::new(Code::BadMessage, error.into_parts().message))?;
    }
    Ok(Answer(TokenAnswer { token, expires_at }))
}

/// A page elsewhere may reach this machine by a name of its own that leads here (DNS rebinding): it gets no token.
fn check_caller(state: &AppState, headers: &HeaderMap) -> Result<(), Error> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host_is_ours = text(header::HOST).is_none_or(is_loopback_name);
    let origin_is_ours = text(header::ORIGIN).is_none_or(|origin| state.allows_origin(origin));
    if host_is_ours && origin_is_ours {
        return Ok(());
    }
    Err(Error::new(Code::Forbidden, "demo tokens are given to pages on this machine only: use http://localhost"))
}
