//! `GET live`: the channel that tells of changes as they happen. A hint: the truth is the pull (rule 21). It takes
//! pushes too, one at a time, which are decided and answered as those of `POST push`.
//!
//! ```text
//! upgrade ──► auth (5 s) ──► ready ──► frames, pull, ping/pong, token, push/answer ──► close
//!   │ 403        │ 1009 4400 4401 4403 4404 4408 4426                              1009 1012 1013 4400 4401 4403 4408
//! ```

mod frames;
mod outbox;
mod session;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{State, WebSocketUpgrade};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use tidewire_core::error::Code;
use tidewire_core::limits::LIVE_MESSAGE_BYTES_MAX;

use crate::error::Error;
use crate::state::AppState;
use crate::store::StoreError;

/// A message up to here is read, so that whoever says more than he may is told so; who says more than this is cut off.
const READ_BYTES_MAX: usize = 4 * LIVE_MESSAGE_BYTES_MAX;

/// The upgrade. A page of another origin gets no socket, although it would have no token either.
pub(crate) async fn live(
    State(state): State<AppState>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Error> {
    if let Some(origin) = headers.get(header::ORIGIN)
        && !origin.to_str().is_ok_and(|origin| state.allows_origin(origin))
    {
        return Err(Error::new(Code::Forbidden, "this origin may not open a socket: see server.origins"));
    }
    let upgrade =
        upgrade.map_err(|why| Error::new(Code::BadMessage, format!("the live channel is a WebSocket: {why}")))?;
    let guard = state.socket_guard().ok_or(StoreError::Overloaded)?;
    Ok(upgrade
        .max_message_size(READ_BYTES_MAX)
        .max_frame_size(READ_BYTES_MAX)
        .on_upgrade(move |socket| session::run(state, guard, socket)))
}
