//! What waits and what lost, over HTTP, in the database and on the socket (rules 17, 19 and 27).

mod common;

use common::{Server, TOML, delete, insert, patch, pull_body, rev};
use serde_json::{Value, json};
use tempfile::TempDir;
use tidewire_core::limits::CONFLICT_MS;
use tidewire_core::model::digest::Digest;
use tidewire_server::Timeouts;

const WITH_MANUAL: &str = r#"
[collections.notes]
conflict = "manual"
[collections.latest]
[collections.both]
groups = ["user:{ownerId}", "user:{otherId}"]
fields = { "/text" = "manual" }
"#;

const CONFLICTS: &str = "$conflicts";

async fn start() -> Server {
    Server::start_with(WITH_MANUAL, Timeouts::default()).await
}

/// Bob wrote `/title` of the note `a` first; Alice, who had not seen it, waits.
async fn parked() -> (Server, String, String) {
    let server = start().await;
    let (alice, bob) = (server.token("alice"), server.token("bob"));
    let made = server.push(&bob, "rb", 1, &[insert("notes", "a", json!({"title": "old"}))]).await;
    let edit = |to: &str| patch("notes", "a", rev(&made[0]), "/title", json!("old"), json!(to));
    server.push(&bob, "rb", 2, &[edit("bob")]).await;
    let verdicts = server.push(&alice, "ra", 1, &[edit("alice")]).await;
    assert_eq!(
        verdicts[0],
        json!({"n": [1, 0], "verdict": "conflict", "rev": rev(&verdicts[0]), "parked": ["/title"]})
    );
    (server, alice, bob)
}

async fn conflicts(server: &Server, token: &str) -> Vec<Value> {
    server.pull(token, None, &[CONFLICTS]).await.changes
}

/// What a reader gets is what the server compares with what he has (rule 25).
async fn assert_digest(server: &Server, token: &str) {
    let mut body = pull_body(None, &[CONFLICTS]);
    body["verify"] = json!(true);
    let lines = server.post(token, "/api/sync/pull", body.to_string()).await.lines();
    let mut digest = Digest::default();
    for change in lines.iter().filter(|line| line.get("doc").is_some()) {
        let rev = change["rev"].as_u64().expect("a revision");
        digest.add_canonical(change["id"].as_str().expect("an id"), rev, change["doc"].to_string().as_bytes());
    }
    assert_eq!(lines.last().expect("done")["digests"][CONFLICTS], digest.text());
}

#[tokio::test]
async fn rule_17_what_waits_is_pulled_by_its_author_on_every_device_and_by_nobody_else() {
    let (server, alice, bob) = parked().await;
    let before = server.pull(&alice, None, &["notes"]).await;
    let all = server.pull(&alice, Some(before.cursor()), &["notes", CONFLICTS]).await;
    assert_eq!(all.changes.len(), 1, "a client that asks for them from now on gets those of before");
    let change = &all.changes[0];
    let rev = change["rev"].as_u64().expect("a revision");
    assert_eq!(
        (&change["c"], &change["g"], &change["by"], all.cursor()["seq"].as_u64()),
        (&json!(CONFLICTS), &json!(["user:alice"]), &json!("ra"), Some(rev))
    );
    let mut doc = change["doc"].clone();
    assert!(doc["at"].take().as_u64().is_some());
    assert_eq!(
        doc,
        json!({"c": "notes", "e": "a", "path": "/title", "state": "open", "base": "old", "yours": "alice",
               "kept": "bob", "by": "rb", "subject": "alice", "replica": "ra", "at": null})
    );
    assert_eq!(all.header["settings"].get(CONFLICTS), None);
    assert_eq!(conflicts(&server, &bob).await, Vec::<Value>::new());
    assert_eq!(conflicts(&server, &server.token_of("alice", "evil")).await, Vec::<Value>::new());
    let id = change["id"].as_str().expect("an id");
    let one = format!("/api/sync/entities/{CONFLICTS}/{id}");
    let mut asked = server.get(&alice, &one).await.json();
    for more in ["aliases", "lastSyncedAt", "syncStatus"] {
        assert!(asked.as_object_mut().expect("an object").remove(more).is_some(), "{more}");
    }
    assert_eq!(asked, *change);
    assert_eq!(server.get(&bob, &one).await.refused(), (404, "not-found".into()));
    // She decides; the next pull says so.
    let mut keep = patch("notes", "a", rev, "/title", json!("bob"), json!("alice"));
    keep["resolves"] = json!([id]);
    let verdicts = server.push(&alice, "ra", 2, &[keep]).await;
    assert_eq!(verdicts[0]["verdict"], "applied");
    let next = server.pull(&alice, Some(all.cursor()), &["notes", CONFLICTS]).await;
    let states: Vec<_> = next.changes.iter().map(|change| (&change["doc"]["state"], &change["doc"]["title"])).collect();
    assert_eq!(states, [(&json!("closed"), &Value::Null), (&Value::Null, &json!("alice"))]);
}

