//! A push of Mallory's to a tenant in which `a` is everybody's, `b` is Bob's, and `gone` was deleted.

use tidewire_core::authority::memory::MemoryStore;
use tidewire_core::ids::MutationId;
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::limits::{DEPTH_MAX, DOCUMENT_BYTES_MAX};
use tidewire_core::protocol::message::{Push, PushAnswer, Verdict};

use super::{kind, print};
use crate::tenant::{Tenant, settings_of, user};

/// More would only be slower.
const ITEMS_MAX: usize = 64;

pub(super) fn run(input: &[u8]) -> u64 {
    let Ok(mut push) = serde_json::from_slice::<Push>(input) else { return 0 };
    if !is_sent(&push) {
        return 1;
    }
    push.mutations.iter_mut().for_each(|item| item.old = item.old && push.fence % 2 == 1);
    let before = tenant();
    let mut tenant = before.clone();
    let answer = tenant.push(&user("mallory"), &push);
    if let Some(forked) = &answer.forked {
        assert_eq!(forked.len(), push.mutations.len());
        assert!(answer.verdicts.is_empty());
        assert_eq!(tenant.store, before.store, "of a fork nothing is applied");
        return print(&["forked", &forked.len().min(9).to_string()]);
    }
    answered(&push, &answer);
    let mut numbers: Vec<MutationId> = push.mutations.iter().map(|item| item.n).collect();
    numbers.sort_unstable();
    if !numbers.windows(2).all(|pair| pair[0] < pair[1]) {
        // No device names two items of a push alike: with which words it is refused depends on what was decided before.
        sound(&before.store, &tenant.store);
        return 2;
    }
    sound(&before.store, &tenant.store);
    again(&mut tenant, &push, &answer);
    if push.mutations.iter().all(|item| item.tx.is_none()) {
        neighbours(&before, &tenant, &push, &answer);
    }
    let mut kinds: Vec<&str> = answer.verdicts.iter().map(|item| kind(&item.verdict)).collect();
    kinds.dedup();
    kinds.truncate(6);
    print(&kinds)
}

/// What the server checks before it asks the authority; and larger numbers no JSON of ours writes.
pub(super) fn is_sent(push: &Push) -> bool {
    let in_range = |n: MutationId| n.0 <= 1 << 53;
    let numbers = [push.now, push.fence].into_iter().chain(push.sent_at);
    push.mutations.len() <= ITEMS_MAX
        && in_range(push.floor)
        && push.mutations.iter().all(|item| in_range(item.n))
        && numbers.max().is_none_or(|number| number <= 1 << 53)
}

fn tenant() -> Tenant {
    let mut tenant = Tenant::with(settings_of("manual"));
    tenant.insert("anna", "a", &json!({"f": 1, "list": [{"id": "x"}], "o": {"k": "v"}, "title": "all"}));
    tenant.insert("bob", "b", &json!({"owner": "bob", "secret": "CANARY"}));
    tenant.insert("anna", "gone", &json!({"f": 1}));
    tenant.one("anna", 9, r#"{"c":"deals","id":"gone","kind":"delete","base":3,"at":[11,0]}"#);
    tenant.one(
        "anna",
        10,
        r#"{"c":"deals","id":"a","kind":"patch","base":1,"set":{"/f":2},"was":{"/f":1},"at":[12,0]}"#,
    );
    tenant
}

pub(super) fn answered(push: &Push, answer: &PushAnswer) {
    assert_eq!(answer.verdicts.len(), push.mutations.len(), "one verdict each");
    for (item, told) in push.mutations.iter().zip(&answer.verdicts) {
        assert_eq!(item.n, told.n, "in the order of the push");
        if let Verdict::Rejected { code, message, .. } = &told.verdict {
            assert!(!message.is_empty(), "{code:?} says what to do");
        }
    }
    assert!(!json::to_text(answer).contains("CANARY"), "nothing of Bob's is told");
}

/// Whatever was pushed, the store is one: no row is over the limits, and Bob's is his.
fn sound(before: &MemoryStore, after: &MemoryStore) {
    assert!(after.seq >= before.seq);
    for ((collection, id), row) in &after.entities {
        assert!(row.stored.rev <= after.seq, "no revision is of tomorrow");
        assert!(json::check(&row.stored.doc, DEPTH_MAX).is_ok(), "a document that the door lets in");
        assert!(json::write(&row.stored.doc).len() <= DOCUMENT_BYTES_MAX, "no larger than a document");
        let is_written = before.entities.get(&(collection.clone(), id.clone())) != Some(row);
        assert!(!is_written || row.stored.doc.get("secret") != Some(&Value::from("CANARY")), "Bob's was changed");
    }
    for (key, row) in before.entities.iter().filter(|(_, row)| row.stored.doc.get("owner").is_some()) {
        assert_eq!(after.entities.get(key), Some(row), "what is Bob's is as it was");
    }
}

/// The same push again: each has the verdict that it had, and nothing else happens (rule 6). What is held is tried
/// again, and finds what came after it.
fn again(tenant: &mut Tenant, push: &Push, first: &PushAnswer) {
    if first.verdicts.iter().any(|item| matches!(item.verdict, Verdict::Held { .. })) {
        return;
    }
    let before = tenant.store.clone();
    let second = tenant.push(&user("mallory"), push);
    assert!(second.forked.is_none(), "no other content");
    for (one, other) in first.verdicts.iter().zip(&second.verdicts) {
        assert_eq!((one.n, &one.verdict), (other.n, &other.verdict), "the verdict is the first one");
    }
    assert_eq!(tenant.store.entities, before.entities, "again is nothing");
    assert_eq!(tenant.store.verdicts, before.verdicts);
}

/// Without those who were refused, the others come to the same.
fn neighbours(before: &Tenant, after: &Tenant, push: &Push, answer: &PushAnswer) {
    let is_refused = |verdict: &Verdict| matches!(verdict, Verdict::Rejected { .. });
    let mut fewer: Push = serde_json::from_str(&json::to_text(push)).expect("written and read");
    let mut verdicts = answer.verdicts.iter();
    fewer.mutations.retain(|_| verdicts.next().is_some_and(|item| !is_refused(&item.verdict)));
    let mut other = before.clone();
    let without = other.push(&user("mallory"), &fewer);
    let kept: Vec<&Verdict> =
        answer.verdicts.iter().map(|item| &item.verdict).filter(|verdict| !is_refused(verdict)).collect();
    let told: Vec<&Verdict> = without.verdicts.iter().map(|item| &item.verdict).collect();
    assert_eq!(told, kept, "who was refused was refused alone");
    assert_eq!(other.store.entities, after.store.entities, "the same data");
}
