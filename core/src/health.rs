//! From counters to a verdict on sync's health, with reasons in words.

use crate::json::{Value, json};

/// When health is bad.
#[derive(Debug, Clone, Copy)]
pub struct HealthLimits {
    /// Share of failed requests.
    pub error_rate: f64,
    /// Mutations that do not get through.
    pub stuck: usize,
    /// Age of the last sync, in milliseconds.
    pub last_sync_ms: u64,
    /// How long the oldest edit may wait while the server answers, in milliseconds: then the connection is made anew.
    pub pending_ms: u64,
}

impl Default for HealthLimits {
    fn default() -> Self {
        Self { error_rate: 0.2, stuck: 10, last_sync_ms: 3_600_000, pending_ms: 300_000 }
    }
}

/// Another tab's write may come between: so many refusals in a row say nothing.
const REFUSALS_USUAL: u32 = 2;

/// What was counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Measures {
    /// Mutations that the server has not decided.
    pub pending: usize,
    /// Dead letters.
    pub failed: usize,
    /// Held or suspect mutations.
    pub stuck: usize,
    /// Age of the oldest undecided mutation.
    pub oldest_pending_ms: Option<u64>,
    /// Time since the last complete pull.
    pub last_sync_age_ms: Option<u64>,
    /// Failed requests among all.
    pub error_rate: f64,
    /// Times in a row that the store did not take the log into segments.
    pub refusals: u32,
}

/// The health view; `synced` says whether there is a server to be in step with.
/// What the watchdog has found comes first.
pub fn judge(measures: &Measures, limits: &HealthLimits, synced: bool, found: Vec<String>) -> Value {
    let mut reasons = found;
    if measures.failed > 0 {
        let were = if measures.failed == 1 { " was" } else { "s were" };
        reasons.push(format!("{} write{were} rejected: see db.sync.queue.failed", measures.failed));
    }
    if measures.stuck >= limits.stuck.max(1) {
        let wait = if measures.stuck == 1 { " does" } else { "s do" };
        reasons.push(format!("{} write{wait} not get through", measures.stuck));
    }
    if synced || measures.refusals > REFUSALS_USUAL {
        trouble(measures, limits, synced, &mut reasons);
    }
    json!({
        "pending": measures.pending, "failed": measures.failed, "stuck": measures.stuck,
        "oldestPendingMs": measures.oldest_pending_ms, "lastSyncAgeMs": measures.last_sync_age_ms,
        "errorRate": measures.error_rate, "healthy": reasons.is_empty(), "reasons": reasons,
    })
}

/// What only a tab can know that leads, or keeps the store in order.
#[inline(never)]
fn trouble(measures: &Measures, limits: &HealthLimits, synced: bool, reasons: &mut Vec<String>) {
    if measures.refusals > REFUSALS_USUAL {
        reasons.push(format!(
            "the storage refused its upkeep {} times: nothing is lost, reload if it goes on",
            measures.refusals
        ));
    }
    if synced && measures.error_rate > limits.error_rate {
        // Writing a float as text is seven kilobytes of the browser module.
        let percent = (measures.error_rate * 100.0).round_ties_even() as u64;
        reasons.push(format!("{percent} % of the requests fail"));
    }
    if let Some(age) = measures.oldest_pending_ms.filter(|age| synced && *age > limits.last_sync_ms) {
        reasons.push(format!("the oldest write has waited for {} minutes", age / 60_000));
    }
    if let Some(age) = measures.last_sync_age_ms.filter(|age| synced && *age > limits.last_sync_ms) {
        reasons.push(format!("the last sync was {} minutes ago", age / 60_000));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_write_is_not_healthy_and_says_so() {
        let limits = HealthLimits::default();
        assert_eq!(judge(&Measures::default(), &limits, true, Vec::new())["healthy"], true);
        let view = judge(&Measures { failed: 2, ..Measures::default() }, &limits, true, Vec::new());
        assert_eq!(view["healthy"], false);
        assert!(view["reasons"][0].as_str().unwrap().starts_with("2 writes were rejected"));
        let view = judge(&Measures { failed: 1, ..Measures::default() }, &limits, true, Vec::new());
        assert_eq!(view["reasons"][0], "1 write was rejected: see db.sync.queue.failed");
    }

    #[test]
    fn without_a_server_age_and_errors_say_nothing() {
        let old = Measures { oldest_pending_ms: Some(u64::MAX), error_rate: 1.0, ..Measures::default() };
        assert_eq!(judge(&old, &HealthLimits::default(), false, Vec::new())["healthy"], true);
        assert_eq!(judge(&old, &HealthLimits::default(), true, Vec::new())["healthy"], false);
    }
}
