//! Every error code is expected by a test.
//!
//! A test file expects a code that stands quoted in it, in a line that does not itself make the failure up: answers,
//! errors and events that a test puts in the place of real ones say nothing about who raises the code.

use super::Finding;

/// What a line holds that makes a failure up.
const MADE_UP: [&str; 4] = ["answer(", "new Error(", "emit(", "//"];

/// Whether a file is one of tests; fakes and helpers stand in directories of their own.
pub fn is_test(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let directory = path.strip_suffix(name).unwrap_or_default();
    match directory {
        "core/tests/" | "core/tests/laws/" | "core/tests/rules/" | "server/tests/" => name.ends_with(".rs"),
        "pkg/test/" | "tests/suites/" => name.ends_with(".test.mjs"),
        _ => name == "tests.rs",
    }
}

/// The codes (with the place where each is made) that no test expects.
pub fn check(codes: &[(String, String, usize)], tests: &[&str]) -> Vec<Finding> {
    let unexpected = codes.iter().filter(|(code, ..)| !tests.iter().any(|text| expects(text, code)));
    unexpected
        .map(|(code, path, line)| Finding::new(path, *line, format!("error code `{code}` is expected by no test")))
        .collect()
}

fn expects(text: &str, code: &str) -> bool {
    let quoted = [format!("\"{code}\""), format!("'{code}'"), format!("`{code}`")];
    let is_made_up = |line: &str| MADE_UP.iter().any(|sign| line.contains(sign));
    text.lines().any(|line| !is_made_up(line) && quoted.iter().any(|quoted| line.contains(quoted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_no_test_expects_fires() {
        let codes = [("quota".to_owned(), "a.rs".to_owned(), 3), ("offline".to_owned(), "a.rs".to_owned(), 4)];
        let expecting = "assert_eq!(error[\"code\"], \"quota\");\nlet status = faults.answer(503, \"offline\");\n";
        let findings = check(&codes, &[expecting, "// \"offline\"\n"]);
        assert_eq!(findings.iter().map(|finding| finding.line).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn fakes_are_no_tests() {
        assert!(is_test("core/tests/rules/once.rs") && is_test("pkg/test/write.test.mjs"));
        assert!(is_test("server/src/auth/tests.rs"));
        assert!(
            !is_test("core/tests/world/server.rs") && !is_test("pkg/test/fake.mjs") && !is_test("tests/lib/faults.mjs")
        );
    }
}
