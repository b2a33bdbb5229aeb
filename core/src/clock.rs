//! Hybrid logical clocks: when something was written, in an order that survives clocks which are wrong.
//!
//! A device stamps its mutations with its raw clock ([`Hlc`]); the server turns that once into a [`Stamp`] in its own
//! time (rule 20). Neither reads a clock here: the time comes in.
//!
//! Source: Kulkarni et al., "Logical Physical Clocks", 2014.

use crate::json::Value;
use serde::{Deserialize, Serialize};

use crate::error::CoreError;
use crate::ids::{MutationId, ReplicaId};
use crate::io::Now;
use crate::limits::{CLOCK_AHEAD_MS_MAX, PUSH_TRAVEL_MS_MAX, SERVER_CLOCK_AGE_MS_MAX};
use crate::planted::Bug;

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

/// The clocks of one exchange, in milliseconds since 1970: the difference of two that show the same moment is the
/// sender's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// What the sender's raw clock showed when it sent.
    pub sender_now: u64,
    /// What the server's clock showed at that moment, if the sender knows.
    pub sent_at: Option<u64>,
    /// What the server's clock shows.
    pub server_now: u64,
}

impl Exchange {
    /// The moment of sending in the server's time. Nothing is sent after it has arrived, nor long before.
    fn sent_at(self) -> u64 {
        let plausible = |at: &u64| self.server_now.saturating_sub(*at) <= PUSH_TRAVEL_MS_MAX;
        self.sent_at.filter(plausible).unwrap_or(self.server_now).min(self.server_now)
    }

    /// A sender's reading in the server's time (rule 20): less the offset of this exchange; not above now, or not
    /// over [`CLOCK_AHEAD_MS_MAX`] above it if the sender knew the offset when it wrote; not below `base`, the stamp
    /// of what it had seen.
    ///
    /// ```
    /// use tidewire_core::clock::{Exchange, Hlc};
    /// let day_ahead = Exchange { sender_now: 86_500_000, sent_at: None, server_now: 100_000 };
    /// assert_eq!(day_ahead.server_time(Hlc(86_490_000, 0), false, None), Hlc(90_000, 0));
    /// let slow = Exchange { sent_at: Some(99_000), ..day_ahead };
    /// assert_eq!(slow.server_time(Hlc(86_490_000, 0), false, None), Hlc(89_000, 0));
    /// ```
    pub fn server_time(self, at: Hlc, synced_clock: bool, base: Option<Hlc>) -> Hlc {
        let sent_at = self.sent_at();
        let ms = if sent_at >= self.sender_now {
            at.0.saturating_add(sent_at - self.sender_now)
        } else {
            at.0.saturating_sub(self.sender_now - sent_at)
        };
        let ahead = if synced_clock { CLOCK_AHEAD_MS_MAX } else { 0 };
        let time = Hlc(ms.min(self.server_now.saturating_add(ahead)), at.1);
        let time = if Bug::ClockTrusted.is_planted() { at } else { time };
        base.map_or(time, |base| time.max(base))
    }
}

/// What a device knows of the server's clock, from the best of its exchanges.
///
/// An answer says what the clock showed at some moment between request and answer; taken as the middle, that is wrong
/// by half the round trip at most, however the way there and the way back differ. Source: D. Mills, "Network Time
/// Protocol", RFC 5905, §8 and §10 (of some exchanges the one with the shortest round trip is believed).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerClock {
    /// What it showed in the middle of that exchange.
    shown_ms: u64,
    /// This device's clocks then.
    middle: Now,
    /// How far off that may be.
    error_ms: u64,
}

/// Clocks of two machines drift apart by at most so much.
const DRIFT_PARTS_PER_MILLION: u64 = 100;
/// A wall clock that is corrected gently moves by less against the monotonic one; one that is set, or a monotonic one
/// that stood still while the device slept, by more.
const STEP_MS: u64 = 50;

impl ServerClock {
    /// From an exchange that began at `sent_ms` by the monotonic clock and ended `now`.
    pub fn measure(sent_ms: u64, now: Now, shown_ms: u64) -> Self {
        let half_ms = now.mono_ms.saturating_sub(sent_ms) / 2;
        let middle = Now { wall_ms: now.wall_ms.saturating_sub(half_ms), mono_ms: now.mono_ms.saturating_sub(half_ms) };
        Self { shown_ms, middle, error_ms: half_ms }
    }

    /// The better of two, the newer one last. Where they cannot both be right, the server's clock was set: the newer
    /// one holds.
    #[must_use]
    pub fn or_better(self, newer: Self, now: Now) -> Self {
        let (Some(known), Some(news)) = (self.measured(now), newer.measured(now)) else { return newer };
        let agree = known.abs_diff(news) <= self.error(now) + newer.error(now);
        if agree && self.error(now) < newer.error(now) { self } else { newer }
    }

    /// What the server's clock shows now; `None` when that is too long ago, or one of this device's clocks jumped.
    /// A device's own clock that may be right, as far as was measured, is believed: most are set by the network, and
    /// better than a request or two can tell.
    ///
    /// ```
    /// use tidewire_core::clock::ServerClock;
    /// use tidewire_core::io::Now;
    /// let clock = ServerClock::measure(100, Now { wall_ms: 5_300, mono_ms: 300 }, 7_000);
    /// assert_eq!(clock.read(Now { wall_ms: 5_350, mono_ms: 350 }), Some(7_150));
    /// assert_eq!(clock.read(Now { wall_ms: 9_350, mono_ms: 350 }), None);
    /// let right = ServerClock::measure(100, Now { wall_ms: 6_900, mono_ms: 300 }, 6_820);
    /// assert_eq!(right.read(Now { wall_ms: 6_950, mono_ms: 350 }), Some(6_950));
    /// ```
    pub fn read(&self, now: Now) -> Option<u64> {
        let measured = self.measured(now)?;
        Some(if measured.abs_diff(now.wall_ms) <= self.error(now) { now.wall_ms } else { measured })
    }

    fn measured(&self, now: Now) -> Option<u64> {
        let age_ms = now.mono_ms.checked_sub(self.middle.mono_ms)?;
        let wall_ms = now.wall_ms.checked_sub(self.middle.wall_ms)?;
        (age_ms <= SERVER_CLOCK_AGE_MS_MAX && wall_ms.abs_diff(age_ms) <= STEP_MS).then(|| self.shown_ms + age_ms)
    }

    fn error(&self, now: Now) -> u64 {
        let age_ms = now.mono_ms.saturating_sub(self.middle.mono_ms);
        self.error_ms + 1 + age_ms * DRIFT_PARTS_PER_MILLION / 1_000_000
    }
}
