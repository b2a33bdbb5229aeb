//! Rows of a segment as the [`columns`](crate::store::columns) of the fields that queries ask for. Nothing is made of a
//! document: its values are found in its text.

use crate::ids::{CONFLICTS, CollectionName};
use crate::json::{self, JsonLimits, Span, Value, Wanted};
use crate::model::conflict;
use crate::model::insert::path_in_insert;
use crate::model::path::Path;
use crate::store::asked::Asked;
use crate::store::clean::number;
use crate::store::columns::What;
use crate::store::directory::hash_of_number;
use crate::store::load::document;
use crate::store::seal::waiting_edit;
use crate::store::segment::{Row, Space};

/// Bytes of a value's JSON. A row with a longer value is read to be known.
const VALUE_BYTES_MAX: usize = 255;

/// The columns of rows; none where a position is too far above the lowest.
pub fn encode(rows: &[Row], lowest: u64, asked: &Asked) -> Option<Vec<u8>> {
    let mut out = vec![len(asked.len())];
    let mut lookers = Vec::with_capacity(asked.len());
    for (name, fields) in asked.iter() {
        put_text(&mut out, name.as_str());
        out.push(len(fields.len()));
        fields.iter().for_each(|field| put_text(&mut out, field.as_str()));
        lookers.push(Looker::new(name, fields));
    }
    let mut cells = Vec::new();
    for row in rows {
        cells.clear();
        let above = u32::try_from(row.position - lowest).ok()?;
        let (what, place, about) = match row.space {
            Space::Entity => of_entity(row, &lookers, &mut cells),
            Space::Mutation => of_edit(row.body.as_deref(), &lookers, &mut cells),
        };
        out.extend([what as u8, place]);
        out.extend(about.to_le_bytes());
        out.extend(above.to_le_bytes());
        if row.space == Space::Mutation {
            out.extend(number(&row.id).map_or(0, hash_of_number).to_le_bytes());
        }
        out.extend(&cells);
    }
    Some(out)
}

#[expect(clippy::cast_possible_truncation, reason = "what is longer does not come here")]
fn len(len: usize) -> u8 {
    len as u8
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(len(text.len()));
    out.extend(text.as_bytes());
}

/// Finds the fields of one collection in its documents.
struct Looker<'a> {
    name: &'a str,
    in_documents: Wanted,
    in_inserts: Wanted,
    spans: Vec<Span>,
}

impl<'a> Looker<'a> {
    fn new(name: &'a CollectionName, fields: &[Path]) -> Self {
        let (mut in_documents, mut in_inserts) = (Wanted::default(), Wanted::default());
        for (slot, path) in fields.iter().enumerate() {
            in_documents.add(path.segments(), slot);
            in_inserts.add(path_in_insert(path), slot);
        }
        Self { name: name.as_str(), in_documents, in_inserts, spans: vec![(0, 0); fields.len()] }
    }

    /// Puts the cells of a document, or of an insert; says whether all of them fit.
    fn put(&self, wanted: &Wanted, text: &str, cells: &mut Vec<u8>) -> bool {
        let mut spans = self.spans.clone();
        wanted.find(text.as_bytes(), &mut spans);
        spans.into_iter().all(|(start, end)| put_cell(text.get(start..end).unwrap_or_default(), cells))
    }
}

fn put_cell(value: &str, cells: &mut Vec<u8>) -> bool {
    match value.as_bytes().first() {
        None | Some(b'n') => cells.push(0),
        Some(b'f') => cells.push(1),
        Some(b't') => cells.push(2),
        Some(b'-' | b'0'..=b'9') => {
            cells.push(3);
            cells.extend(json::number_from(value).to_le_bytes());
        }
        Some(_) => {
            cells.push(4);
            put_text(cells, value);
        }
    }
    value.len() <= VALUE_BYTES_MAX
}

/// Where the collection stands among those that are asked for, from 1.
fn find<'l, 'a>(lookers: &'l [Looker<'a>], collection: &str) -> (u8, Option<&'l Looker<'a>>) {
    let at = lookers.iter().position(|looker| looker.name == collection);
    (at.map_or(0, |at| len(at + 1)), at.and_then(|at| lookers.get(at)))
}

fn of_entity(row: &Row, lookers: &[Looker<'_>], cells: &mut Vec<u8>) -> (What, u8, u64) {
    if row.collection == CONFLICTS {
        return (What::Conflict, 0, conflict::entity_of(&row.id).unwrap_or_default());
    }
    let (place, looker) = find(lookers, &row.collection);
    let about = conflict::hash_of_entity(&row.collection, &row.id);
    let Some(body) = &row.body else { return (What::NoDocument, place, about) };
    let doc = document(body, 0..body.len()).and_then(|doc| body.get(doc));
    let fits = match (looker, doc) {
        (Some(looker), Some(doc)) => looker.put(&looker.in_documents, doc, cells),
        (None, _) => true,
        _ => false,
    };
    if fits {
        return (What::Document, place, about);
    }
    cells.clear();
    (What::Opaque, place, about)
}

fn of_edit(body: Option<&str>, lookers: &[Looker<'_>], cells: &mut Vec<u8>) -> (What, u8, u64) {
    let Some(body) = body else { return (What::Done, 0, 0) };
    if body.starts_with("{\"Kept\":") {
        return (What::Done, 0, 0);
    }
    let waiting = waiting_edit(body);
    let within = |key: &'static str| json::at(body, [key, "m"].into_iter().map(Into::into));
    let edit = waiting.or_else(|| within("Queued")).or_else(|| within("Letter")).unwrap_or_default();
    let text = |of: &str, keys: &[&'static str]| {
        let value = json::at(of, keys.iter().map(|key| (*key).into()))?;
        match json::parse(value.as_bytes(), JsonLimits::MESSAGE).ok()? {
            Value::String(text) => Some(text),
            _ => None,
        }
    };
    // An edit of an entity that became another is that one's.
    let other = || text(body, &["Queued", "to"]).or_else(|| text(body, &["Letter", "to"]));
    let other = if waiting.is_some() { None } else { other() };
    let (collection, id) =
        (text(edit, &["c"]).unwrap_or_default(), other.or_else(|| text(edit, &["id"])).unwrap_or_default());
    let (place, looker) = find(lookers, &collection);
    let about = conflict::hash_of_entity(&collection, &id);
    let is_insert = waiting.is_some() && text(edit, &["kind"]).as_deref() == Some("insert");
    if is_insert && looker.is_none_or(|looker| looker.put(&looker.in_inserts, edit, cells)) {
        return (What::Insert, place, about);
    }
    cells.clear();
    (What::Edit, place, about)
}
