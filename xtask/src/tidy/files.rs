//! Rules that look at one file: its length, its lines, its functions, words that must not stay, Markdown titles.

use super::Finding;
use super::functions::functions;
use super::lex::{Language, Views, line_of};

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_COLUMNS: usize = 120;

/// What may not stay in comments or code, and what to do instead.
const WORDS: [(&str, &str); 3] = [
    ("FIXME", "mend it, or write an issue"),
    ("TODO", "do it, or write an issue"),
    ("XXX", "say what is wrong, or mend it"),
];
const RUST_CODE: [(&str, &str); 4] = [
    ("dbg!", "remove it"),
    ("todo!", "write it"),
    ("unimplemented!", "write it, or return an error"),
    ("#[ignore", "mend the test or remove it"),
];
const SCRIPT_CODE: [(&str, &str); 2] = [(".only(", "run all tests"), (".skip(", "mend the test or remove it")];
const SCRIPT_COMMENTS: [(&str, &str); 3] = [
    ("@ts-ignore", "use a type, or @ts-expect-error in a type test"),
    ("@ts-nocheck", "mend the types"),
    ("eslint-disable", "mend the code"),
];

/// Length of the file, of its lines and of its functions.
pub fn sizes(path: &str, text: &str, views: &Views, language: Language) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_FILE_LINES {
        let message = format!("{lines} lines: more than {MAX_FILE_LINES}, so it is two files");
        findings.push(Finding::new(path, lines, message));
    }
    for (at, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > MAX_COLUMNS {
            findings.push(Finding::new(path, at + 1, format!("{columns} columns: more than {MAX_COLUMNS}")));
        }
    }
    for function in functions(&views.code, language) {
        if function.length > MAX_FUNCTION_LINES {
            let message = format!("function of {} lines: more than {MAX_FUNCTION_LINES}", function.length);
            findings.push(Finding::new(path, function.line, message));
        }
    }
    findings
}

/// Words that say that something is unfinished, switched off or left over.
pub fn leftovers(path: &str, views: &Views, language: Language) -> Vec<Finding> {
    let mut findings = Vec::new();
    for view in [&views.code, &views.comments] {
        search(path, view, &WORDS, true, &mut findings);
    }
    match language {
        Language::Rust => search(path, &views.code, &RUST_CODE, false, &mut findings),
        Language::Script => {
            search(path, &views.code, &SCRIPT_CODE, false, &mut findings);
            search(path, &views.comments, &SCRIPT_COMMENTS, false, &mut findings);
        }
    }
    findings
}

fn search(path: &str, view: &str, banned: &[(&str, &str)], whole_word: bool, findings: &mut Vec<Finding>) {
    for (what, instead) in banned {
        for (at, _) in view.match_indices(what) {
            let is_letter = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
            let bytes = view.as_bytes();
            let before = at.checked_sub(1).and_then(|at| bytes.get(at));
            let inside_word = is_letter(before) || is_letter(bytes.get(at + what.len()));
            if !(whole_word && inside_word) {
                findings.push(Finding::new(path, line_of(view, at), format!("`{what}`: {instead}")));
            }
        }
    }
}

/// A Markdown file has one title.
pub fn markdown(path: &str, text: &str) -> Vec<Finding> {
    let mut fenced = false;
    let mut titles = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with("# ") {
            titles.push(at + 1);
        }
    }
    match titles.as_slice() {
        [_] => Vec::new(),
        [] => vec![Finding::new(path, 1, "no `#` title".to_owned())],
        [_, second, ..] => vec![Finding::new(path, *second, "a second `#` title".to_owned())],
    }
}

#[cfg(test)]
mod tests {
    use super::super::lex::split;
    use super::*;

    fn all(text: &str, language: Language) -> Vec<String> {
        let views = split(text, language);
        let mut findings = sizes("x", text, &views, language);
        findings.extend(leftovers("x", &views, language));
        findings.into_iter().map(|finding| format!("{}: {}", finding.line, finding.message)).collect()
    }

    #[test]
    fn the_bounds_pass_and_one_more_fires() {
        assert!(all(&"x();\n".repeat(400), Language::Script).is_empty());
        assert_eq!(all(&"x();\n".repeat(401), Language::Script).len(), 1);
        assert!(all(&"é".repeat(120), Language::Script).is_empty());
        assert_eq!(all(&"é".repeat(121), Language::Script).len(), 1);
        let function = |lines: usize| format!("fn a() {{\n{}}}\n", "    b();\n".repeat(lines - 2));
        assert!(all(&function(70), Language::Rust).is_empty());
        assert_eq!(all(&function(71), Language::Rust), ["1: function of 71 lines: more than 70"]);
    }

    #[test]
    fn leftovers_fire_in_code_and_comments_but_not_in_strings() {
        assert_eq!(all("// FIXME\nx(); /* TODO: y */", Language::Rust).len(), 2);
        assert_eq!(all("fn f() { dbg!(1); todo!() }", Language::Rust).len(), 2);
        assert_eq!(all("#[ignore]\nfn f() {}", Language::Rust).len(), 1);
        assert_eq!(all("it.only(x); test.skip(y); // @ts-ignore", Language::Script).len(), 3);
        assert!(all("let x = \"FIXME dbg!\"; // TODOS", Language::Rust).is_empty());
        assert!(all("items.iter().skip(1)", Language::Rust).is_empty());
    }

    #[test]
    fn markdown_has_one_title() {
        assert!(markdown("x", "# A\n\n```sh\n# comment\n```\n## B\n").is_empty());
        assert_eq!(markdown("x", "# A\n# B\n")[0].line, 2);
        assert_eq!(markdown("x", "text\n").len(), 1);
    }
}
