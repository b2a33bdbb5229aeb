//! Two edits of one document that did not know of each other: `[base, anna's, ben's, strategy]`.
//!
//! What each made of the document is sent as the face sends it: the paths that differ, with what stood there before.

use tidewire_core::diff::diff;
use tidewire_core::json;
use tidewire_core::json::{JsonLimits, Value};
use tidewire_core::merge::predict;
use tidewire_core::model::document;
use tidewire_core::model::mutation::Mutation;
use tidewire_core::model::schema::CollectionSettings;
use tidewire_core::protocol::message::Verdict;

use super::{kind, print};
use crate::tenant::{Tenant, settings_of};

/// Strategies under which the order of arrival must not matter.
const COMMUTE: [&str; 4] = ["last-write-wins", "merge", "union", "counter"];

pub(super) fn run(input: &[u8]) -> u64 {
    let Ok(texts) = str::from_utf8(input).map_err(drop).and_then(|text| json::items(text).map_err(drop)) else {
        return 0;
    };
    let document = |at: usize| json::parse(texts.get(at).copied().unwrap_or("{}").as_bytes(), JsonLimits::DOCUMENT);
    let (Ok(base), Ok(annas), Ok(bens)) = (document(0), document(1), document(2)) else { return 1 };
    let strategy = texts.get(3).map_or("", |text| text.trim_matches('"'));
    let settings = settings_of(strategy);
    let (Some(anna), Some(ben)) = (edit(&base, &annas, 100), edit(&base, &bens, 200)) else { return 2 };
    let [forth, back] = [[("anna", &anna), ("ben", &ben)], [("ben", &ben), ("anna", &anna)]].map(|order| {
        let mut tenant = Tenant::with(settings.clone());
        if !tenant.insert("maker", "1", &base) {
            return None;
        }
        let verdicts = order.map(|(who, text)| tenant.one(who, 1, text));
        again(&mut tenant, &order, &verdicts);
        Some((tenant.doc("1"), verdicts))
    });
    let (Some((forth, verdicts)), Some((back, _))) = (forth, back) else { return 3 };
    if COMMUTE.contains(&strategy) {
        assert_eq!(sorted(forth.clone()), sorted(back), "both orders, one document");
    }
    nothing_vanishes(&annas, &base, &forth, &verdicts);
    predicted(&base, [&anna, &ben], &settings);
    let told: Vec<&str> = verdicts.iter().map(kind).collect();
    print(&["merged", strategy, &told.join(","), &forth.is_null().to_string()])
}

/// The patch that makes one document of the other; none where they are equal, or no documents.
fn edit(base: &Value, new: &Value, at: u64) -> Option<String> {
    let changed = diff(base, new).ok().filter(|changed| !changed.is_empty())?;
    let mut was = Vec::new();
    for path in changed.set.keys().chain(&changed.unset) {
        was.extend(document::get(base, path).map(|value| (path.as_str().to_owned(), value.clone())));
    }
    let was: json::Map = was.into_iter().collect();
    let (set, unset) = (json::to_value(&changed.set), json::to_value(&changed.unset));
    let edit = json!({"c": "deals", "id": "1", "kind": "patch", "base": 1, "set": set, "unset": unset, "was": was,
        "at": [at, 0]});
    Some(edit.to_string()).filter(|text| Mutation::parse(text.as_bytes()).is_ok())
}

/// The same number again: the same verdict, and nothing else happens (rule 6).
fn again(tenant: &mut Tenant, order: &[(&str, &String); 2], verdicts: &[Verdict; 2]) {
    let before = tenant.store.clone();
    for ((who, text), verdict) in order.iter().zip(verdicts) {
        assert_eq!(&tenant.one(who, 1, text), verdict, "the verdict is the first one");
    }
    assert_eq!(tenant.store.entities, before.entities, "again is nothing");
    assert_eq!(tenant.store.seq, before.seq);
}

/// A value that Anna wrote first stands, or was replaced by Ben's, who is told, or she is.
fn nothing_vanishes(annas: &Value, base: &Value, forth: &Value, verdicts: &[Verdict; 2]) {
    let Ok(changed) = diff(base, annas) else { return };
    let [Verdict::Applied { .. }, Verdict::Applied { .. }] = verdicts else { return };
    for (path, value) in changed.set.iter().filter(|(_, value)| !matches!(value, Value::Array(_) | Value::Object(_))) {
        let stands = document::get(forth, path);
        let is_sum = matches!(stands, Some(Value::Number(_)));
        assert!(stands == Some(value) || is_sum, "{path}: nobody lost anything, and it is gone");
    }
}

/// What a client shows while its edit is on the way is what the server makes of it.
fn predicted(base: &Value, [anna, ben]: [&String; 2], settings: &CollectionSettings) {
    let mut tenant = Tenant::with(settings.clone());
    tenant.insert("maker", "1", base);
    tenant.one("anna", 1, anna);
    let Some(stored) = tenant.stored("1") else { return };
    let ben_read = Mutation::parse(ben.as_bytes()).expect("checked before");
    let shown = predict(Some(stored.doc.clone()), stored.rev, &ben_read, settings);
    let is_sure = *settings == settings_of("last-write-wins");
    if is_sure && matches!(tenant.one("ben", 1, ben), Verdict::Applied { .. } | Verdict::Merged { .. }) {
        assert_eq!(shown, Some(tenant.doc("1")), "predicted as it comes out");
    }
}

/// Which items there are, whatever their order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(sorted).collect();
            items.sort_by_key(ToString::to_string);
            Value::Array(items)
        }
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), sorted(value.clone()))).collect())
        }
        other => other,
    }
}
