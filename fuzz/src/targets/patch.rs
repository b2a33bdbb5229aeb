//! Edits and documents: `[old, new, edit]`.

use tidewire_core::diff::diff;
use tidewire_core::error::Code;
use tidewire_core::json::{self, JsonLimits, Raw, Value};
use tidewire_core::limits::DEPTH_MAX;
use tidewire_core::merge::predict;
use tidewire_core::model::document;
use tidewire_core::model::edit::Edit;
use tidewire_core::model::mutation::{Kind, Mutation};
use tidewire_core::model::path::Path;
use tidewire_core::model::schema::CollectionSettings;

use super::{print, refusal};

pub(super) fn run(input: &[u8]) -> u64 {
    let Ok(texts) = str::from_utf8(input).map_err(drop).and_then(|text| json::items(text).map_err(drop)) else {
        return 0;
    };
    let document = |at: usize| json::parse(texts.get(at).copied().unwrap_or("{}").as_bytes(), JsonLimits::DOCUMENT);
    let (Ok(old), Ok(new)) = (document(0), document(1)) else { return 1 };
    let differ = differs(&old, &new);
    let edited = edit(&old, texts.get(2).copied().unwrap_or("{}"));
    differ ^ edited.rotate_left(1)
}

/// Apply after diff is the identity, and nothing is said that need not be.
fn differs(old: &Value, new: &Value) -> u64 {
    let changed = match diff(old, new) {
        Ok(changed) => changed,
        Err(error) => {
            let known = [Code::WrongType, Code::BadPath, Code::ForbiddenKey, Code::TooDeep];
            assert!(known.contains(&error.code), "{error}");
            return refusal(&error);
        }
    };
    let mut doc = old.clone();
    changed.apply(&mut doc).expect("it is the document that was compared");
    assert_eq!(&doc, new, "apply after diff");
    assert_eq!(changed.is_empty(), old == new, "nothing changed is nothing said");
    let mut paths: Vec<&Path> = changed.set.keys().chain(&changed.unset).collect();
    paths.sort_unstable();
    for (at, path) in paths.iter().enumerate() {
        assert!(paths[at + 1..].iter().all(|other| !path.overlaps(other)), "no path lies in another");
        assert_ne!(document::get(old, path), document::get(new, path), "each path differs");
    }
    print(&["diff", &changed.set.len().min(4).to_string(), &changed.unset.len().min(4).to_string()])
}

fn edit(old: &Value, text: &str) -> u64 {
    let mutation = match Mutation::parse(text.as_bytes()) {
        Ok(mutation) => mutation,
        Err(error) => return refusal(&error),
    };
    // Who reads only an edit's head reads the same there.
    let read = Raw::parse(text).and_then(Edit::read);
    if let Ok(edit) = &read {
        assert!(edit.is_as_read(), "both readers agree");
        assert_eq!(edit.target(), mutation.target());
    }
    let written = Edit::of(mutation.clone());
    assert_eq!(*written.whole().expect("what is written is read"), mutation, "written and read");
    let doc = (mutation.kind != Kind::Insert).then(|| old.clone());
    let Value::Object(_) = old else { return 2 };
    let shown = document::replay(doc.clone(), &mutation);
    let guess = predict(doc.clone(), mutation.base_rev, &mutation, &CollectionSettings::default());
    match document::apply(doc, &mutation) {
        Ok(after) => {
            assert_eq!(shown, after, "shown as it is applied");
            // What stood there and is not in `was` is somebody else's.
            let knew = mutation.paths().all(|path| mutation.was.get(path) == document::get(old, path));
            if knew || mutation.kind != Kind::Patch {
                assert_eq!(guess, after, "predicted as it is applied, where nobody else wrote");
            }
            let deep = after.as_ref().is_some_and(|after| json::check(after, DEPTH_MAX).is_err());
            assert!(!deep, "no deeper than a document");
            if let Some(after) = &after {
                values_stand(after, &mutation);
            }
            print(&["applied", &format!("{:?}", mutation.kind), &mutation.set.len().min(4).to_string()])
        }
        Err(error) => {
            assert!(matches!(error.code, Code::WrongType | Code::Exists | Code::NotFound), "{error}");
            refusal(&error)
        }
    }
}

fn values_stand(after: &Value, mutation: &Mutation) {
    for (path, value) in mutation.set.iter() {
        assert_eq!(document::get(after, path), Some(value), "what was set stands");
    }
    for path in &mutation.unset {
        assert_eq!(document::get(after, path), None, "what was removed is gone");
    }
}
