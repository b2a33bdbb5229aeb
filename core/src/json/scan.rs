//! Reads JSON text in one pass. The text is UTF-8 before anything looks at it, and nesting is bounded.

use std::borrow::Cow;

use super::value::{Map, Value};

use crate::error::{Code, CoreError};
use crate::json::{check_key, number_of, numbers, too_deep};

/// How deep a value may be that is only passed over. Whoever reads it has a limit of its own, and refuses just that
/// value; this one keeps the stack small.
const PASSED_DEPTH_MAX: usize = 512;

/// What is done with each field of an object: its key, the text of its value, and the value where it has parts.
pub type TakeField<'t> = dyn FnMut(&str, &str, Option<Value>) -> Result<(), CoreError> + 't;

/// A place in a text.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// The field of the outermost object that keeps its text.
    raw_key: Option<&'a str>,
    raw: Option<&'a str>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8], raw_key: Option<&'a str>) -> Result<Self, CoreError> {
        let text = str::from_utf8(bytes).map_err(|_| CoreError::new(Code::BadJson, "this JSON is not UTF-8"))?;
        Ok(Self { text, at: 0, raw_key, raw: None })
    }

    /// One value and nothing behind it, with the text of the field that keeps it.
    pub(super) fn whole(mut self, depth: usize) -> Result<(Value, Option<&'a str>), CoreError> {
        let value = self.value(depth)?;
        self.end()?;
        Ok((value, self.raw))
    }

    /// The items of an array, passed over.
    pub(super) fn items(mut self) -> Result<Vec<&'a str>, CoreError> {
        let mut items = Vec::new();
        self.each(b'[', b']', &mut |scanner| {
            items.push(scanner.pass()?);
            Ok(())
        })?;
        self.end()?;
        Ok(items)
    }

    /// The text of one value and nothing behind it, passed over.
    pub(super) fn lone(mut self) -> Result<&'a str, CoreError> {
        let text = self.pass()?;
        self.end()?;
        Ok(text)
    }

    /// A text, and what stands behind it.
    pub(super) fn text_before(mut self) -> Result<(String, &'a str), CoreError> {
        let text = self.string()?;
        Ok((text, self.text.get(self.at..).unwrap_or_default()))
    }

    /// Shows the fields of an object, and nothing behind it: the key, the text of the value, and the value itself where
    /// it has parts.
    pub(super) fn fields(mut self, depth: usize, then: &mut TakeField<'_>) -> Result<(), CoreError> {
        let mut keys: Vec<Cow<'a, str>> = Vec::new();
        self.each(b'{', b'}', &mut |scanner| {
            let key = scanner.key()?;
            scanner.expect(b':')?;
            check_key(&key)?;
            if keys.contains(&key) {
                return Err(twice(&key));
            }
            let first = scanner.peek_token();
            let start = scanner.at;
            let value = match first {
                Some(b'"') => {
                    scanner.pass_string()?;
                    None
                }
                _ => {
                    Some(scanner.value(depth - 1)?).filter(|value| matches!(value, Value::Array(_) | Value::Object(_)))
                }
            };
            then(&key, scanner.since(start), value)?;
            keys.push(key);
            Ok(())
        })?;
        self.end()
    }

    /// The text of a key; a copy only where it is written in escapes.
    fn key(&mut self) -> Result<Cow<'a, str>, CoreError> {
        let start = self.at;
        self.pass_string()?;
        let plain = self.since(start + 1);
        let plain = plain.get(..plain.len().saturating_sub(1)).unwrap_or_default();
        if !plain.contains('\\') {
            return Ok(Cow::Borrowed(plain));
        }
        self.at = start;
        self.string().map(Cow::Owned)
    }

    fn value(&mut self, depth: usize) -> Result<Value, CoreError> {
        match self.peek_token() {
            Some(b'{' | b'[') if depth == 0 => Err(too_deep()),
            Some(b'{') => self.object(depth - 1),
            Some(b'[') => {
                let mut items = Vec::new();
                self.each(b'[', b']', &mut |scanner| {
                    items.push(scanner.value(depth - 1)?);
                    Ok(())
                })?;
                Ok(Value::Array(items))
            }
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'n') => self.word("null", Value::Null),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, CoreError> {
        let mut map = Map::new();
        // Only the outermost object: `take` leaves none for those inside.
        let raw_key = self.raw_key.take();
        self.each(b'{', b'}', &mut |scanner| {
            let key = scanner.string()?;
            scanner.expect(b':')?;
            check_key(&key)?;
            let is_raw = raw_key == Some(key.as_str());
            if map.contains_key(&key) || (is_raw && scanner.raw.is_some()) {
                return Err(twice(&key));
            }
            if is_raw {
                scanner.raw = Some(scanner.pass()?);
            } else {
                let value = scanner.value(depth)?;
                map.insert(key, value);
            }
            Ok(())
        })?;
        Ok(Value::Object(map))
    }

    /// What stands between brackets, parted by commas.
    fn each(
        &mut self,
        open: u8,
        close: u8,
        item: &mut dyn FnMut(&mut Self) -> Result<(), CoreError>,
    ) -> Result<(), CoreError> {
        self.expect(open)?;
        if self.peek_token() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.peek_token();
            item(self)?;
            match self.peek_token() {
                Some(b',') => self.at += 1,
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.bad()),
            }
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, CoreError> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(self.bad());
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, CoreError> {
        let number = numbers::parse(self.number_text()?);
        if number.is_finite() { Ok(number_of(number)) } else { Err(self.bad()) }
    }

    fn number_text(&mut self) -> Result<&'a str, CoreError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(self.since(start))
    }

    fn digits(&mut self) -> Result<(), CoreError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.bad()) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<String, CoreError> {
        self.expect(b'"')?;
        let mut out = String::new();
        loop {
            let start = self.at;
            self.pass_plain();
            out.push_str(self.since(start));
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                _ => return Err(self.bad()),
            }
        }
    }

    fn escape(&mut self) -> Result<char, CoreError> {
        let byte = self.peek().ok_or_else(|| self.bad())?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let mut unit = self.unit()?;
                if (0xd800..0xdc00).contains(&unit) && self.word("\\u", Value::Null).is_ok() {
                    let low = self.unit()?;
                    let pair = low.checked_sub(0xdc00).filter(|low| *low < 0x400);
                    unit = 0x1_0000 + ((unit - 0xd800) << 10) + pair.ok_or_else(|| self.bad())?;
                }
                // A lone surrogate is no `char`.
                char::from_u32(unit).ok_or_else(|| self.bad())?
            }
            _ => return Err(self.bad()),
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Result<u32, CoreError> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            unit = unit * 16 + digit.ok_or_else(|| self.bad())?;
            self.at += 1;
        }
        Ok(unit)
    }

    /// Passes over a value: it is JSON, and what it says is not looked at. Whoever takes the text reads it.
    fn pass(&mut self) -> Result<&'a str, CoreError> {
        self.peek_token();
        let start = self.at;
        self.pass_value(PASSED_DEPTH_MAX)?;
        Ok(self.since(start))
    }

    fn pass_value(&mut self, depth: usize) -> Result<(), CoreError> {
        match self.peek_token() {
            Some(b'{' | b'[') if depth == 0 => Err(too_deep()),
            Some(b'{') => self.each(b'{', b'}', &mut |scanner| {
                scanner.pass_string()?;
                scanner.expect(b':')?;
                scanner.pass_value(depth - 1)
            }),
            Some(b'[') => self.each(b'[', b']', &mut |scanner| scanner.pass_value(depth - 1)),
            Some(b'"') => self.pass_string(),
            Some(b'n' | b't' | b'f') => self.value(0).map(drop),
            _ => self.number_text().map(drop),
        }
    }

    fn pass_string(&mut self) -> Result<(), CoreError> {
        self.expect(b'"')?;
        loop {
            self.pass_plain();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                _ => return Err(self.bad()),
            }
        }
    }

    /// Goes to the next byte that means something in a string.
    fn pass_plain(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let words = rest.chunks_exact(8).take_while(|word| all_plain(word)).count();
        let tail = rest.get(words * 8..).unwrap_or_default();
        let plain = tail.iter().position(|byte| *byte < b' ' || *byte == b'"' || *byte == b'\\');
        self.at += words * 8 + plain.unwrap_or(tail.len());
    }

    fn end(&mut self) -> Result<(), CoreError> {
        if self.peek_token().is_some() { Err(self.bad()) } else { Ok(()) }
    }

    fn expect(&mut self, byte: u8) -> Result<(), CoreError> {
        if self.peek_token() != Some(byte) {
            return Err(self.bad());
        }
        self.at += 1;
        Ok(())
    }

    /// The next byte behind white space.
    fn peek_token(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
        self.peek()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    #[cold]
    fn bad(&self) -> CoreError {
        CoreError::new(Code::BadJson, format!("not valid JSON at byte {}", self.at))
    }
}

#[cold]
fn twice(key: &str) -> CoreError {
    CoreError::new(Code::BadJson, "an object names one key twice").at(key)
}

/// Whether none of eight bytes is a quote, a backslash or a control character: a zero byte is found by borrowing from
/// it ("Bit Twiddling Hacks", Sean Anderson).
pub(super) fn all_plain(word: &[u8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = word.try_into().map(u64::from_le_bytes).unwrap_or_default();
    let below = |word: u64, bound: u64| word.wrapping_sub(EACH * bound) & !word;
    let special = below(word, 0x20) | below(word ^ (EACH * 0x22), 1) | below(word ^ (EACH * 0x5c), 1);
    special & (EACH * 0x80) == 0
}
