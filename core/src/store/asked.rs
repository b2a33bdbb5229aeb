//! The fields that queries look at: they have [`columns`](crate::store::columns) in segments.

use xxhash_rust::xxh64::xxh64;

use crate::ids::CollectionName;
use crate::json;
use crate::json::{Map, Value};
use crate::model::path::Path;
use crate::small::SmallMap;

/// The fields, those asked for first at the beginning, by collection.
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

/// Fields of one collection that have columns, at most: those asked for first.
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
    let mut new: Vec<Path> = fields.iter().filter(is_new).map(|path| (*path).clone()).collect();
    // What has columns keeps them: to write all segments again costs more than a page is worth.
    new.truncate(FIELDS_MAX.saturating_sub(known.len()));
    if new.is_empty() || (known.is_empty() && asked.len() == COLLECTIONS_MAX) {
        return false;
    }
    asked.or_default(collection.clone()).extend(new);
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
    fn the_fields_that_were_asked_for_first_have_columns() {
        let (mut asked, deals) = (Value::Null, CollectionName::parse("deals").unwrap());
        let n = Path::parse("/n").unwrap();
        assert!(ask(&mut asked, &deals, &[&n]) && !ask(&mut asked, &deals, &[&n]));
        let before = stamp(&asked);
        let paths: Vec<Path> = (0..FIELDS_MAX).map(|n| Path::parse(&format!("/f{n}")).unwrap()).collect();
        assert!(ask(&mut asked, &deals, &paths.iter().collect::<Vec<_>>()));
        assert!(!ask(&mut asked, &deals, &paths.iter().rev().collect::<Vec<_>>()), "nothing is pushed out");
        let read = read(&asked);
        let fields = read.get("deals").unwrap();
        assert_eq!((fields.len(), fields.first()), (FIELDS_MAX, Some(&n)));
        assert!(before != stamp(&asked) && stamp(&Value::Null) == 0);
    }
}
