//! Every error code is documented, and every documented code exists.
//!
//! A code is a string literal in a function named `code` or in a list `codes! { … }` (Rust), or in a list or type
//! whose name ends in `CODES`, `Codes` or `Code` (TypeScript). A code is documented by a table row of docs/ERRORS.md
//! that begins with it.

use std::collections::BTreeMap;

use super::Finding;
use super::functions::closing;
use super::lex::{Language, line_of, split};

/// Where codes are made.
pub const SOURCES: [&str; 4] = ["core/src/error.rs", "src/error.rs", "server/src/error.rs", "pkg/src/errors.ts"];
/// Where they are explained.
pub const DOCUMENT: &str = "docs/ERRORS.md";

/// Compares the codes of the sources (path, text) with the document.
pub fn check(sources: &[(&str, &str)], document: &str) -> Vec<Finding> {
    let documented: BTreeMap<String, usize> = documented(document).into_iter().collect();
    let made = made(sources);
    let mut findings = Vec::new();
    for (code, path, line) in &made {
        if !documented.contains_key(code) {
            findings.push(Finding::new(path, *line, format!("error code `{code}` has no row in {DOCUMENT}")));
        }
    }
    for (code, line) in &documented {
        if !made.iter().any(|(made, ..)| made == code) {
            findings.push(Finding::new(DOCUMENT, *line, format!("error code `{code}` is made nowhere")));
        }
    }
    findings
}

/// Every code of the sources once, with where it is made.
pub fn made(sources: &[(&str, &str)]) -> Vec<(String, String, usize)> {
    let mut made = BTreeMap::new();
    for (path, text) in sources {
        for (code, line) in codes(path, text) {
            made.entry(code).or_insert(((*path).to_owned(), line));
        }
    }
    made.into_iter().map(|(code, (path, line))| (code, path, line)).collect()
}

fn documented(document: &str) -> Vec<(String, usize)> {
    let row = |(at, line): (usize, &str)| {
        let cell = line.strip_prefix("| `")?;
        let code = cell.split('`').next()?;
        is_code(code).then(|| (code.to_owned(), at + 1))
    };
    document.lines().enumerate().filter_map(row).collect()
}

fn codes(path: &str, text: &str) -> Vec<(String, usize)> {
    let language = if path.ends_with(".rs") { Language::Rust } else { Language::Script };
    let code = split(text, language).code;
    let regions = match language {
        Language::Rust => rust_regions(&code),
        Language::Script => script_regions(&code),
    };
    regions.into_iter().flat_map(|(start, end)| literals(text, &code, start, end)).collect()
}

/// Bodies of functions named `code` and of the macro `codes!`.
fn rust_regions(code: &str) -> Vec<(usize, usize)> {
    let body = |(at, _): (usize, &str)| {
        let open = at + code[at..].find('{')?;
        Some((open, closing(code, open)?))
    };
    ["fn code(", "codes! {"].into_iter().flat_map(|head| code.match_indices(head)).filter_map(body).collect()
}

/// From a name such as `ERROR_CODES` or `ErrorCode` that is being defined, to the end of its statement.
fn script_regions(code: &str) -> Vec<(usize, usize)> {
    let mut regions = Vec::new();
    for keyword in ["const ", "type "] {
        for (at, _) in code.match_indices(keyword) {
            let rest = &code[at + keyword.len()..];
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let is_list = ["CODES", "Codes", "Code"].iter().any(|end| name.ends_with(end));
            if let (true, Some(end)) = (is_list, rest.find(';')) {
                regions.push((at, at + keyword.len() + end));
            }
        }
    }
    regions
}

/// String literals that look like codes, with their lines.
fn literals(text: &str, code: &str, start: usize, end: usize) -> Vec<(String, usize)> {
    let quotes: Vec<usize> = code[start..end].match_indices('"').map(|(at, _)| start + at).collect();
    let literal = |pair: &[usize]| {
        let value = text.get(pair[0] + 1..pair[1])?;
        is_code(value).then(|| (value.to_owned(), line_of(text, pair[0])))
    };
    quotes.chunks_exact(2).filter_map(literal).collect()
}

fn is_code(value: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    value.split('-').all(is_part) && value.starts_with(|c: char| c.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUST: &str =
        "fn code(&self) -> &'static str {\n match self { A => \"bad-query\", B => \"offline\" }\n}\nfn x() { \"no\" }";
    const SCRIPT: &str = "export const ERROR_CODES = [\n  \"bad-query\",\n] as const;\nconst x = \"no\";";

    #[test]
    fn documented_codes_pass() {
        let document = "| code | when |\n|---|---|\n| `bad-query` | x |\n| `offline` | y |\n";
        assert!(check(&[("a.rs", RUST), ("b.ts", SCRIPT)], document).is_empty());
    }

    #[test]
    fn a_list_of_codes_counts() {
        let list =
            "macro_rules! codes { () => { \"no\" } }\ncodes! {\n  /// \"Text\".\n  A = \"bad-json\", false;\n}\n";
        assert_eq!(codes("a.rs", list), [("bad-json".to_owned(), 4)]);
    }

    #[test]
    fn missing_and_stale_rows_fire() {
        let findings = check(&[("a.rs", RUST)], "| `bad-query` | x |\n| `gone` | y |\n");
        let lines: Vec<_> = findings.iter().map(|finding| (finding.path.as_str(), finding.line)).collect();
        assert_eq!(lines, [("a.rs", 2), (DOCUMENT, 2)]);
    }
}
