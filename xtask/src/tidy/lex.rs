//! Splits source text into what is code and what is comment, byte for byte.
//!
//! Not a parser: it knows comments, strings, characters, templates and (by what stands before them) regular
//! expressions. Both views have the length and the line breaks of the text, so that an offset means the same
//! everywhere. Contents of strings are blank in both; their quotes stay in the code.

/// The language families that we write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Rust,
    /// TypeScript, with or without JSX, and JavaScript.
    Script,
}

/// The same text twice.
pub struct Views {
    pub code: String,
    pub comments: String,
}

/// Splits a text.
pub fn split(text: &str, language: Language) -> Views {
    let mut lexer = Lexer { text: text.as_bytes(), at: 0, code: blank(text), comments: blank(text) };
    match language {
        Language::Rust => lexer.rust(),
        Language::Script => lexer.script(false),
    }
    let view = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Views { code: view(lexer.code), comments: view(lexer.comments) }
}

/// The line (from 1) of an offset.
pub fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

fn blank(text: &str) -> Vec<u8> {
    text.bytes().map(|byte| if byte == b'\n' { byte } else { b' ' }).collect()
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    code: Vec<u8>,
    comments: Vec<u8>,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn starts(&self, what: &str) -> bool {
        self.text[self.at..].starts_with(what.as_bytes())
    }

    /// Takes one byte as code; bytes of other alphabets become `_`, a letter like them.
    fn keep(&mut self) {
        let byte = self.text[self.at];
        self.code[self.at] = if byte.is_ascii() { byte } else { b'_' };
        self.at += 1;
    }

    fn rust(&mut self) {
        while self.at < self.text.len() {
            if self.comment(true) || self.raw_string() {
                continue;
            }
            match self.peek(0) {
                b'"' => self.quoted(b'"', true),
                b'\'' if self.is_char_literal() => self.quoted(b'\'', true),
                _ => self.keep(),
            }
        }
    }

    /// Code until the end, or until the brace that closes a template's hole.
    fn script(&mut self, in_template: bool) {
        let mut depth = 0usize;
        while self.at < self.text.len() {
            if self.comment(false) {
                continue;
            }
            match self.peek(0) {
                b'`' => self.template(),
                quote @ (b'"' | b'\'') if !self.is_apostrophe() => self.quoted(quote, false),
                b'/' if self.regex_may_start() && self.regex() => {}
                b'}' if in_template && depth == 0 => return,
                byte => {
                    match byte {
                        b'{' => depth += 1,
                        b'}' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    self.keep();
                }
            }
        }
    }

    fn comment(&mut self, nested: bool) -> bool {
        let start = self.at;
        if self.starts("//") {
            while self.at < self.text.len() && self.peek(0) != b'\n' {
                self.at += 1;
            }
        } else if self.starts("/*") {
            let mut depth = 0;
            while self.at < self.text.len() {
                if self.starts("/*") && (nested || depth == 0) {
                    depth += 1;
                    self.at += 2;
                } else if self.starts("*/") {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        break;
                    }
                } else {
                    self.at += 1;
                }
            }
        } else {
            return false;
        }
        let end = self.at.min(self.text.len());
        self.comments[start..end].copy_from_slice(&self.text[start..end]);
        true
    }

    /// `'a'` and `'\n'` are characters, `'a` is a lifetime.
    fn is_char_literal(&self) -> bool {
        if self.peek(1) == b'\\' {
            return true;
        }
        let width = match self.peek(1) {
            byte if byte < 0x80 => 1,
            byte if byte < 0xe0 => 2,
            byte if byte < 0xf0 => 3,
            _ => 4,
        };
        self.peek(1 + width) == b'\''
    }

    /// Text between tags may say "don't".
    fn is_apostrophe(&self) -> bool {
        let before = self.at.checked_sub(1).map_or(0, |at| self.text[at]);
        self.peek(0) == b'\'' && before.is_ascii_alphanumeric() && self.peek(1).is_ascii_alphanumeric()
    }

    fn quoted(&mut self, quote: u8, multiline: bool) {
        self.keep();
        while self.at < self.text.len() {
            match self.peek(0) {
                b'\\' => self.at += 2,
                b'\n' if !multiline => return,
                byte if byte == quote => return self.keep(),
                _ => self.at += 1,
            }
        }
    }

    fn raw_string(&mut self) -> bool {
        let before = self.at.checked_sub(1).map_or(b' ', |at| self.text[at]);
        if self.peek(0) != b'r' || ((before.is_ascii_alphanumeric() && before != b'b') || before == b'_') {
            return false;
        }
        let hashes = self.text[self.at + 1..].iter().take_while(|byte| **byte == b'#').count();
        if self.peek(1 + hashes) != b'"' {
            return false;
        }
        let close = format!("\"{}", "#".repeat(hashes));
        (0..hashes + 2).for_each(|_| self.keep());
        while self.at < self.text.len() && !self.starts(&close) {
            self.at += 1;
        }
        for _ in 0..close.len() {
            if self.at < self.text.len() {
                self.keep();
            }
        }
        true
    }

    fn template(&mut self) {
        self.keep();
        while self.at < self.text.len() {
            if self.peek(0) == b'\\' {
                self.at += 2;
            } else if self.starts("${") {
                self.keep();
                self.keep();
                self.script(true);
                if self.at < self.text.len() {
                    self.keep();
                }
            } else if self.peek(0) == b'`' {
                return self.keep();
            } else {
                self.at += 1;
            }
        }
    }

    /// A slash after a value divides; after an operator or a keyword it starts a regular expression.
    fn regex_may_start(&self) -> bool {
        let before = self.code[..self.at].trim_ascii_end();
        let word_start = before.iter().rposition(|byte| !byte.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
        match before.last() {
            None => true,
            Some(b'>') => before.ends_with(b"=>"),
            Some(byte) if b"(,=:[!&|?{;+-*%~^".contains(byte) => true,
            Some(_) => matches!(&before[word_start..], b"return" | b"typeof" | b"case" | b"in" | b"of"),
        }
    }

    fn regex(&mut self) -> bool {
        let mut at = self.at + 1;
        let mut in_class = false;
        while let Some(byte) = self.text.get(at) {
            match byte {
                b'\n' => return false,
                b'\\' => at += 1,
                b'[' => in_class = true,
                b']' => in_class = false,
                b'/' if !in_class => {
                    self.code[self.at] = b'/';
                    self.code[at] = b'/';
                    self.at = at + 1;
                    return true;
                }
                _ => {}
            }
            at += 1;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str, language: Language) -> String {
        split(text, language).code
    }

    #[test]
    fn rust_strings_characters_and_lifetimes() {
        assert_eq!(code(r#"f("a{\"", '{', 'x') // }"#, Language::Rust), r#"f("    ", ' ', ' ')     "#);
        assert_eq!(code("fn f<'a>(x: &'a str) {}", Language::Rust), "fn f<'a>(x: &'a str) {}");
        assert_eq!(code("r#\"{\"}\"# + x", Language::Rust), "r#\"   \"# + x");
        assert_eq!(code("/* { /* { */ { */ }", Language::Rust), "                  }");
    }

    #[test]
    fn script_templates_regexes_and_text() {
        assert_eq!(code("`{${ f({}) }{`;", Language::Script), "` ${ f({}) } `;");
        assert_eq!(code("x = /[/{]/.test(y) / 2", Language::Script), "x = /    /.test(y) / 2");
        assert_eq!(code("<p>don't {x}</p>", Language::Script), "<p>don't {x}</p>");
        assert_eq!(code("<br /> 'a{' \"b}\"", Language::Script), "<br /> '  ' \"  \"");
    }

    #[test]
    fn comments_are_the_other_view() {
        assert_eq!(split("a // b", Language::Script).comments, "  // b");
        assert_eq!(line_of("a\nb\nc", 4), 3);
    }
}
