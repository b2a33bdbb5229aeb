//! `POST pull`: cursors, checkpoints, groups.

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::{Pulled, Server, TOML, delete, draft, insert, note, patch, push_body, rev};
use serde_json::{Value, json};
use tidewire_core::limits::{HORIZON_MS, PULL_CHECKPOINT_ROWS};
use tidewire_core::model::mutation::Mutation;
use tidewire_server::Timeouts;

#[tokio::test]
async fn a_first_pull_of_nothing_is_done_at_once() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let pulled = server.pull(&alice, None, &["notes"]).await;
    assert_eq!((pulled.changes.len(), pulled.checkpoints.len()), (0, 1));
    assert_eq!(pulled.cursor()["seq"], 0);
    assert_eq!(pulled.header["user"], json!({"tenant": "demo", "subject": "alice"}));
    server.push(&alice, "r", 1, &[note("a")]).await;
    let next = server.pull(&alice, Some(pulled.cursor()), &["notes"]).await;
    assert_eq!((next.ids(), next.header.get("reset")), (vec!["a"], None));
}

#[tokio::test]
async fn the_id_stands_first_in_the_line_of_a_change() {
    let server = Server::start().await;
    let alice = server.token("alice");
    server.push(&alice, "r", 1, &[note("a")]).await;
    let answer = server.post(&alice, "/api/sync/pull", common::pull_body(None, &["notes"]).to_string()).await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let text = String::from_utf8(answer.bytes).expect("text");
    assert!(text.lines().nth(1).expect("a change").starts_with(r#"{"id":"a","c":"notes","#), "{text}");
}

#[tokio::test]
async fn rule_01_a_pull_tells_what_was_applied_of_the_readers_own_numbers() {
    let server = Server::start().await;
    let (alice, bob) = (server.token("alice"), server.token("bob"));
    let edits = [note("a"), note("b"), insert("notes", "a", json!({"title": "taken"})), note("c")];
    let made = server.push(&alice, "r", 1, &edits).await;
    assert_eq!(made[2]["verdict"], "rejected", "{}", made[2]);
    let ask = async |token: &str, replica: &str, floor: Value| {
        let mut body = common::pull_body(None, &["notes"]);
        (body["replica"], body["floor"]) = (json!(replica), floor);
        Pulled::new(server.post(token, "/api/sync/pull", body.to_string()).await.lines()).header
    };
    let told = |index: usize| {
        let digest = Mutation::digest(edits[index].to_string().as_bytes()).to_string();
        json!({"n": made[index]["n"], "digest": digest, "rev": rev(&made[index])})
    };
    assert_eq!(ask(&alice, "r", made[1]["n"].clone()).await["applied"], json!([told(3), told(1)]), "newest first");
    assert_eq!(ask(&alice, "r", json!(null)).await.get("applied"), None, "nobody asks");
    assert_eq!(ask(&alice, "r2", json!([0, 0])).await.get("applied"), None, "another store");
    assert_eq!(ask(&bob, "r", json!([0, 0])).await.get("applied"), None, "another user");
}

/// Every checkpoint continues the one before it, from where the request stood.
fn assert_chained(pulled: &Pulled, start: Option<&Value>) {
    let mut at = start.cloned();
    for checkpoint in &pulled.checkpoints {
        assert_eq!(checkpoint.get("after").cloned(), at);
        at = Some(checkpoint["cursor"].clone());
    }
}

#[tokio::test]
async fn rule_21_checkpoints_chain_by_after_and_cursor() {
    let server = Server::start().await;
    let alice = server.token("alice");
    for push in 0..3 {
        let notes: Vec<Value> = (0..500).map(|i| note(&format!("n{push}-{i}"))).collect();
        server.push(&alice, "r", 1 + push * 500, &notes).await;
    }
    let pulled = server.pull(&alice, None, &["notes"]).await;
    assert_eq!((pulled.changes.len(), &pulled.header["total"]), (1_500, &json!(1_500)));
    assert!(pulled.checkpoints.len() >= 3, "{}", pulled.checkpoints.len());
    assert_chained(&pulled, None);
    server.push(&alice, "r", 5_000, &[note("z")]).await;
    let next = server.pull(&alice, Some(pulled.cursor()), &["notes"]).await;
    assert_chained(&next, Some(pulled.cursor()));
    assert_eq!(next.header["after"], *pulled.cursor());
    // A cut stream goes on at its last checkpoint.
    let middle = server.pull(&alice, Some(&pulled.checkpoints[0]["cursor"]), &["notes"]).await;
    assert_eq!(middle.changes.len(), 1_501 - PULL_CHECKPOINT_ROWS);
}

#[tokio::test]
async fn rule_22_a_checkpoint_never_stands_inside_a_transaction() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let transaction = |first: u64, count: u64| {
        let notes: Vec<Value> = (0..count).map(|i| note(&format!("t{}", first + i))).collect();
        let mut body = push_body("r", first, &notes);
        for item in body["mutations"].as_array_mut().expect("items") {
            item["tx"] = json!([first, 0]);
        }
        body.to_string()
    };
    let mut first = 1;
    for count in [300, 400, 450, 1, 200, 300, 2] {
        let answer = server.post(&alice, "/api/sync/push", transaction(first, count)).await.json();
        let revs: BTreeSet<u64> = answer["verdicts"].as_array().expect("verdicts").iter().map(rev).collect();
        assert_eq!(revs.len(), 1, "one seq per transaction");
        first += count;
    }
    let pulled = server.pull(&alice, None, &["notes"]).await;
    let mut told = BTreeSet::new();
    let mut open = BTreeSet::new();
    for line in &pulled.lines {
        match line.get("rev").and_then(Value::as_u64) {
            Some(rev) => {
                assert!(!told.contains(&rev), "a transaction was cut by a checkpoint");
                open.insert(rev);
            }
            None => told.append(&mut open),
        }
    }
    let seqs: Vec<u64> = pulled.changes.iter().map(rev).collect();
    assert!(seqs.is_sorted());
    assert!(pulled.checkpoints.len() >= 3);
}

#[tokio::test]
async fn rule_22_an_entity_comes_once_at_its_latest_state() {
    let server = Server::start().await;
    let alice = server.token("alice");
    server.push(&alice, "r", 1, &[note("a"), note("b")]).await;
    server.push(&alice, "r", 3, &[patch("notes", "a", 1, "/title", json!("a"), json!("new"))]).await;
    let pulled = server.pull(&alice, None, &["notes"]).await;
    assert_eq!(pulled.ids(), ["b", "a"]);
    assert_eq!(pulled.changes[1]["doc"]["title"], "new");
}

#[tokio::test]
async fn rule_23_gained_collections_are_backfilled_and_lost_ones_forgotten() {
    let server = Server::start().await;
    let alice = server.token("alice");
    server.push(&alice, "r", 1, &[note("a"), draft("d", "alice"), draft("x", "bob"), note("b")]).await;
    let notes = server.pull(&alice, None, &["notes"]).await;
    server.push(&alice, "r", 5, &[note("c")]).await;
    let both = server.pull(&alice, Some(notes.cursor()), &["notes", "drafts"]).await;
    assert_eq!(both.ids(), ["d", "c"], "the backfill and what is new, in one stream");
    assert_eq!((both.header.get("reset"), &both.header["after"]), (None, notes.cursor()));
    let drafts = server.pull(&alice, Some(both.cursor()), &["drafts"]).await;
    assert_eq!(drafts.header["forget_collections"], json!(["notes"]));
    assert!(drafts.changes.is_empty());
}

#[tokio::test]
async fn rule_23_gained_groups_are_backfilled_and_lost_ones_forgotten() {
    let server = Server::start().await;
    let (alice, bob) = (server.token("alice"), server.token("bob"));
    server.push(&alice, "r", 1, &[draft("a", "alice"), draft("b", "bob")]).await;
    // The same store under another user's cursor shows what a change of groups does.
    let alices = server.pull(&alice, None, &["drafts"]).await;
    let bobs = server.pull(&bob, Some(alices.cursor()), &["drafts"]).await;
    assert_eq!(bobs.header["forget_groups"], json!(["user:alice"]));
    assert_eq!(bobs.ids(), ["b"]);
}

#[tokio::test]
async fn rule_23_a_long_backfill_resumes_at_its_checkpoints() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let drafts: Vec<Value> = (0..700).map(|i| draft(&format!("d{i}"), "alice")).collect();
    server.push(&alice, "r", 1, &drafts).await;
    server.push(&alice, "r", 1_001, &[note("a")]).await;
    let notes = server.pull(&alice, None, &["notes"]).await;
    let both = server.pull(&alice, Some(notes.cursor()), &["notes", "drafts"]).await;
    assert_eq!(both.changes.len(), 700);
    let resumed = server.pull(&alice, Some(&both.checkpoints[0]["cursor"]), &["notes", "drafts"]).await;
    assert_eq!(resumed.header.get("reset"), None);
    assert_eq!(resumed.changes.len(), 700 - PULL_CHECKPOINT_ROWS + 1, "what came after the checkpoint, and the note");
}

