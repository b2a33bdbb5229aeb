//! `GET live`: the socket.

mod common;

use std::time::Duration;

use common::live::Live;
use common::{draft, insert, note, patch, rev};
use futures_util::SinkExt;
use serde_json::{Value, json};
use tidewire_core::limits::{LIVE_FRAME_BYTES_MAX, LIVE_MESSAGE_BYTES_MAX};
use tidewire_core::model::mutation::Mutation;
use tidewire_server::Timeouts;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

#[tokio::test]
async fn frames_chain_from_ready_and_match_the_pull() {
    let live = Live::start(Timeouts::default()).await;
    let alice = live.server.token("alice");
    live.server.push(&alice, "r", 1, &[note("a")]).await;
    let (mut socket, ready) = live.ready(live.auth("alice")).await;
    let pulled = live.server.pull(&alice, None, &["drafts", "notes"]).await;
    assert_eq!(ready["cursor"], *pulled.cursor(), "a client that has pulled goes on from here");
    let mut at = ready["cursor"].clone();
    for (n, id) in [(2, "b"), (3, "c")] {
        live.server.push(&alice, "r", n, &[note(id)]).await;
        let frame = socket.hear().await;
        assert_eq!((&frame["t"], &frame["after"]), (&json!("frame"), &at));
        assert_eq!(frame["changes"][0]["id"], id);
        assert_eq!(frame["changes"][0]["by"], "r");
        at = frame["cursor"].clone();
    }
    let pulled = live.server.pull(&alice, Some(&at), &["drafts", "notes"]).await;
    assert!(pulled.changes.is_empty() && pulled.header.get("reset").is_none());
}

#[tokio::test]
async fn rule_17_a_value_that_waits_is_told_to_its_author_at_once() {
    let live = Live::start(Timeouts::default()).await;
    let (alice, bob) = (live.server.token("alice"), live.server.token("bob"));
    let made = live.server.push(&bob, "rb", 1, &[insert("waiting", "a", json!({"f": "old"}))]).await;
    let edit = |to: &str| patch("waiting", "a", rev(&made[0]), "/f", json!("old"), json!(to));
    let auth = |token: &str| {
        let collections = ["waiting", "$conflicts"];
        json!({"t": "auth", "v": 1, "token": token, "replica": "reader", "collections": collections})
    };
    let (mut alices, _) = live.ready(auth(&alice)).await;
    let (mut bobs, _) = live.ready(auth(&bob)).await;
    live.server.push(&bob, "rb", 2, &[edit("bob")]).await;
    assert_eq!(alices.hear().await["changes"][0]["doc"]["f"], "bob");
    assert_eq!(bobs.hear().await["changes"][0]["doc"]["f"], "bob");
    live.server.push(&alice, "ra", 1, &[edit("alice")]).await;
    let frame = alices.hear().await;
    let told = (&frame["changes"][0]["c"], &frame["changes"][0]["doc"]["yours"], &frame["changes"][0]["doc"]["kept"]);
    assert_eq!(told, (&json!("$conflicts"), &json!("alice"), &json!("bob")));
    // Bob hears of the next change only.
    live.server.push(&bob, "rb", 3, &[insert("waiting", "b", json!({}))]).await;
    assert_eq!(bobs.hear().await["changes"][0]["id"], "b");
}

#[tokio::test]
async fn rule_27_a_frame_holds_what_the_reader_may_see() {
    let live = Live::start(Timeouts::default()).await;
    let (alice, bob) = (live.server.token("alice"), live.server.token("bob"));
    let made = live.server.push(&alice, "r", 1, &[draft("d", "alice")]).await;
    let (mut alices, _) = live.ready(live.auth("alice")).await;
    let (mut bobs, bobs_ready) = live.ready(live.auth("bob")).await;
    live.server.push(&alice, "r", 2, &[draft("secret", "alice")]).await;
    assert_eq!(alices.hear().await["changes"][0]["id"], "secret");
    let moved = patch("drafts", "d", rev(&made[0]), "/ownerId", json!("alice"), json!("bob"));
    live.server.push(&alice, "r", 3, &[moved]).await;
    let gone = alices.hear().await;
    assert_eq!(gone["changes"], json!([{"id": "d", "c": "drafts", "rev": 3, "at": 0}]));
    let came = bobs.hear().await;
    assert_eq!((&came["changes"][0]["id"], &came["after"]), (&json!("d"), &bobs_ready["cursor"]));
    assert_eq!(came["changes"].as_array().map(Vec::len), Some(1));
    live.server.push(&bob, "rb", 1, &[note("n")]).await;
    assert_eq!(alices.hear().await["changes"][0]["id"], "n");
}

