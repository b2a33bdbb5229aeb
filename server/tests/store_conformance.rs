//! What every store promises the authority: one suite, run over the store in memory and over SQLite.

use std::fmt::Debug;

use tempfile::TempDir;
use tidewire_core::authority::identity::key_of;
use tidewire_core::authority::memory::{MemoryRows, MemoryStore};
use tidewire_core::authority::relations::{NaturalKey, OnDelete, Reference, Relations};
use tidewire_core::authority::{Rows, Stored, claims};
use tidewire_core::ids::{CollectionName, EntityId, Group, MutationId, Owner, ReplicaId};
use tidewire_core::json;
use tidewire_core::model::path::Path;
use tidewire_core::protocol::message::{HeldReason, Verdict};
use tidewire_server::store::sqlite::{SqliteRows, connect};

trait Fixture {
    type R<'a>: Rows<Error: Debug>
    where
        Self: 'a;
    fn rows<'a>(&'a mut self, owner: &'a Owner, replica: &'a ReplicaId) -> Self::R<'a>;
}

impl Fixture for MemoryStore {
    type R<'a> = MemoryRows<'a>;
    fn rows<'a>(&'a mut self, owner: &'a Owner, replica: &'a ReplicaId) -> MemoryRows<'a> {
        MemoryStore::rows(self, owner, replica)
    }
}

struct Sqlite {
    connection: rusqlite::Connection,
    relations: Relations,
    _directory: TempDir,
}

impl Sqlite {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let (connection, _) = connect(&directory.path().join("t.sqlite")).expect("a database");
        Self { connection, relations: relations(), _directory: directory }
    }
}

impl Fixture for Sqlite {
    type R<'a> = SqliteRows<'a>;
    fn rows<'a>(&'a mut self, owner: &'a Owner, replica: &'a ReplicaId) -> SqliteRows<'a> {
        SqliteRows::new(&self.connection, owner, replica, 1_000).tied(&self.relations)
    }
}

