//! Bytes that are no HTTP, or too much of it, each on a connection of its own.

use super::case::{Ask, Family, PUSH};
use super::site::Site;

/// What is no whole request, or may be taken for the beginning of one.
const CUT: [&str; 9] = [
    "nothing",
    "only CR",
    "a head that ends",
    "a length that is too long",
    "a chunk without an end",
    "chunks that end",
    "a chunk of 2^64",
    "HTTP/2",
    "a length of 2^63",
];

pub fn heads(site: &Site) -> Family<'_> {
    let mut family = Family::new("head", site);
    let all = lines().into_iter().chain(bodies(site)).chain(upgrades());
    for (what, text) in all {
        family.add(what, Ask::Alone(text.into_bytes(), !CUT.contains(&what)));
    }
    for (what, bytes) in [("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec()), ("noise", vec![0xfe; 300])] {
        family.add(what, Ask::Alone(bytes, false));
    }
    family
}

fn many() -> String {
    (0..200).map(|n| format!("x-{n}: {n}\r\n")).collect()
}

/// The line of the request, and its headers.
fn lines() -> Vec<(&'static str, String)> {
    let many = many();
    vec![
        ("nothing", String::new()),
        ("a line", "GET\r\n\r\n".into()),
        ("no version", "GET /healthz\r\n\r\n".into()),
        ("HTTP/0.9", "GET /healthz HTTP/0.9\r\n\r\n".into()),
        ("HTTP/1.0", "GET /nowhere HTTP/1.0\r\n\r\n".into()),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()),
        ("HTTP/9", "GET /healthz HTTP/9.9\r\n\r\n".into()),
        ("no host", "GET /nowhere HTTP/1.1\r\n\r\n".into()),
        ("two hosts", "GET /nowhere HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".into()),
        ("a blank in the method", "G ET / HTTP/1.1\r\nhost: x\r\n\r\n".into()),
        ("a method in Greek", "ΓΕΤ / HTTP/1.1\r\nhost: x\r\n\r\n".into()),
        ("an absolute address", "GET http://evil.example/healthzz HTTP/1.1\r\nhost: x\r\n\r\n".into()),
        ("CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nhost: x\r\n\r\n".into()),
        ("an asterisk", "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n".into()),
        ("only LF", "GET /nowhere HTTP/1.1\nhost: x\n\n".into()),
        ("only CR", "GET /nowhere HTTP/1.1\rhost: x\r\r".into()),
        ("a NUL in the address", "GET /a\0b HTTP/1.1\r\nhost: x\r\n\r\n".into()),
        ("a NUL in a header", "GET /nowhere HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n".into()),
        ("a header without a colon", "GET /nowhere HTTP/1.1\r\nhost x\r\n\r\n".into()),
        ("a blank before the colon", "GET /nowhere HTTP/1.1\r\nhost : x\r\n\r\n".into()),
        ("a folded header", "GET /nowhere HTTP/1.1\r\nhost: x\r\nx: a\r\n b\r\n\r\n".into()),
        ("an empty name", "GET /nowhere HTTP/1.1\r\nhost: x\r\n: a\r\n\r\n".into()),
        ("200 headers", format!("GET /nowhere HTTP/1.1\r\nhost: x\r\n{many}\r\n")),
        ("a header of 70 kB", format!("GET /nowhere HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(70_000))),
        ("an address of 70 kB", format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(70_000))),
        ("a head that ends", "GET /nowhere HTTP/1.1\r\nhost: x\r\n".into()),
    ]
}

/// Lengths, chunks, and what comes behind them.
fn bodies(site: &Site) -> Vec<(&'static str, String)> {
    let bearer = format!("authorization: Bearer {}\r\n", site.mallory);
    let post = |headers: &str, body: &str| format!("POST {PUSH} HTTP/1.1\r\nhost: x\r\n{bearer}{headers}\r\n{body}");
    let extended = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(20_000));
    let trailers = format!("2\r\n{{}}\r\n0\r\n{}\r\n", many());
    vec![
        ("a length that is none", post("content-length: two\r\n", "{}")),
        ("a length below 0", post("content-length: -1\r\n", "{}")),
        ("a length of 2^64", post("content-length: 18446744073709551616\r\n", "{}")),
        ("a length of 2^63", post("content-length: 9223372036854775808\r\n", "{}")),
        ("a length in hex", post("content-length: 0x2\r\n", "{}")),
        ("two lengths", post("content-length: 2\r\ncontent-length: 3\r\n", "{} ")),
        ("two lengths in one", post("content-length: 2, 2\r\n", "{}")),
        ("a length that is too long", post("content-length: 100\r\n", "{}")),
        ("no length", post("", "")),
        ("a length and chunks", post("content-length: 2\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n")),
        ("chunks twice", post("transfer-encoding: chunked, chunked\r\n", "0\r\n\r\n")),
        ("another encoding", post("transfer-encoding: gzip\r\n", "{}")),
        ("encodings in a strange order", post("transfer-encoding: chunked, identity\r\n", "0\r\n\r\n")),
        ("a tab before chunked", post("transfer-encoding:\tchunked\r\n", "0\r\n\r\n")),
        ("chunked with a 0x0b", post("transfer-encoding: \x0bchunked\r\n", "0\r\n\r\n")),
        ("no chunks", post("transfer-encoding: chunked\r\n", "0\r\n\r\n")),
        ("a chunk that is none", post("transfer-encoding: chunked\r\n", "x\r\n{}\r\n0\r\n\r\n")),
        ("a chunk of 2^64", post("transfer-encoding: chunked\r\n", "10000000000000000\r\n{}")),
        ("a chunk below 0", post("transfer-encoding: chunked\r\n", "-2\r\n{}\r\n0\r\n\r\n")),
        ("a chunk without an end", post("transfer-encoding: chunked\r\n", "2\r\n{}0\r\n\r\n")),
        ("chunks that end", post("transfer-encoding: chunked\r\n", "2\r\n{}\r\n")),
        ("a long extension", post("transfer-encoding: chunked\r\n", &extended)),
        ("many trailers", post("transfer-encoding: chunked\r\n", &trailers)),
        ("trailers that authorize", post("transfer-encoding: chunked\r\n", "2\r\n{}\r\n0\r\nauthorization: x\r\n\r\n")),
        ("a request in a body", post("content-length: 2\r\n", "{}GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")),
        ("a length over the limit", post("content-length: 200001\r\n", &" ".repeat(200_001))),
        ("chunks over the limit", {
            let chunk = format!("ffff\r\n{}\r\n", " ".repeat(0xffff));
            post("transfer-encoding: chunked\r\n", &(chunk.repeat(4) + "0\r\n\r\n"))
        }),
        ("expects", post("content-length: 2\r\nexpect: 200-ok\r\n", "{}")),
        ("two tokens", post("content-length: 2\r\nauthorization: Bearer x\r\n", "{}")),
    ]
}

/// Other protocols, and sockets that are none.
fn upgrades() -> [(&'static str, String); 4] {
    let get = |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    let h2c = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n";
    let socket = "connection: upgrade\r\nupgrade: websocket\r\n";
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let live = "/api/sync/live";
    [
        ("an upgrade to h2c", get("/nowhere", h2c)),
        ("a socket without a key", get(live, &format!("{socket}sec-websocket-version: 13\r\n"))),
        ("a socket of version 8", get(live, &format!("{socket}sec-websocket-version: 8\r\n{key}"))),
        ("a socket that is none", get(live, "")),
    ]
}
