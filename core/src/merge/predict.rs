//! What the client shows of an edit that the server has not decided.

use crate::json::Value;

use crate::ids::Rev;
use crate::merge::entity::unseen_by_delete;
use crate::merge::leaf;
use crate::merge::weave::{Known, Weave};
use crate::model::document;
use crate::model::mutation::{Kind, Mutation};
use crate::model::schema::{CollectionSettings, DeleteConflict};

/// The entity with one pending mutation replayed on it. `rev` is the confirmed document's revision, also where `doc`
/// already has earlier pending mutations in it; `None` is "no entity".
///
/// The client knows no revision by path: a path whose value is neither what the author saw nor what he writes, in an
/// entity that is newer than the mutation's base, is taken for concurrent. One's own edits are shown all the same,
/// except where the server's value wins. A step that does not fit is skipped.
///
/// ```
/// use tidewire_core::json;
/// use tidewire_core::merge::predict;
/// use tidewire_core::model::{mutation::Mutation, schema::CollectionSettings};
/// let edit = Mutation::parse(
///     br#"{"c":"deals","id":"1","kind":"patch","base":1,"set":{"/sum":2},"was":{"/sum":1},"at":[9,0]}"#,
/// )?;
/// let shown = predict(Some(json!({"sum": 1, "city": "Ulm"})), 4, &edit, &CollectionSettings::default());
/// assert_eq!(shown, Some(json!({"sum": 2, "city": "Ulm"})));
/// # Ok::<(), tidewire_core::error::CoreError>(())
/// ```
pub fn predict(doc: Option<Value>, rev: Rev, mutation: &Mutation, settings: &CollectionSettings) -> Option<Value> {
    match (mutation.kind, doc) {
        (Kind::Delete, Some(doc)) if settings.on_delete_conflict == DeleteConflict::UpdateWins => {
            if unseen_by_delete(&doc, None, rev, mutation).is_empty() { None } else { Some(doc) }
        }
        (Kind::Patch, Some(doc)) => {
            let Ok(steps) = leaf::split(mutation) else { return Some(doc) };
            let mut weave = Weave::new(doc, Known::Rev(rev), mutation.base_rev, settings);
            for step in &steps {
                let _does_not_fit = weave.take(step);
            }
            Some(weave.doc)
        }
        (_, doc) => document::replay(doc, mutation),
    }
}
