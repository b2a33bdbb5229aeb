//! Hybrid logical clocks: when something was written, in an order that survives clocks which are wrong.
//!
//! A device stamps its mutations with its raw clock ([`Hlc`]); the server turns that once into a [`Stamp`] in its own
//! time (rule 20). Neither reads a clock here: the time comes in.
//!
//! Source: Kulkarni et al., "Logical Physical Clocks", 2014.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::CoreError;
use crate::ids::{MutationId, ReplicaId};
use crate::limits::CLOCK_AHEAD_MS_MAX;

/// A reading of a hybrid logical clock. On the wire `[ms, counter]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Hlc(
    /// Milliseconds since 1970.
    pub u64,
    /// Tells readings of one millisecond apart.
    pub u32,
);

impl Hlc {
    /// The reading that follows `self` when the wall clock shows `wall_ms`: strictly later, even if the clock went
    /// back.
    ///
    /// ```
    /// use tidewire_core::clock::Hlc;
    /// assert_eq!(Hlc(5, 0).tick(9), Hlc(9, 0));
    /// assert_eq!(Hlc(5, 0).tick(3), Hlc(5, 1));
    /// ```
    #[must_use]
    pub fn tick(self, wall_ms: u64) -> Self {
        if wall_ms > self.0 { Self(wall_ms, 0) } else { self.next() }
    }

    /// Reads it from JSON.
    ///
    /// # Errors
    /// `bad-message`.
    pub fn read(value: &Value) -> Result<Self, CoreError> {
        // Of the same form.
        MutationId::read(value).map(|MutationId(ms, counter)| Self(ms, counter))
    }

    /// The next reading: one tick later.
    #[must_use]
    pub fn next(self) -> Self {
        match self.1.checked_add(1) {
            Some(counter) => Self(self.0, counter),
            None => Self(self.0.saturating_add(1), 0),
        }
    }
}

/// When a value was written, in the server's time; ties by replica, then by number. On the wire `[[ms, counter],
/// replica, [key, index]]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp(
    /// The time.
    pub Hlc,
    /// Who wrote it.
    pub ReplicaId,
    /// With which mutation.
    pub MutationId,
);

/// The two clocks of one exchange, in milliseconds since 1970: their difference is the sender's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// What the sender's raw clock showed when it sent.
    pub sender_now: u64,
    /// What the server's clock shows.
    pub server_now: u64,
}

impl Exchange {
    /// A sender's reading in the server's time (rule 20): less the offset of this exchange; not above now, or not
    /// over [`CLOCK_AHEAD_MS_MAX`] above it if the sender knew the offset when it wrote; not below `base`, the stamp
    /// of what it had seen.
    ///
    /// ```
    /// use tidewire_core::clock::{Exchange, Hlc};
    /// let day_ahead = Exchange { sender_now: 86_500_000, server_now: 100_000 };
    /// assert_eq!(day_ahead.server_time(Hlc(86_490_000, 0), false, None), Hlc(90_000, 0));
    /// ```
    pub fn server_time(self, at: Hlc, synced_clock: bool, base: Option<Hlc>) -> Hlc {
        let ms = if self.server_now >= self.sender_now {
            at.0.saturating_add(self.server_now - self.sender_now)
        } else {
            at.0.saturating_sub(self.sender_now - self.server_now)
        };
        let ahead = if synced_clock { CLOCK_AHEAD_MS_MAX } else { 0 };
        let time = Hlc(ms.min(self.server_now.saturating_add(ahead)), at.1);
        base.map_or(time, |base| time.max(base))
    }
}
