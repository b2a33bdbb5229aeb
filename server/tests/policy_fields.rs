//! Fields that not everybody sees: a canary in each appears in no byte that goes to anybody else.

mod common;

use common::live::Live;
use common::{Server, delete, insert, patch, rev};
use serde_json::{Value, json};
use tidewire_server::Timeouts;

const TOML: &str = r#"
[collections.people]
fields = { "/pay" = "manual" }
on_delete_conflict = "update-wins"
hidden."/pay" = ["role:hr", "user:{userId}"]
hidden."/notes/medical" = ["role:hr"]
masked."/iban" = { shown_to = ["role:hr"], keep = 4 }
[collections.members]
write.insert = ["role:hr"]
write.update = ["role:hr"]
write.delete = ["role:hr"]
membership = { user = "userId", gives = ["role:{role}"] }
"#;

const COLLECTIONS: [&str; 3] = ["$conflicts", "members", "people"];

fn person(id: &str, user: &str) -> Value {
    insert(
        "people",
        id,
        json!({
            "userId": user, "name": id, "pay": "CANARY-PAY", "iban": "CANARY-IBAN-6789",
            "notes": {"medical": "CANARY-MED", "hobby": "chess"}, "about": "x".repeat(2_000),
        }),
    )
}

fn seen(id: &str, user: &str) -> Value {
    json!({
        "userId": user, "name": id, "iban": "****6789", "notes": {"hobby": "chess"}, "about": "x".repeat(2_000),
    })
}

async fn people() -> (Live, String) {
    let live = Live::start_with(TOML, Timeouts::default()).await;
    let hr = live.server.token_as("hr", &["hr"], None);
    let made = live.server.push(&hr, "hr", 1, &[person("p", "ann"), person("q", "ben")]).await;
    assert!(made.iter().all(|verdict| verdict["verdict"] == "applied"), "{made:?}");
    (live, hr)
}

fn auth(token: &str) -> Value {
    json!({"t": "auth", "v": 1, "token": token, "replica": "reader", "collections": COLLECTIONS, "deltas": ["people"]})
}

async fn doc(server: &Server, token: &str, id: &str) -> Value {
    let pulled = server.pull(token, None, &COLLECTIONS).await;
    let found = pulled.changes.iter().find(|change| change["id"] == id).expect("it is seen");
    let one = server.get(token, &format!("/api/sync/entities/people/{id}")).await.json();
    assert_eq!(found["doc"], one["doc"], "a pull and a look at one say the same");
    found["doc"].clone()
}

#[tokio::test]
async fn a_field_is_there_for_those_who_are_meant() {
    let (live, hr) = people().await;
    let server = &live.server;
    let (ann, cem) = (server.token("ann"), server.token("cem"));
    assert_eq!(doc(server, &cem, "p").await, seen("p", "ann"));
    let mut own = seen("p", "ann");
    own["pay"] = json!("CANARY-PAY");
    assert_eq!(doc(server, &ann, "p").await, own, "one's own pay");
    assert_eq!(doc(server, &ann, "q").await, seen("q", "ben"));
    assert_eq!(doc(server, &hr, "q").await["notes"]["medical"], "CANARY-MED");
}

/// Rule 25: what a reader holds is compared with what he is shown.
#[tokio::test]
async fn rule_25_a_digest_is_of_what_the_reader_sees() {
    use tidewire_core::model::digest::Digest;
    let (live, _) = people().await;
    let server = &live.server;
    let mut body = common::pull_body(None, &["people"]);
    body["verify"] = json!(true);
    for token in [server.token("ann"), server.token("cem")] {
        let answer = server.post(&token, "/api/sync/pull", body.to_string()).await;
        let lines = answer.lines();
        let mut digest = Digest::default();
        for line in lines.iter().filter(|line| line.get("doc").is_some()) {
            let doc: tidewire_core::json::Value = serde_json::from_value(line["doc"].clone()).expect("a document");
            let text = tidewire_core::json::write(&doc);
            digest.add(line["id"].as_str().expect("an id"), line["rev"].as_u64().expect("a rev"), &text);
        }
        assert_eq!(lines.last().expect("the end")["digests"]["people"], json!(digest.text()));
    }
}