#[tokio::test]
async fn a_frame_holds_changed_fields_for_who_takes_them() {
    let live = Live::start(Timeouts::default()).await;
    let (alice, bob) = (live.server.token("alice"), live.server.token("bob"));
    let text = "t".repeat(200);
    let made = insert("notes", "a", json!({"title": "a", "text": text, "b": 1, "deep": {"x": 1, "y": 2}}));
    let made = rev(&live.server.push(&alice, "r", 1, &[made, draft("d", "alice")]).await[0]);
    let auth = |user: &str| {
        let mut auth = live.auth(user);
        auth["deltas"] = json!(["notes", "drafts"]);
        auth
    };
    let (mut plain, _) = live.ready(live.auth("alice")).await;
    let (mut short, ready) = live.ready(auth("alice")).await;
    let (mut bobs, _) = live.ready(auth("bob")).await;
    let change = |was: u64, to: u64| patch("notes", "a", made, "/deep/x", json!(was), json!(to));
    // Two commits in one push: what is told is what is different from before both.
    let edits = [change(1, 5), patch("notes", "a", made, "/b", json!(1), json!(7))];
    let last = rev(&live.server.push(&alice, "r", 3, &edits).await[1]);
    assert_eq!(plain.hear().await["changes"][0]["doc"]["deep"], json!({"x": 5, "y": 2}));
    for socket in [&mut short, &mut bobs] {
        let frame = socket.hear().await;
        assert_eq!(frame["after"]["seq"], ready["cursor"]["seq"]);
        let told = &frame["changes"][0];
        assert_eq!((&told["rev"], told.get("doc")), (&json!(last), None), "{told}");
        assert_eq!(told["delta"], json!({"was": made, "set": {"/b": 7, "/deep/x": 5}}));
    }
    // What is new to a reader comes whole.
    let moved = patch("drafts", "d", made, "/ownerId", json!("alice"), json!("bob"));
    live.server.push(&alice, "r", 5, &[moved]).await;
    assert_eq!(bobs.hear().await["changes"][0]["doc"], json!({"ownerId": "bob"}));
    live.server.push(&bob, "rb", 1, &[insert("notes", "n", json!({"title": text}))]).await;
    assert_eq!(bobs.hear().await["changes"][0]["doc"]["title"], text);
}

#[tokio::test]
async fn an_author_hears_of_a_commit_that_he_cannot_see() {
    let live = Live::start(Timeouts::default()).await;
    let alice = live.server.token("alice");
    let (mut socket, _) = live.ready(live.auth("alice")).await;
    // Made for somebody else, by this very replica: the rev of its verdict must come by, or it would stay settled.
    let made = live.server.push(&alice, "reader", 1, &[draft("gift", "bob")]).await;
    let frame = socket.hear().await;
    assert_eq!((&frame["cursor"]["seq"], &frame["changes"]), (&json!(rev(&made[0])), &json!([])));
}

#[tokio::test]
async fn rule_01_a_frame_tells_what_of_it_the_readers_own_store_did() {
    let live = Live::start(Timeouts::default()).await;
    let (alice, bob) = (live.server.token("alice"), live.server.token("bob"));
    let (mut socket, _) = live.ready(live.auth("alice")).await;
    for n in 1..=2 {
        let edit = note(&format!("own{n}"));
        let made = live.server.push(&alice, "reader", n, std::slice::from_ref(&edit)).await;
        let digest = Mutation::digest(edit.to_string().as_bytes()).to_string();
        // The floor of these pushes stands at the first, and what a frame has told is not told again.
        let told = json!([{"n": made[0]["n"], "digest": digest, "rev": rev(&made[0])}]);
        assert_eq!(socket.hear().await["applied"], told);
    }
    live.server.push(&alice, "other", 1, &[note("c")]).await;
    assert_eq!(socket.hear().await.get("applied"), None, "of another of her stores");
    live.server.push(&bob, "rb", 1, &[note("d")]).await;
    assert_eq!(socket.hear().await.get("applied"), None);
}

