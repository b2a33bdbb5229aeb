//! Addresses, limits, origins, files and errors.

mod common;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use bytes::Bytes;
use common::{Server, TOML, note, push_body};
use serde_json::{Value, json};
use tidewire_core::limits::{PUSH_BYTES_MAX, PUSH_MUTATIONS_MAX};
use tidewire_server::Timeouts;

#[tokio::test]
async fn everything_but_healthz_needs_a_token() {
    let server = Server::start().await;
    let answer = server.send(Method::GET, "/healthz", &[], Body::empty()).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({"status": "ok"})));
    for (method, path) in [
        (Method::POST, "/api/sync/push"),
        (Method::POST, "/api/sync/pull"),
        (Method::GET, "/api/sync/status"),
        (Method::GET, "/api/sync/health"),
        (Method::GET, "/api/sync/entities/notes/a"),
    ] {
        for headers in [&[][..], &[("authorization", "Bearer x.y.z")][..]] {
            let answer = server.send(method.clone(), path, headers, "{}").await;
            assert_eq!(answer.refused(), (401, "unauthorized".into()), "{path}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    let alice = server.token("alice");
    assert_eq!(server.get(&alice, "/api/sync/health").await.json()["status"], "ok");
    assert_eq!(server.get(&alice, "/api/sync/status").await.json()["user"]["subject"], "alice");
}

#[tokio::test]
async fn a_store_that_is_closed_is_not_healthy() {
    let server = Server::start().await;
    let alice = server.token("alice");
    server.state.store.close().await;
    let push = server.post(&alice, "/api/sync/push", push_body("r", 1, &[note("a")]).to_string()).await;
    assert_eq!((push.refused(), push.header("retry-after")), ((503, "server-error".into()), "1"));
    // The thread ends a moment after its last answer.
    let unhealthy = async {
        while server.send(Method::GET, "/healthz", &[], Body::empty()).await.status != StatusCode::SERVICE_UNAVAILABLE {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), unhealthy).await.expect("said so");
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let server = Server::start().await;
    let answer = server.send(Method::POST, "/api/dev/token", &[], r#"{"user": "a", "ttlSeconds": 0}"#).await.json();
    let expired = answer["token"].as_str().expect("a token");
    tokio::time::sleep(Duration::from_millis(1_001)).await;
    assert_eq!(server.get(expired, "/api/sync/status").await.refused(), (401, "unauthorized".into()));
}

#[tokio::test]
async fn demo_tokens_have_the_promised_shape() {
    let server = Server::start().await;
    let ask = |body: &'static str| server.send(Method::POST, "/api/dev/token", &[], body);
    let answer = ask(r#"{"user": "alice", "tenant": "acme", "ttlSeconds": 60}"#).await.json();
    let left = answer["expiresAt"].as_u64().expect("a time") - common::now();
    assert!((58_000..=61_000).contains(&left), "{left}");
    let token = answer["token"].as_str().expect("a token");
    let user = server.get(token, "/api/sync/status").await.json()["user"].clone();
    assert_eq!(user, json!({"tenant": "acme", "subject": "alice"}));
    assert_eq!(ask(r#"{"user": ""}"#).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(ask("{}").await.refused(), (400, "bad-message".into()));
}

#[tokio::test]
async fn demo_tokens_are_for_pages_on_this_machine() {
    let server = Server::start().await;
    for (host, origin, expected) in [
        ("localhost:8787", "http://localhost:5173", 200),
        ("127.0.0.1:8787", "http://127.0.0.1:1", 200),
        ("rebound.evil.example", "http://rebound.evil.example", 403),
        ("localhost:8787", "https://evil.example", 403),
        ("localhost:8787", "null", 403),
    ] {
        let headers = [("host", host), ("origin", origin)];
        let answer = server.send(Method::POST, "/api/dev/token", &headers, r#"{"user": "a"}"#).await;
        assert_eq!(answer.status.as_u16(), expected, "{host} {origin}");
    }
}

#[tokio::test]
async fn only_listed_origins_may_read_answers() {
    let toml = format!("[server]\norigins = [\"https://app.example.com\"]\n{TOML}");
    let server = Server::start_with(&toml, Timeouts::default()).await;
    for (origin, allowed) in [
        ("https://app.example.com", true),
        ("http://localhost:5173", true),
        ("http://[::1]:5173", true),
        ("http://app.example.com", false),
        ("https://app.example.com:8443", false),
        ("https://app.example.com.evil.example", false),
        ("http://localhost.evil.example", false),
        ("null", false),
    ] {
        let ask = [("origin", origin), ("access-control-request-method", "POST")];
        let preflight = server.send(Method::OPTIONS, "/api/sync/push", &ask, Body::empty()).await;
        assert_eq!(preflight.status.as_u16(), if allowed { 204 } else { 403 }, "{origin}");
        let answer = server.send(Method::GET, "/healthz", &[("origin", origin)], Body::empty()).await;
        assert_eq!(answer.header("access-control-allow-origin"), if allowed { origin } else { "" });
        assert_eq!(answer.header("access-control-expose-headers").contains("retry-after"), allowed);
        assert!(answer.headers.get_all("vary").iter().any(|vary| vary == "origin"));
    }
    // An error can be read too.
    let refused =
        server.send(Method::GET, "/api/sync/status", &[("origin", "http://localhost:1")], Body::empty()).await;
    assert_eq!((refused.status.as_u16(), refused.header("access-control-allow-origin")), (401, "http://localhost:1"));
}

#[tokio::test]
async fn a_push_has_at_most_a_thousand_mutations() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let void = |count: usize| {
        let items: Vec<Value> = (0..count).map(|i| json!({"n": [i + 1, 0]})).collect();
        json!({"v": 1, "replica": "r", "fence": 0, "floor": [0, 0], "now": 1, "mutations": items}).to_string()
    };
    let most = server.post(&alice, "/api/sync/push", void(PUSH_MUTATIONS_MAX)).await;
    assert_eq!(most.json()["verdicts"].as_array().expect("verdicts").len(), PUSH_MUTATIONS_MAX);
    let more = server.post(&alice, "/api/sync/push", void(PUSH_MUTATIONS_MAX + 1)).await;
    assert_eq!(more.refused(), (413, "too-large".into()));
}

#[tokio::test]
async fn a_body_has_at_most_eight_mebibytes() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let mut body = push_body("r", 1, &[note("a")]).to_string().into_bytes();
    body.resize(PUSH_BYTES_MAX, b' ');
    assert_eq!(server.post(&alice, "/api/sync/push", body.clone()).await.status, StatusCode::OK);
    body.push(b' ');
    assert_eq!(server.post(&alice, "/api/sync/push", body.clone()).await.refused(), (413, "too-large".into()));
    // Without a length too.
    let chunks = (0..).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1 << 20])));
    let endless = Body::from_stream(futures_util::stream::iter(chunks));
    assert_eq!(server.post(&alice, "/api/sync/push", endless).await.refused(), (413, "too-large".into()));
}

#[tokio::test]
async fn deep_or_hostile_content_is_refused_alone() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let edit = |id: &str, value: &str| {
        format!(
            r#"{{"c":"notes","id":"{id}","kind":"insert","base":0,"set":{{"/title":"t","/x":{value}}},"at":[1,0]}}"#
        )
    };
    let contents = [
        edit("a", &nested(63)),
        edit("b", &nested(64)),
        edit("c", &nested(100_000)),
        edit("d", r#"{"k":1,"k":2}"#),
        edit("e", r#"{"__proto__":1}"#),
        edit("f", "1e400"),
        edit("g", "1"),
    ];
    let items: Vec<String> =
        contents.iter().enumerate().map(|(i, m)| format!(r#"{{"n":[{},0],"m":{m}}}"#, i + 1)).collect();
    let items = items.join(",");
    let body = format!(r#"{{"v":1,"replica":"r","fence":0,"floor":[0,0],"now":1,"mutations":[{items}]}}"#);
    let answer = server.post(&alice, "/api/sync/push", body).await.json();
    let verdicts: Vec<&str> = answer["verdicts"]
        .as_array()
        .expect("verdicts")
        .iter()
        .map(|verdict| verdict["code"].as_str().unwrap_or("applied"))
        .collect();
    assert_eq!(verdicts, ["applied", "too-deep", "too-deep", "bad-json", "forbidden-key", "bad-json", "applied"]);
}

#[tokio::test]
async fn messages_that_are_none_are_refused_with_a_code() {
    let server = Server::start().await;
    let alice = server.token("alice");
    let deep = "[".repeat(100_000);
    for (body, expected) in [
        ("", (400, "bad-json")),
        ("{", (400, "bad-json")),
        ("[]", (400, "bad-message")),
        ("{}", (400, "bad-message")),
        (deep.as_str(), (400, "bad-message")),
        (r#"{"v":2}"#, (426, "upgrade-required")),
        (r#"{"v":0,"x":1}"#, (426, "upgrade-required")),
        (r#"{"v":1,"v":1}"#, (400, "bad-message")),
        (r#"{"v":1,"replica":"__proto__","fence":0,"floor":[0,0],"now":1,"mutations":[]}"#, (400, "bad-message")),
        (
            r#"{"v":1,"replica":"r","fence":0,"floor":[0,0],"now":1,"mutations":[{"n":[9007199254740993,0]}]}"#,
            (400, "bad-message"),
        ),
    ] {
        let answer = server.post(&alice, "/api/sync/push", body.to_owned()).await;
        assert_eq!(answer.refused(), (expected.0, expected.1.to_owned()), "{}", &body[..body.len().min(80)]);
    }
    let pull = json!({"v": 1, "replica": "r", "now": 1, "collections": ["nowhere"]}).to_string();
    assert_eq!(server.post(&alice, "/api/sync/pull", pull).await.refused(), (404, "unknown-collection".into()));
    let headers = [("authorization", &*format!("Bearer {alice}")), ("content-encoding", "gzip")];
    assert_eq!(server.send(Method::POST, "/api/sync/push", &headers, "x").await.refused().0, 400);
}

#[tokio::test]
async fn unknown_addresses_and_methods_answer_with_a_code() {
    let server = Server::start().await;
    for path in ["/api/sync/nothing", "/api/x", "/nothing"] {
        let answer = server.send(Method::GET, path, &[], Body::empty()).await;
        assert_eq!(answer.refused(), (404, "not-found".into()), "{path}");
    }
    for path in ["/api/sync/push", "/api/dev/token"] {
        let answer = server.send(Method::GET, path, &[], Body::empty()).await;
        assert_eq!(answer.refused(), (405, "bad-message".into()), "{path}");
    }
    assert_eq!(server.send(Method::POST, "/healthz", &[], Body::empty()).await.refused(), (405, "bad-message".into()));
}

#[tokio::test]
async fn what_the_http_library_refuses_has_the_body_of_an_error_too() {
    let server = Server::start().await;
    let bearer = format!("Bearer {}", server.token("alice"));
    for path in [
        "/api/sync/live",
        "/api/sync/entities/notes/%ff",
        "/api/sync/entities/%c0%af/a",
        "/api/sync/entities/notes/%ff/history",
    ] {
        let answer = server.send(Method::GET, path, &[("authorization", &bearer)], Body::empty()).await;
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
        assert_eq!(answer.refused().0, 400, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_drips_is_cut_off() {
    let timeouts = Timeouts { body: Duration::from_millis(200), ..Timeouts::default() };
    let server = Server::start_with(TOML, timeouts).await;
    let alice = server.token("alice");
    let drip = futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
    });
    let started = std::time::Instant::now();
    let answer = server.post(&alice, "/api/sync/push", Body::from_stream(drip)).await;
    assert_eq!(answer.refused(), (408, "timeout".into()));
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// A server with a hundred notes.
async fn with_notes(setting: &str) -> (Server, String) {
    let server = Server::start_with(&format!("{setting}{TOML}"), Timeouts::default()).await;
    let alice = server.token("alice");
    let notes: Vec<Value> = (0..100).map(|i| note(&format!("n{i}"))).collect();
    server.push(&alice, "r", 1, &notes).await;
    let bearer = format!("Bearer {alice}");
    (server, bearer)
}

#[tokio::test]
async fn answers_are_compressed_and_not_stored() {
    let (server, bearer) = with_notes("").await;
    for encoding in ["zstd", "br", "gzip"] {
        let headers = [("authorization", &*bearer), ("accept-encoding", encoding)];
        let body = common::pull_body(None, &["notes"]).to_string();
        let answer = server.send(Method::POST, "/api/sync/pull", &headers, body).await;
        assert_eq!((answer.header("content-encoding"), answer.header("cache-control")), (encoding, "no-store"));
        assert_eq!(answer.header("accept-encoding"), "gzip", "asks for compressed pushes");
        assert!(answer.bytes.len() < 4_000, "{}", answer.bytes.len());
    }
}

#[tokio::test]
async fn what_fits_a_packet_is_not_compressed() {
    let (server, bearer) = with_notes("").await;
    let headers = [("authorization", &*bearer), ("accept-encoding", "br")];
    let nothing = common::pull_body(None, &["drafts"]).to_string();
    let answer = server.send(Method::POST, "/api/sync/pull", &headers, nothing).await;
    assert_eq!((answer.header("content-encoding"), answer.lines().len()), ("", 2));
    let push = push_body("r", 1_000, &[note("last")]).to_string();
    let answer = server.send(Method::POST, "/api/sync/push", &headers, push).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-encoding")), (200, ""));
}

#[tokio::test]
async fn the_setting_says_what_is_compressed() {
    let here = [("origin", "http://localhost:5173"), ("host", "127.0.0.1:8787")];
    let elsewhere = [("origin", "https://app.example.com"), ("host", "127.0.0.1:8787")];
    for (setting, from, expected) in [
        ("", here, ("", "")),
        ("", elsewhere, ("br", "gzip")),
        ("[server]\ncompression = \"always\"\n", here, ("br", "gzip")),
        ("[server]\ncompression = \"never\"\n", elsewhere, ("", "")),
    ] {
        let (server, bearer) = with_notes(setting).await;
        let headers = [("authorization", &*bearer), ("accept-encoding", "br"), from[0], from[1]];
        let body = common::pull_body(None, &["notes"]).to_string();
        let answer = server.send(Method::POST, "/api/sync/pull", &headers, body).await;
        let found = (answer.header("content-encoding"), answer.header("accept-encoding"));
        assert_eq!(found, expected, "{setting} {from:?}");
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, text.as_bytes()).expect("in memory");
    encoder.finish().expect("in memory")
}

#[tokio::test]
async fn a_compressed_push_is_read_within_the_limit_of_a_plain_one() {
    let (server, bearer) = with_notes("[server]\nmax_push_bytes = 100000\n").await;
    let headers = [("authorization", &*bearer), ("content-encoding", "gzip")];
    let push = async |body: Vec<u8>| server.send(Method::POST, "/api/sync/push", &headers, body).await;
    let text = push_body("gz", 1, &[note("packed")]).to_string();
    let answer = push(gzip(&text)).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["verdicts"][0]["verdict"]), (200, &json!("applied")));
    // A bomb: 64 MiB from 64 KiB. Nor one byte more than the limit.
    for bomb in [" ".repeat(64 << 20), " ".repeat(100_001)] {
        assert_eq!(push(gzip(&bomb)).await.refused(), (413, "too-large".into()), "{}", bomb.len());
    }
    assert_eq!(push(gzip(&" ".repeat(100_000))).await.refused(), (400, "bad-json".into()));
    // What travels is bounded too: blocks of nothing unpack to nothing.
    let endless = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0, 0, 0, 0xff, 0xff].repeat(20_000)].concat();
    assert_eq!(push(endless).await.refused(), (413, "too-large".into()));
    let whole = gzip(&text);
    for strange in [b"{}".to_vec(), whole[..whole.len() - 1].to_vec(), [&whole[..], b"more"].concat(), Vec::new()] {
        assert_eq!(push(strange.clone()).await.refused(), (400, "bad-message".into()), "{strange:?}");
    }
    for unknown in ["br", "deflate", "gzip, gzip"] {
        let headers = [("authorization", &*bearer), ("content-encoding", unknown)];
        let answer = server.send(Method::POST, "/api/sync/push", &headers, text.clone()).await;
        assert_eq!(answer.refused(), (400, "bad-message".into()), "{unknown}");
    }
}

#[tokio::test]
async fn files_are_served_with_the_right_headers() {
    let site = tempfile::TempDir::new().expect("a directory");
    std::fs::create_dir(site.path().join("assets")).expect("a directory");
    for (name, text) in [
        ("index.html", "<!doctype html>"),
        ("sw.js", "//"),
        ("assets/app-BfPqcZ1x.js", "//"),
        ("assets/tidewire-BfPqcZ1x.wasm", "\0asm"),
    ] {
        std::fs::write(site.path().join(name), text).expect("written");
    }
    let toml = format!("[server]\nstatic = {:?}\nconnect = [\"https://api.example\"]\n{TOML}", site.path());
    let server = Server::start_with(&toml, Timeouts::default()).await;
    for (path, status, cache, kind) in [
        ("/", 200, "no-cache", "text/html"),
        ("/customers/7", 200, "no-cache", "text/html"),
        ("/index.html", 200, "no-cache", "text/html"),
        ("/sw.js", 200, "no-cache", "text/javascript"),
        ("/assets/app-BfPqcZ1x.js", 200, "public, max-age=31536000, immutable", "text/javascript"),
        ("/assets/tidewire-BfPqcZ1x.wasm", 200, "public, max-age=31536000, immutable", "application/wasm"),
        ("/assets/gone-BfPqcZ1x.js", 404, "no-cache", "application/json"),
        ("/..%2f..%2fetc/passwd.txt", 404, "no-cache", "application/json"),
    ] {
        let answer = server.send(Method::GET, path, &[], Body::empty()).await;
        assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (status, cache), "{path}");
        assert!(answer.header("content-type").starts_with(kind), "{path}: {}", answer.header("content-type"));
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("script-src 'self' 'wasm-unsafe-eval';"), "{policy}");
        assert!(policy.contains("connect-src 'self' https://api.example "), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    assert_eq!(server.send(Method::POST, "/index.html", &[], Body::empty()).await.status.as_u16(), 405);
    assert_eq!(server.send(Method::GET, "/api/x", &[], Body::empty()).await.refused(), (404, "not-found".into()));
}

#[tokio::test]
async fn a_served_page_may_connect_to_the_origins_of_the_file_and_with_dev_to_this_machine() {
    let site = tempfile::TempDir::new().expect("a directory");
    std::fs::write(site.path().join("index.html"), "<p>").expect("written");
    let connect = r#"connect = ["https://api.example", "http://b.example:8787", "wss://c.example"]"#;
    let toml = format!("[server]\nstatic = {:?}\n{connect}\n{TOML}", site.path());
    let page = |server: Server| async move {
        let answer = server.send(Method::GET, "/", &[], Body::empty()).await;
        let policy = answer.header("content-security-policy").to_owned();
        let directive = policy.split("; ").find_map(|part| part.strip_prefix("connect-src "));
        directive.unwrap_or_else(|| panic!("no connect-src in {policy}")).to_owned()
    };
    // A socket has a scheme of its own: an origin is allowed for both.
    let configured = "'self' https://api.example wss://api.example http://b.example:8787 ws://b.example:8787 \
                      wss://c.example";
    assert_eq!(page(Server::without_dev(&toml).await).await, configured);
    let dev = page(Server::start_with(&toml, Timeouts::default()).await).await;
    let here = "http://localhost:* ws://localhost:* http://127.0.0.1:* ws://127.0.0.1:*";
    assert_eq!(dev, format!("{configured} {here}"));
}
