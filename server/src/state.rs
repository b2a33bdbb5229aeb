//! What every request shares.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use axum::http::header;
use tidewire_core::error::{Code, CoreError};
use tidewire_core::ids::Owner;
use tidewire_core::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::auth::{Auth, Identity, Revocations, Revoked, Unverified};
use crate::config::{Config, ServerConfig, is_loopback_name};
use crate::error::Error;
use crate::policy::{Principal, ServerPolicy};
use crate::store::{Store, StoreError};

/// Pulls that read at one time; each holds a thread and a snapshot.
const PULLS_MAX: usize = 32;
/// Refused origins that are remembered, so that each is logged once.
const REFUSED_ORIGINS_MAX: usize = 100;

/// Times that tests shorten. The defaults are the protocol's.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// For the head of a request.
    pub head: Duration,
    /// For a body, besides what its size allows.
    pub body: Duration,
    /// For the first message on a socket.
    pub socket_auth: Duration,
    /// Between two heartbeats on a socket.
    pub heartbeat: Duration,
    /// Between two attempts to read the keys of the issuer.
    pub jwks_pause: Duration,
    /// For a reader to take the next part of a stream, or the rest of a send buffer.
    pub slow_reader: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            socket_auth: Duration::from_millis(limits::SOCKET_AUTH_MS),
            heartbeat: Duration::from_millis(limits::SOCKET_HEARTBEAT_MS),
            jwks_pause: Duration::from_secs(10),
            slow_reader: Duration::from_secs(30),
        }
    }
}

/// The state of a server. Cheap to clone.
pub type AppState = Arc<State>;

/// What every request shares.
pub struct State {
    /// `[server]`
    pub config: ServerConfig,
    /// Whether `--dev` was given.
    pub dev: bool,
    /// Who sees and writes what.
    pub policy: Arc<ServerPolicy>,
    /// The data.
    pub store: Store,
    /// Who is calling.
    pub auth: Auth,
    /// Whose tokens count no more.
    pub revocations: Revocations,
    /// The roles of administrators.
    admins: Vec<String>,
    /// Times.
    pub timeouts: Timeouts,
    /// Bounds the pulls that read at one time.
    pub pulls: Arc<Semaphore>,
    /// Bounds the connections, sockets included.
    pub connections: Arc<Semaphore>,
    /// Sockets that are open.
    pub sockets: AtomicUsize,
    started: Instant,
    stopping: watch::Sender<bool>,
    refused_origins: Mutex<BTreeSet<String>>,
}

