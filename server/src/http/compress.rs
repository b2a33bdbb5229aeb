//! Compression, both ways: answers as the caller's `Accept-Encoding` allows, and pushes, which every answer asks for
//! with an `Accept-Encoding` of its own (RFC 9110, 12.5.3), so that nobody sends what a server does not read.
//!
//! A stream is flushed whenever nothing more is there to compress: what was read goes out. Not compressed are sockets,
//! answers that fit one packet, and what stays on this machine: there it costs time and saves none
//! (`docs/decisions/0017`).

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

use crate::config::{Compression, is_loopback_name};

/// For zstd, brotli and gzip alike: what more would save takes longer than a network needs for it.
const LEVEL: CompressionLevel = CompressionLevel::Precise(1);

/// An answer of fewer bytes travels in one packet anyway.
pub(super) const SMALL_BYTES: usize = 1_024;

/// What a client may send.
const REQUESTS: HeaderValue = HeaderValue::from_static("gzip");

pub(super) fn add(router: Router, setting: Compression) -> Router {
    let worth = SizeAbove::new(SMALL_BYTES as u64).and(NotForContentType::IMAGES);
    let layer = CompressionLayer::new().quality(LEVEL).compress_when(worth);
    let ask = move |request: Request, next: Next| async move { negotiate(setting, request, next).await };
    router.layer(layer).layer(middleware::from_fn(ask))
}

async fn negotiate(setting: Compression, mut request: Request, next: Next) -> Response {
    let pays = match setting {
        Compression::Always => true,
        Compression::Never => false,
        Compression::Auto => !stays_here(request.headers()),
    };
    if !pays {
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
    let mut response = next.run(request).await;
    if pays {
        response.headers_mut().insert(header::ACCEPT_ENCODING, REQUESTS);
    }
    response
}

/// Whether a page of this machine talks to this machine. Behind a proxy for the world the page is of elsewhere.
fn stays_here(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let page = text(header::ORIGIN).and_then(|origin| Some(origin.split_once("://")?.1));
    page.is_some_and(is_here) && text(header::HOST).is_some_and(is_here)
}

fn is_here(authority: &str) -> bool {
    let name = authority.rsplit_once(':').map_or(authority, |(name, _)| name);
    is_loopback_name(authority) || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use bytes::Bytes;
    use flate2::write::GzDecoder;
    use futures_util::{StreamExt, stream};
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use tokio::sync::mpsc;
    use tower::ServiceExt;

    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

    fn headers(origin: &'static str, host: &'static str) -> HeaderMap {
        [(header::ORIGIN, origin), (header::HOST, host)]
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect()
    }

    #[test]
    fn only_a_page_of_this_machine_at_a_server_of_this_machine_stays_here() {
        for (origin, host) in [
            ("http://localhost:5173", "localhost:8787"),
            ("http://s17.localhost:4000", "127.0.0.1:8787"),
            ("http://[::1]:1", "[::1]:8787"),
        ] {
            assert!(stays_here(&headers(origin, host)), "{origin} {host}");
        }
        for (origin, host) in [
            ("https://app.example.com", "127.0.0.1:8787"),
            ("http://localhost:5173", "sync.example.com"),
            ("http://localhost.example.com", "localhost"),
            ("http://evillocalhost", "localhost"),
            ("null", "localhost"),
            ("", "localhost"),
            ("http://localhost", ""),
        ] {
            assert!(!stays_here(&headers(origin, host)), "{origin} {host}");
        }
    }

    #[tokio::test]
    async fn what_was_written_leaves_before_there_is_more() {
        let (lines, received) = mpsc::channel::<Bytes>(1);
        let body = stream::unfold(received, |mut received| async {
            received.recv().await.map(|bytes| (Ok::<_, std::io::Error>(bytes), received))
        });
        let body = Arc::new(Mutex::new(Some(Body::from_stream(body))));
        let once = get(move || async move { body.lock().expect("unlocked").take().expect("asked once") });
        let router = add(Router::new().route("/", once), Compression::Always);
        let request = Request::builder().uri("/").header("accept-encoding", "gzip").body(Body::empty()).expect("one");
        let response = router.oneshot(request).await.expect("an answer");
        assert_eq!(response.headers()["content-encoding"], "gzip");
        let mut chunks = response.into_body().into_data_stream();
        let mut text = GzDecoder::new(Vec::new());
        for line in ["first\n", "second\n"] {
            lines.send(Bytes::from(line)).await.expect("taken");
            // The sender still holds the stream open: only a flush can have sent this.
            while !text.get_ref().ends_with(line.as_bytes()) {
                let chunk = tokio::time::timeout(PATIENCE, chunks.next()).await.expect("flushed");
                text.write_all(&chunk.expect("more").expect("no error")).expect("gzip");
                text.flush().expect("gzip");
            }
        }
    }
}
