//! The algebra of the strategies that make one value of two, on random edits of one document.

use crate::common;

use std::collections::BTreeMap;

use common::{Server, insert, patch};
use proptest::prelude::*;
use tidewire_core::json;
use tidewire_core::json::Value;
use tidewire_core::merge::predict;
use tidewire_core::model::mutation::Mutation;
use tidewire_core::model::path::Path;
use tidewire_core::model::schema::{CollectionSettings, FieldStrategy};
use tidewire_core::protocol::message::Verdict;

fn settings() -> CollectionSettings {
    let fields = [("/set", FieldStrategy::Union), ("/list", FieldStrategy::Merge), ("/count", FieldStrategy::Counter)];
    let fields = fields.into_iter().map(|(path, strategy)| (Path::parse(path).unwrap(), strategy)).collect();
    CollectionSettings { fields, ..CollectionSettings::default() }
}

/// What one author wrote over the base document.
#[derive(Debug, Clone)]
struct Draft {
    set: Vec<u8>,
    /// By id: the item's two fields.
    list: BTreeMap<u8, (u8, u8)>,
    count: i32,
}

fn base() -> Value {
    doc(&Draft { set: vec![0, 1, 2], list: (0..3).map(|id| (id, (0, 0))).collect(), count: 3 })
}

fn doc(draft: &Draft) -> Value {
    let item = |(id, (x, y)): (&u8, &(u8, u8))| json!({"id": format!("i{id}"), "x": *x, "y": *y});
    let list: Vec<Value> = draft.list.iter().map(item).collect();
    json!({"set": draft.set.clone(), "list": list, "count": draft.count})
}

/// Author `k` writes only what no other writes: his own items, and field `x` or `y` of one that all have.
fn apart(k: u8, (mut set, removed, value, added): (Vec<u8>, bool, u8, bool), count: i32) -> Draft {
    set.sort_unstable();
    set.dedup();
    let mut list: BTreeMap<u8, (u8, u8)> = (0..3).map(|id| (id, (0, 0))).collect();
    match (k, removed) {
        (0, _) => list.insert(0, (value, 0)),
        (1, _) => list.insert(0, (0, value)),
        (_, true) => list.remove(&k.saturating_sub(1)),
        (_, false) => list.insert(k - 1, (value, value)),
    };
    if added {
        list.insert(10 + k, (value, value));
    }
    Draft { set, list, count }
}

fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    let one = || (prop::collection::vec(0..6_u8, 0..5), any::<bool>(), 0..5_u8, any::<bool>());
    let four = (one(), one(), one(), prop::collection::vec(-9..9_i32, 3));
    four.prop_map(|(a, b, c, count)| vec![apart(0, a, count[0]), apart(1, b, count[1]), apart(2, c, count[2])])
}

/// Drafts that may clash.
fn rivals() -> impl Strategy<Value = Vec<Draft>> {
    let list = || prop::collection::btree_map(0..4_u8, (0..3_u8, 0..3_u8), 0..4);
    let one = move || (prop::collection::btree_set(0..6_u8, 0..5), list(), -9..9_i32);
    let draft = move || one().prop_map(|(set, list, count)| Draft { set: set.into_iter().collect(), list, count });
    prop::collection::vec(draft(), 2)
}

/// The fields that differ, as the face writes them.
fn edit(draft: &Draft, at: u64) -> String {
    let (was, new) = (base(), doc(draft));
    let mut edit = patch("1", 1).at(at);
    for key in ["set", "list", "count"] {
        if was[key] == new[key] {
            continue;
        }
        let path = format!("/{key}");
        edit = edit.set(&path, new[key].clone()).was(&path, was[key].clone());
    }
    edit.text()
}

fn server() -> Server {
    let mut server = Server::with(settings());
    server.one("maker", 1, insert("1", base()));
    server
}

