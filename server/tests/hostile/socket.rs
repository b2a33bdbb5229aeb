//! The live channel: what is said on it, and what is heard until it closes, or answers a last ping.

use std::io::Write;
use std::net::TcpStream;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

use super::bodies::KINDS;
use super::case::{Ask, Family, is_message};
use super::site::Site;
use super::tokens::forged;
use super::wire::connect;

#[derive(Debug, Clone)]
pub enum Say {
    Text(String),
    Bytes(Vec<u8>),
    Ping(Vec<u8>),
    Close(u16, &'static str),
    /// Bytes under the WebSocket protocol, which may be none of it.
    Raw(Vec<u8>),
    /// Nothing before an answer is there: a connection that breaks may take along what has not been read.
    Listen,
}

/// What was heard, in a line.
pub fn talk(site: &Site, messages: &[Say]) -> Result<String, String> {
    let address = format!("ws://{}/api/sync/live", site.address);
    let (mut socket, _) = client(address, connect(site.address)).expect("a socket");
    let mut heard = Vec::new();
    for message in messages {
        let sent = match message {
            Say::Text(text) => socket.send(Message::text(text.as_str())),
            Say::Bytes(bytes) => socket.send(Message::binary(bytes.clone())),
            Say::Ping(bytes) => socket.send(Message::Ping(bytes.clone().into())),
            Say::Close(code, reason) => {
                let frame = CloseFrame { code: (*code).into(), reason: (*reason).into() };
                socket.close(Some(frame))
            }
            Say::Raw(bytes) => socket.get_mut().write_all(bytes).map_err(Into::into),
            Say::Listen => match hear_one(&mut socket, &mut heard)? {
                true => return Ok(heard.join(" ")),
                false => Ok(()),
            },
        };
        // Who is cut off while he speaks hears why below.
        if sent.is_err() {
            break;
        }
    }
    // Whether it still listens.
    let _ = socket.send(Message::text(r#"{"t":"ping"}"#));
    while !hear_one(&mut socket, &mut heard)? {}
    Ok(heard.join(" "))
}

/// Hears one message, and returns whether it is the last.
fn hear_one(socket: &mut WebSocket<TcpStream>, heard: &mut Vec<String>) -> Result<bool, String> {
    loop {
        let word = match socket.read() {
            Ok(Message::Text(text)) => {
                let word = word_of(&serde_json::from_str(&text).map_err(|_| format!("no JSON: {text}"))?)?;
                let is_last = word == "pong";
                heard.push(word);
                return Ok(is_last);
            }
            Ok(Message::Close(frame)) => frame.map_or("closed".into(), |frame| u16::from(frame.code).to_string()),
            Ok(_) => continue,
            Err(_) => "cut".into(),
        };
        heard.push(word);
        return Ok(true);
    }
}

fn word_of(message: &Value) -> Result<String, String> {
    let kind = message["t"].as_str().unwrap_or_default();
    Ok(match kind {
        "error" => {
            is_message(message)?;
            format!("error:{}", message["code"].as_str().unwrap_or_default())
        }
        "answer" => {
            let status = message["status"].as_u64().unwrap_or(999);
            if status >= 500 {
                return Err(message.to_string());
            }
            let verdict = &message["body"]["verdicts"][0];
            let what = message["body"]["code"].as_str().or(verdict["code"].as_str()).or(verdict["verdict"].as_str());
            format!("answer:{status}:{}", what.unwrap_or("-"))
        }
        _ => kind.to_owned(),
    })
}

fn auth(site: &Site) -> Value {
    json!({"t": "auth", "v": 1, "token": site.mallory, "replica": "r", "as": {"tenant": "demo", "subject": "mallory"},
        "collections": ["drafts"], "ids": ["x"], "deltas": ["drafts"]})
}

fn text(value: impl ToString) -> Say {
    Say::Text(value.to_string())
}

/// Before anybody is known: what is no `auth`, or one with a field of another kind.
pub fn strangers(site: &Site) -> Family<'_> {
    let mut family = Family::new("stranger", site);
    let good = auth(site);
    for key in ["t", "v", "token", "replica", "as", "collections", "ids", "deltas"] {
        for kind in KINDS {
            let mut other = good.clone();
            other[key] = json!("\u{1}");
            let other = other.to_string().replace("\"\\u0001\"", kind);
            family.add(format!("{key}={kind}"), Ask::Socket(vec![text(other)]));
        }
        let mut less = good.clone();
        less.as_object_mut().expect("an object").remove(key);
        family.add(format!("no {key}"), Ask::Socket(vec![text(&less)]));
        let member = format!("\"{key}\":{}", good[key]);
        let twice = good.to_string().replacen(&member, &format!("{member},{member}"), 1);
        family.add(format!("{key} twice"), Ask::Socket(vec![text(twice)]));
    }
    for (what, token) in forged(site) {
        let mut other = good.clone();
        other["token"] = json!(token);
        family.add(format!("with {what}"), Ask::Socket(vec![text(&other)]));
    }
    for (tenant, subject) in [("demo", "alice"), ("other", "mallory"), ("other", "carol"), ("", "")] {
        let mut other = good.clone();
        other["as"] = json!({"tenant": tenant, "subject": subject});
        family.add(format!("as {tenant}/{subject}"), Ask::Socket(vec![text(&other)]));
    }
    for name in ["cats", "$local.notes", "__proto__", "", "user:alice", "*", "sqlite_master"] {
        for key in ["collections", "deltas", "ids"] {
            let mut other = good.clone();
            other[key] = json!([name]);
            family.add(format!("{key} `{name}`"), Ask::Socket(vec![text(&other)]));
        }
    }
    for (at, (_, say)) in strange(site).into_iter().enumerate() {
        family.add(format!("first {at}"), Ask::Socket(vec![say]));
    }
    family
}

/// Once he is known.
pub fn guests(site: &Site) -> Family<'_> {
    let mut family = Family::new("guest", site);
    let good = auth(site);
    for (what, say) in strange(site) {
        family.add(what, Ask::Socket(vec![text(&good), Say::Listen, say]));
    }
    for (what, token) in forged(site) {
        let renewed = json!({"t": "token", "token": token});
        family.add(format!("renewed by {what}"), Ask::Socket(vec![text(&good), Say::Listen, text(&renewed)]));
    }
    for (what, token) in [("Alice's", &site.alice), ("Carol's", &site.carol), ("the same", &site.mallory)] {
        let renewed = json!({"t": "token", "token": token});
        family.add(format!("renewed by {what} token"), Ask::Socket(vec![text(&good), Say::Listen, text(&renewed)]));
    }
    pushes(&mut family, &good);
    family
}

fn pushes(family: &mut Family<'_>, good: &Value) {
    let body = r#"{"v":1,"replica":"live","fence":1,"floor":[0,0],"now":1,"mutations":[]}"#;
    let mut all: Vec<(String, String)> = Vec::new();
    for kind in KINDS {
        all.push((format!("id {kind}"), format!(r#"{{"t":"push","id":{kind},"body":{body}}}"#)));
        all.push((format!("body {kind}"), format!(r#"{{"t":"push","id":1,"body":{kind}}}"#)));
        let n = body.replace("[]", &format!("[{{\"n\":{kind}}}]"));
        all.push((format!("n {kind}"), format!(r#"{{"t":"push","id":1,"body":{n}}}"#)));
    }
    for (c, id) in [("drafts", "secret"), ("notes", "theirs"), ("$conflicts", "x"), ("cats", "x"), ("no name", "x")] {
        for kind in ["patch", "delete", "insert"] {
            let set = if kind == "delete" { "" } else { r#""set":{"/ownerId":"mallory"},"# };
            let m = format!(r#"{{"c":"{c}","id":"{id}","kind":"{kind}","base":0,{set}"at":[1,0]}}"#);
            let replica = format!("live-{}-{kind}-{}", c.len(), id.len());
            let push = body.replace("[]", &format!("[{{\"n\":[1,0],\"m\":{m}}}]"));
            let push = push.replace("\"live\"", &format!("\"{replica}\""));
            // `floor` was an empty list nowhere: the mutations are the only one.
            all.push((format!("{kind} {c}/{id}"), format!(r#"{{"t":"push","id":1,"body":{push}}}"#)));
        }
    }
    for (what, push) in all {
        family.add(format!("push {what}"), Ask::Socket(vec![text(good), Say::Listen, text(&push)]));
        let two = format!("push {what} before auth");
        family.add(two, Ask::Socket(vec![text(push), text(good)]));
    }
    let push = format!(r#"{{"t":"push","id":1,"body":{body}}}"#);
    family.add("a push 20 times", Ask::Socket([vec![text(good)], vec![text(push); 20]].concat()));
}

/// What nobody should say.
fn strange(site: &Site) -> Vec<(String, Say)> {
    let mut all: Vec<(String, Say)> = Vec::new();
    for said in [
        "",
        " ",
        "{",
        "[]",
        "{}",
        "null",
        "ping",
        "{\"t\":null}",
        "{\"t\":\"\"}",
        "{\"t\":\"frame\"}",
        "{\"t\":\"PING\"}",
        "{\"t\":\"pull\"}",
        "{\"t\":\"ready\"}",
        "{\"t\":[\"ping\"]}",
        "{\"t\":\"ping\",\"t\":\"pong\"}",
        "{\"T\":\"ping\"}",
        "{\"t\":\"push\"}",
        "{\"t\":\"push\",\"id\":1}",
        "{\"t\":\"token\"}",
        "{\"t\":\"answer\",\"id\":1,\"status\":200}",
        "{\"t\":\"\\ud800\"}",
        "{\"t\":\"ping\"} {\"t\":\"ping\"}",
        "\u{feff}{\"t\":\"ping\"}",
        "{\"t\":\"auth\",\"v\":2}",
    ] {
        all.push((format!("`{said}`"), text(said)));
    }
    all.push(("auth again".into(), text(auth(site))));
    all.push(("deep".into(), text("[".repeat(8_000))));
    all.push(("16 KiB and a byte".into(), text(format!("{{\"t\":\"{}\"}}", "x".repeat(16 * 1_024)))));
    all.push(("1 MiB".into(), text("x".repeat(1 << 20))));
    all.push(("bytes".into(), Say::Bytes(br#"{"t":"ping"}"#.to_vec())));
    all.push(("no bytes".into(), Say::Bytes(Vec::new())));
    all.push(("a ping".into(), Say::Ping(b"x".to_vec())));
    for code in [1000, 1001, 1002, 1007, 1011, 3000, 4401, 4999] {
        all.push((format!("a close {code}"), Say::Close(code, "bye")));
    }
    for (what, frame) in [
        ("unmasked", vec![0x81, 0x02, b'{', b'}']),
        ("reserved bits", vec![0xf1, 0x80, 0, 0, 0, 0]),
        ("an unknown opcode", vec![0x83, 0x80, 0, 0, 0, 0]),
        ("a continuation of nothing", vec![0x80, 0x80, 0, 0, 0, 0]),
        ("a long control frame", [&[0x89, 0xfe, 0x01, 0x00, 0, 0, 0, 0][..], &[0; 256]].concat()),
        ("a fragment of a ping", vec![0x09, 0x80, 0, 0, 0, 0]),
        ("2^63 bytes announced", [&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0][..], &[0; 4]].concat()),
        ("2^40 bytes announced", [&[0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0][..], &[0; 4]].concat()),
        ("no UTF-8", vec![0x81, 0x82, 0, 0, 0, 0, 0xc0, 0xaf]),
        ("a cut character", vec![0x81, 0x81, 0, 0, 0, 0, 0xf0]),
        ("a close of one byte", vec![0x88, 0x81, 0, 0, 0, 0, 0x03]),
        ("a close 1005", vec![0x88, 0x82, 0, 0, 0, 0, 0x03, 0xed]),
        ("a close that is no UTF-8", vec![0x88, 0x83, 0, 0, 0, 0, 0x03, 0xe8, 0xff]),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("noise", vec![0xff; 64]),
    ] {
        all.push((what.into(), Say::Raw(frame)));
    }
    all
}
