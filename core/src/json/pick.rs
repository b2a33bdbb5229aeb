//! Takes fields out of a document without reading the rest of it.
//!
//! For documents that went through the door before: what is passed over is not checked again. In a text that is no
//! JSON nothing, or too little, is found.

use std::borrow::Cow;

use super::{JsonLimits, Map, Value, parse};
use crate::error::{Code, CoreError};

/// Where the text of a value begins and ends; `(0, 0)`: there is none.
pub type Span = (usize, usize);

/// The fields to look for, as a tree of keys.
#[derive(Debug, Default)]
pub struct Wanted {
    keys: Vec<Key>,
    /// How many fields there are in all.
    count: usize,
}

#[derive(Debug)]
struct Key {
    name: Box<str>,
    /// Where its span goes, if it is a field that is looked for.
    slot: Option<usize>,
    below: Vec<Key>,
}

impl Wanted {
    /// Looks for one more field; its span goes to `slot`.
    pub fn add<'a>(&mut self, path: impl Iterator<Item = Cow<'a, str>>, slot: usize) {
        self.count += 1;
        let mut keys = &mut self.keys;
        let mut path = path.peekable();
        while let Some(name) = path.next() {
            let index = keys.iter().position(|key| *key.name == *name).unwrap_or(keys.len());
            if index == keys.len() {
                keys.push(Key { name: name.into(), slot: None, below: Vec::new() });
            }
            let Some(key) = keys.get_mut(index) else { return };
            if path.peek().is_none() {
                key.slot = Some(slot);
            }
            keys = &mut key.below;
        }
    }

    /// Finds the fields in a document. What is not there keeps the span that it had.
    pub fn find(&self, doc: &[u8], spans: &mut [Span]) {
        if self.count > 0 {
            let mut finder = Finder { doc, at: 0, left: self.count, spans };
            if finder.token() == Some(b'{') {
                finder.object(&self.keys);
            }
        }
    }
}

/// Shows the fields of an object: the key as it stands between its quotes, and the text of the value. Stops where
/// `then` says no.
pub fn members<'a>(object: &'a str, then: &mut dyn FnMut(&'a str, &'a str) -> bool) {
    let mut finder = Finder { doc: object.as_bytes(), at: 0, left: 0, spans: &mut [] };
    if finder.token() != Some(b'{') {
        return;
    }
    finder.at += 1;
    while let Some((key, (start, end))) = finder.member() {
        let (Ok(key), Some(value)) = (str::from_utf8(key), object.get(start..end)) else { return };
        if !then(key, value) {
            return;
        }
    }
}

/// The fields of an object as values, but for one list, whose items are found as texts: in one pass, for what this
/// crate wrote itself.
///
/// # Errors
/// `bad-json`.
pub fn around_list<'a>(object: &'a str, list: &str) -> Result<(Value, Vec<&'a str>), CoreError> {
    let mut finder = Finder { doc: object.as_bytes(), at: 0, left: 0, spans: &mut [] };
    let (mut fields, mut items) = (Map::new(), Vec::new());
    let broken = || CoreError::new(Code::BadJson, "this JSON breaks off");
    if finder.token() != Some(b'{') {
        return Err(broken());
    }
    finder.at += 1;
    while let Some(name) = finder.name().ok_or_else(broken)? {
        finder.token();
        let start = finder.at;
        if is_name(name, list) {
            finder.items(object, &mut items).ok_or_else(broken)?;
            continue;
        }
        finder.pass().ok_or_else(broken)?;
        let name = str::from_utf8(name).map_err(|_| broken())?;
        let text = object.get(start..finder.at).ok_or_else(broken)?;
        fields.insert(name.to_owned(), parse(text.as_bytes(), JsonLimits::MESSAGE)?);
    }
    Ok((Value::Object(fields), items))
}

