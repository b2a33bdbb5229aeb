//! Which web pages may read the answers (CORS): those of `server.origins`, and with `--dev` those on this machine.
//!
//! Tokens travel in a header, never in a cookie, so a page elsewhere has nothing to ride on; this only keeps it from
//! reading.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tidewire_core::error::Code;

use crate::error::Error;
use crate::state::AppState;

pub(super) async fn cors(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let allowed = origin.filter(|origin| origin.to_str().is_ok_and(|origin| state.allows_origin(origin)));
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (is_preflight, &allowed) {
        (true, Some(_)) => preflight(),
        (true, None) => Error::new(Code::Forbidden, "this origin may not call: see server.origins").into_response(),
        (false, _) => next.run(request).await,
    };
    if let Some(origin) = allowed {
        allow(response.headers_mut(), origin);
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
    response
}

fn preflight() -> Response {
    let mut response = (StatusCode::NO_CONTENT, Body::empty()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    let sent = HeaderValue::from_static("authorization, content-encoding, content-type");
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, sent);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    // Without it the page cannot see how many bytes an answer had on the wire.
    headers.insert(HeaderName::from_static("timing-allow-origin"), origin.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let read = HeaderValue::from_static("accept-encoding, date, retry-after");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, read);
}
