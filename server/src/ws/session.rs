//! One socket, from its first message to its close.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use axum::http::StatusCode;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, pending};
use futures_util::stream::SplitStream;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tidewire_core::error::{Code, CoreError};
use tidewire_core::json::Raw;
use tidewire_core::limits::LIVE_MESSAGE_BYTES_MAX;
use tidewire_core::protocol::message::{AnswerBody, ClientMessage, ServerMessage};
use tokio::time::{Instant, MissedTickBehavior};

use super::frames::{Reader, Who};
use super::outbox::{Full, Outbox};
use crate::auth::{Identity, Unverified};
use crate::error::{Error, KEYS_UNAVAILABLE, reason, retry_after};
use crate::http::push::decide;
use crate::policy::Principal;
use crate::state::{AppState, SocketGuard, check_owner, check_version, now_ms, revoked};
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

impl From<Unverified> for End {
    fn from(error: Unverified) -> Self {
        match error {
            Unverified::Refused(error) => Self::Refused(error),
            Unverified::Unavailable => Self::Refused(CoreError::new(Code::ServerError, KEYS_UNAVAILABLE)),
        }
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
        Code::TooLarge => 1009,
        Code::UpgradeRequired => 4426,
        Code::ServerError | Code::Internal => 1011,
        _ => 4400,
    }
}

/// What the client said, where more than an answer at once follows.
enum Heard {
    Nothing,
    /// What its new token says.
    Token(Identity),
    /// A push, by its number.
    Push(u64, Raw),
}

/// The answer to a push that is being decided.
type Deciding = BoxFuture<'static, ServerMessage>;

struct Session {
    state: AppState,
    outbox: Outbox,
    stream: SplitStream<WebSocket>,
    heard: Instant,
}

impl Session {
    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        let state = self.state.clone();
        // Before the token is checked, so that no revocation falls between.
        let mut revocations = state.revocations.subscribe();
        let deadline = tokio::time::timeout(state.timeouts.socket_auth, self.authenticate()).await;
        let late = || CoreError::new(Code::Timeout, "the first message must be `auth`, within 5 seconds");
        let (mut reader, mut identity) = deadline.map_err(|_| End::Refused(late()))??;
        // Subscribed before the first look, so that no commit falls between.
        let (mut commits, versions) = state.store.subscribe(&reader.who.principal.owner.tenant);
        reader.versions = Some(versions);
        self.outbox.send(&self.ready(&reader))?;
        self.look(&mut reader).await?;
        let mut heartbeat = tokio::time::interval(state.timeouts.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.tick().await;
        let mut deciding = None;
        loop {
            tokio::select! {
                // While a push is decided nothing more is read: so many wait for the writer as there are sockets.
                message = self.stream.next(), if deciding.is_none() => {
                    match self.heard(message, &reader).await? {
                        Heard::Nothing => {}
                        Heard::Token(new) => {
                            // It may speak of other roles.
                            reader.who.principal = new.principal.clone();
                            identity = new;
                            self.look(&mut reader).await?;
                        }
                        // The timer below may be late, after a sleep of the machine.
                        Heard::Push(..) if identity.expires_ms <= now_ms() => return Err(expired().into()),
                        Heard::Push(id, body) => deciding = Some(self.decide(id, reader.who.principal.clone(), body)),
                    }
                }
                answer = decided(&mut deciding) => {
                    deciding = None;
                    self.outbox.send(&answer)?;
                }
                Ok(()) = commits.changed() => self.look(&mut reader).await?,
                _ = heartbeat.tick() => {
                    if self.heard.elapsed() > state.timeouts.heartbeat * MISSED_MAX {
                        return Err(CoreError::new(Code::Timeout, "nothing was heard for two heartbeats").into());
                    }
                    self.outbox.send(&ServerMessage::Ping)?;
                }
                Ok(()) = revocations.changed() => {
                    if state.revocations.covers(&identity) {
                        return Err(revoked().into());
                    }
                }
                () = until(identity.expires_ms) => return Err(expired().into()),
                () = state.stopping() => return Err(End::Stopping),
            }
        }
    }

    fn ready(&self, reader: &Reader) -> ServerMessage {
        ServerMessage::Ready {
            now: now_ms(),
            user: reader.who.principal.owner.clone(),
            cursor: reader.told().clone(),
            push_bytes: Some(LIVE_MESSAGE_BYTES_MAX.min(self.state.config.max_push_bytes)),
        }
    }

