//! Cursors, and what a pull from one would send. The log of the target is fixed: history `h`, `seq` 9, past the horizon
//! up to 3, the mark of each `seq` is `m` and the number.

use std::convert::Infallible;

use tidewire_core::authority::plan::{Plan, Top};
use tidewire_core::ids::{CollectionName, Group};
use tidewire_core::json::{self, JsonLimits};
use tidewire_core::protocol::message::{Cursor, Scope};

use super::{print, refusal};

pub(super) fn run(input: &[u8]) -> u64 {
    let value = match json::parse(input, JsonLimits::MESSAGE) {
        Ok(value) => value,
        Err(error) => return refusal(&error),
    };
    let cursor = match Cursor::read(&value) {
        Ok(cursor) => cursor,
        Err(error) => return refusal(&error),
    };
    let text = json::to_text(&cursor);
    let again: Cursor = serde_json::from_str(&text).expect("serde reads what was read");
    assert_eq!(again, cursor);
    assert!(cursor.reaches(&cursor), "a cursor reaches itself");
    planned(&cursor)
}

fn planned(cursor: &Cursor) -> u64 {
    let reader = reader();
    let top = Top { seq: 9, mark: "m9".into(), horizon: 3 };
    let mark = |seq: u64| Ok::<_, Infallible>((seq > 0 && seq <= 9).then(|| format!("m{seq}")));
    let Ok(plan) = Plan::new(Some(cursor), reader.clone(), "h", &top, mark);
    assert_eq!(plan.scope, reader, "what is sent is the reader's of today, whatever the cursor says");
    assert_eq!(plan.reset, plan.after.is_none(), "it goes on, or it says that it does not");
    let Some(after) = &plan.after else { return print(&["reset"]) };
    assert_eq!(after, cursor);
    assert!(cursor.history == "h" && cursor.scope.policy == reader.policy && cursor.seq <= top.seq);
    let known = cursor.mark == format!("m{}", cursor.seq) && cursor.seq > top.horizon;
    let anchored = cursor.mark.split_once(':').is_some_and(|(seq, mark)| {
        seq.parse::<u64>().is_ok_and(|seq| mark == format!("m{seq}") && cursor.seq <= seq && seq > top.horizon)
    });
    assert!(known || anchored, "only what the log knows is continued");
    for group in &reader.groups {
        for collection in &reader.collections {
            let (lower, old) = (plan.lower(group, collection.as_str()), &cursor.scope);
            assert!(lower == 0 || lower == cursor.seq);
            let had = old.groups.contains(group) && old.collections.contains(collection);
            assert!(had || lower == 0, "what the cursor did not cover comes from the start");
            assert!(plan.lowest(group) <= lower);
        }
    }
    assert!(plan.forget_groups.iter().all(|group| !reader.groups.contains(group)));
    assert!(plan.forget_collections.iter().all(|name| !reader.collections.contains(name)));
    // A checkpoint whose own mark is gone is good for as long as the point that it relies on is known.
    let anchored = Cursor { seq: 1, mark: plan.anchored_mark(&top), ..cursor.clone() };
    let Ok(next) = Plan::new(Some(&anchored), reader, "h", &top, mark);
    assert!(!next.reset, "an anchored cursor is continued");
    print(&["continued", &plan.forget_groups.len().min(3).to_string(), &plan.forget_collections.len().to_string()])
}

fn reader() -> Scope {
    let group = |text| Group::parse(text).expect("a group");
    let name = |text| CollectionName::parse(text).expect("a name");
    let groups = vec![group("tenant"), group("user:alice")];
    Scope { groups, collections: vec![name("deals"), name("people")], policy: "p1".into() }
}