#[tokio::test]
async fn rule_23_another_policy_reads_again_and_gives_the_groups_anew() {
    let server = Server::start().await;
    let (alice, bob) = (server.token("alice"), server.token("bob"));
    server.push(&alice, "r", 1, &[draft("a", "alice"), draft("b", "bob")]).await;
    let before = server.pull(&alice, None, &["drafts"]).await;
    assert_eq!(before.ids(), ["a"]);
    let open = TOML.replace("[collections.drafts]\ngroups = [\"user:{ownerId}\"]", "[collections.drafts]");
    let server = server.restart(&open).await;
    let after = server.pull(&alice, Some(before.cursor()), &["drafts"]).await;
    assert_eq!((&after.header["reset"], after.ids()), (&json!(true), vec!["a", "b"]));
    let server = server.restart(TOML).await;
    let back = server.pull(&bob, Some(after.cursor()), &["drafts"]).await;
    assert_eq!((&back.header["reset"], back.ids()), (&json!(true), vec!["b"]));
}

#[tokio::test]
async fn rule_24_a_cursor_of_another_history_or_with_an_unknown_mark_is_reset() {
    let server = Server::start().await;
    let alice = server.token("alice");
    server.push(&alice, "r", 1, &[note("a"), note("b")]).await;
    let pulled = server.pull(&alice, None, &["notes"]).await;
    let same = server.pull(&alice, Some(pulled.cursor()), &["notes"]).await;
    assert!(same.changes.is_empty() && same.header.get("reset").is_none());
    for (field, value) in [
        ("history", json!("another")),
        ("mark", json!("0000000000000000")),
        ("mark", json!("")),
        ("mark", json!("2:nonsense")),
        ("mark", json!("x:y:z")),
        ("seq", json!(1)),
        ("seq", json!(99)),
        ("seq", json!(u64::MAX)),
    ] {
        let mut cursor = pulled.cursor().clone();
        cursor[field] = value;
        let reset = server.pull(&alice, Some(&cursor), &["notes"]).await;
        assert_eq!((&reset.header["reset"], reset.header.get("after")), (&json!(true), None), "{cursor}");
        assert_eq!(reset.ids(), ["a", "b"]);
    }
    let other = Server::start().await;
    let elsewhere = other.pull(&other.token("alice"), Some(pulled.cursor()), &["notes"]).await;
    assert_eq!(elsewhere.header["reset"], true);
}

