//! Finds functions by their braces and measures them in lines that hold code.

use super::lex::{Language, line_of};

/// A function that was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// The line (from 1) of its head.
    pub line: usize,
    /// Lines that hold code, head and closing brace included.
    pub length: usize,
}

/// All functions of a code view, nested ones too. A block given to `describe` is a list, not a function.
pub fn functions(code: &str, language: Language) -> Vec<Function> {
    let bodies = match language {
        Language::Rust => rust_bodies(code),
        Language::Script => script_bodies(code),
    };
    let measure = |(head, open): (usize, usize)| {
        let close = closing(code, open)?;
        let first = code[..head].rfind('\n').map_or(0, |at| at + 1);
        let length = code[first..=close].lines().filter(|line| !line.trim().is_empty()).count();
        Some(Function { line: line_of(code, head), length })
    };
    bodies.into_iter().filter_map(measure).collect()
}

/// The offset of the brace that closes the one at `open`.
pub fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Heads and opening braces of `fn name…`.
fn rust_bodies(code: &str) -> Vec<(usize, usize)> {
    let words = code.match_indices("fn ").filter(|(at, _)| *at == 0 || !is_word(code.as_bytes()[at - 1]));
    words.filter_map(|(at, _)| rust_body(code, at).map(|open| (at, open))).collect()
}

fn rust_body(code: &str, head: usize) -> Option<usize> {
    let mut depth = 0i32;
    for (at, byte) in code.bytes().enumerate().skip(head) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(at),
            b';' if depth == 0 => return None,
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    None
}

/// Heads and opening braces of arrows, methods and functions.
fn script_bodies(code: &str) -> Vec<(usize, usize)> {
    let braces = code.match_indices('{').map(|(at, _)| at);
    braces.filter_map(|open| script_head(&code[..open]).map(|head| (head, open))).collect()
}

/// Where the function starts whose body follows `before`, if it is one.
fn script_head(before: &str) -> Option<usize> {
    let before = before.trim_end();
    let line = &before[before.rfind('\n').map_or(0, |at| at + 1)..];
    if line.contains("describe(") {
        return None;
    }
    if let Some(arrow) = before.strip_suffix("=>") {
        return Some(arrow.trim_end().len().saturating_sub(1));
    }
    let parameters = before.rfind(')')?;
    let annotation = before[parameters + 1..].trim_start();
    let plain = annotation.is_empty();
    if !plain && (!annotation.starts_with(':') || annotation.contains([';', '='])) {
        return None;
    }
    let open = opening(before, parameters)?;
    let name = before[..open].trim_end();
    let start = name.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |at| at + 1);
    let is_statement = ["if", "for", "while", "switch", "catch", "with", "await"].contains(&&name[start..]);
    (!is_statement).then_some(open)
}

/// The offset of the parenthesis that opens the one at `close`.
fn opening(code: &str, close: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().take(close + 1).collect::<Vec<_>>().into_iter().rev() {
        match byte {
            b')' => depth += 1,
            b'(' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(code: &str, language: Language) -> Vec<usize> {
        functions(code, language).into_iter().map(|function| function.length).collect()
    }

    #[test]
    fn rust_functions_are_measured_without_blank_lines() {
        assert_eq!(lengths("fn a() {\n\n    b();\n}\nfn c(x: [u8; 2]) -> u8\nwhere\n{\n}\n", Language::Rust), [3, 4]);
        assert_eq!(lengths("trait T { fn a(); }\nlet f: fn() = g;\n", Language::Rust), [0usize; 0]);
    }

    #[test]
    fn script_functions_of_all_kinds_are_found() {
        assert_eq!(lengths("function a(x) {\n  b();\n}\n", Language::Script), [3]);
        assert_eq!(lengths("const a = async (x: A) => {\n};\n", Language::Script), [2]);
        assert_eq!(lengths("class A {\n  b(): C<D> {\n  }\n}\n", Language::Script), [2]);
        assert_eq!(
            lengths("if (a) {\n}\nfor await (const b of c) {\n}\nconst d = {\n};\n", Language::Script),
            [0usize; 0]
        );
        assert_eq!(lengths("describe(\"\", () => {\n  it(\"\", () => {\n  });\n});\n", Language::Script), [2]);
    }

    #[test]
    fn a_function_is_reported_at_its_head() {
        assert_eq!(functions("\n\nfn a() {}\n", Language::Rust), [Function { line: 3, length: 1 }]);
    }
}
