//! A server process with two tenants, an honest user's private rows and another tenant's rows, all of which hold the
//! canary; and Mallory, who has a good token of the first tenant.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::wire::{Connection, request};

/// Stands in everything that Mallory may not see, and nowhere else.
pub const CANARY: &str = "canary-5d41402abc4b2a76";
/// Signs the tokens of the issuer.
pub const SECRET: &str = "a secret of at least thirty-two bytes";
pub const ISSUER: &str = "https://issuer.example";

const TOML: &str = r#"
[server]
origins = ["https://app.example.com"]
max_push_bytes = 200000
[auth]
issuer = "https://issuer.example"
audience = "tidewire"
hs256_secret = "a secret of at least thirty-two bytes"
tenant_claim = "org"
leeway = 0
[collections.notes]
required = ["/title"]
types = { "/amount" = "number" }
[collections.drafts]
groups = ["user:{ownerId}"]
"#;

pub struct Site {
    child: Child,
    pub address: SocketAddr,
    _data: TempDir,
    /// Good tokens.
    pub mallory: String,
    pub alice: String,
    pub carol: String,
    /// Where Mallory, Alice and Carol (of the other tenant) stand.
    pub cursors: [Value; 3],
}

impl Site {
    pub fn start() -> Self {
        let data = TempDir::new().expect("a directory");
        let config = data.path().join("hostile.toml");
        fs::write(&config, TOML).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidewire-server"))
            .args(["--dev", "--port", "0", "--data"])
            .arg(data.path())
            .arg("--config")
            .arg(&config)
            .env("RUST_LOG", "off")
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on http://").expect("the promised line");
        let address = address.parse().expect("an address");
        let [mallory, alice, carol] =
            [("mallory", "demo"), ("alice", "demo"), ("carol", "other")].map(|(sub, org)| token(&claims(sub, org)));
        let cursors = [Value::Null, Value::Null, Value::Null];
        let mut site = Self { child, address, _data: data, mallory, alice, carol, cursors };
        site.furnish();
        site
    }

    fn furnish(&mut self) {
        let note = |id: &str, text: &str| {
            let set = json!({"/title": text});
            json!({"c": "notes", "id": id, "kind": "insert", "base": 0, "set": set, "at": [1, 0]})
        };
        let draft = |id: &str, text: &str| {
            let set = json!({"/ownerId": "alice", "/text": text});
            json!({"c": "drafts", "id": id, "kind": "insert", "base": 0, "set": set, "at": [1, 0]})
        };
        let secret = format!("{CANARY} of alice");
        self.push(
            &self.alice,
            "alice",
            &[draft("secret", &secret), draft("other", &secret), note("shared", "for all")],
        );
        self.push(&self.carol, "carol", &[note("theirs", CANARY), note("shared", CANARY)]);
        self.push(&self.mallory, "mallory", &[note("own", "mallory's")]);
        let tokens = [&self.mallory, &self.alice, &self.carol];
        self.cursors = tokens.map(|token| self.pull(token).1);
    }

    pub fn push(&self, token: &str, replica: &str, mutations: &[Value]) -> Value {
        let items: Vec<Value> = (1..).zip(mutations).map(|(n, m)| json!({"n": [n, 0], "m": m})).collect();
        let body =
            json!({"v": 1, "replica": replica, "fence": 1, "floor": [0, 0], "now": now_ms(), "mutations": items});
        let answer = self.ask("/api/sync/push", token, &body);
        serde_json::from_slice(&answer).expect("an answer")
    }

    /// The changes that somebody sees, and his cursor.
    pub fn pull(&self, token: &str) -> (Vec<Value>, Value) {
        let collections = json!(["notes", "drafts", "$conflicts"]);
        let body = json!({"v": 1, "replica": "reader", "now": now_ms(), "collections": collections});
        let answer = String::from_utf8(self.ask("/api/sync/pull", token, &body)).expect("text");
        let mut lines: Vec<Value> = answer.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
        let last = lines.pop().expect("a checkpoint");
        assert_eq!(last["done"], true, "{answer}");
        (lines.split_off(1), last["cursor"].clone())
    }

    fn ask(&self, path: &str, token: &str, body: &Value) -> Vec<u8> {
        let bytes =
            request("POST", path, &[("authorization", &format!("Bearer {token}"))], body.to_string().as_bytes());
        let answer = Connection::open(self.address).ask(&bytes).expect("an answer");
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.body
    }

    /// What Mallory may not change: Alice's private rows, and all of the other tenant's.
    pub fn foreign(&self) -> Vec<Value> {
        let drafts = self.pull(&self.alice).0.into_iter().filter(|row| row["c"] == "drafts");
        drafts.chain(self.pull(&self.carol).0).collect()
    }

    /// Resident memory of the process, in kilobytes.
    #[cfg(target_os = "linux")]
    pub fn resident_kb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("asked").is_none()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

/// Good claims.
pub fn claims(subject: &str, tenant: &str) -> Value {
    json!({"iss": ISSUER, "aud": "tidewire", "sub": subject, "org": tenant, "exp": now_ms() / 1_000 + 3_600})
}

/// A good token.
pub fn token(claims: &Value) -> String {
    super::tokens::signed(SECRET.as_bytes(), &json!({"alg": "HS256", "typ": "JWT"}), &claims.to_string())
}
