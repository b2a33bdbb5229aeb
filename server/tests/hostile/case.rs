//! One bad request, and how its answer is told in a line.

use serde_json::Value;
use tidewire_core::error::Code;

use super::site::{CANARY, Site};
use super::wire::{self, Answer, Connection};
use super::{socket, wire::request};

pub struct Case {
    pub family: &'static str,
    pub name: String,
    pub ask: Ask,
}

pub enum Ask {
    /// A request, whole.
    Http(Vec<u8>),
    /// Bytes on a connection of their own; whether they are a whole request.
    Alone(Vec<u8>, bool),
    /// Messages on a live channel.
    Socket(Vec<socket::Say>),
}

/// A family that is being written.
pub struct Family<'s> {
    name: &'static str,
    pub site: &'s Site,
    pub cases: Vec<Case>,
}

impl<'s> Family<'s> {
    pub fn new(name: &'static str, site: &'s Site) -> Self {
        Self { name, site, cases: Vec::new() }
    }

    pub fn add(&mut self, name: impl Into<String>, ask: Ask) {
        let (family, mut name) = (self.name, name.into());
        // Names that are cut may be alike.
        if self.cases.iter().any(|case| case.name == name) {
            name = format!("{name} #{}", self.cases.len());
        }
        self.cases.push(Case { family, name, ask });
    }

    /// A request with these headers and no others.
    pub fn bare(&mut self, name: impl Into<String>, to: (&str, &str), headers: &[(&str, &str)], body: &[u8]) {
        self.add(name, Ask::Http(request(to.0, to.1, headers, body)));
    }

    /// A request of Mallory's.
    pub fn send(&mut self, name: impl Into<String>, to: (&str, &str), body: &[u8]) {
        let bearer = format!("Bearer {}", self.site.mallory);
        self.bare(name, to, &[("authorization", &bearer)], body);
    }

    pub fn post(&mut self, name: impl Into<String>, path: &str, body: impl AsRef<[u8]>) {
        self.send(name, ("POST", path), body.as_ref());
    }

    /// A push of Mallory's whose replica is the case's own.
    pub fn push(&mut self, name: impl Into<String>, items: &str) {
        let replica = format!("{}-{}", self.name, self.cases.len());
        let head = format!(r#"{{"v":1,"replica":"{replica}","fence":1,"floor":[0,0],"now":1"#);
        self.post(name, PUSH, format!(r#"{head},"mutations":[{items}]}}"#));
    }

    /// A push of one mutation.
    pub fn mutation(&mut self, name: impl Into<String>, m: &str) {
        self.push(name, &format!(r#"{{"n":[1,0],"m":{m}}}"#));
    }
}

pub const PUSH: &str = "/api/sync/push";
pub const PULL: &str = "/api/sync/pull";

impl Case {
    /// What came back, in a line; or what must never be in an answer.
    pub fn ask(&self, connection: &mut Connection, site: &Site) -> Result<String, String> {
        match &self.ask {
            Ask::Http(bytes) => told(connection.ask(bytes)),
            Ask::Alone(bytes, is_whole) => told(wire::send_alone(site.address, bytes, *is_whole)),
            Ask::Socket(messages) => {
                let heard = socket::talk(site, messages)?;
                if heard.contains(CANARY) { Err(format!("a canary: {heard}")) } else { Ok(heard) }
            }
        }
    }

    /// The bytes that tell it from others.
    pub fn bytes(&self) -> Vec<u8> {
        match &self.ask {
            Ask::Http(bytes) | Ask::Alone(bytes, _) => bytes.clone(),
            Ask::Socket(messages) => format!("{messages:?}").into_bytes(),
        }
    }
}

fn told(answer: Option<Answer>) -> Result<String, String> {
    let Some(answer) = answer else { return Ok("closed".into()) };
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status >= 500 {
        return Err(format!("{} {text}", answer.status));
    }
    if text.contains(CANARY) || answer.head.contains(CANARY) {
        return Err(format!("a canary: {text}"));
    }
    if answer.status >= 300 {
        return refused(answer.status, &text);
    }
    Ok(format!("{} {}", answer.status, taken(&text)).trim_end().to_owned())
}

/// A refusal has a code that is documented and a message; only what the HTTP library refuses has no body.
fn refused(status: u16, text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(format!("{status} -"));
    }
    let body: Value = serde_json::from_str(text).map_err(|_| format!("no JSON: {text}"))?;
    let code = body["code"].as_str().unwrap_or_default();
    if Code::parse(code).as_str() != code {
        return Err(format!("no code: {text}"));
    }
    is_message(&body)?;
    Ok(format!("{status} {code}"))
}

/// A message is for people: some words, and not all that was sent.
pub fn is_message(body: &Value) -> Result<(), String> {
    let message = body["message"].as_str().unwrap_or_default();
    if (10..500).contains(&message.len()) { Ok(()) } else { Err(format!("no message for people: {message}")) }
}

/// What a 200 says: verdicts, how a pull goes on, or nothing.
fn taken(text: &str) -> String {
    let first: Value = text.lines().next().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    if let Some(header) = first.get("pull") {
        let how = match (header["reset"] == true, header.get("after")) {
            (true, _) => "reset",
            (_, Some(_)) => "continued",
            _ => "first",
        };
        let done = text.trim_end().ends_with('}') && text.contains("\"done\":true");
        return format!("{how}{}", if done { "" } else { " cut" });
    }
    if let Some(forked) = first.get("forked").and_then(Value::as_array) {
        return format!("forked {}", forked.len());
    }
    let verdicts = first["verdicts"].as_array().cloned().unwrap_or_default();
    let words = verdicts.iter().map(|item| item["code"].as_str().or(item["verdict"].as_str()).unwrap_or("?"));
    let words: Vec<&str> = words.collect();
    // Many of the same are told once.
    let runs = words.chunk_by(|a, b| a == b).map(|run| match run.len() {
        1 => run[0].to_owned(),
        count => format!("{count}x{}", run[0]),
    });
    runs.collect::<Vec<_>>().join(" ")
}