#[tokio::test]
async fn rule_26_leaving_a_group_is_delivered_like_a_tombstone() {
    let server = Server::start().await;
    let (alice, bob) = (server.token("alice"), server.token("bob"));
    let made = server.push(&alice, "r", 1, &[draft("a", "alice"), draft("k", "alice")]).await;
    let (alices, bobs) = (server.pull(&alice, None, &["drafts"]).await, server.pull(&bob, None, &["drafts"]).await);
    let moved = patch("drafts", "a", rev(&made[0]), "/ownerId", json!("alice"), json!("bob"));
    let moved = server.push(&alice, "r", 3, &[moved]).await;
    let gone = server.pull(&alice, Some(alices.cursor()), &["drafts"]).await;
    assert_eq!(
        gone.changes,
        [json!({"id": "a", "c": "drafts", "rev": rev(&moved[0]), "at": 0})],
        "and nothing else of it"
    );
    let came = server.pull(&bob, Some(bobs.cursor()), &["drafts"]).await;
    assert_eq!((came.ids(), &came.changes[0]["g"]), (vec!["a"], &json!(["user:bob"])));
    assert_eq!(server.pull(&alice, None, &["drafts"]).await.ids(), ["k"], "a first sync has no use for it");
    // What bob does with it afterwards is not told to alice at all.
    let renamed = patch("drafts", "a", rev(&moved[0]), "/title", Value::Null, json!("secret"));
    server.push(&bob, "rb", 1, &[renamed]).await;
    let quiet = server.pull(&alice, Some(gone.cursor()), &["drafts"]).await;
    assert!(quiet.changes.is_empty());
    let late = server.pull(&alice, Some(alices.cursor()), &["drafts"]).await;
    assert_eq!(late.changes, gone.changes);
}

