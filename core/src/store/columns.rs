//! What queries look at of the rows of a segment, behind its directory: enough to say which rows a first page may hold
//! before any segment is read.
//!
//! They are written with their segment, for the fields that queries have looked at, and go with it: a
//! segment never changes, so they are never out of date. How they are made: [`project`](crate::store::project);
//! what a page is made of them: `replica::early_page`.
//!
//! ```text
//! columns = count u8 | collections: len u8, name, count u8, fields: len u8, JSON Pointer | rows, as in the segment
//! row     = what u8 | collection u8, from 1, or 0: no query asks | about u64 | position above the lowest u32
//!           | number u64, of an edit | a cell for each field, of a document or an insert whose collection is asked for
//! cell    = 0: null | 1: false | 2: true | 3: number f64 | 4: any other JSON, len u8, text
//! ```

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum What {
    /// A document.
    Document,
    /// A document with a value that is too long for a cell.
    Opaque,
    /// A document that is gone.
    NoDocument,
    /// A conflict, by its entity.
    Conflict,
    /// An insert that waits.
    Insert,
    /// Another edit that waits, or was refused.
    Edit,
    /// An edit that shows no more.
    Done,
}

const WHATS: [What; 7] =
    [What::Document, What::Opaque, What::NoDocument, What::Conflict, What::Insert, What::Edit, What::Done];

/// A row.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// What it is.
    pub what: What,
    /// Its collection, or nothing: no query asks for it.
    pub collection: &'a str,
    /// The hash of its entity ([`hash_of_entity`](crate::model::conflict::hash_of_entity)).
    pub about: u64,
    /// Its position.
    pub position: u64,
    /// Of an edit, its number ([`hash_of_number`](crate::store::directory::hash_of_number)).
    pub number: u64,
    cells: &'a [u8],
}

/// A value in a cell.
#[derive(Debug, Clone, Copy)]
pub enum Stored<'a> {
    /// Null, or nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number.
    Number(f64),
    /// The JSON of any other value.
    Json(&'a [u8]),
}

/// The columns of a segment.
#[derive(Debug)]
pub struct Columns<'a> {
    names: Vec<(&'a str, Vec<&'a str>)>,
    rows: &'a [u8],
    lowest: u64,
}

impl<'a> Columns<'a> {
    /// What stands behind a directory.
    pub fn read(bytes: &'a [u8], lowest: u64) -> Option<Self> {
        let mut reader = Reader(bytes);
        let mut names = Vec::new();
        for _ in 0..reader.byte()? {
            let name = reader.text()?;
            let fields = (0..reader.byte()?).map(|_| reader.text()).collect::<Option<Vec<_>>>()?;
            names.push((name, fields));
        }
        Some(Self { names, rows: reader.0, lowest })
    }

    /// Where the cell of a field stands in the rows of a collection.
    pub fn place(&self, collection: &str, field: &str) -> Option<usize> {
        let (_, fields) = self.names.iter().find(|(name, _)| *name == collection)?;
        fields.iter().position(|known| *known == field)
    }

