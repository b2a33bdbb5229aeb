//! A text that stays packed until somebody reads it. What was read stays unpacked for as long as this value lives;
//! [`Packed::anew`] is the same text without that.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// An LZ4 block of a text.
#[derive(Debug)]
pub struct Packed {
    block: Arc<[u8]>,
    len: usize,
    text: OnceLock<Box<str>>,
    /// How many were unpacked before it.
    turn: AtomicUsize,
    meter: Meter,
}

/// Counts the bytes that are unpacked at the moment.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicUsize,
    turns: AtomicUsize,
}

impl Meter {
    /// Bytes.
    pub fn read(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }
}

impl Packed {
    /// A block that was packed from a text of `len` bytes. It was read before: it can be unpacked.
    pub fn new(block: &[u8], len: usize, meter: &Meter) -> Arc<Self> {
        Arc::new(Self::closed(block.into(), len, meter))
    }

    /// The same, not unpacked.
    pub fn anew(&self) -> Arc<Self> {
        Arc::new(Self::closed(self.block.clone(), self.len, &self.meter))
    }

    fn closed(block: Arc<[u8]>, len: usize, meter: &Meter) -> Self {
        Self { block, len, text: OnceLock::new(), turn: AtomicUsize::new(0), meter: meter.clone() }
    }

    /// Whether it is unpacked.
    pub fn is_open(&self) -> bool {
        self.text.get().is_some()
    }

    /// When it was unpacked: a number that grows.
    pub fn turn(&self) -> usize {
        self.turn.load(Ordering::Relaxed)
    }

    /// Bytes of the text.
    pub fn text_len(&self) -> usize {
        self.len
    }

    /// Bytes of the block.
    pub fn packed_len(&self) -> usize {
        self.block.len()
    }

    /// The text, which stays.
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| {
            let Counts { bytes, turns } = &*self.meter.0;
            bytes.fetch_add(self.len, Ordering::Relaxed);
            self.turn.store(turns.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
            self.unpack().into_boxed_str()
        })
    }

    /// The text, for whoever looks at it once.
    pub fn unpack(&self) -> String {
        let bytes = lz4_flex::block::decompress(&self.block, self.len).unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        if self.is_open() {
            self.meter.0.bytes.fetch_sub(self.len, Ordering::Relaxed);
        }
    }
}