#[tokio::test]
async fn only_the_named_entities_come_and_do_not_add_up_to_a_cursor() {
    let live = Live::start(Timeouts::default()).await;
    let alice = live.server.token("alice");
    let mut auth = live.auth("alice");
    auth["ids"] = json!(["b"]);
    let (mut socket, ready) = live.ready(auth).await;
    live.server.push(&alice, "r", 1, &[note("a"), note("b")]).await;
    let frame = socket.hear().await;
    assert_eq!((&frame["changes"][0]["id"], &frame["after"]), (&json!("b"), &ready["cursor"]));
    let pulled = live.server.pull(&alice, Some(&frame["cursor"]), &["drafts", "notes"]).await;
    assert_eq!(pulled.header["reset"], true);
}

#[tokio::test]
async fn what_does_not_fit_a_frame_is_pulled() {
    let live = Live::start(Timeouts::default()).await;
    let alice = live.server.token("alice");
    let (mut socket, ready) = live.ready(live.auth("alice")).await;
    let big = insert("notes", "big", json!({"title": "x".repeat(LIVE_FRAME_BYTES_MAX)}));
    live.server.push(&alice, "r", 1, &[big]).await;
    assert_eq!(socket.hear().await, json!({"t": "pull"}));
    live.server.push(&alice, "r", 2, &[note("a")]).await;
    let frame = socket.hear().await;
    assert_ne!(frame["after"], ready["cursor"], "the next frame continues the pull");
    let pulled = live.server.pull(&alice, Some(&frame["after"]), &["drafts", "notes"]).await;
    assert_eq!((pulled.header.get("reset"), pulled.ids()), (None, vec!["a"]));
}

#[tokio::test]
async fn a_page_of_another_origin_gets_no_socket() {
    let live = Live::start(Timeouts::default()).await;
    for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
        match live.connect(Some(origin)).await {
            Err(WsError::Http(response)) => assert_eq!(response.status(), 403, "{origin}"),
            _ => panic!("{origin} got a socket"),
        }
    }
    assert!(live.connect(Some("http://localhost:5173")).await.is_ok());
}

#[tokio::test]
async fn the_first_message_must_authenticate() {
    let live = Live::start(Timeouts::default()).await;
    let with = |field: &str, value: Value| {
        let mut auth = live.auth("alice");
        auth[field] = value;
        auth
    };
    for (message, code, error) in [
        (json!({"t": "ping"}), 4400, "bad-message"),
        (json!({"t": "nonsense"}), 4400, "bad-message"),
        (with("token", json!("x.y.z")), 4401, "unauthorized"),
        (with("as", json!({"tenant": "demo", "subject": "bob"})), 4403, "wrong-user"),
        (with("collections", json!(["nowhere"])), 4404, "unknown-collection"),
        (with("v", json!(2)), 4426, "upgrade-required"),
    ] {
        let mut socket = live.connect(None).await.expect("a socket");
        socket.say(&message).await;
        assert_eq!(socket.closed().await, (code, json!(error)), "{message}");
    }
    let mut socket = live.connect(None).await.expect("a socket");
    socket.0.send(Message::binary(vec![1, 2])).await.expect("sent");
    assert_eq!(socket.closed().await.0, 4400);
}

