//! HTTP/1.1 as bytes: what is sent may be anything.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any answer takes; what waits longer is a failure.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Connection {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

/// A request whose length is right.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in [("host", "localhost")].iter().filter(|_| !headers.iter().any(|(name, _)| *name == "host")) {
        text += &format!("{name}: {value}\r\n");
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!("content-length: {}\r\n\r\n", body.len());
    [text.as_bytes(), body].concat()
}

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// Sends a request and reads the answer, over the connection that is open; `None`: it was closed without one.
    pub fn ask(&mut self, request: &[u8]) -> Option<Answer> {
        let answer = self.try_ask(request);
        // A kept connection may have been closed meanwhile: that is no answer yet.
        let answer = if answer.is_none() { self.try_ask(request) } else { answer };
        if answer.as_ref().is_none_or(|answer| answer.head.contains("connection: close")) {
            self.stream = None;
        }
        answer
    }

    fn try_ask(&mut self, request: &[u8]) -> Option<Answer> {
        let mut stream = self.stream.take().unwrap_or_else(|| BufReader::new(connect(self.address)));
        stream.get_mut().write_all(request).ok()?;
        let answer = read(&mut stream, request.starts_with(b"HEAD "));
        self.stream = answer.is_some().then_some(stream);
        answer
    }
}

/// Sends bytes on a connection of their own, and reads what is answered first. Where they are no whole request the
/// server is told that no more will come: it would wait.
pub fn send_alone(address: SocketAddr, bytes: &[u8], is_whole: bool) -> Option<Answer> {
    let mut stream = connect(address);
    // The server may have answered and closed before all was sent.
    let _ = stream.write_all(bytes);
    if !is_whole {
        let _ = stream.shutdown(Shutdown::Write);
    }
    read(&mut BufReader::new(stream), bytes.starts_with(b"HEAD "))
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.set_nodelay(true).expect("set");
    stream
}

fn read(stream: &mut BufReader<TcpStream>, is_head: bool) -> Option<Answer> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let mut body = Vec::new();
    if is_head || status == 204 || status == 304 {
    } else if field("transfer-encoding:") == Some("chunked") {
        chunks(stream, &mut body)?;
    } else {
        let length = field("content-length:").map_or(0, |length| length.parse().expect("a length"));
        body.resize(length, 0);
        stream.read_exact(&mut body).ok()?;
    }
    Some(Answer { status, head, body })
}

fn chunks(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> Option<()> {
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim(), 16).ok()?;
        let start = body.len();
        body.resize(start + length + 2, 0);
        stream.read_exact(&mut body[start..]).ok()?;
        body.truncate(start + length);
        if length == 0 {
            return Some(());
        }
    }
}
