//! Draining: an engine in a service worker leads while no tab does, sends what is queued by requests, and stops. It
//! reads nothing of the server, holds no live channel, and leaves the rest to the next tab.

use crate::io::Now;
use crate::json::{Value, json};

use crate::replica::Replica;

/// Whether an engine is here for the queue alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drain {
    /// It is a tab.
    No,
    /// It is, and there is something to send, or that is not known yet.
    Busy,
    /// It was told that nothing is left that could leave now.
    Done,
}

impl Replica {
    /// From here on. Said before this engine leads.
    pub(crate) fn only_drain(&mut self) -> Value {
        self.drain = Drain::Busy;
        json!({})
    }

    /// Says when nothing is left that could leave now: what is held, or fails alone, waits for a tab.
    pub(crate) fn tell_drained(&mut self, now: Now) {
        if self.drain == Drain::No {
            return;
        }
        let is_busy = self.pushing.is_busy() || self.lane.is_behind() || !self.choose(now, &[]).is_empty();
        let drain = if is_busy { Drain::Busy } else { Drain::Done };
        if std::mem::replace(&mut self.drain, drain) != drain && drain == Drain::Done {
            self.event(json!({"type": "drained"}));
        }
    }
}
