//! Accepts connections and gives each only so much time: for the head of a request here, for its body in the handlers.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tower::ServiceExt;

use crate::state::AppState;

/// For open requests to end when the server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(8);
/// What a connection may pin: the head of a request, with a token of up to 15 KiB.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// When the system has no more sockets, waiting is all that helps.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until [`crate::State::stop`], then lets open requests end and closes the store.
///
/// # Errors
/// None today: a failing accept is logged and tried again.
pub async fn serve(listener: TcpListener, state: AppState) -> io::Result<()> {
    let router = crate::app(state.clone());
    let mut stopping = pin!(state.stopping());
    loop {
        let accepted = tokio::select! {
            () = &mut stopping => break,
            accepted = accept(&listener, &state) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                tokio::spawn(connection(stream, router.clone(), state.clone(), permit));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(STOP_PATIENCE, state.all_connections_ended()).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut");
    }
    state.store.close().await;
    Ok(())
}

/// Beyond the limit, connections wait in the system's queue.
async fn accept(listener: &TcpListener, state: &AppState) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = state.connections.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, permit))
}

async fn connection(stream: TcpStream, router: Router, state: AppState, permit: OwnedSemaphorePermit) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| router.clone().oneshot(request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(state.timeouts.head)
        .max_buf_size(READ_BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = state.stopping() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
    drop(permit);
}
