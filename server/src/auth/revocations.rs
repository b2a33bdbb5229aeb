//! Tokens that count no more before they expire: those of one session, or all of a user up to a moment.
//!
//! Invariant: what is in memory is on the disk; a socket that subscribed before its token was checked hears of
//! everything that was revoked since.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use tidewire_core::ids::Owner;
use tokio::sync::watch;

use super::Identity;

/// Whose tokens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revoked {
    /// A user's, issued up to that moment.
    User(Owner),
    /// Those of one session.
    Session {
        /// Its tenant.
        tenant: String,
        /// Its id, as the tokens have it.
        id: String,
    },
}

/// All that was revoked, and when, in milliseconds since 1970.
pub struct Revocations {
    known: RwLock<BTreeMap<Revoked, u64>>,
    count: watch::Sender<usize>,
}

impl Revocations {
    /// Begins with what the store remembers.
    pub fn new(stored: Vec<(Revoked, u64)>) -> Self {
        Self { known: RwLock::new(stored.into_iter().collect()), count: watch::channel(0).0 }
    }

    /// Adds one that the store remembers now.
    pub fn add(&self, revoked: Revoked, at_ms: u64) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(revoked, at_ms);
        self.count.send_modify(|count| *count += 1);
    }

    /// Whether a token that speaks for somebody counts no more. One that does not say when it was issued counts no more
    /// once something of its user was revoked; one of the same second neither.
    pub fn covers(&self, identity: &Identity) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return false;
        }
        let owner = &identity.principal.owner;
        let by_user = known.get(&Revoked::User(owner.clone()));
        let by_session = identity
            .session
            .as_ref()
            .is_some_and(|id| known.contains_key(&Revoked::Session { tenant: owner.tenant.clone(), id: id.clone() }));
        by_session || by_user.is_some_and(|at_ms| identity.issued_ms.is_none_or(|issued_ms| issued_ms <= *at_ms))
    }

    /// Tells of each that is added.
    pub fn subscribe(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }
}