#[tokio::test]
async fn rule_19_the_author_of_a_stored_value_that_lost_is_told() {
    let server = start().await;
    let (alice, bob) = (server.token("alice"), server.token("bob"));
    let made = server.push(&bob, "rb", 1, &[insert("latest", "a", json!({"title": "old"}))]).await;
    let edit = |to: &str, at: u64| {
        let mut edit = patch("latest", "a", rev(&made[0]), "/title", json!("old"), json!(to));
        edit["at"] = json!([at, 0]);
        edit
    };
    let before = server.pull(&bob, None, &["latest", CONFLICTS]).await;
    server.push(&bob, "rb", 2, &[edit("bob", common::now() - 5_000)]).await;
    let verdicts = server.push(&alice, "ra", 1, &[edit("alice", common::now())]).await;
    assert_eq!(verdicts[0]["verdict"], "merged");
    let told = server.pull(&bob, Some(before.cursor()), &["latest", CONFLICTS]).await;
    let lost = told.changes.iter().find(|change| change["c"] == CONFLICTS).expect("he is told");
    let doc = &lost["doc"];
    assert_eq!(
        (&doc["state"], &doc["yours"], &doc["kept"], &doc["by"], &doc["subject"], &doc["replica"]),
        (&json!("lost"), &json!("bob"), &json!("alice"), &json!("ra"), &json!("bob"), &json!("rb"))
    );
    assert_eq!(conflicts(&server, &alice).await, Vec::<Value>::new());
}

#[tokio::test]
async fn rule_19_both_authors_of_a_stored_value_that_lost_are_told() {
    let server = start().await;
    let tokens = ["alice", "bob", "carl"].map(|name| server.token(name));
    let made = server.push(&tokens[0], "ra", 1, &[insert("latest", "a", json!({"title": "old"}))]).await;
    let edit = |to: &str| patch("latest", "a", rev(&made[0]), "/title", json!("old"), json!(to));
    server.push(&tokens[0], "ra", 2, &[edit("same")]).await;
    server.push(&tokens[1], "rb", 1, &[edit("same")]).await;
    let server = server.restart(WITH_MANUAL).await;
    server.push(&tokens[2], "rc", 1, &[edit("other")]).await;
    for (token, replica) in [(&tokens[0], "ra"), (&tokens[1], "rb")] {
        let told = conflicts(&server, token).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((&told[0]["doc"]["yours"], &told[0]["doc"]["replica"]), (&json!("same"), &json!(replica)));
    }
    assert_eq!(conflicts(&server, &tokens[2]).await, Vec::<Value>::new());
}