#[tokio::test]
async fn rule_26_an_entity_that_left_one_of_two_groups_is_told_with_the_other() {
    let server = Server::start().await;
    let (alice, bob) = (server.token("alice"), server.token("bob"));
    let made = server.push(&alice, "r", 1, &[insert("both", "a", json!({"ownerId": "alice"}))]).await;
    let first = server.pull(&alice, None, &["both"]).await;
    assert_eq!(first.changes[0]["g"], json!(["tenant", "user:alice"]));
    server.push(&bob, "rb", 1, &[patch("both", "a", rev(&made[0]), "/ownerId", json!("alice"), json!("bob"))]).await;
    let next = server.pull(&alice, Some(first.cursor()), &["both"]).await;
    assert_eq!((next.changes.len(), &next.changes[0]["g"]), (1, &json!(["tenant"])));
    assert_eq!(next.changes[0]["doc"]["ownerId"], "bob");
}

#[tokio::test]
async fn rule_26_a_tombstone_keeps_its_groups_and_shows_no_document() {
    let server = Server::start().await;
    let (alice, bob) = (server.token("alice"), server.token("bob"));
    let made = server.push(&alice, "r", 1, &[draft("a", "alice"), note("n")]).await;
    let (alices, bobs) = (server.pull(&alice, None, &["drafts"]).await, server.pull(&bob, None, &["drafts"]).await);
    server.push(&alice, "r", 3, &[delete("drafts", "a", rev(&made[0]))]).await;
    let gone = server.pull(&alice, Some(alices.cursor()), &["drafts"]).await;
    assert_eq!(
        (gone.ids(), &gone.changes[0]["g"], gone.changes[0].get("doc")),
        (vec!["a"], &json!(["user:alice"]), None)
    );
    assert!(server.pull(&bob, Some(bobs.cursor()), &["drafts"]).await.changes.is_empty());
    assert!(server.pull(&alice, None, &["drafts"]).await.changes.is_empty());
    assert_eq!(server.get(&alice, "/api/sync/entities/drafts/a").await.refused(), (404, "not-found".into()));
}

#[tokio::test]
async fn rule_27_nobody_is_told_anything_of_another_group_or_tenant() {
    let server = Server::start().await;
    let (alice, bob, eve) = (server.token("alice"), server.token("bob"), server.token_of("alice", "evil"));
    let canary = "canary-7261";
    server.push(&alice, "r", 1, &[insert("drafts", canary, json!({"ownerId": "alice", "text": canary}))]).await;
    for token in [&bob, &eve] {
        let pull = common::pull_body(None, &["drafts", "notes", "both"]).to_string();
        for answer in [
            server.post(token, "/api/sync/pull", pull).await,
            server.get(token, &format!("/api/sync/entities/drafts/{canary}")).await,
            server.get(token, "/api/sync/status").await,
        ] {
            assert!(!String::from_utf8_lossy(&answer.bytes).contains(canary));
        }
    }
    let missing = server.get(&bob, "/api/sync/entities/drafts/no-such").await;
    let hidden = server.get(&bob, &format!("/api/sync/entities/drafts/{canary}")).await;
    assert_eq!(missing.bytes, hidden.bytes, "what is hidden looks like what is not there");
    assert_eq!(server.get(&eve, "/api/sync/status").await.json()["seq"], 0);
}

#[tokio::test]
async fn rule_30_past_the_horizon_tombstones_are_gone_and_old_cursors_reset() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let made = server.push(&alice, "r", 1, &[note("a"), note("b"), draft("d", "alice")]).await;
    let old = server.pull(&alice, None, &["notes", "drafts"]).await;
    let gone = [
        delete("notes", "a", rev(&made[0])),
        patch("drafts", "d", rev(&made[2]), "/ownerId", json!("alice"), json!("bob")),
        note("last"),
    ];
    server.push(&alice, "r", 4, &gone).await;
    let newest = server.pull(&alice, None, &["notes", "drafts"]).await;
    server.state.store.prune(common::now() + HORIZON_MS + 1_000).await.expect("pruned");
    let reset = server.pull(&alice, Some(old.cursor()), &["notes", "drafts"]).await;
    assert_eq!((&reset.header["reset"], reset.ids()), (&json!(true), vec!["b", "last"]));
    let quiet = server.pull(&alice, Some(newest.cursor()), &["notes", "drafts"]).await;
    assert!(quiet.header.get("reset").is_none() && quiet.changes.is_empty(), "a tenant at rest is not reset");
    assert_eq!(server.get(&alice, "/api/sync/status").await.json()["horizon"], 5);
}