/// The text of the value to which keys lead from an object.
pub fn at<'a, 'k>(object: &'a str, mut keys: impl Iterator<Item = Cow<'k, str>>) -> Option<&'a str> {
    let mut finder = Finder { doc: object.as_bytes(), at: 0, left: 0, spans: &mut [] };
    let mut key = keys.next()?;
    loop {
        if finder.token()? != b'{' {
            return None;
        }
        finder.at += 1;
        while !is_name(finder.name()??, &key) {
            finder.token()?;
            finder.pass()?;
        }
        finder.token()?;
        let Some(next) = keys.next() else { break };
        key = next;
    }
    let start = finder.at;
    finder.pass()?;
    object.get(start..finder.at)
}

struct Finder<'a, 's> {
    doc: &'a [u8],
    at: usize,
    /// How many fields are not found yet.
    left: usize,
    spans: &'s mut [Span],
}

/// Each function returns `None` when there is nothing more to look for: all is found, or the text is no JSON.
impl<'a> Finder<'a, '_> {
    fn object(&mut self, wanted: &[Key]) -> Option<()> {
        self.at += 1;
        loop {
            let Some(name) = self.name()? else { return Some(()) };
            let first = self.token()?;
            let start = self.at;
            let key = find(wanted, name);
            match key {
                Some(key) if first == b'{' && !key.below.is_empty() => self.object(&key.below)?,
                _ => self.pass()?,
            }
            if let Some(slot) = key.and_then(|key| key.slot) {
                *self.spans.get_mut(slot)? = (start, self.at);
                self.left -= 1;
                if self.left == 0 {
                    return None;
                }
            }
        }
    }

    /// The next key of an object and the place of its value.
    fn member(&mut self) -> Option<(&'a [u8], Span)> {
        let name = self.name()??;
        self.token()?;
        let start = self.at;
        self.pass()?;
        Some((name, (start, self.at)))
    }

    /// The items of a list.
    fn items<'o>(&mut self, object: &'o str, items: &mut Vec<&'o str>) -> Option<()> {
        if self.token()? != b'[' {
            return None;
        }
        self.at += 1;
        loop {
            match self.token()? {
                b']' => {
                    self.at += 1;
                    return Some(());
                }
                b',' => {
                    self.at += 1;
                    self.token()?;
                }
                _ => {}
            }
            let start = self.at;
            self.pass()?;
            // Nothing is no item, and passing over it would never end.
            items.push(object.get(start..self.at).filter(|item| !item.is_empty())?);
        }
    }

    /// The next key of an object, up to behind its colon; none at the end of the object.
    fn name(&mut self) -> Option<Option<&'a [u8]>> {
        match self.token()? {
            b'}' => {
                self.at += 1;
                return Some(None);
            }
            b',' => {
                self.at += 1;
                self.token()?;
            }
            _ => {}
        }
        let name = self.string()?;
        if self.token()? != b':' {
            return None;
        }
        self.at += 1;
        Some(Some(name))
    }

    /// Passes over a value.
    fn pass(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.doc.get(self.at)? {
                b'"' => {
                    self.string()?;
                    if depth == 0 {
                        return Some(());
                    }
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                    if depth == 0 {
                        return Some(());
                    }
                }
                b'}' | b']' | b',' | b' ' | b'\n' | b'\r' | b'\t' if depth == 0 => return Some(()),
                _ => self.at += 1,
            }
        }
    }

    /// Passes over a text; returns what stands between the quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        if *self.doc.get(self.at)? != b'"' {
            return None;
        }
        let start = self.at + 1;
        self.at = start;
        loop {
            while self.doc.get(self.at..self.at + 8).is_some_and(super::scan::all_plain) {
                self.at += 8;
            }
            match self.doc.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return self.doc.get(start..self.at - 1);
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    /// The next byte behind white space.
    fn token(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.doc.get(self.at) {
            self.at += 1;
        }
        self.doc.get(self.at).copied()
    }
}