#[tokio::test]
async fn rule_27_no_way_of_telling_tells_a_hidden_value() {
    let (live, hr) = people().await;
    let server = &live.server;
    let cem = server.token("cem");
    let (mut socket, _) = live.ready(auth(&cem)).await;
    let mut told = String::new();
    // Frames, of what is written whole and in part.
    let edits = [
        patch("people", "p", 1, "/name", json!("p"), json!("pp")),
        patch("people", "p", 1, "/pay", json!("CANARY-PAY"), json!("CANARY-PAY-2")),
        patch("people", "p", 1, "/notes/medical", json!("CANARY-MED"), json!("CANARY-MED-2")),
    ];
    let mut last = Value::Null;
    for (n, edit) in (3..).zip(&edits) {
        last = server.push(&hr, "hr", n, std::slice::from_ref(edit)).await.remove(0);
        assert_eq!(last["verdict"], "applied", "{last}");
        let frame = socket.hear().await;
        let shown = (&frame["changes"][0]["doc"]["name"], frame["changes"][0].get("delta"));
        assert_eq!(shown, (&json!("pp"), None), "what differs is known of what is stored, not of what is shown");
        told.push_str(&frame.to_string());
    }
    // Guesses, right and wrong, and writes above what is hidden: all are refused alike.
    let right = patch("people", "p", rev(&last), "/pay", json!(null), json!("CANARY-PAY-2"));
    let wrong = patch("people", "p", rev(&last), "/pay", json!(null), json!("no"));
    let above = patch("people", "p", rev(&last), "/notes", json!({"hobby": "chess"}), json!({"hobby": "go"}));
    let masked = patch("people", "p", rev(&last), "/iban", json!("****6789"), json!("mine"));
    let verdicts = server.push(&cem, "c", 1, &[right, wrong, above, masked]).await;
    let refused: Vec<_> = verdicts.iter().map(|one| (one["code"].clone(), one["path"].clone())).collect();
    let forbidden = |path: &str| (json!("forbidden"), json!(path));
    assert_eq!(refused, [forbidden("/pay"), forbidden("/pay"), forbidden("/notes"), forbidden("/iban")]);
    // A deletion that loses tells what stands: of what its author sees.
    let deletion = server.push(&cem, "c", 5, &[delete("people", "p", 1)]).await;
    assert_eq!(deletion[0]["verdict"], "merged", "{deletion:?}");
    told.push_str(&json!(deletion).to_string());
    // What he may write he writes, and whoever edits what he sees keeps what he does not see.
    let hobby = patch("people", "p", rev(&last), "/notes/hobby", json!("chess"), json!("go"));
    let again = patch("people", "p", 1, "/name", json!("p"), json!("by cem"));
    let verdicts = server.push(&cem, "c", 6, &[hobby, again]).await;
    assert!(verdicts.iter().all(|one| one["verdict"] != "rejected"), "{verdicts:?}");
    told.push_str(&json!(verdicts).to_string());
    assert_eq!(doc(server, &hr, "p").await["notes"], json!({"medical": "CANARY-MED-2", "hobby": "go"}));
    // What waits and what lost, of others.
    let late = patch("people", "p", 1, "/pay", json!("CANARY-PAY"), json!("CANARY-LATE"));
    let waits = server.push(&server.token("ann"), "a", 1, &[late]).await;
    assert_eq!(waits[0]["verdict"], "conflict", "{waits:?}");
    for path in ["/api/sync/entities/people/p", "/api/sync/entities/people/p/history", "/api/sync/status"] {
        told.push_str(&String::from_utf8_lossy(&server.get(&cem, path).await.bytes));
    }
    let all = server.post(&cem, "/api/sync/pull", common::pull_body(None, &COLLECTIONS).to_string()).await;
    told.push_str(&String::from_utf8_lossy(&all.bytes));
    assert!(told.contains("by cem") && told.contains("6789"), "something was told: {told}");
    assert!(!told.contains("CANARY"), "{told}");
    // Who made it and may not see it any more: the conflict is his, the value that stands is not told.
    let away = patch("people", "p", rev(&verdicts[1]), "/userId", json!("ann"), json!("dan"));
    server.push(&hr, "hr", 6, &[away]).await;
    let ann = server.token("ann");
    let own = server.pull(&ann, None, &["$conflicts"]).await;
    assert_eq!((own.changes.len(), &own.changes[0]["doc"]["yours"]), (1, &json!("CANARY-LATE")));
    assert_eq!((own.changes[0]["doc"].get("kept"), own.changes[0]["doc"].get("base")), (None, None));
}

