//! A server in this process with a database of its own, and the messages that the tests send.

#![allow(dead_code, unreachable_pub, reason = "shared by the test files, each of which uses its own part")]

pub mod live;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidewire_core::ids::Owner;
use tidewire_server::config::Config;
use tidewire_server::policy::Principal;
use tidewire_server::{AppState, State, Timeouts, app};
use tower::ServiceExt;

/// Everybody of a tenant sees `notes`; only its owner sees a `draft`; `/f` of a `waiting` waits for
/// its author.
pub const TOML: &str = r#"
[auth]
leeway = 0
[collections.notes]
required = ["/title"]
types = { "/amount" = "number" }
[collections.drafts]
groups = ["user:{ownerId}"]
[collections.waiting]
fields = { "/f" = "manual" }
[collections.both]
groups = ["tenant", "user:{ownerId}"]
"#;

pub struct Server {
    pub state: AppState,
    pub router: Router,
    pub directory: TempDir,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("a JSON answer")
    }

    pub fn lines(&self) -> Vec<Value> {
        let text = std::str::from_utf8(&self.bytes).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub fn refused(&self) -> (u16, String) {
        (self.status.as_u16(), self.json()["code"].as_str().expect("a code").to_owned())
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(TOML, Timeouts::default()).await
    }

    pub async fn start_with(toml: &str, timeouts: Timeouts) -> Self {
        Self::open(TempDir::new().expect("a directory"), toml, timeouts).await
    }

    pub async fn open(directory: TempDir, toml: &str, timeouts: Timeouts) -> Self {
        Self::open_as(directory, toml, timeouts, true).await
    }

    pub async fn without_dev(toml: &str) -> Self {
        Self::open_as(TempDir::new().expect("a directory"), toml, Timeouts::default(), false).await
    }

    async fn open_as(directory: TempDir, toml: &str, timeouts: Timeouts, dev: bool) -> Self {
        let mut config = Config::parse("test.toml", toml).expect("a configuration");
        config.server.data = directory.path().to_owned();
        let state = State::open(config, dev, timeouts).await.expect("a store");
        Self { router: app(state.clone()), state, directory }
    }

    /// Stops the store and starts a server over the same files.
    pub async fn restart(self, toml: &str) -> Self {
        self.state.store.close().await;
        Self::open(self.directory, toml, Timeouts::default()).await
    }

    pub fn token(&self, user: &str) -> String {
        self.token_of(user, "demo")
    }

    pub fn token_of(&self, user: &str, tenant: &str) -> String {
        self.issue(&Principal::plain(owner(user, tenant)), 3_600).0
    }

    /// With the time at which it expires, in milliseconds since 1970.
    pub fn short_token(&self, user: &str, seconds: u64) -> (String, u64) {
        self.issue(&Principal::plain(owner(user, "demo")), seconds)
    }

    /// Of a user with roles, in an app.
    pub fn token_as(&self, user: &str, roles: &[&str], app: Option<&str>) -> String {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        self.issue(&Principal { owner: owner(user, "demo"), roles, app: app.map(str::to_owned) }, 3_600).0
    }

    fn issue(&self, principal: &Principal, seconds: u64) -> (String, u64) {
        self.state.auth.issue(principal, seconds, now()).expect("a demo token")
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).expect("a request")).await;
        let (parts, body) = response.expect("an answer").into_parts();
        let bytes = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    pub async fn post(&self, token: &str, path: &str, body: impl Into<Body>) -> Answer {
        self.send(Method::POST, path, &[("authorization", &format!("Bearer {token}"))], body).await
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.send(Method::GET, path, &[("authorization", &format!("Bearer {token}"))], Body::empty()).await
    }

    /// Pushes mutations of a replica whose numbers are their places from `first` on; returns the verdicts.
    pub async fn push(&self, token: &str, replica: &str, first: u64, mutations: &[Value]) -> Vec<Value> {
        let answer = self.post(token, "/api/sync/push", push_body(replica, first, mutations).to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer.bytes));
        answer.json()["verdicts"].as_array().expect("verdicts").clone()
    }

    pub async fn pull(&self, token: &str, cursor: Option<&Value>, collections: &[&str]) -> Pulled {
        let answer = self.post(token, "/api/sync/pull", pull_body(cursor, collections).to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer.bytes));
        Pulled::new(answer.lines())
    }
}

fn owner(user: &str, tenant: &str) -> Owner {
    Owner { tenant: tenant.to_owned(), subject: user.to_owned() }
}

/// A pull, taken apart.
#[derive(Debug)]
pub struct Pulled {
    pub header: Value,
    pub changes: Vec<Value>,
    pub checkpoints: Vec<Value>,
    /// The lines behind the header, in order.
    pub lines: Vec<Value>,
}

impl Pulled {
    pub fn new(mut lines: Vec<Value>) -> Self {
        let header = lines.remove(0)["pull"].take();
        let (checkpoints, changes) = lines.iter().cloned().partition(|line| line.get("cursor").is_some());
        Self { header, changes, checkpoints, lines }
    }

    pub fn ids(&self) -> Vec<&str> {
        self.changes.iter().map(|change| change["id"].as_str().expect("an id")).collect()
    }

    pub fn cursor(&self) -> &Value {
        let last = self.checkpoints.last().expect("a checkpoint");
        assert_eq!(last["done"], true, "the stream ends with done");
        &last["cursor"]
    }
}

pub fn push_body(replica: &str, first: u64, mutations: &[Value]) -> Value {
    let item = |(i, m): (usize, &Value)| json!({"n": [first + i as u64, 0], "m": m});
    let items: Vec<Value> = mutations.iter().enumerate().map(item).collect();
    json!({"v": 1, "replica": replica, "fence": 1, "floor": [0, 0], "now": now(), "mutations": items})
}

pub fn pull_body(cursor: Option<&Value>, collections: &[&str]) -> Value {
    let mut body = json!({"v": 1, "replica": "reader", "now": now(), "collections": collections});
    if let Some(cursor) = cursor {
        body["cursor"] = cursor.clone();
    }
    body
}

pub fn insert(collection: &str, id: &str, fields: Value) -> Value {
    let fields = fields.as_object().expect("an object").clone();
    let set: serde_json::Map<String, Value> =
        fields.into_iter().map(|(key, value)| (format!("/{key}"), value)).collect();
    json!({"c": collection, "id": id, "kind": "insert", "base": 0, "set": set, "at": [now(), 0]})
}

pub fn note(id: &str) -> Value {
    insert("notes", id, json!({"title": id}))
}

pub fn draft(id: &str, owner: &str) -> Value {
    insert("drafts", id, json!({"ownerId": owner}))
}

/// A patch of one field by somebody who saw the revision `base` and the value `was`.
pub fn patch(collection: &str, id: &str, base: u64, path: &str, was: Value, value: Value) -> Value {
    let (set, was) = (json!({path: value}), json!({path: was}));
    json!({"c": collection, "id": id, "kind": "patch", "base": base, "set": set, "was": was, "at": [now(), 0]})
}

pub fn delete(collection: &str, id: &str, base: u64) -> Value {
    json!({"c": collection, "id": id, "kind": "delete", "base": base, "at": [now(), 0]})
}

pub fn now() -> u64 {
    tidewire_server::state::now_ms()
}

pub fn rev(verdict: &Value) -> u64 {
    verdict["rev"].as_u64().unwrap_or_else(|| panic!("no rev in {verdict}"))
}
