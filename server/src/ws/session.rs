//! One socket, from its first message to its close.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use tidewire_core::error::{Code, CoreError};
use tidewire_core::ids::Owner;
use tidewire_core::protocol::message::{ClientMessage, ServerMessage};
use tokio::time::{Instant, MissedTickBehavior};

use super::frames::Reader;
use super::outbox::{Full, Outbox};
use crate::error::Error;
use crate::state::{AppState, SocketGuard, check_owner, check_version, now_ms};
use crate::store::StoreError;

/// Heartbeats that may go unanswered.
const MISSED_MAX: u32 = 2;
/// For the close to be taken.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// Why a socket ends.
enum End {
    /// The client closed it, or the connection broke.
    Gone,
    /// The server stops; the client reconnects at once.
    Stopping,
    /// The client reads too slowly; it pulls.
    Slow,
    /// The client is told why.
    Refused(CoreError),
}

impl From<Full> for End {
    fn from(_: Full) -> Self {
        Self::Slow
    }
}

impl From<CoreError> for End {
    fn from(error: CoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a socket could not read the store");
        let body = Error::Store(error).body();
        Self::Refused(CoreError::new(body.code, body.message))
    }
}

pub(super) async fn run(state: AppState, guard: SocketGuard, socket: WebSocket) {
    let (sink, stream) = socket.split();
    let mut session = Session { state, outbox: Outbox::start(sink), stream, heard: Instant::now() };
    let Err(end) = session.serve().await;
    let Session { state, outbox, .. } = session;
    let (code, reason, patience) = match end {
        End::Gone => return,
        End::Stopping => (1012, "the server restarts", CLOSE_PATIENCE),
        End::Slow => (1013, "too slow: pull", state.timeouts.slow_reader),
        End::Refused(error) => {
            let code = close_code(error.code);
            let _ = outbox.send(&ServerMessage::Error { code: error.code, message: error.message.to_string() });
            (code, error.code.as_str(), CLOSE_PATIENCE)
        }
    };
    outbox.close(code, reason, patience).await;
    drop(guard);
}

/// The close code of a refusal. `docs/PROTOCOL.md` has the same table.
fn close_code(code: Code) -> u16 {
    match code {
        Code::Unauthorized => 4401,
        Code::WrongUser | Code::Forbidden => 4403,
        Code::UnknownCollection => 4404,
        Code::Timeout => 4408,
        Code::TooLarge => 4413,
        Code::UpgradeRequired => 4426,
        Code::ServerError | Code::Internal => 1011,
        _ => 4400,
    }
}

struct Session {
    state: AppState,
    outbox: Outbox,
    stream: SplitStream<WebSocket>,
    heard: Instant,
}

impl Session {
    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        let state = self.state.clone();
        let deadline = tokio::time::timeout(state.timeouts.socket_auth, self.authenticate()).await;
        let late = || CoreError::new(Code::Timeout, "the first message must be `auth`, within 5 seconds");
        let (mut reader, mut expires_ms) = deadline.map_err(|_| End::Refused(late()))??;
        // Subscribed before the first look, so that no commit falls between.
        let (mut commits, versions) = state.store.subscribe(&reader.user.tenant);
        reader.versions = Some(versions);
        let ready = ServerMessage::Ready { now: now_ms(), user: reader.user.clone(), cursor: reader.told().clone() };
        self.outbox.send(&ready)?;
        self.look(&mut reader).await?;
        let mut heartbeat = tokio::time::interval(state.timeouts.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.tick().await;
        loop {
            tokio::select! {
                message = self.stream.next() => {
                    if let Some(expires) = self.heard(message, &reader.user)? {
                        expires_ms = expires;
                    }
                }
                Ok(()) = commits.changed() => self.look(&mut reader).await?,
                _ = heartbeat.tick() => {
                    if self.heard.elapsed() > state.timeouts.heartbeat * MISSED_MAX {
                        return Err(CoreError::new(Code::Timeout, "nothing was heard for two heartbeats").into());
                    }
                    self.outbox.send(&ServerMessage::Ping)?;
                }
                () = until(expires_ms) => return Err(expired().into()),
                () = state.stopping() => return Err(End::Stopping),
            }
        }
    }

    async fn authenticate(&mut self) -> Result<(Reader, u64), End> {
        let message = loop {
            match parse(self.stream.next().await)? {
                Some(message) => break message,
                None => continue,
            }
        };
        let ClientMessage::Auth { v, token, replica, owner, collections, ids, deltas } = message else {
            return Err(CoreError::new(Code::BadMessage, "the first message must be `auth`").into());
        };
        check_version(v)?;
        let identity = self.state.auth.check(&token, now_ms())?;
        check_owner(owner.as_ref(), &identity.owner)?;
        let scope = self.state.policy.scope(&identity.owner, &collections)?;
        let mut reader = Reader::start(&self.state.store, identity.owner, replica, scope, ids).await?;
        reader.deltas = deltas;
        Ok((reader, identity.expires_ms))
    }

    async fn look(&mut self, reader: &mut Reader) -> Result<(), End> {
        if let Some(text) = reader.look(&self.state.store).await? {
            self.outbox.send_text(text)?;
        }
        Ok(())
    }

    /// Handles what the client said. Returns the new expiry after a token refresh.
    fn heard(&mut self, message: Option<Result<Message, axum::Error>>, user: &Owner) -> Result<Option<u64>, End> {
        let message = parse(message)?;
        self.heard = Instant::now();
        match message {
            None | Some(ClientMessage::Pong) => Ok(None),
            Some(ClientMessage::Ping) => {
                self.outbox.send(&ServerMessage::Pong)?;
                Ok(None)
            }
            Some(ClientMessage::Token { token }) => {
                let identity = self.state.auth.check(&token, now_ms())?;
                check_owner(Some(user), &identity.owner)?;
                Ok(Some(identity.expires_ms))
            }
            Some(ClientMessage::Auth { .. }) => {
                Err(CoreError::new(Code::BadMessage, "`auth` was said already: open another socket").into())
            }
        }
    }
}

/// A client's message; nothing for those of the WebSocket protocol itself.
fn parse(message: Option<Result<Message, axum::Error>>) -> Result<Option<ClientMessage>, End> {
    match message {
        None | Some(Err(_) | Ok(Message::Close(_))) => Err(End::Gone),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Binary(_))) => Err(CoreError::new(Code::BadMessage, "messages are text").into()),
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| CoreError::new(Code::BadMessage, format!("no such message: {error}")).into()),
    }
}

async fn until(time_ms: u64) {
    let wait = time_ms.saturating_sub(now_ms());
    tokio::time::sleep(Duration::from_millis(wait)).await;
}

fn expired() -> CoreError {
    CoreError::new(Code::Unauthorized, "the token has expired: send a new one before, with `token`")
}