#[tokio::test]
async fn who_may_not_see_a_field_makes_nothing_with_it() {
    let (live, _) = people().await;
    let server = &live.server;
    let verdicts = server.push(&server.token("cem"), "c", 1, &[person("r", "cem")]).await;
    assert_eq!((&verdicts[0]["code"], &verdicts[0]["path"]), (&json!("forbidden"), &json!("/notes/medical")));
    let plain = insert("people", "r", json!({"userId": "cem", "name": "r", "pay": "mine"}));
    assert_eq!(server.push(&server.token("cem"), "c", 2, &[plain]).await[0]["verdict"], "applied");
    // What was hidden from a verdict stays so when the same push comes again.
    let old = delete("people", "p", 0);
    let first = server.push(&server.token("cem"), "d", 1, std::slice::from_ref(&old)).await;
    let again = server.push(&server.token("cem"), "d", 1, &[old]).await;
    for verdicts in [first, again] {
        assert!(!json!(verdicts).to_string().contains("CANARY"), "{verdicts:?}");
    }
}

/// What a deletion says that it has seen is compared with what is there: the answer must not tell how that came out.
#[tokio::test]
async fn a_deletion_that_loses_does_not_say_whether_its_author_guessed_right() {
    let (live, hr) = people().await;
    let server = &live.server;
    let names = patch("people", "p", 1, "/notes/medical", json!("CANARY-MED"), json!({"CANARY-NAME": true}));
    server.push(&hr, "hr", 3, &[names]).await;
    let told = async |replica: &str, was: Value| {
        let mut deletion = delete("people", "p", 0);
        deletion["was"] = was;
        let mut verdict = server.push(&server.token("cem"), replica, 1, &[deletion]).await.remove(0);
        assert_eq!(verdict["verdict"], "merged", "it lost: {verdict}");
        (verdict["n"], verdict["rev"]) = (Value::Null, Value::Null);
        verdict
    };
    let nothing = told("c0", json!({})).await;
    assert!(!nothing.to_string().contains("CANARY") && !nothing.to_string().contains("/pay"), "{nothing}");
    for (n, was) in [json!({"/pay": "CANARY-PAY"}), json!({"/pay": "no"}), json!({"/iban": "CANARY-IBAN-6789"})]
        .into_iter()
        .enumerate()
    {
        assert_eq!(told(&format!("c{}", n + 1), was).await, nothing);
    }
    let cem = server.token("cem");
    let rows = server.post(&cem, "/api/sync/pull", common::pull_body(None, &COLLECTIONS).to_string()).await;
    assert!(!String::from_utf8_lossy(&rows.bytes).contains("CANARY"));
    let history = server.get(&cem, "/api/sync/entities/people/p/history").await;
    assert!(!String::from_utf8_lossy(&history.bytes).contains("CANARY"));
}

