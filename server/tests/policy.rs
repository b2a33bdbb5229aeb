//! Who sees what, by memberships that are entities, roles and apps; and what happens when that changes.

mod common;

use common::live::{Live, Socket};
use common::{Server, delete, insert, patch, rev};
use serde_json::{Value, json};
use tidewire_server::Timeouts;

const TOML: &str = r#"
[auth]
leeway = 0
[collections.deals]
groups = ["team:{teamId}", "tenant & role:auditor"]
write.delete = ["team.lead:{teamId}"]
[collections.members]
groups = ["team:{teamId}", "user:{userId}", "tenant & role:admin"]
write.insert = ["role:admin"]
write.update = ["role:admin", "team.lead:{teamId}"]
write.delete = ["role:admin", "team.lead:{teamId}"]
membership = { user = "userId", gives = ["team:{teamId}"], role = "role" }
[collections.desk]
apps = ["admin"]
[collections.projects]
groups = ["project:{$id}"]
write.insert = ["user:{ownerId}"]
write.update = ["project.owner:{$id}"]
write.delete = []
membership = { user = "ownerId", gives = ["project:{$id}", "project.owner:{$id}"] }
[collections.tasks]
groups = ["project:{projectId}"]
write.insert = ["project:{projectId}"]
"#;

const COLLECTIONS: [&str; 2] = ["deals", "members"];

fn member(id: &str, user: &str, team: &str, role: &str) -> Value {
    insert("members", id, json!({"userId": user, "teamId": team, "role": role}))
}

fn deal(id: &str, team: &str) -> Value {
    insert("deals", id, json!({"teamId": team, "name": format!("{id} of {team}")}))
}

/// An administrator, and who is in the team `red`: Alice leads it, Bob is in it.
async fn teams() -> (Live, String) {
    let live = Live::start_with(TOML, Timeouts::default()).await;
    let admin = live.server.token_as("admin", &["admin"], Some("admin"));
    let made = [member("ma", "alice", "red", "lead"), member("mb", "bob", "red", "")];
    applied(&live.server.push(&admin, "admin", 1, &made).await);
    let alice = live.server.token("alice");
    applied(&live.server.push(&alice, "alice", 1, &[deal("d1", "red"), deal("d2", "red")]).await);
    (live, admin)
}

fn applied(verdicts: &[Value]) {
    assert!(verdicts.iter().all(|verdict| verdict["verdict"] == "applied"), "{verdicts:?}");
}

fn refused(verdicts: &[Value]) -> Vec<&str> {
    verdicts.iter().map(|verdict| verdict["code"].as_str().unwrap_or("applied")).collect()
}

fn auth(token: &str) -> Value {
    json!({"t": "auth", "v": 1, "token": token, "replica": "reader", "collections": COLLECTIONS})
}

