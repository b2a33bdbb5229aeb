//! Memory, in large steps. The allocator takes as many pages as one value needs, and each step costs the browser
//! more than hundreds of values do: it counts the memory anew, collects garbage for it, and voids what JavaScript held
//! of it. What is about to be needed is therefore taken at once and given back, so that it is there.
//!
//! Not here: a bound. Pages that nobody touches are no memory of the device's.

use std::cell::Cell;
use std::hint::black_box;

const PAGE: usize = 64 * 1024;
/// Least step.
const STEP: usize = 1024 * 1024;

/// Sees to it that the memory grows with its size: so the steps are few, whatever it grows to.
#[derive(Default)]
pub(crate) struct Room {
    pages: Cell<usize>,
}

impl Room {
    /// Where the memory has grown since the last look, it is taken an eighth ahead.
    pub(crate) fn keep_ahead(&self) {
        if pages() > self.pages.get() {
            take(STEP.max(pages() * PAGE / 8));
            self.pages.set(pages());
        }
    }
}

/// Room for what comes of so many bytes.
pub(crate) fn for_work_on(bytes: usize) {
    if bytes > PAGE {
        take(bytes * 3);
    }
}

fn take(bytes: usize) {
    // The optimiser would leave out what is only taken and given back.
    drop(black_box(Vec::<u8>::with_capacity(bytes)));
}

#[cfg(target_family = "wasm")]
fn pages() -> usize {
    core::arch::wasm32::memory_size(0)
}

#[cfg(not(target_family = "wasm"))]
fn pages() -> usize {
    0
}
