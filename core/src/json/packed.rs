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
    meter: Meter,
}

/// Counts the bytes that are unpacked at the moment.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<AtomicUsize>);

impl Meter {
    /// Bytes.
    pub fn read(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Packed {
    /// A block that was packed from a text of `len` bytes. It was read before: it can be unpacked.
    pub fn new(block: &[u8], len: usize, meter: &Meter) -> Arc<Self> {
        Arc::new(Self { block: block.into(), len, text: OnceLock::new(), meter: meter.clone() })
    }

    /// The same, not unpacked.
    pub fn anew(&self) -> Arc<Self> {
        Arc::new(Self { block: self.block.clone(), len: self.len, text: OnceLock::new(), meter: self.meter.clone() })
    }

    /// Whether it is unpacked.
    pub fn is_open(&self) -> bool {
        self.text.get().is_some()
    }

    /// Bytes of the block.
    pub fn packed_len(&self) -> usize {
        self.block.len()
    }

    /// The text, which stays.
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| {
            self.meter.0.fetch_add(self.len, Ordering::Relaxed);
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
            self.meter.0.fetch_sub(self.len, Ordering::Relaxed);
        }
    }
}
