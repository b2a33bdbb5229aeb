//! The binary as a process of its own: what it prints, how it ends, and what a crash leaves.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

struct Process {
    child: Child,
    address: SocketAddr,
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire-server"));
    command.args(args).env_remove("RUST_LOG").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(args: &[&str]) -> Output {
    command(args).output().expect("it runs")
}

impl Process {
    fn start(data: &Path) -> Self {
        let data = data.to_str().expect("text");
        let mut child = command(&["--dev", "--port", "0", "--data", data]).spawn().expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on http://").expect("the promised line");
        Self { address: address.parse().expect("an address"), child }
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        stream.write_all(request.as_bytes()).expect("sent");
        stream
    }

    fn post(&self, path: &str, token: &str, body: &Value) -> Value {
        answer(self.send(&request(path, token, body)))
    }

    fn token(&self) -> String {
        let answer = self.post("/api/dev/token", "", &json!({"user": "alice"}));
        answer["token"].as_str().expect("a token").to_owned()
    }

    fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn request(path: &str, token: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn answer(mut stream: TcpStream) -> Value {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (_, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    serde_json::from_str(body).expect("JSON")
}

fn push(n: u64, mutation: Value) -> Value {
    let items = [json!({"n": [n, 0], "m": mutation})];
    json!({"v": 1, "replica": "r", "fence": 1, "floor": [0, 0], "now": 1, "mutations": items})
}

fn counter() -> Value {
    json!({"c": "notes", "id": "a", "kind": "insert", "base": 0, "set": {"/count": 0}, "at": [1, 0]})
}

fn increment() -> Value {
    let (inc, was) = (json!({"/count": 1}), json!({"/count": 0}));
    json!({"c": "notes", "id": "a", "kind": "patch", "base": 1, "inc": inc, "was": was, "at": [2, 0]})
}

fn count(process: &Process, token: &str) -> Value {
    let get = format!(
        "GET /api/sync/entities/notes/a HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         connection: close\r\n\r\n"
    );
    answer(process.send(&get))["doc"]["count"].clone()
}

#[test]
fn rule_06_killed_after_the_commit_and_before_the_answer_is_read_the_verdict_is_the_same() {
    let data = TempDir::new().expect("a directory");
    let process = Process::start(data.path());
    let token = process.token();
    process.post("/api/sync/push", &token, &push(1, counter()));
    let unread = process.send(&request("/api/sync/push", &token, &push(2, increment())));
    let deadline = Instant::now() + Duration::from_secs(10);
    while count(&process, &token) != 1 {
        assert!(Instant::now() < deadline, "the increment was not applied");
    }
    process.kill();
    drop(unread);
    let process = Process::start(data.path());
    let again = process.post("/api/sync/push", &token, &push(2, increment()));
    assert_eq!(again["verdicts"][0], json!({"n": [2, 0], "duplicate": true, "verdict": "applied", "rev": 2}));
    assert_eq!(count(&process, &token), 1);
}

#[test]
fn killed_at_any_moment_every_increment_counts_once() {
    let data = TempDir::new().expect("a directory");
    let mut process = Process::start(data.path());
    let token = process.token();
    process.post("/api/sync/push", &token, &push(1, counter()));
    let mut sent = 0;
    for round in 0..6_u64 {
        let mut open = Vec::new();
        for _ in 0..20 {
            sent += 1;
            open.push(process.send(&request("/api/sync/push", &token, &push(1 + sent, increment()))));
        }
        std::thread::sleep(Duration::from_millis(round * 3));
        process.kill();
        process = Process::start(data.path());
    }
    for n in 1..=sent {
        let verdict = &process.post("/api/sync/push", &token, &push(1 + n, increment()))["verdicts"][0];
        assert!(verdict["verdict"] == "applied" || verdict["verdict"] == "merged", "{verdict}");
    }
    assert_eq!(count(&process, &token), sent);
}

#[test]
fn a_taken_port_ends_with_98() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let data = TempDir::new().expect("a directory");
    let output = run(&["--dev", "--port", &port, "--data", data.path().to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(98));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&port));
    assert!(output.stdout.is_empty());
}

#[test]
fn a_second_server_on_a_data_directory_ends_with_2_until_the_first_is_gone() {
    let data = TempDir::new().expect("a directory");
    let directory = data.path().to_str().expect("text");
    let first = Process::start(data.path());
    let mut second = command(&["--dev", "--port", "0", "--data", directory]).spawn().expect("it starts");
    let deadline = Instant::now() + Duration::from_secs(10);
    while second.try_wait().expect("a state").is_none() {
        if Instant::now() > deadline {
            second.kill().expect("killed");
            second.wait().expect("ended");
            panic!("two servers on one directory");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = second.wait_with_output().expect("ended");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains(directory) && errors.contains("--data") && errors.contains("stop"), "{errors}");
    assert!(output.stdout.is_empty(), "it promised no port");
    // The system frees the lock of a process that died.
    first.kill();
    assert!(!Process::start(data.path()).token().is_empty());
}

#[test]
fn mistakes_end_with_2_and_say_what_to_do() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("tidewire.toml");
    std::fs::write(&file, "[server]\nprot = 1\n").expect("written");
    let file = file.to_str().expect("text");
    for (args, expected) in [
        (vec!["--config", file], format!("{file}:2: server.prot: unknown field `prot`")),
        (vec!["--config", "/no/such.toml"], "/no/such.toml: cannot be read".to_owned()),
        (vec![], "--dev".to_owned()),
        (vec!["--nonsense"], "--nonsense".to_owned()),
        (vec!["--dev", "--port", "0", "--data", "/proc/no"], "--data".to_owned()),
    ] {
        let output = run(&args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(&expected), "{errors}");
    }
    assert!(run(&["--help"]).status.success());
}

#[test]
fn dev_is_said_loudly_and_a_signal_ends_the_server_in_order() {
    let data = TempDir::new().expect("a directory");
    let mut process = Process::start(data.path());
    let token = process.token();
    process.post("/api/sync/push", &token, &push(1, counter()));
    process.terminate();
    let status = process.child.wait().expect("ended");
    assert!(status.success(), "{status}");
    let mut errors = String::new();
    process.child.stderr.take().expect("a pipe").read_to_string(&mut errors).expect("text");
    assert!(errors.contains("--dev: ANYBODY"), "{errors}");
    assert!(!errors.contains(&token), "no token in the log");
    let wal = data.path().join("tidewire.sqlite-wal");
    assert!(std::fs::metadata(wal).map_or(0, |file| file.len()) == 0, "the write-ahead log is folded in");
}

#[test]
fn a_body_that_is_too_large_is_answered_while_it_is_sent() {
    let data = TempDir::new().expect("a directory");
    let process = Process::start(data.path());
    let token = process.token();
    let filler = "x".repeat(12 * 1024 * 1024);
    let refused = process.post("/api/sync/push", &token, &json!({"v": 1, "filler": filler}));
    assert_eq!(refused["code"], "too-large");
}

/// The most memory that the process ever had, in MiB.
#[cfg(target_os = "linux")]
fn peak_mib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.child.id())).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1_024
}

