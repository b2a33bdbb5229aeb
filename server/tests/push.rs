//! `POST push`: exactly once, in order, each for itself.

mod common;

use axum::http::StatusCode;
use common::{Server, delete, draft, insert, note, patch, push_body, rev};
use serde_json::{Value, json};
use tidewire_core::limits::HORIZON_MS;

#[tokio::test]
async fn rule_06_a_resent_push_gets_the_same_verdicts_and_applies_nothing_twice() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let add = |n: u64| {
        let (inc, was) = (json!({"/amount": n}), json!({"/amount": 0}));
        json!({"c": "notes", "id": "a", "kind": "patch", "base": 1, "inc": inc, "was": was, "at": [common::now(), 0]})
    };
    let edits = [
        insert("notes", "a", json!({"title": "a", "amount": 0})),
        add(5),
        add(7),
        patch("notes", "a", 1, "/title", json!("a"), Value::Null),
    ];
    let first = server.push(&alice, "r", 1, &edits).await;
    assert_eq!(first[3]["code"], "invalid");
    let again = server.push(&alice, "r", 1, &edits).await;
    for (first, again) in first.iter().zip(&again) {
        assert_eq!(again["duplicate"], true);
        let mut again = again.clone();
        again.as_object_mut().expect("an object").remove("duplicate");
        assert_eq!(*first, again);
    }
    let stored = server.get(&alice, "/api/sync/entities/notes/a").await.json();
    assert_eq!(stored["doc"]["amount"], 12);
}

#[tokio::test]
async fn rule_06_the_floor_and_its_verdicts_outlive_a_restart_and_a_prune() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let edits = [note("a"), note("b")];
    let first = server.push(&alice, "r", 1, &edits).await;
    let mut body = push_body("r", 3, &[note("c")]);
    body["floor"] = json!([2, 0]);
    assert_eq!(server.post(&alice, "/api/sync/push", body.to_string()).await.status, StatusCode::OK);
    let server = server.restart(common::TOML).await;
    let again = server.push(&alice, "r", 1, &edits).await;
    assert_eq!((&again[0]["rev"], &again[0]["duplicate"]), (&first[0]["rev"], &json!(true)));
    // After the horizon only what is at or above the floor is known.
    server.state.store.prune(common::now() + HORIZON_MS + 1_000).await.expect("pruned");
    let last = server.push(&alice, "r", 2, &edits[1..]).await;
    assert_eq!(last[0]["duplicate"], true, "{last:?}");
}

#[tokio::test]
async fn rule_14_when_a_removed_field_changed_is_known_until_the_horizon() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let unset = |base: u64, path: &str| {
        let (was, at) = (json!({path: 1}), json!([common::now(), 0]));
        json!({"c": "notes", "id": "a", "kind": "patch", "base": base, "unset": [path], "was": was, "at": at})
    };
    let made = insert("notes", "a", json!({"title": "a", "kept": 1, "old": 1, "young": 1}));
    server.push(&alice, "r", 1, &[made, unset(1, "/old"), note("b")]).await;
    server.state.store.prune(common::now() + HORIZON_MS + 1_000).await.expect("pruned");
    let retitled = patch("notes", "a", 2, "/title", json!("a"), json!("b"));
    server.push(&alice, "r", 4, &[unset(2, "/young"), retitled]).await;
    let file = rusqlite::Connection::open(server.directory.path().join("tidewire.sqlite")).expect("the database");
    let paths = file.query_row("SELECT paths FROM entities WHERE id = 'a'", [], |row| row.get::<_, String>(0));
    let paths: Value = serde_json::from_str(&paths.expect("a row")).expect("JSON");
    let paths: Vec<&String> = paths.as_object().expect("an object").keys().collect();
    assert_eq!(paths, ["/kept", "/title", "/young"]);
}

