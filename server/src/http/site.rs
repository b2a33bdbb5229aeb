//! The static files of `--static`: a single-page app with its assets.
//!
//! A file whose name has a hash never changes; everything else is asked for again each time. An address without a
//! file extension is the app's; a missing asset is a 404, never a page.

use std::path::Path;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tidewire_core::error::Code;
use tower::ServiceExt;
use tower_http::services::ServeDir;

use crate::config::ServerConfig;
use crate::error::Error;
use crate::state::AppState;

/// Letters of a content hash in a file's name.
const HASH_LENGTH_MIN: usize = 8;

/// With `--dev` a page may talk to any server on this machine, such as another one of these (`?server=` in the demo).
/// The policy's grammar has no IPv6 addresses.
const THIS_MACHINE: &str = " http://localhost:* ws://localhost:* http://127.0.0.1:* ws://127.0.0.1:*";

pub(super) fn add(router: Router<AppState>, state: &AppState) -> Router<AppState> {
    let Some(directory) = &state.config.static_files else {
        return router.fallback(|| async { Error::new(Code::NotFound, "no such address").into_response() });
    };
    let files = ServeDir::new(directory);
    let policy = content_security_policy(&state.config, state.dev);
    let site = Router::new()
        .fallback(move |request: Request| serve(files.clone(), request))
        .layer(middleware::from_fn(move |request: Request, next: Next| headers(policy.clone(), request, next)));
    router.fallback_service(site)
}

async fn serve(files: ServeDir, mut request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = Error::new(Code::BadMessage, "files are read with GET").into_response();
        *response.status_mut() = axum::http::StatusCode::METHOD_NOT_ALLOWED;
        return response;
    }
    if is_page(request.uri().path()) {
        *request.uri_mut() = Uri::from_static("/index.html");
    }
    let Ok(response) = files.oneshot(request).await;
    if response.status() == axum::http::StatusCode::NOT_FOUND {
        return Error::new(Code::NotFound, "no such file").into_response();
    }
    response.into_response()
}

async fn headers(policy: HeaderValue, request: Request, next: Next) -> Response {
    let immutable = is_hashed(request.uri().path());
    let mut response = next.run(request).await;
    let immutable = immutable && (response.status().is_success() || response.status().is_redirection());
    let cache = if immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn content_security_policy(config: &ServerConfig, dev: bool) -> HeaderValue {
    let mut connect = String::new();
    for origin in &config.connect {
        connect.push_str(&format!(" {}", origin.as_str()));
        if let Some(socket) = origin.of_sockets() {
            connect.push_str(&format!(" {socket}"));
        }
    }
    if dev {
        connect.push_str(THIS_MACHINE);
    }
    let text = format!(
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'{connect}; \
         img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    // An `Origin` is ASCII without control characters, so the text always fits a header.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("default-src 'self'"))
}

fn is_page(path: &str) -> bool {
    Path::new(path).extension().is_none()
}

/// Vite writes `assets/name-hash.ext`.
fn is_hashed(path: &str) -> bool {
    let Some(stem) = Path::new(path).file_stem().and_then(|stem| stem.to_str()) else { return false };
    let hash_start = stem.len().checked_sub(HASH_LENGTH_MIN + 1);
    path.starts_with("/assets/")
        && hash_start.is_some_and(|at| {
            stem.is_char_boundary(at) && stem[at..].starts_with('-') && looks_like_hash(&stem[at + 1..])
        })
}

/// A word of lower-case letters is taken for a word: to ask again for a file that has not changed does no harm.
fn looks_like_hash(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    text.bytes().all(allowed) && text.bytes().any(|byte| !byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_hash_are_immutable() {
        for path in ["/assets/index-BfPqcZ1x.js", "/assets/tidewire-a_b-c1d2.wasm", "/assets/index--a2bcd_e.css"] {
            assert!(is_hashed(path), "{path}");
        }
        for path in
            ["/index.html", "/sw.js", "/assets/app.js", "/assets/a-customer.js", "/x/index-BfPqcZ1x.js", "/assets/"]
        {
            assert!(!is_hashed(path), "{path}");
        }
    }

    #[test]
    fn an_address_without_extension_is_the_apps() {
        assert!(is_page("/") && is_page("/customers/7") && !is_page("/assets/x.wasm") && !is_page("/favicon.ico"));
    }
}