#[cfg(target_os = "linux")]
#[test]
fn a_large_pull_takes_no_more_memory_than_a_small_one() {
    let data = TempDir::new().expect("a directory");
    let process = Process::start(data.path());
    let token = process.token();
    let body = "x".repeat(900_000);
    for n in 1..=60 {
        let (set, id) = (json!({"/body": body}), format!("n{n}"));
        let note = json!({"c": "notes", "id": id, "kind": "insert", "base": 0, "set": set, "at": [1, 0]});
        process.post("/api/sync/push", &token, &push(n, note));
    }
    let before = peak_mib(&process);
    let pull = json!({"v": 1, "replica": "q", "now": 1, "collections": ["notes"]});
    let mut stream = process.send(&request("/api/sync/pull", &token, &pull));
    // A slow start: what is not read yet must not pile up in the server.
    std::thread::sleep(Duration::from_millis(300));
    let read = std::io::copy(&mut stream, &mut std::io::sink()).expect("all of it");
    assert!(read > 54_000_000, "{read}");
    assert!(peak_mib(&process) < before + 16, "{before} MiB before, {} after", peak_mib(&process));
}

#[test]
fn silent_and_dripping_connections_are_closed_within_15_seconds() {
    let data = TempDir::new().expect("a directory");
    let process = Process::start(data.path());
    let started = Instant::now();
    let silent: Vec<TcpStream> = (0..50).map(|_| process.send("")).collect();
    let dripping: Vec<TcpStream> = (0..50).map(|_| process.send("GET /healthz HTTP/1.1\r\nhost: loc")).collect();
    let body = "POST /api/dev/token HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{";
    let half: Vec<TcpStream> = (0..50).map(|_| process.send(body)).collect();
    // Meanwhile others are served.
    process.token();
    let mut open: Vec<TcpStream> = silent.into_iter().chain(dripping).chain(half).collect();
    let drip = open[60].try_clone().expect("a clone");
    let dripper = std::thread::spawn(move || drips(drip));
    for stream in &mut open {
        stream.read_to_end(&mut Vec::new()).or_else(ended_by_reset).expect("closed by the server");
    }
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    dripper.join().expect("no panic");
}