#[tokio::test]
async fn rule_27_what_others_wrote_is_told_only_to_who_may_see_the_entity() {
    let server = start().await;
    let (alice, bob) = (server.token("alice"), server.token("bob"));
    let shared = json!({"ownerId": "bob", "otherId": "alice", "text": "old"});
    let made = server.push(&bob, "rb", 1, &[insert("both", "a", shared)]).await;
    let edit = |to: &str| patch("both", "a", rev(&made[0]), "/text", json!("old"), json!(to));
    server.push(&bob, "rb", 2, &[edit("canary")]).await;
    let verdicts = server.push(&alice, "ra", 1, &[edit("alice")]).await;
    let open = conflicts(&server, &alice).await;
    assert_eq!((&open[0]["doc"]["kept"], &open[0]["doc"]["by"]), (&json!("canary"), &json!("rb")));
    assert_digest(&server, &alice).await;
    // Bob takes the entity out of her sight.
    server.push(&bob, "rb", 3, &[patch("both", "a", rev(&verdicts[0]), "/otherId", json!("alice"), json!(null))]).await;
    let hidden = conflicts(&server, &alice).await;
    assert_digest(&server, &alice).await;
    let (doc, id) = (&hidden[0]["doc"], hidden[0]["id"].as_str().expect("an id"));
    assert_eq!((&doc["yours"], &doc["state"]), (&json!("alice"), &json!("open")), "her own value stays hers");
    for answer in [
        server.post(&alice, "/api/sync/pull", pull_body(None, &["both", CONFLICTS]).to_string()).await,
        server.get(&alice, &format!("/api/sync/entities/{CONFLICTS}/{id}")).await,
        server.get(&alice, "/api/sync/entities/both/a/history").await,
    ] {
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(!text.contains("canary") && !text.contains("rb") && !text.contains("old"), "{text}");
    }
}

#[tokio::test]
async fn the_history_of_an_entity_is_for_all_who_may_see_it() {
    let (server, alice, bob) = parked().await;
    let address = "/api/sync/entities/notes/a/history";
    let mut own = server.get(&alice, address).await.json();
    assert_eq!(server.get(&bob, address).await.json(), own);
    assert_eq!((&own["v"], &own["dropped"]), (&json!(1), &json!(0)));
    let entry = own["conflicts"].as_array_mut().expect("a list").pop().expect("an entry");
    assert_eq!(
        (&entry["yours"], &entry["subject"], &entry["path"]),
        (&json!("alice"), &json!("alice"), &json!("/title"))
    );
    assert_eq!(own["conflicts"], json!([]));
    for (token, address) in
        [(server.token_of("alice", "evil"), address), (alice.clone(), "/api/sync/entities/notes/none/history")]
    {
        assert_eq!(server.get(&token, address).await.refused(), (404, "not-found".into()));
    }
    let own = format!("/api/sync/entities/{CONFLICTS}/a/history");
    assert_eq!(server.get(&alice, &own).await.refused(), (404, "unknown-collection".into()));
    server.push(&bob, "rb", 3, &[delete("notes", "a", 3)]).await;
    assert_eq!(server.get(&alice, address).await.refused(), (404, "not-found".into()));
}

#[tokio::test]
async fn no_client_writes_conflicts_and_no_mode_has_settings_for_them() {
    for toml in [WITH_MANUAL, "", TOML] {
        let server = Server::start_with(toml, Timeouts::default()).await;
        let alice = server.token("alice");
        let verdicts = server.push(&alice, "ra", 1, &[insert(CONFLICTS, "x", json!({"state": "open"}))]).await;
        assert_eq!((&verdicts[0]["verdict"], &verdicts[0]["code"]), (&json!("rejected"), &json!("unknown-collection")));
        let pulled = server.pull(&alice, None, &[CONFLICTS]).await;
        assert_eq!((pulled.changes.len(), pulled.header["settings"].get(CONFLICTS)), (0, None));
    }
}