#[tokio::test]
async fn nobody_makes_himself_one_of_those_who_see_a_field() {
    let (live, hr) = people().await;
    let server = &live.server;
    let mine = |to: &str| patch("people", "p", 1, "/userId", json!("ann"), json!(to));
    let verdicts = server.push(&server.token("cem"), "c", 1, &[mine("cem"), mine("dan")]).await;
    assert_eq!((&verdicts[0]["code"], &verdicts[0]["path"]), (&json!("forbidden"), &json!("/pay")));
    assert_eq!(verdicts[1]["verdict"], "applied", "to give it to somebody else shows him nothing: {verdicts:?}");
    let back = server.push(&hr, "hr", 3, &[patch("people", "p", 3, "/userId", json!("dan"), json!("hr"))]).await;
    assert_eq!(back[0]["verdict"], "applied", "{back:?}");
}

/// What lost of an object of one's own may hold what others wrote into it.
#[tokio::test]
async fn rule_27_an_object_of_ones_own_that_lost_is_told_without_what_is_hidden_in_it() {
    let toml = TOML.replace("on_delete_conflict = \"update-wins\"\n", "");
    let live = Live::start_with(&toml, Timeouts::default()).await;
    let server = &live.server;
    let (ann, hr) = (server.token("ann"), server.token_as("hr", &["hr"], None));
    server.push(&ann, "a", 1, &[insert("people", "p", json!({"userId": "ann", "notes": {"hobby": "chess"}}))]).await;
    server.push(&hr, "hr", 1, &[patch("people", "p", 1, "/notes/medical", json!(null), json!("CANARY"))]).await;
    let gone = server.push(&ann, "a", 2, &[delete("people", "p", 0)]).await;
    let all = server.post(&ann, "/api/sync/pull", common::pull_body(None, &COLLECTIONS).to_string()).await;
    let told = format!("{gone:?}{}", String::from_utf8_lossy(&all.bytes));
    assert!(told.contains("chess"), "what she wrote herself is told: {told}");
    assert!(!told.contains("CANARY"), "{told}");
}

#[tokio::test]
async fn the_size_of_what_is_hidden_is_not_told() {
    let toml = TOML.replace("hidden.\"/pay\"", "max_bytes = 3000\nhidden.\"/pay\"");
    let live = Live::start_with(&toml, Timeouts::default()).await;
    let server = &live.server;
    let hr = server.token_as("hr", &["hr"], None);
    server.push(&hr, "hr", 1, &[person("p", "ann")]).await;
    let long = patch("people", "p", 1, "/name", json!("p"), json!("n".repeat(3_000)));
    let verdicts = server.push(&server.token("cem"), "c", 1, &[long]).await;
    assert_eq!(verdicts[0]["code"], "too-large");
    assert_eq!(verdicts[0]["message"], "the document has more than the 3000 bytes that are allowed");
}

/// Rule 23: who comes to see other fields reads all again, and the channel says so.
#[tokio::test]
async fn rule_23_a_role_that_comes_or_goes_has_all_read_again() {
    let (live, hr) = people().await;
    let server = &live.server;
    let cem = server.token("cem");
    let at = server.pull(&cem, None, &COLLECTIONS).await.cursor().clone();
    let (mut socket, ready) = live.ready(auth(&cem)).await;
    assert_eq!(ready["cursor"], at);
    let member = insert("members", "m", json!({"userId": "cem", "role": "hr"}));
    let made = server.push(&hr, "hr", 3, &[member]).await;
    assert_eq!(socket.hear().await, json!({"t": "pull"}));
    let pulled = server.pull(&cem, Some(&at), &COLLECTIONS).await;
    assert_eq!(pulled.header["reset"], true);
    assert!(json!(pulled.changes).to_string().contains("CANARY-MED"));
    let at = pulled.cursor().clone();
    server.push(&hr, "hr", 4, &[delete("members", "m", rev(&made[0]))]).await;
    assert_eq!(socket.hear().await, json!({"t": "pull"}));
    let pulled = server.pull(&cem, Some(&at), &COLLECTIONS).await;
    assert_eq!(pulled.header["reset"], true);
    assert!(!json!(pulled.changes).to_string().contains("CANARY"));
}