#[tokio::test]
async fn rule_30_a_shorter_horizon_forgets_deletions_earlier_and_verdicts_no_earlier() {
    let server = Server::start_with(&format!("[server]\nhorizon_seconds = 60\n{TOML}"), Timeouts::default()).await;
    let alice = server.token("alice");
    let first = [note("a")];
    let made = server.push(&alice, "r", 1, &first).await;
    let old = server.pull(&alice, None, &["notes"]).await;
    let mut body = push_body("r", 2, &[delete("notes", "a", rev(&made[0])), note("b")]);
    body["floor"] = json!([2, 0]);
    server.post(&alice, "/api/sync/push", body.to_string()).await;
    server.state.store.prune(common::now() + 50_000).await.expect("pruned");
    assert_eq!(server.pull(&alice, Some(old.cursor()), &["notes"]).await.header.get("reset"), None);
    server.state.store.prune(common::now() + 70_000).await.expect("pruned");
    let reset = server.pull(&alice, Some(old.cursor()), &["notes"]).await;
    assert_eq!((&reset.header["reset"], reset.ids()), (&json!(true), vec!["b"]));
    let again = server.push(&alice, "r", 1, &first).await;
    assert_eq!(again[0]["duplicate"], true, "what it may send again is known by its number: {again:?}");
}

#[tokio::test]
async fn rule_30_what_is_past_the_horizon_goes_while_somebody_writes_all_the_time() {
    let server = Server::start_with(&format!("[server]\nhorizon_seconds = 1\n{TOML}"), Timeouts::default()).await;
    let alice = server.token("alice");
    let made = server.push(&alice, "r", 1, &[note("a")]).await;
    let old = server.pull(&alice, None, &["notes"]).await;
    server.push(&alice, "r", 2, &[delete("notes", "a", rev(&made[0]))]).await;
    let began = Instant::now();
    for n in 3.. {
        server.push(&alice, "r", n, &[note(&format!("n{n}"))]).await;
        if server.pull(&alice, Some(old.cursor()), &["notes"]).await.header.get("reset").is_some() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "nothing goes as long as somebody writes");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn rule_24_a_first_sync_through_old_rows_resumes_until_its_snapshot_is_past_the_horizon() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let notes: Vec<Value> = (0..700).map(|i| note(&format!("n{i}"))).collect();
    server.push(&alice, "r", 1, &notes).await;
    server.state.store.prune(common::now() + HORIZON_MS + 1_000).await.expect("pruned");
    let pulled = server.pull(&alice, None, &["notes"]).await;
    let middle = &pulled.checkpoints[0]["cursor"];
    assert!(middle["mark"].as_str().expect("a mark").contains(':'), "its own mark is gone: {middle}");
    let resumed = server.pull(&alice, Some(middle), &["notes"]).await;
    assert_eq!((resumed.header.get("reset"), resumed.changes.len()), (None, 700 - PULL_CHECKPOINT_ROWS));
    server.push(&alice, "r", 2_000, &[delete("notes", "n0", 1), note("x")]).await;
    server.state.store.prune(common::now() + 2 * HORIZON_MS).await.expect("pruned");
    let reset = server.pull(&alice, Some(middle), &["notes"]).await;
    assert_eq!((&reset.header["reset"], reset.changes.len()), (&json!(true), 700));
}

#[tokio::test]
async fn a_pull_streams_while_others_write() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let filler = "x".repeat(20_000);
    let big: Vec<Value> =
        (0..300).map(|i| insert("notes", &format!("n{i}"), json!({"title": "t", "body": filler}))).collect();
    server.push(&alice, "r", 1, &big).await;
    let later = [note("later")];
    let (pulled, _) = tokio::join!(server.pull(&alice, None, &["notes"]), server.push(&alice, "r", 1_000, &later));
    let seq = pulled.cursor()["seq"].as_u64().expect("a seq");
    assert!(pulled.changes.len() as u64 == seq, "one snapshot: {} changes, seq {seq}", pulled.changes.len());
    assert!(pulled.checkpoints.len() > 5, "large documents bring checkpoints sooner");
}
