//! The keys of an issuer who publishes them (RFC 7517): read from the address in the configuration and from nowhere
//! else, kept, and read again when a token names one that is not known, or when they are old.
//!
//! Invariant: whoever sends tokens with invented names has the address asked once in a while, not once each.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use thiserror::Error;
use tokio::sync::Mutex;
use ureq::tls::{RootCerts, TlsConfig};

use super::keys::Key;
use crate::config::JwksUrl;

/// For the whole answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// A set of keys is a few of them.
const BYTES_MAX: u64 = 256 * 1024;
/// A key that was withdrawn is accepted for so long, and the time of one answer.
const AGE: Duration = Duration::from_secs(300);

/// Why the keys could not be read.
#[derive(Debug, Error)]
enum Failure {
    #[error("{0}")]
    Request(#[from] ureq::Error),
    #[error("HTTP {0}")]
    Status(u16),
    #[error("the answer is no JWK set: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the answer has no key that is used here: RSA of 2048 bits and more, P-256, Ed25519")]
    Empty,
    #[error("the server is stopping")]
    Stopping,
}

/// The keys cannot be had at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unavailable;

pub(super) struct Jwks {
    url: JwksUrl,
    agent: ureq::Agent,
    /// Between two attempts.
    pause: Duration,
    keys: RwLock<Arc<Vec<Key>>>,
    /// The last attempt, and what came of it. Whoever comes during one waits for it.
    last: Mutex<Option<(Instant, Result<(), Unavailable>)>>,
    is_renewing: AtomicBool,
    /// When the keys are old.
    due: RwLock<Option<Instant>>,
}

impl Jwks {
    pub(super) fn new(url: JwksUrl, pause: Duration) -> Arc<Self> {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .http_status_as_error(false)
            .tls_config(tls);
        let agent = config.build().new_agent();
        let (keys, last, due) = (RwLock::default(), Mutex::default(), RwLock::default());
        Arc::new(Self { url, agent, pause, keys, last, is_renewing: AtomicBool::new(false), due })
    }

    pub(super) fn keys(&self) -> Arc<Vec<Key>> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the keys again, unless that was done a moment ago.
    pub(super) async fn renew(self: &Arc<Self>) -> Result<(), Unavailable> {
        let mut last = self.last.lock().await;
        if let Some((at, result)) = *last
            && at.elapsed() < self.pause
        {
            return result;
        }
        let this = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || this.read()).await.unwrap_or(Err(Failure::Stopping));
        let result = match read {
            Ok(keys) => {
                tracing::info!(keys = keys.len(), url = %self.url, "read the keys of the issuer");
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, url = %self.url, "the keys of the issuer cannot be read (auth.jwks_url)");
                Err(Unavailable)
            }
        };
        *self.due.write().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + AGE);
        *last = Some((Instant::now(), result));
        result
    }

    /// Has old keys read again, beside what goes on. What is known is good until then.
    pub(super) fn renew_if_old(self: &Arc<Self>) {
        let is_old = self.due.read().unwrap_or_else(PoisonError::into_inner).is_some_and(|due| due <= Instant::now());
        if is_old && !self.is_renewing.swap(true, Ordering::Relaxed) {
            let this = Arc::clone(self);
            tokio::spawn(async move {
                let _ = this.renew().await;
                this.is_renewing.store(false, Ordering::Relaxed);
            });
        }
    }

    fn read(&self) -> Result<Vec<Key>, Failure> {
        let mut answer = self.agent.get(self.url.as_str()).header("accept", "application/json").call()?;
        if answer.status() != 200 {
            return Err(Failure::Status(answer.status().as_u16()));
        }
        let text = answer.body_mut().with_config().limit(BYTES_MAX).read_to_string()?;
        let set: Value = serde_json::from_str(&text)?;
        let listed = set.get("keys").and_then(Value::as_array).into_iter().flatten();
        let keys: Vec<Key> = listed.filter_map(Key::of_jwk).collect();
        if keys.is_empty() { Err(Failure::Empty) } else { Ok(keys) }
    }
}
