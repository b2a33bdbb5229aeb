//! Any references between any collections, any edits, alone and in transactions: after each of them every reference
//! leads to a live entity or is null, whatever follows from a deletion has its seq, and nobody loses a value unheard.

use crate::common;

use common::tied::{Tied, change, drop, make};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tidewire_core::authority::memory::DeclaredPolicy;
use tidewire_core::authority::relations::OnDelete;
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::protocol::message::Verdict;

const USERS: [&str; 3] = ["ann", "ben", "cid"];
const COLLECTIONS: [&str; 3] = ["a", "b", "c"];
const IDS: usize = 4;

#[derive(Debug, Clone)]
struct Tie {
    from: usize,
    field: usize,
    to: usize,
    on_delete: u8,
}

#[derive(Debug, Clone)]
struct Edit {
    c: usize,
    id: usize,
    /// What it refers to: by field, an id or nothing.
    refers: Vec<Option<usize>>,
    /// Deletes it, if it is there and this is 0.
    deletes: u8,
    /// How far back the author's view is.
    behind: u64,
}

#[derive(Debug, Clone)]
struct Push {
    who: usize,
    atomic: bool,
    edits: Vec<Edit>,
}

fn cases() -> impl Strategy<Value = (Vec<Tie>, Vec<Push>)> {
    let tie = (0..3_usize, 0..2_usize, 0..3_usize, 0..3_u8).prop_map(|(from, field, to, on_delete)| Tie {
        from,
        field,
        to,
        on_delete,
    });
    let edit = (0..3_usize, 0..IDS, prop::collection::vec(prop::option::weighted(0.7, 0..IDS), 2), 0..3_u8, 0..4_u64)
        .prop_map(|(c, id, refers, deletes, behind)| Edit { c, id, refers, deletes, behind });
    let push = (0..3_usize, any::<bool>(), prop::collection::vec(edit, 1..4)).prop_map(|(who, atomic, edits)| Push {
        who,
        atomic,
        edits,
    });
    (prop::collection::vec(tie, 1..5), prop::collection::vec(push, 1..40))
}

/// The ties as they are declared: a field refers to one collection.
fn declared(ties: &[Tie]) -> Vec<(&'static str, String, &'static str, OnDelete)> {
    let mut out: Vec<(&str, String, &str, OnDelete)> = Vec::new();
    for tie in ties {
        let (from, field) = (COLLECTIONS[tie.from], format!("r{}", tie.field));
        let on_delete = [OnDelete::Cascade, OnDelete::Restrict, OnDelete::SetNull][usize::from(tie.on_delete)];
        if !out.iter().any(|(known, of, ..)| *known == from && *of == field) {
            out.push((from, field, COLLECTIONS[tie.to], on_delete));
        }
    }
    out
}

fn edit_of(tied: &Tied, at: usize, edit: &Edit) -> Value {
    let (c, id) = (COLLECTIONS[edit.c], format!("i{}", edit.id));
    let mut doc = json!({"text": format!("t{at}")});
    for (field, refers) in edit.refers.iter().enumerate() {
        doc[format!("r{field}").as_str()] = refers.map_or(Value::Null, |id| format!("i{id}").into());
    }
    let seen = tied.server.store.seq.saturating_sub(edit.behind);
    match tied.doc(c, &id) {
        None => {
            let mut insert = make(c, &id, doc);
            insert["base"] = seen.into();
            insert["at"] = json!([at, 0]);
            insert
        }
        Some(_) if edit.deletes == 0 => {
            let mut gone = drop(c, &id, seen);
            gone["seen"] = seen.into();
            gone
        }
        Some(before) => {
            let all: Vec<(String, Value, Value)> = doc
                .as_object()
                .unwrap()
                .iter()
                .map(|(key, value)| (format!("/{key}"), before.get(key).cloned().unwrap_or_default(), value.clone()))
                .collect();
            let all: Vec<_> =
                all.iter().map(|(path, was, value)| (path.as_str(), was.clone(), value.clone())).collect();
            change(c, &id, tied.server.store.seq, &all)
        }
    }
}

