//! Three-way merge of one text, word by word. Only the server does it; the client shows its own text until then
//! (`docs/decisions/0009`).
//!
//! Changes of different places both stand. Insertions at one place both stand, the earlier one first. Of changes that
//! overlap the later one's stands, and the merge says that there was a clash.

use std::cell::Cell;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use similar::{Algorithm, DiffTag};

use crate::json::Value;
use crate::limits::{MERGE_STEPS_PUSH, MERGE_WORDS_MAX};
use crate::merge::arrays::Combined;

/// How many words may still be compared: of all texts of one push, so that nobody stops the server's writer with many
/// long ones. The text at which it ends is merged; those behind it go to the later stamp.
#[derive(Debug)]
pub struct TextSteps(Cell<u64>);

impl Default for TextSteps {
    fn default() -> Self {
        Self(Cell::new(MERGE_STEPS_PUSH))
    }
}

impl TextSteps {
    fn is_spent(&self) -> bool {
        self.0.get() == 0
    }

    fn spend(&self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// A word whose comparisons are counted.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    steps: &'a TextSteps,
}

impl PartialEq for Word<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.steps.spend();
        self.text == other.text
    }
}

impl Eq for Word<'_> {}

impl PartialOrd for Word<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Word<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(other.text)
    }
}

impl Hash for Word<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// A change of the base's words `from..to`.
#[derive(Debug, PartialEq)]
struct Hunk {
    from: usize,
    to: usize,
    text: String,
}

impl Hunk {
    fn is_insertion(&self) -> bool {
        self.from == self.to
    }
}

/// `None` where a value is no text, or there was none, or one has more words than are compared, or too much was
/// compared already.
pub(super) fn merge(
    was: Option<&Value>,
    mine: &Value,
    theirs: &Value,
    mine_wins: bool,
    steps: &TextSteps,
) -> Option<Combined> {
    let (was, mine, theirs) = (words(was?.as_str()?)?, words(mine.as_str()?)?, words(theirs.as_str()?)?);
    if was.is_empty() || steps.is_spent() {
        return None;
    }
    let (mine, theirs) = (hunks(&was, &mine, steps), hunks(&was, &theirs, steps));
    let (mut earlier, mut later) = if mine_wins { (&theirs[..], &mine[..]) } else { (&mine[..], &theirs[..]) };
    let (mut out, mut at, mut clash) = (String::new(), 0, false);
    while let Some((from, to)) = region(earlier, later) {
        let (first, rest) = earlier.split_at(reach(earlier, from, to));
        let (second, others) = later.split_at(reach(later, from, to));
        (earlier, later) = (rest, others);
        out.extend(was.get(at..from)?.iter().copied());
        let (old, new) = (carry_out(&was, from, to, first)?, carry_out(&was, from, to, second)?);
        if from == to && old != new {
            out.push_str(&old);
            out.push_str(&new);
        } else if second.is_empty() {
            out.push_str(&old);
        } else {
            clash |= !first.is_empty() && old != new;
            out.push_str(&new);
        }
        at = to;
    }
    out.extend(was.get(at..)?.iter().copied());
    Some(Combined { value: Value::String(out), clash })
}

/// The next words that one of the two changed, and all that overlaps with them. An insertion overlaps only with what
/// goes on at both sides of it.
fn region(a: &[Hunk], b: &[Hunk]) -> Option<(usize, usize)> {
    let first = a.first().into_iter().chain(b.first()).min_by_key(|hunk| (hunk.from, hunk.to))?;
    let (from, mut to) = (first.from, first.to);
    loop {
        let before = to;
        for hunk in a.iter().chain(b).filter(|hunk| hunk.from < before) {
            to = to.max(hunk.to);
        }
        if to == before {
            return Some((from, to));
        }
    }
}

/// How many of the hunks belong to a region.
fn reach(hunks: &[Hunk], from: usize, to: usize) -> usize {
    hunks.iter().take_while(|hunk| hunk.from < to || (from == to && hunk.is_insertion() && hunk.from == from)).count()
}

/// The base's words `from..to` with some hunks carried out.
fn carry_out(base: &[&str], from: usize, to: usize, hunks: &[Hunk]) -> Option<String> {
    let (mut out, mut at) = (String::new(), from);
    for hunk in hunks {
        out.extend(base.get(at..hunk.from)?.iter().copied());
        out.push_str(&hunk.text);
        at = hunk.to;
    }
    out.extend(base.get(at..to)?.iter().copied());
    Some(out)
}

/// The changes from one text to another. Those with nothing but a blank between them are one: a sentence that was
/// written anew is not mixed with words of another.
fn hunks(base: &[&str], new: &[&str], steps: &TextSteps) -> Vec<Hunk> {
    let mut out: Vec<Hunk> = Vec::new();
    for op in similar::capture_diff_slices(Algorithm::Myers, &counted(base, steps), &counted(new, steps)) {
        let (tag, old, fresh) = op.as_tag_tuple();
        if tag == DiffTag::Equal {
            continue;
        }
        let text: String = new.get(fresh).unwrap_or_default().iter().copied().collect();
        let between = |last: &Hunk| base.get(last.to..old.start).is_some_and(|gap| gap.is_empty() || gap == [" "]);
        match out.last_mut().filter(|last| between(last)) {
            Some(last) => {
                last.text.extend(base.get(last.to..old.start).unwrap_or_default().iter().copied());
                last.text.push_str(&text);
                last.to = old.end;
            }
            None => out.push(Hunk { from: old.start, to: old.end, text }),
        }
    }
    out
}

fn counted<'a>(words: &[&'a str], steps: &'a TextSteps) -> Vec<Word<'a>> {
    words.iter().map(|text| Word { text, steps }).collect()
}

/// Words, and single characters where there are none: blanks, signs, and scripts that are written without blanks.
fn words(text: &str) -> Option<Vec<&str>> {
    let mut out = Vec::new();
    let mut start = 0;
    let mut in_word = false;
    for (at, char) in text.char_indices() {
        let of_word = char.is_alphanumeric() && (char as u32) < FIRST_IDEOGRAPH;
        if !(of_word && in_word) && at > start {
            out.extend(text.get(start..at));
            start = at;
        }
        in_word = of_word;
        if out.len() >= MERGE_WORDS_MAX {
            return None;
        }
    }
    out.extend(text.get(start..).filter(|last| !last.is_empty()));
    Some(out)
}

/// From here on a character is a word (U+2E80, CJK radicals).
const FIRST_IDEOGRAPH: u32 = 0x2E80;