    async fn authenticate(&mut self) -> Result<(Reader, Identity), End> {
        let message = loop {
            match text_of(self.stream.next().await)? {
                Some(text) => break parse(&text)?,
                None => continue,
            }
        };
        let ClientMessage::Auth { v, token, replica, owner, collections, ids, deltas } = message else {
            return Err(CoreError::new(Code::BadMessage, "the first message must be `auth`").into());
        };
        check_version(v)?;
        let identity = self.state.verify(&token).await?;
        let principal = identity.principal.clone();
        check_owner(owner.as_ref(), &principal.owner)?;
        let policy = &self.state.policy;
        collections.iter().try_for_each(|collection| policy.check_readable(collection))?;
        let who = Who { principal, replica, collections, policy: Arc::clone(policy) };
        let mut reader = Reader::start(&self.state.store, who, ids).await?;
        reader.deltas = deltas;
        Ok((reader, identity))
    }

    async fn look(&mut self, reader: &mut Reader) -> Result<(), End> {
        if let Some(text) = reader.look(&self.state.store).await? {
            self.outbox.send_text(text)?;
        }
        Ok(())
    }

    /// Handles what the client said.
    async fn heard(&mut self, message: Option<Result<Message, axum::Error>>, reader: &Reader) -> Result<Heard, End> {
        let text = text_of(message)?;
        self.heard = Instant::now();
        let Some(text) = text else { return Ok(Heard::Nothing) };
        match parse(&text)? {
            ClientMessage::Pong => Ok(Heard::Nothing),
            ClientMessage::Ping => {
                self.outbox.send(&ServerMessage::Pong { seq: reader.told().seq })?;
                Ok(Heard::Nothing)
            }
            ClientMessage::Token { token } => {
                let identity = self.state.verify(&token).await?;
                check_owner(Some(&reader.who.principal.owner), &identity.principal.owner)?;
                Ok(Heard::Token(identity))
            }
            ClientMessage::Push { id } => {
                let Carried { body } = parse(&text)?;
                Ok(Heard::Push(id, body))
            }
            ClientMessage::Auth { .. } => {
                Err(CoreError::new(Code::BadMessage, "`auth` was said already: open another socket").into())
            }
        }
    }

    fn decide(&self, id: u64, author: Principal, body: Raw) -> Deciding {
        let state = self.state.clone();
        Box::pin(async move {
            let (status, retry_after, body) = match decide(&state, author, body.get().as_bytes()).await {
                Ok(answer) => (StatusCode::OK, None, AnswerBody::Push(answer)),
                Err(error) => {
                    let status = error.status();
                    (status, retry_after(status), AnswerBody::Error(error.body()))
                }
            };
            ServerMessage::Answer { id, status: status.as_u16(), retry_after, body }
        })
    }
}

async fn decided(deciding: &mut Option<Deciding>) -> ServerMessage {
    match deciding {
        Some(deciding) => deciding.await,
        None => pending().await,
    }
}

/// The part of a push's message that is taken as the text that it is.
#[derive(Deserialize)]
struct Carried {
    body: Raw,
}

/// What the client wrote; nothing for the messages of the WebSocket protocol itself.
fn text_of(message: Option<Result<Message, axum::Error>>) -> Result<Option<Utf8Bytes>, End> {
    match message {
        None | Some(Err(_) | Ok(Message::Close(_))) => Err(End::Gone),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Binary(_))) => Err(CoreError::new(Code::BadMessage, "messages are text").into()),
        Some(Ok(Message::Text(text))) if text.len() > LIVE_MESSAGE_BYTES_MAX => {
            let message = format!("a message has at most {LIVE_MESSAGE_BYTES_MAX} bytes: send less, or by a request");
            Err(CoreError::new(Code::TooLarge, message).into())
        }
        Some(Ok(Message::Text(text))) => Ok(Some(text)),
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, CoreError> {
    serde_json::from_str(text)
        .map_err(|error| CoreError::new(Code::BadMessage, format!("no such message: {}", reason(&error))))
}

async fn until(time_ms: u64) {
    let wait = time_ms.saturating_sub(now_ms());
    tokio::time::sleep(Duration::from_millis(wait)).await;
}

fn expired() -> CoreError {
    CoreError::new(Code::Unauthorized, "the token has expired: send a new one before, with `token`")
}
