//! The routes. Thin: parse, ask the store or the core, answer.

pub(crate) mod answer;
mod body;
mod compress;
mod cors;
mod dev;
mod operate;
mod pull;
pub(crate) mod push;
mod sessions;
mod site;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tidewire_core::error::Code;
use tower_http::trace::TraceLayer;

use crate::error::Error;
use crate::state::AppState;
use crate::ws;

pub(crate) fn router(state: AppState) -> Router {
    let sync = Router::new()
        .route("/push", post(push::push))
        .route("/pull", post(pull::pull))
        .route("/live", get(ws::live))
        .route("/entities/{collection}/{id}", get(operate::entity))
        .route("/entities/{collection}/{id}/history", get(operate::history))
        .route("/status", get(operate::status))
        .route("/health", get(operate::health))
        .route("/sessions/{id}/revoke", post(sessions::revoke))
        .route("/sessions/revoke-all", post(sessions::revoke_all))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method);
    let mut router = Router::new().nest("/api/sync", sync).route("/healthz", get(operate::healthz));
    if state.dev {
        router = router.route("/api/dev/token", post(dev::token));
    }
    router = router.method_not_allowed_fallback(no_method).route("/api/{*rest}", axum::routing::any(no_route));
    let router = site::add(router, &state).layer(middleware::from_fn(no_store)).with_state(state.clone());
    compress::add(router, state.config.compression)
        .layer(middleware::from_fn_with_state(state, cors::cors))
        .layer(TraceLayer::new_for_http())
}

async fn no_route() -> Response {
    Error::new(Code::NotFound, "no such address: docs/PROTOCOL.md lists them").into_response()
}

async fn no_method() -> Response {
    let mut response = Error::new(Code::BadMessage, "this address takes another method").into_response();
    *response.status_mut() = axum::http::StatusCode::METHOD_NOT_ALLOWED;
    response
}

/// Answers of the API belong to one user at one time.
async fn no_store(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
