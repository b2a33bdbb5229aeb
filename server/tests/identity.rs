//! Natural keys and references, as the configuration declares them: what is the same thing becomes one, under either
//! id.

mod common;

use std::time::Duration;

use axum::http::StatusCode;
use common::{Server, delete, insert, patch};
use serde_json::{Value, json};
use tidewire_server::Timeouts;

const TOML: &str = r#"
[auth]
leeway = 0
[collections.roles]
natural_keys = [["/name"]]
[collections.users]
natural_keys = [["/email"]]
[collections.users.refs]
"/roleId" = { to = "roles", on_delete = "restrict" }
[collections.permissions]
natural_keys = [["/resource", "/action", "/scope"]]
[collections.permissions.refs]
"/roleId" = { to = "roles", on_delete = "cascade" }
[collections.products]
natural_keys = [["/sku"]]
exact_keys = true
[collections.customers]
natural_keys = [["/email"], ["/name", "/phone"]]
[collections.proposals]
natural_keys = [["/title", "/type", "/createdBy"]]
[collections.proposals.refs]
"/createdBy" = { to = "users", on_delete = "restrict" }
"/customerId" = { to = "customers", on_delete = "set-null" }
[collections.content]
natural_keys = [["/title", "/type", "/createdBy"]]
[collections.content.refs]
"/createdBy" = { to = "users", on_delete = "cascade" }
[collections.drafts]
groups = ["user:{ownerId}"]
natural_keys = [["/name"]]
"#;

const COLLECTIONS: [&str; 7] = ["content", "customers", "permissions", "products", "proposals", "roles", "users"];

async fn start() -> Server {
    Server::start_with(TOML, Timeouts::default()).await
}

/// What one side has: records under ids of its own that refer to each other by them. `copies`: how often all of it.
fn records(side: &str, copies: usize) -> Vec<Value> {
    let mut all = Vec::new();
    for copy in 0..copies {
        let id = |kind: &str, i: usize| format!("{side}-{kind}-{copy}-{i}");
        let mut make = |collection: &str, kind: &str, i: usize, mut fields: Value| {
            fields[format!("from_{side}")] = json!(i);
            all.push(insert(collection, &id(kind, i), fields));
        };
        // Texts count without case and white space around them: each side writes them in its way.
        let told = |text: String| if side == "a" { text } else { format!(" {} ", text.to_uppercase()) };
        for i in 0..6 {
            make("roles", "role", i, json!({"name": told(format!("role {copy} {i}"))}));
        }
        for i in 0..10 {
            let email = told(format!("user{i}.{copy}@example.com"));
            make("users", "user", i, json!({"email": email, "roleId": id("role", i % 6)}));
        }
        for i in 0..61 {
            let (resource, action) = (told(format!("resource {copy} {}", i / 8)), told(format!("action {}", i % 8)));
            let fields = json!({"resource": resource, "action": action, "scope": "all", "roleId": id("role", i % 6)});
            make("permissions", "permission", i, fields);
        }
        for i in 0..6 {
            make("products", "product", i, json!({"sku": format!("SKU-{copy}-{i}")}));
        }
        for i in 0..5 {
            // Some have no address: then name and number count together.
            let mut fields = json!({"name": told(format!("Customer {copy} {i}")), "phone": format!("+49 {i}")});
            if i % 2 == 0 {
                fields["email"] = json!(told(format!("c{i}.{copy}@example.com")));
            }
            make("customers", "customer", i, fields);
        }
        for (collection, kind) in [("proposals", "proposal"), ("content", "content")] {
            for i in 0..5 {
                let title = told(format!("{kind} {copy} {i}"));
                let mut fields = json!({"title": title, "type": kind, "createdBy": id("user", i)});
                if kind == "proposal" {
                    fields["customerId"] = json!(id("customer", i));
                }
                make(collection, kind, i, fields);
            }
        }
    }
    all
}

/// Pushes in parts that the server takes.
async fn push_all(server: &Server, token: &str, replica: &str, mutations: &[Value]) -> Vec<Value> {
    let mut verdicts = Vec::new();
    for part in mutations.chunks(500) {
        verdicts.extend(server.push(token, replica, 1 + verdicts.len() as u64, part).await);
    }
    verdicts
}

