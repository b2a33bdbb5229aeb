//! A text that is known to be JSON and travels as it is.

use std::ops::Range;
use std::sync::Arc;

use super::packed::Packed;
use super::scan::Scanner;
use crate::error::CoreError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// JSON that nobody needs to look into: it is read, kept and written as text. A copy shares the text, and so do those
/// that stand side by side in one.
#[derive(Clone)]
pub struct Raw {
    text: Text,
    start: u32,
    end: u32,
}

#[derive(Clone)]
enum Text {
    Whole(Arc<str>),
    Packed(Arc<Packed>),
}

impl Text {
    fn get(&self) -> &str {
        match self {
            Self::Whole(text) => text,
            Self::Packed(packed) => packed.text(),
        }
    }
}

/// By this name [`json::to_text`](crate::json::to_text) knows a [`Raw`].
pub(super) const RAW: &str = "$tidewire::raw";

impl Raw {
    /// A text that has to be JSON.
    ///
    /// # Errors
    /// `bad-json`.
    pub fn parse(text: &str) -> Result<Self, CoreError> {
        Scanner::new(text.as_bytes(), None)?.lone().map(Self::trusted)
    }

    /// A text that was found as a value within JSON, or written by this crate.
    pub(crate) fn trusted(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        Self { start: 0, end: place(text.len()), text: Text::Whole(text) }
    }

    /// A part of a text, which stays as long as any of its parts does.
    pub(crate) fn part(text: &Arc<str>, at: Range<usize>) -> Self {
        Self { text: Text::Whole(text.clone()), start: place(at.start), end: place(at.end) }
    }

    /// A part of a text that is unpacked when somebody reads it.
    pub(crate) fn packed(text: &Arc<Packed>, at: Range<usize>) -> Self {
        Self { text: Text::Packed(text.clone()), start: place(at.start), end: place(at.end) }
    }

    /// The packed text that this is a part of.
    pub(crate) fn block(&self) -> Option<&Arc<Packed>> {
        match &self.text {
            Text::Whole(_) => None,
            Text::Packed(packed) => Some(packed),
        }
    }

    /// Where it stands in its text.
    pub(crate) fn place(&self) -> u32 {
        self.start
    }

    /// The same part of the same text, packed anew.
    pub(crate) fn move_to(&mut self, text: &Arc<Packed>) {
        self.text = Text::Packed(text.clone());
    }

    /// A value that was found in this one: its text is shared.
    pub(crate) fn within(&self, found: &str) -> Self {
        // What begins and ends within the memory of the text is a part of it.
        let all = self.text.get();
        let start = (found.as_ptr() as usize).wrapping_sub(all.as_ptr() as usize);
        let end = start.saturating_add(found.len());
        if end > all.len() {
            return Self::trusted(found);
        }
        Self { text: self.text.clone(), start: place(start), end: place(end) }
    }

    /// The text.
    pub fn get(&self) -> &str {
        self.of(self.text.get())
    }

    fn of<'a>(&self, all: &'a str) -> &'a str {
        all.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// Reads many texts once each: those that are packed stay so. They come best text by text.
#[derive(Default)]
pub struct Once {
    last: Option<(Arc<Packed>, String)>,
}

impl Once {
    /// The text.
    pub fn get<'a>(&'a mut self, raw: &'a Raw) -> &'a str {
        let Some(packed) = raw.block().filter(|packed| !packed.is_open()) else { return raw.get() };
        if self.last.as_ref().is_none_or(|(of, _)| !Arc::ptr_eq(of, packed)) {
            self.last = Some((packed.clone(), packed.unpack()));
        }
        self.last.as_ref().map(|(_, text)| raw.of(text)).unwrap_or_default()
    }
}

/// No text is longer: a segment holds at most 64 MiB.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Raw {}

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.get())
    }
}

/// Only [`json::to_text`](crate::json::to_text) writes it as it is.
impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(RAW, self.get())
    }
}

/// For what a server reads through `serde_json`.
impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <Box<serde_json::value::RawValue>>::deserialize(deserializer)?;
        Ok(Self::trusted(raw.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Meter;

    #[test]
    fn what_was_found_in_a_text_shares_it() {
        let all: Arc<str> = Arc::from(r#"..{"a":[1,2]}.."#);
        let object = Raw::part(&all, 2..all.len() - 2);
        assert_eq!(object.get(), r#"{"a":[1,2]}"#);
        let list = object.within(&object.get()[5..10]);
        let shares = |raw: &Raw| matches!(&raw.text, Text::Whole(text) if Arc::ptr_eq(text, &all));
        assert_eq!((list.get(), shares(&list)), ("[1,2]", true));
        let other = object.within("[1,2]");
        assert_eq!((&other, shares(&other)), (&list, false));
    }

    #[test]
    fn a_packed_text_is_unpacked_when_it_is_read() {
        let text = format!("..[{}]..", "1,".repeat(500) + "1");
        let meter = Meter::default();
        let all = Packed::new(&lz4_flex::block::compress(text.as_bytes()), text.len(), &meter);
        let raw = Raw::packed(&all, 2..text.len() - 2);
        let mut once = Once::default();
        assert_eq!((once.get(&raw), meter.read()), (&text[2..text.len() - 2], 0));
        assert_eq!((raw.get(), meter.read(), all.is_open()), (&text[2..text.len() - 2], text.len(), true));
        let mut part = raw.within(&raw.get()[1..2]);
        assert_eq!(part.get(), "1");
        let anew = all.anew();
        part.move_to(&anew);
        drop((raw, all, once));
        assert_eq!((meter.read(), anew.is_open()), (0, false));
        assert_eq!(part.get(), "1");
    }
}