/// Every reference leads somewhere.
fn check(tied: &Tied, ties: &[(&str, String, &str, OnDelete)]) -> Result<(), TestCaseError> {
    for ((c, id), row) in tied.server.store.entities.iter().filter(|(_, row)| !row.stored.deleted) {
        for (_, field, to, _) in ties.iter().filter(|(from, ..)| *from == c.as_str()) {
            if let Some(parent) = row.stored.doc.get(field).and_then(Value::as_str) {
                prop_assert!(tied.doc(to, parent).is_some(), "{c}/{id} refers by {field} to {to}/{parent}");
            }
        }
    }
    Ok(())
}

fn law((ties, pushes): (Vec<Tie>, Vec<Push>)) -> Result<(), TestCaseError> {
    let ties = declared(&ties);
    let mut policy = DeclaredPolicy::default();
    for c in COLLECTIONS {
        policy = policy.collection(c, &["tenant"]).unwrap();
    }
    for (from, field, to, on_delete) in &ties {
        policy = policy.refers(from, field, to, *on_delete).unwrap();
    }
    let mut tied = Tied::new(policy);
    for (at, push) in (1..).zip(&pushes) {
        let mut edits: Vec<Value> = Vec::new();
        for edit in &push.edits {
            edits.push(edit_of(&tied, at, edit));
        }
        let before = tied.server.store.clone();
        let who = USERS[push.who];
        let verdicts = if push.atomic { tied.together(who, &edits) } else { tied.push(who, &edits[..1]) };
        check(&tied, &ties)?;
        let after = &tied.server.store;
        prop_assert!(after.seq <= before.seq + 1, "one seq: {verdicts:?}");
        let no_effect = |verdict: &Verdict| matches!(verdict, Verdict::Rejected { .. } | Verdict::Held { .. });
        if verdicts.iter().any(no_effect) {
            prop_assert_eq!(&after.entities, &before.entities, "{:?}", verdicts);
        }
        // What somebody else wrote, and the author had not seen, is told where it goes with a deletion.
        for ((c, id), row) in before.entities.iter().filter(|((c, _), row)| !c.is_conflicts() && !row.stored.deleted) {
            let now = &after.entities[&(c.clone(), id.clone())].stored;
            prop_assert!(now.rev == row.stored.rev || now.rev == after.seq, "{c}/{id}");
            let seen = edits[0].get("seen").and_then(Value::as_u64);
            let is_named = edits.iter().any(|edit| edit["c"] == c.as_str() && edit["id"] == id.as_str());
            let (Some(seen), true, false) = (seen, now.deleted && !push.atomic, is_named) else { continue };
            let text = row.stored.doc.get("text").cloned();
            let written = row.stored.paths.iter().find(|(path, _)| path.as_str() == "/text").unwrap().1;
            if written.0 > seen && written.1.1.as_str() != who {
                let told = tied.losses(written.1.1.as_str());
                let is_told =
                    told.iter().any(|(of, path, yours)| of == id.as_str() && path == "/text" && *yours == text);
                prop_assert!(is_told, "{c}/{id}: {told:?}");
            }
        }
    }
    Ok(())
}

fn run(cases_: u32, max_shrink_iters: u32) -> Result<(), String> {
    let config = Config { cases: cases_, failure_persistence: None, max_shrink_iters, ..Config::default() };
    TestRunner::new(config).run(&cases(), law).map_err(|error| error.to_string())
}

#[test]
fn every_reference_leads_to_a_live_entity() {
    run(200, 2_000).unwrap();
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    common::planted::each_is_found(
        &[
            "ParentNotAwaited",
            "GoneParentTaken",
            "CascadeOneDeep",
            "RestrictIgnored",
            "DanglingLeft",
            "CascadeUntold",
            "CascadeApart",
        ],
        || run(3_000, 0),
    );
}
