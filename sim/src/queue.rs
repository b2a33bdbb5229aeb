//! What is going to happen, in the order in which it will. Two things at the same moment come in the order in which
//! they were planned; the moments themselves are drawn, in microseconds, so that any order of independent things
//! comes up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What waits for its moment.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Reverse<(u64, u64, usize)>>,
    slots: Vec<Option<T>>,
    free: Vec<usize>,
    planned: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), planned: 0 }
    }
}

impl<T> Queue<T> {
    /// Plans something for a moment.
    pub(crate) fn plan(&mut self, at_us: u64, what: T) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(what);
        self.planned += 1;
        self.heap.push(Reverse((at_us, self.planned, slot)));
    }

    /// The next thing and its moment.
    pub(crate) fn next(&mut self) -> Option<(u64, T)> {
        let Reverse((at_us, _, slot)) = self.heap.pop()?;
        self.free.push(slot);
        self.slots[slot].take().map(|what| (at_us, what))
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at_us, ..))| *at_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_in_the_order_of_their_moments_and_then_of_their_planning() {
        let mut queue = Queue::default();
        for (at, what) in [(5, "c"), (1, "a"), (5, "d"), (2, "b")] {
            queue.plan(at, what);
        }
        assert_eq!(queue.next_at(), Some(1));
        let all: Vec<_> = std::iter::from_fn(|| queue.next()).collect();
        assert_eq!(all, [(1, "a"), (2, "b"), (5, "c"), (5, "d")]);
    }
}
