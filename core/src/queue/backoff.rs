//! When to try again: full jitter (a random wait up to a ceiling that doubles), so that devices which failed
//! together do not return together. Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
//! 2015.

use crate::planted::Bug;

/// A small generator for jitter; the seed comes from the shell. Not for secrets. SplitMix64 (Steele et al., 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts from 16 bytes of the shell's entropy.
    pub fn new(entropy: [u8; 16]) -> Self {
        let number = u128::from_le_bytes(entropy);
        let (low, high) = (number as u64, (number >> 64) as u64);
        Self(low.wrapping_add(high.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to and with `most`.
    pub fn upto(&mut self, most: u64) -> u64 {
        self.number() % most.saturating_add(1)
    }
}

/// One thing that is tried again.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    /// Failures in a row.
    pub failures: u32,
    /// Those of them since the server was last reached, whatever it was asked.
    pub since_reached: u32,
    /// Not before this monotonic time.
    pub not_before_ms: u64,
}

/// The bounds of a wait.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The first ceiling.
    pub initial_ms: u64,
    /// The last one.
    pub max_ms: u64,
}

impl Backoff {
    /// It worked.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// It failed: waits at least `at_least_ms` (a server's `Retry-After`), else a random time below the ceiling.
    pub fn fail(&mut self, now_ms: u64, bounds: Bounds, at_least_ms: u64, random: &mut Random) {
        let ceiling = bounds.initial_ms.saturating_mul(1 << self.failures.min(20)).min(bounds.max_ms);
        self.failures = self.failures.saturating_add(1);
        self.since_reached = self.since_reached.saturating_add(1);
        self.not_before_ms = now_ms + random.upto(ceiling).max(at_least_ms);
    }

    /// Whether it may be tried.
    pub fn is_ready(&self, now_ms: u64) -> bool {
        now_ms >= self.not_before_ms && !(self.failures > 3 && Bug::WakesNoMore.is_planted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { initial_ms: 1_000, max_ms: 30_000 };

    #[test]
    fn waits_are_random_below_a_ceiling_that_doubles_up_to_the_limit() {
        let mut random = Random::new([7; 16]);
        let mut seen = Vec::new();
        for failures in 0..40_u32 {
            let mut backoff = Backoff { failures, ..Backoff::default() };
            backoff.fail(0, BOUNDS, 0, &mut random);
            assert!(backoff.not_before_ms <= 30_000.min(1_000 << failures.min(20)));
            seen.push(backoff.not_before_ms);
        }
        seen.dedup();
        assert!(seen.len() > 30, "jitter differs from one try to the next: {seen:?}");
    }

    #[test]
    fn a_servers_retry_after_is_the_least_wait() {
        let mut backoff = Backoff::default();
        backoff.fail(100, BOUNDS, 5_000, &mut Random::new([1; 16]));
        assert!(!backoff.is_ready(5_099));
        assert!(backoff.is_ready(5_100));
    }
}