/// Which items there are, whatever their order.
fn sorted(mut doc: Value) -> Value {
    for key in ["set", "list"] {
        let mut items = doc[key].as_array().unwrap().clone();
        items.sort_by_key(ToString::to_string);
        doc[key] = Value::from(items);
    }
    doc
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_does_not_clash_merges_in_any_order(drafts in drafts()) {
        let mut outcomes = Vec::new();
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut server = server();
            for author in order {
                let verdict = server.one(&format!("a{author}"), 1, edit(&drafts[author], 100 + author as u64));
                let applied = matches!(verdict, Verdict::Applied { .. });
                prop_assert!(applied, "{:?}: nobody lost anything", verdict);
            }
            outcomes.push(sorted(server.doc("1")));
        }
        for outcome in &outcomes {
            prop_assert_eq!(outcome, &outcomes[0]);
        }
        let total: i32 = drafts.iter().map(|draft| draft.count - 3).sum();
        prop_assert_eq!(&outcomes[0]["count"], &json!(3 + total));
    }

    #[test]
    fn two_edits_that_clash_come_out_the_same_in_both_orders(drafts in rivals(), later in any::<bool>()) {
        let edits = [edit(&drafts[0], 100), edit(&drafts[1], if later { 200 } else { 50 })];
        let outcome = |order: [usize; 2]| {
            let mut server = server();
            for author in order {
                server.one(&format!("a{author}"), 1, edits[author].clone());
            }
            sorted(server.doc("1"))
        };
        prop_assert_eq!(outcome([0, 1]), outcome([1, 0]));
    }

    #[test]
    fn the_client_shows_what_the_server_will_make_of_a_later_edit(drafts in rivals()) {
        let mut server = server();
        server.one("anna", 1, edit(&drafts[0], 100));
        let his = edit(&drafts[1], 200);
        let confirmed = server.stored("1").unwrap().clone();
        let mutation = Mutation::parse(his.as_bytes()).unwrap();
        let shown = predict(Some(confirmed.doc), confirmed.rev, &mutation, &settings());
        server.one("ben", 1, his);
        prop_assert_eq!(shown, Some(server.doc("1")));
    }

    #[test]
    fn merging_again_changes_no_set_and_no_list(drafts in rivals(), later in any::<bool>()) {
        let mut server = server();
        let his = edit(&drafts[1], if later { 200 } else { 50 });
        server.one("anna", 1, edit(&drafts[0], 100));
        server.one("ben", 1, his.clone());
        let once = server.doc("1");
        // As after a restored backup that has lost the verdicts. A counter needs them: it counts what it is told.
        server.store.verdicts.clear();
        server.one("ben", 1, his);
        prop_assert_eq!((&server.doc("1")["set"], &server.doc("1")["list"]), (&once["set"], &once["list"]));
    }

    #[test]
    fn two_edits_of_a_text_come_out_the_same_in_both_orders_and_no_word_is_lost_silently(
        was in "([a-c]{1,2}[ .]){1,6}", hers in "([a-d]{1,2}[ .]){0,6}", his in "([a-d]{1,2}[ .]){0,6}"
    ) {
        let outcome = |order: [usize; 2]| {
            let mut settings = settings();
            settings.fields.insert(Path::parse("/text").unwrap(), FieldStrategy::Text);
            let mut server = Server::with(settings);
            server.one("maker", 1, insert("1", json!({"text": was.clone()})));
            let edit = |text: &str, at| patch("1", 1).set("/text", text).was("/text", was.clone()).at(at).text();
            let edits = [edit(&hers, 100), edit(&his, 200)];
            let verdicts = order.map(|author| server.one(&format!("a{author}"), 1, edits[author].clone()));
            let applied = verdicts.iter().all(|verdict| matches!(verdict, Verdict::Applied { .. }));
            (server.doc("1")["text"].as_str().unwrap().to_owned(), applied)
        };
        // A text that stays as it was is no edit.
        prop_assume!(hers != was && his != was);
        let (text, applied) = outcome([0, 1]);
        prop_assert_eq!(&(text.clone(), applied), &outcome([1, 0]));
        let count = |text: &str, letter| text.chars().filter(|char| *char == letter).count();
        // `d` is in no base: what either wrote is there, or somebody was told.
        prop_assert!(!applied || count(&text, 'd') >= count(&hers, 'd').max(count(&his, 'd')));
    }
}