impl State {
    /// Opens the store of a configuration.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(config: Config, dev: bool, timeouts: Timeouts) -> Result<AppState, StoreError> {
        let policy = Arc::new(ServerPolicy::new(config.collections, dev));
        let horizon = Duration::from_secs(config.server.horizon_seconds.get().into());
        let store = Store::open(&config.server.data, Arc::clone(&policy), horizon)?;
        let dev_secret = if dev { Some(store.secret("dev-secret").await?) } else { None };
        let auth = Auth::new(&config.auth, dev_secret.as_deref(), timeouts.jwks_pause);
        auth.warm_up().await;
        let connections_max = config.server.max_connections;
        Ok(Arc::new(Self {
            auth,
            revocations: Revocations::new(store.revocations().await?),
            admins: config.admin.roles,
            config: config.server,
            dev,
            policy,
            store,
            timeouts,
            pulls: Arc::new(Semaphore::new(PULLS_MAX)),
            connections: Arc::new(Semaphore::new(connections_max)),
            sockets: AtomicUsize::new(0),
            started: Instant::now(),
            stopping: watch::channel(false).0,
            refused_origins: Mutex::default(),
        }))
    }

    /// Who sent a request.
    ///
    /// # Errors
    /// `unauthorized`
    pub async fn identify(&self, headers: &HeaderMap) -> Result<Identity, Error> {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        Ok(self.current(self.auth.verify_header(value, now_ms()).await?)?)
    }

    /// Who sent a token.
    ///
    /// # Errors
    /// `unauthorized`; or the keys of the issuer cannot be read.
    pub async fn verify(&self, token: &str) -> Result<Identity, Unverified> {
        self.current(self.auth.verify(token, now_ms()).await?)
    }

    fn current(&self, identity: Identity) -> Result<Identity, Unverified> {
        if self.revocations.covers(&identity) { Err(revoked().into()) } else { Ok(identity) }
    }

    /// Has tokens count no more, from now on and after a restart; returns the time from which on.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn revoke(self: &Arc<Self>, revoked: Revoked, now_ms: u64) -> Result<u64, StoreError> {
        let state = Arc::clone(self);
        // Whoever asked may go away meanwhile: what is on the disk has to be in force.
        let ended = tokio::spawn(async move {
            state.store.revoke(revoked.clone(), now_ms).await?;
            state.revocations.add(revoked, now_ms);
            Ok::<_, StoreError>(now_ms)
        });
        ended.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Whether a token that was good still is: asked again after whatever took its time.
    ///
    /// # Errors
    /// `unauthorized`
    pub fn check_still(&self, identity: &Identity) -> Result<(), CoreError> {
        if self.revocations.covers(identity) {
            return Err(revoked());
        }
        if identity.expires_ms <= now_ms() {
            return Err(CoreError::new(Code::Unauthorized, "the token has expired meanwhile: ask for another"));
        }
        Ok(())
    }

    /// Whether somebody may administer his tenant.
    pub fn is_admin(&self, principal: &Principal) -> bool {
        principal.roles.iter().any(|role| self.admins.contains(role))
    }

    /// Whether a web page of this origin may call. A refusal is logged with the key that would allow it.
    pub fn allows_origin(&self, origin: &str) -> bool {
        let listed = self.config.origins.iter().any(|allowed| allowed.as_str() == origin);
        let local = self.dev
            && origin
                .split_once("://")
                .is_some_and(|(scheme, authority)| matches!(scheme, "http" | "https") && is_loopback_name(authority));
        if listed || local {
            return true;
        }
        let mut refused = self.refused_origins.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < REFUSED_ORIGINS_MAX && refused.insert(origin.to_owned()) {
            tracing::warn!(
                origin = origin.escape_debug().to_string(),
                "refused a web page: to allow it, add its origin to server.origins in the TOML"
            );
        }
        false
    }

    /// Resolves when the server begins to stop.
    pub async fn stopping(&self) {
        // An error means that the sender is gone, and with it the server.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Tells sockets and the accept loop to finish.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Seconds since the start.
    pub fn uptime_seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// Resolves when the last connection and the last socket are closed.
    pub async fn all_connections_ended(&self) {
        let all = u32::try_from(self.config.max_connections).unwrap_or(u32::MAX);
        let _ = self.connections.acquire_many(all).await;
    }

    /// Takes a connection's place for a socket, which outlives its request; `None` if the server is full.
    pub fn socket_guard(self: &Arc<Self>) -> Option<SocketGuard> {
        let permit = self.connections.clone().try_acquire_owned().ok()?;
        self.sockets.fetch_add(1, Ordering::Relaxed);
        Some(SocketGuard { state: Arc::clone(self), _permit: permit })
    }
}

/// See [`State::socket_guard`].
pub struct SocketGuard {
    state: AppState,
    _permit: OwnedSemaphorePermit,
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        self.state.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A store belongs to its first user; another's token is refused (rule 9).
///
/// # Errors
/// `wrong-user`
pub fn check_owner(claimed: Option<&Owner>, user: &Owner) -> Result<(), CoreError> {
    if claimed.is_none_or(|claimed| claimed == user) {
        return Ok(());
    }
    Err(CoreError::new(
        Code::WrongUser,
        "this store belongs to another user: sign in as that user, or open another store",
    ))
}

/// The protocol's version must be the server's.
///
/// # Errors
/// `upgrade-required`
pub fn check_version(version: u32) -> Result<(), CoreError> {
    use tidewire_core::protocol::message::VERSION;
    if version == VERSION {
        return Ok(());
    }
    let who =
        if version < VERSION { "this client is too old: reload the page" } else { "this server is too old: update it" };
    Err(CoreError::new(Code::UpgradeRequired, format!("{who} (protocol {version}, the server speaks {VERSION})")))
}

/// What is said to a token that counts no more.
pub(crate) fn revoked() -> CoreError {
    CoreError::new(Code::Unauthorized, "this session was ended: sign in again")
}

/// The server's clock, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