async fn ids(server: &Server, token: &str, collection: &str) -> Vec<String> {
    let pulled = server.pull(token, None, &[collection]).await;
    pulled.ids().into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_membership_is_an_entity_and_lets_its_user_see() {
    let (live, _) = teams().await;
    let server = &live.server;
    for user in ["alice", "bob"] {
        assert_eq!(ids(server, &server.token(user), "deals").await, ["d1", "d2"], "{user}");
    }
    let carol = server.token("carol");
    assert!(ids(server, &carol, "deals").await.is_empty());
    assert_eq!(server.get(&carol, "/api/sync/entities/deals/d1").await.refused(), (404, "not-found".into()));
    assert_eq!(server.get(&carol, "/api/sync/entities/deals/d1/history").await.refused(), (404, "not-found".into()));
    let verdicts = server.push(&carol, "carol", 1, &[patch("deals", "d1", 2, "/name", json!(null), json!("x"))]).await;
    assert_eq!(refused(&verdicts), ["forbidden"]);
    // An auditor sees all and is in no team.
    let auditor = server.token_as("eve", &["auditor"], None);
    assert_eq!(ids(server, &auditor, "deals").await, ["d1", "d2"]);
    assert!(ids(server, &auditor, "members").await.is_empty());
    // In another tenant a team of the same name is another team.
    let other = server.token_of("alice", "other");
    assert!(ids(server, &other, "deals").await.is_empty());
}

#[tokio::test]
async fn who_may_write_is_a_matter_of_role_and_membership() {
    let (live, admin) = teams().await;
    let server = &live.server;
    let (alice, bob) = (server.token("alice"), server.token("bob"));
    // Nobody lets himself in, and nobody makes himself a lead.
    let carol = server.token("carol");
    assert_eq!(refused(&server.push(&carol, "c", 1, &[member("mc", "carol", "red", "")]).await), ["forbidden"]);
    let lead = patch("members", "mb", 1, "/role", json!(""), json!("lead"));
    assert_eq!(
        refused(&server.push(&bob, "b", 1, &[lead.clone(), delete("deals", "d1", 3)]).await),
        ["forbidden", "forbidden"]
    );
    applied(&server.push(&alice, "a2", 1, std::slice::from_ref(&lead)).await);
    applied(&server.push(&bob, "b", 3, &[delete("deals", "d1", 3)]).await);
    applied(&server.push(&admin, "admin", 3, &[member("mc", "carol", "red", "")]).await);
    assert_eq!(ids(server, &carol, "deals").await, ["d2"]);
}

#[tokio::test]
async fn who_makes_a_project_is_in_it_at_once_also_in_one_push() {
    let live = Live::start_with(TOML, Timeouts::default()).await;
    let server = &live.server;
    let (alice, bob) = (server.token("alice"), server.token("bob"));
    let project = |id: &str, owner: &str| insert("projects", id, json!({"ownerId": owner}));
    let task = |id: &str, project: &str| insert("tasks", id, json!({"projectId": project}));
    applied(&server.push(&alice, "a", 1, &[project("p", "alice"), task("t1", "p"), task("t2", "p")]).await);
    assert_eq!(
        refused(&server.push(&bob, "b", 1, &[project("q", "alice"), task("t3", "p")]).await),
        ["forbidden", "forbidden"]
    );
    // Who hands it over is out of it, and what he says of it afterwards does not count.
    let over = patch("projects", "p", 1, "/ownerId", json!("alice"), json!("bob"));
    let late = patch("tasks", "t1", 2, "/name", json!(null), json!("mine"));
    assert_eq!(refused(&server.push(&alice, "a", 4, &[over, late]).await), ["applied", "forbidden"]);
    assert_eq!(ids(server, &bob, "tasks").await, ["t1", "t2"]);
    assert!(ids(server, &alice, "tasks").await.is_empty());
    // A transaction that is refused leaves nobody in what it would have made.
    let body = json!({
        "v": 1, "replica": "c", "fence": 1, "floor": [0, 0], "now": common::now(),
        "mutations": [
            {"n": [1, 0], "tx": [1, 0], "m": project("r", "carol")},
            {"n": [1, 1], "tx": [1, 0], "m": project("s", "alice")},
            {"n": [2, 0], "m": task("t4", "r")},
        ],
    });
    let carol = server.token("carol");
    let answer = server.post(&carol, "/api/sync/push", body.to_string()).await.json();
    assert_eq!(refused(answer["verdicts"].as_array().expect("verdicts"))[2], "forbidden", "{answer}");
}

/// Whoever may change a membership but not make one does not make it again once it was taken away.
#[tokio::test]
async fn what_was_deleted_comes_back_only_by_those_who_may_make_it() {
    let (live, admin) = teams().await;
    let server = &live.server;
    let (alice, bob) = (server.token("alice"), server.token("bob"));
    applied(&server.push(&admin, "admin", 3, &[delete("members", "mb", 2)]).await);
    let gone = server.pull(&alice, None, &COLLECTIONS).await.cursor()["seq"].as_u64().expect("a seq");
    let mut again = member("mb", "bob", "red", "");
    again["base"] = json!(gone);
    let late = patch("members", "mb", 2, "/role", json!(""), json!("lead"));
    for (replica, token) in [("a9", &alice), ("b9", &bob)] {
        let verdicts = server.push(token, replica, 1, &[again.clone(), late.clone()]).await;
        assert_eq!(refused(&verdicts)[0], "forbidden", "{verdicts:?}");
        assert!(ids(server, &bob, "deals").await.is_empty());
    }
    applied(&server.push(&admin, "admin", 4, &[again]).await);
    assert_eq!(ids(server, &bob, "deals").await, ["d1", "d2"]);
}

/// A tombstone where nothing was would keep an id from whoever may make it.
#[tokio::test]
async fn nobody_keeps_an_id_from_others_by_deleting_what_is_not_there() {
    let live = Live::start_with(TOML, Timeouts::default()).await;
    let server = &live.server;
    let (alice, mallory) = (server.token("alice"), server.token("mallory"));
    assert_eq!(refused(&server.push(&mallory, "m", 1, &[delete("projects", "p", 0)]).await), ["forbidden"]);
    let project = insert("projects", "p", json!({"ownerId": "alice"}));
    applied(&server.push(&alice, "a", 1, &[project]).await);
}

#[tokio::test]
async fn an_apps_data_is_for_that_app() {
    let live = Live::start_with(TOML, Timeouts::default()).await;
    let server = &live.server;
    let (desk, web) = (server.token_as("ann", &[], Some("admin")), server.token_as("ann", &[], Some("web")));
    applied(&server.push(&desk, "a", 1, &[insert("desk", "x", json!({"n": 1}))]).await);
    assert_eq!(ids(server, &desk, "desk").await, ["x"]);
    for (replica, token) in [("w", &web), ("n", &server.token("ann"))] {
        assert!(ids(server, token, "desk").await.is_empty());
        assert_eq!(refused(&server.push(token, replica, 1, &[insert("desk", "y", json!({}))]).await), ["forbidden"]);
    }
}

/// The changes and forgotten groups of the pull that a socket calls for.
async fn told_to_pull(
    socket: &mut Socket,
    server: &Server,
    token: &str,
    cursor: &Value,
) -> (Value, Vec<String>, Value) {
    assert_eq!(socket.hear().await, json!({"t": "pull"}));
    let pulled = server.pull(token, Some(cursor), &COLLECTIONS).await;
    assert!(pulled.header.get("reset").is_none(), "{}", pulled.header);
    let forgotten = pulled.header.get("forget_groups").cloned().unwrap_or_default();
    (forgotten, pulled.ids().into_iter().map(str::to_owned).collect(), pulled.cursor().clone())
}

#[tokio::test]
async fn rule_27_who_is_put_out_is_told_to_forget_and_gets_no_frame_more() {
    let (live, admin) = teams().await;
    let server = &live.server;
    let bob = server.token("bob");
    let at = server.pull(&bob, None, &COLLECTIONS).await.cursor().clone();
    let (mut socket, ready) = live.ready(auth(&bob)).await;
    assert_eq!(ready["cursor"], at);
    // In one push: he is out, and something is written that he would have seen.
    let verdicts = server.push(&admin, "admin", 3, &[delete("members", "mb", 2)]).await;
    applied(&verdicts);
    let alice = server.token("alice");
    applied(&server.push(&alice, "alice", 3, &[deal("canary", "red")]).await);
    let (forgotten, ids, at) = told_to_pull(&mut socket, server, &bob, &at).await;
    assert_eq!(forgotten, json!(["team:red"]));
    assert!(!ids.contains(&"canary".to_owned()), "{ids:?}");
    // The channel goes on from there: with what he may see.
    applied(&server.push(&admin, "admin", 4, &[member("mb2", "bob", "blue", "")]).await);
    let (forgotten, ids, at) = told_to_pull(&mut socket, server, &bob, &at).await;
    assert_eq!((forgotten, ids), (Value::Null, vec!["mb2".to_owned()]));
    let made = server.push(&bob, "bob", 1, &[deal("d3", "blue")]).await;
    let frame = socket.hear().await;
    assert_eq!((&frame["after"], &frame["changes"][0]["id"]), (&at, &json!("d3")), "{frame}");
    assert_eq!(frame["cursor"]["seq"], rev(&made[0]));
}

#[tokio::test]
async fn rule_23_who_is_let_in_gets_what_was_there_before() {
    let (live, admin) = teams().await;
    let server = &live.server;
    let carol = server.token("carol");
    let at = server.pull(&carol, None, &COLLECTIONS).await.cursor().clone();
    let (mut socket, _) = live.ready(auth(&carol)).await;
    applied(&server.push(&admin, "admin", 3, &[member("mc", "carol", "red", "")]).await);
    let (forgotten, mut ids, _) = told_to_pull(&mut socket, server, &carol, &at).await;
    ids.sort();
    assert_eq!((forgotten, ids), (Value::Null, ["d1", "d2", "ma", "mb", "mc"].map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn a_new_token_with_other_roles_counts_at_once() {
    let (live, _) = teams().await;
    let server = &live.server;
    let (auditor, plain) = (server.token_as("eve", &["auditor"], None), server.token("eve"));
    let at = server.pull(&auditor, None, &COLLECTIONS).await.cursor().clone();
    let (mut socket, _) = live.ready(auth(&auditor)).await;
    socket.say(&json!({"t": "token", "token": plain})).await;
    let (forgotten, ids, at) = told_to_pull(&mut socket, server, &plain, &at).await;
    assert_eq!((forgotten, ids), (json!(["&role:auditor;tenant"]), vec![]));
    socket.say(&json!({"t": "token", "token": auditor})).await;
    let (_, ids, _) = told_to_pull(&mut socket, server, &auditor, &at).await;
    assert_eq!(ids, ["d1", "d2"]);
}

#[tokio::test]
async fn memberships_are_found_again_when_the_policy_changes_and_after_an_upgrade() {
    let (live, _) = teams().await;
    let Live { server, task, .. } = live;
    task.abort();
    // Before, members were no memberships.
    let without = TOML.replace("membership = { user = \"userId\"", "# membership = { user = \"userId\"");
    let server = server.restart(&without).await;
    let alice = server.token("alice");
    assert!(ids(&server, &alice, "deals").await.is_empty());
    let server = server.restart(TOML).await;
    assert_eq!(ids(&server, &alice, "deals").await, ["d1", "d2"]);
    assert_eq!(ids(&server, &server.token("carol"), "deals").await, Vec::<String>::new());
}
