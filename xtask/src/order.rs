//! The order of the functions in the module: what is alike stands together, for the compression of the download.
//!
//! Alike is what shares runs of four bytes, the rarer the more. One function after the other is put behind the last
//! few that it is most like. The order is written as names, `000000`, `000001` …, by which wasm-opt sorts functions;
//! it only moves them, so whatever is decided here, the module does the same.

use std::collections::BTreeMap;

use anyhow::Result;
use wasmparser::{Parser, Payload, TypeRef};

/// How long a run of bytes is.
const RUN: usize = 4;

/// With how many of the functions placed last one is compared.
const NEIGHBOURS: usize = 6;

/// Short functions would fit everywhere if likeness were measured by length alone.
const LENGTH_OF_NONE: f64 = 60.0;

/// The id of custom sections, and within `name` that of function names.
const CUSTOM: u8 = 0;
const FUNCTION_NAMES: u8 = 1;

/// The module without custom sections, its functions named by the order in which they should stand.
pub fn named_by_likeness(module: &[u8]) -> Result<Vec<u8>> {
    let mut out = module.get(..8).unwrap_or_default().to_vec();
    let mut bodies = Vec::new();
    let mut imported = 0;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Some((id, range)) = payload.as_section()
            && id != CUSTOM
        {
            out.push(id);
            sized(&module[range], &mut out);
        }
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imported += usize::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(&module[body.range()]),
            _ => {}
        }
    }
    let mut names = Vec::new();
    number(bodies.len(), &mut names);
    let mut ranks = vec![0; bodies.len()];
    for (rank, function) in by_likeness(&bodies).into_iter().enumerate() {
        ranks[function] = rank;
    }
    for (function, rank) in ranks.into_iter().enumerate() {
        number(imported + function, &mut names);
        sized(format!("{rank:06}").as_bytes(), &mut names);
    }
    let mut section = Vec::new();
    sized(b"name", &mut section);
    section.push(FUNCTION_NAMES);
    sized(&names, &mut section);
    out.push(CUSTOM);
    sized(&section, &mut out);
    Ok(out)
}

/// The indices of the bodies, each behind those that it is most like; the longest first.
fn by_likeness(bodies: &[&[u8]]) -> Vec<usize> {
    let runs: Vec<Vec<&[u8]>> = bodies.iter().map(|body| runs_of(body)).collect();
    let mut holders: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    for (function, runs) in runs.iter().enumerate() {
        for run in runs {
            holders.entry(run).or_default().push(function);
        }
    }
    let mut left: Vec<usize> = (0..bodies.len()).collect();
    let mut order = Vec::new();
    // Of the functions placed last, how like them each function is; the last one first.
    let mut likeness: Vec<Vec<f64>> = Vec::new();
    let length = |function: usize| runs[function].len() as f64;
    while !left.is_empty() {
        let score = |function: usize| {
            let near =
                likeness.iter().enumerate().map(|(distance, like)| like[function] / (1.0 + 0.7 * distance as f64));
            if order.is_empty() { length(function) } else { near.sum::<f64>() / (length(function) + LENGTH_OF_NONE) }
        };
        let mut best = 0;
        for at in 1..left.len() {
            if score(left[at]) > score(left[best]) {
                best = at;
            }
        }
        let next = left.remove(best);
        let mut like = vec![0.0; bodies.len()];
        for run in &runs[next] {
            for holder in &holders[run] {
                like[*holder] += 1.0 / (holders[run].len() as f64).sqrt();
            }
        }
        likeness.insert(0, like);
        likeness.truncate(NEIGHBOURS);
        order.push(next);
    }
    order
}

/// The different runs of a body.
fn runs_of(body: &[u8]) -> Vec<&[u8]> {
    let mut runs: Vec<&[u8]> = body.windows(RUN).collect();
    runs.sort_unstable();
    runs.dedup();
    runs
}

/// Bytes behind their number.
fn sized(bytes: &[u8], out: &mut Vec<u8>) {
    number(bytes.len(), out);
    out.extend(bytes);
}

/// LEB128, as the format has its numbers.
fn number(mut number: usize, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_stands_together() {
        let bodies: [&[u8]; 5] = [b"abcdefghijkl", b"012345678901", b"abcdefgh", b"0123456789", b"abcdefghijk"];
        let order = by_likeness(&bodies);
        assert!(
            [[0, 4, 2, 1, 3], [1, 3, 0, 4, 2]].contains(&[order[0], order[1], order[2], order[3], order[4]]),
            "{order:?}"
        );
    }

    #[test]
    fn the_module_keeps_its_sections_and_gets_the_order_as_names() {
        // One type, one import of it, two functions of it that are empty, and a custom section.
        let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x07\x01\x01h\x01f\0\0\x03\x03\x02\0\0\0\x02\x01x\
            \x0a\x07\x02\x02\0\x0b\x02\0\x0b";
        let named = named_by_likeness(module).unwrap();
        let expected = b"\0\x1a\x04name\x01\x13\x02\x01\x06000000\x02\x06000001";
        let (sections, names) = named.split_at(named.len() - expected.len() + 2);
        assert_eq!(sections.len(), module.len() - 4 + 2);
        assert!(names.ends_with(b"\x02\x01\x06000000\x02\x06000001"), "{names:?}");
        assert!(wasmparser::validate(&named).is_ok());
    }
}
