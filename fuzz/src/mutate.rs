//! Inputs from inputs: bytes are changed, pieces of JSON are exchanged, repeated, nested, and replaced by values that
//! are hard to read. Nothing here knows a message; what it takes from, the corpus, does.

use crate::random::Random;

/// No input grows over this, so that executions stay fast.
pub const INPUT_BYTES_MAX: usize = 32 * 1024;

/// Pieces of JSON that readers have stumbled over.
const PIECES: [&str; 56] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "1",
    "2",
    "3",
    "7",
    "1.5",
    "1e2",
    "1e999",
    "-1e999",
    "5e-324",
    "1e308",
    "4294967295",
    "4294967296",
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "01",
    "NaN",
    "\"\"",
    "\"a\"",
    "\"$conflicts\"",
    "\"__proto__\"",
    "\"/a/b\"",
    "\"/\"",
    "\"/~1\"",
    "\"\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"\\u0000\"",
    "\"\u{e9}\"",
    "\"constructor\"",
    "\"tenant\"",
    "\"user:bob\"",
    "\"insert\"",
    "\"patch\"",
    "\"delete\"",
    "[]",
    "{}",
    "[[]]",
    "[0,0]",
    "[1,0]",
    "[2,0]",
    "[9007199254740992,4294967295]",
    "[null]",
    "{\"a\":1,\"a\":2}",
    "{\"__proto__\":1}",
    "{\"id\":\"i1\",\"x\":1}",
    "[1,2,2]",
    "{\"\":{\"\":{}}}",
    "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]",
];

/// A new input from one input, with parts of `others`.
pub fn mutate(random: &mut Random, input: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..1 + random.below(3) + random.below(2) * random.below(8) {
        bytes = step(random, &bytes, others);
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn step(random: &mut Random, bytes: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let other: &[u8] = if others.is_empty() { &[] } else { &others[random.below(others.len())] };
    match random.below(12) {
        0 => flip(random, bytes),
        1 => cut(random, bytes),
        2 => put(random, bytes, &[]),
        3 => repeat(random, bytes),
        4 => splice(random, bytes, other),
        5 => number(random, bytes),
        6 => escape(random, bytes),
        // Most of what is read is JSON.
        _ => json(random, bytes, other),
    }
}

fn flip(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    if !out.is_empty() {
        let at = random.below(out.len());
        out[at] ^= if random.below(2) == 0 { 1 << random.below(8) } else { random.number() as u8 };
    }
    out
}

fn cut(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let (from, to) = range(random, bytes.len());
    [&bytes[..from], &bytes[to..]].concat()
}

fn put(random: &mut Random, bytes: &[u8], what: &[u8]) -> Vec<u8> {
    let at = random.below(bytes.len() + 1);
    let noise: Vec<u8> = (0..1 + random.below(4)).map(|_| random.number() as u8).collect();
    [&bytes[..at], if what.is_empty() { &noise } else { what }, &bytes[at..]].concat()
}

fn repeat(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let (from, to) = range(random, bytes.len());
    let times = 1 + random.below(3) + random.below(2) * random.below(200);
    let piece = bytes[from..to].repeat(times.min(INPUT_BYTES_MAX / (to - from).max(1) + 1));
    put(random, bytes, &piece)
}

fn splice(random: &mut Random, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let at = random.below(bytes.len() + 1);
    let from = random.below(other.len() + 1);
    [&bytes[..at], &other[from..]].concat()
}

/// A number in binary, at the edges of its range.
fn number(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let edges = [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 53, u64::MAX >> 1, u64::MAX];
    let number = random.pick(&edges).to_le_bytes();
    let len = *random.pick(&[1, 2, 4, 8]);
    let at = random.below(out.len() + 1);
    for (byte, new) in out.iter_mut().skip(at).zip(&number[..len]) {
        *byte = *new;
    }
    out
}

/// A character as an escape: the same JSON in other bytes.
fn escape(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let letters: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_alphabetic()).collect();
    if letters.is_empty() {
        return bytes.to_vec();
    }
    let at = *random.pick(&letters);
    [&bytes[..at], format!("\\u{:04x}", bytes[at]).as_bytes(), &bytes[at + 1..]].concat()
}

/// Another value in the place of a value; or beside it, around it, or nothing.
fn json(random: &mut Random, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let values = values(bytes);
    if values.is_empty() {
        return put(random, bytes, random.clone().pick(&PIECES).as_bytes());
    }
    let (from, to) = *random.pick(&values);
    let (before, value, after) = (&bytes[..from], &bytes[from..to], &bytes[to..]);
    let (own_from, own_to) = *random.pick(&values);
    let theirs = self::values(other);
    let new = match random.below(8) {
        0 => bytes[own_from..own_to].to_vec(),
        1 if !theirs.is_empty() => {
            let (from, to) = *random.pick(&theirs);
            other[from..to].to_vec()
        }
        2 => [value, b",", value].concat(),
        3 => {
            let depth = *random.pick(&[1, 2, 62, 63, 64, 65, 71, 73, 130, 600]);
            [&b"[".repeat(depth)[..], value, &b"]".repeat(depth)].concat()
        }
        4 => [b"{\"a\":", value, b"}"].concat(),
        5 => return member(random, before, value, after),
        _ => random.pick(&PIECES).as_bytes().to_vec(),
    };
    [before, &new, after].concat()
}

/// A member goes, or comes twice.
fn member(random: &mut Random, before: &[u8], value: &[u8], after: &[u8]) -> Vec<u8> {
    let start = before.iter().rposition(|byte| matches!(byte, b'{' | b',' | b'[')).map_or(0, |at| at + 1);
    let (front, key) = before.split_at(start);
    if random.below(2) == 0 {
        return [front, key, value, b",", key, value, after].concat();
    }
    let front = front.strip_suffix(b",").unwrap_or(front);
    let after = if front.last().is_some_and(|byte| matches!(byte, b'{' | b'[')) {
        after.strip_prefix(b",").unwrap_or(after)
    } else {
        after
    };
    [front, after].concat()
}

/// Where values begin and end, as far as brackets and quotes tell; keys are values, too.
pub fn values(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut open = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b'{' | b'[' => open.push(at),
            b'}' | b']' => found.extend(open.pop().map(|start| (start, at + 1))),
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += 1 + usize::from(bytes[at] == b'\\');
                }
                at = at.min(bytes.len() - 1);
                found.push((start, at + 1));
            }
            b'-' | b'0'..=b'9' | b'a'..=b'z' => {
                while at + 1 < bytes.len() && matches!(bytes[at + 1], b'0'..=b'9' | b'a'..=b'z' | b'.' | b'+' | b'-') {
                    at += 1;
                }
                found.push((start, at + 1));
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn range(random: &mut Random, len: usize) -> (usize, usize) {
    let from = random.below(len + 1);
    let most = if random.below(3) == 0 { len - from } else { (len - from).min(16) };
    (from, from + random.below(most + 1))
}