macro_rules! conformance {
    ($($name:ident),* $(,)?) => {
        mod memory { $(#[test] fn $name() { super::$name(&mut super::MemoryStore::default()); })* }
        mod sqlite { $(#[test] fn $name() { super::$name(&mut super::Sqlite::new()); })* }
    };
}

conformance!(
    an_entity_comes_back_as_it_was_put,
    numbers_grow_by_one,
    verdicts_are_kept_by_number,
    verdicts_are_each_users_and_each_replicas_own,
    the_floor_never_sinks,
    a_replica_is_its_users_unless_it_is_twos,
    what_is_taken_back_leaves_no_trace,
    a_nested_failure_takes_back_only_itself,
    authors_are_known_by_seq_unless_it_was_taken_back,
    entities_are_found_by_the_beginning_of_their_ids,
    entities_are_found_by_natural_keys_and_by_what_they_refer_to,
);

/// What stores with an index of it are told.
fn relations() -> Relations {
    let notes = CollectionName::parse("notes").expect("a name");
    let reference =
        Reference { from: notes.clone(), path: path("/by"), to: notes.clone(), on_delete: OnDelete::SetNull };
    Relations { references: vec![reference], keys: [(notes, vec![natural_key()])].into() }
}

fn natural_key() -> NaturalKey {
    NaturalKey { fields: vec![path("/name"), path("/year")], exact: false }
}

fn path(text: &str) -> Path {
    Path::parse(text).expect("a path")
}

fn owner() -> Owner {
    Owner { tenant: "t".into(), subject: "alice".into() }
}

fn replica(name: &str) -> ReplicaId {
    ReplicaId::parse(name).expect("a name")
}

fn key() -> (CollectionName, EntityId) {
    (CollectionName::parse("notes").expect("a name"), EntityId::parse("ä \"1\"").expect("an id"))
}

fn groups(names: &[&str]) -> Vec<Group> {
    names.iter().map(|name| Group::parse(name).expect("a group")).collect()
}

fn stored(rev: u64) -> Stored {
    let paths = json!({"/title": [rev, [[9, 1], "r", [3, 0]]], "/gone": [1, [[1, 0], "q", [1, 2]]]});
    Stored {
        rev,
        at: 77,
        by: replica("r"),
        deleted: false,
        also: None,
        doc: json!({"title": "ü\u{1f30a}\u{0}", "n": [0.1, -5, 1e300], "deep": {"a": {"b": null}}}),
        paths: serde_json::from_str(&paths.to_string()).expect("paths"),
    }
}

fn an_entity_comes_back_as_it_was_put(store: &mut impl Fixture) {
    let (owner, replica, (c, id)) = (owner(), replica("r"), key());
    let mut rows = store.rows(&owner, &replica);
    assert_eq!(rows.entity(&c, &id).expect("read"), None);
    rows.put(&c, &id, &stored(1), &groups(&["tenant"])).expect("put");
    assert_eq!(rows.entity(&c, &id).expect("read"), Some(stored(1)));
    let tombstone = Stored { deleted: true, rev: 2, also: Some(self::replica("s")), ..stored(1) };
    rows.put(&c, &id, &tombstone, &groups(&["user:bob"])).expect("put");
    assert_eq!(rows.entity(&c, &id).expect("read"), Some(tombstone));
    let other = EntityId::parse("other").expect("an id");
    assert_eq!(rows.entity(&c, &other).expect("read"), None);
}

fn numbers_grow_by_one(store: &mut impl Fixture) {
    let (owner, replica) = (owner(), replica("r"));
    let mut rows = store.rows(&owner, &replica);
    assert_eq!(rows.seq().expect("read"), 0);
    assert_eq!((rows.next_seq().expect("next"), rows.next_seq().expect("next")), (1, 2));
    assert_eq!(rows.seq().expect("read"), 2);
}

fn verdicts_are_kept_by_number(store: &mut impl Fixture) {
    let (owner, replica) = (owner(), replica("r"));
    let mut rows = store.rows(&owner, &replica);
    let n = MutationId(1 << 53, u32::MAX);
    assert_eq!(rows.verdict("r", n).expect("read"), None);
    for (digest, verdict) in [
        (Some(u64::MAX), Verdict::Applied { rev: 7 }),
        (None, Verdict::Void),
        (Some(0), Verdict::Held { reason: HeldReason::After }),
    ] {
        rows.put_verdict("r", n, digest, &verdict).expect("put");
        assert_eq!(rows.verdict("r", n).expect("read"), Some((digest, verdict)));
    }
    assert_eq!(rows.verdict("r", MutationId(1 << 53, 0)).expect("read"), None);
}

fn verdicts_are_each_users_and_each_replicas_own(store: &mut impl Fixture) {
    let (alice, r) = (owner(), replica("r"));
    let n = MutationId(1, 0);
    store.rows(&alice, &r).put_verdict("r", n, None, &Verdict::Void).expect("put");
    store.rows(&alice, &r).raise_floor(n).expect("raise");
    let bob = Owner { subject: "bob".into(), ..alice.clone() };
    for (owner, name) in [(&bob, "r"), (&alice, "q"), (&alice, claims("r").as_str())] {
        assert_eq!(store.rows(owner, &r).verdict(name, n).expect("read"), None);
    }
    for (owner, replica) in [(&bob, &r), (&alice, &replica("q"))] {
        let mut rows = store.rows(owner, replica);
        assert_eq!(rows.floor().expect("read"), MutationId::default());
    }
}

fn the_floor_never_sinks(store: &mut impl Fixture) {
    let (owner, replica) = (owner(), replica("r"));
    let mut rows = store.rows(&owner, &replica);
    assert_eq!(rows.floor().expect("read"), MutationId::default());
    for (raised, expected) in [((5, 1), (5, 1)), ((4, 9), (5, 1)), ((5, 0), (5, 1)), ((5, 2), (5, 2)), ((6, 0), (6, 0))]
    {
        rows.raise_floor(MutationId(raised.0, raised.1)).expect("raise");
        assert_eq!(rows.floor().expect("read"), MutationId(expected.0, expected.1));
    }
}

fn a_replica_is_its_users_unless_it_is_twos(store: &mut impl Fixture) {
    let (alice, r) = (owner(), replica("r"));
    let bob = Owner { subject: "bob".into(), ..alice.clone() };
    assert_eq!(store.rows(&alice, &r).user_of(&r).expect("read"), None);
    store.rows(&alice, &r).raise_floor(MutationId::default()).expect("raise");
    store.rows(&bob, &replica("q")).raise_floor(MutationId(1, 0)).expect("raise");
    let mut known = |name: &str| store.rows(&bob, &r).user_of(&replica(name)).expect("read");
    assert_eq!(
        [known("r").as_deref(), known("q").as_deref(), known("s").as_deref()],
        [Some("alice"), Some("bob"), None]
    );
    store.rows(&bob, &r).raise_floor(MutationId::default()).expect("raise");
    assert_eq!(store.rows(&bob, &r).user_of(&r).expect("read"), None);
}

fn what_is_taken_back_leaves_no_trace(store: &mut impl Fixture) {
    let (owner, replica, (c, id)) = (owner(), replica("r"), key());
    let n = MutationId(1, 0);
    let mut rows = store.rows(&owner, &replica);
    rows.put(&c, &id, &stored(1), &groups(&["tenant"])).expect("put");
    let kept = rows.atomically(&mut |rows| {
        rows.next_seq()?;
        rows.put(&c, &id, &Stored { deleted: true, ..stored(9) }, &[])?;
        rows.put_verdict("r", n, Some(1), &Verdict::Void)?;
        rows.raise_floor(n)?;
        Ok(false)
    });
    assert!(!kept.expect("taken back"));
    assert_eq!(rows.seq().expect("read"), 0);
    assert_eq!(rows.entity(&c, &id).expect("read"), Some(stored(1)));
    assert_eq!(rows.verdict("r", n).expect("read"), None);
    assert_eq!(rows.floor().expect("read"), MutationId::default());
    assert!(rows.atomically(&mut |rows| rows.next_seq().map(|_| true)).expect("kept"));
    assert_eq!(rows.seq().expect("read"), 1);
}

fn a_nested_failure_takes_back_only_itself(store: &mut impl Fixture) {
    let (owner, replica) = (owner(), replica("r"));
    let mut rows = store.rows(&owner, &replica);
    let kept = rows.atomically(&mut |rows| {
        rows.next_seq()?;
        let inner = rows.atomically(&mut |rows| rows.next_seq().map(|_| false))?;
        Ok(!inner)
    });
    assert!(kept.expect("kept"));
    assert_eq!(rows.seq().expect("read"), 1);
}

fn authors_are_known_by_seq_unless_it_was_taken_back(store: &mut impl Fixture) {
    let (owner, replica) = (owner(), replica("r"));
    let mut rows = store.rows(&owner, &replica);
    assert_eq!(rows.next_seq().expect("next"), 1);
    assert!(!rows.atomically(&mut |rows| rows.next_seq().map(|_| false)).expect("taken back"));
    assert_eq!(rows.author(1).expect("read").as_deref(), Some("alice"));
    assert_eq!(rows.author(2).expect("read"), None);
}

fn entities_are_found_by_the_beginning_of_their_ids(store: &mut impl Fixture) {
    let (owner, replica) = (owner(), replica("r"));
    let mut rows = store.rows(&owner, &replica);
    let (notes, other) = (CollectionName::parse("notes").expect("a name"), CollectionName::of_conflicts());
    let id = |text: &str| EntityId::parse(text).expect("an id");
    for text in ["a-2", "a-1", "a.", "a", "b-1", "a-\u{10ffff}x", "a-gone"] {
        let row = Stored { deleted: text == "a-gone", ..stored(1) };
        rows.put(&notes, &id(text), &row, &[]).expect("put");
    }
    rows.put(&other, &id("a-9"), &stored(1), &[]).expect("put");
    let found: Vec<_> = rows.beginning_with(&notes, "a-").expect("read");
    let ids: Vec<_> = found.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["a-1", "a-2", "a-\u{10ffff}x"]);
    assert_eq!(found[0].1, stored(1));
    assert_eq!(rows.beginning_with(&notes, "c").expect("read"), vec![]);
}

fn entities_are_found_by_natural_keys_and_by_what_they_refer_to(store: &mut impl Fixture) {
    let (owner, replica) = (owner(), replica("r"));
    let mut rows = store.rows(&owner, &replica);
    let notes = CollectionName::parse("notes").expect("a name");
    let id = |text: &str| EntityId::parse(text).expect("an id");
    let (ada, key) = (json!({"name": " ADA ", "year": 1815, "by": "x"}), natural_key());
    let value = key_of(&key, &json!({"name": "Ada", "year": 1815})).expect("a key");
    let row = |doc: &json::Value, deleted| Stored { doc: doc.clone(), deleted, ..stored(1) };
    let found = |rows: &mut _| {
        let ids = |all: Vec<(EntityId, Stored)>| all.into_iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>();
        let known = ids(Rows::known_by(rows, &notes, &natural_key(), &value).expect("read"));
        (known, ids(Rows::referring(rows, &notes, &path("/by"), &EntityId::parse("x").expect("an id")).expect("read")))
    };
    rows.put(&notes, &id("b"), &row(&ada, false), &[]).expect("put");
    rows.put(&notes, &id("a"), &row(&json!({"name": "Ada", "by": "x"}), false), &[]).expect("put");
    rows.put(&notes, &id("c"), &row(&json!({"name": "Ada", "year": "1815", "by": ["x"]}), false), &[]).expect("put");
    assert_eq!(found(&mut rows), (vec!["b".into()], vec!["a".into(), "b".into()]));
    let kept = rows.atomically(&mut |rows| {
        rows.put(&notes, &id("b"), &row(&json!({"name": "Eva", "year": 1815}), false), &[])?;
        assert_eq!(found(rows), (vec![], vec!["a".into()]));
        Ok(false)
    });
    assert!(!kept.expect("taken back"));
    assert_eq!(found(&mut rows), (vec!["b".into()], vec!["a".into(), "b".into()]));
    rows.put(&notes, &id("b"), &row(&ada, true), &[]).expect("put");
    assert_eq!(found(&mut rows), (vec![], vec!["a".into()]));
    // An alias is found by where it leads, whatever is declared.
    let aliases = notes.aliases();
    rows.put(&aliases, &id("old"), &row(&json!({"to": "a"}), false), &[]).expect("put");
    let leading = rows.referring(&aliases, &path("/to"), &id("a")).expect("read");
    assert_eq!(leading.into_iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>(), ["old"]);
}
