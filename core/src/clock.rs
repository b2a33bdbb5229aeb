//! Hybrid logical clocks: when something was written, in an order that survives clocks which are wrong.
//!
//! A device stamps its mutations with its raw clock ([`Hlc`]); the server turns that once into a [`Stamp`] in its own time
//! (rule 20). Neither reads a clock here: the time comes in.
//!
//! Source: Kulkarni et al., "Logical Physical Clocks", 2014.

use serde::{Deserialize, Serialize};

use crate::ids::{MutationId, ReplicaId};

/// A reading of a hybrid logical clock. On the wire `[ms, counter]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Hlc(
    /// Milliseconds since 1970.
    pub u64,
    /// Tells readings of one millisecond apart.
    pub u32,
);

impl Hlc {
    /// The reading that follows `self` when the wall clock shows `wall_ms`: strictly later, even if the clock went back.
    ///
    /// ```
    /// use tidewire_core::clock::Hlc;
    /// assert_eq!(Hlc(5, 0).tick(9), Hlc(9, 0));
    /// assert_eq!(Hlc(5, 0).tick(3), Hlc(5, 1));
    /// ```
    #[must_use]
    pub fn tick(self, wall_ms: u64) -> Self {
        if wall_ms > self.0 { Self(wall_ms, 0) } else { Self(self.0, self.1.saturating_add(1)) }
    }
}

/// When a value was written, in the server's time; ties by replica, then by number. On the wire `[[ms, counter], replica, [key, index]]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp(
    /// The time.
    pub Hlc,
    /// Who wrote it.
    pub ReplicaId,
    /// With which mutation.
    pub MutationId,
);