#[tokio::test]
async fn conflicts_keep_their_reader_when_the_groups_of_the_collections_change() {
    let (server, alice, bob) = parked().await;
    let before = conflicts(&server, &alice).await;
    let other =
        WITH_MANUAL.replace("[collections.notes]", "[collections.notes]\ngroups = [\"tenant\", \"user:{ownerId}\"]");
    let server = server.restart(&other).await;
    assert_eq!(conflicts(&server, &alice).await, before);
    assert_eq!(conflicts(&server, &bob).await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_nobody_has_to_decide_goes_after_30_days_and_readers_hear_of_it() {
    let (server, alice, bob) = parked().await;
    let edit = |base: u64, was: &str, to: &str| patch("notes", "a", base, "/title", json!(was), json!(to));
    // A second one, which she decides.
    server.push(&bob, "rb", 3, &[insert("notes", "b", json!({"title": "old"}))]).await;
    let mut second = edit(4, "old", "bob");
    second["id"] = json!("b");
    server.push(&bob, "rb", 4, &[second]).await;
    let mut hers = edit(4, "old", "alice");
    hers["id"] = json!("b");
    server.push(&alice, "ra", 2, &[hers]).await;
    let both = server.pull(&alice, None, &[CONFLICTS]).await;
    let decided = both.changes.iter().find(|change| change["doc"]["e"] == "b").expect("the second")["id"].clone();
    let resolve =
        json!({"c": "notes", "id": "b", "kind": "patch", "base": 6, "at": [common::now(), 0], "resolves": [decided]});
    server.push(&alice, "ra", 3, &[resolve]).await;
    let closed = server.pull(&alice, Some(both.cursor()), &[CONFLICTS]).await;
    assert_eq!(closed.changes[0]["doc"]["state"], "closed");
    let (mut commits, _) = server.state.store.subscribe("demo");
    server.state.store.prune(common::now() + CONFLICT_MS - 60_000).await.expect("pruned");
    assert!(server.pull(&alice, Some(closed.cursor()), &[CONFLICTS]).await.changes.is_empty(), "not yet");
    server.state.store.prune(common::now() + CONFLICT_MS + 1_000).await.expect("pruned");
    assert!(commits.has_changed().expect("open"), "sockets are woken");
    let gone = server.pull(&alice, Some(closed.cursor()), &[CONFLICTS]).await;
    let told: Vec<_> = gone.changes.iter().map(|change| (&change["id"], change.get("doc"), &change["g"])).collect();
    assert_eq!(told, [(&decided, None, &json!(["user:alice"]))]);
    commits.borrow_and_update();
    assert_eq!(conflicts(&server, &alice).await.len(), 1, "what waits stays");
    let file = rusqlite::Connection::open(server.directory.path().join("tidewire.sqlite")).expect("opened");
    let left: String = file
        .query_row("SELECT doc FROM entities WHERE id = ?1", [decided.as_str()], |row| row.get(0))
        .expect("its tombstone");
    assert_eq!(left, "{}");
}

#[tokio::test]
async fn a_database_of_the_first_release_is_upgraded_with_all_that_it_holds() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("tidewire.sqlite");
    let old = rusqlite::Connection::open(&file).expect("created");
    old.execute_batch(include_str!("fixtures/version-1.sql")).expect("made");
    drop(old);
    let server = Server::open(directory, "[collections.notes]", Timeouts::default()).await;
    let (alice, bob) = (server.token("alice"), server.token("bob"));
    let pulled = server.pull(&alice, None, &["notes"]).await;
    assert_eq!(
        (pulled.changes[0]["doc"].clone(), pulled.cursor()["seq"].clone()),
        (json!({"title": "alice"}), json!(2))
    );
    // Whose the old commits are is not known: the value is kept, and told to nobody but who asks for the history.
    let verdicts = server.push(&bob, "rb", 1, &[patch("notes", "a", 1, "/title", json!("before"), json!("bob"))]).await;
    assert_eq!(verdicts[0]["verdict"], "merged");
    for token in [&alice, &bob] {
        assert_eq!(conflicts(&server, token).await, Vec::<Value>::new());
        let history = server.get(token, "/api/sync/entities/notes/a/history").await.json();
        assert_eq!(
            (&history["conflicts"][0]["yours"], &history["conflicts"][0]["subject"]),
            (&json!("alice"), &json!(""))
        );
    }
    // From now on it is.
    server.push(&alice, "ra", 3, &[patch("notes", "a", 3, "/title", json!("bob"), json!("alice"))]).await;
    server.push(&bob, "rb", 2, &[patch("notes", "a", 3, "/title", json!("bob"), json!("bob 2"))]).await;
    assert_eq!(conflicts(&server, &alice).await[0]["doc"]["yours"], "alice");
    // A second start finds nothing to do.
    let server = server.restart("[collections.notes]").await;
    assert_eq!(conflicts(&server, &alice).await.len(), 1);
}