/// One letter of the head each second, until the server has had enough.
fn drips(mut stream: TcpStream) {
    for _ in 0..15 {
        if stream.write_all(b"a").is_err() {
            return;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn ended_by_reset(error: std::io::Error) -> std::io::Result<usize> {
    if error.kind() == std::io::ErrorKind::ConnectionReset { Ok(0) } else { Err(error) }
}

fn sync(process: &Process, token: &str, cursor: &Value) -> Vec<Value> {
    let mut pull = json!({"v": 1, "replica": "r", "now": 1, "collections": ["notes"]});
    if !cursor.is_null() {
        pull["cursor"] = cursor.clone();
    }
    let mut text = String::new();
    process.send(&request("/api/sync/pull", token, &pull)).read_to_string(&mut text).expect("an answer");
    text.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn rule_24_restore_begins_a_new_history_and_takes_back_what_the_backup_had_not_seen() {
    let data = TempDir::new().expect("a directory");
    let backups = TempDir::new().expect("a directory");
    let backup = backups.path().join("backup.sqlite");
    let restore = || run(&["restore", backup.to_str().expect("text"), "--data", data.path().to_str().expect("text")]);
    let process = Process::start(data.path());
    let token = process.token();
    process.post("/api/sync/push", &token, &push(1, counter()));
    let file = rusqlite::Connection::open(data.path().join("tidewire.sqlite")).expect("opened");
    file.execute("VACUUM INTO ?1", [backup.to_str().expect("text")]).expect("a backup");
    drop(file);
    process.post("/api/sync/push", &token, &push(2, increment()));
    let lines = sync(&process, &token, &Value::Null);
    let cursor = lines.last().expect("a checkpoint")["cursor"].clone();
    assert_eq!(restore().status.code(), Some(2), "not while the server runs");
    process.kill();
    let output = restore();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let process = Process::start(data.path());
    assert_eq!(count(&process, &token), 0, "the backup is what there is");
    let mut known = push(3, increment());
    known["history"] = cursor["history"].clone();
    assert_eq!(process.post("/api/sync/push", &token, &known)["code"], "history-changed");
    let lines = sync(&process, &token, &cursor);
    assert_eq!(lines[0]["pull"]["reset"], true);
    let history = &lines.last().expect("a checkpoint")["cursor"]["history"];
    assert_ne!(history, &cursor["history"]);

    let mut journal = push(1, counter());
    let mut late = push(2, increment())["mutations"][0].clone();
    late["old"] = json!(true);
    journal["mutations"].as_array_mut().expect("a list").push(late);
    journal["history"] = history.clone();
    let verdicts = process.post("/api/sync/push", &token, &journal)["verdicts"].clone();
    assert_eq!((&verdicts[0]["duplicate"], &verdicts[1]["verdict"]), (&json!(true), &json!("applied")), "{verdicts}");
    assert_eq!(count(&process, &token), 1);
    assert!(data.path().join("replaced.sqlite").exists(), "what was there is kept");
}

#[test]
fn a_file_that_is_no_backup_replaces_nothing() {
    let data = TempDir::new().expect("a directory");
    Process::start(data.path()).kill();
    let other = data.path().join("other.sqlite");
    std::fs::write(&other, b"not a database").expect("written");
    for file in [other.clone(), data.path().join("missing.sqlite")] {
        let output = run(&["restore", file.to_str().expect("text"), "--data", data.path().to_str().expect("text")]);
        assert_eq!(output.status.code(), Some(2));
    }
    assert!(data.path().join("tidewire.sqlite").exists() && !data.path().join("replaced.sqlite").exists());
}