#[tokio::test]
async fn rule_08_other_content_under_a_number_is_forked_and_nothing_is_applied() {
    let server = Server::start().await;
    let alice = server.token("alice");
    server.push(&alice, "r", 1, &[note("a")]).await;
    let body = push_body("r", 1, &[note("b"), note("c")]).to_string();
    let answer = server.post(&alice, "/api/sync/push", body).await.json();
    assert_eq!(answer["forked"][0]["differs"], true);
    assert_eq!(server.get(&alice, "/api/sync/entities/notes/c").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn rule_09_another_users_token_on_a_store_is_wrong_user() {
    let server = Server::start().await;
    let bob = server.token("bob");
    let owner = json!({"tenant": "demo", "subject": "alice"});
    let mut push = push_body("r", 1, &[note("a")]);
    push["as"] = owner.clone();
    let refused = server.post(&bob, "/api/sync/push", push.to_string()).await;
    assert_eq!(refused.refused(), (403, "wrong-user".into()));
    let mut pull = common::pull_body(None, &["notes"]);
    pull["as"] = owner;
    assert_eq!(server.post(&bob, "/api/sync/pull", pull.to_string()).await.refused(), (403, "wrong-user".into()));
    let other_tenant = server.token_of("alice", "other");
    assert_eq!(server.post(&other_tenant, "/api/sync/push", push.to_string()).await.refused().0, 403);
    assert_eq!(server.post(&server.token("alice"), "/api/sync/push", push.to_string()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn rule_09_knowing_a_replica_id_gives_nobody_anything() {
    let server = Server::start().await;
    let first = server.push(&server.token("alice"), "r", 1, &[note("a")]).await;
    assert_eq!(first[0]["verdict"], "applied");
    // The same number of the same replica by another user is another number.
    let bobs = server.push(&server.token("bob"), "r", 1, &[note("b")]).await;
    assert_eq!((&bobs[0]["verdict"], bobs[0].get("duplicate")), (&json!("applied"), None));
    let elsewhere = server.push(&server.token_of("alice", "other"), "r", 1, &[note("c")]).await;
    assert_eq!(rev(&elsewhere[0]), 1, "another tenant has its own numbers");
}

#[tokio::test]
async fn one_invalid_among_a_hundred_is_rejected_with_its_path_alone() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let mut edits: Vec<Value> = (0..100).map(|i| note(&format!("n{i}"))).collect();
    edits[50] = insert("notes", "n50", json!({"amount": 1}));
    let verdicts = server.push(&alice, "r", 1, &edits).await;
    let (applied, others): (Vec<_>, Vec<_>) = verdicts.iter().partition(|verdict| verdict["verdict"] == "applied");
    assert_eq!((applied.len(), others.len()), (99, 1));
    assert_eq!(
        (&others[0]["verdict"], &others[0]["code"], &others[0]["path"]),
        (&json!("rejected"), &json!("invalid"), &json!("/title"))
    );
}

#[tokio::test]
async fn whoever_may_not_read_an_entity_is_told_nothing_but_that() {
    let server = Server::start().await;
    let (alice, bob) = (server.token("alice"), server.token("bob"));
    server.push(&alice, "ra", 1, &[draft("there", "alice"), draft("gone", "alice"), delete("drafts", "gone", 2)]).await;
    let mut same = draft("there", "alice");
    same["set"] = json!({"/ownerId": "alice"});
    let counted =
        json!({"c": "drafts", "id": "there", "kind": "patch", "base": 0, "inc": {"/ownerId": 1}, "at": [1, 0]});
    let mut stale = patch("drafts", "there", 0, "/f", Value::Null, json!(1));
    stale["if_rev"] = json!(9);
    let mut late = draft("gone", "bob");
    late["at"] = json!([1, 0]);
    let edits = [
        draft("there", "bob"),
        same,
        counted,
        stale,
        late,
        patch("drafts", "gone", 0, "/f", Value::Null, json!(1)),
        delete("drafts", "gone", 0),
    ];
    for (n, edit) in (1..).zip(&edits) {
        let verdict = &server.push(&bob, "rb", n, std::slice::from_ref(edit)).await[0];
        assert_eq!(verdict["code"], "forbidden", "{edit} got {verdict}");
    }
}

#[tokio::test]
async fn unknown_collections_and_other_peoples_entities_are_refused() {
    let server = Server::start().await;
    let (alice, bob) = (server.token("alice"), server.token("bob"));
    let made = server.push(&alice, "ra", 1, &[draft("d", "alice")]).await;
    let theft = [
        patch("drafts", "d", rev(&made[0]), "/ownerId", json!("alice"), json!("bob")),
        delete("drafts", "d", rev(&made[0])),
        insert("drafts", "d", json!({"ownerId": "bob"})),
        insert("nowhere", "x", json!({"a": 1})),
    ];
    let verdicts = server.push(&bob, "rb", 1, &theft).await;
    let codes: Vec<_> = verdicts.iter().map(|verdict| verdict["code"].as_str().unwrap_or("none")).collect();
    assert_eq!(codes[0], "forbidden");
    assert_eq!(codes[1], "forbidden");
    assert_eq!(codes[2], "forbidden");
    assert_eq!(codes[3], "unknown-collection");
    let text = serde_json::to_string(&verdicts).expect("text");
    assert!(!text.contains("alice"), "nothing of the stored document is told: {text}");
    assert_eq!(server.get(&alice, "/api/sync/entities/drafts/d").await.json()["doc"]["ownerId"], "alice");
}

#[tokio::test]
async fn floats_come_back_as_they_were() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let numbers = json!([
        0.1,
        1.0,
        -0.0,
        5e-324,
        1.7976931348623157e308,
        31.245270191439438,
        0.30000000000000004,
        9007199254740991i64,
        1e21
    ]);
    let verdicts = server.push(&alice, "r", 1, &[insert("notes", "f", json!({"title": "f", "list": numbers}))]).await;
    assert_eq!(verdicts[0]["verdict"], "applied");
    let server = server.restart(common::TOML).await;
    let stored = server.get(&alice, "/api/sync/entities/notes/f").await;
    let text = String::from_utf8(stored.bytes).expect("text");
    assert!(text.contains("31.245270191439438") && text.contains("0.30000000000000004"), "{text}");
    let again = server.push(&alice, "r", 2, &[patch("notes", "f", 1, "/list", numbers, json!([]))]).await;
    assert_eq!(again[0]["verdict"], "applied");
}

#[tokio::test]
async fn a_demo_server_takes_any_collection() {
    let server = Server::start_with("", tidewire_server::Timeouts::default()).await;
    let alice = server.token("alice");
    let verdicts = server.push(&alice, "r", 1, &[insert("anything", "a", json!({"x": 1}))]).await;
    assert_eq!(verdicts[0]["verdict"], "applied");
    let pulled = server.pull(&alice, None, &["anything"]).await;
    assert_eq!(pulled.ids(), ["a"]);
    assert_eq!(pulled.header["settings"]["anything"]["conflict"], "last-write-wins");
}