async fn both_sides_become_one(copies: usize) {
    let server = start().await;
    let (ann, ben) = (server.token("ann"), server.token("ben"));
    let (hers, his) = (records("a", copies), records("b", copies));
    assert_eq!(hers.len(), 98 * copies);
    for verdict in push_all(&server, &ann, "a", &hers).await {
        assert_eq!(verdict["verdict"], "applied", "{verdict}");
    }
    let begun = std::time::Instant::now();
    let verdicts = push_all(&server, &ben, "b", &his).await;
    assert!(copies > 1 || begun.elapsed() < Duration::from_secs(1), "98 records took {:?}", begun.elapsed());
    for ((verdict, his), hers) in verdicts.iter().zip(&his).zip(&hers) {
        assert_eq!(verdict["remap"], json!({"from": his["id"], "to": hers["id"]}), "{verdict}");
    }
    let pulled = server.pull(&ann, None, &COLLECTIONS).await;
    assert_eq!(pulled.changes.len(), 98 * copies, "each thing is there once");
    for change in &pulled.changes {
        let (id, doc) = (change["id"].as_str().expect("an id"), &change["doc"]);
        assert!(id.starts_with("a-"), "{id} is of the side that came first");
        assert!(doc["from_a"].is_u64() && doc["from_a"] == doc["from_b"], "{id} has what both said: {doc}");
        for field in ["roleId", "createdBy", "customerId"] {
            let to = doc[field].as_str().unwrap_or("a-");
            assert!(to.starts_with("a-"), "{id} refers to {to} by {field}");
        }
    }
}

#[tokio::test]
async fn ninety_eight_records_with_other_ids_on_both_sides_become_98() {
    both_sides_become_one(1).await;
}