    /// Shows the rows in their order; says whether all of them could be read.
    pub fn each(&self, then: &mut dyn FnMut(Seen<'a>)) -> Option<()> {
        let mut reader = Reader(self.rows);
        while !reader.0.is_empty() {
            then(self.row(&mut reader)?);
        }
        Some(())
    }

    fn row(&self, reader: &mut Reader<'a>) -> Option<Seen<'a>> {
        let what = *WHATS.get(usize::from(reader.byte()?))?;
        let place = usize::from(reader.byte()?);
        let about = u64::from_le_bytes(reader.array()?);
        let position = self.lowest + u64::from(u32::from_le_bytes(reader.array()?));
        let is_edit = matches!(what, What::Insert | What::Edit | What::Done);
        let number = if is_edit { u64::from_le_bytes(reader.array()?) } else { 0 };
        let (collection, count) = match place.checked_sub(1) {
            Some(place) => self.names.get(place).map(|(name, fields)| (*name, fields.len()))?,
            None => ("", 0),
        };
        let start = reader.0;
        if matches!(what, What::Document | What::Insert) {
            for _ in 0..count {
                reader.cell()?;
            }
        }
        let cells = start.get(..start.len() - reader.0.len())?;
        Some(Seen { what, collection, about, position, number, cells })
    }
}

impl<'a> Seen<'a> {
    /// Its values, in the order of the fields.
    pub fn each_cell(&self, then: &mut dyn FnMut(usize, Stored<'a>)) {
        let mut reader = Reader(self.cells);
        let mut place = 0;
        while let Some(cell) = reader.cell() {
            then(place, cell);
            place += 1;
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(self.byte()?);
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        str::from_utf8(self.bytes()?).ok()
    }

    fn cell(&mut self) -> Option<Stored<'a>> {
        Some(match self.byte()? {
            0 => Stored::Null,
            1 => Stored::Bool(false),
            2 => Stored::Bool(true),
            3 => Stored::Number(f64::from_le_bytes(self.array()?)),
            4 => Stored::Json(self.bytes()?),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CollectionName;
    use crate::json::Value;
    use crate::model::conflict;
    use crate::model::path::Path;
    use crate::store::asked::{Asked, ask, read};
    use crate::store::project::encode;
    use crate::store::segment::put_number;
    use crate::store::segment::{Row, Space};

    fn row(space: Space, id: &str, body: Option<String>) -> Row {
        let collection = if space == Space::Entity { "deals".to_owned() } else { String::new() };
        Row { space, position: 7, collection, id: id.to_owned(), body, about: 0 }
    }

    fn document(text: &str) -> Option<String> {
        let mut body = String::new();
        put_number(&mut body, 2, 4);
        Some(body + "{}" + text)
    }

    fn edit(kind: &str, m: &str) -> Option<String> {
        let m = format!(r#"{{"c":"deals","id":"{m}","kind":"{kind}","base":0,"set":{{"/n":3}},"at":[5,0]}}"#);
        Some(format!(r#"{{"Queued":{{"m":{m},"tx":null,"status":"queued","old":false,"acked":0}}}}"#))
    }

    fn asked() -> Asked {
        let mut asked = Value::Null;
        let (n, city) = (Path::parse("/n").unwrap(), Path::parse("/at/city").unwrap());
        assert!(ask(&mut asked, &CollectionName::parse("deals").unwrap(), &[&n, &city]));
        assert!(!ask(&mut asked, &CollectionName::parse("deals").unwrap(), &[&n]));
        read(&asked)
    }

    /// What is read of rows: what each is, its hash, and its cells.
    fn seen(rows: &[Row]) -> Vec<(What, u64, String)> {
        let bytes = encode(rows, 5, &asked()).unwrap();
        let columns = Columns::read(&bytes, 5).unwrap();
        assert_eq!((columns.place("deals", "/n"), columns.place("deals", "/at/city")), (Some(0), Some(1)));
        assert_eq!((columns.place("deals", "/m"), columns.place("people", "/n")), (None, None));
        let mut seen = Vec::new();
        columns
            .each(&mut |row| {
                let mut cells = String::new();
                row.each_cell(&mut |place, cell| {
                    cells += &match cell {
                        Stored::Json(text) => format!("{place}:{} ", str::from_utf8(text).unwrap()),
                        cell => format!("{place}:{cell:?} "),
                    }
                });
                assert_eq!(row.position, 7);
                seen.push((row.what, row.about, cells));
            })
            .unwrap();
        for end in 0..bytes.len() {
            // Of what breaks off nothing is made up.
            let cut = Columns::read(bytes.get(..end).unwrap(), 5);
            let mut count = 0;
            let _whole = cut.and_then(|columns| columns.each(&mut |_| count += 1));
            assert!(count <= rows.len());
        }
        seen
    }

    #[test]
    fn columns_say_what_rows_hold() {
        let about = |id| conflict::hash_of_entity("deals", id);
        let long = format!(r#"{{"n":"{}"}}"#, "x".repeat(300));
        let entities = [
            row(Space::Entity, "a", document(r#"{"at":{"city":"Ulm","zip":1},"n":-2.5}"#)),
            row(Space::Entity, "b", document(r#"{"n":true,"m":1}"#)),
            row(Space::Entity, "c", document(&long)),
            row(Space::Entity, "d", None),
        ];
        let expected = [
            (What::Document, about("a"), "0:Number(-2.5) 1:\"Ulm\" ".to_owned()),
            (What::Document, about("b"), "0:Bool(true) 1:Null ".to_owned()),
            (What::Opaque, about("c"), String::new()),
            (What::NoDocument, about("d"), String::new()),
        ];
        assert_eq!(seen(&entities), expected);
        let sent = edit("insert", "e").map(|body| body.replace("\"acked\":0", "\"acked\":9"));
        let kept = edit("insert", "e").map(|body| body.replace("Queued", "Kept"));
        let edits = [
            row(Space::Mutation, "7.0", edit("insert", "e")),
            row(Space::Mutation, "7.1", edit("patch", "e")),
            row(Space::Mutation, "7.2", sent),
            row(Space::Mutation, "7.3", kept),
            row(Space::Mutation, "7.4", None),
        ];
        let expected = [
            (What::Insert, about("e"), "0:Number(3.0) 1:Null ".to_owned()),
            (What::Edit, about("e"), String::new()),
            (What::Edit, about("e"), String::new()),
            (What::Done, 0, String::new()),
            (What::Done, 0, String::new()),
        ];
        assert_eq!(seen(&edits), expected);
    }
}