fn find<'k>(wanted: &'k [Key], name: &[u8]) -> Option<&'k Key> {
    wanted.iter().find(|key| is_name(name, &key.name))
}

/// Whether what stands between quotes means this key.
fn is_name(name: &[u8], key: &str) -> bool {
    name == key.as_bytes()
        || name.contains(&b'\\')
            && parse(&[b"\"", name, b"\""].concat(), JsonLimits::MESSAGE).is_ok_and(|name| name == *key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(doc: &'a str, paths: &[&str]) -> Vec<&'a str> {
        let mut wanted = Wanted::default();
        for (slot, path) in paths.iter().enumerate() {
            wanted.add(path.split('.').map(Cow::from), slot);
        }
        let mut spans = vec![(0, 0); paths.len()];
        wanted.find(doc.as_bytes(), &mut spans);
        spans.iter().map(|(start, end)| &doc[*start..*end]).collect()
    }

    #[test]
    fn fields_are_found_at_any_depth_and_as_they_stand() {
        let doc = concat!(
            r#" { "a" : [1, {"b": 2}] , "b" :{"c":{"d":-1.5e3 },"x":"\"b\""},"#,
            r#""long name with \"quotes\"":"x\\","e":null}"#
        );
        assert_eq!(found(doc, &["a", "b.c.d", "e"]), [r#"[1, {"b": 2}]"#, "-1.5e3", "null"]);
        assert_eq!(found(doc, &["b", "b.x"]), [r#"{"c":{"d":-1.5e3 },"x":"\"b\""}"#, r#""\"b\"""#]);
        assert_eq!(found(doc, &["long name with \"quotes\"", "c", "b.c.d.e"]), [r#""x\\""#, "", ""]);
    }

    #[test]
    fn in_what_is_no_object_nothing_is_found() {
        for doc in ["", "null", "[1]", "{", r#"{"a"#, r#"{"a":"#, r#"{"a":"b"#, r#"{"a" 1}"#] {
            assert_eq!(found(doc, &["a"]), [""]);
        }
    }

    #[test]
    fn keys_lead_to_a_value() {
        let doc = r#"{"b":{"c":{}}, "a": {"b":[{"c":0}],"c\u0064":{ "e" : "f" } } }"#;
        let found = |path: &str| at(doc, path.split('.').map(Cow::from));
        assert_eq!((found("a.cd.e"), found("b.c")), (Some(r#""f""#), Some("{}")));
        assert_eq!((found("a.b.c"), found("a.e"), found("b.c.d"), found("c")), (None, None, None, None));
    }

    #[test]
    fn a_list_is_taken_apart_and_the_rest_is_read() {
        let text = r#" {"a":{"list":[0]} ,"list": [ {"x":[1,"]"]} ,"b\"," , 3],"n":[1,2]}"#;
        let (rest, items) = around_list(text, "list").unwrap();
        assert_eq!(items, [r#"{"x":[1,"]"]}"#, r#""b\",""#, "3"]);
        assert_eq!(rest, parse(br#"{"a":{"list":[0]},"n":[1,2]}"#, JsonLimits::MESSAGE).unwrap());
        assert_eq!(around_list(r#"{"list":[]}"#, "list").unwrap().1, [""; 0]);
        for end in 0..text.len() {
            assert!(around_list(&text[..end], "list").is_err(), "{end}");
        }
    }

    /// Found by fuzzing: without an end, items that are nothing took all memory.
    #[test]
    fn a_list_with_nothing_between_its_commas_is_no_list() {
        for list in ["[}]", "[,]", "[1,}", "[:", "[1 , , 2]"] {
            assert!(around_list(&format!("{{\"list\":{list}}}"), "list").is_err(), "{list}");
        }
    }

    #[test]
    fn a_key_may_be_written_in_escapes() {
        assert_eq!(found(r#"{"\u0061\u002f":1}"#, &["a/"]), ["1"]);
    }
}
