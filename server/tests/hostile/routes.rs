//! Addresses and methods that there are not, ids that look like addresses, pages of other origins.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use std::io::Write;

use super::bodies::TOKEN;
use super::case::{Family, PULL, PUSH};
use super::site::Site;

pub fn methods(site: &Site) -> Family<'_> {
    let mut family = Family::new("method", site);
    let paths = [
        "/",
        "/healthz",
        "/healthz/",
        PUSH,
        PULL,
        "/api/sync/live",
        "/api/sync/status",
        "/api/sync/health",
        "/api/sync/entities/notes/own",
        "/api/sync/entities/notes/own/history",
        "/api/sync",
        "/api/sync/",
        "/api",
        "/api/",
        TOKEN,
        "/api/dev",
        "/api/sync/push/",
        "/api/sync//push",
        "/API/SYNC/PUSH",
        "/api/sync/push%2f",
        "/api/sync/entities",
        "/api/sync/entities/notes",
        "/metrics",
        "/.env",
        "/../../etc/passwd",
    ];
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "POST"] {
        for path in paths {
            let is_good = (method == "POST" && path == TOKEN)
                || (matches!(method, "GET" | "HEAD") && matches!(path, "/healthz" | "/api/sync/status"));
            if !is_good {
                family.send(format!("{method} {path}"), (method, path), b"");
            }
        }
    }
    family
}

/// Ids and collections as an address writes them.
pub fn addresses(site: &Site) -> Family<'_> {
    let mut family = Family::new("address", site);
    let long = "a".repeat(129);
    let longer = "a".repeat(20_000);
    let segments = [
        "%00",
        "%2e%2e",
        "%2e%2e%2fdrafts%2fsecret",
        "..",
        ".",
        "%2f",
        "%5c",
        "%",
        "%z",
        "%ff",
        "%c0%af",
        "%ed%a0%80",
        "%f0%9f%98%80",
        "a%0d%0aX-Evil:%201",
        "%0a",
        "+",
        "a+b",
        "*",
        "';--",
        "%27%20OR%201=1",
        "$conflicts",
        "$local.notes",
        "__proto__",
        "constructor",
        "secret%00",
        "secret.",
        "SECRET",
        "%20secret",
        "secret%20",
        &long,
        &longer,
    ];
    for segment in segments {
        let short = &segment[..segment.len().min(28)];
        for (what, path) in [
            ("id", format!("/api/sync/entities/drafts/{segment}")),
            ("collection", format!("/api/sync/entities/{segment}/secret")),
            ("history", format!("/api/sync/entities/drafts/{segment}/history")),
            ("query", format!("/api/sync/entities/drafts/nowhere?id={segment}")),
        ] {
            family.send(format!("{what} {short}"), ("GET", &path), b"");
        }
    }
    family
}

/// Pages of other origins, and hosts that are not this one's.
pub fn origins(site: &Site) -> Family<'_> {
    let mut family = Family::new("origin", site);
    let origins = [
        "null",
        "",
        "https://evil.example",
        "https://app.example.com.evil.example",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com/",
        "https://APP.example.com",
        "https://localhost.evil",
        "http://localhost@evil.example",
        "file://",
        "chrome-extension://x",
        "https://app.example.com, https://evil",
        "javascript:alert(1)",
    ];
    for origin in origins {
        for path in [PUSH, TOKEN] {
            let ask = [("origin", origin), ("access-control-request-method", "POST")];
            family.bare(format!("preflight {path} {origin}"), ("OPTIONS", path), &ask, b"");
            family.bare(format!("{path} {origin}"), ("POST", path), &[("origin", origin)], b"{\"user\":\"alice\"}");
        }
        let upgrade = [
            ("origin", origin),
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        if !origin.is_empty() {
            family.bare(format!("live {origin}"), ("GET", "/api/sync/live"), &upgrade, b"");
        }
    }
    for host in ["evil.example", "evil.example:8787", "169.254.169.254", "localhost.evil", "[::ffff:7f00:1]", "0.0.0.0"]
    {
        let name = format!("token for the host {host}");
        family.bare(name, ("POST", TOKEN), &[("host", host)], b"{\"user\":\"alice\"}");
    }
    family
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

/// What is packed, and how it is said to be.
fn packed() -> Vec<(&'static str, Vec<u8>)> {
    let deflate = |bytes: &[u8]| {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("in memory");
        encoder.finish().expect("in memory")
    };
    let zlib = |bytes: &[u8]| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("in memory");
        encoder.finish().expect("in memory")
    };
    let good = gzip(b"{}");
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x55;
        bytes
    };
    let bomb = gzip(&vec![b' '; 16 << 20]);
    vec![
        ("{} as it is", b"{}".to_vec()),
        ("nothing", Vec::new()),
        ("a gzip of nothing", gzip(b"")),
        ("a gzip of {}", good.clone()),
        ("cut in its head", good[..5].to_vec()),
        ("cut in its end", good[..good.len() - 3].to_vec()),
        ("a wrong magic", flipped(0)),
        ("a wrong method", flipped(2)),
        ("wrong flags", flipped(3)),
        ("a wrong checksum", flipped(good.len() - 6)),
        ("a wrong length", flipped(good.len() - 1)),
        ("two members", [&good[..], &good].concat()),
        ("garbage behind it", [&good[..], b"garbage"].concat()),
        ("a gzip of a gzip", gzip(&good)),
        ("a bomb of 16 MiB", bomb.clone()),
        ("a bomb of a bomb", gzip(&bomb)),
        (
            "blocks of nothing",
            [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0, 0, 0, 0xff, 0xff].repeat(9_000)].concat(),
        ),
        ("raw deflate", deflate(b"{}")),
        ("zlib", zlib(b"{}")),
        ("base64", STANDARD.encode(&good).into_bytes()),
    ]
}

/// Encodings and types of bodies.
pub fn encodings(site: &Site) -> Family<'_> {
    let mut family = Family::new("encoding", site);
    let bearer = format!("Bearer {}", site.mallory);
    for (what, body) in packed() {
        for path in [PUSH, PULL, TOKEN] {
            for encoding in ["gzip", "GZIP", "deflate", "br"] {
                if encoding == "gzip" || path == PUSH {
                    let headers = [("authorization", bearer.as_str()), ("content-encoding", encoding)];
                    family.bare(format!("{path} {encoding}: {what}"), ("POST", path), &headers, &body);
                }
            }
        }
    }
    for encoding in ["gzip, gzip", "identity", "identity, gzip", "zstd", "x-gzip", "", "*", "gzip;q=0", "compress"] {
        let headers = [("authorization", bearer.as_str()), ("content-encoding", encoding)];
        family.bare(format!("said to be `{encoding}`"), ("POST", PUSH), &headers, b"{}");
    }
    let types = [
        "text/plain",
        "text/html",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "image/png",
        "application/json; charset=utf-16",
        "application/xml",
        "",
        "application/octet-stream",
        "a/b; c=d; e=\"",
    ];
    for kind in types {
        let headers = [("authorization", bearer.as_str()), ("content-type", kind)];
        family.bare(format!("of type `{kind}`"), ("POST", PUSH), &headers, b"{}");
        let accept = [("authorization", bearer.as_str()), ("accept", kind), ("accept-encoding", kind)];
        family.bare(format!("asks for `{kind}`"), ("POST", PULL), &accept, b"[]");
    }
    family
}
