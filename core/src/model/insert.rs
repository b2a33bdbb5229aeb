//! An insert's mutation from the text of its document: every field is checked and goes into the bytes as it stands, and
//! nothing is made of it. What comes out is what [`Edit::of`] writes, but for the order of the fields.

use std::borrow::Cow;

use crate::clock::Hlc;
use crate::error::{Code, CoreError};
use crate::ids::{CollectionName, EntityId};
use crate::json::{self, JsonLimits, Raw};
use crate::limits::{DEPTH_MAX, PATH_BYTES_MAX};
use crate::model::document;
use crate::model::edit::Edit;
use crate::model::migration::FIRST;
use crate::model::mutation::Kind;
use crate::model::path::Path;

/// The bytes around the document.
const ENVELOPE_BYTES: usize = 128;

/// The insert of a document, JSON without the id, under a version of the app's schema.
///
/// # Errors
/// `wrong-type`, `bad-path`, and those of [`json::parse`].
///
/// ```
/// use tidewire_core::{clock::Hlc, ids::{CollectionName, EntityId}, model::insert::insert};
/// let (deals, id) = (CollectionName::parse("deals")?, EntityId::parse("1")?);
/// let edit = insert(&deals, &id, r#"{"city":"Ulm","a/b":[1]}"#, 1, Hlc(5, 0), false)?;
/// assert_eq!(
///     edit.raw.get(),
///     r#"{"c":"deals","id":"1","kind":"insert","base":0,"set":{"/city":"Ulm","/a~1b":[1]},"at":[5,0]}"#,
/// );
/// # Ok::<(), tidewire_core::error::CoreError>(())
/// ```
pub fn insert(
    collection: &CollectionName,
    id: &EntityId,
    doc: &str,
    schema: u64,
    at: Hlc,
    synced_clock: bool,
) -> Result<Edit, CoreError> {
    if !doc.trim_ascii_start().starts_with('{') {
        return Err(CoreError::new(Code::WrongType, "an entity is an object"));
    }
    let mut out = String::with_capacity(doc.len() + ENVELOPE_BYTES);
    out.push_str("{\"c\":\"");
    // A name has nothing to escape.
    out.push_str(collection.as_str());
    out.push_str("\",\"id\":");
    json::write_string(id.as_str(), &mut out);
    out.push_str(",\"kind\":\"insert\"");
    if schema != FIRST {
        out.push_str(",\"schema\":");
        out.push_str(&json::to_text(&schema));
    }
    out.push_str(",\"base\":0,\"set\":{");
    let empty = out.len();
    json::fields(doc, DEPTH_MAX, &mut |key, text, value| {
        if out.len() > empty {
            out.push(',');
        }
        if is_plain(key) {
            out.push_str("\"/");
            out.push_str(key);
            out.push('"');
        } else {
            let path = path_of(key)?;
            json::write_string(path.as_str(), &mut out);
        }
        if let Some(value @ json::Value::Object(_)) = &value {
            // Each leaf needs a path of its own, within the length of one.
            document::leaves(Some(&path_of(key)?), value)?;
        }
        out.push(':');
        out.push_str(text);
        Ok(())
    })?;
    out.push_str("},\"at\":");
    out.push_str(&json::to_text(&at));
    out.push_str(if synced_clock { ",\"synced_clock\":true}" } else { "}" });
    Ok(Edit::new(Raw::trusted(out), Kind::Insert, collection.clone(), id.clone(), at))
}

/// Appends what an insert sets as the fields of its document, each behind a comma.
pub fn insert_fields(raw: &str, out: &mut String) {
    json::members(raw, &mut |key, set| {
        if key == "set" {
            json::members(set, &mut |path, value| {
                out.push(',');
                match path.strip_prefix('/').filter(|key| !key.contains(['~', '\\'])) {
                    Some(key) => {
                        out.push('"');
                        out.push_str(key);
                        out.push('"');
                    }
                    None => write_key(path, out),
                }
                out.push(':');
                out.push_str(value);
                true
            });
        }
        key != "set"
    });
}

/// Where a field stands in the bytes of an insert: below the path of its top-level field.
pub fn path_in_insert(path: &Path) -> impl Iterator<Item = Cow<'_, str>> {
    [Cow::Borrowed("set"), Cow::Borrowed(path.top())].into_iter().chain(path.segments().skip(1))
}

/// The key of a path that is written with escapes.
fn write_key(path: &str, out: &mut String) {
    let text = json::parse(format!("\"{path}\"").as_bytes(), JsonLimits::MESSAGE);
    let path = text.ok().and_then(|text| Path::read(&text).ok());
    json::write_string(&path.iter().flat_map(Path::segments).next().unwrap_or_default(), out);
}

/// Whether a key is its own path, as JSON too.
fn is_plain(key: &str) -> bool {
    key != "id"
        && key.len() < PATH_BYTES_MAX
        && key.bytes().all(|byte| byte >= b' ' && !matches!(byte, b'"' | b'\\' | b'/' | b'~'))
}

fn path_of(key: &str) -> Result<Path, CoreError> {
    if key == "id" {
        return Err(CoreError::new(Code::BadPath, "the id cannot be edited").at("/id"));
    }
    Path::of_key(key)
}