#[tokio::test]
async fn a_silent_or_oversized_start_is_closed() {
    let live = Live::start(Timeouts { socket_auth: Duration::from_millis(200), ..Timeouts::default() }).await;
    let mut silent = live.connect(None).await.expect("a socket");
    assert_eq!(silent.closed().await, (4408, json!("timeout")));
    let mut large = live.connect(None).await.expect("a socket");
    let mut auth = live.auth("alice");
    auth["padding"] = json!("x".repeat(16 * 1024));
    large.say(&auth).await;
    assert_eq!(large.closed().await, (1009, json!("too-large")));
    let sockets = &live.server.state.sockets;
    let gone = async {
        while sockets.load(std::sync::atomic::Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("neither is counted any more");
}

#[tokio::test]
async fn a_socket_ends_with_its_token_unless_refreshed_for_the_same_user() {
    let live = Live::start(Timeouts::default()).await;
    let short = |user: &str| live.server.short_token(user, 1).0;
    let (mut expiring, _) = live.ready(live.auth_with(&short("alice"))).await;
    let (mut refreshed, _) = live.ready(live.auth_with(&short("alice"))).await;
    let (mut stolen, _) = live.ready(live.auth_with(&short("alice"))).await;
    refreshed.say(&json!({"t": "token", "token": live.server.token("alice")})).await;
    stolen.say(&json!({"t": "token", "token": live.server.token("bob")})).await;
    assert_eq!(stolen.closed().await, (4403, json!("wrong-user")));
    assert_eq!(expiring.closed().await, (4401, json!("unauthorized")));
    live.server.push(&live.server.token("alice"), "r", 1, &[note("a")]).await;
    assert_eq!(refreshed.hear().await["t"], "frame");
}

#[tokio::test]
async fn both_sides_ping_and_silence_ends_the_socket() {
    let live = Live::start(Timeouts { heartbeat: Duration::from_millis(500), ..Timeouts::default() }).await;
    let (mut socket, _) = live.ready(live.auth("alice")).await;
    socket.say(&json!({"t": "ping"})).await;
    assert_eq!(socket.hear().await, json!({"t": "pong", "seq": 0}));
    for _ in 0..4 {
        assert_eq!(socket.hear().await, json!({"t": "ping"}));
        socket.say(&json!({"t": "pong"})).await;
    }
    assert_eq!(socket.closed().await, (4408, json!("timeout")));
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_cut() {
    let live = Live::start(Timeouts { slow_reader: Duration::from_millis(300), ..Timeouts::default() }).await;
    let alice = live.server.token("alice");
    let (mut socket, _) = live.ready(live.auth("alice")).await;
    let state = live.server.state.clone();
    let open = || state.sockets.load(std::sync::atomic::Ordering::Relaxed);
    let body = "x".repeat(LIVE_FRAME_BYTES_MAX - 2_000);
    // The system's own buffers take some megabytes before ours fills.
    for n in 1..2_000 {
        live.server.push(&alice, "r", n, &[insert("notes", "a", json!({"title": format!("{n}{body}")}))]).await;
        live.server.push(&alice, "q", n, &[common::delete("notes", "a", 1 << 40)]).await;
        if open() == 0 {
            break;
        }
    }
    assert_eq!(open(), 0, "the slow reader was cut");
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(Some(frame)) = message {
            assert_eq!(u16::from(frame.code), 1013);
        }
    }
}

#[tokio::test]
async fn a_stopping_server_says_so_and_ends() {
    let live = Live::start(Timeouts::default()).await;
    let (mut socket, _) = live.ready(live.auth("alice")).await;
    live.server.state.stop();
    assert_eq!(socket.closed().await.0, 1012);
    drop(socket);
    let ended = tokio::time::timeout(Duration::from_secs(10), live.task).await;
    ended.expect("in time").expect("no panic").expect("no error");
}

#[tokio::test]
async fn a_message_over_the_limit_is_told_so() {
    let live = Live::start(Timeouts::default()).await;
    for is_known in [true, false] {
        for bytes in [LIVE_MESSAGE_BYTES_MAX + 1, 3 * LIVE_MESSAGE_BYTES_MAX] {
            let mut socket = if is_known {
                live.ready(live.auth("alice")).await.0
            } else {
                live.connect(None).await.expect("a socket")
            };
            socket.say_text(&"x".repeat(bytes)).await;
            assert_eq!(socket.closed().await, (1009, json!("too-large")), "{bytes}");
        }
    }
}
