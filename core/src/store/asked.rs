//! The fields that queries look at: they have [`columns`](crate::store::columns) in segments.

use xxhash_rust::xxh64::xxh64;

use crate::ids::CollectionName;
use crate::json;
use crate::json::{Map, Value};
use crate::model::path::Path;
use crate::small::SmallMap;

/// The fields, those asked for last at the end, by collection.
pub type Asked = SmallMap<CollectionName, Vec<Path>>;

/// Reads what a state or a summary has of them; null: there are none. In between they stay as JSON: few look at them.
pub fn read(json: &Value) -> Asked {
    let mut asked = Asked::new();
    for (name, paths) in json.as_object().into_iter().flat_map(Map::iter) {
        if let (Ok(name), Ok(paths)) = (CollectionName::parse(name), json::list(paths, Path::read)) {
            asked.insert(name, paths);
        }
    }
    asked
}

/// Fields of one collection that have columns, at most: those asked for last.
const FIELDS_MAX: usize = 8;
/// Collections that have columns.
const COLLECTIONS_MAX: usize = 64;
/// Bytes of a JSON Pointer.
const PATH_BYTES_MAX: usize = 255;

/// Takes fields in that queries look at; says whether these are other fields now.
pub fn ask(json: &mut Value, collection: &CollectionName, fields: &[&Path]) -> bool {
    let mut asked = read(json);
    let known = asked.get(collection.as_str()).map_or(&[][..], Vec::as_slice);
    let is_new = |path: &&&Path| path.as_str().len() <= PATH_BYTES_MAX && !known.contains(path);
    let new: Vec<Path> = fields.iter().filter(is_new).map(|path| (*path).clone()).collect();
    if new.is_empty() || (known.is_empty() && asked.len() == COLLECTIONS_MAX) {
        return false;
    }
    let list = asked.or_default(collection.clone());
    // Those that somebody asks for now stay.
    list.sort_by_key(|path| fields.contains(&path));
    list.extend(new);
    list.drain(..list.len().saturating_sub(FIELDS_MAX));
    *json = json!(asked);
    true
}

/// Tells one set of fields from another; 0: there are none.
pub fn stamp(json: &Value) -> u64 {
    let mut asked = read(json);
    if asked.is_empty() {
        return 0;
    }
    asked.values_mut().for_each(|fields| fields.sort_unstable());
    xxh64(json::to_text(&asked).as_bytes(), 0).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_that_were_asked_for_last_have_columns() {
        let (mut asked, deals) = (Value::Null, CollectionName::parse("deals").unwrap());
        let n = Path::parse("/n").unwrap();
        assert!(ask(&mut asked, &deals, &[&n]) && !ask(&mut asked, &deals, &[&n]));
        let before = stamp(&asked);
        for n in 0..FIELDS_MAX {
            assert!(ask(&mut asked, &deals, &[&Path::parse(&format!("/f{n}")).unwrap()]));
        }
        let read = read(&asked);
        let fields = read.get("deals").unwrap();
        assert_eq!(fields.len(), FIELDS_MAX);
        assert!(fields.iter().all(|path| path.as_str().starts_with("/f")));
        assert!(before != stamp(&asked) && stamp(&Value::Null) == 0);
    }
}