/// `TIDEWIRE_RECORDS`: how many at least; `npm run test:long` has 50,000.
#[tokio::test]
async fn thousands_of_records_with_other_ids_on_both_sides_become_as_many() {
    let records = std::env::var("TIDEWIRE_RECORDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000_usize);
    both_sides_become_one(records.div_ceil(98)).await;
}

#[tokio::test]
async fn an_entity_is_found_under_either_id_with_what_is_known_of_it() {
    let server = start().await;
    let (ann, ben) = (server.token("ann"), server.token("ben"));
    server.push(&ann, "a", 1, &[insert("users", "u1", json!({"email": "ada@x.org", "name": "Ada"}))]).await;
    server.push(&ben, "b", 1, &[insert("users", "u2", json!({"email": "ADA@x.org", "city": "Ulm"}))]).await;
    let known = server.get(&ben, "/api/sync/entities/users/u2").await.json();
    assert_eq!((&known["id"], &known["aliases"]), (&json!("u1"), &json!(["u2"])));
    assert_eq!(
        known["doc"],
        json!({"email": "ADA@x.org", "name": "Ada", "city": "Ulm"}),
        "by strategy: the later wins"
    );
    assert_eq!(known["syncStatus"], "synced");
    assert!(known["lastSyncedAt"].as_u64().is_some_and(|at| common::now() - at < 60_000), "{known}");
    // Edits and deletions under the old id are those of the new one.
    let edit = patch("users", "u2", 2, "/city", json!("Ulm"), json!("Bonn"));
    assert_eq!(server.push(&ben, "b", 2, &[edit]).await[0]["verdict"], "applied");
    let known = server.get(&ann, "/api/sync/entities/users/u1").await.json();
    assert_eq!(known["doc"]["city"], "Bonn");
    assert_eq!(server.get(&ann, "/api/sync/entities/users/u2/history").await.status, StatusCode::OK);
    assert_eq!(server.push(&ben, "b", 3, &[delete("users", "u2", 3)]).await[0]["verdict"], "applied");
    assert_eq!(server.get(&ann, "/api/sync/entities/users/u1").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_key_of_what_one_may_not_see_is_taken_and_no_more_is_said() {
    let server = start().await;
    let (ann, ben) = (server.token("ann"), server.token("ben"));
    let draft = |id: &str, owner: &str| insert("drafts", id, json!({"name": "plan", "ownerId": owner}));
    server.push(&ann, "a", 1, &[draft("hers", "ann")]).await;
    let said = server.push(&ben, "b", 1, &[draft("his", "ben")]).await.remove(0);
    assert_eq!(
        (&said["verdict"], &said["code"], &said["path"]),
        (&json!("rejected"), &json!("key-taken"), &json!("/name"))
    );
    assert!(!said.to_string().contains("hers"), "{said}");
}

#[tokio::test]
async fn what_refers_to_a_deleted_entity_follows_it() {
    let server = start().await;
    let ann = server.token("ann");
    let made = [
        insert("roles", "r", json!({"name": "admin"})),
        insert("users", "u", json!({"email": "a@x.org", "roleId": "r"})),
        insert("permissions", "p", json!({"resource": "a", "action": "b", "scope": "c", "roleId": "r"})),
        insert("customers", "c", json!({"email": "c@x.org"})),
        insert("proposals", "o", json!({"title": "t", "type": "p", "createdBy": "u", "customerId": "c"})),
    ];
    let revs: Vec<u64> = server.push(&ann, "a", 1, &made).await.iter().map(common::rev).collect();
    let gone = [delete("roles", "r", revs[0]), delete("customers", "c", revs[3])];
    let verdicts = server.push(&ann, "a", 6, &gone).await;
    assert_eq!(verdicts[0]["code"], "restricted", "a user has the role");
    assert_eq!(verdicts[1]["verdict"], "applied");
    let proposal = server.get(&ann, "/api/sync/entities/proposals/o").await.json();
    assert_eq!(proposal["doc"]["customerId"], Value::Null);
    let base = proposal["rev"].as_u64().expect("a revision");
    let gone = [delete("proposals", "o", base), delete("users", "u", revs[1]), delete("roles", "r", revs[0])];
    let verdicts = server.push(&ann, "a", 8, &gone).await;
    assert!(verdicts.iter().all(|verdict| verdict["verdict"] == "applied"), "{verdicts:?}");
    assert_eq!(server.get(&ann, "/api/sync/entities/permissions/p").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn keys_that_are_declared_later_hold_for_what_is_there_and_aliases_outlive_new_groups() {
    let without = TOML.replace("natural_keys = [[\"/email\"]]", "");
    let server = Server::start_with(&without, Timeouts::default()).await;
    let (ann, ben) = (server.token("ann"), server.token("ben"));
    let user = |id: &str| insert("users", id, json!({"email": "ada@x.org"}));
    server.push(&ann, "a", 1, &[user("u1")]).await;
    let server = server.restart(TOML).await;
    let verdicts = server.push(&ben, "b", 1, &[user("u2")]).await;
    assert_eq!(verdicts[0]["remap"]["to"], "u1", "{verdicts:?}");
    // Other groups: every entity gets its groups anew, and aliases stay.
    let grouped =
        TOML.replace("[collections.users]\n", "[collections.users]\ngroups = [\"tenant\", \"user:{email}\"]\n");
    let server = server.restart(&grouped).await;
    let known = server.get(&ben, "/api/sync/entities/users/u2").await.json();
    assert_eq!((&known["id"], &known["aliases"]), (&json!("u1"), &json!(["u2"])));
    assert_eq!(server.push(&ben, "b", 2, &[user("u3")]).await[0]["remap"]["to"], "u1");
}

#[tokio::test]
async fn three_devices_that_make_one_customer_offline_have_one() {
    let server = start().await;
    let mut ids = Vec::new();
    for device in ["a", "b", "c"] {
        let token = server.token(device);
        let made = insert("customers", device, json!({"email": "new@x.org", device: true}));
        let refers = insert("users", device, json!({"email": device}));
        let proposal = json!({"title": device, "type": "p", "createdBy": device, "customerId": device});
        let verdicts = server.push(&token, device, 1, &[made, refers, insert("proposals", device, proposal)]).await;
        ids.push(verdicts[0]["remap"]["to"].clone());
    }
    assert_eq!(ids, [Value::Null, json!("a"), json!("a")]);
    let pulled = server.pull(&server.token("a"), None, &["customers", "proposals"]).await;
    assert_eq!(pulled.changes.iter().filter(|change| change["c"] == "customers").count(), 1);
    for change in pulled.changes.iter().filter(|change| change["c"] == "proposals") {
        assert_eq!(change["doc"]["customerId"], "a");
    }
}
